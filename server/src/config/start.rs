//! Reads the settings of this very process: its arguments, its environment and its `.env` file.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use super::{
    cli::{self, Command, ServiceAction},
    load::Config,
    problem::Problem,
    sources::Values,
    table::LOG_FILE,
    uri::SCHEMES,
};

/// Why `archd` does not start, or that it has only been asked for help.
#[derive(Debug)]
pub enum Refusal {
    /// The command line cannot be understood, or asks for help or the version.
    Usage(clap::Error),
    /// Every bad setting.
    Settings(Vec<Problem>),
}

impl Refusal {
    /// What there is to tell.
    pub fn text(&self) -> String {
        match self {
            Refusal::Usage(error) => error.to_string(),
            Refusal::Settings(problems) => {
                let lines = problems.iter().map(|problem| format!("error: {problem}\n"));
                lines.collect()
            }
        }
    }

    /// Tells the person at the terminal, and the process that started this one.
    pub fn report(&self) -> ExitCode {
        // There is nobody left to tell when the terminal is gone.
        match self {
            Refusal::Usage(error) => {
                let _ = error.print();
                if error.use_stderr() {
                    ExitCode::from(2)
                } else {
                    ExitCode::SUCCESS
                }
            }
            Refusal::Settings(_) => {
                let _ = write!(io::stderr().lock(), "{}", self.text());
                ExitCode::from(2)
            }
        }
    }
}

/// What this process is asked to do, and its settings. Its environment is read and never changed.
///
/// # Errors
///
/// A [`Refusal`], which knows how to report itself.
pub fn from_process() -> Result<(Command, Config), Refusal> {
    let environment = env::vars_os()
        .map(|(name, value)| (lossy(&name), lossy(&value)))
        .collect();
    read(env::args_os(), &environment, Path::new(".env"))
}

fn read(
    arguments: impl Iterator<Item = OsString>,
    environment: &Values,
    default_file: &Path,
) -> Result<(Command, Config), Refusal> {
    let arguments: Vec<OsString> = arguments.collect();
    if arguments.iter().any(|argument| has_uri(argument)) {
        return Err(Refusal::Settings(vec![Problem {
            name: "MONGODB_URI".to_owned(),
            origin: "command line".to_owned(),
            value: None,
            wrong: "stands where everyone on this machine can read it".to_owned(),
            mend: "give it in the environment, in .env or by MONGODB_URI_FILE, and change its password"
                .to_owned(),
        }]));
    }
    let line = cli::parse(arguments).map_err(Refusal::Usage)?;
    let (mut dotenv, mut problems) = match &line.env_file {
        Some(path) => env_file(path, "--env-file"),
        // Nobody asked for the default file, so it may be missing.
        None if !default_file.exists() => Default::default(),
        None => env_file(default_file, "working directory"),
    };
    if let Command::Service(ServiceAction::Run(service)) = &line.command
        && let Some(path) = service.log_file(environment)
    {
        // The last source is as good as a default, and any other has its say before.
        let given = dotenv.entry(LOG_FILE.name.to_owned()).or_default();
        if given.is_empty() {
            *given = path.display().to_string();
        }
    }
    match Config::load(&line.flags, environment, &dotenv) {
        Ok(config) if problems.is_empty() => Ok((line.command, config)),
        Ok(_) => Err(Refusal::Settings(problems)),
        Err(more) => {
            problems.extend(more);
            Err(Refusal::Settings(problems))
        }
    }
}

/// The values of a file, and what cannot be read in it.
fn env_file(path: &Path, origin: &str) -> (Values, Vec<Problem>) {
    let problem = |wrong: String, mend: &str| Problem {
        name: ".env".to_owned(),
        origin: origin.to_owned(),
        value: Some(path.display().to_string()),
        wrong,
        mend: mend.to_owned(),
    };
    let mut values = Values::new();
    let mut problems = Vec::new();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            problems.push(problem(
                format!("cannot be read: {error}"),
                "give a file that this user may read",
            ));
            return (values, problems);
        }
    };
    // Windows editors put this mark first, and dotenvy takes it for a part of the first name.
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let mut last = None;
    for entry in dotenvy::from_read_iter(text) {
        match entry {
            Ok((name, value)) => {
                last = Some(name.clone());
                values.insert(name, value);
            }
            // Its message would repeat the line, which may hold a password.
            Err(_) => problems.push(problem(
                match &last {
                    Some(name) => format!("cannot be understood after {name}"),
                    None => "cannot be understood at its first entry".to_owned(),
                },
                "write NAME=value, with 'single quotes' around a value that has blanks",
            )),
        }
    }
    (values, problems)
}

fn has_uri(argument: &OsStr) -> bool {
    let argument = lossy(argument);
    SCHEMES.iter().any(|scheme| argument.contains(scheme))
}

/// What is not UTF-8 is replaced by U+FFFD, which no setting takes.
fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::BatchArgs;

    /// Reads a command line beside a `.env` file with this content.
    fn started(arguments: &[&str], content: &[u8]) -> Result<(Command, Config), String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("env");
        fs::write(&file, content).unwrap();
        let arguments = ["archd"].iter().chain(arguments).map(OsString::from);
        read(arguments, &Values::new(), &file).map_err(|refusal| match refusal {
            Refusal::Usage(error) => error.to_string(),
            Refusal::Settings(problems) => problems.iter().map(|p| format!("{p}\n")).collect(),
        })
    }

    #[test]
    fn a_service_is_started_with_what_it_was_installed_with() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("archd.env");
        fs::write(&file, "ARCHD_CHUNK_SIZE=7").unwrap();
        let file = file.to_str().unwrap();
        let install = [
            "service",
            "install",
            "--name",
            "archd-2",
            "--role=watch",
            "--lease=30s",
            "--env-file",
            file,
        ];
        let (command, config) = started(&install, b"").unwrap();
        let Command::Service(ServiceAction::Install(install)) = command else {
            panic!("{command:?}")
        };
        assert_eq!(config.chunk_size, 7, "its settings are read");
        let launch: Vec<&str> = install
            .launch
            .iter()
            .map(|it| it.to_str().unwrap())
            .collect();
        let (again, config) = started(&launch, b"ARCHD_CHUNK_SIZE=8").unwrap();
        assert_eq!(again, Command::Service(ServiceAction::Run(install.service)));
        assert_eq!(config.chunk_size, 7);
        assert_eq!(config.lease, std::time::Duration::from_secs(30));

        for name in ["", "a/b", r"a\b", "50%"] {
            let told = started(&["service", "uninstall", "--name", name], b"").unwrap_err();
            assert!(told.contains("--name"), "{name}: {told}");
        }
    }

    #[test]
    fn a_service_logs_to_a_file_unless_it_is_told_otherwise() {
        let environment = |more: &[(&str, &str)]| {
            let all = [&[("ProgramData", "/data")], more].concat();
            let all = all.into_iter();
            all.map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<Values>()
        };
        let path = |arguments: &[&str], environment: &Values| {
            let arguments = ["archd"].iter().chain(arguments).map(OsString::from);
            let (_, config) = read(arguments, environment, Path::new("/nowhere")).unwrap();
            config.log_file.map(|file| file.path)
        };
        let run = ["service", "run", "--name", "archd-2"];
        let default = Path::new("/data").join("archd").join("archd-2.log");
        assert_eq!(path(&run, &environment(&[])), Some(default));
        assert_eq!(path(&run, &environment(&[("ARCHD_LOG_FILE", "off")])), None);
        let flag = [&run[..], &["--log-file=mine.log"]].concat();
        assert_eq!(path(&flag, &environment(&[])), Some("mine.log".into()));
        assert_eq!(path(&run, &Values::new()), None);
        assert_eq!(path(&["serve"], &environment(&[])), None);
    }

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        for arguments in [
            &["--chunk-size", "7"][..],
            &["--chunk-size", "7", "serve"],
            &["serve", "--chunk-size=7"],
        ] {
            let (command, config) = started(arguments, b"ARCHD_CHUNK_SIZE=8").unwrap();
            assert_eq!((command, config.chunk_size), (Command::Serve, 7));
        }
        let (command, config) = started(
            &[
                "--database",
                "d",
                "batch",
                "--limit=3",
                "--before",
                "2025-10-16",
                "--max-runtime=1h 30m",
                "--dry-run",
                "--max-rate=500",
                "--max-lag=off",
                "--max-write-latency=500ms",
                "--chunk-size",
                "7",
            ],
            b"",
        )
        .unwrap();
        let expected = BatchArgs {
            limit: Some(3),
            before: Some("2025-10-16T00:00:00Z".parse().unwrap()),
            max_runtime: Some(std::time::Duration::from_secs(5_400)),
            dry_run: true,
            create_indexes: false,
            wait: std::time::Duration::from_secs(30),
            output: crate::config::Output::Text,
        };
        assert_eq!(command, Command::Batch(expected));
        assert_eq!((config.database.as_str(), config.chunk_size), ("d", 7));
        assert_eq!(
            (config.max_orders_per_second, config.max_replication_lag),
            (500, None)
        );
        assert_eq!(
            config.max_write_latency,
            std::time::Duration::from_millis(500)
        );
    }

    #[test]
    fn moments_carry_their_offset() {
        for (text, moment) in [
            ("2025-10-16T02:00:00+02:00", "2025-10-16T00:00:00Z"),
            ("2025-10-16T02:00:00.5Z", "2025-10-16T02:00:00.5Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
        ] {
            let (command, _) = started(&["batch", "--before", text], b"").unwrap();
            let Command::Batch(batch) = command else {
                panic!("{command:?}")
            };
            assert_eq!(batch.before, Some(moment.parse().unwrap()), "{text}");
        }
        for text in ["2025-02-29", "2025-10-16T02:00:00", "yesterday", ""] {
            assert!(
                started(&["batch", "--before", text], b"").is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bad_option_of_a_batch_is_named_with_its_mend() {
        for (arguments, mend) in [
            (&["--limit", "0"][..], "--limit <N>"),
            (&["--before", "yesterday"], "give 2025-10-16"),
            (&["--max-runtime", "0s"], "such as 90s or 2h"),
            (&["--max-runtime", "90"], "such as 90s or 2h"),
            (&["--dry-run", "--create-indexes"], "--create-indexes"),
            (&["--limit", "-1"], "--limit <N>"),
            (
                &["--max-rate", "-1"],
                "ARCHD_MAX_RATE=\"-1\" (--max-rate) is not a whole number; give",
            ),
            (
                &["--max-lag=0s"],
                "ARCHD_MAX_LAG=\"0s\" (--max-lag) is out of range; give off or",
            ),
            (
                &["--max-write-latency=off"],
                "ARCHD_MAX_WRITE_LATENCY=\"off\" (--max-write-latency) is not",
            ),
        ] {
            let told = started(&[&["batch"], arguments].concat(), b"").unwrap_err();
            assert!(told.contains(mend), "{arguments:?}: {told}");
        }
    }

    #[test]
    fn a_file_is_read_whole_even_with_a_mark_before_it() {
        let content =
            "\u{feff}# A comment\r\nARCHD_LOG='debug'\r\nexport ARCHD_CHUNK_SIZE=7 # few\r\n";
        let (_, config) = started(&[], content.as_bytes()).unwrap();
        assert_eq!(
            (config.log_filter.as_str(), config.chunk_size),
            ("debug", 7)
        );
    }

    #[test]
    fn a_dollar_in_single_quotes_is_a_dollar() {
        let (_, config) =
            started(&[], b"MONGODB_URI='mongodb://u:pa$$HOME@h/?appName=a#word'").unwrap();
        assert_eq!(
            config.mongodb_uri.expose(),
            "mongodb://u:pa$$HOME@h/?appName=a#word"
        );
    }

    #[test]
    fn a_bad_line_is_told_without_its_content_and_beside_other_problems() {
        let told = started(
            &["--listen=nowhere"],
            b"ARCHD_LOG=debug\nMONGODB_URI=mongodb://u:canary s3cret@h\nARCHD_CHUNK_SIZE=0\n",
        )
        .unwrap_err();
        assert!(
            told.contains("cannot be understood after ARCHD_LOG;"),
            "{told}"
        );
        assert!(
            told.contains("ARCHD_LISTEN=\"nowhere\" (--listen)"),
            "{told}"
        );
        assert!(
            told.contains("ARCHD_CHUNK_SIZE=\"0\" (.env file)"),
            "{told}"
        );
        assert!(!told.contains("canary"), "{told}");
    }

    #[test]
    fn a_file_asked_for_has_to_be_there_and_replaces_the_default_one() {
        let told = started(&["--env-file", "/nowhere/at all"], b"").unwrap_err();
        assert!(
            told.starts_with(".env=\"/nowhere/at all\" (--env-file) cannot be read"),
            "{told}"
        );

        let directory = tempfile::tempdir().unwrap();
        let other = directory.path().join("other");
        fs::write(&other, "ARCHD_LOG=trace").unwrap();
        let arguments = ["serve", "--env-file", other.to_str().unwrap()];
        let (_, config) = started(&arguments, b"ARCHD_CHUNK_SIZE=7").unwrap();
        assert_eq!(
            (config.log_filter.as_str(), config.chunk_size),
            ("trace", 1000)
        );

        let none = directory.path().join("none");
        assert!(read([OsString::from("archd")].into_iter(), &Values::new(), &none).is_ok());
    }

    #[test]
    fn a_uri_on_the_command_line_is_refused_and_not_repeated() {
        for arguments in [
            &["--mongodb-uri", "mongodb://u:canary@h"][..],
            &["--mongodb-uri=mongodb://u:canary@h"],
            &["mongodb+srv://u:canary@h"],
            &["--database", "mongodb://u:canary@h"],
        ] {
            let told = started(arguments, b"").unwrap_err();
            assert!(
                told.contains("everyone on this machine can read it"),
                "{told}"
            );
            assert!(!told.contains("canary"), "{told}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf8_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let environment = [(
            "ARCHD_DELIVERED_STATUS".to_owned(),
            lossy(OsStr::from_bytes(b"livr\xe9e")),
        )];
        let arguments = [OsString::from("archd")].into_iter();
        let refusal = read(arguments, &environment.into(), Path::new("/nowhere")).unwrap_err();
        assert!(
            matches!(refusal, Refusal::Settings(problems) if problems[0].wrong == "is not UTF-8")
        );
    }
}

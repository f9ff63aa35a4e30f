//! Settings: a flag wins over its variable, that over the profile of the config file, and that over
//! the default. A fault in the file is told with its line and its mend.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    fake::Fake,
    program::{Ended, archctl},
};

/// A home with this config file in it.
fn home(file: impl AsRef<[u8]>) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/archctl");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), file).unwrap();
    home
}

/// `archctl` of somebody who lives there, and has no variables.
fn at(home: &Path, args: &[&str]) -> Command {
    let mut archctl = archctl(args);
    archctl
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("ARCHCTL_TIME_ZONE");
    archctl
}

fn ended(command: &mut Command) -> Ended {
    command.output().unwrap().into()
}

/// The value of a setting and where it comes from, as `archctl config` shows them in whatever
/// format.
fn shown(ended: &Ended, setting: &str) -> (String, String) {
    assert_eq!(ended.code, 0, "{ended:?}");
    if ended.stdout.starts_with('{') {
        let setting = &ended.json()[setting];
        let value = setting["value"].as_str().unwrap_or("-").to_owned();
        return (value, setting["from"].as_str().unwrap().to_owned());
    }
    let mut rows = ended.stdout.lines().map(str::split_whitespace);
    let mut row = rows
        .find(|row| row.clone().next() == Some(setting))
        .unwrap();
    let (value, from) = (row.nth(1).unwrap(), row.next().unwrap());
    let from = if from.contains("profile") {
        "file"
    } else {
        from
    };
    (value.to_owned(), from.to_owned())
}

#[test]
fn a_flag_wins_over_a_variable_that_over_the_profile_and_that_over_the_default() {
    // The values that each of them says, from the flag on.
    let settings = [
        (
            "endpoint",
            [
                "http://flag:1",
                "http://variable:1",
                "http://file:1",
                "http://127.0.0.1:50051",
            ],
        ),
        ("timeout", ["1m", "2m", "3m", "10s"]),
        ("output", ["ndjson", "wide", "json", "table"]),
        (
            "time_zone",
            ["Asia/Tokyo", "Europe/Paris", "Africa/Lagos", "local"],
        ),
        ("token_file", ["/flag", "/variable", "/file", "-"]),
        ("ca", ["flag.pem", "variable.pem", "/file.pem", "-"]),
        ("cert", ["flag.pem", "variable.pem", "/file.pem", "-"]),
        ("key", ["flag.key", "variable.key", "/file.key", "-"]),
    ];
    let nothing = tempfile::tempdir().unwrap();
    for (setting, [by_flag, by_variable, by_file, default]) in settings {
        let home = home(format!(
            "default_profile = 'mine'\n[profiles.mine]\n{setting} = '{by_file}'\n[profiles.other]"
        ));
        for said in 0..8 {
            let says = |bit: u32| said & (1 << bit) != 0;
            let flag = format!("--{}={by_flag}", setting.replace('_', "-"));
            let args = match says(0) {
                true => vec!["config", &flag],
                false => vec!["config"],
            };
            let mut archctl = at(if says(2) { home.path() } else { nothing.path() }, &args);
            if says(1) {
                archctl.env(format!("ARCHCTL_{}", setting.to_uppercase()), by_variable);
            }
            let wanted = match (says(0), says(1), says(2)) {
                (true, ..) => (by_flag, "flag"),
                (_, true, _) => (by_variable, "variable"),
                (_, _, true) => (by_file, "file"),
                _ => (default, "default"),
            };
            let (value, from) = shown(&ended(&mut archctl), setting);
            assert_eq!(
                (value.as_str(), from.as_str()),
                wanted,
                "{setting} {said:03b}"
            );
        }
    }
}

#[test]
fn the_token_of_a_profile_is_for_its_endpoint_alone() {
    let home = home(
        "default_profile = 'mine'\n[profiles.mine]\nendpoint = 'https://mine:1'\ntoken_file = '/mine'",
    );
    for (endpoint, wanted) in [("https://mine:1", "/mine"), ("https://another:1", "-")] {
        let mut archctl = at(home.path(), &["config", "--endpoint", endpoint]);
        let (value, _) = shown(&ended(&mut archctl), "token_file");
        assert_eq!(value, wanted, "{endpoint}");
    }
}

#[test]
fn a_profile_is_chosen_by_a_flag_a_variable_or_the_file_and_a_file_by_a_flag_or_a_variable() {
    let file = |default: &str| {
        format!("{default}\n[profiles.one]\ntimeout = '1s'\n[profiles.two]\ntimeout = '2s'")
    };
    let home = home(file("default_profile = 'one'"));
    let other = self::home(file(""));
    let other_file = other.path().join(".config/archctl/config.toml");
    let other_file = other_file.to_str().unwrap();
    let xdg = other.path().join(".config");
    let xdg = xdg.to_str().unwrap();
    let own = home.path().join(".config/archctl/config.toml");
    let own = own.to_str().unwrap();
    for (args, variables, wanted) in [
        (
            &[][..],
            &[][..],
            [(own, "default"), ("one", "file"), ("1s", "file")],
        ),
        (
            &["--profile", "two"],
            &[("ARCHCTL_PROFILE", "one")],
            [(own, "default"), ("two", "flag"), ("2s", "file")],
        ),
        (
            &[],
            &[("ARCHCTL_PROFILE", "two")],
            [(own, "default"), ("two", "variable"), ("2s", "file")],
        ),
        // An empty variable counts as none, and so does a path that is not absolute.
        (
            &[],
            &[
                ("ARCHCTL_PROFILE", ""),
                ("ARCHCTL_CONFIG", ""),
                ("XDG_CONFIG_HOME", "here"),
            ],
            [(own, "default"), ("one", "file"), ("1s", "file")],
        ),
        (
            &[],
            &[("XDG_CONFIG_HOME", xdg)],
            [
                (other_file, "default"),
                ("-", "default"),
                ("10s", "default"),
            ],
        ),
        (
            &[],
            &[("ARCHCTL_CONFIG", other_file), ("ARCHCTL_PROFILE", "one")],
            [
                (other_file, "variable"),
                ("one", "variable"),
                ("1s", "file"),
            ],
        ),
        (
            &["--config", own],
            &[("ARCHCTL_CONFIG", other_file)],
            [(own, "flag"), ("one", "file"), ("1s", "file")],
        ),
    ] {
        let mut archctl = at(home.path(), &[&["config", "-o", "json"], args].concat());
        let ended = ended(archctl.envs(variables.iter().copied()));
        let shown = ["config", "profile", "timeout"].map(|setting| shown(&ended, setting));
        let shown = shown
            .each_ref()
            .map(|(value, from)| (value.as_str(), from.as_str()));
        assert_eq!(shown, wanted, "{args:?} {variables:?}");
    }
}

#[test]
fn what_a_profile_says_is_what_happens() {
    let fake = Fake::start();
    let home = home(format!(
        "[profiles.paris]\nendpoint = '{0}'\ntime_zone = 'Europe/Paris'\n\
         [profiles.hasty]\nendpoint = '{0}'\ntimeout = '200ms'\noutput = 'json'",
        fake.endpoint()
    ));
    let status = ended(&mut at(
        home.path(),
        &["watch", "status", "--profile", "paris"],
    ));
    assert!(
        status.stdout.contains("2025-10-16 16:23:45+02"),
        "{status:?}"
    );
    let archived = ended(&mut at(
        home.path(),
        &["--profile", "hasty", "archive", "CMD-1"],
    ));
    assert_eq!(archived.json()["result"]["numero_commande"], "CMD-1");
    let slow = ended(&mut at(
        home.path(),
        &["--profile", "hasty", "archive", "SLOW"],
    ));
    assert_eq!(slow.code, 4, "{slow:?}");
    assert!(
        slow.stderr.contains("it took longer than 200ms"),
        "{slow:?}"
    );
}

#[test]
fn each_fault_in_a_file_is_told_with_its_line_and_its_mend() {
    for (file, told) in [
        ("[profiles.a", "line 1: this is not TOML: "),
        (
            "[profiles.a]\n\noutput = json",
            "line 3: this is not TOML: ",
        ),
        (
            "[profiles.a]\noutput = 'json'\noutput = 'wide'",
            "line 3: this is not TOML: duplicate key",
        ),
        (
            "default_profil = 'a'",
            "line 1: default_profil: there is no such key; is `default_profile` meant?",
        ),
        (
            "colour = 'red'",
            "line 1: colour: there is no such key; there are: default_profile, profiles",
        ),
        (
            "endpoint = 'a'",
            "line 1: endpoint: it belongs below the line of a profile, such as [profiles.production]",
        ),
        (
            "[production]\nendpoint = 'a'",
            "line 1: production: a profile begins with the line [profiles.production]",
        ),
        (
            "[profile.a]\nendpoint = 'a'",
            "line 1: profile: there is no such key; is `profiles` meant?",
        ),
        (
            "default_profile = 'a'",
            "line 1: default_profile: there is no profile `a`; there is none at all",
        ),
        (
            "default_profile = 'prod'\n[profiles.prd]",
            "line 1: default_profile: there is no profile `prod`; is `prd` meant?",
        ),
        (
            "default_profile = 1",
            "line 1: default_profile: give a text in quotation marks in the place of this integer",
        ),
        (
            "profiles = 'a'",
            "line 1: profiles: give a table, [profiles], in the place of this string",
        ),
        (
            "[profiles]\na = true",
            "line 2: profiles.a: give a table, [profiles.a], in the place of this boolean",
        ),
        (
            "[profiles.a]\nendpont = 'a'",
            "line 2: profiles.a.endpont: there is no such setting; is `endpoint` meant?",
        ),
        (
            "[profiles.a]\ncolour = 'a'",
            "line 2: profiles.a.colour: there is no such setting; there are: ca, cert, endpoint, key, output, time_zone, timeout, token_file",
        ),
        (
            "[profiles.a]\n\nendpoint = 'ftp://a'",
            "line 3: profiles.a.endpoint: `ftp://a` won't do: ftp:// is not a scheme that archctl knows; give HOST",
        ),
        (
            "[profiles.a]\noutput = 'yaml'",
            "line 2: profiles.a.output: `yaml` won't do: give one of table, wide, json, ndjson",
        ),
        (
            "[profiles.a]\ntime_zone = 'Paris'",
            "line 2: profiles.a.time_zone: `Paris` won't do: give local, UTC, or a name such as Europe/Paris",
        ),
        (
            "[profiles.a]\ntimeout = '30'",
            "line 2: profiles.a.timeout: `30` won't do: ",
        ),
        (
            "[profiles.a]\ntimeout = 30",
            "line 2: profiles.a.timeout: give a text in quotation marks in the place of this integer",
        ),
    ] {
        let home = home(file);
        let refused = ended(&mut at(home.path(), &["stats"]));
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (2, ""),
            "{file}: {refused:?}"
        );
        let path = home.path().join(".config/archctl/config.toml");
        let first = format!(
            "error: the config file {} can't be used\n  - {told}",
            path.display()
        );
        assert!(
            refused.stderr.starts_with(&first),
            "{file}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("\nhint: `archctl config --help`"),
            "{file}: {refused:?}"
        );
        let help = ended(&mut at(home.path(), &["config", "--help"]));
        assert_eq!(help.code, 0, "{help:?}");
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_their_order() {
    let home =
        home("[profiles.b]\ntimeout = 1\n[profiles.a]\nendpont = 'x'\noutput = 'x'\n[extra]");
    let refused = ended(&mut at(home.path(), &["stats"]));
    let lines: Vec<&str> = refused
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("  - "))
        .collect();
    let starts = [
        "line 2: profiles.b",
        "line 4: profiles.a",
        "line 5: profiles.a",
        "line 6: extra",
    ];
    assert_eq!(lines.len(), starts.len(), "{refused:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_and_one_that_is_not_there_only_when_it_was_asked_for() {
    let not_utf8 = home(b"default_profile = '\xff'");
    let refused = ended(&mut at(not_utf8.path(), &["config"]));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("it is not UTF-8"), "{refused:?}");

    let empty = tempfile::tempdir().unwrap();
    let folder = ended(at(empty.path(), &["config"]).env("ARCHCTL_CONFIG", empty.path()));
    assert_eq!(folder.code, 2, "{folder:?}");
    assert!(folder.stderr.contains("can't be used"), "{folder:?}");

    let none = ended(at(empty.path(), &["config"]).env("ARCHCTL_CONFIG", "/dev/null"));
    assert_eq!(none.code, 0, "{none:?}");

    let fine = ended(&mut at(empty.path(), &["config"]));
    assert_eq!(fine.code, 0, "{fine:?}");
    let place = empty.path().join(".config/archctl/config.toml");
    let place = place.display();
    assert_eq!(
        fine.stderr,
        format!("There is no config file at {place}.\n")
    );

    let nowhere = empty.path().join("nowhere.toml");
    let asked = ended(at(empty.path(), &["stats"]).env("ARCHCTL_CONFIG", &nowhere));
    assert_eq!((asked.code, asked.stdout.as_str()), (2, ""), "{asked:?}");
    let told = format!(
        "error: the config file {} is not there\nhint: ",
        nowhere.display()
    );
    assert!(asked.stderr.starts_with(&told), "{asked:?}");

    let asked = ended(&mut at(empty.path(), &["stats", "--profile", "production"]));
    assert_eq!((asked.code, asked.stdout.as_str()), (2, ""), "{asked:?}");
    for words in [
        "error: there is no profile `production`, because there is no config file\n".to_owned(),
        format!("  - looked for: {place}\n"),
        "hint: `archctl config --help`".to_owned(),
    ] {
        assert!(asked.stderr.contains(&words), "{asked:?}");
    }
}

#[test]
fn a_file_that_cannot_be_used_stops_no_completion_of_a_shell() {
    let home = home("endpoint");
    let ended = ended(&mut at(home.path(), &["completions", "bash"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
}

#[test]
fn an_unknown_profile_is_refused_with_those_that_there_are() {
    let home = home("[profiles.production]\n[profiles.staging]");
    let path = home.path().join(".config/archctl/config.toml");
    let path = path.display();
    for (name, mend) in [
        ("prodution", "is `production` meant?"),
        ("test", "there are: production, staging"),
    ] {
        let refused = ended(&mut at(home.path(), &["stats", "--profile", name]));
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (2, ""),
            "{refused:?}"
        );
        let told = format!("error: there is no profile `{name}` in {path}\nhint: {mend}\n");
        assert_eq!(refused.stderr, told);
    }
}

#[test]
fn the_settings_in_force_are_a_table() {
    let home = home("default_profile = 'mine'\n[profiles.mine]\nendpoint = 'archive.internal'");
    let mut archctl = at(home.path(), &["config", "-o", "wide", "--timeout", "90s"]);
    let shown = ended(archctl.env("ARCHCTL_TIME_ZONE", "UTC"));
    let path = home.path().join(".config/archctl/config.toml");
    let rows: Vec<Vec<&str>> = shown
        .stdout
        .lines()
        .map(|row| {
            row.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    let wanted = [
        ["SETTING", "VALUE", "FROM"],
        ["config", path.to_str().unwrap(), "default"],
        ["profile", "mine", "default_profile"],
        ["endpoint", "http://archive.internal:50051", "profile mine"],
        ["timeout", "1m 30s", "flag --timeout"],
        ["output", "wide", "flag --output"],
        ["time_zone", "UTC", "variable ARCHCTL_TIME_ZONE"],
        ["token_file", "-", "default"],
        ["ca", "-", "default"],
        ["cert", "-", "default"],
        ["key", "-", "default"],
    ];
    assert_eq!(rows, wanted, "{shown:?}");
    assert_eq!(shown.stderr, "");
}

#[test]
fn the_examples_of_a_config_file_are_accepted_and_the_documented_defaults_true() {
    let nobody = tempfile::tempdir().unwrap();
    let help = ended(&mut at(nobody.path(), &["config", "--help"])).stdout;
    let of_help = help.split_once("this:\n").unwrap().1;
    let of_help = of_help.split_once("Examples:").unwrap().0;
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let document = fs::read_to_string(document).unwrap();
    let of_document = document
        .split_once("```toml\n")
        .unwrap()
        .1
        .split_once("```")
        .unwrap()
        .0;
    for file in [of_help, of_document] {
        let home = home(file);
        for (profile, setting, wanted) in [
            ("production", "endpoint", "https://archive.internal:50051"),
            ("scripts", "output", "json"),
        ] {
            let mut archctl = at(home.path(), &["config", "--profile", profile]);
            let wanted = (wanted.to_owned(), "file".to_owned());
            assert_eq!(shown(&ended(&mut archctl), setting), wanted, "{file}");
        }
        let ended = ended(&mut at(home.path(), &["config"]));
        assert_eq!(shown(&ended, "profile").0, "production", "{file}");
    }
    for setting in [
        "endpoint",
        "timeout",
        "output",
        "time_zone",
        "ca",
        "cert",
        "key",
    ] {
        let (default, _) = shown(&ended(&mut at(nobody.path(), &["config"])), setting);
        let (flag, variable) = (setting.replace('_', "-"), setting.to_uppercase());
        let row = format!("| `{setting}` | `--{flag}` | `ARCHCTL_{variable}` | `{default}` |");
        assert!(document.contains(&row), "docs/settings.md misses: {row}");
    }
}

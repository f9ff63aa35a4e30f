//! Every example of every help text can be followed: each is run as it is written there, in a world
//! in which it makes sense.

use std::{
    env, fs,
    process::{Output, Stdio},
};

use archd::seed::Plan;
use bson::{DateTime, Document, RawDocumentBuf, doc, spec::BinarySubtype};
use devkit::ReplicaSet;
use order_archiver_api::v1::{
    self as pb, WatcherState, verification_service_client::VerificationServiceClient,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use crate::support::{TestServer, eventually, last, order, orders, program, within};

const LONGER_THAN_ANY_TEST: i64 = 3_600_000;

/// One line of a help text.
#[derive(Debug)]
struct Example {
    /// The command whose help has it.
    help: String,
    line: String,
}

impl Example {
    fn has(&self, words: &str) -> bool {
        self.line.contains(words)
    }

    /// Whether it goes on until somebody ends it.
    fn is_endless(&self) -> bool {
        let serves = self.line.starts_with("archd")
            && !self.is_of_archd(&["batch", "check", "state", "verify"]);
        let tails = self.has(" tail") && !self.has("--limit");
        serves || tails || self.has("--live ") || self.has("stats --watch") || self.has("--watch=")
    }

    fn is_of_archd(&self, commands: &[&str]) -> bool {
        let second = self.line.split(' ').nth(1).unwrap_or_default();
        self.line.starts_with("archd") && commands.contains(&second)
    }
}

#[tokio::test]
async fn every_example_of_every_help_can_be_followed() {
    let mut examples = Vec::new();
    for program in ["archctl", "archd"] {
        gather(&[program], &mut examples).await;
    }
    assert!(examples.len() > 50, "{examples:?}");
    // One of its own: some tails look back ten minutes, and others' large writes shorten the
    // history of a shared one.
    let set = ReplicaSet::start().await.unwrap();
    for example in &examples {
        println!("{}: {}", example.help, example.line);
        World::new(&set, example).await.follows(example).await;
    }
}

#[tokio::test]
async fn the_help_says_the_order_and_the_defaults_of_the_server() {
    let until = Plan::for_orders(1).until.try_to_rfc3339_string().unwrap();
    let help = help(&["archctl", "seed"]).await;
    let words: Vec<&str> = help.split_whitespace().collect();
    assert!(
        words.join(" ").contains(&format!("[default: {until}]")),
        "{help}"
    );

    let help = self::help(&["archctl", "orders", "list"]).await;
    assert!(
        help.starts_with("List archived orders, the highest number first\n"),
        "{help}"
    );
    let server = TestServer::start().await;
    // The order with the highest number is neither the first nor the last to come.
    server
        .insert("Commande", ["CMD-1", "CMD-3", "CMD-2"].map(order))
        .await;
    server.run_batch().await;
    let mut list = Command::new(program("archctl"));
    list.env(
        "XDG_CONFIG_HOME",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/no-config"),
    );
    list.args([
        "orders",
        "list",
        "-o",
        "ndjson",
        "--endpoint",
        &server.address,
    ]);
    let listed = String::from_utf8(within(list.output()).await.unwrap().stdout).unwrap();
    let numbers = listed.lines().map(|line| {
        let order: serde_json::Value = serde_json::from_str(line).unwrap();
        order["numero_commande"].as_str().unwrap().to_owned()
    });
    assert_eq!(numbers.collect::<Vec<_>>(), ["CMD-3", "CMD-2", "CMD-1"]);
}

/// Walks through the commands as a reader of the help would.
async fn gather(command: &[&str], examples: &mut Vec<Example>) {
    let help = help(command).await;
    let of_itself = help.split_once("Examples:\n").map_or("", |(_, rest)| rest);
    let lines = of_itself.lines().take_while(|line| line.starts_with("  "));
    let before = examples.len();
    examples.extend(lines.map(|line| Example {
        help: command.join(" "),
        line: line.trim().to_owned(),
    }));
    let commands = help
        .split_once("\nCommands:\n")
        .map_or("", |(_, rest)| rest);
    let names: Vec<String> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // A line of a long description is indented further than a name.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert!(
        !names.is_empty() || examples.len() > before,
        "the help of {command:?} has no example"
    );
    for name in &names {
        Box::pin(gather(&[command, &[name.as_str()]].concat(), examples)).await;
    }
}

async fn help(command: &[&str]) -> String {
    let mut asked = Command::new(program(command[0]));
    let output = asked.args(&command[1..]).arg("--help").output();
    let output = within(output).await.unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server, its database and a folder, as an example finds them.
struct World {
    server: TestServer,
    folder: tempfile::TempDir,
    /// The id of the verification that an example names, where it does.
    verification: Option<String>,
}

impl World {
    async fn new(set: &ReplicaSet, example: &Example) -> World {
        let watches = example.has("watch status")
            || example.has("watch resume")
            || example.has("watch pause");
        let server = TestServer::start_on(set, |config| config.watch = watches).await;
        if watches {
            server.watcher_is(WatcherState::Watching).await;
        }
        let is_first_seed = example.has(" seed") && !example.has("--append");
        if !is_first_seed {
            let server = match example.has(" verify") || example.has(" status") {
                true => server.with_archived_order().await,
                false => server.with_orders().await,
            };
            server.with_batch(example).await;
            let verification = server.with_verification(example).await;
            return World {
                verification,
                ..World::in_folder(server)
            };
        }
        World::in_folder(server)
    }

    fn in_folder(server: TestServer) -> World {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("numbers.txt", "CMD-2025-000001\nCMD-2025-000002\n");
        write("production.env", "ARCHD_ARCHIVED_BY=production\n");
        write(
            ".config/archctl/config.toml",
            "[profiles.production]\ntimeout = \"1m\"\n",
        );
        // The folders that these shells look into.
        for name in [
            ".local/share/bash-completion/completions/other",
            ".zfunc/_other",
            ".config/fish/completions/other.fish",
        ] {
            write(name, "");
        }
        World {
            server,
            folder,
            verification: None,
        }
    }

    async fn follows(&self, example: &Example) {
        // The only name of a machine in any help.
        let address = self.server.address.trim_start_matches("http://");
        let line = example.line.replace("archive.internal:50051", address);
        let line = match &self.verification {
            Some(id) => line.replace("019a2b3c", id),
            None => line,
        };
        // It asks a question, or draws, which takes a terminal.
        let draws = example.has("archctl top");
        let asks = draws || (example.has("quarantine drop") && !example.has("--yes"));
        let mut shell = match asks {
            true => self.shell("script"),
            false => self.shell("sh"),
        };
        if asks {
            // A new terminal has no size.
            let line = format!("stty cols 80 rows 24; {line}");
            shell.args(["-qec", &line, "/dev/null"]);
        } else {
            shell.args(["-c", &line]);
        }
        let mut running = shell.spawn().unwrap();
        let _group = Group(running.id().expect("it runs"));
        let mut stdin = running.stdin.take().unwrap();
        let answered = stdin.write_all(if draws { b"q\n" } else { b"y\n" }).await;
        // One that asks nothing may have ended already.
        assert!(answered.is_ok() || !asks, "{example:?}");
        let output = if example.is_endless() {
            drop(stdin);
            self.until_it_works(running, example).await
        } else {
            within(running.wait_with_output()).await.unwrap()
        };
        let said = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "{example:?}: {:?} {said:?}",
            output.status
        );
        assert!(!said.1.contains("error:"), "{example:?}: {said:?}");
    }

    fn shell(&self, name: &str) -> Command {
        let mut shell = Command::new(name);
        let paths = env::var("PATH").unwrap_or_default();
        let programs = program("archd");
        let mongodb = self.server.config.mongodb_uri.expose();
        shell
            .env(
                "PATH",
                format!("{}:{paths}", programs.parent().unwrap().display()),
            )
            .env("HOME", self.folder.path())
            .env("TERM", "xterm")
            .env_remove("XDG_CONFIG_HOME")
            .env("PROFILE", self.folder.path().join("profile.ps1"))
            .env("ARCHCTL_ENDPOINT", &self.server.address)
            .env("MONGODB_URI", mongodb)
            .env("MONGODB_DATABASE", self.server.database.name())
            .env("ARCHD_LISTEN", "127.0.0.1:0")
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", "0")
            .env("ARCHD_LOG_FORMAT", "json")
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        shell
    }

    /// Waits until an endless example has done what it is for, ends it as a person would, and waits
    /// for that.
    async fn until_it_works(&self, mut running: Child, example: &Example) -> Output {
        let mut stdout = BufReader::new(running.stdout.take().unwrap()).lines();
        let mut stderr = BufReader::new(running.stderr.take().unwrap()).lines();
        let words = match example.line.as_str() {
            line if line.starts_with("archd watch") => "this instance watches now",
            line if line.starts_with("archd functions") => {
                "the host of Azure Functions is answered"
            }
            line if line.starts_with("archd") => "the database is ready",
            _ => "live",
        };
        let happens = async {
            for number in 0.. {
                let numero = format!("CMD-{number}");
                // One to be archived, and one that can't be.
                let both = [order(numero.as_str()), order(bson::Bson::Null)];
                self.server.insert("Commande", both).await;
                self.server.run_batch().await;
            }
        };
        if example.has(" tail") || example.has("archctl stats") {
            tokio::select! {
                line = within(stdout.next_line()) => {
                    if line.unwrap().is_none() {
                        let said = stderr.next_line().await;
                        panic!("{example:?} ended: {said:?}");
                    }
                }
                () = happens => {}
            }
        } else {
            let mut says = async || {
                stderr
                    .next_line()
                    .await
                    .unwrap()
                    .expect(words)
                    .contains(words)
            };
            while !within(says()).await {}
        }
        interrupt(&running);
        // Whoever prints on must find somebody who reads.
        let rest = async {
            let mut said = String::new();
            while let Some(line) = stderr.next_line().await.unwrap() {
                said = format!("{said}{line}\n");
            }
            said
        };
        let all = async { while stdout.next_line().await.unwrap().is_some() {} };
        let (status, stderr, ()) = within(async { tokio::join!(running.wait(), rest, all) }).await;
        Output {
            status: status.unwrap(),
            stdout: Vec::new(),
            stderr: stderr.into_bytes(),
        }
    }
}

/// A shell and all that it runs, which end with the test however that ends.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let kill = [
            "-c",
            r#"kill -s KILL -- "-$1" 2> /dev/null"#,
            "group",
            &self.0.to_string(),
        ];
        // Most often there is nobody left.
        let _ = std::process::Command::new("sh").args(kill).status();
    }
}

/// Presses Ctrl-C on the program, not on the shell and what else it runs, so that their codes are
/// the program's.
fn interrupt(running: &Child) {
    let shell = running.id().expect("it runs");
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    // A shell may become the only program that it was told to run.
    let program = children
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .chain([shell])
        .find(|id: &u32| {
            let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap();
            matches!(name.trim(), "archctl" | "archd")
        });
    let program = program.expect("the program runs").to_string();
    let kill = ["-c", r#"kill -s INT "$1""#, "interrupt", &program];
    let status = std::process::Command::new("sh").args(kill).status();
    assert!(status.unwrap().success());
}

impl TestServer {
    /// A delivered order, which is archived.
    async fn with_archived_order(self) -> TestServer {
        let server = self.with_references().await;
        server.insert("Commande", orders(1)).await;
        server.archive_order("CMD-2025-000001").await.unwrap();
        server
    }

    /// Delivered orders, one of them archived, and two that are in quarantine and have been mended
    /// since. Their entries have ids that examples can name, so a verification takes the orders for
    /// missing.
    async fn with_orders(self) -> TestServer {
        let server = self.with_archived_order().await;
        let mended = ["CMD-2025-000002", "CMD-2025-000003"].map(order);
        let seen = DateTime::now();
        let entries = mended.iter().zip(["q65f0c3", "q65f0c4"]).map(|(order, begins)| {
            doc! {
                "_id": format!("{begins}0123456789abcdef01"), "format": 1, "order_id": order.get_object_id("_id").unwrap(),
                "reason": "no_usable_number", "detail": "it had none", "attempts": 1, "bytes": 0,
                "first_seen": seen, "last_seen": seen,
            }
        });
        let entries: Vec<Document> = entries.collect();
        let bytes = entries.iter().zip(&mended).map(|(entry, order)| {
            let bytes = RawDocumentBuf::try_from(order).unwrap().into_bytes();
            doc! {
                "_id": format!("{}/0000", entry.get_str("_id").unwrap()), "format": 1,
                "bytes": bson::Binary { subtype: BinarySubtype::Generic, bytes },
            }
        });
        let bytes: Vec<Document> = bytes.collect();
        server.insert("archd_quarantine_bytes", bytes).await;
        server.insert("archd_quarantine", entries).await;
        server.insert("Commande", mended).await;
        server
    }

    /// The verification that examples name: one that waits for its differences to settle for those
    /// that cancel it, else one that has ended. Where there has to be a difference, somebody has
    /// edited the archived order.
    async fn with_verification(&self, example: &Example) -> Option<String> {
        let command = example.help.strip_prefix("archctl verify ")?;
        if ["cancel", "acknowledge", "repair"].contains(&command) {
            let edit = doc! { "$set": { "coût_commande": 999 } };
            let archive = self.collection("Historique");
            let edited = archive.update_one(doc! {}, edit);
            assert_eq!(edited.await.unwrap().modified_count, 1);
        }
        let settle = prost_types::Duration {
            seconds: if command == "cancel" { 3_600 } else { 0 },
            nanos: 0,
        };
        let options = pb::VerificationOptions {
            settle: Some(settle),
            ..pb::VerificationOptions::default()
        };
        let request = pb::StartVerificationRequest {
            options: Some(options),
            ..pb::StartVerificationRequest::default()
        };
        let mut client = VerificationServiceClient::new(self.channel.clone());
        let started = client.start_verification(request).await.unwrap();
        let id = started.into_inner().verification.unwrap().id;
        if command != "cancel" {
            let request = pb::WatchVerificationRequest { id: id.clone() };
            let states = client.watch_verification(request).await.unwrap();
            last(states.into_inner()).await;
        }
        Some(id)
    }

    /// The batch that examples name: one that runs elsewhere for those that steer it, else one that
    /// has ended.
    async fn with_batch(&self, example: &Example) {
        let now = DateTime::now();
        let mut batch = doc! {
            "_id": "019a2b3c-0000-7000-8000-000000000001", "format": 1, "instance": "elsewhere", "created": now, "started": now,
            "updated": now, "epoch": 1_i64, "lives": 1_i64,
        };
        if example.has("batch tune") || example.has("batch cancel") {
            let until = DateTime::from_millis(now.timestamp_millis() + LONGER_THAN_ANY_TEST);
            batch.extend(doc! { "state": "running", "active": true, "alive_until": until, "lease": LONGER_THAN_ANY_TEST });
        } else {
            batch.extend(doc! { "state": "succeeded", "stop_reason": "exhausted", "ended": now });
        }
        self.insert("archd_batches", [batch]).await;
        eventually(async || self.all("archd_batches").await.pop()).await;
    }
}

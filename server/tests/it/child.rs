//! `archd serve` as a process of its own under a limit of open files, and what the system says of
//! it.

use std::{fs, net::SocketAddr, time::Duration};

use devkit::ReplicaSet;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr},
};
use tonic::transport::Channel;

use crate::{
    process::{archd, settings_on, signal},
    support::within,
};

/// A running `archd`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where it answers HTTP, if its settings say so.
    pub(crate) http: Option<SocketAddr>,
    program: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// The lines that were read.
    said: Vec<serde_json::Value>,
}

impl Server {
    /// Starts one that may open so many files, and waits until its database is ready.
    pub(crate) async fn start(files: u32, settings: &[(&str, &str)]) -> Server {
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        let archd = archd(
            &[
                "serve",
                "--listen=127.0.0.1:0",
                "--log-format=json",
                "--watch=false",
                "--schedule=off",
            ],
            settings,
        );
        let mut command = tokio::process::Command::new("/bin/sh");
        command
            .args(["-c", &script])
            .arg(archd.as_std().get_program())
            .args(archd.as_std().get_args())
            .env_clear()
            .env("ARCHD_HTTP", "off")
            .envs(settings.iter().copied())
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut program = command.spawn().unwrap();
        let log = BufReader::new(program.stderr.take().unwrap()).lines();
        let mut server = Server {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            http: None,
            program,
            log,
            said: Vec::new(),
        };
        let line = server.says("listens").await;
        server.address = line["address"].as_str().unwrap().parse().unwrap();
        if settings.iter().any(|(name, _)| *name == "ARCHD_HTTP") {
            let line = server.says("HTTP is answered").await;
            server.http = Some(line["address"].as_str().unwrap().parse().unwrap());
        }
        server.says("the database is ready").await;
        server
    }

    /// Starts one on a fresh database of the shared mongod.
    pub(crate) async fn fresh(files: u32, settings: &[(&str, &str)]) -> Server {
        let set = ReplicaSet::shared().await.unwrap();
        let database = set.fresh_database().await.unwrap();
        let settings = settings_on(database.name(), settings).await;
        Server::start(files, &settings).await
    }

    /// Waits for a line of the log with these words.
    pub(crate) async fn says(&mut self, words: &str) -> serde_json::Value {
        within(async {
            loop {
                let line = self.log.next_line().await.unwrap().expect(words);
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                self.said.push(line.clone());
                if message(&line).contains(words) {
                    return line;
                }
            }
        })
        .await
    }

    /// The message with these words among those that were read on the way to what was waited for.
    pub(crate) fn told(&self, words: &str) -> &str {
        let mut said = self.said.iter().map(message);
        let found = said.find(|message| message.contains(words));
        found.unwrap_or_else(|| panic!("{words}: {:#?}", self.said))
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        within(endpoint.connect()).await.unwrap()
    }

    /// Tells it to read its files again.
    pub(crate) fn hang_up(&self) {
        signal(&self.program, "HUP");
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        signal(&self.program, "TERM");
        assert!(within(self.program.wait()).await.unwrap().success());
    }

    /// The whole log of one that has ended.
    pub(crate) async fn log(&mut self) -> String {
        let read = self.said.iter().map(ToString::to_string);
        let read = read.collect::<Vec<_>>().join("\n");
        read + "\n" + &self.rest_of_log().await
    }

    /// What is left of the log of one that has ended.
    pub(crate) async fn rest_of_log(&mut self) -> String {
        let mut rest = Vec::new();
        while let Ok(Some(line)) = within(self.log.next_line()).await {
            rest.push(line);
        }
        rest.join("\n")
    }

    /// Ends it at once, as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.program.kill().await.unwrap();
    }

    /// The processor time that it has used.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        // The name in brackets may hold blanks; the times are the 14th and 15th field, in
        // hundredths of a second.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// The most memory that it has held, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib: u64 = line
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        kib / 1024
    }

    fn read(&self, what: &str) -> String {
        let id = self.program.id().expect("it runs");
        fs::read_to_string(format!("/proc/{id}/{what}")).unwrap()
    }
}

fn message(line: &serde_json::Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

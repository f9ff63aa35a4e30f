//! `archd` as a process of its own, whose log is read line by line.

use std::process::Stdio;

use mongodb::Database;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tonic::transport::Channel;

use crate::{
    process::archd,
    support::{PATIENCE, within},
};

/// What stands in the documents of people, and never in a log.
pub(crate) const PEOPLE: [&str; 5] = ["Zoé", "Martin", "zoe@example.fr", "Ali", "rue des Lilas"];

/// A running `archd`, and the lines of its log that were read.
pub(crate) struct Program {
    pub(crate) child: Child,
    log: Lines<BufReader<ChildStderr>>,
    lines: Vec<Value>,
}

impl Program {
    pub(crate) fn start(uri: &str, database: &Database, arguments: &[&str]) -> Program {
        let settings = [
            ("MONGODB_URI", uri),
            ("MONGODB_DATABASE", database.name()),
            ("ARCHD_LOG_FORMAT", "json"),
            ("ARCHD_LISTEN", "127.0.0.1:0"),
        ];
        Program::of(&mut archd(arguments, &settings))
    }

    /// What this command starts, which logs as JSON.
    pub(crate) fn of(command: &mut Command) -> Program {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Program {
            child,
            log,
            lines: Vec::new(),
        }
    }

    async fn next(&mut self) -> Option<Value> {
        let line = within(self.log.next_line()).await.unwrap()?;
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        self.lines.push(line.clone());
        Some(line)
    }

    /// Waits for a line with these words.
    pub(crate) async fn says(&mut self, words: &str) -> Value {
        let saying = async {
            while let Some(line) = self.next().await {
                if message(&line).contains(words) {
                    return Some(line);
                }
            }
            None
        };
        let line = timeout(PATIENCE, saying).await.ok().flatten();
        line.unwrap_or_else(|| panic!("no line says {words}: {:#?}", self.lines))
    }

    /// Where it serves, once its database is ready.
    pub(crate) async fn serves(&mut self) -> Channel {
        let line = self.says("listens").await;
        let address = format!("http://{}", text(&line, "address"));
        self.says("the database is ready").await;
        let endpoint = Channel::from_shared(address).unwrap();
        within(endpoint.connect()).await.unwrap()
    }

    /// Waits for its end: the code, and every line.
    pub(crate) async fn end(mut self) -> (Option<i32>, Vec<Value>) {
        while self.next().await.is_some() {}
        let code = within(self.child.wait()).await.unwrap().code();
        let all = format!("{:?}", self.lines);
        assert!(!all.contains("mongodb://"), "{all}");
        for person in PEOPLE {
            assert!(!all.contains(person), "{person}: {all}");
        }
        (code, self.lines)
    }
}

pub(crate) fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

pub(crate) fn message(line: &Value) -> &str {
    text(line, "message")
}

/// The lines with these words.
pub(crate) fn saying<'a>(lines: &'a [Value], words: &str) -> Vec<&'a Value> {
    let lines = lines.iter();
    lines.filter(|line| message(line).contains(words)).collect()
}

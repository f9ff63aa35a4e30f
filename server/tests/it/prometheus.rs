//! Debian's Prometheus and its tools, unpacked without being installed.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{
    install::{debian_packages, has_debian_packages, installed},
    support::{http, within},
};

/// Whether it can be had here; where it can't, a test of it is left out.
pub(crate) fn can_be_had() -> bool {
    has_debian_packages("Prometheus")
}

/// The folder with `prometheus` and `promtool`.
pub(crate) fn programs() -> PathBuf {
    let folder = installed("prometheus", &["prometheus of Debian"], |folder| {
        debian_packages(folder, &["prometheus"])
    });
    folder.unwrap().join("usr/bin")
}

/// A real Prometheus that scrapes a server, and keeps the rules.
pub(crate) struct Prometheus {
    address: SocketAddr,
    _program: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// One that scrapes and judges by the rules each second.
    pub(crate) async fn of(target: SocketAddr, rules: &Path) -> Prometheus {
        let programs = tokio::task::spawn_blocking(programs).await;
        let folder = tempfile::tempdir().unwrap();
        let (config, data) = (folder.path().join("config.yml"), folder.path().join("data"));
        let settings = serde_json::json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "archd",
                "static_configs": [{ "targets": [target.to_string()] }],
            }],
        });
        // JSON is YAML too.
        fs::write(&config, settings.to_string()).unwrap();
        let mut program = tokio::process::Command::new(programs.unwrap().join("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
        let listens = async {
            loop {
                let line = log.next_line().await.unwrap().expect("Prometheus listens");
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                if line["msg"] == "Listening on" {
                    let address = line["address"].as_str().unwrap();
                    return address.parse::<SocketAddr>().unwrap();
                }
            }
        };
        let address = within(listens).await;
        // Whatever else it says is read, so that it does not wait for that.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Prometheus {
            address,
            _program: program,
            _folder: folder,
        }
    }

    /// Whether there is an answer that is a number.
    pub(crate) async fn answers(&self, query: &str) -> bool {
        let encoded = query.bytes().fold(String::new(), |mut encoded, byte| {
            write!(encoded, "%{byte:02X}").unwrap();
            encoded
        });
        // Of this version, so that the answer comes in one piece.
        let request = format!("GET /api/v1/query?query={encoded} HTTP/1.0\r\n\r\n");
        let answer = http::say(self.address, request.as_bytes()).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let series = answer["data"]["result"].as_array().unwrap();
        let values = series.iter().map(|series| series["value"][1].as_str());
        let mut values = values.map(|value| value.unwrap().parse::<f64>().unwrap());
        values.any(f64::is_finite)
    }
}

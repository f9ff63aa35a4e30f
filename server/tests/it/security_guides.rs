//! What docs/security.md and docs/tls.md have people type is typed here, in their order, until a
//! client has been served.

use std::{fs, path::Path, process::Stdio};

use tokio::process::Command;

use crate::{
    process::{archd, settings_on},
    program::{Program, text},
    support::{TestServer, program, within},
};

/// The lines of the `sh` blocks of a document.
fn shell(document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = fs::read_to_string(path.join(document)).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    let lines = blocks.flat_map(|(block, _)| block.lines());
    // There need be no grpcurl where the tests run; what it asks, others ask in `rights`.
    lines
        .filter(|line| !line.starts_with("grpcurl "))
        .map(str::to_owned)
        .collect()
}

/// Runs lines in a folder, and returns the variables that they leave behind.
async fn typed(lines: &[String], folder: &Path, endpoint: &str) -> Vec<(String, String)> {
    let script = lines.join("\n") + "\nenv -0 >variables";
    let programs = program("archctl");
    let programs = programs.parent().unwrap().display();
    let ended = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{programs}:{}", env!("PATH")))
        .env("XDG_CONFIG_HOME", folder)
        .env("ARCHCTL_ENDPOINT", endpoint)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = within(ended).await.unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{script}:\n{told}");
    let variables = fs::read_to_string(folder.join("variables")).unwrap();
    let variables = variables.split('\0').filter_map(|it| it.split_once('='));
    variables
        .filter(|(name, _)| name.starts_with("ARCHD_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Does what a document says: what is made, the server, what it is asked.
async fn followed(document: &str) {
    let folder = tempfile::tempdir().unwrap();
    let lines = shell(document);
    let at = lines.iter().position(|line| line.starts_with("archd "));
    let (before, after) = lines.split_at(at.expect("it starts a server"));
    let variables = typed(before, folder.path(), "").await;

    let database = TestServer::start().await;
    let settings = settings_on(database.database.name(), &[]).await;
    // Where it is reached by others, it is reached by this machine.
    let arguments = after[0].replace("0.0.0.0:50051", "127.0.0.1:0");
    let arguments: Vec<&str> = arguments.split_whitespace().skip(1).collect();
    let mut server = Program::of(
        archd(&arguments, &settings)
            .envs(variables)
            .env("ARCHD_LOG_FORMAT", "json")
            .env("ARCHD_LISTEN", "127.0.0.1:0")
            .env("ARCHD_HTTP", "127.0.0.1:0")
            .current_dir(folder.path()),
    );
    let grpc = text(&server.says("listens").await, "address").to_owned();
    let http = text(&server.says("HTTP is answered").await, "address").to_owned();
    server.says("the database is ready").await;

    let (_, port) = grpc.rsplit_once(':').unwrap();
    let here = |line: &String| {
        line.replace("https://localhost", &format!("https://localhost:{port}"))
            .replace("127.0.0.1:9464", &http)
    };
    let asked: Vec<String> = after[1..].iter().map(here).collect();
    assert!(
        asked.iter().any(|line| line.starts_with("archctl ")),
        "{asked:?}"
    );
    typed(&asked, folder.path(), &grpc).await;
}

#[tokio::test]
async fn from_nothing_to_tokens() {
    followed("security.md").await;
}

#[tokio::test]
async fn from_nothing_to_mutual_tls() {
    followed("tls.md").await;
}

//! Clients in other languages, which know nothing of this code, find the whole contract kept:
//! `tests/clients/check.py` plays the story.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Result;
use devkit::ReplicaSet;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    install::{installed, npm_install, pip_install, python},
    support::{TestServer, order},
};

/// The folder of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The folder of the clients.
pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// What the clients are built of.
const REQUIREMENTS: &str = include_str!("../clients/requirements.txt");
const PACKAGE: &str = include_str!("../clients/package.json");
/// The one thing to do when a client can't be installed.
const ADVICE: &str = "the independent clients need Python and npm: on Debian, `apt-get install python3 python3-venv python3-pip npm`; \
                      on macOS, `brew install python node`";
/// Longest that the story may take, on a machine that is busy compiling.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn independent_clients_find_the_contract_kept() {
    let clients = tokio::task::spawn_blocking(clients).await.unwrap().unwrap();
    let server = TestServer::start().await;
    let mongodb = ReplicaSet::shared().await.unwrap().uri();

    let mut story = tokio::process::Command::new(clients.join("venv/bin/python"));
    // Python's caches have no place among the sources.
    story.arg("-B").arg(Path::new(FOLDER).join("check.py"));
    story.args(["--server", server.address.trim_start_matches("http://")]);
    story.args(["--mongodb", &mongodb, "--database", server.database.name()]);
    story
        .arg("--buf")
        .arg(clients.join("node_modules/.bin/buf"))
        .kill_on_drop(true);
    let output = timeout(PATIENCE, story.output())
        .await
        .expect("the clients take too long")
        .unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    let verdict = said.lines().last().unwrap_or_default();
    assert!(
        output.status.success() && verdict.ends_with(" passed, 0 failed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_in_the_documents_archive_an_order_and_say_why_another_is_refused() {
    let clients = tokio::task::spawn_blocking(clients).await.unwrap().unwrap();
    let server = TestServer::start().await;
    let python = clients.join("venv/bin/python");
    for (language, program, flags) in [
        ("python", python.as_path(), &["-B", "-"][..]),
        ("js", Path::new("node"), &["-"]),
    ] {
        let numero = format!("CMD-{language}");
        server.insert("Commande", [order(numero.as_str())]).await;
        let said = run_program(
            program,
            flags,
            &program_in_the_documents(language, &server.address),
            &[&numero, "CMD-NOBODY"],
            &clients,
        )
        .await;
        let archived = format!("{numero} ARCHIVE_OUTCOME_ARCHIVED");
        assert!(said.lines().any(|line| line == archived), "{said}");
        let refused =
            "CMD-NOBODY NOT_FOUND NOT_FOUND neither the orders nor the archive know CMD-NOBODY";
        assert!(said.lines().any(|line| line == refused), "{said}");
    }
    server.shut_down().await;
}

/// The program in a language in `docs/calling.md`, told to call this server.
fn program_in_the_documents(language: &str, address: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/calling.md")).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).unwrap();
    let (program, _) = rest.split_once("```").unwrap();
    assert!(program.lines().count() <= 21, "{program}");
    let here = "127.0.0.1:50051";
    assert!(program.contains(here), "{program}");
    program.replace(here, address.trim_start_matches("http://"))
}

/// Runs a program that is written to its standard input, in the folder of the repository.
async fn run_program(
    program: &Path,
    flags: &[&str],
    text: &str,
    arguments: &[&str],
    clients: &Path,
) -> String {
    let mut command = tokio::process::Command::new(program);
    command
        .args(flags)
        .args(arguments)
        .current_dir(ROOT)
        .env("NODE_PATH", clients.join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut running = command.spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let output = timeout(PATIENCE, running.wait_with_output())
        .await
        .expect("the program takes too long")
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said
}

/// The folder that holds what they are built of.
pub(crate) fn clients() -> Result<PathBuf> {
    // A virtual environment belongs to the Python that made it.
    let python = python(ADVICE)?;
    installed("clients", &[REQUIREMENTS, PACKAGE, &python], |folder| {
        pip_install(folder, REQUIREMENTS, ADVICE)?;
        npm_install(folder, PACKAGE, ADVICE)
    })
}

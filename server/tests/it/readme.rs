//! The README and the documents beside it are true: their tables are generated or compared, and
//! their commands are run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use archd::config::docs::markdown_table;
use order_archiver_api::{FILE_DESCRIPTOR_SET, v1 as pb};
use prost::Message;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    process::{run, settings_on},
    support::{TestServer, last, order, program, within},
};

const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->";

const DOCUMENTS: [&str; 18] = [
    "README.md",
    "docs/calling.md",
    "docs/production.md",
    "docs/operations.md",
    "docs/windows.md",
    "docs/scale.md",
    "docs/batches.md",
    "docs/deploy.md",
    "deploy/serverless/README.md",
    "docs/settings.md",
    "docs/security.md",
    "docs/tls.md",
    "docs/limits.md",
    "docs/logs.md",
    "docs/metrics.md",
    "docs/runbook.md",
    "docs/troubleshooting.md",
    "docs/decisions.md",
];

fn path(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(document)
}

fn read(document: &str) -> String {
    fs::read_to_string(path(document)).unwrap()
}

/// All documents whose commands can be run in a world in which nothing is amiss, one after the
/// other: those of docs/troubleshooting.md and docs/runbook.md ask for one in which something is,
/// those of docs/security.md and docs/tls.md for files that they make (`security_guides`), and those
/// of docs/deploy.md for machines (`.ci/deploy`).
fn documents() -> String {
    let others = [
        "docs/troubleshooting.md",
        "docs/runbook.md",
        "docs/security.md",
        "docs/tls.md",
        "docs/deploy.md",
    ];
    let runnable = DOCUMENTS.into_iter().filter(|name| !others.contains(name));
    runnable.map(read).collect()
}

#[test]
fn the_readme_is_short_and_no_line_of_it_long() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 110, "the rest belongs in docs/");
    for line in readme.lines().filter(|line| !line.starts_with("CMD-")) {
        assert!(line.chars().count() <= 110, "{line}");
    }
}

#[test]
fn what_the_documents_link_to_is_there() {
    for document in DOCUMENTS {
        let text = read(document);
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            let (file, _) = link.split_once('#').unwrap_or((link, ""));
            let there = path(document).with_file_name("").join(file).exists();
            assert!(there, "{document} links to {link}");
        }
    }
}

#[test]
fn the_table_of_settings_is_the_servers_own() {
    let text = read("docs/settings.md");
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (table, tail) = rest.split_once(END).unwrap();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(
            path("docs/settings.md"),
            format!("{head}{BEGIN}{}{END}{tail}", markdown_table()),
        )
        .unwrap();
    } else {
        assert_eq!(
            table,
            markdown_table(),
            "UPDATE_DOCS=1 cargo test --workspace -- readme writes the table anew"
        );
    }
}

#[test]
fn the_table_of_rpcs_is_the_contracts() {
    let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let text = read("docs/calling.md");
    let services = descriptors
        .file
        .iter()
        .filter(|file| file.package() == "orderarchiver.v1")
        .flat_map(|file| &file.service);
    for service in services {
        let rpcs: Vec<String> = service
            .method
            .iter()
            .map(|method| format!("`{}`", method.name()))
            .collect();
        let row = format!("| `{}` | {} |", service.name(), rpcs.join(", "));
        assert!(text.contains(&row), "the table of RPCs misses: {row}");
    }
}

#[tokio::test]
async fn the_archctl_commands_work() {
    let server = TestServer::start_with(|config| config.watch = true).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    let request = pb::SeedDataRequest {
        orders: Some(200),
        ..pb::SeedDataRequest::default()
    };
    last(
        server
            .seeds()
            .seed_data(request)
            .await
            .unwrap()
            .into_inner(),
    )
    .await;
    server.insert("Commande", [order(bson::Bson::Null)]).await;
    let delivered = server
        .collection("Commande")
        .find_one(bson::doc! { "status": "livrée" })
        .await
        .unwrap()
        .unwrap();
    let numero = delivered.get_str("numero_commande").unwrap();

    let commands: Vec<String> = shell_lines(&documents())
        .into_iter()
        .filter(|line| line.starts_with("archctl "))
        .collect();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        let command = command.replace("CMD-2025-000001", numero);
        let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
        // It draws, and takes a key.
        let draws = arguments[0] == "top";
        let mut archctl = match draws {
            true => {
                let line = format!(
                    "stty cols 80 rows 24; {} {}",
                    program("archctl").display(),
                    arguments.join(" ")
                );
                let mut script = Command::new("script");
                script
                    .args(["-qec", &line, "/dev/null"])
                    .env("TERM", "xterm");
                script
            }
            false => {
                let mut archctl = Command::new(program("archctl"));
                archctl.args(&arguments);
                archctl
            }
        };
        archctl
            .env("ARCHCTL_ENDPOINT", &server.address)
            .env(
                "XDG_CONFIG_HOME",
                concat!(env!("CARGO_TARGET_TMPDIR"), "/no-config"),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = archctl.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if draws {
            stdin.write_all(b"q\n").await.unwrap();
        }
        drop(stdin);
        let ending = if arguments[0] == "tail" {
            // The tail prints one event and ends, so one has to happen once it listens.
            let happens = async {
                for number in 0.. {
                    let numero = format!("CMD-TAIL-{number}");
                    server.insert("Commande", [order(numero.as_str())]).await;
                    server.archive_order(&numero).await.unwrap();
                }
            };
            tokio::select! { () = happens => unreachable!(), ending = within(child.wait_with_output()) => ending }
        } else {
            within(child.wait_with_output()).await
        };
        let ending = ending.unwrap();
        // An order is in quarantine here, as soon as somebody has met it.
        let is_told = arguments[0] == "status" && ending.status.code() == Some(11);
        assert!(
            ending.status.success() || is_told,
            "{command}: {}",
            String::from_utf8_lossy(&ending.stderr)
        );
        assert!(!ending.stdout.is_empty(), "{command} printed nothing");
    }
}

#[tokio::test]
async fn the_archd_check_commands_work() {
    let server = TestServer::start().await;
    let settings = settings_on(server.database.name(), &[]).await;
    let lines = shell_lines(&documents());
    let commands: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("archd check"))
        .collect();
    assert!(commands.len() >= 2, "{commands:?}");
    for command in commands {
        // What it prints for the shell, the shell is given in `least_privilege`.
        let words = command.split_whitespace().take_while(|word| *word != "|");
        let arguments: Vec<&str> = words.skip(1).collect();
        let (code, stdout, stderr) = run(&arguments, &settings).await;
        assert_eq!(code, Some(0), "{command}: {stdout}{stderr}");
        let told = match command.contains("--create-role") {
            true => "createRole",
            false => "connection",
        };
        assert!(stdout.contains(told), "{command}: {stdout}");
    }
}

/// The commands in the `sh` blocks, without their comments.
fn shell_lines(text: &str) -> Vec<String> {
    let blocks = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split_once("```"))
        .map(|(block, _)| block);
    blocks
        .flat_map(str::lines)
        .map(|line| {
            line.split(" #")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .filter(|line| !line.is_empty())
        .collect()
}

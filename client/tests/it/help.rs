//! The help of every command is what `client/tests/help/` says; `UPDATE_DOCS=1 cargo test
//! --workspace` rewrites it.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use crate::program::{archctl, run};

#[test]
fn the_help_of_every_command_is_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let helps = all();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        for (name, help) in &helps {
            fs::write(folder.join(name), help).unwrap();
        }
    }
    let written: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read_to_string(entry.path()).unwrap(),
            )
        })
        .collect();
    for (name, help) in &helps {
        let written = written.get(name).map_or("", String::as_str);
        assert_eq!(
            written, help,
            "tests/help/{name} is out of date: UPDATE_DOCS=1 rewrites it"
        );
    }
    assert!(
        written.keys().eq(helps.keys()),
        "tests/help/ has a file of no command: {:?}",
        written.keys()
    );
}

#[test]
fn every_command_shows_an_example_of_itself() {
    let helps = all();
    for (name, help) in helps
        .iter()
        .filter(|(_, help)| !help.contains("\nCommands:\n"))
    {
        let command = name.trim_end_matches(".txt").replace('-', " ");
        let examples = help
            .split_once("Examples:\n")
            .unwrap_or_else(|| panic!("{command} has no example"))
            .1;
        assert!(
            examples.contains(&command),
            "{command} has no example of itself"
        );
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = run("localhost", &["--version"]);
    assert_eq!(
        (version.code, version.stdout),
        (0, format!("archctl {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run("localhost", &["completions", shell]);
        assert_eq!(script.code, 0);
        for command in ["quarantine", "acknowledgements"] {
            assert!(script.stdout.contains(command), "{shell}");
        }
    }
}

/// The help of every command, by the name of its file.
pub(crate) fn all() -> BTreeMap<String, String> {
    let mut helps = BTreeMap::new();
    gather(&[], &mut helps);
    helps
}

/// Walks through the commands as a reader of the help would.
fn gather(command: &[&str], helps: &mut BTreeMap<String, String>) {
    let mut args = command.to_vec();
    args.push("--help");
    let output = archctl(&args).output().unwrap();
    assert!(output.status.success(), "{args:?}");
    let help: String = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    let below = help
        .split_once("\nCommands:\n")
        .map_or("", |(_, rest)| rest);
    for line in below.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        // A line of a long description is indented further than a name.
        if line.starts_with("   ") || name == "help" {
            continue;
        }
        let mut deeper = command.to_vec();
        deeper.push(name);
        gather(&deeper, helps);
    }
    let name = [&["archctl"], command].concat().join("-");
    helps.insert(format!("{name}.txt"), help);
}

//! What `deploy/` gives to machines is what this archd takes: settings, rules and zones that there are.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use archd::config::SETTINGS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of a folder, and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// The words of capital letters, digits and `_` that begin with this.
fn words<'a>(text: &'a str, beginning: &str) -> Vec<&'a str> {
    let is_of_name = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_';
    let words = text.split(|it: char| !is_of_name(it));
    words.filter(|word| word.starts_with(beginning)).collect()
}

#[test]
fn every_setting_that_is_given_there_is_one_of_archd_or_archctl() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for setting in SETTINGS {
        known.insert(setting.name.to_owned());
        known.extend(setting.file_name());
    }
    let settings = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    known.extend(words(&settings, "ARCHCTL_").into_iter().map(str::to_owned));
    let mut given = 0;
    for file in files(&root().join("deploy")) {
        // What people make there is theirs.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        for beginning in ["ARCHD_", "ARCHCTL_", "MONGODB_"] {
            for name in words(&text, beginning) {
                // A variable of Compose's own.
                if name == "MONGODB_IMAGE" {
                    continue;
                }
                assert!(known.contains(name), "{}: {name}", file.display());
                given += 1;
            }
        }
    }
    assert!(given > 30, "{given}");
}

#[test]
fn the_operator_is_given_the_alerts_that_there_are() {
    const RULES: &str = "deploy/kubernetes/components/monitoring/prometheusrule.yaml";
    const BEGIN: &str = "spec:\n";
    let alerts = fs::read_to_string(root().join("ops/prometheus/alerts.yml")).unwrap();
    let written = fs::read_to_string(root().join(RULES)).unwrap();
    let (head, rules) = written.split_once(BEGIN).unwrap();
    let indented = alerts.lines().map(|line| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("  {line}\n"),
    });
    let indented: String = indented.collect();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(RULES), format!("{head}{BEGIN}{indented}")).unwrap();
    } else {
        assert_eq!(
            rules, indented,
            "UPDATE_DOCS=1 cargo test --workspace -- deployed makes {RULES} anew"
        );
    }
}

#[test]
fn each_zone_of_a_timer_is_one_that_archd_knows_too() {
    let mut zones = Vec::new();
    for (file, before) in [
        ("deploy/systemd/archd-batch.timer", "OnCalendar="),
        ("deploy/kubernetes/components/batch/batch.yaml", "timeZone:"),
        (
            "deploy/kubernetes/components/batch/verify.yaml",
            "timeZone:",
        ),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let line = text.lines().find(|line| line.trim().starts_with(before));
        let zone = line.unwrap().split_whitespace().last().unwrap();
        zones.push(zone.to_owned());
        assert!(zone.parse::<chrono_tz::Tz>().is_ok(), "{file}: {zone}");
    }
    let default = SETTINGS
        .iter()
        .find(|setting| setting.name == "ARCHD_SCHEDULE_ZONE");
    let default = default.unwrap().default;
    assert!(zones.iter().all(|zone| zone == default), "{zones:?}");
}

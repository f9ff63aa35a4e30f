//! `ARCHD_LOG_FILE`: the log in a file beside standard error, whatever happens to the disk.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    faults::fresh,
    process::{run, signal},
    program::{Program, message, saying, text},
};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_a_bad_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for path in [path("no/such/folder.log"), path("")] {
        let settings = [("ARCHD_LOG_FILE", path.as_str())];
        let (code, _, stderr) = run(&["batch", "--wait=1s"], &settings).await;
        assert_eq!(code, Some(2), "{stderr}");
        let told = stderr.starts_with("error: ARCHD_LOG_FILE is ") && stderr.contains(&path);
        assert!(
            told && stderr.contains("; give the path of a file"),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn the_file_has_what_standard_error_has_and_one_process_alone_writes_it() {
    let set = devkit::ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archd.log");
    let to_file = format!("--log-file={}", path.display());
    let arguments = ["serve", "--schedule=off", to_file.as_str()];
    let mut first = Program::start(&set.uri(), &database, &arguments);
    first.serves().await;
    let arguments = ["batch", to_file.as_str()];
    let (code, second) = Program::start(&set.uri(), &database, &arguments)
        .end()
        .await;
    assert_eq!(code, Some(0), "{second:#?}");
    let [told] = saying(&second, "ARCHD_LOG_FILE is")[..] else {
        panic!("{second:#?}")
    };
    assert!(
        message(told).contains("which another archd writes"),
        "{told}"
    );
    signal(&first.child, "TERM");
    let (_, on_stderr) = first.end().await;
    let in_file = lines(&path);
    let said = |lines: &[Value]| -> Vec<String> {
        lines.iter().map(|line| message(line).to_owned()).collect()
    };
    assert_eq!(said(&in_file), said(&on_stderr));
    assert!(in_file.len() > 3, "{in_file:#?}");
}

/// `/dev/full` is a disk without space.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_on_standard_error_and_what_it_cost_once_there_is_space() {
    let set = devkit::ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archd.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let to_file = format!("--log-file={}", path.display());
    let arguments = ["serve", "--schedule=off", "--watch=false", to_file.as_str()];
    let mut program = Program::start(&set.uri(), &database, &arguments);
    program.serves().await;
    fs::remove_file(&path).unwrap();
    signal(&program.child, "TERM");
    let (code, on_stderr) = program.end().await;
    assert_eq!(code, Some(0), "{on_stderr:#?}");
    let told = saying(&on_stderr, "ARCHD_LOG_FILE can't be written");
    assert!(
        text(told[0], "error").contains("No space left"),
        "{told:#?}"
    );
    let in_file = lines(&path);
    let cost = saying(&in_file, "because ARCHD_LOG_FILE could not be written");
    let [cost] = cost[..] else {
        panic!("{in_file:#?}")
    };
    let left_out = cost["left_out"].as_u64().unwrap();
    let told = saying(&in_file, "log lines were left out").len();
    // Each line is on standard error, and that one too.
    assert_eq!(
        left_out as usize + in_file.len(),
        on_stderr.len(),
        "{on_stderr:#?}"
    );
    assert_eq!(told, 1, "{in_file:#?}");
}

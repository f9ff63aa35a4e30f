//! `archd man`: a page for each command, with all that its help has.

use std::{collections::BTreeSet, fs, path::Path};

use crate::process::run;

#[tokio::test]
async fn each_command_has_a_page_with_every_flag_of_its_help() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(&["man", folder.path().to_str().unwrap()], &[]).await;
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""));
    let helps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let names = |folder: &Path| -> BTreeSet<String> {
        let files = fs::read_dir(folder).unwrap();
        let files = files.map(|file| file.unwrap().path());
        files
            .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let commands = names(&helps);
    assert_eq!(names(folder.path()), commands);
    for command in commands {
        let help = fs::read_to_string(helps.join(format!("{command}.txt"))).unwrap();
        let page = fs::read_to_string(folder.path().join(format!("{command}.1"))).unwrap();
        // A dash of a flag is none that a line may be broken at.
        let page = page.replace("\\-", "-");
        let words = help.split_whitespace();
        for word in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            let end = word.find(|it: char| !it.is_alphanumeric() && it != '-');
            let flag = &word[..end.unwrap_or(word.len())];
            assert!(page.contains(flag), "{command} has no {flag}:\n{page}");
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_of() {
    let (code, _, stderr) = run(&["man", "/nowhere/at/all"], &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("/nowhere/at/all"), "{stderr}");
}

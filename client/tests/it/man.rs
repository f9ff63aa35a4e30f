//! `archctl man`: a page for each command, with all that its help has.

use std::fs;

use crate::{help, program::run};

#[test]
fn each_command_has_a_page_with_every_flag_of_its_help() {
    let folder = tempfile::tempdir().unwrap();
    let man = run("localhost", &["man", folder.path().to_str().unwrap()]);
    assert_eq!((man.code, man.stdout.as_str()), (0, ""), "{man:?}");
    let pages = fs::read_dir(folder.path()).unwrap();
    let pages = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = pages.collect();
    pages.sort();
    let helps = help::all();
    let named: Vec<String> = helps
        .keys()
        .map(|name| name.replace(".txt", ".1"))
        .collect();
    assert_eq!(pages, named);
    for (name, help) in &helps {
        let page = folder.path().join(name.replace(".txt", ".1"));
        // A dash of a flag is none that a line may be broken at.
        let page = fs::read_to_string(page).unwrap().replace("\\-", "-");
        let words = help.split_whitespace();
        for word in words.filter(|word| word.starts_with("--") && word.len() > 2) {
            let end = word.find(|it: char| !it.is_alphanumeric() && it != '-');
            let flag = &word[..end.unwrap_or(word.len())];
            assert!(page.contains(flag), "{name} has no {flag}:\n{page}");
        }
    }
}

#[test]
fn a_folder_that_is_not_there_is_told_of() {
    let man = run("localhost", &["man", "/nowhere/at/all"]);
    assert_eq!(man.code, 1, "{man:?}");
    assert!(man.stderr.contains("/nowhere/at/all"), "{man:?}");
}

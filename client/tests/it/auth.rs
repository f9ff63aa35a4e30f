//! `archctl auth token new` makes tokens that nobody can guess, and a file of one is nobody else's.

use std::{collections::BTreeSet, fs};

use sha2::{Digest, Sha256};

use crate::program::run;

/// Where nothing listens: making a token asks nobody.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn a_token_comes_with_the_line_by_which_archd_knows_it() {
    let mut tokens = BTreeSet::new();
    for _ in 0..3 {
        let made = run(
            NOBODY,
            &[
                "auth",
                "token",
                "new",
                "--name=billing",
                "--right=archive,read",
                "--output=json",
            ],
        );
        let made = made.json();
        let token = made["token"].as_str().unwrap().to_owned();
        let (kind, random) = token.split_once('_').unwrap();
        assert_eq!((kind, random.len()), ("archd", 64), "{token}");
        assert!(random.bytes().all(|it| it.is_ascii_hexdigit()), "{token}");
        let hash = hex::encode(Sha256::digest(&token));
        assert_eq!(made["line"], format!("token billing archive,read {hash}"));
        assert_eq!(made["sha256"], hash);
        assert!(tokens.insert(token));
    }
    let made = run(NOBODY, &["auth", "token", "new"]);
    assert_eq!(made.code, 0, "{made:?}");
    let lines: Vec<&str> = made.stdout.lines().collect();
    let hash = hex::encode(Sha256::digest(lines[0]));
    assert_eq!(lines[1], format!("token caller read {hash}"), "{made:?}");
}

#[test]
fn a_token_in_a_file_is_not_printed_and_no_file_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let args = ["auth", "token", "new", "--out", path.to_str().unwrap()];
    let made = run(NOBODY, &args);
    assert_eq!(made.code, 0, "{made:?}");
    let written = fs::read_to_string(&path).unwrap();
    let token = written.trim_end();
    assert!(!format!("{made:?}").contains(token), "{made:?}");
    let hash = hex::encode(Sha256::digest(token));
    assert!(made.stdout.contains(&hash), "{made:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = run(NOBODY, &args);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("is not there yet"), "{again:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), written);
}

#[test]
fn names_and_rights_that_archd_would_not_take_are_usage_faults() {
    for (flag, words) in [
        ("--right=write", "read, archive, operate, destroy"),
        ("--right=", "read, archive, operate, destroy"),
        ("--name=a b", "visible ASCII"),
        ("--name=#a", "visible ASCII"),
    ] {
        let refused = run(NOBODY, &["auth", "token", "new", flag]);
        assert_eq!(refused.code, 2, "{flag}: {refused:?}");
        assert!(refused.stderr.contains(words), "{flag}: {refused:?}");
    }
}

#[test]
fn a_token_file_that_cant_be_used_is_told_of_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let path = path.to_str().unwrap();
    let stats = || run(NOBODY, &["--token-file", path, "stats"]);
    let absent = stats();
    assert_eq!(absent.code, 2, "{absent:?}");
    assert!(absent.stderr.contains("can't be read"), "{absent:?}");
    for text in ["", "\n", "two words", "caf\u{e9}", "one\ntwo\n"] {
        fs::write(path, text).unwrap();
        let refused = stats();
        assert_eq!(refused.code, 2, "{text:?}: {refused:?}");
        assert!(
            refused.stderr.contains("a token and nothing else"),
            "{refused:?}"
        );
    }
    // Nobody on the way to another machine may learn it.
    fs::write(path, "one\n").unwrap();
    let refused = run("archive.internal:50051", &["--token-file", path, "stats"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("in plain text"), "{refused:?}");
    let asked = run(NOBODY, &["--token-file", path, "stats"]);
    assert_eq!(asked.code, 4, "{asked:?}");
    // What asks nobody needs no token.
    let shown = run(NOBODY, &["--token-file", path, "config"]);
    assert_eq!(shown.code, 0, "{shown:?}");
}

//! A reader that has seen enough is no error: `archctl … | head -1` ends with 0 and without a word.

use std::{io::BufRead, process::Child};

use crate::{
    fake::{Fake, news::archived},
    program::piped,
};

#[test]
fn a_list_is_cut_in_silence() {
    let fake = Fake::start();
    for args in [
        &["orders", "list", "-o", "ndjson"][..],
        &["orders", "list"],
        &["orders", "export"],
        &["stats"],
        &["completions", "bash"],
    ] {
        let (child, stdout) = piped(&fake.endpoint(), args);
        drop(stdout);
        assert_silent_end(child);
    }
}

#[test]
fn a_tail_ends_with_its_reader() {
    let fake = Fake::start();
    let (child, mut stdout) = piped(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    fake.publish(archived("CMD-2"));
    let waiting = "Waiting for all kinds of events on every instance; Ctrl-C ends it.\n";
    assert_end(child, waiting);
}

#[test]
fn help_is_cut_in_silence() {
    let (child, stdout) = piped("localhost", &["--help"]);
    drop(stdout);
    assert_silent_end(child);
}

fn assert_silent_end(child: Child) {
    assert_end(child, "");
}

fn assert_end(child: Child, said: &str) {
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap().as_str()
        ),
        (Some(0), said)
    );
}

//! Feeds one target of `archd::fuzz`, the one that FUZZ_TARGET names, with bytes that libFuzzer
//! makes up.

#![no_main]

use std::{env, sync::LazyLock};

use archd::fuzz::TARGETS;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    target.expect("FUZZ_TARGET names one of archd::fuzz").1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));

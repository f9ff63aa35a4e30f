#!/usr/bin/env python3
"""Runs every test, those in .ci/alone one after the other and after the rest; one that fails is tried once more at once. Those
that pass then are told as FLAKY: .ci/flaky names them with a reason, and of others there may be MOST_FLAKY in a run."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

FAILED = re.compile(r"^test (.+?) \.\.\. FAILED$")
OUTPUT = re.compile(r"^---- (.+?) stdout ----$")
SEED = re.compile(r"\bSEED=(\S+)")
TARGET = re.compile(r"to rerun pass `([^`]+)`$")
FLAKY = Path(__file__).with_name("flaky")
ALONE = Path(__file__).with_name("alone")
# Of some 700 tests on real servers a few lose against their neighbours on two cores, now this one and now that.
MOST_FLAKY = 3


def failures(log):
    """What failed: for each target that cargo names, its tests with their seeds; no test where the target itself broke down.

    >>> failures('''
    ...      Running unittests src/lib.rs (target/debug/deps/a-1)
    ... test one::holds ... ok
    ...      Running tests/it/main.rs (target/debug/deps/it-2)
    ... test two::holds ... FAILED
    ... test three::holds ... FAILED
    ... ---- two::holds stdout ----
    ... SEED=17
    ... panicked
    ... ---- three::holds stdout ----
    ... panicked
    ... error: test failed, to rerun pass `-p server --test it`
    ...      Running tests/other.rs (target/debug/deps/other-3)
    ... error: test failed, to rerun pass `-p server --test other`
    ... error: 2 targets failed:
    ...     `-p server --test it`
    ...     `-p server --test other`
    ... '''.splitlines())
    [('-p server --test it', {'two::holds': '17', 'three::holds': None}), ('-p server --test other', {})]

    >>> failures(["test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s"])
    []
    """
    found, tests, shown = [], {}, None
    for line in log:
        if failed := FAILED.match(line):
            tests.setdefault(failed[1])
        elif output := OUTPUT.match(line):
            shown = output[1]
        elif (seed := SEED.search(line)) and shown in tests:
            tests[shown] = seed[1]
        elif target := TARGET.search(line):
            found.append((target[1], tests))
            tests, shown = {}, None
    return found


def reasons_in(text):
    """The tests in a list, each with its reason; a * in a name stands for anything.

    >>> reasons_in("# A comment\\n\\nit::a_test: the kernel of the runner drops packets\\n")
    {'it::a_test': 'the kernel of the runner drops packets'}
    >>> reasons_in("it::a_test")
    Traceback (most recent call last):
    ValueError: 'it::a_test' gives no reason
    """
    entries = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        test, separator, reason = line.partition(": ")
        if not separator or not reason.strip():
            raise ValueError(f"{line!r} gives no reason")
        entries[test.strip()] = reason.strip()
    return entries


def verdict(test, passed_alone, seed, reasons):
    """What is said of a test that failed, and what it counts as.

    >>> verdict("a", False, "7", {"a": "slow disks"})
    ('FAILED a (SEED=7): it fails alone too', 'failed')
    >>> verdict("a", True, "7", {})
    ('FLAKY a (SEED=7): it passes alone, and .ci/flaky does not name it', 'flaky')
    >>> verdict("a", True, None, {"a": "slow disks"})
    ('FLAKY a (no seed): allowed, slow disks', 'allowed')
    >>> verdict("mod::a", True, None, {"mod::*": "slow disks"})
    ('FLAKY mod::a (no seed): allowed, slow disks', 'allowed')
    """
    name = f"{test} (SEED={seed})" if seed else f"{test} (no seed)"
    if not passed_alone:
        return f"FAILED {name}: it fails alone too", "failed"
    for pattern, reason in reasons.items():
        if fnmatch.fnmatchcase(test, pattern):
            return f"FLAKY {name}: allowed, {reason}", "allowed"
    return f"FLAKY {name}: it passes alone, and .ci/flaky does not name it", "flaky"


def holds(counted):
    """Whether what tests count as leaves the whole good.

    >>> holds(["allowed", "flaky", "flaky", "flaky"]), holds(["flaky"] * 4), holds(["failed"])
    (True, False, False)
    """
    return "failed" not in counted and counted.count("flaky") <= MOST_FLAKY


def of_the_workspace(target):
    """The same target as one of the workspace: a package by itself would be built anew, with other features.

    >>> of_the_workspace("-p server --test it")
    ['--workspace', '--test', 'it']
    >>> of_the_workspace("--lib")
    ['--workspace', '--lib']
    """
    words = target.split()
    if words[:1] == ["-p"]:
        words = words[2:]
    return ["--workspace", *words]


def run(command):
    """Runs a command, shows what it prints while it does, and returns its exit code and lines."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line.rstrip("\n"))
    return process.wait(), lines


def main():
    reasons = reasons_in(FLAKY.read_text())
    alone = [test.removesuffix("*") for test in reasons_in(ALONE.read_text())]
    all_tests = ["cargo", "test", "--workspace", "--no-fail-fast"]
    code, log = run([*all_tests, "--", *(word for test in alone for word in ("--skip", test))])
    code_alone, log_alone = run([*all_tests, "--test", "it", "--", "--test-threads=1", *alone])
    if code == code_alone == 0:
        return 0
    told, counted = [], []
    found = failures(log + log_alone)
    for target, tests in found:
        if not tests:
            told.append(f"FAILED {target}: it broke down, see above")
            counted.append("failed")
        for test, seed in tests.items():
            again, _ = run(["cargo", "test", *of_the_workspace(target), "--", "--exact", test])
            line, as_what = verdict(test, again == 0, seed, reasons)
            told.append(line)
            counted.append(as_what)
    print(*told, sep="\n", flush=True)
    return 0 if found and holds(counted) else 1


if __name__ == "__main__":
    sys.exit(main())

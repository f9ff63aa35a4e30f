//! Judging the deployment: the server that answers, its set, its history and its clock. Pure.

use std::time::Duration;

use super::finding::Finding;
use crate::{
    config::Config,
    store::{
        Error,
        deployment::inspector::{History, Kind, Majority, Server},
    },
};

/// The oldest MongoDB that has what `archd` uses.
const OLDEST: u32 = 6;
/// The latest one that `archd` was made for.
const LATEST: u32 = 8;
/// A database further away than this makes itself felt.
const FAR: Duration = Duration::from_millis(50);
/// A watcher is not away for longer than this without somebody noticing.
const SHORT_HISTORY_HOURS: f64 = 24.0;
/// Clocks that are kept by NTP differ by less.
const CLOCKS_APART_MILLIS: u64 = 5_000;

/// On the server that answers.
pub(super) fn connection(server: &Server) -> Finding {
    const NAME: &str = "connection";
    let Server {
        version,
        round_trip,
        ..
    } = server;
    let millis = round_trip.as_secs_f64() * 1e3;
    let found = format!("MongoDB {version} answers in {millis:.1} ms");
    let range = format!("archd is made for {OLDEST}.0 to {LATEST}.x");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST) {
        return Finding::failed(
            NAME,
            format!("{found}, and {range}"),
            format!("upgrade MongoDB to {OLDEST}.0 or newer"),
        );
    }
    if major > Some(LATEST) {
        return Finding::warning(
            NAME,
            format!("{found}, and {range}"),
            "look whether there is an archd that is made for it; the tests of this one run on any mongod that MONGOD names",
        );
    }
    if *round_trip > FAR {
        return Finding::warning(
            NAME,
            format!("{found}: every order that is asked for waits for several such round trips"),
            "run archd nearer to the database's primary",
        );
    }
    Finding::ok(NAME, format!("{found}; {range}"))
}

/// On nobody answering.
pub(super) fn no_connection(error: &Error) -> Finding {
    let fix = match error {
        Error::Unauthenticated => "correct the user, the password and authSource in MONGODB_URI",
        Error::Unusable(_) => "correct MONGODB_URI, or the deployment, as it says there",
        _ => {
            "see that mongod runs and that this machine reaches the hosts in MONGODB_URI; --wait says how long to try"
        }
    };
    Finding::failed("connection", error.to_string(), fix)
}

/// On the set.
pub(super) fn replica_set(config: &Config, server: &Server) -> Finding {
    const NAME: &str = "replica set";
    match &server.kind {
        Kind::ReplicaSet(name) if server.writable => {
            Finding::ok(NAME, format!("{name:?} has a primary"))
        }
        Kind::ReplicaSet(name) => Finding::failed(
            NAME,
            format!("{name:?} has no primary that archd can reach, so nothing can be archived"),
            "rs.status() tells who is down: a majority of the voting members must be up\n\
             without directConnection=true in MONGODB_URI archd finds the primary by itself",
        ),
        Kind::Standalone => {
            let found = "a standalone mongod: orders and batches can be archived, but nobody can watch, and there is no TailEvents";
            let fix = "start mongod with --replSet rs0, and run rs.initiate()";
            if config.watch {
                let fix = format!("{fix}\nor, where batches are enough, set ARCHD_WATCH=false");
                Finding::failed(NAME, found, fix)
            } else {
                Finding::warning(NAME, found, fix)
            }
        }
        Kind::Sharded => Finding::warning(
            NAME,
            "a sharded cluster, on which archd is not tested",
            "keep the orders and their archive on a replica set",
        ),
    }
}

/// On who confirms writes.
pub(super) fn majority(majority: Majority) -> Finding {
    const NAME: &str = "majority writes";
    let Majority { up, needed } = majority;
    if up < needed {
        return Finding::failed(
            NAME,
            format!(
                "{up} of the voting members that hold data are up and {needed} must confirm a write, so nothing can be archived"
            ),
            "rs.status() tells who is down: bring them up, or put others in their place with rs.reconfig()",
        );
    }
    Finding::ok(NAME, format!("{needed} must confirm a write, {up} are up"))
}

/// On the reach of the history.
pub(super) fn history(history: History) -> Finding {
    const NAME: &str = "history";
    let seconds = f64::from(history.latest.time.saturating_sub(history.oldest.time));
    let hours = seconds / 3_600.0;
    if history.whole {
        return Finding::ok(
            NAME,
            format!("the oplog still reaches back to its beginning, {hours:.1} hours ago"),
        );
    }
    if hours < SHORT_HISTORY_HOURS {
        return Finding::warning(
            NAME,
            format!(
                "the oplog reaches back {hours:.1} hours: a watcher that was away for longer has lost its place, and closes the gap with a catch-up batch; a tail loses news"
            ),
            format!(
                "on each member: db.adminCommand({{ replSetResizeOplog: 1, minRetentionHours: Double({SHORT_HISTORY_HOURS}) }})"
            ),
        );
    }
    Finding::ok(NAME, format!("the oplog reaches back {hours:.1} hours"))
}

/// On the difference between this machine's clock and the database's, in milliseconds.
pub(super) fn clocks(ahead: i64) -> Finding {
    const NAME: &str = "clocks";
    let seconds = ahead.unsigned_abs() as f64 / 1e3;
    let side = if ahead < 0 { "behind" } else { "ahead of" };
    let found = format!("this machine's is {seconds:.1} s {side} the database's");
    if ahead.unsigned_abs() > CLOCKS_APART_MILLIS {
        return Finding::warning(
            NAME,
            format!(
                "{found}: archd decides nothing by it, but date_archivage, the minutes of the statistics, the hour of the schedule and the log are told by it"
            ),
            "on both machines: timedatectl set-ntp true",
        );
    }
    Finding::ok(NAME, found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::check::finding::Verdict::{self, Failed, Ok as Fine, Warning};
    use bson::Timestamp;

    fn server(version: &str, millis: u64) -> Server {
        Server {
            version: version.to_owned(),
            kind: Kind::ReplicaSet("rs0".to_owned()),
            writable: true,
            round_trip: Duration::from_millis(millis),
            ahead: 0,
        }
    }

    fn assert_verdict(finding: &Finding, verdict: Verdict, word: &str) {
        let text = format!(
            "{} {}",
            finding.found,
            finding.fix.as_deref().unwrap_or_default()
        );
        assert_eq!(finding.verdict, verdict, "{text}");
        assert!(text.contains(word), "{word} is not in: {text}");
        assert_eq!(finding.fix.is_some(), verdict != Fine, "{text}");
    }

    #[test]
    fn a_server_must_be_recent_and_should_be_near() {
        for (version, millis, verdict) in [
            ("6.0.0", 50, Fine),
            ("8.2.1", 1, Fine),
            ("9.0.0-rc3", 1, Warning),
            ("10.1.0", 51, Warning),
            ("6.0.0", 51, Warning),
            ("5.0.31", 1, Failed),
            ("?", 1, Failed),
        ] {
            assert_verdict(&connection(&server(version, millis)), verdict, version);
        }
    }

    #[test]
    fn a_standalone_mongod_fails_only_those_who_want_to_watch() {
        let mut config = Config::simulation("mongodb://h", "d").unwrap();
        let mut server = server("6.0.5", 1);
        assert_verdict(&replica_set(&config, &server), Fine, "rs0");
        server.writable = false;
        assert_verdict(&replica_set(&config, &server), Failed, "rs.status()");
        server.kind = Kind::Standalone;
        assert_verdict(&replica_set(&config, &server), Warning, "--replSet");
        config.watch = true;
        assert_verdict(&replica_set(&config, &server), Failed, "ARCHD_WATCH=false");
        server.kind = Kind::Sharded;
        assert_verdict(&replica_set(&config, &server), Warning, "sharded");
    }

    #[test]
    fn a_majority_must_be_up() {
        for (up, needed, verdict) in [(1, 1, Fine), (2, 2, Fine), (3, 2, Fine), (1, 2, Failed)] {
            assert_verdict(&majority(Majority { up, needed }), verdict, "confirm");
        }
    }

    #[test]
    fn a_history_under_a_day_is_short_unless_it_is_only_young() {
        for (seconds, whole, verdict, word) in [
            (86_400, false, Fine, "24.0 hours"),
            (86_399, false, Warning, "minRetentionHours: Double(24)"),
            (60, true, Fine, "beginning"),
        ] {
            let time = |time| Timestamp { time, increment: 1 };
            let reach = History {
                oldest: time(1_000),
                latest: time(1_000 + seconds),
                whole,
            };
            assert_verdict(&history(reach), verdict, word);
        }
    }

    #[test]
    fn clocks_may_differ_by_a_few_seconds() {
        for (ahead, verdict, word) in [
            (0, Fine, "0.0 s"),
            (-5_000, Fine, "5.0 s behind"),
            (5_001, Warning, "ahead of"),
            (-7_200_000, Warning, "7200.0 s behind"),
        ] {
            assert_verdict(&clocks(ahead), verdict, word);
        }
    }
}

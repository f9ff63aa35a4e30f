//! Values as people type them: addresses, moments and durations.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use prost_types::Timestamp;
use serde_json::Value;
use tonic::transport::Uri;

use crate::zone::Zone;

/// Where `archd` listens unless told otherwise.
pub(crate) const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:50051";

const DEFAULT_PORT: u16 = 50051;

/// Where the server is: `http://HOST:PORT`, or `https://HOST:PORT` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Uri);

impl Address {
    pub(crate) fn uri(&self) -> Uri {
        self.0.clone()
    }

    /// Whether it is this machine, so that nothing goes over a network.
    pub(crate) fn is_of_this_machine(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether TLS is spoken there.
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A Uri displays with the empty path's slash, which nobody typed.
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

pub(crate) fn address(text: &str) -> Result<Address, String> {
    const WANTED: &str = "give HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT";
    let (scheme, rest) = match text.split_once("://") {
        None => ("http", text),
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some((scheme, _)) => {
            return Err(format!(
                "{scheme}:// is not a scheme that archctl knows; {WANTED}"
            ));
        }
    };
    let uri: Uri = format!("{scheme}://{rest}")
        .parse()
        .map_err(|fault| format!("{fault}; {WANTED}"))?;
    let authority = uri.authority().ok_or(WANTED)?;
    if uri.path() != "/"
        || uri.query().is_some()
        || authority.as_str().contains('@')
        || authority.host().is_empty()
    {
        return Err(WANTED.to_owned());
    }
    if authority.port_u16().is_some() {
        return Ok(Address(uri));
    }
    // `host:99999` and `host:` have no port in the eyes of `Uri`; only a bare host is given the
    // default one.
    if authority.as_str() != authority.host() {
        return Err(format!("the port is not a number up to 65535; {WANTED}"));
    }
    format!("{scheme}://{}:{DEFAULT_PORT}", authority.host())
        .parse()
        .map(Address)
        .map_err(|fault| format!("{fault}; {WANTED}"))
}

/// Reads an RFC 3339 date-time, or a date, which means its midnight in UTC.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let time = match text.parse::<NaiveDate>() {
        Ok(date) => date.and_time(NaiveTime::MIN).and_utc(),
        Err(_) => DateTime::parse_from_rfc3339(text)
            .map_err(|_| {
                "give a date, 2025-10-16 (midnight UTC), or a date-time, 2025-10-16T14:23:45Z"
                    .to_owned()
            })?
            .with_timezone(&Utc),
    };
    Ok(timestamp(time))
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        // A leap second is written as 1,000 ms and more, which a Timestamp may not hold.
        nanos: time.timestamp_subsec_nanos().min(999_999_999).cast_signed(),
    }
}

/// Reads a duration that is not zero, such as `90s`, `24h` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(fault) => Err(format!("{fault}; give a duration such as 90s, 15m or 24h")),
    }
}

/// The same length in the contract's own type.
pub(crate) fn to_proto(duration: Duration) -> Result<prost_types::Duration, String> {
    prost_types::Duration::try_from(duration).map_err(|_| "the duration is too long".to_owned())
}

/// Reads a moment, or how long ago by this machine's clock it was.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    ago(Utc::now(), text).or_else(|| moment(text).ok()).ok_or_else(|| {
        "give a date, 2025-10-16 (midnight UTC), a date-time, 2025-10-16T14:23:45Z, or how long ago, 10m".to_owned()
    })
}

fn ago(now: DateTime<Utc>, text: &str) -> Option<Timestamp> {
    let time = now.checked_sub_signed(TimeDelta::from_std(duration(text).ok()?).ok()?)?;
    Some(timestamp(time))
}

/// Reads the zone of times in text.
pub(crate) fn zone(text: &str) -> Result<Zone, String> {
    match text {
        "local" => Ok(Zone::Local),
        name => name
            .parse()
            .map(Zone::Named)
            .map_err(|_| "give local, UTC, or a name such as Europe/Paris".to_owned()),
    }
}

/// Reads the path of a file.
pub(crate) fn path(text: &str) -> Result<PathBuf, String> {
    match text.is_empty() {
        true => Err("give the path of a file".to_owned()),
        false => Ok(text.into()),
    }
}

/// Reads the name of a caller, as archd takes it.
pub(crate) fn caller(text: &str) -> Result<String, String> {
    let is_name = (1..=256).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.starts_with('#');
    match is_name {
        true => Ok(text.to_owned()),
        false => {
            Err("give from 1 to 256 visible ASCII characters, not beginning with #".to_owned())
        }
    }
}

/// Reads the rights of a caller.
pub(crate) fn rights(text: &str) -> Result<String, String> {
    const RIGHTS: [&str; 4] = ["read", "archive", "operate", "destroy"];
    match text.split(',').all(|right| RIGHTS.contains(&right)) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "give one of {}, or several with commas between them",
            RIGHTS.join(", ")
        )),
    }
}

/// Reads a rate in orders a second; `off`, which is 0 in the contract, is no limit.
pub(crate) fn rate(text: &str) -> Result<i32, String> {
    match text {
        "off" => Ok(0),
        _ => text
            .parse()
            .ok()
            .filter(|rate| *rate > 0)
            .ok_or_else(|| format!("give a whole number from 1 to {}, or off", i32::MAX)),
    }
}

/// Reads a duration for a field of a request.
pub(crate) fn proto_duration(text: &str) -> Result<prost_types::Duration, String> {
    to_proto(duration(text)?)
}

/// The same where no length at all is a choice, too.
pub(crate) fn proto_length(text: &str) -> Result<prost_types::Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Ok(prost_types::Duration::default()),
        _ => proto_duration(text),
    }
}

/// Reads the hash of an entry of the ledger.
pub(crate) fn hash(text: &str) -> Result<String, String> {
    match text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("give a hash as 64 hexadecimal digits".to_owned()),
    }
}

/// Reads an id as the contract takes it: Extended JSON as it is, and whatever is none as a text.
pub(crate) fn id(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("give an id".to_owned());
    }
    match serde_json::from_str(text) {
        Ok(Value::Number(_) | Value::String(_) | Value::Object(_)) => Ok(text.to_owned()),
        _ => Ok(Value::from(text).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_forgiving_about_scheme_and_port() {
        for (typed, meant) in [
            ("http://127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("127.0.0.1:6000", "http://127.0.0.1:6000"),
            ("archive.internal", "http://archive.internal:50051"),
            ("http://archive.internal/", "http://archive.internal:50051"),
            ("[::1]:50051", "http://[::1]:50051"),
            ("[::1]", "http://[::1]:50051"),
            ("https://archive.internal", "https://archive.internal:50051"),
            ("https://[::1]:1", "https://[::1]:1"),
        ] {
            assert_eq!(address(typed).unwrap().to_string(), meant, "{typed}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_loopback_addresses_and_localhost() {
        for here in [
            "localhost",
            "127.0.0.1",
            "127.8.8.8:1",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(address(here).unwrap().is_of_this_machine(), "{here}");
        }
        for elsewhere in [
            "archive.internal",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "localhost.evil.example",
        ] {
            assert!(
                !address(elsewhere).unwrap().is_of_this_machine(),
                "{elsewhere}"
            );
        }
    }

    #[test]
    fn an_address_says_what_is_wrong_with_it() {
        for (typed, why) in [
            ("https://", "HOST:PORT"),
            ("ftp://archive.internal", "ftp://"),
            ("not an address", "HOST:PORT"),
            ("", "HOST:PORT"),
            (":50051", "HOST:PORT"),
            ("host:99999", "65535"),
            ("host:port", "HOST:PORT"),
            ("host:1/path", "HOST:PORT"),
            ("user:pass@host:1", "HOST:PORT"),
        ] {
            let fault = address(typed).unwrap_err();
            assert!(fault.contains(why), "{typed}: {fault}");
        }
    }

    #[test]
    fn a_date_is_its_midnight_in_utc() {
        assert_eq!(
            moment("2025-10-16").unwrap(),
            moment("2025-10-16T00:00:00Z").unwrap()
        );
        assert_eq!(
            moment("2025-10-16T02:00:00+02:00").unwrap(),
            moment("2025-10-16").unwrap()
        );
        assert_eq!(
            moment("1970-01-01T00:00:01.5Z").unwrap(),
            Timestamp {
                seconds: 1,
                nanos: 500_000_000
            }
        );
        assert_eq!(moment("2016-12-31T23:59:60.5Z").unwrap().nanos, 999_999_999);
        for typed in [
            "yesterday",
            "16/10/2025",
            "2025-10-16T00:00:00",
            "2025-02-30",
        ] {
            assert!(moment(typed).unwrap_err().contains("2025-10-16"), "{typed}");
        }
    }

    #[test]
    fn since_is_a_moment_or_so_long_ago() {
        let now = DateTime::from_timestamp(1_760_624_625, 0).unwrap();
        assert_eq!(ago(now, "10m").unwrap().seconds, 1_760_624_025);
        assert_eq!(since("2025-10-16"), moment("2025-10-16"));
        let told = Utc::now().timestamp() - since("1h").unwrap().seconds;
        assert!((3_600..3_660).contains(&told), "{told}");
        for typed in ["0s", "yesterday", "10", "584000000000y"] {
            assert!(since(typed).unwrap_err().contains("10m"), "{typed}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_a_length() {
        assert_eq!(duration("24h").unwrap(), Duration::from_secs(86_400));
        assert_eq!(
            proto_duration("1500ms").unwrap(),
            prost_types::Duration {
                seconds: 1,
                nanos: 500_000_000
            }
        );
        assert!(duration("0s").is_err());
        assert!(duration("24").unwrap_err().contains("24h"));
    }

    #[test]
    fn a_length_may_be_none() {
        assert_eq!(proto_length("0s"), Ok(prost_types::Duration::default()));
        assert_eq!(proto_length("90s"), proto_duration("90s"));
        assert!(proto_length("90").unwrap_err().contains("90s"));
    }

    #[test]
    fn a_hash_is_64_digits_in_either_case() {
        let hash = |text: &str| super::hash(text);
        assert_eq!(hash(&"aB".repeat(32)), Ok("ab".repeat(32)));
        for typed in ["", "ab", &"ag".repeat(32), &"ab".repeat(33)] {
            assert!(hash(typed).unwrap_err().contains("64"), "{typed}");
        }
    }

    #[test]
    fn a_rate_is_a_whole_number_or_off() {
        assert_eq!(
            (rate("500"), rate("2147483647"), rate("off")),
            (Ok(500), Ok(i32::MAX), Ok(0))
        );
        for typed in ["0", "-1", "1.5", "2147483648", "fast", ""] {
            assert!(rate(typed).unwrap_err().contains("or off"), "{typed}");
        }
    }

    #[test]
    fn a_caller_has_a_name_and_rights_that_archd_knows() {
        for (typed, right) in [
            ("read", true),
            ("archive,read", true),
            ("", false),
            ("write", false),
            ("read,", false),
        ] {
            assert_eq!(rights(typed).is_ok(), right, "{typed}");
        }
        for (typed, right) in [
            ("billing", true),
            ("spiffe://a/b", true),
            ("", false),
            ("a b", false),
            ("#a", false),
            ("caf\u{e9}", false),
        ] {
            assert_eq!(caller(typed).is_ok(), right, "{typed}");
        }
    }

    #[test]
    fn an_id_is_extended_json_or_a_text() {
        for (typed, meant) in [
            ("42", "42"),
            ("\"42\"", "\"42\""),
            ("C-42", "\"C-42\""),
            (
                "{\"$oid\": \"65f1a2b3c4d5e6f708192a3b\"}",
                "{\"$oid\": \"65f1a2b3c4d5e6f708192a3b\"}",
            ),
            ("null", "\"null\""),
            ("a \"b\"", "\"a \\\"b\\\"\""),
        ] {
            assert_eq!(id(typed).as_deref(), Ok(meant), "{typed}");
        }
        assert!(id("").is_err());
    }

    #[test]
    fn a_zone_has_a_name() {
        assert_eq!(zone("local"), Ok(Zone::Local));
        assert_eq!(
            zone("Europe/Paris"),
            Ok(Zone::Named(chrono_tz::Europe::Paris))
        );
        assert_eq!(zone("UTC"), Ok(Zone::Named(chrono_tz::UTC)));
        for typed in ["Paris", "+02:00", ""] {
            assert!(zone(typed).unwrap_err().contains("Europe/Paris"), "{typed}");
        }
    }

    #[test]
    fn the_default_is_the_contracts() {
        assert_eq!(
            DEFAULT_ENDPOINT,
            format!("http://{}", order_archiver_api::DEFAULT_ADDRESS)
        );
    }
}

//! One setting: its names, its default, and which values it takes.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tracing_subscriber::EnvFilter;

use super::{problem::BadValue, uri};
use crate::domain::schedule::{BadSchedule, Schedule};

/// A row of the table from which flags, lookup, help and documents derive.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the environment and in `.env`.
    pub name: &'static str,
    /// Its flag, without the dashes. A secret has none: everyone on a machine can read the
    /// arguments of its processes.
    pub flag: Option<&'static str>,
    /// Which values it takes.
    pub form: Form,
    /// Its value when nobody gives one. Empty when it is made up at the start.
    pub default: &'static str,
    /// One sentence about it.
    pub help: &'static str,
    /// Never shown, and also read from the file that `…_FILE` names.
    pub secret: bool,
}

/// Which values a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Where MongoDB is.
    Uri,
    /// The name of a database.
    Database,
    /// The name of a collection, or its beginning.
    Collection {
        /// In bytes.
        most: usize,
    },
    /// Text that is not blank.
    Text {
        /// In bytes.
        most: usize,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// An IP address, or localhost, and a port.
    Address,
    /// The same, or off.
    AddressOrOff,
    /// Names of hosts, with commas between them.
    Hosts,
    /// A whole number.
    Whole {
        /// The smallest.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// A length of time with its unit.
    Time {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// A length of time with its unit, or off.
    TimeOrOff {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// When something recurs, or off.
    ScheduleOrOff,
    /// A time zone.
    Zone,
    /// Which log lines are written.
    Filter,
    /// The path of a file, or off.
    FileOrOff,
    /// Where an OpenTelemetry collector is, or off.
    CollectorOrOff,
}

/// The longest path of a file, in bytes.
const MOST_PATH: usize = 1_024;

/// The word for no address, no length of time, or no schedule, at all.
pub(super) const OFF: &str = "off";

impl Setting {
    /// The name under which a secret's file is given.
    pub fn file_name(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.name))
    }

    /// The help, with the values that it takes.
    pub fn sentence(&self) -> String {
        format!("{} Takes {}.", self.help, self.form)
    }
}

impl Form {
    /// The placeholder of the flag's value.
    pub(crate) fn placeholder(&self) -> &'static str {
        match self {
            Form::Uri => "URI",
            Form::Database | Form::Collection { .. } => "NAME",
            Form::Text { .. } => "TEXT",
            Form::Choice(_) => "WORD",
            Form::Address | Form::AddressOrOff => "ADDRESS",
            Form::Hosts => "NAMES",
            Form::Whole { .. } => "N",
            Form::Time { .. } | Form::TimeOrOff { .. } => "TIME",
            Form::ScheduleOrOff => "CRON",
            Form::Zone => "ZONE",
            Form::Filter => "FILTER",
            Form::FileOrOff => "PATH",
            Form::CollectorOrOff => "URL",
        }
    }

    /// Everything that is wrong with a value, each with its mend. The answer never repeats the
    /// value, which may be a secret.
    pub(super) fn faults(&self, value: &str) -> Vec<BadValue> {
        match self {
            Form::Uri => uri::faults(value),
            _ => {
                let fault = |wrong: &str| BadValue {
                    wrong: wrong.to_owned(),
                    mend: format!("give {self}"),
                };
                self.wrong(value).map(fault).into_iter().collect()
            }
        }
    }

    /// What is wrong with a value, if anything is. The answer never repeats the value, which may be
    /// a secret.
    pub fn wrong(&self, value: &str) -> Option<&'static str> {
        match *self {
            // All that is wrong with it is told by [`Form::faults`].
            Form::Uri => (!uri::faults(value).is_empty()).then_some("can't be used"),
            Form::Database => wrong_database(value),
            Form::Collection { most } => wrong_collection(value, most),
            Form::Text { most } => wrong_text(value, most),
            Form::Choice(words) => {
                (!words.contains(&value)).then_some("is not one of the words that it takes")
            }
            Form::AddressOrOff
            | Form::TimeOrOff { .. }
            | Form::ScheduleOrOff
            | Form::FileOrOff
            | Form::CollectorOrOff
                if value == OFF =>
            {
                None
            }
            Form::Address | Form::AddressOrOff => address(value)
                .is_none()
                .then_some("is not an IP address with a port"),
            Form::Hosts => {
                (!hosts(value).all(is_host)).then_some("has something that is no name of a host")
            }
            Form::Whole { least, most } => match value.parse::<u32>() {
                Ok(number) => out_of_range(number, least, most),
                Err(_) if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                    Some("is out of range")
                }
                Err(_) => Some("is not a whole number"),
            },
            Form::Time { least, most } | Form::TimeOrOff { least, most } => {
                match humantime::parse_duration(value) {
                    Ok(time) => out_of_range(time, least, most),
                    Err(_) => Some("is not a length of time with its unit"),
                }
            }
            Form::ScheduleOrOff => wrong_schedule(value, "UTC"),
            Form::Zone => wrong_schedule("0 0 * * *", value),
            Form::Filter => EnvFilter::try_new(value)
                .is_err()
                .then_some("is not a filter of log lines"),
            Form::FileOrOff => wrong_text(value, MOST_PATH),
            Form::CollectorOrOff => wrong_collector(value),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Form::Uri => f.write_str("a URI that begins with mongodb:// or mongodb+srv://"),
            Form::Database => write!(
                f,
                r#"a name of at most {MOST_DATABASE} bytes without blanks and / \ . " $ * < > : | ?, other than admin, config and local"#
            ),
            Form::Collection { most } => write!(f, "a name of at most {most} bytes without $"),
            Form::Text { most } => write!(f, "text of at most {most} bytes"),
            Form::Choice(words) => f.write_str(&words.join(" or ")),
            Form::Address => f.write_str(
                "an IP address or localhost, and a port, such as 127.0.0.1:50051 or [::]:50051",
            ),
            Form::AddressOrOff => write!(f, "{OFF} or {}", Form::Address),
            Form::Hosts => f.write_str(
                "names of hosts without ports, with commas between them, such as archd,archd.example.com",
            ),
            Form::Whole { least, most } => write!(f, "a whole number from {least} to {most}"),
            Form::Time { least, most } => write!(
                f,
                "a time from {} to {}, such as 1500ms, 10s or 2m",
                humantime::format_duration(least),
                humantime::format_duration(most)
            ),
            Form::TimeOrOff { least, most } => {
                write!(f, "{OFF} or {}", Form::Time { least, most })
            }
            Form::ScheduleOrOff => write!(
                f,
                "{OFF} or a cron expression of five fields (minute, hour, day of the month, month, day of the week), or of six with the second before them"
            ),
            Form::Zone => f.write_str("the IANA name of a time zone, such as Europe/Paris or UTC"),
            Form::FileOrOff => {
                write!(
                    f,
                    "{OFF} or the path of a file, of at most {MOST_PATH} bytes"
                )
            }
            Form::CollectorOrOff => {
                write!(f, "{OFF} or an address such as http://127.0.0.1:4317")
            }
            Form::Filter => f.write_str(
                "levels by module, such as info,mongodb=warn (the syntax of tracing's EnvFilter)",
            ),
        }
    }
}

/// The address that a text names. No name but localhost is looked up, so that a setting means the
/// same wherever it is read.
pub(super) fn address(value: &str) -> Option<SocketAddr> {
    match value.strip_prefix("localhost:") {
        Some(port) => Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into()),
        None => value.parse().ok(),
    }
}

/// The names that a text lists.
pub(super) fn hosts(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

/// Whether a text can be the name of a host (RFC 1123, and the underscores of Docker).
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_of_one = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() <= 63 && label.chars().all(is_of_one)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The longest name that MongoDB gives a database, in bytes
/// (<https://www.mongodb.com/docs/manual/reference/limits/>).
const MOST_DATABASE: usize = 63;

fn wrong_database(value: &str) -> Option<&'static str> {
    // MongoDB on Windows refuses all of these, on Linux some of them; a name has to work on both.
    let forbidden = |c: char| r#"/\."$*<>:|?"#.contains(c) || c.is_whitespace() || c.is_control();
    if value.len() > MOST_DATABASE {
        Some("is too long")
    } else if value.contains(forbidden) {
        Some("has a character that a database's name cannot have")
    } else if ["admin", "config", "local"].contains(&value) {
        // No change stream can be opened on their collections.
        Some("is a database of MongoDB's own")
    } else {
        None
    }
}

fn wrong_collection(value: &str, most: usize) -> Option<&'static str> {
    let edge = |c: char| c == '.' || c.is_whitespace();
    if value.len() > most {
        Some("is too long")
    } else if value.contains(|c: char| c == '$' || c.is_control()) {
        Some("has a character that a collection's name cannot have")
    } else if value.starts_with("system.") {
        Some("is a name of MongoDB's own")
    } else if value.starts_with(edge) || value.ends_with(edge) {
        Some("begins or ends with a dot or a blank")
    } else {
        None
    }
}

fn wrong_text(value: &str, most: usize) -> Option<&'static str> {
    if value.trim().is_empty() {
        Some("is blank")
    } else if value.len() > most {
        Some("is too long")
    } else if value.contains(char::is_control) {
        Some("has a control character")
    } else {
        None
    }
}

fn wrong_collector(value: &str) -> Option<&'static str> {
    let Ok(address) = value.parse::<http::Uri>() else {
        return Some("is not an address");
    };
    let has_user = address
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    if address.scheme_str() != Some("http") {
        Some("does not begin with http://")
    } else if address.port().is_none() {
        Some("names no port")
    } else if has_user || !matches!(address.path(), "" | "/") || address.query().is_some() {
        Some("has more than a host and a port")
    } else {
        None
    }
}

fn wrong_schedule(expression: &str, zone: &str) -> Option<&'static str> {
    Schedule::new(expression, zone)
        .err()
        .map(BadSchedule::words)
}

fn out_of_range<T: PartialOrd>(value: T, least: T, most: T) -> Option<&'static str> {
    (value < least || value > most).then_some("is out of range")
}

//! The options of a MongoDB URI: one table of all that the driver has, with what each takes and
//! whether it has an effect here.

use strsim::levenshtein;

use super::found::{Found, percent_decoded};

/// An option as it was given.
pub(super) struct Given {
    row: &'static Row,
    value: String,
}

/// A row of the table.
struct Row {
    /// Its name as documents spell it; it is compared without case.
    name: &'static str,
    takes: Takes,
    effect: Effect,
}

/// Which values an option takes.
enum Takes {
    Flag,
    /// A whole number of at least, and at most.
    Whole(i64, i64),
    /// Text of at most so many bytes, and at least one.
    Text(usize),
    /// The path of a file that can be read.
    File,
    /// One of these words, in whatever case where the flag says so.
    Word(&'static [&'static str], bool),
    /// A list of these words.
    Words(&'static [&'static str]),
}

/// What an option does here.
enum Effect {
    /// What it says.
    Full,
    /// Nothing, unless it asks for what is done anyway; why.
    None(&'static [&'static str], &'static str),
    /// It can't be taken; what to do instead.
    Refused(&'static str),
}

use Effect::{Full, None as Nothing, Refused};
use Takes::{File, Flag, Text, Whole, Word, Words};

const MOST: i64 = u32::MAX as i64;
const LONG: usize = 1_024;

const fn row(name: &'static str, takes: Takes, effect: Effect) -> Row {
    Row {
        name,
        takes,
        effect,
    }
}

const READS: &str = "archd reads from the primary what a majority holds; ARCHD_BATCH_READS lets batches read from a secondary";
const WRITES: &str = "archd has every write confirmed by a majority";
const RETRIES: &str = "archd tries again by itself; ARCHD_RETRY_ATTEMPTS says how often";
const NO_PROXY: Effect = Refused("leave it out: archd takes no SOCKS5 proxy");
const NO_MECHANISM: Effect =
    Refused("leave it out: it belongs to mechanisms that archd does not have");

/// Every option of the driver, and those of other drivers that people try.
const OPTIONS: &[Row] = &[
    row("appName", Text(128), Full),
    row(
        "authMechanism",
        Word(
            &["SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-X509", "PLAIN"],
            false,
        ),
        Full,
    ),
    row("authMechanismProperties", Text(LONG), NO_MECHANISM),
    row("authSource", Text(64), Full),
    row("compressors", Words(&["snappy", "zlib", "zstd"]), Full),
    row("connectTimeoutMS", Whole(0, MOST), Full),
    row("directConnection", Flag, Full),
    row("enableOverloadRetargeting", Flag, Full),
    row("gssapiServiceName", Text(LONG), NO_MECHANISM),
    row("heartbeatFrequencyMS", Whole(500, MOST), Full),
    row("journal", Flag, Nothing(&["true"], WRITES)),
    row("loadBalanced", Flag, Full),
    row("localThresholdMS", Whole(0, MOST), Full),
    row("maxAdaptiveRetries", Whole(0, MOST), Nothing(&[], RETRIES)),
    row("maxConnecting", Whole(1, MOST), Full),
    row("maxIdleTimeMS", Whole(0, MOST), Full),
    row("maxPoolSize", Whole(1, MOST), Full),
    row(
        "maxStalenessSeconds",
        Whole(-1, MOST),
        Refused("leave it out: archd reads what a majority holds, and never less than it has seen"),
    ),
    row("minPoolSize", Whole(0, MOST), Full),
    row("proxyHost", Text(LONG), NO_PROXY),
    row("proxyPassword", Text(LONG), NO_PROXY),
    row("proxyPort", Text(LONG), NO_PROXY),
    row("proxyUsername", Text(LONG), NO_PROXY),
    row(
        "readConcernLevel",
        Word(
            &["local", "majority", "linearizable", "available", "snapshot"],
            false,
        ),
        Nothing(&["majority"], READS),
    ),
    row(
        "readPreference",
        Word(
            &[
                "primary",
                "primaryPreferred",
                "secondary",
                "secondaryPreferred",
                "nearest",
            ],
            true,
        ),
        Nothing(&["primary"], READS),
    ),
    row(
        "readPreferenceTags",
        Text(LONG),
        Refused(
            "leave it out: archd reads from the primary, or from any secondary where ARCHD_BATCH_READS says so",
        ),
    ),
    row("replicaSet", Text(LONG), Full),
    row("retryReads", Flag, Nothing(&["true"], RETRIES)),
    row("retryWrites", Flag, Nothing(&["true"], RETRIES)),
    row(
        "serverMonitoringMode",
        Word(&["stream", "poll", "auto"], true),
        Full,
    ),
    row("serverSelectionTimeoutMS", Whole(1, MOST), Full),
    row(
        "socketTimeoutMS",
        Whole(0, MOST),
        Refused("leave it out: ARCHD_OPERATION_TIMEOUT limits every call"),
    ),
    row("srvMaxHosts", Whole(0, MOST), Full),
    row("srvServiceName", Text(63), Full),
    row("ssl", Flag, Full),
    row("tls", Flag, Full),
    row("tlsAllowInvalidCertificates", Flag, Full),
    row(
        "tlsAllowInvalidHostnames",
        Flag,
        Refused(
            "leave it out and give each server a certificate for its name; tlsInsecure=true checks nothing at all",
        ),
    ),
    row("tlsCAFile", File, Full),
    row("tlsCertificateKeyFile", File, Full),
    row(
        "tlsCertificateKeyFilePassword",
        Text(LONG),
        Refused(
            "leave it out and give a key without a password, in a file that archd's user alone may read",
        ),
    ),
    row("tlsInsecure", Flag, Full),
    row(
        "uuidRepresentation",
        Text(LONG),
        Refused("leave it out: archd carries every value as it is"),
    ),
    row("w", Text(LONG), Nothing(&["majority"], WRITES)),
    row(
        "waitQueueTimeoutMS",
        Whole(0, MOST),
        Nothing(
            &[],
            "ARCHD_OPERATION_TIMEOUT limits every call, with its wait for a connection",
        ),
    ),
    row("wtimeoutMS", Whole(0, MOST), Nothing(&[], WRITES)),
    row("zlibCompressionLevel", Whole(-1, 9), Full),
];

impl Given {
    /// The options of a URI, as far as they are some.
    pub(super) fn all(text: &str, found: &mut Found) -> Vec<Given> {
        let mut all: Vec<Given> = Vec::new();
        for pair in text.split('&').filter(|_| !text.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                found.add(
                    "has an option without a value",
                    "write name=value, with & between two of them and none at the end",
                );
                continue;
            };
            let lower = name.to_ascii_lowercase();
            // Both names are the same option.
            let lower = if lower == "ssl" { "tls" } else { &lower };
            let Some(row) = OPTIONS
                .iter()
                .find(|row| row.name.eq_ignore_ascii_case(lower))
            else {
                unknown(name, text, found);
                continue;
            };
            if all.iter().any(|known| std::ptr::eq(known.row, row)) {
                found.add(
                    format!("gives the option `{}` twice", row.name),
                    "leave one of them out",
                );
                continue;
            }
            let Some(value) = percent_decoded(value) else {
                found.add(
                    format!("has an option `{}` that is not UTF-8", row.name),
                    "escape each byte of its UTF-8 form",
                );
                continue;
            };
            if let Some(wrong) = row.takes.wrong(&value) {
                found.add(
                    format!("has a bad value for the option `{}`", row.name),
                    wrong,
                );
            }
            if let Refused(mend) = row.effect {
                found.add(format!("has the option `{}`", row.name), mend);
            }
            all.push(Given { row, value });
        }
        all
    }
}

/// An option that there is not. Its name is shown only where it can't be a piece of a password.
fn unknown(name: &str, options: &str, found: &mut Found) {
    let plain = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain || options.contains('@') {
        found.add(
            "has an option that there is not",
            "leave it out, or escape the ? and the & in the user and the password",
        );
        return;
    }
    let lower = name.to_ascii_lowercase();
    let near = OPTIONS
        .iter()
        .map(|row| {
            (
                levenshtein(&lower, &row.name.to_ascii_lowercase()),
                row.name,
            )
        })
        .min();
    let mend = match near {
        Some((edits, near)) if edits <= 3 => format!("write `{near}`, or leave it out"),
        _ => "leave it out".to_owned(),
    };
    found.add(
        format!("has an option `{name}` that archd's driver does not know"),
        mend,
    );
}

impl Takes {
    /// What to give instead of a bad value.
    fn wrong(&self, value: &str) -> Option<String> {
        let listed = |words: &[&str]| words.join(", ");
        match *self {
            Flag => (!["true", "false"].contains(&value)).then(|| "give true or false".to_owned()),
            Whole(least, most) => (!value
                .parse()
                .is_ok_and(|number: i64| (least..=most).contains(&number)))
            .then(|| match most {
                MOST => format!("give a whole number of at least {least}"),
                _ => format!("give a whole number from {least} to {most}"),
            }),
            Text(most) => (value.is_empty() || value.len() > most)
                .then(|| format!("give from 1 to {most} bytes, or leave it out")),
            File => std::fs::File::open(value)
                .is_err()
                .then(|| "give the path of a file that archd's user can read".to_owned()),
            Word(words, any_case) => {
                let is =
                    |word: &&str| *word == value || any_case && word.eq_ignore_ascii_case(value);
                (!words.iter().any(is)).then(|| format!("give one of {}", listed(words)))
            }
            Words(words) => (!value.split(',').all(|word| words.contains(&word))).then(|| {
                format!(
                    "give one or more of {}, with a comma between two of them",
                    listed(words)
                )
            }),
        }
    }
}

/// The value of an option.
pub(super) fn value<'o>(options: &'o [Given], name: &str) -> Option<&'o str> {
    let mut named = options
        .iter()
        .filter(|option| option.row.name.eq_ignore_ascii_case(name));
    named.next().map(|option| option.value.as_str())
}

/// What does not go together: options, hosts and the scheme.
pub(super) fn check(options: &[Given], hosts: usize, srv: bool, found: &mut Found) {
    let is = |name: &str, wanted: &str| value(options, name) == Some(wanted);
    let there = |name: &str| value(options, name).is_some();
    let mut clash = |clashes: bool, wrong: &str, mend: &str| {
        if clashes {
            found.add(wrong, mend);
        }
    };
    let direct = is("directConnection", "true");
    let balanced = is("loadBalanced", "true");
    clash(
        direct && (hosts > 1 || srv),
        "asks for `directConnection` to several hosts",
        "name one host, or leave directConnection out and give replicaSet",
    );
    clash(
        balanced && (hosts > 1 || direct || there("replicaSet")),
        "asks for `loadBalanced` beside several hosts, `directConnection` or `replicaSet`",
        "leave loadBalanced out unless a load balancer is what MONGODB_URI names",
    );
    for name in ["srvMaxHosts", "srvServiceName"] {
        clash(
            !srv && there(name),
            &format!("has the option `{name}` and does not begin with mongodb+srv://"),
            "leave it out",
        );
    }
    clash(
        srv && value(options, "srvMaxHosts").is_some_and(|most| most != "0")
            && (there("replicaSet") || balanced),
        "has the option `srvMaxHosts` beside `replicaSet` or `loadBalanced`",
        "leave srvMaxHosts out: the driver finds the members of a set by itself",
    );
    clash(
        is("tls", "false")
            && [
                "tlsCAFile",
                "tlsCertificateKeyFile",
                "tlsInsecure",
                "tlsAllowInvalidCertificates",
            ]
            .iter()
            .any(|name| there(name)),
        "turns TLS off and has other options for it",
        "leave out tls=false, or the others",
    );
    clash(
        there("tlsInsecure") && there("tlsAllowInvalidCertificates"),
        "has both `tlsInsecure` and `tlsAllowInvalidCertificates`",
        "leave one of them out",
    );
    let size = |name| value(options, name).and_then(|size| size.parse::<u32>().ok());
    clash(
        size("minPoolSize")
            .zip(size("maxPoolSize"))
            .is_some_and(|(least, most)| least > most),
        "has a `minPoolSize` above its `maxPoolSize`",
        "raise maxPoolSize, or lower minPoolSize",
    );
    clash(
        there("authMechanism")
            && is("authMechanism", "MONGODB-X509")
            && value(options, "authSource").is_some_and(|source| source != "$external"),
        "gives another `authSource` than $external to `authMechanism=MONGODB-X509`",
        "leave authSource out",
    );
    clash(
        is("authMechanism", "MONGODB-X509") && !there("tlsCertificateKeyFile"),
        "gives `authMechanism=MONGODB-X509` and no `tlsCertificateKeyFile`",
        "name the file of archd's certificate and its key with tlsCertificateKeyFile",
    );
    clash(
        there("zlibCompressionLevel")
            && !value(options, "compressors")
                .is_some_and(|list| list.split(',').any(|one| one == "zlib")),
        "has the option `zlibCompressionLevel` without zlib among its `compressors`",
        "leave it out, or add zlib to compressors",
    );
}

/// What options ask for and don't get: a sentence each.
pub(super) fn without_effect(options: &[Given]) -> Vec<String> {
    let sentence = |option: &Given| match option.row.effect {
        Nothing(anyway, why)
            if !anyway
                .iter()
                .any(|anyway| option.value.eq_ignore_ascii_case(anyway)) =>
        {
            Some(format!(
                "the option {} in MONGODB_URI has no effect: {why}",
                option.row.name
            ))
        }
        _ => None,
    };
    options.iter().filter_map(sentence).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every option that is taken, with a value that it takes.
    pub(crate) fn taken() -> Vec<(&'static str, String)> {
        let good = |row: &Row| match row.takes {
            Flag => "true".to_owned(),
            Whole(least, _) => least.max(1).to_string(),
            Text(_) => "1".to_owned(),
            File => "/dev/null".to_owned(),
            Word(words, _) | Words(words) => words[0].to_owned(),
        };
        let taken = OPTIONS
            .iter()
            .filter(|row| !matches!(row.effect, Refused(_)));
        taken.map(|row| (row.name, good(row))).collect()
    }

    /// Every option that is refused by its name.
    pub(in crate::config::uri) fn refused() -> Vec<&'static str> {
        let refused = OPTIONS
            .iter()
            .filter(|row| matches!(row.effect, Refused(_)));
        refused.map(|row| row.name).collect()
    }

    #[test]
    fn no_option_stands_in_the_table_twice() {
        let names: std::collections::BTreeSet<_> = OPTIONS
            .iter()
            .map(|row| row.name.to_ascii_lowercase())
            .collect();
        assert_eq!(names.len(), OPTIONS.len());
    }
}

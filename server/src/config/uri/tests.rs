//! Every kind of fault in a URI is named with its mend, and no part of a password with it.

use super::{MongodbUri, faults, options, warnings};

/// A piece of a password that nothing may repeat.
const CANARY: &str = "c4n4ry";

/// What people write.
pub(crate) const IN_USE: &[&str] = &[
    "mongodb://h",
    "mongodb://h/",
    "mongodb://h/?",
    "mongodb://h:27017,i,[::1]:27018/?replicaSet=rs0",
    "mongodb://u:p@h/admin?authSource=admin",
    "mongodb://u@h",
    "mongodb://u:p%40%3A%2F%25%C3%A9@h",
    "mongodb://u:p$&+,;=!*'()@h",
    "mongodb+srv://u:p@cluster0.abc.mongodb.net/?retryWrites=true&w=majority&appName=Cluster0",
    "mongodb+srv://u:p@cluster0.abc.mongodb.net/db?srvMaxHosts=2",
    "mongodb://127.0.0.1:1/?directConnection=true&TLS=false",
    "mongodb://h/?compressors=zstd,snappy,zlib&zlibCompressionLevel=6",
    "mongodb://h/?authMechanism=MONGODB-X509&tls=true&tlsCertificateKeyFile=/dev/null",
];

/// The faults of a URI, a line each.
fn told(uri: &str) -> String {
    let told: Vec<String> = faults(uri)
        .iter()
        .map(|fault| format!("{}; {}", fault.wrong, fault.mend))
        .collect();
    assert!(!told.join("\n").contains(CANARY), "{told:?}");
    told.join("\n")
}

#[test]
fn what_is_in_use_is_taken() {
    for uri in IN_USE {
        assert_eq!(told(uri), "", "{uri}");
    }
}

/// A URI that an option goes well with.
pub(crate) fn with_option(name: &str, value: &str) -> String {
    let (start, beside) = match name.to_lowercase().as_str() {
        "srvmaxhosts" | "srvservicename" => ("mongodb+srv://u:p@a.b.c", ""),
        "zlibcompressionlevel" => ("mongodb://u:p@h", "compressors=zlib&"),
        _ => ("mongodb://u:p@h", ""),
    };
    format!("{start}/?{beside}{name}={value}")
}

#[test]
fn every_option_that_is_taken_is_taken_once_in_whatever_case_and_with_a_value() {
    for (name, value) in options::tests::taken() {
        for name in [name.to_owned(), name.to_uppercase()] {
            let uri = with_option(&name, &value);
            assert_eq!(told(&uri), "", "{uri}");
        }
        let twice = told(&format!(
            "{}&{}={value}",
            with_option(name, &value),
            name.to_uppercase()
        ));
        assert!(twice.contains("twice"), "{name}: {twice}");
        let empty = told(&format!("mongodb://h/?{name}=&x"));
        assert!(
            empty.contains(&format!("`{}`", if name == "ssl" { "tls" } else { name })),
            "{name}: {empty}"
        );
    }
}

#[test]
fn every_option_that_is_refused_is_refused_by_its_name_with_a_mend() {
    for name in options::tests::refused() {
        let told = told(&format!("mongodb://h/?{name}={CANARY}"));
        assert!(
            told.contains(&format!("has the option `{name}`; leave it out")),
            "{name}: {told}"
        );
    }
}

#[test]
fn every_fault_is_named_with_its_mend_and_nothing_of_a_password() {
    for (uri, expected) in [
        (
            format!(" mongodb://u:{CANARY}@h"),
            "has blanks around it; leave them out",
        ),
        (format!("mongodb://u:{CANARY}@h\n"), "has blanks around it"),
        (
            format!("mongodb://u:{CANARY} x@h"),
            "holds a blank; write %20",
        ),
        (format!("http://{CANARY}"), "does not begin with mongodb://"),
        (
            format!("mongodb:/u:{CANARY}@h"),
            "does not begin with mongodb://",
        ),
        (
            format!("mongodb://u:{CANARY}@@h"),
            "unescaped `@` in the password; write %40",
        ),
        (
            format!("mongodb://u:{CANARY}/x@h"),
            "unescaped `/` in the password; write %2F",
        ),
        (
            format!("mongodb://u:{CANARY}:x@h"),
            "unescaped `:` in the password; write %3A",
        ),
        (
            format!("mongodb://u:{CANARY}%@h"),
            "unescaped `%` in the password; write %25",
        ),
        (
            format!("mongodb://u:{CANARY}%4@h"),
            "unescaped `%` in the password",
        ),
        (
            format!("mongodb://u:{CANARY}#[]@h"),
            "unescaped `#` in the password; write %23",
        ),
        (
            format!("mongodb://u:{CANARY}?x@h"),
            "unescaped `?` before its hosts; write %3F",
        ),
        (
            format!("mongodb://u:{CANARY}?x@h/?tls=true"),
            "unescaped `?` before its hosts",
        ),
        (format!("mongodb://u:{CANARY}%FF@h"), "not UTF-8"),
        (
            format!("mongodb://{CANARY}@x:p@h"),
            "unescaped `@` in the user",
        ),
        (format!("mongodb://:{CANARY}@h"), "names no user"),
        (
            format!("mongodb://u:{CANARY}"),
            "a port in host 1 that is no number",
        ),
        (format!("mongodb://h:0/{CANARY}"), "a port in host 1"),
        (
            "mongodb://h:1,i:65536".to_owned(),
            "a port in host 2 that is no number from 1 to 65535",
        ),
        ("mongodb://h,,i".to_owned(), "no name for host 2"),
        (
            "mongodb://::1".to_owned(),
            "put brackets around an IPv6 address",
        ),
        (
            "mongodb://[::g]".to_owned(),
            "no IPv6 address in the brackets of host 1",
        ),
        ("mongodb://h!".to_owned(), "a character in host 1"),
        ("mongodb://h/a$b".to_owned(), "names a database"),
        (
            "mongodb+srv://a.b.c:27017".to_owned(),
            "names several hosts, or a port",
        ),
        (
            "mongodb+srv://a.b.c,d.e.f".to_owned(),
            "names several hosts, or a port",
        ),
        (
            "mongodb://h,i/?directConnection=true".to_owned(),
            "`directConnection` to several hosts",
        ),
        (
            "mongodb+srv://a.b.c/?directConnection=true".to_owned(),
            "`directConnection` to several hosts",
        ),
        (
            "mongodb://h,i/?loadBalanced=true".to_owned(),
            "`loadBalanced` beside several hosts",
        ),
        (
            "mongodb://h/?srvMaxHosts=1".to_owned(),
            "does not begin with mongodb+srv://",
        ),
        (
            "mongodb+srv://a.b.c/?srvMaxHosts=1&replicaSet=r".to_owned(),
            "`srvMaxHosts` beside",
        ),
        (
            "mongodb://h/?tls=false&tlsInsecure=true".to_owned(),
            "turns TLS off",
        ),
        (
            "mongodb://h/?tlsInsecure=true&tlsAllowInvalidCertificates=true".to_owned(),
            "has both",
        ),
        (
            "mongodb://h/?tls=true&ssl=true".to_owned(),
            "the option `tls` twice",
        ),
        (
            "mongodb://h/?minPoolSize=9&maxPoolSize=3".to_owned(),
            "`minPoolSize` above",
        ),
        (
            "mongodb://h/?authMechanism=GSSAPI".to_owned(),
            "bad value for the option `authMechanism`; give one of SCRAM",
        ),
        (
            "mongodb://h/?authMechanism=SCRAM-SHA-256".to_owned(),
            "`authMechanism` and no user",
        ),
        (
            format!("mongodb://u:{CANARY}@h/?authMechanism=MONGODB-X509"),
            "leave the password out",
        ),
        (
            "mongodb://h/?authMechanism=MONGODB-X509&tls=true".to_owned(),
            "name the file of archd's certificate",
        ),
        (
            "mongodb://h/?compressors=lz4".to_owned(),
            "give one or more of snappy, zlib",
        ),
        (
            "mongodb://h/?zlibCompressionLevel=3".to_owned(),
            "without zlib among",
        ),
        (
            "mongodb://h/?tlsCAFile=/nowhere/ca.pem&tls=true".to_owned(),
            "a file that archd's user can read",
        ),
        (
            "mongodb://h/?maxPoolSize=0".to_owned(),
            "a whole number of at least 1",
        ),
        (
            "mongodb://h/?replicaset".to_owned(),
            "an option without a value",
        ),
        (
            "mongodb://h/?replicaSet=a&".to_owned(),
            "an option without a value",
        ),
        (
            "mongodb://h/?replicSet=a".to_owned(),
            "`replicSet` that archd's driver does not know; write `replicaSet`",
        ),
        (
            "mongodb://h/?frobnicate=a".to_owned(),
            "`frobnicate` that archd's driver does not know; leave it out",
        ),
        (
            format!("mongodb://u:p&{CANARY}=x@h/?{CANARY}=x@y"),
            "an option that there is not",
        ),
    ] {
        let told = told(&uri);
        assert!(told.contains(expected), "{uri}: {told}");
    }
}

#[test]
fn several_faults_are_told_at_once() {
    let told = told(&format!(
        "mongodb://u:{CANARY}@@h:x/?tls=perhaps&w=majority&socketTimeoutMS=1&tls=true"
    ));
    for expected in [
        "unescaped `@`",
        "a port in host 1",
        "`tls`; give true or false",
        "`socketTimeoutMS`",
        "`tls` twice",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
}

#[test]
fn what_has_no_effect_is_told_unless_it_is_done_anyway() {
    assert_eq!(
        warnings("mongodb://h/?w=majority&retryWrites=true&readPreference=primary&journal=true"),
        [""; 0]
    );
    for option in [
        "w=1",
        "journal=false",
        "readPreference=nearest",
        "readConcernLevel=local",
        "retryWrites=false",
        "wtimeoutMS=5",
    ] {
        let warned = warnings(&format!("mongodb://h/?{option}"));
        let name = option
            .split_once('=')
            .map(|(name, _)| name)
            .unwrap_or_default();
        assert!(
            warned[0].contains(&format!("the option {name} in MONGODB_URI has no effect")),
            "{warned:?}"
        );
    }
}

#[test]
fn atlas_is_known_by_the_names_of_its_hosts() {
    for (uri, atlas) in [
        (
            "mongodb+srv://u:p@cluster0.ab1cd.mongodb.net/?retryWrites=true",
            true,
        ),
        ("mongodb+srv://Cluster0.AB1CD.MongoDB.net.", true),
        (
            "mongodb://h-00-00.ab1cd.mongodb.net:27017,h-00-01.ab1cd.mongodb.net:27017/?tls=true",
            true,
        ),
        ("mongodb://u:p@pl-0-eu-west-3.ab1cd.mongodb.net:1024/", true),
        ("mongodb://u:a.mongodb.net@host:27017/", false),
        ("mongodb://host/?appName=a.mongodb.net", false),
        ("mongodb://mongodb.net.example.com/", false),
        ("mongodb://127.0.0.1:27017", false),
    ] {
        let parsed: MongodbUri = uri.parse().unwrap();
        assert_eq!(parsed.is_of_atlas(), atlas, "{uri}");
    }
}

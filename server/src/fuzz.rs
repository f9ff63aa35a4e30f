//! What is fuzzed: each reader of bytes from outside, as a function of bytes that panics where the
//! reader breaks a promise.
//!
//! `fuzz/run` makes bytes up; the tests here go through those that were worth keeping, which are
//! in `fuzz/corpus`, a folder for each target. No part of the product.

use std::sync::{Arc, LazyLock};

use bson::{DateTime, RawDocument, RawDocumentBuf, Timestamp};
use chrono::TimeDelta;

use crate::{
    access::identities::Identities,
    bytes::{
        checkpoint::{self, Checkpoint, Identity, Validated},
        join_key::JoinKey,
        raw::{self, Elements, ValueRef, Writer, kind},
    },
    config::{Config, MongodbUri, Values},
    domain::{
        enrich::{Stamp, enrich, original},
        judge::{fields, judge},
        order::{Bundle, Order},
        text::{cut, escaped},
        verify::{
            compare::{Match, compare},
            id_key::IdKey,
            metadata::Archived,
        },
    },
    grpc, sockets, store,
    store::encoding::ext_json::{self, Form},
};

/// A reader of bytes.
pub type Target = fn(&[u8]);

/// The readers, by their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("bson", bson),
    ("checkpoint", checkpoint),
    ("cursor", grpc::fuzz::cursor),
    ("identities", identities),
    ("orders", orders),
    ("own_documents", own_documents),
    ("page_token", grpc::fuzz::page_token),
    ("requests", grpc::fuzz::requests),
    ("settings", settings),
    ("tls_files", sockets::fuzz),
    ("uri", uri),
];

/// The documents that lie one behind the other, each as long as its head says: what the database
/// may hand over, which checks lengths and not much more.
fn documents(mut bytes: &[u8]) -> impl Iterator<Item = RawDocumentBuf> {
    std::iter::from_fn(move || {
        let head = bytes.first_chunk().map(|head| i32::from_le_bytes(*head))?;
        let document = bytes.get(..usize::try_from(head).ok()?)?;
        bytes = &bytes[document.len()..];
        let document = RawDocumentBuf::from_bytes(document.to_vec()).ok()?;
        is_sound(raw::elements(document.as_bytes())).then_some(document)
    })
}

/// Whether all lengths are right down to the innermost document, of which there are no more than
/// the database takes.
fn is_sound(elements: Elements<'_>) -> bool {
    fn is_sound_at(mut elements: Elements<'_>, depth: usize) -> bool {
        // (https://www.mongodb.com/docs/manual/reference/limits/)
        const DEEPEST: usize = 180;
        let inner = elements.by_ref().all(|element| match element.value.kind {
            kind::DOCUMENT | kind::ARRAY => {
                let bytes = element.value.bytes;
                let length = bytes.first_chunk().map(|head| i32::from_le_bytes(*head));
                depth < DEEPEST
                    && length.is_some_and(|length| usize::try_from(length) == Ok(bytes.len()))
                    && is_sound_at(element.value.elements(), depth + 1)
            }
            kind::STRING | kind::SYMBOL | kind::CODE => {
                element.value.bytes.len() > 4 && element.value.bytes.ends_with(&[0])
            }
            _ => true,
        });
        inner && elements.left() == 1
    }
    is_sound_at(elements, 0)
}

/// The walk over documents, the keys of values, and documents as text.
fn bson(bytes: &[u8]) {
    for element in raw::elements(bytes) {
        let value = element.value;
        // Whatever lengths it names.
        let _ = (JoinKey::of(value), IdKey::of(value), value.as_str());
        let shown = ext_json::shown(value, 64);
        assert!(shown.len() <= 64, "{shown}");
        let _ = escaped(&cut(&shown, 16));
    }
    for document in documents(bytes) {
        let mut copy = Writer::default();
        for element in raw::elements(document.as_bytes()) {
            copy.value(element.key, element.value);
        }
        assert_eq!(copy.finish(), document);
        for form in [Form::Canonical, Form::Relaxed] {
            let text = ext_json::text(&document, form);
            let json: Result<serde_json::Value, _> = serde_json::from_str(&text);
            // Other than serde_json, the database nests 180 documents.
            let is_deep = json
                .as_ref()
                .is_err_and(|error| error.to_string().contains("recursion"));
            let is_object = json.as_ref().is_ok_and(serde_json::Value::is_object);
            assert!(is_object || is_deep, "{document:?} is told as {text:?}");
        }
    }
}

/// Checkpoints as they are stored, and places that are made checkpoints.
fn checkpoint(bytes: &[u8]) {
    const NOW: Timestamp = Timestamp {
        time: u32::MAX,
        increment: u32::MAX,
    };
    static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity {
        namespace: "livraison.Commande".to_owned(),
        pipeline: "a pipeline".to_owned(),
    });
    let validated = |stored: &[u8]| {
        let value = ValueRef {
            kind: kind::DOCUMENT,
            bytes: stored,
        };
        checkpoint::validate(Some(value), &IDENTITY, NOW)
    };
    if let Validated::Place(place) = validated(bytes) {
        assert_eq!(
            validated(checkpoint::seal(&place, &IDENTITY).as_bytes()),
            Validated::Place(place)
        );
    }
    for position in documents(bytes) {
        let Some(time) = checkpoint::time_of(&position) else {
            continue;
        };
        assert!(!checkpoint::is_after(&position, &position));
        let place = Checkpoint { position, time };
        let sealed = checkpoint::seal(&place, &IDENTITY);
        assert_eq!(validated(sealed.as_bytes()), Validated::Place(place));
    }
}

/// An order with what it refers to, and a document of the archive: what is judged, enriched,
/// rebuilt and compared.
fn orders(bytes: &[u8]) {
    let mut documents = documents(bytes);
    let Some(order) = documents.next() else {
        return;
    };
    let bundle = Bundle {
        order: Order::new(order),
        references: [(); 4].map(|()| documents.next().map(Arc::new)),
        archived: None,
    };
    let order = bundle.order.document();
    let _ = judge(&bundle, "livrée");
    let stamp = Stamp {
        date_archivage: DateTime::from_millis(1_760_624_625_000),
        archived_by: "archd".to_owned(),
    };
    if has_one_id(order) {
        let archived = enrich(&bundle.order, &fields(&bundle), &stamp).document;
        assert_eq!(&*original(&archived), order);
        let read = Archived::read(&archived);
        assert_eq!(compare(order, &read, Match::Id), None, "{archived:?}");
        assert_eq!(compare(order, &read, Match::Number), None, "{archived:?}");
    }
    // Whatever somebody has put into the archive.
    for archived in documents {
        let read = Archived::read(&archived);
        let _ = (
            compare(order, &read, Match::Id),
            compare(order, &read, Match::Number),
        );
        let _ = original(&archived);
    }
}

/// The database stores no document with two.
fn has_one_id(document: &RawDocument) -> bool {
    let names = raw::elements(document.as_bytes()).map(|element| element.key);
    names.filter(|name| *name == b"_id").count() <= 1
}

/// Documents of archd's own, as somebody may have written them.
fn own_documents(bytes: &[u8]) {
    documents(bytes).for_each(|document| store::fuzz::own_document(&document));
}

/// The file of identities.
fn identities(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().count();
    match Identities::parse(&text) {
        Ok(identities) => assert!(identities.len() <= lines),
        Err(bad) => {
            assert!(!bad.is_empty() && bad.is_sorted_by_key(|bad| bad.line));
            for bad in bad {
                assert!((1..=lines).contains(&bad.line), "{bad}");
                assert_eq!(bad.to_string().lines().count(), 1, "{bad}");
            }
        }
    }
}

/// Settings, a line each.
fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    // What the files hold is read as all else is, and which there are depends on the machine.
    let lines = lines.filter(|(name, value)| !name.ends_with("_FILE") && !value.contains("File="));
    let mut sources = [(); 3].map(|()| Values::new());
    for (at, (name, value)) in lines.enumerate() {
        sources[at % 3].insert(name.to_owned(), value.to_owned());
    }
    let [flags, environment, dotenv] = &sources;
    match Config::load(flags, environment, dotenv) {
        Ok(config) => {
            let moment = chrono::DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
            if let Some(schedule) = &config.schedule {
                assert!(schedule.next_after(moment).is_none_or(|next| next > moment));
                let latest = schedule.latest_until(moment);
                assert!(latest.is_none_or(|latest| latest <= moment));
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                let told = problem.to_string();
                assert!(told.lines().count() == 1, "{told:?}");
            }
        }
    }
}

/// Addresses of MongoDB, of which nothing that is told repeats the password.
fn uri(bytes: &[u8]) {
    const PASSWORD: &str = "s3cr3tp4ss";
    let text = String::from_utf8_lossy(bytes);
    if text.contains("s3cr3t") || text.contains("File") {
        return;
    }
    let _ = text.parse::<MongodbUri>();
    for uri in [
        format!("mongodb://user:{PASSWORD}{text}"),
        format!("mongodb://user:{PASSWORD}@{text}"),
        format!("mongodb://user:{text}{PASSWORD}@host:27017/?tls=true"),
        format!("mongodb+srv://user:{text}{PASSWORD}@host/"),
    ] {
        let uri = ("MONGODB_URI".to_owned(), uri);
        let told = match Config::load(&Values::new(), &Values::from([uri]), &Values::new()) {
            Ok(config) => format!("{config:?}"),
            Err(problems) => format!("{problems:?}"),
        };
        assert!(!told.contains(PASSWORD), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, panic::resume_unwind, path::Path, thread};

    use super::*;

    /// Does something with the bytes of each file of the corpus and what reads them, on a stack as
    /// large as those of `archd`.
    #[allow(clippy::print_stdout, reason = "tells which file a reader broke on")]
    fn for_each_file(act: fn(Target, &[u8])) {
        const STACK: usize = 8 * 1024 * 1024;
        let reading = move || {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
            for (name, read) in TARGETS {
                let files = fs::read_dir(corpus.join(name));
                let files = files.unwrap_or_else(|error| panic!("{name}: {error}"));
                let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
                files.sort();
                assert!(!files.is_empty(), "{name} has no corpus");
                for file in files {
                    println!("{}", file.display());
                    act(*read, &fs::read(&file).unwrap());
                }
            }
        };
        let reading = thread::Builder::new().stack_size(STACK).spawn(reading);
        if let Err(panic) = reading.unwrap().join() {
            resume_unwind(panic);
        }
    }

    #[test]
    fn what_was_worth_keeping_breaks_no_reader() {
        for_each_file(|read, bytes| read(bytes));
    }

    #[test]
    fn no_bytes_cut_or_changed_break_a_reader() {
        // What a fuzzer does first: as much of it as can be done at every run.
        for_each_file(|read, bytes| {
            let step = (bytes.len() / 64).max(1);
            for at in (0..bytes.len()).step_by(step) {
                read(&bytes[..at]);
                for flip in [0x01, 0x80, 0xff] {
                    let mut changed = bytes.to_vec();
                    changed[at] ^= flip;
                    read(&changed);
                }
            }
        });
    }
}

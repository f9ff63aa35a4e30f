//! Numbers that the archive holds more than once: finding them, telling of them, and the commands
//! that mend them.

use std::{collections::HashMap, time::Duration};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::order::NUMERO,
    store::{
        Error, Store,
        deployment::shell,
        encoding::{
            document::{joined, raw as raw_document, whole},
            ext_json,
        },
        wire::command::{SIMPLE, commands_for},
    },
};

/// How many are named; the rest is counted.
const MOST: usize = 1_000;
/// How many are shown to a person in a sentence.
const SHOWN: usize = 5;
/// Where a document keeps what it had for a number before it was given another one.
const BEFORE: &str = "numero_commande_avant";

/// What keeps a unique index on the number from being made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeated {
    /// Numbers that several documents have, as Extended JSON: the first thousand.
    pub numbers: Vec<String>,
    /// How many there are beyond these.
    pub more: i64,
    /// How many documents have none, where that are several: to the index, none is a number like
    /// any other.
    pub without: i64,
}

impl Repeated {
    /// Whether nothing repeats.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.without == 0
    }

    /// What is wrong with the archive, in a sentence that begins with its name.
    pub fn sentence(&self, archive: &str) -> String {
        let mut faults = Vec::new();
        if !self.numbers.is_empty() {
            let shown = &self.numbers[..self.numbers.len().min(SHOWN)];
            let rest = self.more + (self.numbers.len() - shown.len()) as i64;
            let rest = match rest {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            let shown = shown.join(", ");
            faults.push(format!(
                "holds one {NUMERO} more than once, for example {shown}{rest}"
            ));
        }
        if self.is_empty() {
            faults.push(format!("holds one {NUMERO} more than once"));
        }
        if self.without > 0 {
            let without = self.without;
            faults.push(format!("holds {without} documents that have no {NUMERO}"));
        }
        format!(
            "{archive} {}, so the unique index can't be made and nothing is archived",
            faults.join(", and ")
        )
    }

    /// What mends it, a command for the shell each. Every document stays, and keeps what it had for
    /// a number in another field.
    pub fn mends(&self, database: &str, archive: &str) -> Vec<String> {
        let archive = shell::collection(database, archive);
        let renumber = |id: &str, name: &str| {
            format!(
                "{archive}.updateOne({{ _id: {id} }}, [{{ $set: {{ {BEFORE}: \"${NUMERO}\", {NUMERO}: \"{name}-\" + new ObjectId() }} }}])"
            )
        };
        let mut mends = Vec::new();
        if self.without > 0 {
            mends.push(format!(
                "{archive}.find({{ $or: [{{ {NUMERO}: null }}, {{ {NUMERO}: {{ $size: 0 }} }}] }}, {{ _id: 1 }}).forEach(order => {})",
                renumber("order._id", "SANS-NUMERO")
            ));
        }
        if !self.numbers.is_empty() {
            mends.push(format!(
                "{archive}.aggregate([{{ $unwind: \"${NUMERO}\" }}, {{ $match: {{ {NUMERO}: {{ $ne: null }} }} }}, \
                 {{ $group: {{ _id: \"${NUMERO}\", ids: {{ $addToSet: \"$_id\" }} }} }}, {{ $match: {{ \"ids.1\": {{ $exists: true }} }} }}], \
                 {{ allowDiskUse: true, collation: {{ locale: \"{SIMPLE}\" }} }}).forEach(number => number.ids.slice(1).forEach(id => {}))",
                renumber("id", "DOUBLE")
            ));
        }
        mends
    }

    /// As it is kept in the state collection.
    pub(in crate::store) fn to_document(&self) -> Document {
        doc! { "numbers": &self.numbers, "more": self.more, "without": self.without }
    }

    /// Reads it from there.
    pub(in crate::store) fn of(document: &Document) -> Repeated {
        let numbers = document.get_array("numbers").map(Vec::as_slice);
        let texts = numbers.unwrap_or_default().iter();
        Repeated {
            numbers: texts
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect(),
            more: whole(document.get("more")),
            without: whole(document.get("without")),
        }
    }

    /// What one refused key of the index tells.
    pub(in crate::store) fn one(key: &RawDocument) -> Repeated {
        let numero = raw::find(key, NUMERO).unwrap_or(ValueRef::NULL);
        if numero.kind == kind::NULL {
            // Two at least: how many is not known yet.
            return Repeated {
                without: 2,
                ..Repeated::default()
            };
        }
        Repeated {
            numbers: vec![ext_json::shown(numero, 64)],
            ..Repeated::default()
        }
    }
}

impl Store {
    /// What the archive holds more than once, as a unique index on the number would see it. Reads
    /// all of it, within this time.
    pub(in crate::store) async fn repeated(&self, limit: Duration) -> Result<Repeated, Error> {
        let number = format!("${NUMERO}");
        // A list is each of its members; an empty one, like no number at all, is a key of its own.
        let keys = doc! { "$cond": [
            { "$eq": [{ "$ifNull": [&number, []] }, []] }, [Bson::Null],
            { "$cond": [{ "$isArray": &number }, { "$setUnion": [&number] }, [&number]] },
        ] };
        let pipeline = [
            doc! { "$project": { "_id": 0, "key": keys } },
            doc! { "$unwind": "$key" },
            doc! { "$group": { "_id": "$key", "n": { "$sum": 1 } } },
            doc! { "$match": { "n": { "$gt": 1 } } },
            doc! { "$facet": {
                "numbers": [{ "$match": { "_id": { "$ne": Bson::Null } } }, { "$sort": { "_id": 1 } }, { "$limit": MOST as i64 }, { "$project": { "n": 0 } }],
                "all": [{ "$match": { "_id": { "$ne": Bson::Null } } }, { "$count": "n" }],
                "without": [{ "$match": { "_id": Bson::Null } }],
            } },
        ];
        let command = RawDocumentBuf::try_from(&doc! {
            "aggregate": &self.names.archive, "pipeline": &pipeline[..], "cursor": {}, "allowDiskUse": true,
            "collation": { "locale": SIMPLE },
        });
        let command = command.expect("a plain pipeline");
        let command = joined(&[&command, &self.read_options_within(limit)]);
        let rows = self.rows_within(limit, command).await?;
        let Some(row) = rows.first() else {
            return Ok(Repeated::default());
        };
        let facet = |name: &str| raw::find(row, name).unwrap_or(ValueRef::NULL).elements();
        let count = |name: &str| {
            let first = facet(name).next();
            first
                .and_then(|row| field(row.value, b"n"))
                .map_or(0, number_in)
        };
        let numbers: Vec<String> = facet("numbers")
            .filter_map(|row| field(row.value, b"_id"))
            .map(|id| ext_json::shown(id, 64))
            .collect();
        Ok(Repeated {
            more: count("all") - numbers.len() as i64,
            without: count("without"),
            numbers,
        })
    }

    /// The numbers that several documents of the archive have, at most `most` of them. Reads all of
    /// it, within this time.
    pub(in crate::store) async fn numbers_held_twice(
        &self,
        most: i64,
        limit: Duration,
    ) -> Result<Vec<Value>, Error> {
        let pipeline = [
            doc! { "$group": { "_id": format!("${NUMERO}"), "n": { "$sum": 1 } } },
            doc! { "$match": { "n": { "$gt": 1 }, "_id": { "$type": "string" } } },
            doc! { "$limit": most },
        ];
        let command = raw_document(&doc! {
            "aggregate": &self.names.archive, "pipeline": &pipeline[..], "cursor": {}, "allowDiskUse": true,
            "collation": { "locale": SIMPLE },
        });
        let command = joined(&[&command, &self.read_options_within(limit)]);
        let rows = self.rows_within(limit, command).await?;
        let numbers = rows.iter().filter_map(|row| raw::find(row, "_id"));
        let numbers = numbers.filter(|number| number.kind == kind::STRING);
        Ok(numbers.map(ValueRef::to_owned).collect())
    }

    /// Which of these numbers the archive holds more than once, as Extended JSON. May read all of
    /// it, within this time.
    pub(super) async fn doubled(
        &self,
        numbers: &[Value],
        limit: Duration,
    ) -> Result<Vec<String>, Error> {
        let commands = commands_for(NUMERO, numbers, |filter| {
            let mut command = Writer::default();
            command
                .string("find", &self.names.archive)
                .document("filter", filter)
                .document("projection", &rawdoc! { "_id": 0, "numero_commande": 1 })
                .document("collation", &rawdoc! { "locale": SIMPLE });
            joined(&[&command.finish(), &self.read_options_within(limit)])
        });
        let mut seen: HashMap<Value, usize> = HashMap::new();
        for command in commands {
            for row in self.rows_within(limit, command).await? {
                let numero = raw::find(&row, NUMERO).unwrap_or(ValueRef::NULL);
                *seen.entry(numero.to_owned()).or_default() += 1;
            }
        }
        let doubled = seen.iter().filter(|(_, times)| **times > 1);
        let mut doubled: Vec<String> = doubled
            .map(|(numero, _)| ext_json::shown(numero.as_ref(), 64))
            .collect();
        doubled.sort();
        Ok(doubled)
    }
}

fn field<'v>(document: ValueRef<'v>, name: &[u8]) -> Option<ValueRef<'v>> {
    let mut fields = document.elements();
    fields
        .find(|field| field.key == name)
        .map(|field| field.value)
}

/// A count as the database answers it.
fn number_in(value: ValueRef<'_>) -> i64 {
    match value.kind {
        kind::INT32 => value
            .fixed()
            .map_or(0, |bytes| i64::from(i32::from_le_bytes(bytes))),
        kind::INT64 => value.fixed().map_or(0, i64::from_le_bytes),
        _ => 0,
    }
}

//! The shape of the archive: what kind of collection it is, and whether one of that kind keeps what
//! is written to it.

use bson::{Bson, Document, doc};

use crate::{
    domain::order::NUMERO,
    store::deployment::{index_spec::IndexSpec, shell},
};

/// What a collection is, as the database lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// `collection`, `view` or `timeseries`; empty where there is none of that name yet.
    kind: String,
    options: Document,
    /// By what it is spread over a sharded cluster; none where it is not.
    shard_key: Option<Document>,
}

/// Why a collection can't be the archive: it would lose orders, or take one twice, in silence.
#[derive(Clone, Debug, PartialEq)]
pub enum Unfit {
    /// It drops the oldest documents for new ones.
    Capped,
    /// It has no unique indexes.
    TimeSeries,
    /// It is a view of this collection.
    View(String),
    /// It drops documents when they reach an age, by this index.
    Expiring(String),
    /// It drops documents when they reach an age, by its clustered index.
    ExpiringClustered,
    /// It is sharded by this key, so that no unique index reaches over all of it.
    Sharded(Document),
}

impl Shape {
    /// Reads a row of `listCollections`, if there is one, and one of `config.collections`.
    pub(in crate::store) fn of(listed: Option<&Document>, sharded: Option<&Document>) -> Shape {
        let text = |field| listed.and_then(|listed| listed.get_str(field).ok());
        let options = listed.and_then(|listed| listed.get_document("options").ok());
        // From 8.0 on a cluster also lists collections that it does not spread.
        let spread = sharded.filter(|row| !row.get_bool("unsplittable").unwrap_or(false));
        Shape {
            kind: text("type").unwrap_or_default().to_owned(),
            options: options.cloned().unwrap_or_default(),
            shard_key: spread.and_then(|row| row.get_document("key").ok().cloned()),
        }
    }

    /// Why no order may be written to it; none when it is as it should be.
    pub(super) fn unfit(&self, indexes: &[IndexSpec]) -> Option<Unfit> {
        let Shape {
            kind,
            options,
            shard_key,
        } = self;
        match kind.as_str() {
            "timeseries" => return Some(Unfit::TimeSeries),
            "view" => {
                let of = options.get_str("viewOn").unwrap_or_default();
                return Some(Unfit::View(of.to_owned()));
            }
            _ => {}
        }
        if options.get_bool("capped").unwrap_or(false) {
            return Some(Unfit::Capped);
        }
        if options.contains_key("expireAfterSeconds") {
            return Some(Unfit::ExpiringClustered);
        }
        if let Some(index) = indexes.iter().find(|index| index.expires_documents()) {
            return Some(Unfit::Expiring(index.name().to_owned()));
        }
        // A unique index of a sharded collection begins with the whole of its key.
        let by_number = |key: &&Document| {
            key.keys().eq([NUMERO]) && key.values().all(|way| !matches!(way, Bson::String(_)))
        };
        shard_key
            .as_ref()
            .filter(|key| !by_number(key))
            .map(|key| Unfit::Sharded(key.clone()))
    }

    /// Whether the database may refuse documents for what is in them.
    pub(super) fn validates(&self) -> bool {
        let option = |name| self.options.get_str(name).unwrap_or_default();
        let validator = self.options.get_document("validator");
        validator.is_ok_and(|validator| !validator.is_empty())
            && option("validationAction") != "warn"
            && option("validationLevel") != "off"
    }
}

impl Unfit {
    /// What is wrong with the archive, in a sentence that begins with its name.
    pub fn sentence(&self, archive: &str) -> String {
        match self {
            Unfit::Capped => format!(
                "{archive} is a capped collection: it drops its oldest orders for new ones, so nothing is archived"
            ),
            Unfit::TimeSeries => format!(
                "{archive} is a time-series collection, which can't keep {NUMERO} unique, so nothing is archived"
            ),
            Unfit::View(of) => {
                format!("{archive} is a view of {of}, so nothing can be archived there")
            }
            Unfit::Expiring(index) => format!(
                "the index {index:?} of {archive} lets documents expire: archived orders would be deleted, so nothing is archived"
            ),
            Unfit::ExpiringClustered => format!(
                "{archive} lets documents expire (expireAfterSeconds): archived orders would be deleted, so nothing is archived"
            ),
            Unfit::Sharded(key) => format!(
                "{archive} is sharded by {key}, so no unique index can keep {NUMERO} unique over all shards, and nothing is archived"
            ),
        }
    }

    /// What mends it, a line each: a command for the shell, or a sentence.
    pub fn mends(&self, database: &str, archive: &str) -> Vec<String> {
        let collection = |name: &str| shell::collection(database, name);
        let this = collection(archive);
        let copy = format!("{archive}_kept");
        match self {
            Unfit::Capped => vec![
                format!("{this}.aggregate([{{ $out: {copy:?} }}])"),
                format!("{}.renameCollection({archive:?}, true)", collection(&copy)),
            ],
            Unfit::TimeSeries => vec![
                format!("{this}.aggregate([{{ $out: {copy:?} }}])"),
                format!("then set ARCHD_COLLECTION_ARCHIVE={copy}"),
            ],
            Unfit::View(of) => vec![format!(
                "set ARCHD_COLLECTION_ARCHIVE={of}, or to the name of another collection"
            )],
            Unfit::Expiring(index) => vec![format!("{this}.dropIndex({index:?})")],
            Unfit::ExpiringClustered => vec![shell::run(
                database,
                &doc! { "collMod": archive, "expireAfterSeconds": "off" },
            )],
            Unfit::Sharded(_) => vec![format!(
                "sh.reshardCollection({:?}, {{ {NUMERO}: 1 }})",
                format!("{database}.{archive}")
            )],
        }
    }
}

/// The command that makes the archive take what its validator refuses.
pub fn drop_validator(database: &str, archive: &str) -> String {
    shell::run(database, &doc! { "collMod": archive, "validator": {} })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(options: Document) -> IndexSpec {
        let mut spec = doc! { "v": 2, "key": { "date": 1 }, "name": "date_1" };
        spec.extend(options);
        IndexSpec::of(doc! { "spec": spec })
    }

    fn listed(kind: &str, options: Document) -> Document {
        doc! { "name": "H", "type": kind, "options": options, "info": { "readOnly": false } }
    }

    #[test]
    fn an_archive_is_refused_for_what_it_would_lose() {
        let of = |kind: &str, options: Document| Shape::of(Some(&listed(kind, options)), None);
        let clustered = doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } };
        for fit in [
            Shape::of(None, None),
            of("collection", doc! {}),
            of("collection", doc! { "capped": false }),
            of("collection", clustered.clone()),
            of("collection", doc! { "validator": { "a": 1 } }),
        ] {
            assert_eq!(fit.unfit(&[index(doc! {})]), None, "{fit:?}");
        }
        let capped = doc! { "capped": true, "size": 100_096, "max": 50 };
        let series = doc! { "timeseries": { "timeField": "t" } };
        let view = doc! { "viewOn": "base", "pipeline": [] };
        let mut old = clustered;
        old.insert("expireAfterSeconds", 3_600_i64);
        for (shape, unfit) in [
            (of("collection", capped), Unfit::Capped),
            (of("timeseries", series), Unfit::TimeSeries),
            (of("view", view), Unfit::View("base".to_owned())),
            (of("collection", old), Unfit::ExpiringClustered),
        ] {
            assert_eq!(shape.unfit(&[]), Some(unfit));
        }
        for expiry in [Bson::Int32(100), Bson::Int64(0), Bson::Double(1e9)] {
            let by = [index(doc! { "expireAfterSeconds": expiry })];
            let unfit = of("collection", doc! {}).unfit(&by);
            assert_eq!(unfit, Some(Unfit::Expiring("date_1".to_owned())));
        }
    }

    #[test]
    fn a_sharded_archive_is_refused_unless_its_number_is_its_shard_key() {
        // Rows of `config.collections`, as a mongos answers them.
        let row = |key: Document| {
            doc! {
                "_id": "livraison.Historique", "lastmodEpoch": bson::oid::ObjectId::new(),
                "lastmod": bson::DateTime::from_millis(1_760_624_625_000),
                "timestamp": bson::Timestamp { time: 1_760_624_625, increment: 3 },
                "uuid": bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![7; 16] },
                "key": key, "unique": false, "noBalance": false,
            }
        };
        let here = listed("collection", doc! {});
        let unfit = |row: &Document| Shape::of(Some(&here), Some(row)).unfit(&[]);
        for bad in [
            doc! { "_id": "hashed" },
            doc! { "_id": 1 },
            doc! { "date_commande": 1 },
            doc! { NUMERO: "hashed" },
            doc! { NUMERO: 1, "_id": 1 },
            doc! { "id_client": 1, NUMERO: 1 },
        ] {
            assert_eq!(unfit(&row(bad.clone())), Some(Unfit::Sharded(bad)));
        }
        for good in [doc! { NUMERO: 1 }, doc! { NUMERO: 1.0 }] {
            assert_eq!(unfit(&row(good)), None);
        }
        let mut kept_together = row(doc! { "_id": 1 });
        kept_together.insert("unsplittable", true);
        assert_eq!(unfit(&kept_together), None);
        assert_eq!(Shape::of(Some(&here), None).unfit(&[]), None);
    }

    #[test]
    fn a_validator_counts_only_where_it_refuses() {
        let with = |options: Document| Shape::of(Some(&listed("collection", options)), None);
        let rule = || doc! { "numero_commande": { "$type": "string" } };
        assert!(with(doc! { "validator": rule() }).validates());
        assert!(with(doc! { "validator": rule(), "validationAction": "error" }).validates());
        for silent in [
            doc! {},
            doc! { "validator": {} },
            doc! { "validator": rule(), "validationAction": "warn" },
            doc! { "validator": rule(), "validationLevel": "off" },
        ] {
            assert!(!with(silent.clone()).validates(), "{silent}");
        }
    }
}

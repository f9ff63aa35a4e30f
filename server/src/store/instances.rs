//! Instances: the heartbeat that each process of archd leaves in the database, with what it
//! holds there.
//!
//! It is what people and `ResumeWatcher` are told of, and by which instances know how many share the
//! partitions of the watch; nothing else: who holds the watch, a partition or a batch is a matter of
//! their own documents.

use std::time::Duration;

use bson::{Bson, DateTime, Document, RawDocument, doc};

use super::{
    Error, Store,
    encoding::document::{joined, raw, whole},
    state::{
        expressions::date_or,
        fault::Fault,
        format::{self, Field, Is, may, must},
        holds::Hold,
        version::{CURRENT, not_newer},
    },
    wire::reply::checked,
};
use crate::{
    bytes::raw::{self, ValueRef},
    store::state::version::FORMAT,
};

/// The fields of a heartbeat.
pub(super) const INSTANCE: &[Field] = &[
    must("_id", Is::Text),
    must("name", Is::Text),
    may("host", Is::Text),
    may("address", Is::Text),
    must("version", Is::Text),
    must("started", Is::Date),
    must("alive_at", Is::Date),
    must("lease", Is::Millis),
    may("may_watch", Is::Flag),
    may("watch_epoch", Is::Whole),
    may("batch", Is::Text),
    may("verification", Is::Text),
    may("index_build", Is::Flag),
    may("shares", Is::Flag),
];

/// How long an instance that is gone is remembered.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);
/// The most that a list of instances may take, in bytes: some thousands.
const LIST_BYTES: usize = 1 << 20;

/// What an instance is, for as long as it runs.
#[derive(Clone, Debug)]
pub struct Description {
    /// Names this very process.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of its machine; empty when that is not known.
    pub host: String,
    /// Where it serves callers, if it does.
    pub address: Option<String>,
    /// Its version.
    pub version: String,
    /// Whether its watcher is on.
    pub may_watch: bool,
}

/// An instance, as it last told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Names this very process.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of its machine; empty when that is not known.
    pub host: String,
    /// Where it serves callers, if it does.
    pub address: Option<String>,
    /// Its version.
    pub version: String,
    /// When it gave its first heartbeat.
    pub started: DateTime,
    /// When it gave its last one.
    pub alive_at: DateTime,
    /// How long it may be silent.
    pub lease: Duration,
    /// Whether it has been silent for longer than that.
    pub gone: bool,
    /// Whether its watcher is on.
    pub may_watch: bool,
    /// The epoch under which it holds the watch.
    pub watch_epoch: Option<i64>,
    /// The batch that it runs.
    pub batch: Option<String>,
    /// The verification that it runs.
    pub verification: Option<String>,
    /// Whether it builds the archive's unique index.
    pub index_build: bool,
    /// Whether it takes its share of the partitions of the watch.
    pub shares: bool,
}

impl Store {
    /// Gives a heartbeat, once.
    pub async fn heartbeat(&self, own: &Description, held: &[Hold]) -> Result<(), Error> {
        let (mut watch, mut batch, mut verification) = (None, None, None);
        for hold in held {
            match hold {
                Hold::Watch(epoch) => watch = Some(*epoch),
                Hold::Batch(id) => batch = Some(id.as_str()),
                Hold::Verification(id) => verification = Some(id.as_str()),
                Hold::IndexBuild | Hold::Partition(_) | Hold::Share => {}
            }
        }
        // Names come from the settings, and may look like an expression.
        let literal = |value: Bson| doc! { "$literal": value };
        let set = doc! {
            FORMAT: CURRENT, "name": literal(own.name.as_str().into()),
            "host": literal(own.host.as_str().into()), "address": literal(own.address.clone().into()),
            "version": literal(own.version.as_str().into()),
            "started": { "$ifNull": ["$started", "$$NOW"] }, "alive_at": "$$NOW",
            "lease": self.lease_millis(), "may_watch": own.may_watch,
            "watch_epoch": literal(watch.into()), "batch": literal(batch.into()),
            "verification": literal(verification.into()), "index_build": held.contains(&Hold::IndexBuild),
            "shares": held.contains(&Hold::Share),
        };
        let statement = doc! {
            "q": { "_id": &own.id, FORMAT: not_newer() }, "u": [{ "$set": set }], "upsert": true,
        };
        self.change_instances("update", "updates", &statement).await
    }

    /// Takes the heartbeat of this process away: it stops in good order.
    pub async fn remove_instance(&self, own: &Description) -> Result<(), Error> {
        let statement = doc! { "q": { "_id": &own.id }, "limit": 1 };
        self.change_instances("delete", "deletes", &statement).await
    }

    /// Forgets the instances that have been gone for a day, and those that this one has followed
    /// under the same name on the same machine.
    pub async fn forget_instances(&self, own: &Description) -> Result<(), Error> {
        let day = i64::try_from(MEMORY.as_millis()).unwrap_or(i64::MAX);
        let alive_at = date_or("alive_at", DateTime::MAX);
        let long_gone = doc! { "$lt": [alive_at, { "$subtract": ["$$NOW", day] }] };
        let same =
            |field: &str, value: &str| doc! { "$eq": [format!("${field}"), { "$literal": value }] };
        let followed =
            doc! { "$and": [same("name", &own.name), same("host", &own.host), self.silent()] };
        let statement = doc! {
            // What can't be read is left for somebody to look at.
            "q": {
                "_id": { "$ne": &own.id }, FORMAT: not_newer(), "alive_at": { "$type": "date" },
                "$expr": { "$or": [long_gone, followed] },
            },
            "hint": { "_id": 1 }, "limit": 0,
        };
        self.change_instances("delete", "deletes", &statement).await
    }

    /// The instances that have not been forgotten: those that live first, each group by name. In
    /// the place of a heartbeat that can't be read stands what is wrong with it. The flag says
    /// whether there are more than are listed.
    pub async fn instances(&self) -> Result<(Vec<Result<Instance, Fault>>, bool), Error> {
        let pipeline = [
            doc! { "$sort": { "_id": 1 } },
            doc! { "$set": { "gone": self.silent() } },
        ];
        let head = doc! {
            "aggregate": &self.names.instances, "pipeline": &pipeline[..], "hint": { "_id": 1 },
            "cursor": {},
        };
        let command = joined(&[&raw(&head), &self.read_options()]);
        let (rows, more) = self.rows_up_to(&command, LIST_BYTES).await?;
        let mut instances: Vec<_> = rows.iter().map(|row| self.instance_of(row)).collect();
        instances.sort_by_cached_key(|instance| match instance {
            Ok(instance) => (instance.gone, instance.name.clone()),
            Err(_) => (true, String::new()),
        });
        Ok((instances, more))
    }

    fn instance_of(&self, row: &RawDocument) -> Result<Instance, Fault> {
        let gone = raw::find(row, "gone").and_then(ValueRef::as_bool) == Some(true);
        let row = format::read(&self.names.instances, INSTANCE, row).map_err(|fault| *fault)?;
        let text = |field| row.get_str(field).ok().map(str::to_owned);
        let date = |field| row.get_datetime(field).copied().unwrap_or(DateTime::MIN);
        Ok(Instance {
            id: text("_id").unwrap_or_default(),
            name: text("name").unwrap_or_default(),
            host: text("host").unwrap_or_default(),
            address: text("address"),
            version: text("version").unwrap_or_default(),
            started: date("started"),
            alive_at: date("alive_at"),
            lease: Duration::from_millis(u64::try_from(whole(row.get("lease"))).unwrap_or(0)),
            gone,
            may_watch: row.get_bool("may_watch").unwrap_or(false),
            watch_epoch: row
                .get("watch_epoch")
                .filter(|epoch| **epoch != Bson::Null)
                .map(|epoch| whole(Some(epoch))),
            batch: text("batch"),
            verification: text("verification"),
            index_build: row.get_bool("index_build").unwrap_or(false),
            shares: row.get_bool("shares").unwrap_or(false),
        })
    }

    /// Sends one statement, once: the next heartbeat comes soon.
    async fn change_instances(
        &self,
        command: &str,
        list: &str,
        statement: &Document,
    ) -> Result<(), Error> {
        let head = raw(&doc! { command: &self.names.instances });
        let command = self.write_command(&head, list, &[raw(statement)]);
        checked(self.run(command).await?).map(|_| ())
    }

    /// The names of the living instances that have their watcher on.
    pub async fn able_instances(&self) -> Result<Vec<String>, Error> {
        let (instances, _) = self.instances().await?;
        let able = instances.into_iter().flatten();
        let able = able.filter(|instance| instance.may_watch && !instance.gone);
        Ok(able.map(|instance| instance.name).collect())
    }

    /// The processes that live and take their share of the partitions; none without the privilege to
    /// see them.
    pub async fn sharing_instances(&self) -> Result<Option<Vec<String>>, Error> {
        let (instances, _) = match self.instances().await {
            Err(Error::Denied { .. }) => return Ok(None),
            instances => instances?,
        };
        let sharing = instances.into_iter().flatten();
        let sharing = sharing.filter(|instance| instance.shares && !instance.gone);
        Ok(Some(sharing.map(|instance| instance.id).collect()))
    }
}

//! Reading jobs: one, the active one, and pages of them.

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

use super::{
    Job,
    record::{BY_TIME, State},
};
use crate::{
    bytes::raw::{self, ValueRef, Writer},
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw},
        state::{fault::Fault, place::Place, version::FORMAT},
    },
};

impl Store {
    /// One job.
    pub async fn job<J: Job>(&self, id: &str) -> Result<Option<J>, Error> {
        self.find_job(doc! { "_id": id }).await
    }

    /// The latest jobs of a kind, by the database's clock: those asked for before the job at this
    /// place, at most `limit`, in one of these states, or in any. None when that job is gone. Of
    /// what may be large in each, a list has only a part: a page with all of it would be too large
    /// for many clients.
    ///
    /// In the place of a job that can't be read stands what is wrong with it.
    pub async fn jobs<J: Job>(
        &self,
        states: &[State],
        below: &Place,
        limit: usize,
    ) -> Result<Option<Vec<Result<J, Fault>>>, Error> {
        let collection = (J::KIND.collection)(&self.names);
        let mut query = doc! {};
        if !states.is_empty() {
            let names = states.iter().map(|state| state.name());
            query.insert("state", doc! { "$in": names.collect::<Vec<_>>() });
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut fields: Document = J::KIND
            .fields
            .iter()
            .map(|it| (it.name().to_owned(), Bson::Int32(1)))
            .collect();
        fields.insert(FORMAT, 1);
        fields.extend(J::read_in_lists());
        let walk = doc! {
            "find": collection, "filter": query, "sort": { "created": -1, "_id": -1 }, "hint": BY_TIME,
            "skip": below.passed, "limit": limit, "projection": fields,
        };
        let mut command = joined(&[&raw(&walk), &self.read_options()]);
        if let Some(below) = &below.after {
            let id = field("_id", below.as_ref());
            let by_id = field("_id", document_value(&field("$eq", below.as_ref())));
            let mut of = Writer::default();
            of.string("find", collection)
                .document("filter", &by_id)
                .document("projection", &rawdoc! { "created": 1 });
            let of = joined(&[&of.finish(), &self.read_options()]);
            let rows = self.rows(&of).await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            // A bound of the index, unlike a condition, has jobs of other types on its other side
            // too.
            let created = raw::find(row, "created").unwrap_or(ValueRef::NULL);
            let place = joined(&[&field("created", created), &id]);
            let mut max = Writer::default();
            max.document("max", &place);
            command = joined(&[&command, &max.finish()]);
        }
        let rows = self.rows(&command).await?;
        let read = |row: &RawDocumentBuf| match self.job_of::<J>(row) {
            Ok(job) => Ok(Ok(job.in_list(row))),
            Err(Error::State(fault)) => Ok(Err(*fault)),
            Err(error) => Err(error),
        };
        rows.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// What is wrong with the job that is active, so that nobody can go on with it.
    pub(in crate::store) async fn check_active_job<J: Job>(&self) -> Result<(), Error> {
        let head = doc! {
            "find": (J::KIND.collection)(&self.names), "filter": { "active": true }, "limit": 1,
        };
        let find = joined(&[&raw(&head), &self.read_options()]);
        let rows = self.rows(&find).await?;
        let found = rows.first().map(|row| self.whole_job_of::<J>(row));
        found.transpose().map(drop)
    }

    /// The job that is active, if one is.
    pub(super) async fn active_job<J: Job>(&self) -> Result<Option<J>, Error> {
        self.find_job(doc! { "active": true }).await
    }

    pub(super) async fn find_job<J: Job>(&self, query: Document) -> Result<Option<J>, Error> {
        let head = doc! {
            "find": (J::KIND.collection)(&self.names), "filter": query, "limit": 1,
            "projection": J::KIND.without_private(),
        };
        let rows = self
            .rows(&joined(&[&raw(&head), &self.read_options()]))
            .await?;
        rows.first().map(|row| self.job_of(row)).transpose()
    }
}

//! Lists of differences, in the order of their classes.

use bson::{doc, rawdoc};

use super::{
    record::{BY_CLASS, Difference},
    write::Differences,
};
use crate::{
    domain::verify::class::Class,
    store::{Error, encoding::document::raw},
};

/// How many of each class are told with a verification.
const EXAMPLES: usize = 10;

impl Differences {
    /// Differences of these classes, or of all, at most so many, behind the one of this class and
    /// name. Those that are still to be read again are left out.
    pub async fn page(
        &self,
        classes: &[Class],
        behind: Option<(Class, &str)>,
        limit: usize,
    ) -> Result<Vec<Difference>, Error> {
        let wanted = |class: &Class| classes.is_empty() || classes.contains(class);
        let mut found = Vec::new();
        for class in Class::ALL.into_iter().filter(wanted) {
            let after = match behind {
                Some((last, _)) if class < last => continue,
                Some((last, id)) if class == last => Some(id),
                _ => None,
            };
            let mut query = doc! {
                "verification": &self.verification, "rank": class.rank(), "settled": true,
            };
            if let Some(after) = after {
                query.insert("_id", doc! { "$gt": after });
            }
            let along = rawdoc! { "sort": { "_id": 1 }, "hint": BY_CLASS };
            let rows = self.find(&raw(&query), &along, limit - found.len()).await?;
            for row in &rows {
                found.push(self.store.difference_of(row)?);
            }
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// The first differences of each class.
    pub async fn examples(&self) -> Result<Vec<Difference>, Error> {
        let mut examples = Vec::new();
        for class in Class::ALL {
            examples.extend(self.page(&[class], None, EXAMPLES).await?);
        }
        Ok(examples)
    }

    /// Those with these numbers, in the order of their classes.
    pub async fn with_numbers(&self, numbers: &[String]) -> Result<Vec<Difference>, Error> {
        let query = doc! {
            "verification": &self.verification, "settled": true,
            crate::domain::order::NUMERO: { "$in": numbers },
        };
        let along = rawdoc! { "sort": { "rank": 1, "_id": 1 }, "hint": BY_CLASS };
        let rows = self.find(&raw(&query), &along, 0).await?;
        rows.iter()
            .map(|row| self.store.difference_of(row))
            .collect()
    }
}

//! Views: what archd can't do with them, and where they are none the worse.

use crate::{
    domain::order::Reference,
    store::{Error, Store},
};

impl Store {
    /// What the batch can say of reference collections that are views: they serve as well as what
    /// is behind them.
    pub async fn view_warnings(&self) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        for reference in Reference::ALL {
            let (collection, field) = (self.names.of(reference), reference.id_field());
            if let Err(error) = self.indexes(collection).await {
                if error.is_of_a_view() {
                    warnings.push(format!(
                        "{collection} is a view, and has no indexes of its own: joins are quick if the collection behind it has one on {field}"
                    ));
                } else if error.is_transient() {
                    return Err(error);
                }
            }
        }
        Ok(warnings)
    }
}

//! Views: what archd can't do with them, and where they are none the worse.

use crate::{
    domain::order::Reference,
    store::{Error, Store},
};

/// CommandNotSupportedOnView, OptionNotSupportedOnView, and InvalidPipelineOperator, which is said
/// of a `find` that had to become a pipeline because of a view.
const ON_A_VIEW: [i32; 3] = [166, 167, 168];

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

    /// The same error, unless the orders turn out to be a view.
    pub(in crate::store) fn named_if_view(&self, error: Error) -> Error {
        match error {
            error if error.is_of_a_view() => Error::IsView {
                collection: self.names.orders.clone(),
            },
            error => error,
        }
    }
}

impl Error {
    /// Whether the database refused because it was asked of a view.
    pub(in crate::store) fn is_of_a_view(&self) -> bool {
        matches!(self, Error::Refused { code, .. } if ON_A_VIEW.contains(code))
    }
}

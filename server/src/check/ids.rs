//! Judging the ids that orders refer by. Pure.

use super::finding::Finding;
use crate::{
    domain::{judge::Field, order::Reference},
    store::deployment::id_types::UnjoinableIds,
};

/// On ids of types that join nothing, among so many documents.
pub(super) fn ids(unjoinable: &[UnjoinableIds], looked_at: usize) -> Finding {
    const NAME: &str = "ids";
    if unjoinable.is_empty() {
        return Finding::ok(
            NAME,
            format!("of {looked_at} documents looked at, all have ids that join"),
        );
    }
    let found: Vec<String> = unjoinable.iter().map(sentence).collect();
    Finding::warning(
        NAME,
        found.join("; "),
        "store these ids as numbers, texts or ObjectIds, alike in the orders and in what they refer to; what is archived before stays incomplete",
    )
}

fn sentence(ids: &UnjoinableIds) -> String {
    let types: Vec<String> = ids
        .types
        .iter()
        .map(|(of_type, times)| format!("{times} of type {of_type}"))
        .collect();
    let fields: Vec<&str> = fields(ids.reference)
        .iter()
        .map(|field| field.name())
        .collect();
    format!(
        "{} of {}: {} among {} looked at, which join nothing: such orders are archived without {}",
        ids.reference.id_field(),
        ids.collection,
        types.join(", "),
        ids.looked_at,
        fields.join(", "),
    )
}

/// What an order misses whose id of this kind joins nothing.
fn fields(reference: Reference) -> &'static [Field] {
    match reference {
        Reference::Client => &[Field::NomClient, Field::EmailClient],
        Reference::Livreur => &[Field::NomLivreur],
        Reference::Restaurant => &[Field::NomRestaurant],
        Reference::Menu => &[Field::NomMenu, Field::PrixMenu],
    }
}

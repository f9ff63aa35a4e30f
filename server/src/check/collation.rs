//! Judging the collation of the archive. Pure.

use bson::Document;

use super::finding::Finding;
use crate::config::Config;

/// On a collation of the archive, under which the `_id`s of two orders may be one; nothing is said
/// where there is none.
pub(super) fn of_archive(config: &Config, collation: &Document) -> Finding {
    let archive = &config.collections.archive;
    let locale = collation.get_str("locale").unwrap_or_default();
    let strength = collation.get_i32("strength").unwrap_or(3);
    let folds = match strength {
        1 => "its accents or its case",
        2 => "its case",
        _ => "characters that are not seen, or are spelt in another way",
    };
    Finding::warning(
        "collation of the archive",
        format!(
            "{archive} compares texts as {locale:?} does, with strength {strength}: of two orders whose `_id`s are texts and differ in {folds} alone, the second goes to quarantine; batches ask the archive for each order, and are slower"
        ),
        format!(
            "nothing, if `_id`s are no texts; else make {archive} anew without a collation, and copy its documents there while archd is stopped"
        ),
    )
}

//! Finds variables that look like settings and are none: whoever set them expects something of
//! them.

use strsim::levenshtein;

use super::{sources::Sources, table::SETTINGS};

/// A sentence about the variables of the environment and of `.env` that are named like a setting
/// and are none.
///
/// They are never a reason to refuse: Kubernetes gives every pod variables such as
/// `ARCHD_PORT=tcp://…` for a service named archd.
pub(super) fn warning(sources: &Sources<'_>) -> Option<String> {
    let known: Vec<String> = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.name.to_owned()), setting.file_name()])
        .flatten()
        .collect();
    let mut unknown = Vec::new();
    for (values, origin) in [
        (sources.environment, "environment"),
        (sources.dotenv, ".env file"),
    ] {
        for name in values.keys().filter(|name| !known.contains(name)) {
            let upper = name.to_ascii_uppercase();
            match known.iter().find(|known| levenshtein(&upper, known) <= 2) {
                Some(meant) => unknown.push(format!("{name} ({origin}; is {meant} meant?)")),
                None if upper.starts_with("ARCHD_") => unknown.push(format!("{name} ({origin})")),
                None => {}
            }
        }
    }
    (!unknown.is_empty()).then(|| {
        format!(
            "ignored, as no setting has such a name: {}",
            unknown.join(", ")
        )
    })
}

//! Finds variables that look like settings and are none: whoever set them expects something of them.

use super::{SETTINGS, sources::Sources};

/// A sentence about the variables of the environment and of `.env` that are named like a setting and are none.
///
/// They are never a reason to refuse: Kubernetes gives every pod variables such as `ARCHD_PORT=tcp://…` for a service named archd.
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
            match known.iter().find(|known| distance(&upper, known) <= 2) {
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

/// How many bytes have to be added, dropped or changed to make one name the other (Levenshtein).
pub(super) fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_edits() {
        for (from, to, edits) in [
            ("ARCHD_LOG", "ARCHD_LOG", 0),
            ("ARCHD_LISTN", "ARCHD_LISTEN", 1),
            ("ARCHD_LISTNE", "ARCHD_LISTEN", 2),
            ("", "LOG", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
            assert_eq!(distance(to, from), edits, "{to} {from}");
        }
    }
}

//! The ledger: whether it is intact, and its entries as a table.

use order_archiver_api::{progress::words, statistics::thousands, v1::LedgerEntry};
use serde_json::Value;

use super::{
    grid::{self, Fit},
    ids, paint,
    units::moment,
};
use crate::{ledger::Intact, values};

/// That the ledger is intact, and below it the newest entries.
pub(crate) fn intact(intact: &Intact, newest: &[LedgerEntry]) -> String {
    let verdict = paint::well(&verdict(intact));
    match newest {
        [] => verdict,
        newest => format!("{verdict}\n\n{}", table(newest)),
    }
}

/// That the ledger is intact, in one line.
pub(crate) fn verdict(intact: &Intact) -> String {
    let entries = match intact.entries {
        0 => return "The ledger is intact: it has no entries yet.".to_owned(),
        1 => "1 entry".to_owned(),
        entries => format!("{} entries", thousands(entries)),
    };
    let newest = &intact.newest;
    match intact.expected {
        Some(expected) if expected < intact.entries => format!(
            "The ledger is intact: {entries}, the expected hash in entry {}, newest {newest}",
            thousands(expected)
        ),
        Some(_) => format!("The ledger is intact: {entries}, newest {newest}, as expected"),
        None => format!("The ledger is intact: {entries}, newest {newest}"),
    }
}

/// Entries, one a row.
pub(crate) fn table(entries: &[LedgerEntry]) -> String {
    let header = [
        "ENTRY",
        "ENDED",
        "VERDICT",
        "SCOPE",
        "DEPTH",
        "DELIVERED",
        "VERIFIED",
        "VERIFICATION",
        "HASH",
    ];
    let records: Vec<Value> = entries
        .iter()
        .map(|entry| serde_json::from_str(&entry.record).unwrap_or_default())
        .collect();
    let verifications = records.iter().map(|record| text(record, "verification"));
    let verifications: Vec<String> = verifications.collect();
    let length = ids::length(verifications.iter().map(String::as_str));
    let length_of_hash = ids::length(entries.iter().map(|entry| entry.hash.as_str()));
    let rows = entries.iter().zip(&records).zip(&verifications);
    let rows = rows.map(|((entry, record), verification)| {
        let ended = text(record, "ended");
        [
            thousands(entry.sequence),
            values::moment(&ended).map_or(ended, |time| moment(&time)),
            word(record, "verdict", "VERDICT_"),
            word(record, "scope", "VERIFICATION_SCOPE_"),
            word(record, "depth", "VERIFICATION_DEPTH_"),
            count(record, "delivered"),
            count(record, "verified"),
            ids::short(verification, length),
            ids::short(&entry.hash, length_of_hash),
        ]
    });
    let fit = Fit {
        numbers: &["ENTRY", "DELIVERED", "VERIFIED"],
        long: &[],
        spare: &[
            "VERIFICATION",
            "DEPTH",
            "DELIVERED",
            "VERIFIED",
            "SCOPE",
            "ENDED",
        ],
    };
    grid::fitted(header, &fit, rows)
}

/// A text of a record; a dash where there is none.
fn text(record: &Value, name: &str) -> String {
    record[name].as_str().unwrap_or("-").to_owned()
}

/// A name of the contract in words, with its prefix or without.
fn word(record: &Value, name: &str, prefix: &str) -> String {
    words(&text(record, name), prefix)
}

fn count(record: &Value, name: &str) -> String {
    let count = record["counts"][name].as_i64();
    count.map_or_else(|| "-".to_owned(), thousands)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_verdict_says_where_the_expected_hash_is() {
        let of = |entries, expected| {
            let newest = "ab".to_owned();
            let intact = Intact {
                entries,
                newest,
                expected,
            };
            verdict(&intact)
        };
        for (told, wanted) in [
            (of(0, None), "it has no entries yet."),
            (of(1, None), "1 entry, newest ab"),
            (
                of(1_200, Some(1_200)),
                "1,200 entries, newest ab, as expected",
            ),
            (
                of(1_200, Some(7)),
                "1,200 entries, the expected hash in entry 7, newest ab",
            ),
        ] {
            assert_eq!(told, format!("The ledger is intact: {wanted}"));
        }
    }

    #[test]
    fn an_entry_is_a_row_and_an_odd_one_too() {
        let record = json!({
            "ledger": 1, "sequence": 1, "previous": "", "verification": "v-1",
            "ended": "2025-10-16T14:23:45Z", "verdict": "not_verified", "scope": "full",
            "depth": "content", "counts": { "delivered": 1_234, "verified": 1_229 },
        });
        let entries = [(1, record.to_string()), (2, "odd".to_owned())];
        let entries = entries.map(|(sequence, record)| LedgerEntry {
            sequence,
            record,
            hash: "ab".to_owned(),
        });
        assert_eq!(
            table(&entries),
            "\
ENTRY  ENDED                 VERDICT       SCOPE  DEPTH    DELIVERED  VERIFIED  VERIFICATION  HASH
    1  2025-10-16 14:23:45Z  not verified  full   content      1,234     1,229  v-1           ab
    2  -                     -             -      -                -         -  -             ab"
        );
    }
}

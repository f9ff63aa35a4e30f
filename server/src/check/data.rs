//! Judging the data: the collections, their indexes, and what the archive holds already. Pure.

use super::finding::Finding;
use crate::{
    config::{Config, table},
    store::{
        archive::scan_limit::STRETCH,
        collections::{CollectionSummary, Sample},
        deployment::indexes::AbsentIndex,
        state::fault::Fault,
    },
};

/// How many names of other collections are shown to somebody who may have misspelt one.
const MOST_NAMES: usize = 10;

/// On the collections that archd reads and their archive, in the order of [`read`]; and the names
/// of all others.
pub(super) fn collections(
    config: &Config,
    summaries: &[CollectionSummary],
    others: &[String],
) -> Finding {
    const NAME: &str = "collections";
    let shown = |holding: &CollectionSummary| match holding.documents {
        Some(documents) => format!("{} {documents}", holding.name),
        None => format!("no {}", holding.name),
    };
    let shown: Vec<String> = summaries.iter().map(shown).collect();
    let found = format!("{}: {}", config.database, shown.join(", "));
    let (live, archive) = read(config);
    let misses =
        |holding: &CollectionSummary| holding.documents.is_none() && holding.name != archive;
    let missing: Vec<&str> = summaries
        .iter()
        .filter(|holding| misses(holding))
        .map(|holding| holding.name.as_str())
        .collect();
    if missing.is_empty() {
        return Finding::ok(NAME, found);
    }
    let settings: Vec<&str> = live
        .iter()
        .filter(|(name, _)| missing.contains(name))
        .map(|(_, setting)| *setting)
        .collect();
    let what = match missing.contains(&config.collections.orders.as_str()) {
        true => "without orders there is nothing to archive",
        false => "orders that refer to them will be archived as incomplete",
    };
    let mut fix = format!(
        "nothing, if they are only to be filled; else correct {}, {}",
        table::MONGODB_DATABASE.name,
        settings.join(", "),
    );
    if !others.is_empty() {
        let names = &others[..others.len().min(MOST_NAMES)];
        fix.push_str(&format!("\nthe database also has {}", names.join(", ")));
    }
    Finding::warning(
        NAME,
        format!("{found}; {} can't be seen: {what}", missing.join(", ")),
        fix,
    )
}

/// The collections that archd only reads, each with its setting, and the archive.
pub(super) fn read(config: &Config) -> ([(&str, &'static str); 5], &str) {
    let names = &config.collections;
    let live = [
        (names.orders.as_str(), table::COLLECTION_ORDERS.name),
        (names.clients.as_str(), table::COLLECTION_CLIENTS.name),
        (names.couriers.as_str(), table::COLLECTION_COURIERS.name),
        (
            names.restaurants.as_str(),
            table::COLLECTION_RESTAURANTS.name,
        ),
        (names.menus.as_str(), table::COLLECTION_MENUS.name),
    ];
    (live, names.archive.as_str())
}

/// On the indexes that archiving is slow without.
pub(super) fn indexes(config: &Config, absent: &[AbsentIndex]) -> Finding {
    const NAME: &str = "indexes";
    if absent.is_empty() {
        return Finding::ok(NAME, "joins and batches find their documents by an index");
    }
    let found: Vec<String> = absent.iter().map(AbsentIndex::sentence).collect();
    let mend = |index: &AbsentIndex| index.mend(&config.database);
    let mut fixes: Vec<String> = absent.iter().filter_map(mend).collect();
    if absent.iter().any(|index| index.instead.is_none()) {
        fixes.push("or start the batch with --create-indexes".to_owned());
    } else if fixes.is_empty() {
        fixes.push("nothing, if that is soon over".to_owned());
    }
    Finding::warning(NAME, found.join("; "), fixes.join("\n"))
}

/// On the indexes that lists of the archive would be quick with. Archiving needs none of them, so
/// nothing is amiss.
pub(super) fn lists(commands: &[String]) -> Finding {
    const NAME: &str = "lists";
    match commands {
        [] => Finding::ok(
            NAME,
            "lists by client, restaurant and menu have their indexes",
        ),
        commands => Finding::ok(
            NAME,
            format!(
                "without an index lists by client, restaurant or menu look at {STRETCH} archived orders a page; who needs them often makes one: {}",
                commands.join("; ")
            ),
        ),
    }
}

/// On archived orders that lie under another `_id` than the order.
pub(super) fn archived_ids(config: &Config, sample: &Sample) -> Finding {
    const NAME: &str = "archived orders";
    let Sample {
        compared,
        otherwise,
    } = sample;
    let orders = &config.collections.orders;
    let archive = &config.collections.archive;
    if otherwise.is_empty() {
        let found = match compared {
            0 => format!("none of a sample is still delivered in {orders}"),
            _ => format!("{compared} of a sample are still in {orders}, and have its `_id`"),
        };
        return Finding::ok(NAME, found);
    }
    Finding::warning(
        NAME,
        format!(
            "of {compared} that are still in {orders}, {} have another `_id` in {archive}, for example {}: archd takes each for another order under the same number, and puts it in quarantine",
            otherwise.len(),
            otherwise[0],
        ),
        format!(
            "take the orders that are archived out of {orders}\nor store each archived document anew under the `_id` of its order, then archctl quarantine retry"
        ),
    )
}

/// On the documents that archd keeps for itself.
pub(super) fn state(faults: &[Fault]) -> Finding {
    const NAME: &str = "state";
    /// So many are named; `archd state` names them all.
    const NAMED: usize = 3;
    let Some(first) = faults.first() else {
        return Finding::ok(NAME, "every document of archd's own can be read");
    };
    let named: Vec<String> = faults.iter().take(NAMED).map(Fault::to_string).collect();
    let found = match faults.len().saturating_sub(NAMED) {
        0 => named.join("; "),
        more => format!("{}; and {more} more", named.join("; ")),
    };
    let fix = match faults.iter().find(|fault| !fault.is_newer()) {
        Some(fault) => format!(
            "archd state lists them all; archd state --set-aside '{}' moves one out of the way",
            fault.name()
        ),
        None => format!("run the newer archd that wrote {}", first.name()),
    };
    Finding::failed(NAME, found, fix)
}

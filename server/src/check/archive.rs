//! Judging the archive: whether it keeps what is written to it, and each number once. Pure.

use super::finding::Finding;
use crate::{
    config::Config,
    domain::order::NUMERO,
    store::{
        Error,
        archive::{
            look::Archive,
            repeated::Repeated,
            shape::{self, Unfit},
            unique_index::{self, Guard},
        },
        deployment::shell,
    },
};

/// On what kind of collection the archive is.
pub(super) fn shape(config: &Config, archive: &Archive) -> Finding {
    const NAME: &str = "archive";
    let (database, name) = (&config.database, &config.collections.archive);
    if let Some(unfit) = archive.unfit() {
        let mends = unfit.mends(database, name);
        return Finding::failed(NAME, unfit.sentence(name), mends.join("\n"));
    }
    if archive.validates() {
        return Finding::warning(
            NAME,
            format!("{name} has a validator: orders that it refuses go to quarantine"),
            shape::drop_validator(database, name),
        );
    }
    Finding::ok(NAME, format!("{name} keeps what is written to it"))
}

/// On what keeps the archive's numbers unique. `repeated` hinders an index that is missing;
/// `progress` is that of one being built.
pub(super) fn unique_index(
    config: &Config,
    archive: &Archive,
    repeated: Result<Repeated, Error>,
    progress: Option<String>,
) -> Finding {
    const NAME: &str = "unique index";
    let (database, name) = (&config.database, &config.collections.archive);
    if let Some(Unfit::TimeSeries | Unfit::View(_)) = archive.unfit() {
        return Finding::not_checked(NAME, "such an archive can't have one");
    }
    let make = archive.make_unique(database, name);
    match (archive.guard(), repeated) {
        (Guard::Kept, _) => Finding::ok(NAME, format!("{name} holds each {NUMERO} once")),
        (Guard::Hidden(index), _) => Finding::warning(
            NAME,
            format!(
                "{name} holds each {NUMERO} once, by the index {index:?}, which is hidden from queries: looking up a number reads all of it"
            ),
            format!(
                "{}.unhideIndex({index:?})",
                shell::collection(database, name)
            ),
        ),
        (Guard::Hindered(index), _) => Finding::failed(
            NAME,
            unique_index::hindered(name, &index),
            format!("{}\n{make}", unique_index::drop(database, name, &index)),
        ),
        (Guard::Building, _) => {
            let progress = progress.map_or(String::new(), |progress| format!(": {progress}"));
            Finding::failed(
                NAME,
                format!(
                    "the unique index on {NUMERO} of {name} is still being built, and nothing is archived before it is finished{progress}"
                ),
                "nothing: archd goes on by itself once it is finished",
            )
        }
        (Guard::Missing, Ok(repeated)) if repeated.is_empty() => {
            Finding::warning(NAME, unmade(name, ""), make)
        }
        (Guard::Missing, Ok(repeated)) => {
            let mut mends = repeated.mends(database, name);
            mends.push(make);
            mends.push(format!(
                "every document stays: all but one of each number get a number of their own, and keep the old one as numero_commande_avant; \
                 look at them first if they may be one order, with {}.find({{ {NUMERO}: … }})",
                shell::collection(database, name)
            ));
            Finding::failed(NAME, repeated.sentence(name), mends.join("\n"))
        }
        (Guard::Missing, Err(error)) => Finding::warning(
            NAME,
            unmade(
                name,
                &format!(", and whether a number repeats could not be found out: {error}"),
            ),
            make,
        ),
    }
}

/// On what else may keep an order out of the archive; none where nothing does.
pub(super) fn other_unique_indexes(config: &Config, archive: &Archive) -> Option<Finding> {
    let (database, name) = (&config.database, &config.collections.archive);
    let others = archive.other_unique_indexes();
    if others.is_empty() {
        return None;
    }
    let named: Vec<String> = others
        .iter()
        .map(|(index, key)| format!("{index:?} on {key}"))
        .collect();
    let drops: Vec<String> = others
        .iter()
        .map(|(index, _)| unique_index::drop(database, name, index))
        .collect();
    Some(Finding::warning(
        "other unique indexes",
        format!(
            "{name} has further unique indexes: {}; orders with values there that an archived order has go to quarantine",
            named.join(", ")
        ),
        drops.join("\n"),
    ))
}

fn unmade(archive: &str, more: &str) -> String {
    format!("{archive} has no unique index on {NUMERO} yet; archd makes it when it starts{more}")
}

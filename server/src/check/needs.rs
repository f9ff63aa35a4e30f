//! Needs: what archd's own calls do to each collection, by the settings and the deployment. Pure.

use crate::{
    config::{Config, Profile},
    store::{
        Names,
        deployment::{access::Resource, indexes::AbsentIndex, inspector::Kind},
    },
};

/// What archd does to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) resource: Resource,
    pub(super) actions: Vec<&'static str>,
    /// What is lost without it; none when archd can't archive without it.
    pub(super) lost: Option<&'static str>,
}

/// Everything that archd does on such a deployment. `absent` are the indexes that a batch can be
/// told to make.
pub(super) fn needs(
    config: &Config,
    names: &Names,
    kind: &Kind,
    absent: &[AbsentIndex],
) -> Vec<Need> {
    let need = |collection: &str, actions: &[&'static str]| Need {
        resource: Resource::collection(&config.database, collection),
        actions: actions.to_vec(),
        lost: None,
    };
    let streams = *kind != Kind::Standalone;
    let mut needs: Vec<Need> = std::iter::once(&names.orders)
        .chain(names.references())
        .map(|collection| need(collection, &["find", "listIndexes"]))
        .collect();
    if streams && config.watch {
        needs[0].actions.push("changeStream");
    }
    needs.push(need(
        &names.archive,
        &["find", "insert", "createIndex", "listIndexes"],
    ));
    // What kind of collection the archive is, the database tells only in the list of all.
    needs.push(need("", &["listCollections"]));
    if *kind == Kind::Sharded {
        needs.push(Need {
            resource: Resource::collection("config", "collections"),
            ..need("", &["find"])
        });
    }
    let quarantine = ["find", "insert", "update", "remove"];
    needs.push(need(
        &names.quarantine,
        &[&quarantine[..], &["createIndex"]].concat(),
    ));
    needs.push(need(&names.quarantine_bytes, &quarantine));
    for collection in [&names.batches, &names.verifications, &names.counters] {
        needs.push(need(
            collection,
            &["find", "insert", "update", "createIndex"],
        ));
    }
    needs.push(need(&names.ledger, &["find", "insert", "createIndex"]));
    needs.push(need(
        &names.acknowledgements,
        &["find", "insert", "update", "createIndex"],
    ));
    needs.push(need(&names.replaced, &["find", "createIndex"]));
    needs.push(need(&names.audit, &["find", "createIndex"]));
    needs.push(need(
        &names.differences,
        &["find", "insert", "update", "remove", "createIndex"],
    ));
    needs.push(need(&names.state, &["find", "insert", "update"]));
    needs.push(need(
        &names.instances,
        &["find", "insert", "update", "remove"],
    ));

    let mut want = |resource: Resource, actions: &[&'static str], lost: &'static str| {
        needs.push(Need {
            resource,
            actions: actions.to_vec(),
            lost: Some(lost),
        });
    };
    let of = |collection: &str| Resource::collection(&config.database, collection);
    want(
        Resource::Cluster,
        &["inprog"],
        "nobody can tell how far the build of the unique index is",
    );
    let lost = "RepairOrders can archive what is missing, and replace nothing";
    want(of(&names.archive), &["remove"], lost);
    want(of(&names.replaced), &["insert", "remove"], lost);
    let lost = "calls that need the right to destroy are refused, and those that need to operate are told of in the log alone";
    want(of(&names.audit), &["insert", "update", "remove"], lost);
    if streams {
        if !config.watch {
            want(
                of(&names.orders),
                &["changeStream"],
                "`archd watch` can't watch",
            );
        }
        want(of(""), &["find", "changeStream"], "TailEvents is refused");
        want(
            Resource::Cluster,
            &["replSetGetStatus", "replSetGetConfig"],
            "--max-lag looks at the majority instead of each secondary, and this check can't count the members",
        );
        want(
            Resource::collection("local", "oplog.rs"),
            &["find"],
            "nobody can tell how far back the history reaches",
        );
    }
    if config.profile == Profile::Simulation {
        want(of(&names.orders), &["insert", "update"], "SeedData fails");
        for reference in names.references() {
            want(of(reference), &["insert"], "SeedData fails");
        }
    }
    let mut incomplete: Vec<&str> = absent.iter().map(|index| &*index.collection).collect();
    incomplete.dedup();
    for collection in incomplete {
        want(of(collection), &["createIndex"], "--create-indexes fails");
    }
    needs
}

/// The needs as one sentence.
pub(super) fn listed(needs: &[Need]) -> String {
    let sentence = |need: &Need| {
        let resource = match &need.resource {
            Resource::Anything => "everything".to_owned(),
            Resource::Cluster => "the cluster".to_owned(),
            Resource::Collection {
                database,
                collection,
            } if collection.is_empty() => format!("all of {database}"),
            Resource::Collection {
                database,
                collection,
            } => format!("{database}.{collection}"),
        };
        format!("{} on {resource}", need.actions.join(", "))
    };
    let sentences: Vec<String> = needs.iter().map(sentence).collect();
    sentences.join("; ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::config::Values;

    const ABSENT: &str = "Client";

    /// The needs under these settings, in a database named d.
    pub(in crate::check) fn needs_with(pairs: &[(&str, &str)], kind: Kind) -> (Config, Vec<Need>) {
        let pairs = pairs.iter().chain(&[("MONGODB_DATABASE", "d")]);
        let values = Values::from_iter(pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let config = Config::load(&Values::new(), &values, &Values::new()).unwrap();
        let names = Names::new(&config.collections);
        let absent = AbsentIndex {
            collection: ABSENT.to_owned(),
            key: bson::doc! { "id_client": 1 },
            without: "",
            instead: None,
            name: "id_client_1".to_owned(),
        };
        let needs = needs(&config, &names, &kind, &[absent]);
        (config, needs)
    }

    pub(in crate::check) fn set() -> Kind {
        Kind::ReplicaSet("rs0".to_owned())
    }

    #[test]
    fn what_is_wanted_depends_on_the_settings_and_the_deployment() {
        let wants = |pairs: &[(&str, &str)], kind: Kind| {
            let (_, needs) = needs_with(pairs, kind);
            let (needed, optional): (Vec<Need>, Vec<Need>) =
                needs.into_iter().partition(|need| need.lost.is_none());
            (listed(&needed[..1]), listed(&optional))
        };
        let inprog = "inprog on the cluster; remove on d.Historique; insert, remove on d.archd_replaced; insert, update, remove on d.archd_audit";
        let streams = "find, changeStream on all of d; replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs";
        let index = "createIndex on d.Client";
        let read = "find, listIndexes on d.Commande".to_owned();
        let watched = "find, listIndexes, changeStream on d.Commande".to_owned();
        let seeded = "insert, update on d.Commande; insert on d.Client; insert on d.Livreur; insert on d.Restaurants; insert on d.Menu";
        let no_watch = ("ARCHD_WATCH", "false");
        let simulation = ("ARCHD_PROFILE", "simulation");
        assert_eq!(
            wants(&[], set()),
            (watched.clone(), format!("{inprog}; {streams}; {index}"))
        );
        assert_eq!(
            wants(&[no_watch], set()),
            (
                read.clone(),
                format!("{inprog}; changeStream on d.Commande; {streams}; {index}")
            )
        );
        assert_eq!(
            wants(&[], Kind::Standalone),
            (read, format!("{inprog}; {index}"))
        );
        assert_eq!(
            wants(&[simulation], set()),
            (watched, format!("{inprog}; {streams}; {seeded}; {index}"))
        );
    }
}

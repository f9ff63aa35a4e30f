//! Needs: what archd's own calls do to each collection, by the settings and the deployment. Pure.

use super::Feature;
use crate::{
    config::{Config, Profile},
    store::{
        Names,
        deployment::{access::Resource, inspector::Kind},
    },
};

/// What archd does to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) resource: Resource,
    pub(crate) actions: Vec<&'static str>,
    /// What it does it for.
    pub(crate) feature: Feature,
}

/// Everything that archd does on such a deployment. `indexed` are the live collections whose
/// indexes a batch may be told to make.
pub(crate) fn needs<'c>(
    config: &Config,
    kind: &Kind,
    indexed: impl IntoIterator<Item = &'c str>,
) -> Vec<Need> {
    let names = Names::new(&config.collections);
    let of = |collection: &str| Resource::collection(&config.database, collection);
    let mut needs = Vec::new();
    let mut need = |feature: Feature, resource: Resource, actions: &[&'static str]| {
        needs.push(Need {
            resource,
            actions: actions.to_vec(),
            feature,
        });
    };
    let streams = *kind != Kind::Standalone;
    let live = || std::iter::once(&names.orders).chain(names.references());
    for collection in live() {
        need(Feature::Archiving, of(collection), &["find"]);
    }
    if streams && config.watch {
        need(Feature::Watching, of(&names.orders), &["changeStream"]);
    }
    need(
        Feature::Archiving,
        of(&names.archive),
        &["find", "insert", "createIndex", "listIndexes"],
    );
    // What kind of collection the archive is, the database tells only in the list of all.
    need(Feature::Archiving, of(""), &["listCollections"]);
    if *kind == Kind::Sharded {
        let spread = Resource::collection("config", "collections");
        need(Feature::Archiving, spread, &["find"]);
    }
    let kept = ["find", "insert", "update", "remove"];
    let indexed_too = ["find", "insert", "update", "createIndex"];
    let own: [(Feature, &String, &[&'static str]); 13] = [
        (
            Feature::Quarantine,
            &names.quarantine,
            &["find", "insert", "update", "remove", "createIndex"],
        ),
        (Feature::Quarantine, &names.quarantine_bytes, &kept),
        (Feature::Batches, &names.batches, &indexed_too),
        (Feature::Verifications, &names.verifications, &indexed_too),
        (Feature::Counters, &names.counters, &indexed_too),
        (
            Feature::Verifications,
            &names.ledger,
            &["find", "insert", "createIndex"],
        ),
        (
            Feature::Acknowledgements,
            &names.acknowledgements,
            &indexed_too,
        ),
        (Feature::Replaced, &names.replaced, &["find", "createIndex"]),
        (
            Feature::Verifications,
            &names.differences,
            &["find", "insert", "update", "remove", "createIndex"],
        ),
        (
            Feature::Audit,
            &names.audit,
            &["find", "insert", "update", "remove", "createIndex"],
        ),
        (Feature::State, &names.state, &["find", "insert", "update"]),
        (Feature::Instances, &names.instances, &kept),
        (Feature::Replacing, &names.replaced, &["insert", "remove"]),
    ];
    for (feature, collection, actions) in own {
        need(feature, of(collection), actions);
    }

    need(Feature::Replacing, of(&names.archive), &["remove"]);
    need(Feature::BuildProgress, Resource::Cluster, &["inprog"]);
    for collection in live() {
        need(Feature::LiveIndexes, of(collection), &["listIndexes"]);
    }
    if streams {
        if !config.watch {
            need(Feature::WatchAlone, of(&names.orders), &["changeStream"]);
        }
        need(Feature::Events, of(""), &["find", "changeStream"]);
    }
    // What a router has no answer to is not asked of it.
    if matches!(kind, Kind::ReplicaSet(_)) {
        need(
            Feature::Members,
            Resource::Cluster,
            &["replSetGetStatus", "replSetGetConfig"],
        );
        let history = Resource::collection("local", "oplog.rs");
        need(Feature::Reach, history, &["find"]);
    }
    if config.profile == Profile::Simulation {
        need(Feature::Seeding, of(&names.orders), &["insert", "update"]);
        for reference in names.references() {
            need(Feature::Seeding, of(reference), &["insert"]);
        }
    }
    for collection in indexed {
        need(Feature::MakingIndexes, of(collection), &["createIndex"]);
    }
    needs
}

/// The same for whichever indexes may come to be missing.
pub(crate) fn all_needs(config: &Config, kind: &Kind) -> Vec<Need> {
    let names = Names::new(&config.collections);
    let live = std::iter::once(&names.orders).chain(names.references());
    needs(config, kind, live.map(String::as_str))
}

/// The needs as one sentence.
pub(crate) fn listed(needs: &[Need]) -> String {
    let needs = needs.iter();
    super::listed(needs.map(|need| (&need.resource, need.actions.as_slice())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Values;

    /// The needs under these settings, in a database named d.
    pub(crate) fn needs_with(pairs: &[(&str, &str)], kind: &Kind) -> (Config, Vec<Need>) {
        let pairs = pairs.iter().chain(&[("MONGODB_DATABASE", "d")]);
        let values = Values::from_iter(pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let config = Config::load(&Values::new(), &values, &Values::new()).unwrap();
        let needs = needs(&config, kind, ["Client"]);
        (config, needs)
    }

    pub(crate) fn set() -> Kind {
        Kind::ReplicaSet("rs0".to_owned())
    }

    #[test]
    fn what_is_needed_depends_on_the_settings_and_the_deployment() {
        let without = |needs: &[Need], kind: &Kind, pairs: &[(&str, &str)]| {
            let (_, others) = needs_with(pairs, kind);
            let only = needs.iter().filter(|need| !others.contains(need));
            listed(&only.cloned().collect::<Vec<_>>())
        };
        let (no_watch, simulation) = (
            [("ARCHD_WATCH", "false")],
            [("ARCHD_PROFILE", "simulation")],
        );
        let (_, usual) = needs_with(&[], &set());
        let members = "replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs";
        assert_eq!(
            without(&usual, &Kind::Standalone, &[]),
            format!("changeStream on d.Commande; find, changeStream on all of d; {members}")
        );
        let (_, sharded) = needs_with(&[], &Kind::Sharded);
        assert_eq!(without(&usual, &Kind::Sharded, &[]), members);
        assert_eq!(without(&sharded, &set(), &[]), "find on config.collections");
        let (_, made_up) = needs_with(&simulation, &set());
        assert_eq!(
            without(&made_up, &set(), &[]),
            "insert, update on d.Commande; insert on d.Client; insert on d.Livreur; insert on d.Restaurants; insert on d.Menu"
        );
        // Without a watcher it is wanted for another reason alone.
        let (_, unwatched) = needs_with(&no_watch, &set());
        let change_stream = |needs: &[Need]| {
            let orders = Resource::collection("d", "Commande");
            let mut found = needs
                .iter()
                .filter(|need| need.resource == orders && need.actions.contains(&"changeStream"));
            found.next().unwrap().feature
        };
        assert_eq!(change_stream(&usual), Feature::Watching);
        assert_eq!(change_stream(&unwatched), Feature::WatchAlone);
    }

    #[test]
    fn each_feature_takes_a_privilege_and_is_told_of_by_a_sentence_of_its_own() {
        let mut needs = needs_with(&[("ARCHD_PROFILE", "simulation")], &set()).1;
        needs.extend(needs_with(&[("ARCHD_WATCH", "false")], &set()).1);
        let mut features: Vec<Feature> = Vec::new();
        for need in &needs {
            assert!(!need.actions.is_empty());
            if !features.contains(&need.feature) {
                features.push(need.feature);
            }
        }
        assert_eq!(features.len(), 20, "{features:?}");
        let mut lost: Vec<&str> = features.iter().map(|feature| feature.lost()).collect();
        lost.sort_unstable();
        lost.dedup();
        assert_eq!(lost.len(), features.len());
    }
}

//! Judging the privileges: what archd's own calls need on each collection against what the user has. Pure.

use serde_json::json;

use super::finding::Finding;
use crate::{
    config::{Config, Profile},
    store::{
        Names,
        access::{Access, Resource, User},
        inspect::Kind,
    },
};

/// What archd does to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    resource: Resource,
    actions: Vec<&'static str>,
    /// What is lost without it; none when archd can't archive without it.
    lost: Option<&'static str>,
}

/// Everything that archd does on such a deployment. `absent` are the indexes that a batch can be told to make.
pub(super) fn needs(
    config: &Config,
    names: &Names,
    kind: &Kind,
    absent: &[(String, &'static str)],
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
    for collection in [&names.quarantine, &names.quarantine_bytes] {
        needs.push(need(collection, &["find", "insert", "update", "remove"]));
    }
    for collection in [&names.batches, &names.counters] {
        needs.push(need(
            collection,
            &["find", "insert", "update", "createIndex"],
        ));
    }
    needs.push(need(&names.state, &["find", "insert", "update"]));

    let mut want = |resource: Resource, actions: &[&'static str], lost: &'static str| {
        needs.push(Need {
            resource,
            actions: actions.to_vec(),
            lost: Some(lost),
        });
    };
    let of = |collection: &str| Resource::collection(&config.database, collection);
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
            &["replSetGetStatus"],
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
    for (collection, _) in absent {
        want(of(collection), &["createIndex"], "--create-indexes fails");
    }
    needs
}

/// On what archd can't archive without.
pub(super) fn needed(config: &Config, access: &Access, needs: &[Need]) -> Finding {
    const NAME: &str = "privileges";
    let user = match access {
        Access::User(user) => user,
        Access::Open => {
            return Finding::ok(
                NAME,
                "there is no access control: whoever reaches the database may do everything",
            );
        }
        Access::Nobody => {
            return Finding::failed(
                NAME,
                "the database asks for a user, and MONGODB_URI names none",
                "put a user and its password into MONGODB_URI: mongodb://user:password@host:27017/?replicaSet=name",
            );
        }
    };
    let missing = missing(user, needs, |need| need.lost.is_none());
    if missing.is_empty() {
        return Finding::ok(
            NAME,
            format!(
                "user {:?} may do everything that archiving takes",
                user.name
            ),
        );
    }
    let role = format!("archd_{}", config.database);
    Finding::failed(
        NAME,
        format!("user {:?} lacks {}", user.name, listed(&missing)),
        grant(user, &role, &missing),
    )
}

/// On what archd can do without; none where nothing more could be wanted.
pub(super) fn optional(config: &Config, access: &Access, needs: &[Need]) -> Option<Finding> {
    const NAME: &str = "optional privileges";
    let Access::User(user) = access else {
        return None;
    };
    let missing = missing(user, needs, |need| need.lost.is_some());
    if missing.is_empty() {
        return Some(Finding::ok(
            NAME,
            format!("user {:?} has them too", user.name),
        ));
    }
    let mut lost: Vec<&str> = Vec::new();
    for reason in missing.iter().filter_map(|need| need.lost) {
        if !lost.contains(&reason) {
            lost.push(reason);
        }
    }
    let role = format!("archd_{}_optional", config.database);
    Some(Finding::warning(
        NAME,
        format!(
            "user {:?} lacks {}: {}",
            user.name,
            listed(&missing),
            lost.join("; ")
        ),
        grant(user, &role, &missing),
    ))
}

/// The part of the needs of a kind that the user does not have.
fn missing(user: &User, needs: &[Need], kind: impl Fn(&Need) -> bool) -> Vec<Need> {
    let lacking = |need: &Need| {
        let lacks = |action: &&&str| !user.may(action, &need.resource);
        Need {
            actions: need.actions.iter().filter(lacks).copied().collect(),
            ..need.clone()
        }
    };
    let kind = needs.iter().filter(|need| kind(need));
    let missing = kind.map(lacking);
    missing.filter(|need| !need.actions.is_empty()).collect()
}

fn listed(needs: &[Need]) -> String {
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

/// The commands that give a user what it lacks, by a role of its own.
fn grant(user: &User, role: &str, missing: &[Need]) -> String {
    // Only a role of `admin` may hold privileges on another database, or on the cluster.
    const HOME: &str = "admin";
    let privilege = |need: &Need| {
        let resource = match &need.resource {
            Resource::Anything => json!({ "anyResource": true }),
            Resource::Cluster => json!({ "cluster": true }),
            Resource::Collection {
                database,
                collection,
            } => json!({ "db": database, "collection": collection }),
        };
        json!({ "resource": resource, "actions": need.actions })
    };
    let privileges: serde_json::Value = missing.iter().map(privilege).collect();
    let held = (role.to_owned(), HOME.to_owned());
    if user.roles.contains(&held) {
        return format!("db.getSiblingDB({HOME:?}).grantPrivilegesToRole({role:?}, {privileges})");
    }
    let new = json!({ "role": role, "privileges": privileges, "roles": [] });
    let roles = json!([{ "role": role, "db": HOME }]);
    format!(
        "db.getSiblingDB({HOME:?}).createRole({new})\ndb.getSiblingDB({:?}).grantRolesToUser({:?}, {roles})",
        user.database, user.name,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{config::Values, store::access::Grant};

    const ABSENT: &str = "Client";

    /// The needs under these settings, in a database named d.
    fn needs_with(pairs: &[(&str, &str)], kind: Kind) -> (Config, Vec<Need>) {
        let pairs = pairs.iter().chain(&[("MONGODB_DATABASE", "d")]);
        let values = Values::from_iter(pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let config = Config::load(&Values::new(), &values, &Values::new()).unwrap();
        let names = Names::new(&config.collections);
        let needs = needs(&config, &names, &kind, &[(ABSENT.to_owned(), "id_client")]);
        (config, needs)
    }

    fn set() -> Kind {
        Kind::ReplicaSet("rs0".to_owned())
    }

    fn grant_of(need: &Need) -> Grant {
        Grant {
            resource: need.resource.clone(),
            actions: need
                .actions
                .iter()
                .map(|&action| action.to_owned())
                .collect(),
        }
    }

    fn user(grants: Vec<Grant>) -> User {
        User {
            name: "u".to_owned(),
            database: "x".to_owned(),
            roles: Vec::new(),
            grants,
        }
    }

    #[test]
    fn each_privilege_that_is_missing_is_found_alone() {
        let (_, mut needs) = needs_with(&[("ARCHD_PROFILE", "simulation")], set());
        // It would stand in for the same on each collection.
        needs.retain(|need| need.resource != Resource::collection("d", ""));
        for (index, need) in needs.iter().enumerate() {
            for action in &need.actions {
                let mut grants: Vec<Grant> = needs.iter().map(grant_of).collect();
                assert_eq!(missing(&user(grants.clone()), &needs, |_| true), []);
                grants[index].actions.retain(|granted| granted != action);
                let only = Need {
                    actions: vec![action],
                    ..need.clone()
                };
                assert_eq!(missing(&user(grants), &needs, |_| true), [only]);
            }
        }
    }

    #[test]
    fn a_privilege_on_more_is_one_on_each() {
        let grant = |resource: Resource, actions: &[&str]| Grant {
            resource,
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        };
        let (_, needs) = needs_with(&[], set());
        let everything = [
            "find",
            "insert",
            "update",
            "remove",
            "createIndex",
            "listIndexes",
            "changeStream",
        ];
        let database = Resource::collection("d", "");
        let table = [
            (
                vec![grant(database.clone(), &everything)],
                "replSetGetStatus on the cluster; find on local.oplog.rs",
            ),
            (
                vec![grant(Resource::collection("", ""), &everything)],
                "replSetGetStatus on the cluster; find on local.oplog.rs",
            ),
            (vec![grant(Resource::Anything, &["anyAction"])], ""),
            (
                vec![
                    grant(database, &everything[1..]),
                    grant(Resource::collection("", "Commande"), &["find"]),
                ],
                "find on d.Client; find on d.Livreur; find on d.Restaurants; find on d.Menu; find on d.Historique; \
                 find on d.archd_quarantine; find on d.archd_quarantine_bytes; find on d.archd_batches; find on d.archd_counters; \
                 find on d.archd_state; find on all of d; replSetGetStatus on the cluster; find on local.oplog.rs",
            ),
        ];
        for (grants, expected) in table {
            let missing = missing(&user(grants.clone()), &needs, |_| true);
            assert_eq!(listed(&missing), expected, "{grants:?}");
        }
    }

    #[test]
    fn what_is_wanted_depends_on_the_settings_and_the_deployment() {
        let wants = |pairs: &[(&str, &str)], kind: Kind| {
            let (_, needs) = needs_with(pairs, kind);
            let (needed, optional): (Vec<Need>, Vec<Need>) =
                needs.into_iter().partition(|need| need.lost.is_none());
            (listed(&needed[..1]), listed(&optional))
        };
        let streams = "find, changeStream on all of d; replSetGetStatus on the cluster; find on local.oplog.rs";
        let index = "createIndex on d.Client";
        let read = "find, listIndexes on d.Commande".to_owned();
        let watched = "find, listIndexes, changeStream on d.Commande".to_owned();
        let seeded = "insert, update on d.Commande; insert on d.Client; insert on d.Livreur; insert on d.Restaurants; insert on d.Menu";
        let no_watch = ("ARCHD_WATCH", "false");
        let simulation = ("ARCHD_PROFILE", "simulation");
        assert_eq!(
            wants(&[], set()),
            (watched.clone(), format!("{streams}; {index}"))
        );
        assert_eq!(
            wants(&[no_watch], set()),
            (
                read.clone(),
                format!("changeStream on d.Commande; {streams}; {index}")
            )
        );
        assert_eq!(wants(&[], Kind::Standalone), (read, index.to_owned()));
        assert_eq!(
            wants(&[simulation], set()),
            (watched, format!("{streams}; {seeded}; {index}"))
        );
    }

    #[test]
    fn the_fix_is_a_role_of_what_is_missing() {
        let (config, needs) = needs_with(&[], set());
        let mut grants: Vec<Grant> = needs.iter().map(grant_of).collect();
        let archive = Resource::collection("d", "Historique");
        grants.retain(|grant| grant.resource != archive && grant.resource != Resource::Cluster);
        let mut user = user(grants);
        let access = |user: &User| Access::User(user.clone());
        let privileges = r#"[{"resource":{"db":"d","collection":"Historique"},"actions":["insert","createIndex","listIndexes"]}]"#;
        let finding = needed(&config, &access(&user), &needs);
        assert_eq!(
            finding.found,
            "user \"u\" lacks insert, createIndex, listIndexes on d.Historique"
        );
        assert_eq!(
            finding.fix.unwrap(),
            format!(
                "db.getSiblingDB(\"admin\").createRole({{\"role\":\"archd_d\",\"privileges\":{privileges},\"roles\":[]}})\n\
                 db.getSiblingDB(\"x\").grantRolesToUser(\"u\", [{{\"role\":\"archd_d\",\"db\":\"admin\"}}])"
            )
        );
        let optional = optional(&config, &access(&user), &needs).unwrap();
        let fix = optional.fix.unwrap();
        assert!(fix.contains(r#"createRole({"role":"archd_d_optional","privileges":[{"resource":{"cluster":true},"actions":["replSetGetStatus"]}]"#), "{fix}");

        // A role that the user has by now can't be created again.
        user.roles.push(("archd_d".to_owned(), "admin".to_owned()));
        assert_eq!(
            needed(&config, &access(&user), &needs).fix.unwrap(),
            format!("db.getSiblingDB(\"admin\").grantPrivilegesToRole(\"archd_d\", {privileges})")
        );
    }
}

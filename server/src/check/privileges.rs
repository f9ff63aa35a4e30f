//! Judging the privileges: what archd needs against what the user has. Pure.

use serde_json::json;

use super::{
    finding::Finding,
    needs::{Need, listed},
};
use crate::{
    config::Config,
    store::deployment::access::{Access, Resource, User},
};

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
    use crate::{
        check::needs::tests::{needs_with, set},
        store::deployment::access::Grant,
    };

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
            "listCollections",
        ];
        let database = Resource::collection("d", "");
        let table = [
            (
                vec![grant(database.clone(), &everything)],
                "inprog on the cluster; replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs",
            ),
            (
                vec![grant(Resource::collection("", ""), &everything)],
                "inprog on the cluster; replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs",
            ),
            (vec![grant(Resource::Anything, &["anyAction"])], ""),
            (
                vec![
                    grant(database, &everything[1..]),
                    grant(Resource::collection("", "Commande"), &["find"]),
                ],
                "find on d.Client; find on d.Livreur; find on d.Restaurants; find on d.Menu; find on d.Historique; \
                 find on d.archd_quarantine; find on d.archd_quarantine_bytes; find on d.archd_batches; find on d.archd_verifications; \
                 find on d.archd_counters; find on d.archd_ledger; find on d.archd_acknowledgements; find on d.archd_replaced; find on d.archd_audit; \
                 find on d.archd_differences; find on d.archd_state; find on d.archd_instances; inprog on the cluster; find on all of d; replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs",
            ),
        ];
        for (grants, expected) in table {
            let missing = missing(&user(grants.clone()), &needs, |_| true);
            assert_eq!(listed(&missing), expected, "{grants:?}");
        }
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
        assert!(fix.contains(r#"createRole({"role":"archd_d_optional","privileges":[{"resource":{"cluster":true},"actions":["inprog"]},{"resource":{"db":"d","collection":"Historique"},"actions":["remove"]},{"resource":{"cluster":true},"actions":["replSetGetStatus","replSetGetConfig"]}]"#), "{fix}");

        // A role that the user has by now can't be created again.
        user.roles.push(("archd_d".to_owned(), "admin".to_owned()));
        assert_eq!(
            needed(&config, &access(&user), &needs).fix.unwrap(),
            format!("db.getSiblingDB(\"admin\").grantPrivilegesToRole(\"archd_d\", {privileges})")
        );
    }
}

//! Privileges: what archd's calls to the database take, by the settings and the deployment, and what
//! its user lacks of that or has beyond it. Pure.

mod atlas;
mod feature;
pub(crate) mod needs;
mod role;

pub(crate) use self::{feature::Feature, needs::Need, role::Role};

use crate::store::deployment::access::{Grant, Resource, User};

/// The part of the needs that the user does not have.
pub(crate) fn missing(user: &User, needs: &[Need]) -> Vec<Need> {
    let lacking = |need: &Need| {
        let lacks = |action: &&&str| !user.may(action, &need.resource);
        Need {
            actions: need.actions.iter().filter(lacks).copied().collect(),
            ..need.clone()
        }
    };
    let missing = needs.iter().map(lacking);
    missing.filter(|need| !need.actions.is_empty()).collect()
}

/// What the user may do and archd does not. A privilege on more than archd needs it on is one too
/// many as a whole.
pub(crate) fn superfluous(user: &User, needs: &[Need]) -> Vec<Grant> {
    let mut superfluous: Vec<Grant> = Vec::new();
    for grant in &user.grants {
        let needed = |action: &String| {
            needs.iter().any(|need| {
                need.resource == grant.resource && need.actions.contains(&action.as_str())
            })
        };
        let more = grant.actions.iter().filter(|action| !needed(action));
        let more: Vec<String> = more.cloned().collect();
        if more.is_empty() {
            continue;
        }
        // Several roles may give the same.
        match superfluous
            .iter_mut()
            .find(|known| known.resource == grant.resource)
        {
            Some(known) => {
                for action in more {
                    if !known.actions.contains(&action) {
                        known.actions.push(action);
                    }
                }
            }
            None => superfluous.push(Grant {
                resource: grant.resource.clone(),
                actions: more,
            }),
        }
    }
    superfluous
}

/// What is lost without these, each sentence once.
pub(crate) fn losses(missing: &[Need]) -> Vec<&'static str> {
    let mut lost: Vec<&str> = Vec::new();
    for need in missing {
        let reason = need.feature.lost();
        if !lost.contains(&reason) {
            lost.push(reason);
        }
    }
    lost
}

/// Privileges as one sentence: on what, and which.
pub(crate) fn listed<'p, A: AsRef<str> + 'p>(
    privileges: impl Iterator<Item = (&'p Resource, &'p [A])>,
) -> String {
    let sentence = |(resource, actions): (&Resource, &[A])| {
        let actions: Vec<&str> = actions.iter().map(AsRef::as_ref).collect();
        format!("{} on {resource}", actions.join(", "))
    };
    privileges.map(sentence).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::{
        needs::tests::{needs_with, set},
        *,
    };

    fn grant_of(need: &Need) -> Grant {
        grant(need.resource.clone(), &need.actions)
    }

    fn grant(resource: Resource, actions: &[&str]) -> Grant {
        Grant {
            resource,
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
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

    fn superfluous_of(user: &User, needs: &[Need]) -> String {
        let more = superfluous(user, needs);
        listed(
            more.iter()
                .map(|grant| (&grant.resource, grant.actions.as_slice())),
        )
    }

    #[test]
    fn a_user_with_exactly_the_needs_lacks_nothing_and_one_with_an_action_less_lacks_that() {
        let (_, mut needs) = needs_with(&[("ARCHD_PROFILE", "simulation")], &set());
        // It would stand in for the same on each collection.
        needs.retain(|need| need.resource != Resource::collection("d", ""));
        for (index, need) in needs.iter().enumerate() {
            for action in &need.actions {
                let mut grants: Vec<Grant> = needs.iter().map(grant_of).collect();
                assert_eq!(missing(&user(grants.clone()), &needs), []);
                grants[index].actions.retain(|granted| granted != action);
                let only = Need {
                    actions: vec![action],
                    ..need.clone()
                };
                assert_eq!(missing(&user(grants), &needs), [only]);
            }
        }
    }

    #[test]
    fn a_privilege_on_more_is_one_on_each() {
        let (_, needs) = needs_with(&[], &set());
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
        let of_the_cluster = "inprog on the cluster; replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs";
        let table = [
            (vec![grant(database.clone(), &everything)], of_the_cluster),
            (
                vec![grant(Resource::collection("", ""), &everything)],
                of_the_cluster,
            ),
            (vec![grant(Resource::Anything, &["anyAction"])], ""),
            (
                vec![
                    grant(database, &everything[1..]),
                    grant(Resource::collection("", "Commande"), &["find"]),
                ],
                "find on d.Client; find on d.Livreur; find on d.Restaurants; find on d.Menu; find on d.Historique; \
                 find on d.archd_quarantine; find on d.archd_quarantine_bytes; find on d.archd_batches; find on d.archd_verifications; \
                 find on d.archd_counters; find on d.archd_ledger; find on d.archd_acknowledgements; find on d.archd_replaced; \
                 find on d.archd_differences; find on d.archd_audit; find on d.archd_state; find on d.archd_instances; inprog on the cluster; find on all of d; replSetGetStatus, replSetGetConfig on the cluster; find on local.oplog.rs",
            ),
        ];
        for (grants, expected) in table {
            let missing = missing(&user(grants.clone()), &needs);
            assert_eq!(needs::listed(&missing), expected, "{grants:?}");
        }
    }

    #[test]
    fn what_is_granted_beyond_the_needs_or_on_more_is_superfluous() {
        let (_, needs) = needs_with(&[], &set());
        let exactly: Vec<Grant> = needs.iter().map(grant_of).collect();
        assert_eq!(superfluous_of(&user(exactly.clone()), &needs), "");
        let orders = Resource::collection("d", "Commande");
        let table = [
            (
                grant(orders.clone(), &["find", "remove"]),
                "remove on d.Commande",
            ),
            (
                grant(Resource::collection("d", ""), &["find", "insert"]),
                "insert on all of d",
            ),
            (
                grant(Resource::collection("", "Commande"), &["find"]),
                "find on Commande of every database",
            ),
            (
                grant(Resource::collection("other", ""), &["find"]),
                "find on all of other",
            ),
            (
                grant(Resource::Anything, &["anyAction"]),
                "anyAction on everything",
            ),
            (
                grant(Resource::Cluster, &["inprog", "shutdown"]),
                "shutdown on the cluster",
            ),
        ];
        for (more, expected) in table {
            // Two roles that give the same are told of once.
            let grants = [&exactly[..], &[more.clone(), more]].concat();
            assert_eq!(superfluous_of(&user(grants), &needs), expected);
        }
    }

    #[test]
    fn the_smallest_role_gives_all_needs_and_nothing_else_and_can_spare_no_action() {
        for pairs in [
            &[("ARCHD_PROFILE", "simulation")][..],
            &[("ARCHD_WATCH", "false")],
        ] {
            let (_, needs) = needs_with(pairs, &set());
            let role = Role::of("r".to_owned(), &needs);
            let grants: Vec<Grant> = role
                .privileges()
                .iter()
                .map(|(resource, actions)| grant(resource.clone(), actions))
                .collect();
            assert_eq!(missing(&user(grants.clone()), &needs), []);
            assert_eq!(superfluous_of(&user(grants.clone()), &needs), "");
            for (index, privilege) in grants.iter().enumerate() {
                for action in &privilege.actions {
                    let mut fewer = grants.clone();
                    fewer[index].actions.retain(|granted| granted != action);
                    let missing = missing(&user(fewer), &needs);
                    let told = |need: &Need| {
                        need.actions == [action.as_str()]
                            && privilege.resource.covers(&need.resource)
                    };
                    assert!(
                        !missing.is_empty() && missing.iter().all(told),
                        "{action}: {missing:?}"
                    );
                }
            }
        }
    }
}

//! Judging the privileges: what archd needs against what the user has. Pure.

use super::finding::Finding;
use crate::{
    config::Config,
    privileges::{
        self, Need, Role, losses,
        needs::{all_needs, listed},
        superfluous,
    },
    store::deployment::{
        access::{Access, User},
        inspector::Kind,
    },
};

/// The role that gives exactly what archd does by these settings.
pub(super) fn role(config: &Config, kind: &Kind) -> Role {
    Role::of(
        format!("archd_{}", config.database),
        &all_needs(config, kind),
    )
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
    let missing = missing(user, needs, true);
    if missing.is_empty() {
        return Finding::ok(
            NAME,
            format!(
                "user {:?} may do everything that archiving takes",
                user.name
            ),
        );
    }
    let fix = granted(config, user, needs, "", &missing);
    Finding::failed(NAME, lacks(user, &missing), fix)
}

/// On what archd can do without; none where nothing more could be wanted.
pub(super) fn optional(config: &Config, access: &Access, needs: &[Need]) -> Option<Finding> {
    const NAME: &str = "optional privileges";
    let Access::User(user) = access else {
        return None;
    };
    let missing = missing(user, needs, false);
    if missing.is_empty() {
        return Some(Finding::ok(
            NAME,
            format!("user {:?} has them too", user.name),
        ));
    }
    let fix = granted(config, user, needs, "_optional", &missing);
    Some(Finding::warning(NAME, lacks(user, &missing), fix))
}

/// On what the user may do and archd does not; none where there is no user.
pub(super) fn beyond(config: &Config, access: &Access, kind: &Kind) -> Option<Finding> {
    const NAME: &str = "superfluous privileges";
    let Access::User(user) = access else {
        return None;
    };
    let more = superfluous(user, &all_needs(config, kind));
    if more.is_empty() {
        return Some(Finding::ok(
            NAME,
            format!("user {:?} may do nothing that archd does not", user.name),
        ));
    }
    let more = more
        .iter()
        .map(|grant| (&grant.resource, grant.actions.as_slice()));
    Some(Finding::warning(
        NAME,
        format!(
            "user {:?} may do what archd does not: {}",
            user.name,
            privileges::listed(more)
        ),
        match config.mongodb_uri.is_of_atlas() {
            true => role(config, kind).replace_at_atlas(user),
            false => role(config, kind).replace(user),
        },
    ))
}

/// The commands that give a user what is missing. Atlas' interface gives one custom role in the place
/// of all that a user has, so the whole of it is given there.
fn granted(config: &Config, user: &User, needs: &[Need], rest: &str, missing: &[Need]) -> String {
    let name = format!("archd_{}", config.database);
    match config.mongodb_uri.is_of_atlas() {
        true => Role::of(name, needs).replace_at_atlas(user),
        false => Role::of(name + rest, missing).grant(user),
    }
}

/// What the user lacks of what is essential, or of the rest.
fn missing(user: &User, needs: &[Need], essential: bool) -> Vec<Need> {
    let mut missing = privileges::missing(user, needs);
    missing.retain(|need| need.feature.is_essential() == essential);
    missing
}

fn lacks(user: &User, missing: &[Need]) -> String {
    let lost = losses(missing).join("; ");
    format!("user {:?} lacks {}: {lost}", user.name, listed(missing))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{
        privileges::needs::tests::{needs_with, set},
        store::deployment::access::{Grant, Resource},
    };

    fn user(grants: Vec<Grant>) -> User {
        User {
            name: "u".to_owned(),
            database: "x".to_owned(),
            roles: Vec::new(),
            grants,
        }
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

    #[test]
    fn the_fix_is_a_role_of_what_is_missing() {
        let (config, needs) = needs_with(&[], &set());
        let mut grants: Vec<Grant> = needs.iter().map(grant_of).collect();
        let archive = Resource::collection("d", "Historique");
        grants.retain(|grant| grant.resource != archive && grant.resource != Resource::Cluster);
        let mut user = user(grants);
        let access = |user: &User| Access::User(user.clone());
        let privileges = r#"[{"resource":{"db":"d","collection":"Historique"},"actions":["insert","createIndex","listIndexes"]}]"#;
        let finding = needed(&config, &access(&user), &needs);
        assert_eq!(
            finding.found,
            "user \"u\" lacks insert, createIndex, listIndexes on d.Historique: nothing is archived"
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
        assert!(fix.contains(r#"createRole({"role":"archd_d_optional","privileges":[{"resource":{"db":"d","collection":"Historique"},"actions":["remove"]},{"resource":{"cluster":true},"actions":["inprog","replSetGetStatus","replSetGetConfig"]}]"#), "{fix}");

        // A role that the user has by now can't be created again.
        user.roles.push(("archd_d".to_owned(), "admin".to_owned()));
        assert_eq!(
            needed(&config, &access(&user), &needs).fix.unwrap(),
            format!("db.getSiblingDB(\"admin\").grantPrivilegesToRole(\"archd_d\", {privileges})")
        );
    }

    #[test]
    fn at_atlas_the_fix_is_the_whole_role_by_its_own_interface() {
        let uri = [("MONGODB_URI", "mongodb+srv://archd:p@c0.ab1cd.mongodb.net")];
        let (config, needs) = needs_with(&uri, &set());
        let access = Access::User(user(Vec::new()));
        let lacks = needed(&config, &access, &needs);
        let too = optional(&config, &access, &needs).unwrap();
        let everything = Grant {
            resource: Resource::Anything,
            actions: vec!["anyAction".to_owned()],
        };
        let more = beyond(&config, &Access::User(user(vec![everything])), &set()).unwrap();
        for finding in [lacks, too, more] {
            let fix = finding.fix.unwrap();
            assert!(
                fix.starts_with("atlas customDbRoles create 'archd_d' --privilege '"),
                "{fix}"
            );
            assert!(
                fix.contains("INSERT@d.Historique") && fix.contains("IN_PROG"),
                "{fix}"
            );
            assert!(fix.ends_with("--role 'archd_d@admin'"), "{fix}");
            assert!(!fix.contains("db.getSiblingDB"), "{fix}");
        }
    }

    #[test]
    fn the_fix_of_what_is_too_much_is_the_smallest_role_in_its_place() {
        let (config, _) = needs_with(&[], &set());
        let needs = all_needs(&config, &set());
        let mut grants: Vec<Grant> = needs.iter().map(grant_of).collect();
        let finding = |user: User| beyond(&config, &Access::User(user), &set()).unwrap();
        assert!(finding(user(grants.clone())).fix.is_none());
        grants[0].actions.push("remove".to_owned());
        let mut user = user(grants);
        let created = finding(user.clone());
        assert_eq!(
            created.found,
            "user \"u\" may do what archd does not: remove on d.Commande"
        );
        let fix = created.fix.unwrap();
        assert!(fix.starts_with(&role(&config, &set()).create()), "{fix}");
        assert!(
            fix.ends_with(r#"db.getSiblingDB("x").updateUser("u", {"roles":[{"role":"archd_d","db":"admin"}]})"#),
            "{fix}"
        );
        user.roles.push(("archd_d".to_owned(), "admin".to_owned()));
        let fix = finding(user).fix.unwrap();
        let update = r#"db.getSiblingDB("admin").updateRole("archd_d", {"privileges":["#;
        assert!(fix.starts_with(update), "{fix}");
    }
}

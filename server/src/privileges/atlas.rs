//! MongoDB Atlas: roles in the form in which it takes them. Nobody may create one in the database
//! there, only in its own interface.

use serde_json::{Value, json};

use super::role::{HOME, Role};
use crate::store::deployment::access::{Resource, User};

impl Role {
    /// The command of Atlas' command line that makes it
    /// (<https://www.mongodb.com/docs/atlas/cli/current/command/atlas-customDbRoles-create/>).
    pub(crate) fn create_at_atlas(&self) -> String {
        format!("atlas customDbRoles create {}", self.at_atlas())
    }

    /// The role as Atlas' Administration API takes it.
    pub(crate) fn document_at_atlas(&self) -> Value {
        let actions = self.privileges().iter().flat_map(|(resource, actions)| {
            let resource = match resource {
                Resource::Collection {
                    database,
                    collection,
                } => json!({ "db": database, "collection": collection }),
                _ => json!({ "cluster": true }),
            };
            actions.iter().map(
                move |action| json!({ "action": named(action), "resources": [resource.clone()] }),
            )
        });
        let actions: Value = actions.collect();
        json!({ "roleName": self.name(), "actions": actions, "inheritedRoles": [] })
    }

    /// The commands that give it to a user in the place of all that that has.
    pub(crate) fn replace_at_atlas(&self, user: &User) -> String {
        let make = match self.is_held(user) {
            true => format!("atlas customDbRoles update {}", self.at_atlas()),
            false => self.create_at_atlas(),
        };
        let give = format!("{}@{HOME}", self.name());
        let (name, give) = (quoted(&user.name), quoted(&give));
        let of = match user.database.as_str() {
            HOME => String::new(),
            database => format!(" --authDB {}", quoted(database)),
        };
        format!("{make}\natlas dbusers update {name}{of} --role {give}")
    }

    /// Its name and its privileges, as arguments.
    fn at_atlas(&self) -> String {
        let privileges = self.privileges().iter().flat_map(|(resource, actions)| {
            let on = match resource {
                Resource::Collection {
                    database,
                    collection,
                } if collection.is_empty() => format!("@{database}"),
                Resource::Collection {
                    database,
                    collection,
                } => format!("@{database}.{collection}"),
                _ => String::new(),
            };
            actions.iter().map(move |action| named(action) + &on)
        });
        let privileges: Vec<String> = privileges.collect();
        let name = quoted(self.name());
        format!("{name} --privilege {}", quoted(&privileges.join(",")))
    }
}

/// An action as Atlas calls it: `FIND` for `find`, `CREATE_INDEX` for `createIndex`.
fn named(action: &str) -> String {
    if action == "inprog" {
        return "IN_PROG".to_owned();
    }
    let mut named = String::new();
    for letter in action.chars() {
        if letter.is_ascii_uppercase() {
            named.push('_');
        }
        named.push(letter.to_ascii_uppercase());
    }
    named
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privileges::needs::{
        all_needs,
        tests::{needs_with, set},
    };

    /// What Atlas lets a custom role do, by its Administration API
    /// (`POST /groups/{groupId}/customDBRoles/roles`), of 2025.
    const ACTIONS: &[&str] = &[
        "FIND",
        "INSERT",
        "REMOVE",
        "UPDATE",
        "BYPASS_DOCUMENT_VALIDATION",
        "USE_UUID",
        "KILL_OP",
        "CREATE_COLLECTION",
        "CREATE_INDEX",
        "DROP_COLLECTION",
        "ENABLE_PROFILER",
        "CHANGE_STREAM",
        "COLL_MOD",
        "COMPACT",
        "CONVERT_TO_CAPPED",
        "DROP_DATABASE",
        "DROP_INDEX",
        "RE_INDEX",
        "RENAME_COLLECTION_SAME_DB",
        "LIST_SESSIONS",
        "KILL_ANY_SESSION",
        "COLL_STATS",
        "CONN_POOL_STATS",
        "DB_HASH",
        "DB_STATS",
        "GET_CMD_LINE_OPTS",
        "GET_LOG",
        "GET_PARAMETER",
        "GET_SHARD_MAP",
        "HOST_INFO",
        "IN_PROG",
        "LIST_DATABASES",
        "LIST_COLLECTIONS",
        "LIST_INDEXES",
        "LIST_SHARDS",
        "NET_STAT",
        "REPL_SET_GET_CONFIG",
        "REPL_SET_GET_STATUS",
        "SERVER_STATUS",
        "VALIDATE",
        "SHARDING_STATE",
        "TOP",
    ];

    fn role(pairs: &[(&str, &str)]) -> Role {
        let (config, _) = needs_with(pairs, &set());
        Role::of("archd_d".to_owned(), &all_needs(&config, &set()))
    }

    #[test]
    fn every_action_is_one_that_atlas_knows() {
        let role = role(&[("ARCHD_PROFILE", "simulation")]);
        let document = role.document_at_atlas();
        let actions = document["actions"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        assert!(actions.len() > 30, "{document}");
        for action in actions {
            let name = action["action"].as_str().unwrap_or_default();
            assert!(ACTIONS.contains(&name), "{action}");
        }
    }

    #[test]
    fn the_command_and_the_document_say_all_that_the_role_of_the_database_says() {
        let role = role(&[("ARCHD_COLLECTION_ARCHIVE", "l'archive")]);
        let command = role.create_at_atlas();
        let start = "atlas customDbRoles create 'archd_d' --privilege '";
        assert!(command.starts_with(start), "{command}");
        for part in [
            "CHANGE_STREAM@d,",
            "LIST_COLLECTIONS@d",
            r"INSERT@d.l'\''archive",
            "FIND@local.oplog.rs",
            ",IN_PROG,",
        ] {
            assert!(command.contains(part), "{part}: {command}");
        }
        let said = command.matches(',').count() + 1;
        let of_the_database: usize = role.privileges().iter().map(|(_, it)| it.len()).sum();
        let document = role.document_at_atlas();
        assert_eq!(said, of_the_database, "{command}");
        assert_eq!(document["actions"].as_array().map(Vec::len), Some(said));
        assert!(!command.contains('\n'));
    }

    #[test]
    fn a_user_gets_it_in_the_place_of_all_that_it_has() {
        let role = role(&[]);
        let mut user = User {
            name: "archd".to_owned(),
            database: "admin".to_owned(),
            roles: Vec::new(),
            grants: Vec::new(),
        };
        let made = role.replace_at_atlas(&user);
        assert!(
            made.starts_with("atlas customDbRoles create 'archd_d'"),
            "{made}"
        );
        let given = "\natlas dbusers update 'archd' --role 'archd_d@admin'";
        assert!(made.ends_with(given), "{made}");
        user.roles.push(("archd_d".to_owned(), "admin".to_owned()));
        user.database = "$external".to_owned();
        let changed = role.replace_at_atlas(&user);
        assert!(
            changed.starts_with("atlas customDbRoles update 'archd_d'"),
            "{changed}"
        );
        assert!(changed.contains("--authDB '$external'"), "{changed}");
    }
}

//! Roles: the one that gives exactly some needs, and the commands of the shell that make it.

use serde_json::{Value, json};

use super::Need;
use crate::store::deployment::access::{Resource, User};

/// The database that keeps the roles: only one of `admin` may hold privileges on another database,
/// or on the cluster.
pub(crate) const HOME: &str = "admin";

/// A role of MongoDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    name: String,
    privileges: Vec<(Resource, Vec<&'static str>)>,
}

impl Role {
    /// The smallest role that gives these needs: none of its privileges is covered by another.
    pub(crate) fn of(name: String, needs: &[Need]) -> Role {
        let mut privileges: Vec<(Resource, Vec<&'static str>)> = Vec::new();
        for need in needs {
            let is_covered = |action: &&&'static str| {
                needs.iter().any(|other| {
                    other.resource != need.resource
                        && other.resource.covers(&need.resource)
                        && other.actions.contains(*action)
                })
            };
            let own = need.actions.iter().filter(|action| !is_covered(action));
            let mut own: Vec<&str> = own.copied().collect();
            match privileges
                .iter_mut()
                .find(|(resource, _)| *resource == need.resource)
            {
                Some((_, actions)) => {
                    own.retain(|action| !actions.contains(action));
                    actions.extend(own);
                }
                None if own.is_empty() => {}
                None => privileges.push((need.resource.clone(), own)),
            }
        }
        Role { name, privileges }
    }

    /// The role as the database takes it.
    pub(crate) fn document(&self) -> Value {
        json!({ "role": self.name, "privileges": self.listed(), "roles": [] })
    }

    /// The command that makes it.
    pub(crate) fn create(&self) -> String {
        format!("db.getSiblingDB({HOME:?}).createRole({})", self.document())
    }

    /// The commands that give it to a user beside what that has.
    pub(crate) fn grant(&self, user: &User) -> String {
        let name = &self.name;
        if self.is_held(user) {
            let privileges = self.listed();
            return format!(
                "db.getSiblingDB({HOME:?}).grantPrivilegesToRole({name:?}, {privileges})"
            );
        }
        format!(
            "{}\ndb.getSiblingDB({:?}).grantRolesToUser({:?}, {})",
            self.create(),
            user.database,
            user.name,
            self.reference(),
        )
    }

    /// The commands that give it to a user in the place of all that that has.
    pub(crate) fn replace(&self, user: &User) -> String {
        let name = &self.name;
        let make = match self.is_held(user) {
            true => {
                let only = json!({ "privileges": self.listed(), "roles": [] });
                format!("db.getSiblingDB({HOME:?}).updateRole({name:?}, {only})")
            }
            false => self.create(),
        };
        format!(
            "{make}\ndb.getSiblingDB({:?}).updateUser({:?}, {{\"roles\":{}}})",
            user.database,
            user.name,
            self.reference(),
        )
    }

    /// Whether a user has a role of this name.
    pub(super) fn is_held(&self, user: &User) -> bool {
        let held = |(role, database): &(String, String)| *role == self.name && database == HOME;
        user.roles.iter().any(held)
    }

    fn reference(&self) -> Value {
        json!([{ "role": self.name, "db": HOME }])
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What it gives.
    pub(super) fn privileges(&self) -> &[(Resource, Vec<&'static str>)] {
        &self.privileges
    }

    fn listed(&self) -> Value {
        let privilege = |(resource, actions): &(Resource, Vec<&str>)| {
            let resource = match resource {
                Resource::Cluster => json!({ "cluster": true }),
                Resource::Collection {
                    database,
                    collection,
                } => json!({ "db": database, "collection": collection }),
                Resource::Anything => json!({ "anyResource": true }),
                Resource::Other(text) => json!(text),
            };
            json!({ "resource": resource, "actions": actions })
        };
        self.privileges.iter().map(privilege).collect()
    }
}

//! Access: which privileges the user in MONGODB_URI has, and what they cover by MongoDB's rules.

use std::fmt;

use bson::{Bson, Document, rawdoc};

use crate::store::{Error, Inspector, Store};

/// Who archd is to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The database asks nobody who they are, so everybody may do everything.
    Open,
    /// The database asks who comes, and MONGODB_URI names no user.
    Nobody,
    /// A user, and what it may do.
    User(User),
}

/// A database user with its privileges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// The database that knows it.
    pub database: String,
    /// Its roles, inherited ones included: each its name and the database that knows it.
    pub roles: Vec<(String, String)>,
    /// What these roles allow.
    pub grants: Vec<Grant>,
}

/// Actions that are allowed on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// On what.
    pub resource: Resource,
    /// Such as `find`.
    pub actions: Vec<String>,
}

/// What an action may be done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Everything there is.
    Anything,
    /// The deployment as a whole.
    Cluster,
    /// A collection of a database. Without a name for the collection every one of the database;
    /// without one for the database the collection of that name in every database.
    Collection {
        /// Name of the database, or empty.
        database: String,
        /// Name of the collection, or empty.
        collection: String,
    },
    /// What archd has no use for, such as the buckets of time series: as the database shows it.
    Other(String),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Anything => f.write_str("everything"),
            Resource::Cluster => f.write_str("the cluster"),
            Resource::Collection {
                database,
                collection,
            } => match (database.as_str(), collection.as_str()) {
                ("", "") => f.write_str("every database"),
                ("", collection) => write!(f, "{collection} of every database"),
                (database, "") => write!(f, "all of {database}"),
                (database, collection) => write!(f, "{database}.{collection}"),
            },
            Resource::Other(text) => f.write_str(text),
        }
    }
}

impl Resource {
    /// A collection of a database, or with an empty name all of them.
    pub fn collection(database: &str, collection: &str) -> Resource {
        Resource::Collection {
            database: database.to_owned(),
            collection: collection.to_owned(),
        }
    }

    /// Whether a privilege on this one is a privilege on another.
    pub fn covers(&self, other: &Resource) -> bool {
        match (self, other) {
            (Resource::Anything, _) => true,
            (
                Resource::Collection {
                    database,
                    collection,
                },
                Resource::Collection {
                    database: wanted_database,
                    collection: wanted_collection,
                },
            ) => {
                // What is granted on every collection of every database stops at those of the
                // database itself.
                let internal = ["local", "config"].contains(&wanted_database.as_str())
                    || wanted_collection.starts_with("system.");
                match (database.as_str(), collection.as_str()) {
                    ("", "") => !internal,
                    (database, "") => {
                        database == wanted_database && !wanted_collection.starts_with("system.")
                    }
                    ("", collection) => collection == wanted_collection,
                    (database, collection) => {
                        database == wanted_database && collection == wanted_collection
                    }
                }
            }
            (granted, wanted) => granted == wanted,
        }
    }

    fn of(resource: &Document) -> Resource {
        if resource.get_bool("anyResource").unwrap_or(false) {
            return Resource::Anything;
        }
        if resource.get_bool("cluster").unwrap_or(false) {
            return Resource::Cluster;
        }
        match (resource.get_str("db"), resource.get_str("collection")) {
            (Ok(database), Ok(collection)) => Resource::collection(database, collection),
            _ => Resource::Other(resource.to_string()),
        }
    }
}

impl User {
    /// Whether the user may do this.
    pub fn may(&self, action: &str, resource: &Resource) -> bool {
        self.grants.iter().any(|grant| {
            // `anyAction` is what the built-in role `__system` has.
            let named = |granted: &String| granted == action || granted == "anyAction";
            grant.actions.iter().any(named) && grant.resource.covers(resource)
        })
    }
}

impl Store {
    /// The user that archd is to the database, and what it may do there; none where it is nobody.
    /// Takes no privilege.
    pub(crate) async fn user(&self) -> Result<Option<User>, Error> {
        let status = rawdoc! { "connectionStatus": 1, "showPrivileges": true };
        let reply = self.run(status).await?;
        let info = reply.get_document("authInfo").ok();
        Ok(info.and_then(user_of))
    }
}

impl Inspector {
    /// Who archd is to the database, and what it may do there.
    pub async fn access(&self) -> Result<Access, Error> {
        if let Some(user) = self.store.user().await? {
            return Ok(Access::User(user));
        }
        // Nothing tells whether users are asked for, other than a refusal.
        let find = rawdoc! { "find": self.store.names.orders.as_str(), "limit": 1, "projection": { "_id": 1 } };
        match self.store.run(find).await {
            Ok(_) => Ok(Access::Open),
            Err(Error::Denied { .. }) => Ok(Access::Nobody),
            Err(error) => Err(error),
        }
    }
}

fn user_of(info: &Document) -> Option<User> {
    let named = |name: &str, document: &Document| {
        let text = |field: &str| document.get_str(field).map(str::to_owned).ok();
        Some((text(name)?, text("db")?))
    };
    let (name, database) = named("user", documents(info, "authenticatedUsers").next()?)?;
    let grant = |privilege: &Document| {
        Some(Grant {
            resource: Resource::of(privilege.get_document("resource").ok()?),
            actions: privilege
                .get_array("actions")
                .ok()?
                .iter()
                .filter_map(|action| action.as_str().map(str::to_owned))
                .collect(),
        })
    };
    Some(User {
        name,
        database,
        roles: documents(info, "authenticatedUserRoles")
            .filter_map(|role| named("role", role))
            .collect(),
        grants: documents(info, "authenticatedUserPrivileges")
            .filter_map(grant)
            .collect(),
    })
}

/// The documents in a list.
fn documents<'a>(document: &'a Document, field: &str) -> impl Iterator<Item = &'a Document> {
    let list = document.get_array(field).map(Vec::as_slice);
    list.unwrap_or_default()
        .iter()
        .filter_map(Bson::as_document)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn a_privilege_covers_what_mongodb_says_it_does() {
        let exact = doc! { "db": "d", "collection": "c" };
        let database = doc! { "db": "d", "collection": "" };
        let name = doc! { "db": "", "collection": "c" };
        let all = doc! { "db": "", "collection": "" };
        let (cluster, anything) = (doc! { "cluster": true }, doc! { "anyResource": true });
        let oplog = doc! { "db": "local", "collection": "oplog.rs" };
        let local = doc! { "db": "local", "collection": "" };
        let system = doc! { "db": "d", "collection": "system.views" };
        let every = [
            &exact, &database, &name, &all, &cluster, &anything, &oplog, &local, &system,
        ];
        let table: [(&Document, &[&Document]); 8] = [
            (&exact, &[&exact]),
            (&database, &[&exact, &database]),
            (&name, &[&exact, &name]),
            (&all, &[&exact, &database, &name, &all]),
            (&cluster, &[&cluster]),
            (&oplog, &[&oplog]),
            (&local, &[&oplog, &local]),
            (&anything, &every),
        ];
        for (granted, covered) in table {
            for wanted in every {
                let covers = Resource::of(granted).covers(&Resource::of(wanted));
                assert_eq!(
                    covers,
                    covered.contains(&wanted),
                    "{granted} covers {wanted}"
                );
            }
        }
    }

    #[test]
    fn a_user_is_read_with_its_roles_and_privileges() {
        let resource = doc! { "db": "d", "collection": "c" };
        let buckets = doc! { "db": "d", "system_buckets": "c" };
        let info = doc! {
            "authenticatedUsers": [{ "user": "u", "db": "admin" }],
            "authenticatedUserRoles": [{ "role": "r", "db": "d" }],
            "authenticatedUserPrivileges": [{ "resource": resource, "actions": ["find"] }, { "resource": buckets, "actions": ["insert"] }],
        };
        let user = user_of(&info).unwrap();
        assert_eq!((user.name.as_str(), user.database.as_str()), ("u", "admin"));
        assert_eq!(user.roles, [("r".to_owned(), "d".to_owned())]);
        let shown: Vec<String> = user
            .grants
            .iter()
            .map(|grant| grant.resource.to_string())
            .collect();
        assert_eq!(shown, ["d.c", r#"{ "db": "d", "system_buckets": "c" }"#]);
        let collection = Resource::collection("d", "c");
        assert!(user.may("find", &collection) && !user.may("insert", &collection));
        assert_eq!(user_of(&doc! { "authenticatedUsers": [] }), None);
    }
}

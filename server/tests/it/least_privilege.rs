//! The role that `archd check --create-role` prints is enough for everything that archd does, and no
//! action in it can be spared: without one, the check names it, and the server does while it runs.

mod every_call;
mod revoked;

use std::{collections::BTreeSet, fs, net::SocketAddr, time::Instant};

use archd::config::Config;
use bson::{Document, doc};
use futures::{StreamExt, stream};
use mongodb::Client;
use order_archiver_api::{FILE_DESCRIPTOR_SET, v1 as pb};
use prost::Message;
use serde_json::Value;
use tonic::Code;

use crate::{
    check::check_with,
    check_privileges::Guarded,
    process::run,
    support::{TestServer, eventually, http::get},
};
use every_call::every_call;

const DATABASE: &str = "livraison";
const SIMULATION: (&str, &str) = ("ARCHD_PROFILE", "simulation");
/// The collections of which archd is not the only user.
const LIVE: [&str; 5] = ["Commande", "Client", "Livreur", "Restaurants", "Menu"];
/// Servers that run at a time.
const AT_ONCE: usize = 3;

/// Actions that nothing here makes the server try, and what holds them instead.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("inprog", "the cluster", "index_build"),
    ("remove", "livraison.archd_replaced", "repairs"),
    ("remove", "livraison.archd_differences", "verifying"),
    ("remove", "livraison.archd_audit", "rights"),
];

/// What `archd check --create-role` prints.
async fn create_role(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let arguments = [&["check"], arguments].concat();
    let own = [
        ("MONGODB_DATABASE", DATABASE),
        ("MONGODB_URI", "mongodb://nobody.invalid"),
    ];
    let (code, stdout, stderr) = run(&arguments, &[&own, settings].concat()).await;
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    stdout.trim().to_owned()
}

/// The same, as the database takes it, with everything that the simulation does.
async fn role_of(database: &str) -> Document {
    let json = create_role(&["--create-role", "--output=json"], &[SIMULATION]).await;
    let json = json.replace(&format!("{DATABASE:?}"), &format!("{database:?}"));
    let role: Value = serde_json::from_str(&json).unwrap();
    bson::serialize_to_document(&role).unwrap()
}

/// An action on a resource, as a role has it.
#[derive(Clone, Debug, PartialEq)]
struct Privilege {
    resource: Document,
    action: String,
}

impl Privilege {
    /// Its resource as the check names it.
    fn on(&self) -> String {
        let text = |field| self.resource.get_str(field).unwrap_or_default().to_owned();
        match (text("db"), text("collection")) {
            (database, _) if database.is_empty() => "the cluster".to_owned(),
            (database, collection) if collection.is_empty() => format!("all of {database}"),
            (database, collection) => format!("{database}.{collection}"),
        }
    }

    fn as_document(&self) -> Document {
        doc! { "resource": &self.resource, "actions": [&self.action] }
    }
}

/// The privileges in a role, one by one.
fn privileges(role: &Document) -> Vec<Privilege> {
    let list = role.get_array("privileges").unwrap().iter();
    let list = list.map(|privilege| privilege.as_document().unwrap());
    let each = |privilege: &Document| {
        let resource = privilege.get_document("resource").unwrap().clone();
        let actions = privilege.get_array("actions").unwrap().clone();
        actions.into_iter().map(move |action| Privilege {
            resource: resource.clone(),
            action: action.as_str().unwrap().to_owned(),
        })
    };
    list.flat_map(each).collect()
}

impl Guarded {
    async fn run(&self, command: Document) {
        let admin = self.admin.database("admin");
        admin.run_command(command).await.unwrap();
    }

    /// Makes a user of this name who has a role of the same name, with these privileges, and says
    /// how it connects.
    async fn user(&self, name: &str, privileges: Vec<Document>) -> String {
        self.run(doc! { "createRole": name, "privileges": privileges, "roles": [] })
            .await;
        self.run(doc! { "createUser": name, "pwd": name, "roles": [name] })
            .await;
        let address = self.set.nodes()[0].address();
        format!("mongodb://{name}:{name}@{address}/?directConnection=true&authSource=admin")
    }

    /// What the database refused for want of a privilege, as its log says it.
    fn refused(&self) -> Vec<String> {
        let log = fs::read_to_string(self.set.nodes()[0].log()).unwrap();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let refused = lines.filter(|line| line["msg"] == "Checking authorization failed");
        refused
            .map(|line| line["attr"]["error"]["errmsg"].to_string())
            .collect()
    }
}

/// A server on a database of that name, whose user connects so.
async fn serve(admin: &Client, uri: &str, database: &str) -> TestServer {
    let mut config = Config::simulation(uri, database).unwrap();
    config.watch = true;
    config.http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    TestServer::launch(config, admin.database(database)).await
}

fn all_methods() -> BTreeSet<String> {
    let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = descriptors.file.iter().flat_map(|file| &file.service);
    services
        .flat_map(|service| service.method.iter().map(|method| method.name().to_owned()))
        .collect()
}

#[tokio::test]
async fn the_printed_role_follows_the_settings_and_the_deployment() {
    let usual = create_role(&["--create-role"], &[]).await;
    assert!(
        usual.starts_with(r#"db.getSiblingDB("admin").createRole({"role":"archd_livraison","#),
        "{usual}"
    );
    assert!(!usual.contains('\n'));
    let named = [
        ("ARCHD_COLLECTION_ARCHIVE", "Archive"),
        ("ARCHD_COLLECTION_PREFIX", "own_"),
    ];
    let renamed = create_role(&["--create-role"], &named).await;
    assert_eq!(
        renamed,
        usual
            .replace("Historique", "Archive")
            .replace("\"archd_", "\"own_")
            .replace("\"own_livraison", "\"archd_livraison")
    );
    let seeds = r#"{"db":"livraison","collection":"Commande"},"actions":["listIndexes","insert","update","createIndex"]"#;
    assert!(!usual.contains(seeds));
    let simulation = create_role(&["--create-role"], &[SIMULATION]).await;
    assert!(simulation.contains(seeds), "{simulation}");
    let alone = create_role(&["--create-role=standalone"], &[]).await;
    assert!(usual.contains("changeStream") && !alone.contains("changeStream"));
    let sharded = create_role(&["--create-role=sharded"], &[]).await;
    let spread = r#"{"db":"config","collection":"collections"}"#;
    assert!(sharded.contains(spread) && !usual.contains(spread));
}

#[tokio::test]
async fn at_atlas_it_is_printed_for_its_own_interface() {
    let uri = (
        "MONGODB_URI",
        "mongodb+srv://archd:pass@c0.ab1cd.mongodb.net",
    );
    let command = create_role(&["--create-role"], &[uri]).await;
    let start = "atlas customDbRoles create 'archd_livraison' --privilege '";
    assert!(command.starts_with(start), "{command}");
    assert!(
        command.contains("INSERT@livraison.Historique,"),
        "{command}"
    );
    assert!(!command.contains("pass"), "{command}");
    let json = create_role(&["--create-role", "--output=json"], &[uri]).await;
    let role: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(role["roleName"], "archd_livraison");
    let said = role["actions"].as_array().unwrap().len();
    assert_eq!(said, command.matches(',').count() + 1);
}

#[tokio::test]
async fn with_the_printed_role_everything_works_and_the_database_refuses_nothing() {
    let guarded = Guarded::start().await;
    // Applied as people do it: by the shell.
    let role = create_role(&["--create-role"], &[SIMULATION]).await;
    guarded.apply(&role).await;
    let grant = doc! { "grantRolesToUser": "archd", "roles": ["archd_livraison"] };
    guarded.run(grant).await;
    let server = serve(&guarded.admin, &guarded.uri, DATABASE).await;
    server.ready().await;
    let ended = every_call(&server).await;
    let called: BTreeSet<String> = ended.0.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(called, all_methods(), "a call without a case");
    for (method, codes) in &ended.0 {
        // What has ended can't be tuned or cancelled.
        let ended_too = ["TuneBatch", "CancelBatch", "CancelVerification"].contains(method);
        let expected = if ended_too {
            Code::FailedPrecondition
        } else {
            Code::Ok
        };
        assert!(
            codes.iter().all(|code| *code == expected),
            "{method}: {codes:?}"
        );
    }
    let stats = server.stats_now().await;
    assert!(stats.missing_privileges.is_empty(), "{stats:?}");
    server.shut_down().await;
    for arguments in [&["batch", "--wait=10s"][..], &["verify", "--settle=0s"]] {
        let settings = [
            ("MONGODB_URI", guarded.uri.as_str()),
            ("MONGODB_DATABASE", DATABASE),
        ];
        let (code, stdout, stderr) = run(arguments, &settings).await;
        assert!(
            matches!(code, Some(0 | 9)),
            "{arguments:?}: {code:?} {stdout}{stderr}"
        );
    }
    let checked = check_with(&guarded.uri, DATABASE, &[], &[SIMULATION]).await;
    for name in [
        "privileges",
        "optional privileges",
        "superfluous privileges",
        "history",
    ] {
        assert_eq!(checked.verdict(name), "ok", "{}", checked.text);
    }
    let refused = guarded.refused();
    let of_archd = |refusal: &&String| {
        let these = [
            "not authorized on livraison ",
            "not authorized on local ",
            "{ replSet",
        ];
        these.iter().any(|these| refusal.contains(these))
    };
    assert_eq!(refused.iter().find(of_archd), None);
}

#[tokio::test]
async fn without_any_single_action_of_it_the_check_and_the_server_name_what_is_missing() {
    let began = Instant::now();
    let guarded = Guarded::start().await;
    let count = privileges(&role_of(DATABASE).await).len();
    let each = stream::iter(0..count).map(|number| without(&guarded, number));
    let spared: Vec<(String, Privilege)> = each.buffer_unordered(AT_ONCE).collect().await;
    // Each is there because the server does it: the database has refused that.
    let refused = guarded.refused();
    let untried: Vec<(&str, String)> = spared
        .iter()
        .filter(|(user, privilege)| {
            // What is of all databases is known by the command, which is named like the action.
            let said = match privilege.on().as_str() {
                "the cluster" => format!("execute command {{ {}: ", privilege.action),
                "local.oplog.rs" => "not authorized on local ".to_owned(),
                _ => format!("not authorized on {user} "),
            };
            !refused.iter().any(|refusal| refusal.contains(&said))
        })
        .map(|(user, privilege)| {
            let on = privilege.on().replace(user.as_str(), DATABASE);
            (privilege.action.as_str(), on)
        })
        .filter(|(action, on)| !ELSEWHERE.iter().any(|it| it.0 == *action && it.1 == on))
        .collect();
    println!("{count} privileges in {:?}", began.elapsed());
    assert!(
        untried.is_empty(),
        "not needed, or by nothing here: {untried:?}"
    );
}

/// Has a server of its own work without one action of the role, and holds it and the check to naming
/// that; then gives it back. Says who worked without what.
async fn without(guarded: &Guarded, number: usize) -> (String, Privilege) {
    let name = format!("d{number}");
    let all = privileges(&role_of(&name).await);
    let spared = all[number].clone();
    let others = all.iter().filter(|privilege| **privilege != spared);
    let uri = guarded
        .user(&name, others.map(Privilege::as_document).collect())
        .await;

    let server = serve(&guarded.admin, &uri, &name).await;
    let ended = every_call(&server).await;
    let (action, on) = (spared.action.as_str(), spared.on());

    let checked = check_with(&uri, &name, &[], &[SIMULATION]).await;
    let lacking = ["privileges", "optional privileges"].map(|finding| {
        let verdict = checked.verdict(finding);
        (verdict != "ok").then(|| checked.found(finding).to_owned())
    });
    let lacking = lacking.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let named = format!("lacks {action} on {on}");
    assert!(lacking.contains(&named), "{named}: {}", checked.text);
    assert_eq!(
        checked.verdict("superfluous privileges"),
        "ok",
        "{}",
        checked.text
    );

    // At run time too: by the figures, unless they are what can't be read any more.
    let stats = server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await;
    match stats {
        Ok(stats) => {
            let missing = stats.into_inner().missing_privileges;
            let named = |it: &pb::MissingPrivilege| {
                it.action == action && (it.resource == on || on.starts_with("all of"))
            };
            let told = !missing.is_empty() && missing.iter().all(named);
            // Which indexes are missing is told by the batch that is to make them.
            let makes_indexes = action == "createIndex" && LIVE.iter().any(|it| on.ends_with(it));
            assert!(told || makes_indexes, "{action} on {on}: {missing:?}");
            let essential = missing.iter().filter(|it| it.essential).count();
            let ready = eventually(async || {
                let ready: Value =
                    serde_json::from_str(&get(server.http.unwrap(), "/readyz").await.body).unwrap();
                (ready["missing_privileges"] == essential).then_some(ready)
            });
            ready.await;
        }
        Err(status) => assert_eq!(status.code(), Code::PermissionDenied, "{status:?}"),
    }
    println!("without {action} on {on}: {:?}", refusals(&ended));

    let grant = doc! { "grantPrivilegesToRole": &name, "privileges": [spared.as_document()] };
    guarded.run(grant).await;
    eventually(async || {
        let stats = server
            .stats()
            .get_stats(pb::GetStatsRequest::default())
            .await;
        let stats = stats.ok()?.into_inner();
        stats.missing_privileges.is_empty().then_some(())
    })
    .await;
    server.shut_down().await;
    guarded.admin.database(&name).drop().await.unwrap();
    (name, spared)
}

/// The methods that were refused for want of a privilege.
fn refusals(ended: &every_call::Ended) -> Vec<&'static str> {
    let refused = ended
        .0
        .iter()
        .filter(|(_, codes)| codes.contains(&Code::PermissionDenied));
    refused.map(|(method, _)| *method).collect()
}

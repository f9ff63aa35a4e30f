//! Behind the balancers of `deploy/balancers/` servers come and go, one after the other, and no call
//! fails: HAProxy and nginx themselves, with our files, before two real archd.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use devkit::{
    ReplicaSet,
    certificates::{Issued, Subject},
};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::archive_service_client::ArchiveServiceClient;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
};
use tonic::{
    Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

use crate::{
    install::{debian_packages, has_debian_packages, installed},
    process::{archd, settings_on, signal},
    program::Program,
    support::{eventually, order, pki::Pki, within},
};

/// Where the examples are.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/balancers");
/// The name that the servers' certificate has in them.
const NAME: &str = "archd.internal";
/// What identifies the callers.
const TOKEN: &str = "archd_of_the_callers_of_these_tests";
/// The order that all of them ask for.
const NUMERO: &str = "CMD-1";

/// A balancer, and the packages of Debian that have it with what it needs.
struct Kind {
    name: &'static str,
    packages: &'static [&'static str],
    /// How it is told to check its file, and to run in the foreground with it.
    check: &'static [&'static str],
    run: &'static [&'static str],
}

const HAPROXY: Kind = Kind {
    name: "haproxy",
    packages: &[
        "haproxy",
        "liblua5.3-0",
        "libopentracing-c-wrapper0",
        "libopentracing1",
    ],
    check: &["-c", "-f"],
    run: &["-db", "-f"],
};

const NGINX: Kind = Kind {
    name: "nginx",
    packages: &["nginx"],
    check: &["-e", "stderr", "-t", "-c"],
    run: &[
        "-e",
        "stderr",
        "-g",
        "daemon off; master_process off;",
        "-c",
    ],
};

impl Kind {
    /// A program that is ready for the arguments: the one of this machine, or Debian's, unpacked.
    fn program(&self) -> Option<Command> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let mut here = folders.map(|folder| folder.join(self.name));
        if let Some(program) = here.find(|program| program.is_file()) {
            return Some(Command::new(program));
        }
        if !has_debian_packages(self.name) {
            return None;
        }
        let parts = format!("{:?} of Debian", self.packages);
        let folder = installed(self.name, &[&parts], |folder| {
            debian_packages(folder, self.packages)
        });
        let folder = folder.unwrap();
        let mut command = Command::new(folder.join("usr/sbin").join(self.name));
        let libraries = folder.join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH));
        command.env("LD_LIBRARY_PATH", libraries);
        Some(command)
    }
}

/// An address of this machine that is the test's own, so that each party has the port that the
/// examples give it.
fn own(test: u8, party: u8) -> Ipv4Addr {
    let id = process::id().to_be_bytes();
    Ipv4Addr::new(127, 100 + 10 * test + party, id[2], id[3])
}

/// Two servers of one database, and what calls and balancers have to know of them.
struct Servers {
    test: u8,
    pki: Pki,
    database: Database,
    running: [Option<Program>; 2],
}

impl Servers {
    async fn start(test: u8) -> Servers {
        let pki = Pki::new();
        let subject = Subject::server(&["localhost", NAME]).unwrap();
        pki.serve_as(&pki.servers.issue(subject).unwrap());
        let set = ReplicaSet::shared().await.unwrap();
        let database = set.fresh_database().await.unwrap();
        let orders = database.collection("Commande");
        orders.insert_one(order(NUMERO)).await.unwrap();
        let mut servers = Servers {
            test,
            pki,
            database,
            running: [None, None],
        };
        for place in 0..2 {
            servers.start_one(place).await;
        }
        servers
    }

    /// Where one of them is.
    fn address(&self, place: usize) -> Ipv4Addr {
        own(self.test, 1 + u8::try_from(place).unwrap())
    }

    async fn start_one(&mut self, place: usize) {
        let address = self.address(place);
        let (listen, http) = (format!("{address}:50051"), format!("{address}:9464"));
        let hash = hex::encode(Sha256::digest(TOKEN));
        let identities = format!("token callers archive {hash}\nsan caller archive\n");
        let identities = self.pki.write("identities", &identities);
        let (cert, key) = (self.pki.path("server.pem"), self.pki.path("server.key"));
        let clients = self.pki.path("clients.pem");
        let more = [
            ("ARCHD_LISTEN", listen.as_str()),
            ("ARCHD_HTTP", &http),
            ("ARCHD_TLS_CERT", &cert),
            ("ARCHD_TLS_KEY", &key),
            ("ARCHD_TLS_CLIENT_CA", &clients),
            ("ARCHD_AUTH_FILE", &identities),
            ("ARCHD_LOG_FORMAT", "json"),
            // HAProxy hears within two checks, one each second, that a server leaves.
            ("ARCHD_SHUTDOWN_DELAY", "3s"),
        ];
        let settings = settings_on(self.database.name(), &more).await;
        let mut server = Program::of(&mut archd(&["serve"], &settings));
        server.says("the database is ready").await;
        self.running[place] = Some(server);
    }

    /// Has one of them end its work, as each release does.
    async fn stop_one(&mut self, place: usize) {
        let server = self.running[place].take().unwrap();
        signal(&server.child, "TERM");
        let (code, lines) = server.end().await;
        assert_eq!(code, Some(0), "{lines:#?}");
    }

    /// A connection to a port of the balancer.
    fn channel(&self, port: u16, shown: Option<&Issued>) -> Channel {
        let ca = Certificate::from_pem(self.pki.servers.pem());
        let tls = ClientTlsConfig::new()
            .ca_certificate(ca)
            .domain_name("localhost");
        let tls = match shown {
            Some(shown) => tls.identity(Identity::from_pem(&shown.certificate, &shown.key)),
            None => tls,
        };
        let endpoint = Channel::from_shared(format!("https://{}:{port}", own(self.test, 0)));
        endpoint.unwrap().tls_config(tls).unwrap().connect_lazy()
    }
}

/// A balancer of these tests, and its log.
struct Balancer {
    _program: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Balancer {
    /// Starts one with our example, in which the names are those of this test.
    async fn start(kind: &Kind, file: &str, servers: &Servers, more: &[(&str, &str)]) -> Balancer {
        let here = own(servers.test, 0).to_string();
        let (a, b) = (
            servers.address(0).to_string(),
            servers.address(1).to_string(),
        );
        let both = [
            servers.pki.path("server.pem"),
            servers.pki.path("server.key"),
        ];
        let both: String = both.map(|file| fs::read_to_string(file).unwrap()).concat();
        let both = servers.pki.write("both.pem", &both);
        let ca = servers.pki.path("ca.pem");
        let certificate = format!("/etc/{}/archd.pem", kind.name);
        let authority = format!("/etc/{}/ca.pem", kind.name);
        let names = [
            ("archd-a.internal", a.as_str()),
            ("archd-b.internal", &b),
            (&certificate, &both),
            (&authority, &ca),
        ];
        let mut text = fs::read_to_string(Path::new(EXAMPLES).join(file)).unwrap();
        for (name, here) in names.iter().chain(more) {
            assert!(text.contains(name), "{file} has no {name}");
            text = text.replace(
                name,
                &here.replace("HERE", &own(servers.test, 0).to_string()),
            );
        }
        assert!(text.contains(&here), "{text}");
        let file = servers.pki.write(file, &text);
        let mut check = kind.program().unwrap();
        let checked = within(check.args(kind.check).arg(&file).output())
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{told}");
        assert!(
            !told.contains("WARNING") && !told.contains("[warn]"),
            "{told}"
        );
        let mut program = kind.program().unwrap();
        program
            .args(kind.run)
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut program = program.spawn().unwrap();
        let log = BufReader::new(program.stderr.take().unwrap()).lines();
        Balancer {
            _program: program,
            log,
        }
    }

    /// Waits for a line with these words.
    async fn says(&mut self, words: &str) {
        within(async {
            loop {
                let line = self.log.next_line().await.unwrap().expect(words);
                if line.contains(words) {
                    return;
                }
            }
        })
        .await;
    }
}

/// Asks once for an order.
async fn ask(channel: &Channel, token: Option<&str>) -> Result<(), Status> {
    let mut request = Request::new(pb::ArchiveOrderRequest {
        numero_commande: NUMERO.to_owned(),
    });
    if let Some(token) = token {
        let shown = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", shown);
    }
    let mut archive = ArchiveServiceClient::new(channel.clone());
    within(archive.archive_order(request)).await.map(drop)
}

/// Callers who ask one call after the other, and try none again.
struct Callers {
    calls: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Status>>>,
}

impl Callers {
    /// Begins once the balancer answers who shows the token, and nobody else.
    async fn start(servers: &Servers) -> Callers {
        let channel = servers.channel(50051, None);
        eventually(async || ask(&channel, Some(TOKEN)).await.ok()).await;
        assert!(ask(&channel, None).await.is_err());
        let (calls, stop) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let tasks = (0..4).map(|_| {
            let channel = servers.channel(50051, None);
            let (calls, stop) = (Arc::clone(&calls), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut failed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(&channel, Some(TOKEN)).await;
                    calls.fetch_add(1, Ordering::Relaxed);
                    failed.extend(answer.err());
                }
                failed
            })
        });
        let tasks = tasks.collect();
        let callers = Callers { calls, stop, tasks };
        callers.go_on().await;
        callers
    }

    /// Waits until so many more calls were answered.
    async fn go_on(&self) {
        let before = self.calls.load(Ordering::Relaxed);
        let after = async || (self.calls.load(Ordering::Relaxed) > before + 50).then_some(());
        eventually(after).await;
    }

    /// Ends them: none of their calls has failed.
    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for task in self.tasks {
            failed.extend(within(task).await.unwrap());
        }
        let (calls, count) = (self.calls.load(Ordering::Relaxed), failed.len());
        println!("{calls} calls");
        assert!(failed.is_empty(), "{count} of {calls}: {failed:#?}");
    }
}

#[tokio::test]
async fn both_servers_are_started_anew_behind_haproxy_and_no_call_fails() {
    if HAPROXY.program().is_none() {
        return;
    }
    let mut servers = Servers::start(0).await;
    let ports = [
        ("bind :50051", "bind HERE:50051"),
        ("bind :50052", "bind HERE:50052"),
    ];
    let mut haproxy = Balancer::start(&HAPROXY, "haproxy.cfg", &servers, &ports).await;
    let callers = Callers::start(&servers).await;
    // A certificate is seen by the server alone.
    let caller = Subject::client("caller").dns("caller").unwrap();
    let caller = servers.pki.clients.issue(caller).unwrap();
    let through = servers.channel(50052, Some(&caller));
    ask(&through, None).await.unwrap();

    for _ in 0..2 {
        for (place, name) in ["a", "b"].into_iter().enumerate() {
            servers.stop_one(place).await;
            haproxy.says(&format!("calls/{name} is DOWN")).await;
            callers.go_on().await;
            servers.start_one(place).await;
            haproxy.says(&format!("calls/{name} is UP")).await;
            callers.go_on().await;
        }
    }
    callers.end().await;
    drop(servers);
}

#[tokio::test]
async fn a_server_leaves_and_comes_back_behind_nginx_and_no_call_fails() {
    if NGINX.program().is_none() {
        return;
    }
    let mut servers = Servers::start(1).await;
    let (key, pid) = (
        servers.pki.path("server.key"),
        servers.pki.path("nginx.pid"),
    );
    let paths =
        "client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path";
    let folder = servers.pki.path("temporary");
    fs::create_dir(&folder).unwrap();
    let paths: Vec<String> = paths
        .split(' ')
        .map(|path| format!("{path} {folder}/{path};"))
        .collect();
    let paths = format!("access_log off; {}", paths.join(" "));
    let names = [
        ("listen 50051", "listen HERE:50051"),
        ("/etc/nginx/archd.key", &key),
        ("/run/nginx.pid", &pid),
        ("access_log off;", &paths),
    ];
    let _nginx = Balancer::start(&NGINX, "nginx.conf", &servers, &names).await;
    let callers = Callers::start(&servers).await;
    servers.stop_one(1).await;
    callers.go_on().await;
    servers.start_one(1).await;
    callers.go_on().await;
    callers.end().await;
}

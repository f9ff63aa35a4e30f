//! The stage: a database with orders to ask for, and one round of an attack on it.

use std::{
    env,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use archd::seed::Plan;
use bson::{Document, doc};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::batch_service_client::BatchServiceClient;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::{
    attack::Attack,
    support::{
        ground,
        honest::{self, Fared},
        machine, server,
    },
};

/// How long an attack stands before honest callers come. What it asks for first is served by then:
/// 400 pages of 2.9 MiB take two cores some seconds, whether anybody reads them or not.
const LEAD: Duration = Duration::from_secs(5);
/// Documents of this size fill an answer that nobody reads.
const LARGE: usize = 64 * 1024;
/// How many of them fill it.
const MANY: usize = 60;

/// Where everything happens.
pub(crate) struct Stage {
    ground: ground::Ground,
    _set: ReplicaSet,
    asked: AtomicUsize,
}

/// One round of an attack.
pub(crate) struct Round {
    /// How the honest callers fared beside the attack.
    pub(crate) attacked: Fared,
    /// How they fared beside a process that burned as much CPU time.
    pub(crate) burning: Fared,
    /// How much the attacker burned: its share of one core.
    pub(crate) share: f64,
    /// The most memory that `archd` held, in MiB.
    pub(crate) peak: f64,
}

impl Round {
    /// How many times slower the slowest honest answers were.
    pub(crate) fn times(&self) -> f64 {
        self.attacked.at(0.99) / self.burning.at(0.99)
    }
}

impl Stage {
    /// A database with everybody that orders refer to, and an archive whose first page is large.
    pub(crate) async fn new() -> Result<Stage> {
        let set = ReplicaSet::start().await?;
        let ground = ground::seeded(&set, Plan::for_orders(2_000)).await?;
        let archived = (0..MANY).map(|number| {
            doc! { "numero_commande": format!("Z-{number:03}"), "filler": "x".repeat(LARGE) }
        });
        let archive = ground.database.collection::<Document>("Historique");
        archive.insert_many(archived).await?;
        Ok(Stage {
            ground,
            _set: set,
            asked: AtomicUsize::new(0),
        })
    }

    /// Measures honest callers beside an attack, then beside a burner, each on a server of their
    /// own.
    pub(crate) async fn round(&self, attack: Attack, span: Duration) -> Result<Round> {
        let numbers = self.orders(span).await?;
        let server = server::serve(&self.ground.config, &server::CALLS_ALONE).await?;
        let batch = self.slow_batch(&server.address).await?;
        let name = clap::ValueEnum::to_possible_value(&attack).context("an attack has a name")?;
        let attacker = start(&["attacker", name.get_name(), &server.address, &batch])?;
        let attacking = attacker.id().context("the attacker has ended")?;
        // Who comes while the attack stands has it hardest.
        sleep(LEAD).await;
        let (since, before) = (Instant::now(), machine::cpu(attacking)?);
        let attacked = honest::call(&server.address, numbers).await?;
        let burned = machine::cpu(attacking)?.saturating_sub(before);
        let share = burned.as_secs_f64() / since.elapsed().as_secs_f64();
        let peak = machine::memory(server.pid).context("archd has ended")?.peak;
        drop((attacker, server));

        let numbers = self.orders(span).await?;
        let server = server::serve(&self.ground.config, &server::CALLS_ALONE).await?;
        self.slow_batch(&server.address).await?;
        let _burner = start(&["burner", &share.to_string()])?;
        let burning = honest::call(&server.address, numbers).await?;
        Ok(Round {
            attacked,
            burning,
            share,
            peak,
        })
    }

    /// Puts as many delivered orders there as a span takes, and names them.
    async fn orders(&self, span: Duration) -> Result<Vec<String>> {
        let count = usize::try_from(span.as_secs() * u64::from(honest::RATE))?;
        let first = self.asked.fetch_add(count, Ordering::Relaxed);
        honest::orders(&self.ground.database, first, count).await
    }

    /// Has a batch run that outlasts the round: one order a second.
    async fn slow_batch(&self, address: &str) -> Result<String> {
        let mut batches = BatchServiceClient::connect(address.to_owned()).await?;
        let options = pb::BatchOptions {
            max_orders_per_second: Some(1),
            ..Default::default()
        };
        let request = pb::StartBatchRequest {
            options: Some(options),
            request_id: String::new(),
        };
        // The log tells of readiness a moment before callers are served.
        let started = loop {
            match batches.start_batch(request.clone()).await {
                Err(status) if status.code() == tonic::Code::Unavailable => {}
                started => break started?.into_inner(),
            }
        };
        Ok(started.batch.context("an answer without a batch")?.id)
    }
}

/// Starts this program again in another role; it is killed once dropped.
fn start(arguments: &[&str]) -> Result<Child> {
    let child = Command::new(env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

//! `RepairOrders`: mends differences that a verification found, and tells of each what became of it.

use order_archiver_api::v1 as pb;
use tokio::{sync::mpsc, time::timeout};
use tonic::Status;
use tracing::{Instrument, info};

use super::VerificationService;
use crate::{
    convert,
    domain::verify::{class::Class, finding::Finding},
    grpc::{
        call::Calls,
        jobs,
        limits::SLOWEST,
        status::{self, Violations},
    },
    repair::{Repaired, Repairer, Request},
    store::{
        Store, differences::record::Difference, jobs::ids::LATEST,
        verifications::record::Verification,
    },
};

/// How many differences are read, and missing orders archived, together.
const TOGETHER: usize = 500;
const MOST_NUMBERS: usize = 1_000;
const LONGEST_NUMBER: usize = 256;
const LONGEST_REASON: usize = 1_024;
const LONGEST_NAME: usize = 256;

type Answer = Result<pb::RepairOrdersResponse, Status>;
pub(super) type Answers = mpsc::Receiver<Answer>;

/// What to repair.
#[derive(Debug)]
struct Plan {
    classes: Vec<Class>,
    numbers: Vec<String>,
    confirmed: bool,
    request: Request,
}

impl Plan {
    /// What a request asks for, if it is in order; `peer` is who asks when it does not say.
    fn of(request: pb::RepairOrdersRequest, peer: String) -> Result<Plan, Status> {
        let mut violations = Violations::default();
        let classes: Vec<Option<Class>> = request
            .classes()
            .map(|class| convert::class_of_difference(class).filter(|class| class.fails()))
            .collect();
        let numbers = &request.numeros_commande;
        let is_number = |number: &String| (1..=LONGEST_NUMBER).contains(&number.len());
        violations
            .check(
                classes.iter().all(Option::is_some),
                "classes",
                "only missing, altered, doubled and damaged can be repaired",
            )
            .check(
                classes.is_empty() != numbers.is_empty(),
                "classes",
                "give either classes or numbers of orders",
            )
            .check(
                numbers.len() <= MOST_NUMBERS && numbers.iter().all(is_number),
                "numeros_commande",
                "must be at most 1,000, each of 1 to 256 bytes",
            )
            .check(
                !request.confirmed || !request.reason.trim().is_empty(),
                "reason",
                "must say why documents are to be replaced",
            )
            .check_length("reason", &request.reason, LONGEST_REASON)
            .check_length("by", &request.by, LONGEST_NAME);
        violations.into_result()?;
        let plan = Plan {
            classes: classes.into_iter().flatten().collect(),
            numbers: request.numeros_commande,
            confirmed: request.confirmed,
            request: Request {
                by: match request.by.trim() {
                    "" => peer,
                    by => by.to_owned(),
                },
                reason: request.reason,
            },
        };
        match plan.classes.iter().any(|class| *class != Class::Missing) && !plan.confirmed {
            true => Err(not_confirmed("these classes")),
            false => Ok(plan),
        }
    }
}

fn not_confirmed(what: &str) -> Status {
    status::precondition(
        pb::ErrorReason::NotConfirmed,
        "confirmed",
        format!(
            "to repair {what} replaces documents of the archive; nothing was done; say so with `confirmed` (archctl: --yes) and a reason"
        ),
        [],
    )
}

fn without_verdict(id: &str) -> Status {
    status::precondition(
        pb::ErrorReason::NoVerdict,
        id,
        format!(
            "verification {id} has no verdict, so what it found is not known to the end; wait for it, or name one that has"
        ),
        [],
    )
}

impl VerificationService {
    /// Begins to repair what is asked for; the answers come until it is done, the caller has left
    /// or the server stops.
    pub(super) async fn repair(
        &self,
        request: pb::RepairOrdersRequest,
        peer: String,
    ) -> Result<Answers, Status> {
        let asked = request.verification_id.clone();
        let plan = Plan::of(request, peer)?;
        let latest = match asked == LATEST {
            true => self.store.latest_with_verdict().await,
            false => Ok(None),
        };
        let latest = latest.map_err(|error| status::of_error(&error))?;
        let id = latest.unwrap_or(asked);
        let verification: Verification = jobs::find(&self.store, "verification_id", &id).await?;
        if verification.verdict.is_none() {
            return Err(without_verdict(&verification.head.id));
        }
        let (by, reason) = (&plan.request.by, &plan.request.reason);
        info!(
            id = verification.head.id,
            by, reason, "a repair was asked for"
        );
        let (sender, answers) = mpsc::channel(16);
        let work = Work {
            calls: self.calls.clone(),
            store: self.store.clone(),
            repairer: self.repairer.clone(),
            verification: verification.head.id,
            plan,
            answers: sender,
        };
        self.tasks.spawn(work.run().in_current_span());
        Ok(answers)
    }
}

struct Work {
    calls: Calls,
    store: Store,
    repairer: Repairer,
    verification: String,
    plan: Plan,
    answers: mpsc::Sender<Answer>,
}

impl Work {
    async fn run(self) {
        // A place for the reason of an early end: when it is needed there may be no other.
        let Ok(last_place) = self.answers.clone().reserve_owned().await else {
            return;
        };
        if let Err(end) = self.all().await {
            last_place.send(Err(end));
        }
    }

    async fn all(&self) -> Result<(), Status> {
        let differences = self.store.differences_of(&self.verification);
        if !self.plan.numbers.is_empty() {
            let found = differences.with_numbers(&self.plan.numbers).await;
            let found = found.map_err(|error| status::of_error(&error))?;
            return self.each(found).await;
        }
        let mut behind: Option<(Class, String)> = None;
        loop {
            let after = behind.as_ref().map(|(class, id)| (*class, id.as_str()));
            let page = differences.page(&self.plan.classes, after, TOGETHER).await;
            let page = page.map_err(|error| status::of_error(&error))?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            behind = Some((last.finding.class, last.id.clone()));
            // Whoever acknowledged one has decided to leave it: it is repaired by its number only.
            let open = page.into_iter().filter(|it| it.acknowledged.is_none());
            self.each(open.collect()).await?;
        }
    }

    async fn each(&self, found: Vec<Difference>) -> Result<(), Status> {
        let findings = found.into_iter().map(|difference| difference.finding);
        let findings = findings.filter(|finding| finding.class.fails());
        let (missing, others): (Vec<Finding>, Vec<Finding>) =
            findings.partition(|finding| finding.class == Class::Missing);
        if !missing.is_empty() {
            self.go_on()?;
            let repaired = self.repairer.archive_missing(&missing).await;
            let repaired = repaired.map_err(|error| status::of_error(&error))?;
            for (finding, repaired) in missing.iter().zip(repaired) {
                self.tell(finding, repaired).await?;
            }
        }
        for finding in &others {
            self.go_on()?;
            let repaired = match self.plan.confirmed {
                true => {
                    let repaired = self.repairer.replace(finding, &self.plan.request).await;
                    repaired.map_err(|error| status::of_error(&error))?
                }
                false => Repaired::Refused(
                    "this replaces a document of the archive; confirm it, with a reason".to_owned(),
                ),
            };
            self.tell(finding, repaired).await?;
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), Status> {
        match self.calls.stop.is_cancelled() {
            true => Err(status::stopping()),
            false => Ok(()),
        }
    }

    async fn tell(&self, finding: &Finding, repaired: Repaired) -> Result<(), Status> {
        let (outcome, detail, replaced_id) = match repaired {
            Repaired::Archived => (pb::RepairOutcome::Archived, String::new(), String::new()),
            Repaired::Replaced { kept } => (pb::RepairOutcome::Replaced, String::new(), kept),
            Repaired::Removed { kept } => (pb::RepairOutcome::Removed, String::new(), kept),
            Repaired::TakenOut { kept, detail } => (pb::RepairOutcome::TakenOut, detail, kept),
            Repaired::Gone => (pb::RepairOutcome::Gone, String::new(), String::new()),
            Repaired::Refused(detail) => (pb::RepairOutcome::Refused, detail, String::new()),
        };
        let answer = pb::RepairOrdersResponse {
            numero_commande: finding.numero.clone(),
            class: convert::difference_class(finding.class).into(),
            outcome: outcome.into(),
            detail,
            replaced_id,
        };
        match timeout(SLOWEST, self.answers.send(Ok(answer))).await {
            Ok(Ok(())) => Ok(()),
            // Nobody listens any more: what is under way is finished, and no other begun.
            Ok(Err(_)) => Err(status::stopping()),
            Err(_) => Err(status::not_read(SLOWEST)),
        }
    }
}

//! A verification is one on its database whichever instance is asked, beside batches; it can be
//! followed, cancelled and listed, and ends with a verdict.

use order_archiver_api::v1::{
    self as pb, EventKind, Verdict, VerificationOptions, VerificationScope, VerificationState,
    tail_events_response::Event,
};
use tonic::Code;

use crate::support::{TestServer, eventually, faults, order, orders, within};

/// At this rate a verification of a thousand orders lasts longer than any test.
fn slowly() -> VerificationOptions {
    VerificationOptions {
        max_orders_per_second: Some(10),
        ..VerificationOptions::default()
    }
}

/// What has changed, and no more.
fn changes() -> VerificationOptions {
    VerificationOptions {
        scope: VerificationScope::Changes.into(),
        ..VerificationOptions::default()
    }
}

/// A server whose orders are all archived.
async fn archived(count: usize) -> TestServer {
    let server = TestServer::start().await;
    server.insert("Commande", orders(count)).await;
    server.run_batch().await;
    server
}

async fn cancel(server: &TestServer, id: &str) -> Result<pb::Verification, tonic::Status> {
    let request = pb::CancelVerificationRequest { id: id.to_owned() };
    let answer = server.verifications().cancel_verification(request).await?;
    Ok(answer.into_inner().verification.unwrap())
}

/// What the events tell of verifications since a moment, up to the end of the first one.
async fn told_of_verifications(
    server: &TestServer,
    since: Option<prost_types::Timestamp>,
) -> Vec<pb::TailEventsResponse> {
    let request = pb::TailEventsRequest {
        start: since.map(pb::tail_events_request::Start::SinceTime),
        kinds: vec![
            EventKind::VerificationStarted.into(),
            EventKind::VerificationProgress.into(),
            EventKind::VerificationFinished.into(),
        ],
        ..Default::default()
    };
    let news = server.events().tail_events(request).await;
    let mut news = news.unwrap().into_inner();
    within(async {
        let mut told = Vec::new();
        loop {
            let message = news.message().await.unwrap().unwrap();
            let kind = message.kind();
            if kind == EventKind::Heartbeat {
                continue;
            }
            assert!(!message.detail_unknown, "{message:?}");
            told.push(message);
            if kind == EventKind::VerificationFinished {
                return told;
            }
        }
    })
    .await
}

fn of_verification(message: &pb::TailEventsResponse) -> pb::Verification {
    match message.event.clone().unwrap() {
        Event::Verification(verification) => verification,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_verdict_says_whether_every_delivered_order_is_archived() {
    let server = archived(7).await;
    let good = server.verify_with(VerificationOptions::default()).await;
    assert_eq!(good.state(), VerificationState::Succeeded, "{good:?}");
    assert_eq!(good.verdict(), Verdict::Verified, "{good:?}");
    let as_of = good.as_of.unwrap();
    let moment = chrono::DateTime::from_timestamp_secs(as_of.seconds).unwrap();
    let moment = moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let text = format!("VERIFIED 7 of 7 delivered orders, as of {moment}");
    assert_eq!(good.verdict_text, text);
    assert_eq!(good.as_of, good.start_time);
    let counts = good.counts.unwrap();
    assert_eq!((counts.delivered, counts.verified), (7, 7));
    assert_eq!(good.estimated_total, 7);

    server.insert("Commande", [order("LATE")]).await;
    let bad = server.verify_with(VerificationOptions::default()).await;
    assert_eq!(bad.verdict(), Verdict::NotVerified, "{bad:?}");
    assert!(
        bad.verdict_text.starts_with("NOT VERIFIED: 1 missing"),
        "{bad:?}"
    );
    let counts = bad.counts.unwrap();
    assert_eq!(
        (counts.delivered, counts.verified, counts.missing),
        (8, 7, 1)
    );

    let stats = server.stats_now().await;
    assert_eq!(stats.last_verification.unwrap().id, bad.id);
}

#[tokio::test]
async fn one_runs_at_a_time_beside_a_batch_and_every_instance_can_follow_and_cancel_it() {
    let server = archived(1_000).await;
    let other = server.another(|_| {}).await;
    let (verification, already) = server.start_verification(slowly(), "").await.unwrap();
    assert!(!already);
    for instance in [&server, &other] {
        let again = instance.start_verification(slowly(), "").await.unwrap();
        assert_eq!((again.0.id.as_str(), again.1), (&*verification.id, true));
    }
    other.verification_under_way(&verification.id).await;
    let instances = other.instances().await;
    let holders: Vec<_> = instances
        .iter()
        .filter(|instance| instance.verification_id == verification.id)
        .map(|instance| &instance.name)
        .collect();
    assert_eq!(holders, [&server.config.instance]);

    // A batch does not wait for it.
    let batch = other.run_batch().await;
    assert_eq!(batch.counts.unwrap().duplicates, 1_000);

    let asked = cancel(&other, &verification.id).await.unwrap();
    assert_eq!(asked.state(), VerificationState::Cancelling);
    let (here, there) = (
        server.verification_end(&verification.id).await,
        other.verification_end(&verification.id).await,
    );
    assert_eq!(here, there);
    assert_eq!(here.state(), VerificationState::Cancelled);
    assert_eq!(
        (here.verdict(), here.verdict_text.as_str()),
        (Verdict::Unspecified, "")
    );
    assert!(here.counts.unwrap().delivered < 1_000, "{here:?}");
    let status = cancel(&other, &verification.id).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(faults(&status).0, "VERIFICATION_ENDED");
    // Nothing that was cancelled is a last verdict, and nothing keeps the next one from starting.
    let next = server.verify_with(VerificationOptions::default()).await;
    assert_eq!(next.verdict(), Verdict::Verified);
}

#[tokio::test]
async fn a_request_id_is_one_verification_for_ever() {
    let server = archived(3).await;
    let presence = VerificationOptions {
        depth: pb::VerificationDepth::Presence.into(),
        ..Default::default()
    };
    let (first, already) = server
        .start_verification(presence, "nightly")
        .await
        .unwrap();
    assert!(!already);
    server.verification_end(&first.id).await;
    let (again, already) = server
        .start_verification(presence, "nightly")
        .await
        .unwrap();
    assert_eq!((again.id.as_str(), already), (first.id.as_str(), true));
    assert_eq!(again.request_id, "nightly");
    let other = server.start_verification(VerificationOptions::default(), "nightly");
    let status = other.await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(faults(&status).0, "REQUEST_ID_REUSED");
    let (fresh, already) = server.start_verification(presence, "").await.unwrap();
    assert!(!already && fresh.id != first.id);
}

#[tokio::test]
async fn the_beginning_of_an_id_and_latest_will_do_and_lists_go_by_time() {
    let server = archived(1).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let verification = server.verify_with(VerificationOptions::default()).await;
        ids.insert(0, verification.id);
    }
    let get = async |id: &str| {
        let request = pb::GetVerificationRequest { id: id.to_owned() };
        let answer = server.verifications().get_verification(request).await;
        answer.map(|answer| answer.into_inner().verification.unwrap().id)
    };
    assert_eq!(get("latest").await.unwrap(), ids[0]);
    let short = &ids[0][..ids[0].len() - 1];
    assert_eq!(get(short).await.unwrap(), ids[0]);
    let status = get("nothing").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("ListVerifications"), "{status:?}");

    let mut request = pb::ListVerificationsRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut listed = Vec::new();
    loop {
        let page = server
            .verifications()
            .list_verifications(request.clone())
            .await;
        let page = page.unwrap().into_inner();
        listed.extend(page.verifications.into_iter().map(|it| it.id));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ids);
    let failed = pb::ListVerificationsRequest {
        states: vec![VerificationState::Failed.into()],
        ..Default::default()
    };
    let none = server
        .verifications()
        .list_verifications(failed)
        .await
        .unwrap();
    assert!(none.into_inner().verifications.is_empty());
}

#[tokio::test]
async fn a_bad_request_names_every_field() {
    let server = TestServer::start().await;
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let options = VerificationOptions {
        depth: 77,
        scope: 78,
        settle: seconds(3_601),
        max_orders_per_second: Some(-1),
        max_replication_lag: seconds(0),
    };
    let status = server
        .start_verification(options, &"x".repeat(65))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields = faults(&status).1;
    assert_eq!(
        fields,
        [
            "options.depth",
            "options.scope",
            "options.settle",
            "options.max_orders_per_second",
            "options.max_replication_lag",
            "request_id"
        ]
    );
    let list = pb::ListVerificationsRequest {
        page_size: -1,
        page_token: "garbage".to_owned(),
        states: vec![99],
    };
    let status = server
        .verifications()
        .list_verifications(list)
        .await
        .unwrap_err();
    assert_eq!(faults(&status).1, ["page_size", "states", "page_token"]);
}

#[tokio::test]
async fn whoever_asks_for_changes_is_told_when_all_orders_are_looked_at_and_why() {
    let server = archived(5).await;
    let changes = changes();
    let first = server.verify_with(changes).await;
    assert_eq!(first.scope(), VerificationScope::Full, "{first:?}");
    assert!(first.scope_reason.contains("VERIFIED yet"), "{first:?}");
    assert_eq!(first.options.unwrap().scope(), VerificationScope::Changes);
    let second = server.verify_with(changes).await;
    assert_eq!(second.scope(), VerificationScope::Changes, "{second:?}");
    assert_eq!(second.scope_reason, "");
    // One that looked less closely vouches for no bytes.
    let server = archived(5).await;
    let presence = VerificationOptions {
        depth: pb::VerificationDepth::Presence.into(),
        ..Default::default()
    };
    server.verify_with(presence).await;
    let content = server.verify_with(changes).await;
    assert_eq!(content.scope(), VerificationScope::Full, "{content:?}");
}

#[tokio::test]
async fn after_a_full_one_that_is_not_good_everything_is_looked_at_again() {
    let server = archived(5).await;
    let (full, changes) = (VerificationOptions::default(), changes());
    assert_eq!(server.verify_with(full).await.verdict(), Verdict::Verified);
    let archive = server.collection("Historique");
    let gone = archive.find_one_and_delete(bson::doc! {}).await.unwrap();
    assert_eq!(
        server.verify_with(full).await.verdict(),
        Verdict::NotVerified
    );
    let next = server.verify_with(changes).await;
    assert_eq!(next.scope(), VerificationScope::Full, "{next:?}");
    assert!(next.scope_reason.contains("NOT VERIFIED"), "{next:?}");
    assert_eq!(next.verdict(), Verdict::NotVerified, "{next:?}");
    archive.insert_one(gone.unwrap()).await.unwrap();
    assert_eq!(
        server.verify_with(changes).await.verdict(),
        Verdict::Verified
    );
    let last = server.verify_with(changes).await;
    assert_eq!(last.scope(), VerificationScope::Changes, "{last:?}");
    assert!(
        last.verdict_text
            .starts_with("VERIFIED 0 of 0 delivered orders that have changed"),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_verification_of_other_collections_vouches_for_nothing() {
    let server = archived(5).await;
    let full = server.verify_with(VerificationOptions::default()).await;
    assert_eq!(full.verdict(), Verdict::Verified);
    let other = server
        .second(|config| config.collections.archive = "Historique2".to_owned())
        .await;
    server.shut_down().await;
    let changes = other.verify_with(changes()).await;
    assert_eq!(changes.scope(), VerificationScope::Full, "{changes:?}");
    assert_eq!(changes.counts.unwrap().missing, 5, "{changes:?}");
}

#[tokio::test]
async fn an_archive_of_purged_orders_is_verified_at_a_limited_rate_to_its_end() {
    let server = TestServer::start().await;
    let purged = (1..=7_000).map(|number| {
        let mut archived = order(format!("OLD-{number:06}").as_str());
        archived.insert("_id", number);
        archived
    });
    server.insert("Historique", purged).await;
    server.insert("Commande", orders(2_000)).await;
    server.run_batch().await;
    let limited = VerificationOptions {
        max_orders_per_second: Some(5_000),
        settle: Some(prost_types::Duration::default()),
        ..VerificationOptions::default()
    };
    let ended = server.verify_with(limited).await;
    let counts = ended.counts.unwrap();
    assert_eq!(
        (counts.delivered, counts.archived),
        (2_000, 9_000),
        "{ended:?}"
    );
    let took = ended.duration.unwrap().seconds;
    assert!((1..10).contains(&took), "{ended:?}");
}

#[tokio::test]
async fn differences_of_old_verifications_are_taken_away_and_their_verdicts_stay() {
    let server = archived(3).await;
    let archive = server.collection("Historique");
    archive.delete_one(bson::doc! {}).await.unwrap();
    let first = server.verify_with(VerificationOptions::default()).await;
    let of_first = bson::doc! { "verification": &first.id };
    let differences = server.collection("archd_differences");
    let count = async || differences.count_documents(of_first.clone()).await.unwrap();
    assert_eq!(count().await, 1);
    let presence = VerificationOptions {
        depth: pb::VerificationDepth::Presence.into(),
        ..VerificationOptions::default()
    };
    for _ in 0..29 {
        server.verify_with(presence).await;
    }
    assert_eq!(count().await, 1);
    server.verify_with(presence).await;
    eventually(async || (count().await == 0).then_some(())).await;
    let request = pb::GetVerificationRequest { id: first.id };
    let read = server.verifications().get_verification(request).await;
    let read = read.unwrap().into_inner().verification.unwrap();
    assert_eq!(read.verdict_text, first.verdict_text);
}

#[tokio::test]
async fn the_events_of_a_verification_tell_its_state_at_each_and_are_replayed_alike() {
    let server = archived(60).await;
    let since = server.stats_now().await.read_time;
    let gently = VerificationOptions {
        max_orders_per_second: Some(40),
        ..Default::default()
    };
    let verification = server.verify_with(gently).await;
    let first = told_of_verifications(&server, since).await;
    let of = of_verification;
    assert_eq!(first[0].kind(), EventKind::VerificationStarted);
    assert_eq!(of(&first[0]).state(), VerificationState::Running);
    assert!(first.len() > 2, "{first:?}");
    let progress = &first[1..first.len() - 1];
    assert!(
        progress
            .iter()
            .all(|message| message.kind() == EventKind::VerificationProgress)
    );
    let last = of(first.last().unwrap());
    assert_eq!(last.verdict_text, verification.verdict_text);
    assert_eq!(last.verdict(), Verdict::Verified);
    assert_eq!(last.counts, verification.counts);
    // The next one changes the collection; what was said of this one stays as it was.
    server.verify_with(VerificationOptions::default()).await;
    let again = told_of_verifications(&server, since).await;
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_verification_whose_instance_stops_goes_on_on_another_from_its_place() {
    let server = archived(500).await;
    let other = server.another(|_| {}).await;
    let since = server.stats_now().await.read_time;
    let options = VerificationOptions {
        max_orders_per_second: Some(100),
        ..Default::default()
    };
    let (verification, _) = server.start_verification(options, "").await.unwrap();
    eventually(async || {
        let request = pb::GetVerificationRequest {
            id: verification.id.clone(),
        };
        let answer = other.verifications().get_verification(request).await;
        let now = answer.unwrap().into_inner().verification.unwrap();
        (now.counts.unwrap().delivered >= 250).then_some(())
    })
    .await;
    server.shut_down().await;
    let ended = other.verification_end(&verification.id).await;
    assert_eq!(ended.verdict(), Verdict::Verified, "{ended:?}");
    assert_eq!(ended.resumes, 1);
    assert_eq!(ended.instance, other.config.instance);
    assert_eq!(ended.counts.unwrap().delivered, 500);
    assert_eq!(ended.as_of, ended.start_time, "the first beginning counts");
    let told = told_of_verifications(&other, since).await;
    let counted: Vec<i64> = told
        .iter()
        .map(|message| of_verification(message).counts.unwrap().delivered)
        .collect();
    assert!(
        counted.is_sorted(),
        "nothing was counted again: {counted:?}"
    );
}

#[tokio::test]
async fn the_schedule_verifies_what_its_batch_has_left_once_it_has_succeeded() {
    let server = archived(5).await;
    let schedule = |config: &mut archd::config::Config| {
        let schedule = archd::domain::schedule::Schedule::new("*/3 * * * * *", "Europe/Paris");
        config.schedule = Some(schedule.unwrap());
    };
    let one = server.another(schedule).await;
    let other = server.another(schedule).await;
    let verified = eventually(async || {
        let request = pb::ListVerificationsRequest::default();
        let listed = server.verifications().list_verifications(request).await;
        let listed = listed.unwrap().into_inner().verifications;
        let ended: Vec<_> = listed
            .into_iter()
            .filter(|it| it.end_time.is_some())
            .collect();
        (ended.len() >= 2).then_some(ended)
    })
    .await;
    let batches = server.all("archd_batches").await;
    for verification in &verified {
        assert_eq!(
            verification.verdict(),
            Verdict::Verified,
            "{verification:?}"
        );
        let of_its_time = |batch: &&bson::Document| {
            batch.get_str("request_id").ok() == Some(&verification.request_id)
        };
        let batch = batches.iter().find(of_its_time).expect("a batch before");
        let ended = batch.get_datetime("ended").unwrap().timestamp_millis();
        assert!(ended / 1_000 <= verification.create_time.unwrap().seconds + 1);
    }
    let oldest = verified.last().unwrap();
    assert_eq!(oldest.scope(), VerificationScope::Full, "{oldest:?}");
    let newest = &verified[0];
    assert_eq!(newest.scope(), VerificationScope::Changes, "{newest:?}");
    one.shut_down().await;
    other.shut_down().await;

    let off = |config: &mut archd::config::Config| {
        schedule(config);
        config.verify = false;
    };
    let before = server.all("archd_verifications").await.len();
    let quiet = server.another(off).await;
    let made = server.all("archd_batches").await.len();
    eventually(async || {
        let batches = server.all("archd_batches").await;
        let ended = batches.iter().filter(|batch| batch.contains_key("ended"));
        (ended.count() >= made + 2).then_some(())
    })
    .await;
    assert_eq!(server.all("archd_verifications").await.len(), before);
    quiet.shut_down().await;
}

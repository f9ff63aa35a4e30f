//! The files of TLS while the server runs: they are replaced under load and no call fails, a pair
//! that is torn changes nothing, and who is believed no longer loses its connection.

use devkit::certificates::{Authority, Issued, Subject};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

use crate::support::{
    pki::{Pki, call},
    within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load_and_no_call_fails() {
    const CALLERS: usize = 4;
    let pki = std::sync::Arc::new(Pki::new());
    let mut server = pki.server(&[]).await;
    let address = server.address;
    let caller = pki.clients.issue(Subject::client("caller")).unwrap();
    let ends = CancellationToken::new();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (pki, caller, ends) = (pki.clone(), caller.clone(), ends.clone());
        callers.spawn(async move {
            let kept = pki.connect(address, Some(&caller)).await?;
            let mut calls = 0;
            while !ends.is_cancelled() {
                call(&kept).await?;
                pki.call(address, Some(&caller)).await?;
                calls += 1;
            }
            Ok::<usize, String>(calls)
        });
    }
    for round in 0..5 {
        let before = pki.shown_by(address).await;
        let next = pki.server_certificate();
        pki.write("server.pem", &next.certificate);
        server.hang_up();
        let torn = server.says("are not gone by").await["error"].to_string();
        let told = format!("ARCHD_TLS_KEY: {} is not the key", pki.path("server.key"));
        assert!(torn.contains(&told), "{torn}");
        assert_eq!(pki.shown_by(address).await, before, "round {round}");
        pki.serve_as(&next);
        server.hang_up();
        server.says("files of TLS have changed").await;
        assert_ne!(pki.shown_by(address).await, before, "round {round}");
    }
    ends.cancel();
    for calls in callers.join_all().await {
        let calls = calls.unwrap();
        assert!(calls > 5, "{calls} calls are no load");
    }
}

#[tokio::test]
async fn who_is_believed_no_longer_loses_its_connection_and_nobody_else_does() {
    let pki = Pki::new();
    let others = Authority::new("other clients").unwrap();
    let both = pki.clients.pem() + &others.pem();
    pki.write("clients.pem", &both);
    let server = pki.server(&[]).await;
    let issue = |authority: &Authority| authority.issue(Subject::client("caller")).unwrap();
    let (dropped, kept) = (issue(&pki.clients), issue(&others));
    let (_, mut of_dropped) = listen(&pki, &server, Some(&dropped)).await;
    let (channel, mut of_kept) = listen(&pki, &server, Some(&kept)).await;
    let (_, mut of_nobody) = listen(&pki, &server, None).await;

    // No signal tells of it.
    pki.write("clients.pem", &others.pem());
    within(async { while let Ok(Some(_)) = of_dropped.message().await {} }).await;
    call(&channel).await.unwrap();
    for stream in [&mut of_kept, &mut of_nobody] {
        while let Some(said) = stream.message().now_or_never() {
            assert!(matches!(said, Ok(Some(_))), "{said:?}");
        }
    }
    pki.call(server.address, Some(&dropped)).await.unwrap_err();
    pki.call(server.address, Some(&kept)).await.unwrap();
}

/// A stream of health, which ends with its connection alone.
async fn listen(
    pki: &Pki,
    server: &crate::child::Server,
    shown: Option<&Issued>,
) -> (Channel, Streaming<HealthCheckResponse>) {
    let channel = pki.connect(server.address, shown).await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    let watching = health.watch(HealthCheckRequest::default());
    let mut stream = within(watching).await.unwrap().into_inner();
    within(stream.message()).await.unwrap().unwrap();
    (channel, stream)
}

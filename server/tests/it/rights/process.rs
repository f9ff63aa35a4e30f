//! The file of identities, as the process tells of it.

use super::{Identities, call, line, token};
use crate::{
    child::Server,
    process::{run, settings_on},
    support::TestServer,
};

const STATS: &str = "/orderarchiver.v1.StatsService/GetStats";

#[tokio::test]
async fn a_file_with_faults_keeps_archd_from_starting_and_names_each() {
    let server = TestServer::start().await;
    let identities = Identities::new(&[]);
    let secret = token("secret");
    identities.write(&[
        line("good", "read"),
        format!("token bad read {secret}\n"),
        line("worse", "write"),
    ]);
    let path = identities.path().display().to_string();
    let settings = [
        ("ARCHD_AUTH_FILE", path.as_str()),
        ("ARCHD_LISTEN", "127.0.0.1:0"),
        ("ARCHD_HTTP", "127.0.0.1:0"),
    ];
    let settings = settings_on(server.database.name(), &settings).await;
    for command in ["serve", "watch"] {
        let (code, _, stderr) = run(&[command], &settings).await;
        assert_eq!(code, Some(2), "{stderr}");
        for words in ["ARCHD_AUTH_FILE", &path, "line 2: ", "line 3: "] {
            assert!(stderr.contains(words), "{words} is not in {stderr}");
        }
        assert!(!stderr.contains(&secret), "{stderr}");
    }
    let absent = format!("{path}-absent");
    let settings = settings_on(
        server.database.name(),
        &[
            ("ARCHD_AUTH_FILE", &absent),
            ("ARCHD_LISTEN", "127.0.0.1:0"),
        ],
    )
    .await;
    let (code, _, stderr) = run(&["serve"], &settings).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("can't be read"), "{stderr}");
}

#[tokio::test]
async fn a_bad_change_is_refused_and_told_of_and_refusals_and_deeds_are_in_the_log() {
    let identities = Identities::new(&[line("operator", "operate")]);
    let path = identities.path().display().to_string();
    let mut server = Server::fresh(1_024, &[("ARCHD_AUTH_FILE", &path)]).await;
    let channel = server.connect().await;
    let operator = token("operator");
    identities.write(&["token operator\n".to_owned()]);
    server.hang_up();
    let line = server.says("stays in force").await;
    assert_eq!(line["target"], "archd::audit", "{line}");
    assert!(
        line["message"].as_str().unwrap().contains("line 1"),
        "{line}"
    );
    call(&channel, STATS, Some(&operator)).await.unwrap();

    call(&channel, STATS, Some(&token("stranger")))
        .await
        .unwrap_err();
    let line = server.says("the token is not known").await;
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["call"], STATS.trim_start_matches('/'), "{line}");
    assert!(
        line["peer"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{line}"
    );
    let drop_quarantined = "/orderarchiver.v1.QuarantineService/DropQuarantined";
    call(&channel, drop_quarantined, Some(&operator))
        .await
        .unwrap_err();
    let line = server.says("destroy").await;
    assert_eq!(
        (&line["who"], &line["target"]),
        (&"operator".into(), &"archd::audit".into()),
        "{line}"
    );
    let cancel = "/orderarchiver.v1.BatchService/CancelBatch";
    call(&channel, cancel, Some(&operator)).await.unwrap_err();
    let line = server.says("an audited call").await;
    assert_eq!(line["who"], "operator", "{line}");
    assert_eq!(line["outcome"], "INVALID_ARGUMENT", "{line}");
    assert!(!line.to_string().contains(&operator), "{line}");

    identities.write(&[]);
    server.hang_up();
    server.says("names nobody").await;
    call(&channel, STATS, Some(&operator)).await.unwrap_err();
    server.stop().await;
    let log = server.log().await;
    assert!(log.contains("an audited call"), "{log}");
    for name in ["operator", "stranger"] {
        assert!(!log.contains(&token(name)), "{log}");
    }
}

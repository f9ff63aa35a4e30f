//! `archctl` says who asks, by a token that it has made itself.

use std::fs;

use super::Identities;
use crate::support::TestServer;

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_token_that_archctl_has_made_is_one_that_archd_knows() {
    let maker = TestServer::start().await;
    let identities = Identities::new(&[]);
    let token = identities.path().with_file_name("token");
    let shown = token.display();
    let made = format!("auth token new --name on-call --right read --out {shown} --output json");
    let made = maker.archctl(&made).await.json();
    assert!(made["token"].is_null(), "{made}");
    identities.write(&[format!("{}\n", made["line"].as_str().unwrap())]);
    let server = identities.server().await;

    let nobody = server.archctl("stats").await;
    assert_eq!(nobody.code, Some(5), "{nobody:?}");
    for words in ["--token-file", "archctl auth token new"] {
        assert!(
            nobody.stderr.contains(words),
            "{words} is not in {nobody:?}"
        );
    }
    let known = server.archctl(&format!("--token-file {shown} stats")).await;
    assert_eq!(
        (known.code, known.stderr.as_str()),
        (Some(0), ""),
        "{known:?}"
    );
    let lacking = server
        .archctl(&format!("--token-file {shown} batch start"))
        .await;
    assert_eq!(lacking.code, Some(5), "{lacking:?}");
    assert!(
        lacking.stderr.contains("the right `operate`"),
        "{lacking:?}"
    );
    assert!(lacking.stderr.contains("ARCHD_AUTH_FILE"), "{lacking:?}");
    let health = server.archctl("health").await;
    assert_eq!(health.code, Some(0), "{health:?}");

    let config = token.with_file_name("config.toml");
    let profile = "default_profile = \"here\"\n[profiles.here]\ntoken_file = \"token\"\n";
    fs::write(&config, profile).unwrap();
    let by_profile = format!("--config {} stats", config.display());
    let by_profile = server.archctl(&by_profile).await;
    assert_eq!(by_profile.code, Some(0), "{by_profile:?}");

    #[cfg(unix)]
    {
        set_mode(&token, 0o644);
        let told = server.archctl(&format!("--token-file {shown} stats")).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.stderr.contains("chmod 600"), "{told:?}");
    }
}

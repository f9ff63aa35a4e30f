//! `archctl` over TLS: what it is served by, and for each fault the whole chain and the mend.

use devkit::certificates::{Authority, Subject};

use crate::support::{TestServer, archctl, pki::Pki};

#[tokio::test]
async fn each_fault_of_tls_is_told_with_its_mend() {
    let pki = Pki::new();
    let mut server = pki.server(&[("ARCHD_HTTP", "127.0.0.1:0")]).await;
    let plain = TestServer::start().await;
    let plain = plain.address.trim_start_matches("http://").to_owned();
    let https = format!("https://localhost:{}", server.address.port());
    let http = server.http.unwrap();
    let good = pki.clients.issue(Subject::client("caller")).unwrap();
    let foreign = Authority::new("clients").unwrap();
    let foreign = foreign.issue(Subject::client("caller")).unwrap();
    let another = |name| {
        let other = Authority::new(name).unwrap();
        format!("--ca {}", pki.write(&format!("{name}.pem"), &other.pem()))
    };
    let (by_other, by_namesake) = (another("others"), another("servers"));
    let ca = pki.path("ca.pem");
    let shown = |name: &str, issued: &devkit::certificates::Issued| {
        let cert = pki.write(&format!("{name}.pem"), &issued.certificate);
        let key = pki.write(&format!("{name}.key"), &issued.key);
        format!("--ca {ca} --cert {cert} --key {key}")
    };
    let good = shown("good", &good);
    for flags in [format!("--ca {ca}"), good] {
        let served = archctl(&https, &format!("health {flags}")).await;
        assert_eq!(served.code, Some(0), "{flags}: {served:?}");
    }

    let fails = async |endpoint: &str, flags: &str, told: &[&str]| {
        let failed = archctl(endpoint, &format!("stats {flags}")).await;
        assert_eq!(failed.code, Some(4), "{endpoint} {flags}: {failed:?}");
        for told in told {
            assert!(failed.stderr.contains(told), "{told}: {}", failed.stderr);
        }
    };
    let with_ca = format!("--ca {ca}");
    let by_foreign = shown("foreign", &foreign);
    let unknown = "\nhint: no authority that archctl believes";
    fails(&https, &by_other, &["UnknownIssuer", unknown]).await;
    fails(&https, &by_namesake, &["BadSignature", unknown]).await;
    fails(&https, &by_foreign, &["in --cert"]).await;
    let to_tls = format!("http://localhost:{}", server.address.port());
    fails(
        &to_tls,
        "",
        &["this port speaks TLS", "\nhint: TLS is spoken there"],
    )
    .await;
    let to_plain = format!("https://{plain}");
    fails(&to_plain, &with_ca, &["speaks no TLS", "http://"]).await;
    let to_http = format!("https://localhost:{}", http.port());
    fails(&to_http, &with_ca, &["no gRPC"]).await;

    let elsewhere = Subject::server(&["elsewhere.example.com"]).unwrap();
    pki.serve_as(&pki.servers.issue(elsewhere).unwrap());
    server.hang_up();
    server.says("files of TLS have changed").await;
    let named = [
        "elsewhere.example.com",
        "\nhint: archd's certificate is for other names",
    ];
    fails(&https, &with_ca, &named).await;

    let expired = Subject::server(&["localhost"]).unwrap().expired();
    pki.serve_as(&pki.servers.issue(expired).unwrap());
    server.hang_up();
    server.says("files of TLS have changed").await;
    fails(
        &https,
        &with_ca,
        &["xpired", "\nhint: archd's certificate has expired"],
    )
    .await;
}

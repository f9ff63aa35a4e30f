//! The page for people, and what it is made of: compiled in, so that nothing is loaded from
//! elsewhere.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use sha2::{Digest, Sha256};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Names, types and texts.
const FILES: [(&str, &str, &str); 11] = [
    ("index.html", HTML, include_str!("page/index.html")),
    ("style.css", STYLE, include_str!("page/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("words.js", SCRIPT, include_str!("page/words.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("series.js", SCRIPT, include_str!("page/series.js")),
    ("verdict.js", SCRIPT, include_str!("page/verdict.js")),
    ("charts.js", SCRIPT, include_str!("page/charts.js")),
    ("panels.js", SCRIPT, include_str!("page/panels.js")),
    ("order.js", SCRIPT, include_str!("page/order.js")),
];

/// What the page may do: show what comes from here, and ask here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Names this page among those of other versions.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut digest = Sha256::new();
        for (_, _, text) in FILES {
            digest.update(text);
        }
        hex::encode(&digest.finalize()[..8])
    });
    &VERSION
}

/// The page.
pub(super) async fn page(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// What the page is made of.
pub(super) async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(file, ..)| *file == name) else {
        return (StatusCode::NOT_FOUND, "the page has no such part\n").into_response();
    };
    let tag = format!("\"{}\"", version());
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    // All parts are of one version, so each is asked for anew whenever the page is.
    let head = [
        (CONTENT_TYPE, *kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-cache"),
        (ETAG, tag.as_str()),
    ];
    match is_known {
        true => (StatusCode::NOT_MODIFIED, head).into_response(),
        false => (head, *text).into_response(),
    }
}

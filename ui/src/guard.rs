//! What protects the page's reader: response headers, and the refusal of foreign host names.
//!
//! The API has no login on one machine and listens on loopback. A web page elsewhere must still not
//! read it through the reader's browser: the same-origin policy stops plain requests, and the host
//! check stops DNS rebinding, where a foreign name is made to point at 127.0.0.1.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// Everything the page needs comes from here: no inline script, no inline style sheet, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Probes and scrapers come by whatever name their network gives this machine, and read no logs.
const OPEN_TO_ANY_NAME: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The one name, besides addresses and local names, under which this server is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct PublicName(Option<String>);

impl PublicName {
    /// Takes the host out of `external_url`.
    pub(crate) fn of(external_url: Option<&str>) -> PublicName {
        let authority = external_url
            .and_then(|url| url.split_once("://"))
            .map(|(_, rest)| rest);
        PublicName(
            authority
                .and_then(|rest| rest.split(['/', '?', '#']).next())
                .map(|host| without_port(host).to_ascii_lowercase()),
        )
    }

    /// A rebound name is a public one, so it has a dot and is none of the names that only the local
    /// network hands out.
    fn admits(&self, host: &str) -> bool {
        let host = without_port(host)
            .trim_end_matches('.')
            .to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || [".localhost", ".local", ".internal", ".home.arpa"]
                .iter()
                .any(|end| host.ends_with(end))
            || self.0.as_ref() == Some(&host)
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

pub(crate) async fn guard(
    State(name): State<PublicName>,
    request: Request,
    next: Next,
) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .map(|value| value.to_str().unwrap_or("?").to_owned());
    // HTTP/2 carries the name in the URI instead.
    let host = host
        .or_else(|| request.uri().host().map(str::to_owned))
        .unwrap_or_default();
    let open = OPEN_TO_ANY_NAME.contains(&request.uri().path());
    let mut response = match open || name.admits(&host) {
        true => next.run(request).await,
        false => ApiError::ForeignHost(host).into_response(),
    };
    for (header, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_local_names_pass_and_public_names_do_not() {
        let name = PublicName::default();
        for host in [
            "127.0.0.1:7480",
            "[::1]:7480",
            "10.1.2.3",
            "localhost:7480",
            "server",
            "box.local",
            "a.localhost",
            "",
        ] {
            assert!(name.admits(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7480",
            "127.0.0.1.evil.example",
            "EVIL.example.",
        ] {
            assert!(!name.admits(host), "{host}");
        }
    }

    #[test]
    fn the_external_name_passes_without_regard_to_case_and_port() {
        let name = PublicName::of(Some("https://logs.Example.com:8443/path"));
        assert!(name.admits("LOGS.example.com"));
        assert!(name.admits("logs.example.com:443"));
        assert!(!name.admits("example.com"));
    }
}

//! The embedded page: the files of the build, and `index.html` for every address that is the page's own.
//!
//! Files under `assets/` carry a hash of their content in their name, so a browser may keep them for
//! ever; everything else is asked for again each time and answered with 304 while unchanged.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_NONE_MATCH, VARY,
};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

struct Asset {
    path: &'static str,
    etag: &'static str,
    body: &'static [u8],
    gzip: Option<&'static [u8]>,
}

mod embedded {
    use super::Asset;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// Answers every address that no route has.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    match find(path).filter(|_| reads) {
        Some(asset) => answer(asset, request.headers()),
        None => ApiError::NotFound(path.to_owned()).into_response(),
    }
}

/// The file at `path`, or the page itself where the page's router is to make sense of the address:
/// not below `/api/`, and not something with a file's name, which would hide a broken link.
fn find(path: &str) -> Option<&'static Asset> {
    let named = |name: &str| embedded::ASSETS.iter().find(|asset| asset.path == name);
    let name = path.trim_start_matches('/');
    named(name).or_else(|| {
        let is_page =
            !name.starts_with("api/") && !name.rsplit('/').next().unwrap_or_default().contains('.');
        named("index.html").filter(|_| is_page)
    })
}

fn answer(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let lists = |name: HeaderName, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains(wanted))
    };
    let keep = match asset.path.starts_with("assets/") {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let common = [
        (CACHE_CONTROL, keep),
        (ETAG, asset.etag),
        (VARY, "accept-encoding"),
    ];
    if lists(IF_NONE_MATCH, asset.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let kind = [(CONTENT_TYPE, media_type(asset.path))];
    match asset.gzip.filter(|_| lists(ACCEPT_ENCODING, "gzip")) {
        Some(gzip) => {
            (common, kind, [(CONTENT_ENCODING, "gzip")], Body::from(gzip)).into_response()
        }
        None => (common, kind, Body::from(asset.body)).into_response(),
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" | "webmanifest" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        "png" => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_addresses_get_the_page_and_broken_links_do_not() {
        let page = find("/").map(|asset| asset.path);
        assert_eq!(page, Some("index.html"));
        for path in ["/search", "/alerts/rules/x", "/live"] {
            assert_eq!(find(path).map(|asset| asset.path), page, "{path}");
        }
        for path in [
            "/assets/gone-1234.js",
            "/favicon.ico",
            "/api/v1/nothing",
            "/api/",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn gzip_is_sent_only_to_who_asks() {
        let index = find("/").unwrap();
        let mut headers = HeaderMap::new();
        assert!(
            answer(index, &headers)
                .headers()
                .get(CONTENT_ENCODING)
                .is_none()
        );
        headers.insert(ACCEPT_ENCODING, "br, gzip".parse().unwrap());
        assert_eq!(answer(index, &headers).headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(answer(index, &headers).headers()[CACHE_CONTROL], "no-cache");
    }

    #[test]
    fn unchanged_file_is_answered_with_304() {
        let index = find("/").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, index.etag.parse().unwrap());
        assert_eq!(answer(index, &headers).status(), StatusCode::NOT_MODIFIED);
    }

    /// What a browser loads before it can draw Search: scripts, their preloads and style sheets.
    #[test]
    fn first_paint_takes_at_most_200_kb() {
        if option_env!("LOGBOOM_UI") == Some("stub") {
            println!("skipped: built with LOGBOOM_UI=stub, which embeds no page");
            return;
        }
        let index = std::str::from_utf8(find("/").unwrap().body).unwrap();
        let linked = |asset: &&Asset| {
            let is_code = asset.path.ends_with(".js") || asset.path.ends_with(".css");
            is_code && index.contains(asset.path)
        };
        let bytes: usize = embedded::ASSETS
            .iter()
            .filter(linked)
            .map(|asset| asset.gzip.unwrap_or(asset.body).len())
            .sum();
        assert!(
            bytes > 50_000,
            "the page was not built: Node with npm is needed"
        );
        assert!(
            bytes <= 200_000,
            "{bytes} bytes of gzip are loaded before the first paint"
        );
    }
}

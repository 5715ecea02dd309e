//! What every answer is made from, and the form of answers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::config::Secret;
use crate::gallery::Store;
use crate::station::Station;

/// What the page may load: itself and this server's pictures.
const POLICY: &str = "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer is made from.
#[derive(Debug)]
pub struct Site {
    /// All cameras.
    pub station: Arc<Station>,
    /// What has to be shown.
    pub token: Option<Secret>,
    /// The gallery as the page reads it, with the configuration that it was opened by.
    pub faces: parking_lot::Mutex<Option<(crate::config::GalleryConfig, Store)>>,
}

/// The site, as handlers get it.
pub type Shared = State<Arc<Site>>;

/// An answer with its kind of content.
pub fn with(media: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    if let Ok(media) = HeaderValue::from_str(media) {
        headers.insert(header::CONTENT_TYPE, media);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An answer in plain words.
pub fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let mut response = with("text/plain; charset=utf-8", text.into() + "\n");
    *response.status_mut() = status;
    response
}

//! The gallery of faces, as the page asks for it.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::site::{Shared, Site, plain, with};
use crate::gallery::{Entry, LABEL, Store, Wanted, Which};
use crate::log::error;

/// What the page is told.
#[derive(serde::Serialize)]
struct Listing {
    /// Whether there is a gallery.
    enabled: bool,
    /// Words for every drawn picture.
    label: &'static str,
    faces: Vec<Entry>,
}

/// Does something with the gallery, which is opened when it is first asked for. `None` where there is none.
fn read<T>(
    site: &Site,
    work: impl FnOnce(&Store) -> Result<T, String>,
) -> Result<Option<T>, String> {
    let mut kept = site.faces.lock();
    let Some(config) = site.station.gallery() else {
        *kept = None;
        return Ok(None);
    };
    if kept.as_ref().is_none_or(|(known, _)| *known != config) {
        *kept = Some((config.clone(), Store::open(&config)?));
    }
    let (_, store) = kept.as_ref().ok_or("the gallery is not open")?;
    work(store).map(Some)
}

/// The same, away from the thread that answers; a failure is an answer too.
async fn ask<T: Send + 'static>(
    site: Arc<Site>,
    work: impl FnOnce(&Store) -> Result<T, String> + Send + 'static,
) -> Result<Option<T>, Response> {
    let asked = tokio::task::spawn_blocking(move || read(&site, work)).await;
    let outcome = asked.unwrap_or_else(|error| Err(error.to_string()));
    outcome.map_err(|reason| {
        error!("gallery: {reason}");
        plain(StatusCode::INTERNAL_SERVER_ERROR, reason)
    })
}

/// Faces, the latest first.
pub async fn list(State(site): Shared, Query(wanted): Query<Wanted>) -> Response {
    match ask(site, move |store| store.find(&wanted)).await {
        Ok(found) => axum::Json(Listing {
            enabled: found.is_some(),
            label: LABEL,
            faces: found.unwrap_or_default(),
        })
        .into_response(),
        Err(response) => response,
    }
}

/// A picture of a face.
pub async fn picture(State(site): Shared, Path((id, which)): Path<(i64, String)>) -> Response {
    let which = match which.as_str() {
        "input.jpg" => Which::Input,
        "drawn.jpg" => Which::Drawn,
        _ => return plain(StatusCode::NOT_FOUND, "There is no such picture."),
    };
    match ask(site, move |store| store.picture(id, which)).await {
        Ok(Some(Some(data))) => with("image/jpeg", data),
        Ok(_) => plain(StatusCode::NOT_FOUND, "There is no such face."),
        Err(response) => response,
    }
}

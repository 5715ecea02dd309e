//! The live preview: a camera's frames before and after, side by side, as a stream of JPEG pictures for as long as somebody looks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio_stream::wrappers::ReceiverStream;

use super::site::{Shared, plain, with};
use crate::engine::Pair;
use crate::mask::Shape;
use crate::picture::{beside, jpeg};
use crate::view::View;

/// Least time from picture to picture.
const EVERY: Duration = Duration::from_millis(100);
/// Widest half of a picture, in pixels.
const WIDEST: u32 = 960;
const QUALITY: u8 = 80;
/// What parts the pictures of the stream.
const BOUNDARY: &str = "srfusion-frame";

#[derive(serde::Deserialize)]
pub struct PreviewOptions {
    /// Whether the mask lies over the drawn half.
    #[serde(default)]
    mask: u8,
}

/// One part of the stream. The next part's boundary ends it, so that a browser shows it at once.
fn framed(picture: &[u8]) -> Vec<u8> {
    let head = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        picture.len()
    );
    [
        head.as_bytes(),
        picture,
        format!("\r\n--{BOUNDARY}\r\n").as_bytes(),
    ]
    .concat()
}

/// The mask's shape in a camera's settings.
fn shape(view: &View) -> Shape {
    let mut settings = srfusion::Settings::default();
    for (name, text) in &view.config.engine {
        if let Some(setting) = srfusion::settings::setting(name)
            && let Ok(value) = setting.parse(text)
        {
            // Was read as a value of this setting before.
            let _ = setting.set(&mut settings, value);
        }
    }
    Shape {
        padding: settings.parameters.mask_padding,
        sigma: settings.parameters.mask_sigma,
    }
}

/// Sends pictures until nobody takes them any more.
async fn send(
    view: Arc<View>,
    mask: Option<Shape>,
    sender: tokio::sync::mpsc::Sender<Result<Vec<u8>, Infallible>>,
) {
    let mut pairs = view.pairs.subscribe();
    // What is there already is shown, be it an hour old.
    pairs.mark_changed();
    let begin = format!("--{BOUNDARY}\r\n").into_bytes();
    if sender.send(Ok(begin)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            changed = pairs.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
        let pair: Option<Arc<Pair>> = pairs.borrow_and_update().clone();
        let Some(pair) = pair else { continue };
        let made = tokio::task::spawn_blocking(move || {
            beside(&pair, WIDEST, mask).and_then(|both| jpeg(&both, QUALITY, ""))
        });
        if let Ok(Some(picture)) = made.await
            && sender.send(Ok(framed(&picture))).await.is_err()
        {
            return;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The stream of a camera.
pub async fn stream(
    State(site): Shared,
    Path(name): Path<String>,
    Query(options): Query<PreviewOptions>,
) -> Response {
    let Some(view) = site.station.view(&name) else {
        return plain(StatusCode::NOT_FOUND, "There is no such camera.");
    };
    let mask = (options.mask != 0).then(|| shape(&view));
    // One picture waits at most: who is slow sees fewer.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    // The camera may be ended meanwhile; then its stream ends.
    tokio::spawn(send(view, mask, sender));
    let body = Body::from_stream(ReceiverStream::new(receiver));
    with(
        &format!("multipart/x-mixed-replace; boundary={BOUNDARY}"),
        body,
    )
}

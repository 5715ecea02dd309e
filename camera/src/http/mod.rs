//! Health, metrics and the page, over HTTP.

mod faces;
mod gate;
mod preview;
mod site;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::config::Http;
use crate::log::{error, info, warning};
use crate::metrics;
use crate::station::Station;

use gate::{Shown, Verdict, judge};
use site::{Shared, Site, plain, with};

const PAGE: &str = include_str!("page/cameras.html");
const STYLE: &str = include_str!("page/cameras.css");
const PROGRAM: &str = include_str!("page/cameras.js");
#[derive(serde::Deserialize)]
struct TokenQuery {
    token: Option<String>,
}

/// Lets those in who may.
async fn gate(
    State(site): Shared,
    Query(query): Query<TokenQuery>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let shown = Shown {
        authorization: text(header::AUTHORIZATION),
        cookie: text(header::COOKIE),
        host: text(header::HOST),
        query: query.token.as_deref(),
    };
    match (judge(site.token.as_ref(), shown), &site.token) {
        (Verdict::Pass, _) => next.run(request).await,
        (Verdict::Welcome, Some(token)) => {
            // On to the same page without the token, which would stay in the browser's history.
            let cookie = format!(
                "{}={}; HttpOnly; SameSite=Strict; Path=/",
                gate::COOKIE,
                gate::cookie(token)
            );
            let headers = [
                (header::SET_COOKIE, cookie),
                (header::LOCATION, "/".to_owned()),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        (Verdict::Foreign, _) => plain(
            StatusCode::FORBIDDEN,
            "This address is not this machine's. Use its number, or set a token.",
        ),
        _ => plain(
            StatusCode::UNAUTHORIZED,
            "Expected the token: open /?token=TOKEN, or send the header Authorization: Bearer TOKEN.",
        ),
    }
}

async fn healthz(State(site): Shared) -> Response {
    let ill: Vec<_> = site
        .station
        .views()
        .into_iter()
        .filter(|view| !view.healthy())
        .map(|view| view.config.name.clone())
        .collect();
    if ill.is_empty() {
        plain(StatusCode::OK, "ok")
    } else {
        let text = format!("these cameras' threads do not answer: {}", ill.join(", "));
        plain(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn readyz(State(site): Shared) -> Response {
    let views = site.station.views();
    let waiting = views.iter().filter(|view| !view.ready()).count();
    if waiting == 0 {
        plain(StatusCode::OK, "ready")
    } else {
        // Names are for those with the token.
        let text = format!("{waiting} of {} cameras have no picture", views.len());
        plain(StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn numbers(State(site): Shared) -> Response {
    let views = site.station.views();
    let now = views
        .iter()
        .map(|view| (view.config.name.clone(), view.snapshot()));
    with(metrics::CONTENT_TYPE, site.station.metrics.text(now))
}

async fn cameras(State(site): Shared) -> Response {
    let views = site.station.views();
    let reports: Vec<_> = views.iter().map(|view| view.report()).collect();
    axum::Json(reports).into_response()
}

fn router(site: Arc<Site>) -> Router {
    let fixed = |media, text: &'static str| get(move || async move { with(media, text) });
    let closed = Router::new()
        .route("/", fixed("text/html; charset=utf-8", PAGE))
        .route("/cameras.css", fixed("text/css; charset=utf-8", STYLE))
        .route(
            "/cameras.js",
            fixed("text/javascript; charset=utf-8", PROGRAM),
        )
        .route("/cameras/{name}/preview.mjpg", get(preview::stream))
        .route("/gallery", get(faces::list))
        .route("/gallery/{id}/{which}", get(faces::picture))
        .route("/metrics", get(numbers))
        .route("/cameras", get(cameras))
        .layer(middleware::from_fn_with_state(site.clone(), gate));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(closed)
        .with_state(site)
}

/// The server, in a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub struct HttpServer {
    end: Arc<tokio::sync::Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl HttpServer {
    /// Listens.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn start(config: &Http, station: Arc<Station>) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot serve {}: {error}", config.listen);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // Pictures are made by these, a few at a time.
            .max_blocking_threads(2)
            .build()
            .map_err(failed)?;
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(config.listen))
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        info!("serving http://{address}/");
        if !address.ip().is_loopback() && config.token.is_none() {
            warning!(
                "whoever reaches {address} can see the page; token-file or token-env in [http] asks for a token"
            );
        }
        let site = Arc::new(Site {
            station,
            token: config.token.clone(),
            faces: parking_lot::Mutex::default(),
        });
        let end = Arc::new(tokio::sync::Notify::new());
        let ended = end.clone();
        let thread = std::thread::Builder::new()
            .name("http".into())
            .spawn(move || {
                runtime.block_on(async {
                    // Open connections, such as previews, are not waited for.
                    tokio::select! {
                        served = async { axum::serve(listener, router(site)).await } => {
                            if let Err(reason) = served {
                                error!("the page is served no more: {reason}");
                            }
                        }
                        () = ended.notified() => {}
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self {
            end,
            thread: Some(thread),
        })
    }
}

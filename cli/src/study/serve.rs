//! The page of a study and what it asks: a small web server, seen from this machine only unless told otherwise.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::plan;
use super::sets::{self, LOW, Set, TRUE};
use super::store::Store;
use crate::arguments::ServeOptions;
use crate::failure::{Failure, Result};
use crate::interrupt;

const PAGE: &str = include_str!("page/study.html");
const STYLE: &str = include_str!("page/study.css");
const PROGRAM: &str = include_str!("page/study.js");
/// What the page may load: itself and this server's pictures.
const POLICY: &str = "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
/// Longest name of a rater that is kept, in characters.
const LONGEST_NAME: usize = 80;

struct Study {
    folder: PathBuf,
    sets: Vec<Set>,
    store: Mutex<Store>,
    seconds: u32,
    traps: usize,
    title: String,
}

impl Study {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is an error: its status and words for the rater.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let text = match failure {
            Failure::Failed(text) | Failure::Usage(text) => text,
            Failure::Interrupted | Failure::Stopped(_) | Failure::Refused => {
                "the study is ending".into()
            }
        };
        eprintln!("srfusion: {text}");
        Self(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

fn unknown() -> Refusal {
    let text = "There is no such session. Begin again at the first page.";
    Refusal(StatusCode::NOT_FOUND, text.into())
}

type Reply<T> = std::result::Result<T, Refusal>;

/// What a rater types before the first question.
#[derive(Deserialize)]
struct Beginning {
    #[serde(default)]
    name: String,
}

/// Where a session stands, in the page's words.
#[derive(Serialize)]
struct StudyStanding {
    title: String,
    count: usize,
    seconds: u32,
    /// Number of the next question; `None` at the end.
    position: Option<usize>,
    /// Pictures to be marked.
    places: usize,
}

/// Marks for the pictures of a question, in the order of their places.
#[derive(Deserialize)]
struct GivenAnswer {
    marks: Vec<u8>,
    #[serde(default)]
    milliseconds: u64,
}

async fn begin(
    State(study): State<Arc<Study>>,
    Json(beginning): Json<Beginning>,
) -> Reply<Json<serde_json::Value>> {
    let name: String = beginning.name.trim().chars().take(LONGEST_NAME).collect();
    let token = study.store().begin(&name, study.traps)?;
    Ok(Json(serde_json::json!({ "token": token })))
}

async fn about(State(study): State<Arc<Study>>) -> Json<serde_json::Value> {
    let pictures: usize = study.sets.iter().map(|set| set.pictures.len()).sum();
    Json(serde_json::json!({
        "title": study.title,
        "seconds": study.seconds,
        "questions": pictures + study.traps,
    }))
}

async fn standing(
    State(study): State<Arc<Study>>,
    Path(token): Path<String>,
) -> Reply<Json<StudyStanding>> {
    let store = study.store();
    let place = store.place(&token)?.ok_or_else(unknown)?;
    if let Some((position, _)) = &place.next {
        store.seen(place.session, *position)?;
    }
    Ok(Json(StudyStanding {
        title: study.title.clone(),
        count: place.count,
        seconds: study.seconds,
        position: place.next.as_ref().map(|(position, _)| *position),
        places: place.next.map_or(0, |(_, question)| question.slots.len()),
    }))
}

async fn answer(
    State(study): State<Arc<Study>>,
    Path((token, position)): Path<(String, usize)>,
    Json(answer): Json<GivenAnswer>,
) -> Reply<StatusCode> {
    let mut store = study.store();
    let place = store.place(&token)?.ok_or_else(unknown)?;
    // An answer may be given anew, but none before its turn.
    let turn = place.next.as_ref().map_or(place.count, |(next, _)| *next);
    if position > turn || position >= place.count {
        let text = "This question is not yet to be answered. Load the page again.";
        return Err(Refusal(StatusCode::CONFLICT, text.into()));
    }
    let question = store.question(place.session, position)?;
    if let Err(reason) = plan::check(&answer.marks, question.slots.len()) {
        store.refused(place.session, position)?;
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, reason.into()));
    }
    store.answer(place.session, position, &answer.marks, answer.milliseconds)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A picture of a question; its address does not tell what it is.
async fn picture(
    State(study): State<Arc<Study>>,
    Path((token, position, place)): Path<(String, usize, String)>,
) -> Reply<Response> {
    let question = {
        let store = study.store();
        let found = store.place(&token)?.ok_or_else(unknown)?;
        if position >= found.count {
            return Err(unknown());
        }
        store.question(found.session, position)?
    };
    let kind = match place.as_str() {
        "low" => LOW,
        "true" => TRUE,
        slot => {
            let slot = slot.parse::<usize>().ok();
            let kind = slot.and_then(|slot| question.slots.get(slot));
            kind.ok_or_else(unknown)?.as_str()
        }
    };
    let set = study.sets.iter().find(|set| set.name == question.set);
    let item = set.and_then(|set| {
        set.pictures
            .iter()
            .find(|item| item.name == question.picture)
    });
    let file = item
        .and_then(|item| item.files.get(kind))
        .ok_or_else(unknown)?;
    let path = study.folder.join(file);
    let data = std::fs::read(&path)
        .map_err(|error| Failure::Failed(format!("cannot read {}: {error}", path.display())))?;
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    let media = match extension.to_lowercase().as_str() {
        "png" => "image/png",
        "webp" => "image/webp",
        _ => "image/jpeg",
    };
    Ok(with(media, "private, max-age=3600", Body::from(data)))
}

fn with(media: &'static str, cache: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let mut response = Response::new(body.into());
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn router(study: Arc<Study>) -> Router {
    let fixed =
        |media, text: &'static str| get(move || async move { with(media, "no-cache", text) });
    Router::new()
        .route("/", fixed("text/html; charset=utf-8", PAGE))
        .route("/study.css", fixed("text/css; charset=utf-8", STYLE))
        .route(
            "/study.js",
            fixed("text/javascript; charset=utf-8", PROGRAM),
        )
        .route("/about", get(about))
        .route("/sessions", post(begin))
        .route("/sessions/{token}", get(standing))
        .route("/sessions/{token}/answers/{position}", post(answer))
        .route(
            "/sessions/{token}/pictures/{position}/{place}",
            get(picture),
        )
        .with_state(study)
}

/// Serves the study until Ctrl-C.
///
/// # Errors
/// As [`super::run`].
pub fn run(options: &ServeOptions) -> Result<()> {
    let sets = sets::read(&options.folder)?;
    let database = options.database.clone();
    let database = database.unwrap_or_else(|| options.folder.join("study.sqlite"));
    let store = Store::open(&database, &sets)?;
    let pictures: usize = sets.iter().map(|set| set.pictures.len()).sum();
    let traps = options
        .traps
        .map_or_else(|| plan::usual_traps(&sets), |traps| traps as usize);
    let names: Vec<_> = sets
        .iter()
        .map(|set| {
            format!(
                "{} ({} pictures: {})",
                if set.name.is_empty() {
                    "one data set"
                } else {
                    &set.name
                },
                set.pictures.len(),
                set.treatments.join(", ")
            )
        })
        .collect();
    let study = Arc::new(Study {
        folder: options.folder.clone(),
        sets,
        store: Mutex::new(store),
        seconds: options.seconds,
        traps,
        title: options.title.clone(),
    });
    let failed = |error: std::io::Error| {
        Failure::Failed(format!("cannot serve {}: {error}", options.listen))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(failed)?;
    interrupt::catch()?;
    let end = Arc::new(tokio::sync::Notify::new());
    interrupt::on_interrupt({
        let end = end.clone();
        move || end.notify_one()
    });
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(options.listen)
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        println!("{}", names.join("; "));
        println!(
            "{} questions a session; marks go to {}",
            pictures + traps,
            database.display()
        );
        if !address.ip().is_loopback() {
            eprintln!(
                "srfusion: warning: whoever reaches {address} can see the pictures and give marks"
            );
        }
        println!("open http://{address}/ (Ctrl-C ends the study)");
        // Whoever waits for the address reads a pipe as well as a terminal.
        let _ = std::io::Write::flush(&mut std::io::stdout());
        // Open connections are not waited for: browsers keep them, and every answer is written before it is confirmed.
        tokio::select! {
            served = async { axum::serve(listener, router(study)).await } => served.map_err(failed),
            () = end.notified() => Ok(()),
        }
    })?;
    println!("the marks are in {}", database.display());
    Ok(())
}

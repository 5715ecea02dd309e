//! Finds ONNX Runtime's shared library and loads it, once per process.
//!
//! Nothing else of `ort` may be touched before [`load`] succeeded: its functions panic without a library. The environment is
//! made once and never dropped: ONNX Runtime allows one per process, and releasing it at exit has crashed processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::environment::GlobalThreadPoolOptions;
use parking_lot::{Mutex, RwLock};

use super::gpu::preload::preload;
use crate::error::{Error, Result};
use crate::folders::data_folders;

pub use ort::logging::LogLevel;

/// Variable that names the library.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Below the user's data folder: where `scripts/setup` unpacks the wheel.
const SETUP_FOLDER: &str = "srfusion/runtime/onnxruntime/capi";

/// A place where the library may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryCandidate {
    /// The file, or a bare name for the system's loader to find.
    pub path: PathBuf,
    /// Who says so.
    pub source: &'static str,
}

/// The library in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryInfo {
    /// The file or name it was loaded by.
    pub path: PathBuf,
    /// Its version, major and minor.
    pub version: String,
}

struct LoadedLibrary {
    loaded: LibraryInfo,
    environment: ort::environment::Environment,
}

type Logger = Arc<dyn Fn(LogLevel, &str, &str) + Send + Sync>;

static LIBRARY: Mutex<Option<LoadedLibrary>> = Mutex::new(None);
static LOGGER: RwLock<Option<Logger>> = RwLock::new(None);
static LOG_LEVEL: Mutex<LogLevel> = Mutex::new(LogLevel::Warning);

/// Sends the runtime's own log to `logger` as level, category and message. Call it before the first [`load`].
pub fn set_logger(logger: impl Fn(LogLevel, &str, &str) + Send + Sync + 'static) {
    *LOGGER.write() = Some(Arc::new(logger));
}

/// Sets the least level that the runtime logs, now and when it is loaded later.
pub fn set_log_level(level: LogLevel) {
    *LOG_LEVEL.lock() = level;
    if let Some(state) = &*LIBRARY.lock() {
        state.environment.set_log_level(level);
    }
}

/// Where the library is looked for, in order. A path given by the user, or by `ORT_DYLIB_PATH`, is the only candidate.
pub fn candidates(explicit: Option<&Path>) -> Vec<LibraryCandidate> {
    if let Some(path) = explicit {
        return vec![LibraryCandidate {
            path: absolute(path),
            source: "runtime-library",
        }];
    }
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE).filter(|v| !v.is_empty()) {
        return vec![LibraryCandidate {
            path: absolute(Path::new(&path)),
            source: LIBRARY_VARIABLE,
        }];
    }
    let mut found = Vec::new();
    for folder in data_folders() {
        let folder = folder.join(SETUP_FOLDER);
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name == "libonnxruntime.so"
                    || name.starts_with("libonnxruntime.so.")
                    || name == "libonnxruntime.dylib"
            })
            .collect();
        files.sort();
        found.extend(files.pop().map(|path| LibraryCandidate {
            path,
            source: "scripts/setup",
        }));
    }
    for name in ["libonnxruntime.so.1", "libonnxruntime.so"] {
        found.push(LibraryCandidate {
            path: name.into(),
            source: "system",
        });
    }
    found
}

/// A bare name stays one, for the system's loader, which does not look into the current folder, whatever lies there. Anything else is
/// made absolute, because `ort` would look beside the executable first.
fn absolute(path: &Path) -> PathBuf {
    if path.components().count() <= 1 {
        return path.to_owned();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Loads the library unless one is loaded already, which is then kept: a process has one.
///
/// # Errors
/// [`Error::Runtime`] listing each candidate with the reason why it could not be used, and what to do.
pub fn load(explicit: Option<&Path>) -> Result<LibraryInfo> {
    let mut state = LIBRARY.lock();
    if let Some(state) = &*state {
        // A path that does not even exist is a mistake worth telling, though another library is in use.
        if let Some(path) = explicit.map(absolute)
            && path != state.loaded.path
        {
            if path.components().count() > 1 && !path.exists() {
                return Err(Error::Runtime(format!(
                    "{} (runtime-library) does not exist; give the path of libonnxruntime.so, or run scripts/setup",
                    path.display()
                )));
            }
            log(
                LogLevel::Warning,
                "srfusion",
                &format!(
                    "runtime-library={} is ignored: this process uses {} already",
                    path.display(),
                    state.loaded.path.display()
                ),
            );
        }
        return Ok(state.loaded.clone());
    }
    let mut reasons = Vec::new();
    for candidate in candidates(explicit) {
        match open(&candidate.path) {
            Ok(opened) => {
                let loaded = opened.loaded.clone();
                *state = Some(opened);
                return Ok(loaded);
            }
            Err(reason) => reasons.push(format!(
                "{} ({}): {reason}",
                candidate.path.display(),
                candidate.source
            )),
        }
    }
    Err(Error::Runtime(format!(
        "no library of ONNX Runtime 1.{} or later could be loaded: {}; run scripts/setup, or set runtime-library or {LIBRARY_VARIABLE} to the path of libonnxruntime.so",
        ort::MINOR_VERSION,
        reasons.join("; ")
    )))
}

fn open(path: &Path) -> Result<LoadedLibrary, String> {
    if path.components().count() > 1 && !path.is_file() {
        return Err(if path.exists() {
            "not a file".into()
        } else {
            "no such file".into()
        });
    }
    for text in preload(path) {
        log(LogLevel::Info, "srfusion", &text);
    }
    // Its Display leaves out the cause, which only Debug has.
    let builder = ort::init_from(path).map_err(|e| format!("{e}: {e:?}"))?;
    let version =
        ort::util::probe(path).map_or_else(|| "1".to_owned(), |minor| format!("1.{minor}"));
    // One pool for all sessions of the process, which mostly run one after the other; the thread that calls works too. The
    // engine's own count honours containers that are given part of a machine, which the runtime's does not. Idle threads do
    // not spin: they leave the cores to the decoder and the encoder. As fast as pools of their own: 102 and 117 ms of
    // processor time for 320x180 against 117 and 117 ms, in turns.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = GlobalThreadPoolOptions::default()
        .with_intra_threads(cores)
        .and_then(|pool| pool.with_inter_threads(1))
        .and_then(|pool| pool.with_spin_control(false))
        .map_err(|e| e.to_string())?;
    let environment = builder
        .with_name("srfusion")
        .with_global_thread_pool(pool)
        .with_telemetry(false)
        .with_logger(Arc::new(|level, category, _id, _location, message| {
            log(level, category, message)
        }))
        .build()
        .map_err(|e| e.to_string())?;
    environment.set_log_level(*LOG_LEVEL.lock());
    Ok(LoadedLibrary {
        loaded: LibraryInfo {
            path: path.to_owned(),
            version,
        },
        environment,
    })
}

pub(super) fn log(level: LogLevel, category: &str, message: &str) {
    // Called from the runtime's threads, through C: a panic here would end the process.
    let logger = LOGGER.read().clone();
    if let Some(logger) = logger {
        logger(level, category, message);
    }
}

/// The environment that sessions are made in.
///
/// # Errors
/// [`Error::Runtime`] as from [`load`].
pub(super) fn environment(explicit: Option<&Path>) -> Result<ort::environment::Environment> {
    load(explicit)?;
    match &*LIBRARY.lock() {
        Some(state) => Ok(state.environment.clone()),
        None => Err(Error::Runtime("the library was not loaded".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explicit_path_is_the_only_candidate() {
        let found = candidates(Some(Path::new("/nowhere/libonnxruntime.so")));
        assert_eq!(
            found,
            [LibraryCandidate {
                path: "/nowhere/libonnxruntime.so".into(),
                source: "runtime-library"
            }]
        );
        let message = load(Some(Path::new("/nowhere/libonnxruntime.so")))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("/nowhere/libonnxruntime.so") && message.contains("scripts/setup"),
            "{message}"
        );
    }
}

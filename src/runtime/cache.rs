//! Folders for what providers compile: one for each key, shared by all processes of a user.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::library;
use crate::bounded;
use crate::error::{Error, Result};
use crate::folders::{cache_folder, make_private};
use crate::settings::{Config, Precision, Provider};

/// How often a process that waits for another looks again.
const GLANCE: Duration = Duration::from_millis(50);
/// File that is locked: by one process that compiles, or by all that read.
const LOCK: &str = "lock";
/// File that is there once the provider compiled everything and ran: a line of sha256 and name for each file that is read again.
const COMPLETE: &str = "complete";
/// Ends of names of files that a provider may write anew at any time, and reads only to compile.
const CHANGING: &str = ".timing";

/// What decides whether something compiled for one network may serve another: one cache folder for each value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheKey {
    pub(super) sha256: String,
    pub(super) precision: Precision,
    pub(super) device_id: u32,
    /// Names of the machine's accelerators: a home folder may be shared by several machines.
    pub(super) device: String,
    pub(super) runtime: String,
    /// Version of the compiler, such as TensorRT's.
    pub(super) compiler: String,
    /// Largest input that the provider compiles for.
    pub(super) shape: [usize; 4],
    /// Everything else that the provider was told.
    pub(super) options: String,
}

impl CacheKey {
    /// The key as a folder name: what a person may want to know in plain words, all of it in the sum at the end.
    pub(super) fn folder(&self) -> String {
        let [n, c, h, w] = self.shape;
        let start: String = self.sha256.chars().take(16).collect();
        let all = format!("{self:?}");
        let sum: String = Sha256::digest(all.as_bytes())
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!(
            "{start}-{n}x{c}x{h}x{w}-{}-device{}-ort{}-{sum}",
            self.precision.name(),
            self.device_id,
            self.runtime
        )
    }
}

/// The folder that holds everything compiled under `config`, if there is one to be had. It need not exist.
pub fn dir(config: &Config) -> Option<PathBuf> {
    config.cache_dir.clone().or_else(cache_folder)
}

/// The folder of `key`, made if need be; `None` for providers that compile nothing, and where it cannot be made: the provider
/// then compiles anew each time, which is slower, not wrong.
pub(super) fn folder(provider: Provider, config: &Config, key: &CacheKey) -> Option<PathBuf> {
    if !matches!(provider, Provider::TensorRt | Provider::OpenVino) {
        return None;
    }
    let folder = dir(config)?.join(provider.name()).join(key.folder());
    make_private(&folder).ok()?;
    Some(folder)
}

/// Whether everything was compiled into `folder`.
pub(super) fn is_complete(folder: &Path) -> bool {
    folder.join(COMPLETE).is_file()
}

/// What is to be in [`COMPLETE`] for what lies in `folder` now.
fn sums(folder: &Path) -> std::io::Result<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir()
            || [LOCK, COMPLETE].contains(&name.as_str())
            || name.ends_with(CHANGING)
        {
            continue;
        }
        let sum = bounded::sha256(File::open(entry.path())?)?;
        lines.push(format!("{sum}  {name}\n"));
    }
    lines.sort();
    Ok(lines.concat())
}

/// Whether what lies in `folder` is what was there when it was complete.
fn is_as_completed(folder: &Path) -> bool {
    let noted = bounded::read_text(&folder.join(COMPLETE), bounded::KEPT_BYTES);
    match (noted, sums(folder)) {
        (Ok(noted), Ok(found)) => noted == found,
        _ => false,
    }
}

/// Removes what was compiled into `folder`: nobody knows what it is.
fn discard(folder: &Path) {
    // First of all: without it nothing else is read.
    let _ = std::fs::remove_file(folder.join(COMPLETE));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name() != LOCK {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Bytes in `dir` and its folders, and how many keys were compiled completely.
pub fn usage(dir: &Path) -> (u64, usize) {
    let (mut bytes, mut complete) = (0, 0);
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        // Of the entry itself: a link is not followed.
        match entry.metadata() {
            Ok(of) if of.is_dir() => {
                let (inner, keys) = usage(&entry.path());
                bytes += inner;
                complete += keys;
            }
            Ok(of) => {
                bytes += of.len();
                complete += usize::from(entry.file_name() == COMPLETE);
            }
            Err(_) => {}
        }
    }
    (bytes, complete)
}

/// The right to use a cache folder: alone as long as it is not complete, together with others afterwards. Ends when it is
/// dropped, and with the process.
#[derive(Debug)]
pub(super) struct Reservation {
    folder: PathBuf,
    /// Whether there was nothing left to compile when it began.
    pub(super) was_complete: bool,
    _lock: File,
}

impl Reservation {
    /// Waits until nobody else compiles into `folder`. `None` if files there cannot be locked: everyone then compiles alone.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once `interrupted`.
    pub(super) fn wait(folder: &Path, interrupted: &dyn Fn() -> bool) -> Result<Option<Self>> {
        let mut options = File::options();
        options.create(true).truncate(false).write(true).read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let Ok(lock) = options.open(folder.join(LOCK)) else {
            return Ok(None);
        };
        let mut told = false;
        loop {
            let was_complete = is_complete(folder);
            let outcome = if was_complete {
                lock.try_lock_shared()
            } else {
                lock.try_lock()
            };
            match outcome {
                // Completed between the look and the lock: once more, to read together with the others.
                Ok(()) if !was_complete && is_complete(folder) => {
                    let _ = lock.unlock();
                }
                // Shared with those that read it at this moment: whoever finds it removed compiles.
                Ok(()) if was_complete && !is_as_completed(folder) => {
                    let text = format!(
                        "{} is not what was compiled into it: it is compiled anew",
                        folder.display()
                    );
                    library::log(library::LogLevel::Warning, "srfusion", &text);
                    discard(folder);
                    let _ = lock.unlock();
                }
                Ok(()) => {
                    return Ok(Some(Self {
                        folder: folder.to_owned(),
                        was_complete,
                        _lock: lock,
                    }));
                }
                Err(TryLockError::Error(_)) => return Ok(None),
                Err(TryLockError::WouldBlock) if interrupted() => return Err(Error::Cancelled),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        told = true;
                        let text = format!(
                            "another process compiles into {}: waiting",
                            folder.display()
                        );
                        library::log(library::LogLevel::Info, "srfusion", &text);
                    }
                    std::thread::sleep(GLANCE);
                }
            }
        }
    }

    /// Notes that everything is compiled.
    pub(super) fn complete(self) {
        if self.was_complete {
            return;
        }
        // In one step: nobody sees half of it. Should it fail, the next process waits for a lock that it need not have.
        let _ = sums(&self.folder).and_then(|sums| {
            let mut file = NamedTempFile::new_in(&self.folder)?;
            file.write_all(sums.as_bytes())?;
            Ok(file.persist(self.folder.join(COMPLETE))?)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key() -> CacheKey {
        CacheKey {
            sha256: "13ae3ccbec45bd2e7ddd30cc6a10b276".into(),
            precision: Precision::Fp16,
            device_id: 0,
            device: "NVIDIA A2".into(),
            runtime: "1.31".into(),
            compiler: "10.9.0".into(),
            shape: [1, 3, 256, 384],
            options: "a=1".into(),
        }
    }

    #[test]
    fn whatever_differs_gets_its_own_folder() {
        let plain = key().folder();
        assert!(
            plain.starts_with("13ae3ccbec45bd2e-1x3x256x384-fp16-device0-ort1.31-"),
            "{plain}"
        );
        assert_eq!(plain, key().folder());
        let change = |change: fn(&mut CacheKey)| {
            let mut key = key();
            change(&mut key);
            key.folder()
        };
        let mut all = vec![
            plain,
            change(|k| k.sha256.push('0')),
            change(|k| k.precision = Precision::Fp32),
            change(|k| k.device_id = 1),
            change(|k| k.device = "NVIDIA L4".into()),
            change(|k| k.runtime = "1.32".into()),
            change(|k| k.compiler = "10.10.0".into()),
            change(|k| k.shape = [1, 3, 384, 256]),
            change(|k| k.options = "a=2".into()),
        ];
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        for name in all {
            assert!(
                name.chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.'),
                "{name}"
            );
        }
    }

    #[test]
    fn what_was_changed_is_compiled_anew() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        let file = |name: &str| folder.join(name);
        let compile = || {
            let reservation = Reservation::wait(folder, &|| false).unwrap().unwrap();
            assert!(!reservation.was_complete);
            std::fs::write(file("srfusion.engine"), "compiled").unwrap();
            std::fs::write(file("context.onnx"), "names it").unwrap();
            std::fs::write(file("srfusion.timing"), "times").unwrap();
            reservation.complete();
        };
        let is_taken = || {
            let reservation = Reservation::wait(folder, &|| false).unwrap().unwrap();
            assert_eq!(reservation.was_complete, file("srfusion.engine").exists());
            reservation.was_complete
        };
        compile();
        assert!(is_taken());
        // The provider may write its times anew.
        std::fs::write(file("srfusion.timing"), "other times").unwrap();
        assert!(is_taken());
        let spoil: [&dyn Fn(); 5] = [
            &|| std::fs::write(file("srfusion.engine"), "compilfd").unwrap(),
            &|| std::fs::remove_file(file("context.onnx")).unwrap(),
            &|| std::fs::write(file("another.engine"), "from elsewhere").unwrap(),
            &|| std::fs::write(file(COMPLETE), "").unwrap(),
            &|| {
                File::create(file(COMPLETE))
                    .unwrap()
                    .set_len(1 << 40)
                    .unwrap()
            },
        ];
        for (turn, spoil) in spoil.iter().enumerate() {
            spoil();
            assert!(!is_taken(), "{turn}");
            compile();
            assert!(is_taken(), "{turn}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_or_writes_what_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let config = Config {
            cache_dir: Some(temporary.path().join("cache")),
            ..Config::default()
        };
        let folder = folder(Provider::TensorRt, &config, &key()).unwrap();
        let reservation = Reservation::wait(&folder, &|| false).unwrap().unwrap();
        reservation.complete();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for folder in folder.ancestors().take(3) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        for file in [LOCK, COMPLETE] {
            assert_eq!(mode(&folder.join(file)), 0o600, "{file}");
        }
    }

    #[test]
    fn one_compiles_and_the_others_read() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        let (compiled, reading) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let use_it = || {
            let reservation = Reservation::wait(folder, &|| false).unwrap().unwrap();
            if !is_complete(folder) {
                compiled.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(120));
                reservation.complete();
                return;
            }
            // Those that read do so together: each waits here for the other two.
            reading.fetch_add(1, Ordering::SeqCst);
            while reading.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(use_it);
            }
        });
        assert_eq!(compiled.load(Ordering::SeqCst), 1);
        assert_eq!(usage(folder).1, 1);

        // One that gave up, as by a crash, leaves nothing locked and nothing complete.
        let temporary = tempfile::tempdir().unwrap();
        let other = temporary.path();
        drop(Reservation::wait(other, &|| false).unwrap());
        let held = Reservation::wait(other, &|| false).unwrap().unwrap();
        assert!(!is_complete(other));
        assert!(matches!(
            Reservation::wait(other, &|| true),
            Err(Error::Cancelled)
        ));
        drop(held);
    }
}

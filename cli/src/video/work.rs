//! The folder in which a video is made, beside its final place: what was decided, and the segments that are finished. The
//! same command goes on where it was ended, however that happened.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::video::segment::{self, Record, cannot_write};

/// What must be the same for segments to be used again, each under the name by which a difference is told.
pub type Settings = BTreeMap<String, String>;

const MANIFEST: &str = "manifest.json";
const LOCK: &str = "lock";

/// The folder, held by this process alone.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    target: PathBuf,
    // Released when the process ends, in whatever way.
    _lock: File,
    /// Whether finished segments stay when the work is not finished.
    pub keeps: bool,
    finished: bool,
}

/// The folder for the file `target`. Its name is short, however long the file's.
pub fn folder(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default();
    let hash = segment::hex(&Sha256::digest(name.as_encoded_bytes()));
    let name = format!(".srfusion-{}", &hash[..16]);
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.join(name),
        _ => PathBuf::from(name),
    }
}

/// Whether the folder holds a finished segment.
fn has_segments(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.ends_with(".json") && name != MANIFEST
    })
}

/// Removes the folder unless it holds a finished segment and `keeps`.
pub fn clean(folder: &Path, keeps: bool) {
    if !(keeps && has_segments(folder)) {
        // Nothing better can be done about a folder that cannot be removed.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Holds the folder for `target` together with others who make segments in it, so that nobody joins them meanwhile.
///
/// # Errors
/// [`Failure::Failed`] if there is none, or somebody holds it alone.
pub fn share(target: &Path) -> Result<File> {
    let name = target.display().to_string();
    let lock = File::options()
        .append(true)
        .open(folder(target).join(LOCK))
        .map_err(|error| cannot_write(&name, &error))?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(Failure::Failed(format!(
            "cannot write {name}: another srfusion is writing it"
        ))),
        // A file system without locks: better without than not at all.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
    }
}

impl Work {
    /// Opens the folder for `target`, empty or with what an earlier run of the same settings left.
    ///
    /// # Errors
    /// [`Failure::Failed`] if `target` cannot be written, another process is at it, or what is left is of other settings;
    /// with `start_over` that is removed instead.
    pub fn open(target: &Path, settings: &Settings, start_over: bool) -> Result<Self> {
        let name = target.display().to_string();
        let failed = |error: std::io::Error| cannot_write(&name, &error);
        if target.is_dir() {
            return Err(Failure::Failed(format!(
                "cannot write {name}: it is a folder; expected the name of a file"
            )));
        }
        let longest = fs::symlink_metadata(target);
        if let Err(error) = longest
            && error.kind() == std::io::ErrorKind::InvalidFilename
        {
            return Err(failed(error));
        }
        let folder = folder(target);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(folder.join(LOCK))
        };
        let lock = open().map_err(|error| {
            clean(&folder, true);
            failed(error)
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Failed(format!(
                    "cannot write {name}: another srfusion is writing it"
                )));
            }
            // A file system without locks: better without than not at all.
            Err(TryLockError::Error(_)) => {}
        }
        let mut work = Self {
            folder,
            target: target.to_owned(),
            _lock: lock,
            keeps: true,
            finished: false,
        };
        if start_over {
            work.empty().map_err(failed)?;
        } else {
            work.compare(settings)?;
        }
        work.tidy().map_err(failed)?;
        let path = work.folder.join(MANIFEST);
        segment::write_sealed(&path, settings).map_err(failed)?;
        work.keeps = false;
        Ok(work)
    }

    /// Compares `settings` with those of what is left; removes what is of no use.
    fn compare(&mut self, settings: &Settings) -> Result<()> {
        let name = self.target.display().to_string();
        let failed = |error: std::io::Error| cannot_write(&name, &error);
        let left = segment::read_sealed::<Settings>(&self.folder.join(MANIFEST));
        let Some(left) = left.filter(|_| has_segments(&self.folder)) else {
            return self.empty().map_err(failed);
        };
        let names: std::collections::BTreeSet<_> = left.keys().chain(settings.keys()).collect();
        let none = "nothing".to_owned();
        let differences: Vec<_> = names
            .into_iter()
            .map(|key| {
                (
                    key,
                    left.get(key).unwrap_or(&none),
                    settings.get(key).unwrap_or(&none),
                )
            })
            .filter(|(_, then, now)| then != now)
            .map(|(key, then, now)| format!("{key}: {then} then, {now} now"))
            .collect();
        if differences.is_empty() {
            return Ok(());
        }
        self.finished = true;
        Err(Failure::Failed(format!(
            "{name} was begun with other settings ({}); run the command as it was then to go on, or with --start-over to drop the segments in {}",
            differences.join("; "),
            self.folder.display()
        )))
    }

    /// Removes everything but the lock.
    fn empty(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes what an earlier run left of files that it had not finished. An ffmpeg of that run may still be writing one of them:
    /// under the same name it would write into this run's.
    fn tidy(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let number = name.split('.').next().unwrap_or_default();
            let segment = number.len() >= 6 && number.bytes().all(|byte| byte.is_ascii_digit());
            if !segment && name != LOCK && name != MANIFEST && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Leaves it as it is, for others to go on with.
    pub fn leave(mut self) {
        self.finished = true;
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The segments that an earlier run has finished.
    pub fn records(&self) -> BTreeMap<u64, Record> {
        let mut found = BTreeMap::new();
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return found;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let number = name
                .strip_suffix(".json")
                .and_then(|text| text.parse().ok());
            if let Some(number) = number
                && let Some(record) = segment::read(&self.folder, number)
            {
                found.insert(number, record);
            }
        }
        found
    }

    /// Gives the file `made` its final name, replacing what has it, and removes the folder.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the name cannot be given.
    pub fn finish(mut self, made: &Path) -> Result<()> {
        let name = self.target.display().to_string();
        let failed = |error: std::io::Error| cannot_write(&name, &error);
        File::open(made)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        fs::rename(made, &self.target).map_err(failed)?;
        self.finished = true;
        clean(&self.folder, false);
        Ok(())
    }

    /// Notes something for people who look into the folder.
    pub fn explain(&self) {
        let text = "srfusion keeps here what is finished of a video. The same command goes on with it; the folder may be removed.\n";
        // Nobody is hurt where this cannot be written.
        let _ = File::create(self.folder.join("README.txt"))
            .and_then(|mut file| file.write_all(text.as_bytes()));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.finished {
            clean(&self.folder, self.keeps);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::video::segment::{PacketRecord, Writer};

    fn settings(input: &str) -> Settings {
        [("input".to_owned(), input.to_owned())].into()
    }

    fn segment(work: &Work) {
        let mut writer = Writer::create(work.folder(), 0, "out").unwrap();
        let packet = PacketRecord {
            size: 1,
            time: 0,
            decode: 0,
            key: true,
        };
        writer.write(b"x", packet).unwrap();
        writer.finish(|_| ()).unwrap();
    }

    #[test]
    fn what_is_finished_is_found_again() {
        let place = tempfile::tempdir().unwrap();
        // The longest name that a file can have.
        let target = place.path().join(format!("{}.mp4", "x".repeat(251)));
        let mut work = Work::open(&target, &settings("a"), false).unwrap();
        segment(&work);
        let second = format!(
            "{:?}",
            Work::open(&target, &settings("a"), false).unwrap_err()
        );
        assert!(second.contains("another srfusion"), "{second}");
        work.keeps = true;
        drop(work);

        let other = format!(
            "{:?}",
            Work::open(&target, &settings("b"), false).unwrap_err()
        );
        assert!(other.contains("input: a then, b now"), "{other}");
        // The ffmpeg of a run that was killed goes on writing what it has open.
        let path = folder(&target).join("output");
        let mut orphan = File::create(&path).unwrap();
        let work = Work::open(&target, &settings("a"), false).unwrap();
        assert_eq!(work.records().len(), 1);
        fs::write(&path, "new").unwrap();
        orphan.write_all(b"something old").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let made = work.folder().join("made");
        fs::write(&made, "film").unwrap();
        work.finish(&made).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        assert_eq!(fs::read(&target).unwrap(), b"film");
    }

    #[test]
    fn nothing_is_left_of_what_was_not_begun() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.mp4");
        let mut work = Work::open(&target, &settings("a"), false).unwrap();
        work.keeps = true;
        drop(work);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        let mut work = Work::open(&target, &settings("a"), false).unwrap();
        segment(&work);
        work.keeps = true;
        drop(work);
        let work = Work::open(&target, &settings("b"), true).unwrap();
        assert!(work.records().is_empty());
        drop(work);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        let message = format!(
            "{:?}",
            Work::open(place.path(), &settings("a"), false).unwrap_err()
        );
        assert!(message.contains("folder"), "{message}");
    }
}

//! A folder as input: every picture and video in it, file by file; what is done already is left out.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::interrupt;

/// A file of the folder and what it becomes.
#[derive(Debug, PartialEq, Eq)]
pub struct FolderJob {
    /// The file.
    pub input: PathBuf,
    /// Its output, in the folder of outputs at the same place.
    pub output: PathBuf,
}

/// What came of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FolderOutcome {
    /// Files upscaled.
    pub done: usize,
    /// Files whose output was there.
    pub skipped: usize,
    /// Files that are neither picture nor video.
    pub others: usize,
    /// Why a file could not be upscaled, by file.
    pub failures: Vec<String>,
}

/// The files below `folder`, in order; hidden ones are left out, and so is the folder of the outputs.
fn files(folder: &Path, outputs: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // Links are followed to files, not to folders, which might lead round.
        if entry.file_type()?.is_dir() {
            if path.canonicalize().ok() != outputs.canonicalize().ok() {
                files(&path, outputs, found)?;
            }
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// Does every file below `input` into the folder `output`: `extension` gives what a file's output is to be, if it is a picture or
/// a video, and `one` does it.
///
/// # Errors
/// [`Failure::Failed`] if a folder cannot be read or made; failures of single files are in the outcome.
pub fn run(
    input: &Path,
    output: &Path,
    extension: impl Fn(&Path) -> Result<Option<String>>,
    mut one: impl FnMut(&FolderJob) -> Result<()>,
) -> Result<FolderOutcome> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Failed(format!("cannot use the folder {}: {error}", path.display()))
    };
    let mut found = Vec::new();
    files(input, output, &mut found).map_err(|error| failed(input, error))?;
    fs::create_dir_all(output).map_err(|error| failed(output, error))?;
    let mut outcome = FolderOutcome::default();
    let mut taken = std::collections::BTreeMap::new();
    for file in found {
        let Some(kind) = extension(&file)? else {
            outcome.others += 1;
            continue;
        };
        let place = file.strip_prefix(input).unwrap_or(&file);
        let job = FolderJob {
            output: output.join(place).with_extension(kind),
            input: file,
        };
        // a.png and a.gif would become one file.
        if let Some(other) = taken.insert(job.output.clone(), job.input.clone()) {
            outcome.failures.push(format!(
                "{} and {} would both become {}; rename one of them",
                other.display(),
                job.input.display(),
                job.output.display()
            ));
            continue;
        }
        if job.output.exists() {
            outcome.skipped += 1;
            continue;
        }
        if let Some(parent) = job.output.parent() {
            fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        }
        match one(&job) {
            Ok(()) => outcome.done += 1,
            Err(failure @ (Failure::Interrupted | Failure::Stopped(_))) => return Err(failure),
            Err(_) if interrupt::interrupted() => return Err(Failure::Interrupted),
            Err(Failure::Failed(text) | Failure::Usage(text)) => outcome.failures.push(text),
            Err(failure @ Failure::Refused) => return Err(failure),
        }
    }
    Ok(outcome)
}

impl FolderOutcome {
    /// The last line of JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "event": "folder",
            "done": self.done,
            "skipped": self.skipped,
            "others": self.others,
            "failures": self.failures,
        })
    }

    /// A line for people.
    pub fn text(&self) -> String {
        format!(
            "{} files upscaled, {} were there already, {} are neither picture nor video, {} failed",
            self.done,
            self.skipped,
            self.others,
            self.failures.len()
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_done_once() {
        let place = tempfile::tempdir().unwrap();
        let (input, output) = (place.path().join("in"), place.path().join("in/out"));
        fs::create_dir_all(input.join("deep")).unwrap();
        for name in [
            "b.png",
            "a.png",
            "a.gif",
            "deep/c.mp4",
            "notes.txt",
            ".hidden.png",
        ] {
            fs::write(input.join(name), name).unwrap();
        }
        let kind = |path: &Path| {
            Ok(
                match path.extension().unwrap_or_default().to_str().unwrap() {
                    "png" | "gif" => Some("png".to_owned()),
                    "mp4" => Some("mp4".to_owned()),
                    _ => None,
                },
            )
        };
        let mut seen = Vec::new();
        let mut once = || {
            run(&input, &output, kind, |job| {
                seen.push(job.output.strip_prefix(&output).unwrap().to_owned());
                if job.input.ends_with("b.png") {
                    return Err(Failure::Failed("b.png is damaged".into()));
                }
                fs::write(&job.output, b"done").map_err(|error| Failure::Failed(error.to_string()))
            })
            .unwrap()
        };
        let first = once();
        assert_eq!((first.done, first.skipped, first.others), (2, 0, 1));
        assert_eq!(first.failures.len(), 2, "{:?}", first.failures);
        assert!(first.failures[0].contains("a.gif") && first.failures[0].contains("a.png"));
        let second = once();
        assert_eq!((second.done, second.skipped), (0, 2));
        assert_eq!(
            seen,
            ["a.png", "b.png", "deep/c.mp4", "b.png"].map(PathBuf::from)
        );
    }
}

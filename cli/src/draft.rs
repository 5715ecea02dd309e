//! The file being written: a temporary name beside the final one until it is complete, so that no half file is ever
//! found under the final name.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// A file that becomes `target` when it is finished, and is removed otherwise.
#[derive(Debug)]
pub struct Draft {
    temporary: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl Draft {
    /// Creates an empty temporary file beside `target`, which shows at once whether `target` can be written there.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the folder is missing or cannot be written to, or `target` is a folder.
    pub fn create(target: &Path) -> Result<Self> {
        let failed = |reason: String| {
            Failure::Failed(format!("cannot write {}: {reason}", target.display()))
        };
        if target.is_dir() {
            return Err(failed("it is a folder; expected the name of a file".into()));
        }
        let Some(name) = target.file_name() else {
            return Err(failed("expected the name of a file".into()));
        };
        // The process's number keeps two runs with the same target apart.
        let temporary = target.with_file_name(format!(
            ".{}.{}.part",
            name.to_string_lossy(),
            std::process::id()
        ));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            temporary,
            target: target.to_owned(),
            finished: false,
        })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the file its final name, replacing what has it.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the name cannot be given; the file is removed then.
    pub fn finish(mut self) -> Result<()> {
        fs::rename(&self.temporary, &self.target).map_err(|error| {
            Failure::Failed(format!("cannot write {}: {error}", self.target.display()))
        })?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing better can be done about a file that cannot be removed.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_finished_draft_stays() {
        let folder = std::env::temp_dir().join(format!("srfusion-draft-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let target = folder.join("out.png");

        let draft = Draft::create(&target).unwrap();
        fs::write(draft.path(), b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);

        let draft = Draft::create(&target).unwrap();
        fs::write(draft.path(), b"whole").unwrap();
        assert!(!target.exists());
        draft.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

        let message = format!("{:?}", Draft::create(&folder).unwrap_err());
        assert!(message.contains("folder"), "{message}");
        fs::remove_dir_all(&folder).unwrap();
    }
}

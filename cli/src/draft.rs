//! The file being written: a temporary name beside the final one until it is complete, so that no half file is ever found
//! under the final name.

use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::failure::{Failure, Result};

/// A file that becomes `target` when it is finished, and is removed otherwise.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
    target: PathBuf,
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
        if target.file_name().is_none() {
            return Err(failed("expected the name of a file".into()));
        }
        // The name itself may be as long as names can be, so that the temporary one owes nothing to it.
        if let Err(error) = std::fs::symlink_metadata(target)
            && error.kind() == std::io::ErrorKind::InvalidFilename
        {
            return Err(failed(error.to_string()));
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = Builder::new();
        builder.prefix(".srfusion-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file's; the user's mask is applied to them.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(|error| {
            // The reason without the temporary name.
            let reason = error.into_inner_reason();
            failed(reason)
        })?;
        Ok(Self {
            file,
            target: target.to_owned(),
        })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its final name, replacing what has it.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the name cannot be given; the file is removed then.
    pub fn finish(self) -> Result<()> {
        self.file.persist(&self.target).map(drop).map_err(|error| {
            Failure::Failed(format!(
                "cannot write {}: {}",
                self.target.display(),
                error.error
            ))
        })
    }
}

/// The system's reason of an error that also tells a name.
trait Reason {
    fn into_inner_reason(self) -> String;
}

impl Reason for std::io::Error {
    fn into_inner_reason(self) -> String {
        match self.raw_os_error() {
            Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
            // `tempfile` wraps the system's error with the name.
            None => {
                let text = self.to_string();
                text.split(" at path ")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_a_finished_draft_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        // The longest name that a file can have.
        let target = folder.join(format!("{}.png", "x".repeat(251)));

        let draft = Draft::create(&target).unwrap();
        fs::write(draft.path(), b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);

        let draft = Draft::create(&target).unwrap();
        fs::write(draft.path(), b"whole").unwrap();
        assert!(!target.exists());
        draft.finish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);

        let message = format!("{:?}", Draft::create(folder).unwrap_err());
        assert!(message.contains("folder"), "{message}");
        let message = format!(
            "{:?}",
            Draft::create(&folder.join("none/out.png")).unwrap_err()
        );
        assert!(message.contains("none/out.png: No such file"), "{message}");
        let message = format!(
            "{:?}",
            Draft::create(&folder.join("x".repeat(256))).unwrap_err()
        );
        assert!(message.contains("too long"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_the_mask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let (target, plain) = (place.path().join("out.png"), place.path().join("plain"));
        Draft::create(&target).unwrap().finish().unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&plain));
    }
}

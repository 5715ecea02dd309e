//! Files that appear whole or not at all.

use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes `text` to `file` in one step: nobody sees half of it. Makes the folder.
pub(super) fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    std::fs::create_dir_all(&folder)?;
    let new = NamedTempFile::new_in(&folder)?;
    std::fs::write(new.path(), text)?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

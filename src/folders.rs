//! The user's and the system's folders.

use std::path::{Path, PathBuf};

/// Name of the folder below them that is ours.
const OURS: &str = "srfusion";

/// Folders for data that programs install: the user's, then the system's.
pub(crate) fn data_folders() -> Vec<PathBuf> {
    let system = ["/usr/local/share", "/usr/share"].map(PathBuf::from);
    dirs::data_dir().into_iter().chain(system).collect()
}

/// Makes the folder `path` and those above it, where they are not there: for this user alone, for what is kept in them is believed.
///
/// # Errors
/// Those of the file system.
pub(crate) fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// The user's cache folder for srfusion, if there is one. It need not exist.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join(OURS))
}

//! The user's and the system's folders.

use std::path::PathBuf;

/// Name of the folder below them that is ours.
const OURS: &str = "srfusion";

/// Folders for data that programs install: the user's, then the system's.
pub(crate) fn data_folders() -> Vec<PathBuf> {
    let system = ["/usr/local/share", "/usr/share"].map(PathBuf::from);
    dirs::data_dir().into_iter().chain(system).collect()
}

/// The user's cache folder for srfusion, if there is one. It need not exist.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join(OURS))
}

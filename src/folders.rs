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

/// The user's folder for models that were fetched or converted, if there is one. It need not exist.
pub(crate) fn added_models() -> Option<PathBuf> {
    Some(dirs::data_dir()?.join(OURS).join("added-models"))
}

/// Whether everybody may put files into `folder`, as into `/tmp`: what lies there is nobody's word.
#[cfg(unix)]
pub(crate) fn is_everybodys(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let about = folder.metadata();
    about.is_ok_and(|about| about.permissions().mode() & 0o002 != 0)
}

/// Elsewhere permissions say nothing of that kind.
#[cfg(not(unix))]
pub(crate) fn is_everybodys(_: &Path) -> bool {
    false
}

/// Writes `bytes` to `file`, whose folder is there, in one step: nobody sees half of it.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    // Readable for its owner alone, as temporary files are.
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut new, bytes)?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// The user's cache folder for srfusion, if there is one. It need not exist.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join(OURS))
}

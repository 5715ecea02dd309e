//! Small files that this program keeps for itself: written whole or not at all, for this user alone, and believed only as they were
//! written.

use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::bounded::{self, KEPT_BYTES};
use crate::folders::make_private;

/// How the first line begins; the sum of all that follows it comes after.
const START: &str = "# sha256 ";

fn sum(text: &str) -> String {
    bounded::hex(&Sha256::digest(text.as_bytes()))
}

/// Writes `text` to `file` in one step, below a line with its sum: nobody sees half of it. Makes the folder.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    make_private(folder)?;
    // Readable for its owner alone, as temporary files are.
    let new = NamedTempFile::new_in(folder)?;
    std::fs::write(new.path(), format!("{START}{}\n{text}", sum(text)))?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// The text that [`write()`] wrote to `file`, if it is there and undamaged.
pub(super) fn read(file: &Path) -> Option<String> {
    let all = bounded::read_text(file, KEPT_BYTES).ok()?;
    let (first, text) = all.split_once('\n')?;
    (first.strip_prefix(START)? == sum(text)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/file.toml");
        assert_eq!(read(&file), None);
        write(&file, "radius = 7\n").unwrap();
        assert_eq!(read(&file).unwrap(), "radius = 7\n");
        let whole = std::fs::read(&file).unwrap();
        for end in 0..whole.len() {
            std::fs::write(&file, &whole[..end]).unwrap();
            assert_eq!(read(&file), None, "cut after {end} bytes");
        }
        for at in 0..whole.len() {
            for bit in [0, 4, 7] {
                let mut bent = whole.clone();
                bent[at] ^= 1 << bit;
                std::fs::write(&file, &bent).unwrap();
                assert_eq!(read(&file), None, "bit {bit} of byte {at}");
            }
        }
        std::fs::write(&file, &whole).unwrap();
        assert!(read(&file).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_or_write_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/file.toml");
        write(&file, "radius = 7\n").unwrap();
        for (path, mode) in [("a", 0o700), ("a/b", 0o700), ("a/b/file.toml", 0o600)] {
            let about = folder.path().join(path).metadata().unwrap();
            assert_eq!(about.permissions().mode() & 0o777, mode, "{path}");
        }
        let names = std::fs::read_dir(file.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }
}

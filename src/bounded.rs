//! Files from outside, read within bounds: regular files alone, and no more of them than can be meant. A device never ends, a pipe never
//! begins, and a file of any size can be put where a model is expected.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Most bytes of a model's file: what one message of protocol buffers, which an ONNX file is, may have.
pub(crate) const MODEL_BYTES: u64 = 2 << 30;
/// Most bytes of models.toml: some ten thousand models.
pub(crate) const CATALOGUE_BYTES: u64 = 8 << 20;
/// Most bytes of a file that this program keeps for itself.
pub(crate) const KEPT_BYTES: u64 = 1 << 20;

/// Opens the regular file at `path`, of at most `most` bytes.
///
/// # Errors
/// Those of the file system, and one that says what was expected and found.
pub(crate) fn open(path: &Path, most: u64) -> Result<File> {
    // Before it is opened: opening a pipe waits for who writes it.
    let about = path.metadata()?;
    let refuse = |reason: String| Err(Error::new(ErrorKind::InvalidData, reason));
    if !about.is_file() {
        let found = if about.is_dir() {
            "a folder"
        } else {
            "a device, pipe or socket"
        };
        return refuse(format!("expected a regular file, found {found}"));
    }
    if about.len() > most {
        return refuse(format!(
            "expected at most {most} bytes, found {}",
            about.len()
        ));
    }
    File::open(path)
}

/// sha256 of what is left of `file`, in lower-case hexadecimal.
///
/// # Errors
/// Those of the file system.
pub(crate) fn sha256(mut file: File) -> Result<String> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of the regular file at `path`, of at most `most` bytes.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // It may grow meanwhile, and files of /proc say that they have no length.
    open(path, most)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let reason = format!("expected at most {most} bytes, found more");
        return Err(Error::new(ErrorKind::InvalidData, reason));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// Those of [`open`], and one where it is not UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_size_that_can_be_meant_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        let text = read(&file, 4).unwrap_err().to_string();
        assert!(text.contains("at most 4 bytes, found 5"), "{text}");
        let text = read(folder.path(), 4).unwrap_err().to_string();
        assert!(text.contains("found a folder"), "{text}");
        assert!(open(&folder.path().join("none"), 4).is_err());
        // Larger than any memory, and taking up nothing.
        File::create(&file).unwrap().set_len(1 << 40).unwrap();
        let text = read(&file, MODEL_BYTES).unwrap_err().to_string();
        assert!(text.contains("at most 2147483648 bytes"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn what_never_ends_or_begins_is_not_read() {
        let text = read(Path::new("/dev/zero"), 10).unwrap_err().to_string();
        assert!(text.contains("found a device"), "{text}");
        // It says that it has no bytes, and has as many as are asked for.
        assert!(read(Path::new("/proc/self/status"), 10).is_err());
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let text = read(&pipe, 10).unwrap_err().to_string();
        assert!(text.contains("pipe"), "{text}");
    }
}

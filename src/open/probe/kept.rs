//! What was found out about a file, kept in the cache folder by its sha256.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::whole_file;
use crate::runtime::cache;
use crate::settings::Config;

/// Folder, in the cache folder, for what was found out: a file for each sha256.
pub(super) const FOLDER: &str = "probed";
/// Version of those files.
const FORMAT: u32 = 2;
/// Largest radius and multiple that are believed of such a file.
const LARGEST: usize = 4096;

/// What was found out in runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Kept {
    format: u32,
    /// In pixels of the network's own input.
    pub(super) receptive_radius: usize,
    pub(super) stride: usize,
    /// Values of black and white; whether they were found out or are assumed.
    pub(super) range: [f32; 2],
    pub(super) range_is_found: bool,
}

impl Kept {
    pub(super) fn new(
        receptive_radius: usize,
        stride: usize,
        range: [f32; 2],
        range_is_found: bool,
    ) -> Self {
        Self {
            format: FORMAT,
            receptive_radius,
            stride,
            range,
            range_is_found,
        }
    }

    fn is_sane(&self) -> bool {
        let [black, white] = self.range;
        self.format == FORMAT
            && self.receptive_radius <= LARGEST
            && (1..=LARGEST).contains(&self.stride)
            && black != white
            && black.is_finite()
            && white.is_finite()
    }
}

/// The file for what is found out about the model of this sum, if there is a cache folder.
pub(super) fn file(config: &Config, sha256: &str) -> Option<PathBuf> {
    Some(
        cache::dir(config)?
            .join(FOLDER)
            .join(format!("{sha256}.toml")),
    )
}

pub(super) fn read(file: &Path) -> Option<Kept> {
    let kept: Kept = toml::from_str(&whole_file::read(file)?).ok()?;
    kept.is_sane().then_some(kept)
}

pub(super) fn write(file: &Path, kept: &Kept) -> std::io::Result<()> {
    let text = toml::to_string(kept).map_err(std::io::Error::other)?;
    whole_file::write(file, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/13ae.toml");
        assert_eq!(read(&file), None);
        let kept = Kept::new(7, 8, [-1.0, 1.0], true);
        write(&file, &kept).unwrap();
        assert_eq!(read(&file), Some(kept));
        let text = whole_file::read(&file).unwrap();
        assert!(text.contains("receptive-radius = 7"), "{text}");
        for (from, to) in [
            ("format = 2", "format = 1"),
            ("receptive-radius = 7", "receptive-radius = 99999"),
            ("stride = 8", "stride = 0"),
            ("range = [-1.0, 1.0]", "range = [1.0, 1.0]"),
            ("range = [-1.0, 1.0]", "range = [1.0, nan]"),
            ("stride = 8", "\u{1}"),
        ] {
            let damaged = text.replace(from, to);
            assert_ne!(damaged, text);
            whole_file::write(&file, &damaged).unwrap();
            assert_eq!(read(&file), None, "{to}");
        }
    }
}

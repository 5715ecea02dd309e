//! How large a picture or a frame may be. A file of a few bytes can say that it holds one of any size, and an output has sixteen times as
//! many pixels.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::{Failure, Result};

/// Most pixels unless `--max-pixels` says otherwise, 16384x16384: beyond what cameras make, and an output of 13 GB.
pub const MAX_PIXELS: u64 = 1 << 28;

/// Most pixels of anything that this process reads.
static MOST: AtomicU64 = AtomicU64::new(MAX_PIXELS);

/// Sets the most pixels of anything that this process reads.
pub fn set_most(most: u64) {
    MOST.store(most, Ordering::Relaxed);
}

/// The most pixels of anything that this process reads.
pub fn most() -> u64 {
    MOST.load(Ordering::Relaxed)
}

/// Refuses a picture of more pixels, before anything is done with it.
///
/// # Errors
/// [`Failure::Failed`] naming the file, what was expected and what was found.
pub fn check(path: &Path, width: u64, height: u64) -> Result<()> {
    let (pixels, most) = (width.saturating_mul(height), most());
    if pixels <= most {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} is {width}x{height}, which are {pixels} pixels; expected at most {most}: --max-pixels {pixels} allows it, if there is memory \
         for an output of 16 times as many",
        path.display()
    )))
}

/// The size at which ffmpeg or ffprobe, told the most pixels, stopped, if one of its `messages` tells of that.
pub fn refused(messages: &[String]) -> Option<(u64, u64)> {
    messages.iter().find_map(|message| {
        let (before, _) = message.split_once(" exceeds specified max pixel count")?;
        let (width, height) = before.rsplit(' ').next()?.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_told_with_a_way_on() {
        let path = Path::new("in.png");
        assert_eq!(check(path, 16_384, 16_384), Ok(()));
        let failure = format!("{:?}", check(path, 16_384, 16_385).unwrap_err());
        for word in [
            "in.png",
            "16384x16385",
            "268435456",
            "--max-pixels 268451840",
        ] {
            assert!(failure.contains(word), "{word}: {failure}");
        }
        assert!(check(path, u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn ffmpeg_s_words_are_understood() {
        let said = "[IMGUTILS @ 0x7ffd] Picture size 640x480 exceeds specified max pixel count 1000, see the documentation";
        let other = "[h264] no frame!".to_owned();
        assert_eq!(refused(&[other.clone(), said.to_owned()]), Some((640, 480)));
        assert_eq!(refused(&[other]), None);
    }
}

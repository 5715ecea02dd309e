//! What `upscale` has done, as `--json` prints it and as a line for people.

use std::time::Duration;

use serde::Serialize;

/// What was done with one file.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// `summary`, among other lines.
    pub event: &'static str,
    /// File read.
    pub input: String,
    /// File written.
    pub output: String,
    /// `picture` or `video`.
    pub kind: &'static str,
    /// Width of the output in pixels.
    pub width: u32,
    /// Height of the output in pixels.
    pub height: u32,
    /// Frames written; 1 for a picture.
    pub frames: u64,
    /// Of those, frames of segments that an earlier run had finished.
    #[serde(skip_serializing_if = "is_none")]
    pub frames_reused: u64,
    /// Where an earlier run had finished some: frames that were decoded nevertheless, to begin at a key frame or from the start.
    #[serde(skip_serializing_if = "is_none")]
    pub frames_decoded: u64,
    /// Segments in which a video was made.
    #[serde(skip_serializing_if = "is_none")]
    pub segments: u64,
    /// Time taken, models' opening included.
    pub seconds: f64,
    /// `frames` over `seconds`.
    pub frames_per_second: f64,
    /// Where the networks ran.
    pub provider: String,
    /// Frames that had at least one face.
    pub frames_with_faces: u64,
    /// Most faces in a frame.
    pub most_faces: u64,
    /// Encoder element of a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// What became of each sound track of a video.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sound: Vec<SoundTrack>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What became of a sound track.
#[derive(Debug, Clone, Serialize)]
pub struct SoundTrack {
    /// Media type, for instance `audio/mpeg`.
    pub format: String,
    /// `copied`, `encoded` or `dropped`.
    pub action: &'static str,
}

impl Summary {
    /// The last line that is printed for people.
    pub fn text(&self) -> String {
        let Self {
            output,
            width,
            height,
            frames,
            seconds,
            provider,
            ..
        } = self;
        let plural = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        if self.kind == "picture" {
            let faces = plural(self.most_faces, "face");
            return format!("{output}: {width}x{height}, {seconds:.2} s, on {provider}, {faces}");
        }
        let with = plural(self.frames_with_faces, "frame");
        format!(
            "{output}: {width}x{height}, {} in {seconds:.1} s, {:.2} frames per second, on {provider}, faces in {with} (at most {} at a time)",
            plural(*frames, "frame"),
            self.frames_per_second,
            self.most_faces
        )
    }
}

/// Whether a number need not be told.
fn is_none(number: &u64) -> bool {
    *number == 0
}

/// `frames` over `time`, 0 where no time has passed.
pub fn rate(frames: u64, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        frames as f64 / time.as_secs_f64()
    }
}

//! What `upscale` has done, as `--json` prints it and as a line for people.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use srfusion::FACES;

/// How many objects of a kind were in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCount {
    /// The kind's name.
    pub kind: String,
    /// Frames that had at least one.
    pub frames: u64,
    /// Most in a frame.
    pub most: u64,
}

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
    /// The kinds of objects that were looked for, where others than faces were among them.
    #[serde(rename = "objects", skip_serializing_if = "only_faces")]
    pub kinds: Vec<KindCount>,
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
            let found = self.kinds.iter().map(|count| match count.kind.as_str() {
                FACES => plural(count.most, "face"),
                other => format!("{other} {}", count.most),
            });
            let found = listed(found);
            return format!("{output}: {width}x{height}, {seconds:.2} s, on {provider}{found}");
        }
        let found = self.kinds.iter().map(|count| {
            let kind = match count.kind.as_str() {
                FACES => "faces",
                other => other,
            };
            let with = plural(count.frames, "frame");
            format!("{kind} in {with} (at most {} at a time)", count.most)
        });
        format!(
            "{output}: {width}x{height}, {} in {seconds:.1} s, {:.2} frames per second, on {provider}{}",
            plural(*frames, "frame"),
            self.frames_per_second,
            listed(found)
        )
    }
}

/// `parts`, to go on a line.
fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.map(|part| format!(", {part}")).collect()
}

/// Whether nothing but faces was looked for, of which other fields tell.
fn only_faces(kinds: &[KindCount]) -> bool {
    kinds.iter().all(|count| count.kind == FACES)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn summary(kind: &'static str, kinds: &[(&str, u64, u64)]) -> Summary {
        let count = |(kind, frames, most): &(&str, u64, u64)| KindCount {
            kind: (*kind).to_owned(),
            frames: *frames,
            most: *most,
        };
        Summary {
            event: "summary",
            input: "in".into(),
            output: "out".into(),
            kind,
            width: 8,
            height: 4,
            frames: 3,
            frames_reused: 0,
            frames_decoded: 0,
            segments: 0,
            seconds: 2.0,
            frames_per_second: 1.5,
            provider: "cpu".into(),
            frames_with_faces: 0,
            most_faces: 0,
            kinds: kinds.iter().map(count).collect(),
            encoder: None,
            sound: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn what_was_drawn_is_named_by_its_kind() {
        for (kind, kinds, expected) in [
            ("picture", &[("face", 1, 1)][..], "cpu, 1 face"),
            ("picture", &[("face", 0, 0)], "cpu, 0 faces"),
            ("picture", &[("text", 1, 3)], "cpu, text 3"),
            (
                "picture",
                &[("face", 1, 2), ("text", 1, 3)],
                "cpu, 2 faces, text 3",
            ),
            ("picture", &[], "on cpu"),
            (
                "video",
                &[("face", 1, 2)],
                "cpu, faces in 1 frame (at most 2 at a time)",
            ),
            (
                "video",
                &[("face", 0, 0), ("text", 2, 3)],
                "cpu, faces in 0 frames (at most 0 at a time), text in 2 frames (at most 3 at a time)",
            ),
            ("video", &[], "on cpu"),
        ] {
            let summary = summary(kind, kinds);
            let text = summary.text();
            assert!(text.ends_with(expected), "{text}");
            let json = serde_json::to_value(&summary).unwrap();
            let is_told = kinds.iter().any(|(kind, ..)| *kind != "face");
            assert_eq!(json["objects"].is_array(), is_told, "{json}");
        }
    }
}

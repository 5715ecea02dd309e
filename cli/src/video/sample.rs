//! A few frames from several places of a video, as RGB: for what looks at a film without going through all of it.

use std::path::Path;
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::video::decode::{Control, Decoder, Shape, Source};
use crate::video::layout::Layout;
use crate::video::probe::{Input, Stream};
use crate::video::tools::Tools;

/// Frames that follow one another: time from the first of them, and samples, packed RGB.
pub type Scene = Vec<(Duration, Vec<u8>)>;

/// Frames of a video.
#[derive(Debug)]
pub struct Sample {
    /// Width and height in pixels, upright.
    pub size: (u32, u32),
    /// Frames of the whole video, as far as its packets tell.
    pub total: u64,
    /// Frames from each place, at least one in each.
    pub scenes: Vec<Scene>,
}

/// Takes up to `frames` frames from each of `places` places of the video at `path`, evenly spread, each beginning at a key frame; all
/// of them take at most about `bytes` bytes.
///
/// # Errors
/// [`Failure::Failed`] if nothing can be decoded.
pub fn sample(path: &Path, places: usize, frames: usize, bytes: usize) -> Result<Sample> {
    let tools = Tools::find()?;
    let mut input = Input::open(path)?;
    let video = input.video()?.clone();
    let facts = input.first_frame(&video)?;
    input.read_packets()?;
    let (width, height) = if video.rotation() % 180 != 0 {
        (facts.height, facts.width)
    } else {
        (facts.width, facts.height)
    };
    let layout = Layout::of("rgb24");
    let shape = Shape {
        width,
        height,
        layout,
    };
    let most = bytes / layout.frame_bytes(width, height).max(1) / places.max(1);
    let frames = frames.min(most).max(1);
    let source = Source::new(&tools, &input, &video, shape);
    let (total, begins) = begins(&input, &video, places);
    let mut scenes = Vec::new();
    for begin in begins {
        let scene = scene(&source, &video, begin, frames)?;
        if !scene.is_empty() {
            scenes.push(scene);
        }
    }
    if scenes.is_empty() {
        // Where the file cannot be sought.
        scenes.push(scene(&source, &video, None, frames)?);
    }
    if scenes.iter().all(Vec::is_empty) {
        return Err(Failure::Failed(format!(
            "{}: not one frame could be decoded",
            path.display()
        )));
    }
    Ok(Sample {
        size: (width, height),
        total,
        scenes,
    })
}

/// The number of frames, and the times of the key frames to begin with; `None` is the start.
fn begins(input: &Input, video: &Stream, places: usize) -> (u64, Vec<Option<i64>>) {
    let shown = input.packets[video.index]
        .iter()
        .filter(|packet| !packet.discarded);
    let mut times: Vec<_> = shown.map(|packet| (packet.pts, packet.key)).collect();
    times.sort_unstable();
    let mut begins: Vec<Option<i64>> = (1..=places)
        .map(|place| {
            let middle = times.len() * (2 * place - 1) / (2 * places).max(1);
            let before = times.iter().take(middle + 1).rev();
            before
                .filter(|(_, key)| *key)
                .find_map(|(time, _)| *time)
                .filter(|time| Some(*time) != times.first().and_then(|(time, _)| *time))
        })
        .collect();
    begins.dedup();
    (times.len() as u64, begins)
}

/// Frames from a key frame on.
fn scene(source: &Source, video: &Stream, from: Option<i64>, frames: usize) -> Result<Scene> {
    let mut decoder = Decoder::start(source, &Control::default(), from)?;
    let mut found = Scene::new();
    let mut first = None;
    while found.len() < frames
        && let Some(frame) = decoder.next()?
    {
        let time = frame.time.map(|time| video.unit().nanoseconds(time));
        let start = *first.get_or_insert(time.unwrap_or_default());
        let since = time.map_or(0, |time| time - start);
        // Times that do not grow are the engine's to deal with.
        let since = Duration::from_nanos(u64::try_from(since).unwrap_or_default());
        found.push((since, frame.data));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::probe::{Format, Packet};

    #[test]
    fn places_are_spread_over_the_video() {
        let packet = |number: i64| Packet {
            pts: Some(number * 10),
            duration: 10,
            size: 10,
            key: number % 20 == 0,
            discarded: false,
            corrupt: false,
        };
        let input = |count: i64| Input {
            path: "in".into(),
            format: Format::default(),
            streams: vec![Stream::default()],
            chapters: Vec::new(),
            packets: vec![(0..count).map(packet).collect()],
            messages: Vec::new(),
        };
        let of = |count| begins(&input(count), &Stream::default(), 3);
        assert_eq!(of(300), (300, vec![Some(400), Some(1400), Some(2400)]));
        // A short one has one place, its start.
        assert_eq!(of(15), (15, vec![None]));
        assert_eq!(of(0).1, [None]);
    }
}

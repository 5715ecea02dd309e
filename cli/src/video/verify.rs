//! What the output holds against what the input holds: frames and their times, packets, chapters and tags. Whatever is
//! missing is told with numbers.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::video::container::Container;
use crate::video::decode::Faults;
use crate::video::hdr::Hdr;
use crate::video::probe::{Input, Packet, Stream, Tags, TimeBase};
use crate::video::segment::Seen;
use crate::video::tracks::{Action, Plan};

/// Most messages of a tool that are repeated to the user.
const EXAMPLES: usize = 3;

/// What is wrong with the input: how much of it could not be decoded, and why. `frames` were decoded.
/// `seen` sums up all segments.
pub fn input_faults(
    input: &Input,
    video: &Stream,
    faults: &Faults,
    seen: &Seen,
    frames: u64,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let packets = &input.packets[video.index];
    let shown = packets.iter().filter(|packet| !packet.discarded).count() as u64;
    // VP8's hidden pictures have packets of their own.
    let hidden = video.codec_name == "vp8";
    if frames < shown && !hidden {
        warnings.push(format!(
            "{frames} of {shown} frames could be decoded: the input is damaged or incomplete"
        ));
    }
    let said: Option<u64> = video
        .nb_frames
        .as_deref()
        .and_then(|text| text.parse().ok());
    if let Some(said) = said
        // AVI counts one that never comes.
        && said > shown + 2
        && packets.len() as u64 == shown
    {
        warnings.push(format!(
            "the input says that it has {said} frames, but holds {shown}: part of it is missing"
        ));
    }
    if let Some(text) = ends_early(input, video) {
        warnings.push(text);
    }
    let damaged = faults.corrupt + packets.iter().filter(|packet| packet.corrupt).count() as u64;
    if damaged > 0 {
        warnings.push(format!(
            "{damaged} of {frames} frames are damaged in the input"
        ));
    }
    let total: u64 = faults.messages.iter().map(|(_, count)| count).sum();
    if total > 0 {
        let examples: Vec<_> = faults
            .messages
            .iter()
            .take(EXAMPLES)
            .map(|(text, _)| text.as_str())
            .collect();
        let more = if faults.messages.len() > EXAMPLES {
            "; ..."
        } else {
            ""
        };
        warnings.push(format!(
            "the decoder complained {total} times of damaged or missing data: {}{more}",
            examples.join("; ")
        ));
    } else if !input.messages.is_empty() {
        let examples: Vec<_> = input
            .messages
            .iter()
            .take(EXAMPLES)
            .map(String::as_str)
            .collect();
        let more = if input.messages.len() > EXAMPLES {
            "; ..."
        } else {
            ""
        };
        warnings.push(format!(
            "the input was read with {} complaints: {}{more}",
            input.messages.len(),
            examples.join("; ")
        ));
    }
    if let Some(text) = crate::video::whole::missing(&input.path) {
        warnings.push(text);
    }
    if seen.sizes.len() > 1 {
        let mut sizes = seen.sizes.clone();
        sizes.sort_unstable();
        let sizes: Vec<_> = sizes
            .iter()
            .map(|((width, height), count)| format!("{width}x{height} ({count} frames)"))
            .collect();
        warnings.push(format!(
            "the size changes within the input: {}; all were scaled to the first",
            sizes.join(", ")
        ));
    }
    if seen.interlaced > 0 {
        warnings.push(format!(
            "{} of {frames} frames are interlaced: each was made from its upper field",
            seen.interlaced
        ));
    }
    warnings
}

/// The end of the last packet of a stream, in seconds.
fn end(packets: &[Packet], base: TimeBase) -> Option<f64> {
    packets
        .iter()
        .filter_map(|packet| Some(packet.pts? + packet.duration.max(0)))
        .max()
        .map(|units| base.seconds(units))
}

/// Tells of a file that says it is longer than it is.
fn ends_early(input: &Input, video: &Stream) -> Option<String> {
    /// Seconds by which files are wrong about themselves without harm.
    const SLACK: f64 = 0.5;
    // Of broadcasts the length is guessed.
    if input.starts_anywhere() {
        return None;
    }
    let longest = input
        .streams
        .iter()
        .filter_map(|stream| end(&input.packets[stream.index], stream.unit()))
        .fold(0.0, f64::max);
    let own = end(&input.packets[video.index], video.unit())?;
    let said = input.said_duration()?;
    if said > longest + SLACK {
        return Some(format!(
            "the input ends at {longest:.1} of {said:.1} s: it was cut off"
        ));
    }
    let said = video.said_duration()?;
    // The length of a track that begins late is told with and without its start.
    (said > own + SLACK)
        .then(|| format!("the video ends at {own:.1} of {said:.1} s: part of it is missing"))
}

/// Compares the output at `path` with what it was to be; gives what the user should know. `times` are those of the frames in
/// units of `base`, as they should be in the output; `hdr` is what it should say of HDR.
///
/// # Errors
/// [`Failure::Failed`] where the video has not every frame at its time: nothing may be called done then.
pub fn output(
    path: &Path,
    input: &Input,
    plan: &Plan,
    container: &Container,
    times: &[i64],
    base: TimeBase,
    hdr: &Hdr,
) -> Result<Vec<String>> {
    let mut found = Input::open(path)?;
    found.read_packets()?;
    let kept: Vec<_> = input
        .streams
        .iter()
        .zip(&plan.actions)
        .filter(|(_, action)| **action != Action::Left)
        .collect();
    let mut warnings = Vec::new();
    if found.streams.len() < kept.len() {
        return Err(Failure::Failed(format!(
            "{} streams were to be in the output, {} are; this is a fault of srfusion or of ffmpeg",
            kept.len(),
            found.streams.len()
        )));
    }
    let mut lost = Vec::new();
    let skip = container.muxer == "matroska";
    // Matroska puts attached files and covers last.
    let (ordered, last): (Vec<_>, Vec<_>) = kept.iter().partition(|(stream, _)| {
        !(skip && (stream.codec_type == "attachment" || stream.is("attached_pic")))
    });
    for ((stream, action), out) in ordered.iter().chain(&last).zip(&found.streams) {
        let packets = &found.packets[out.index];
        match action {
            Action::Upscaled => {
                check_times(packets, out.unit(), times, base, container)?;
                let missing = hdr.missing_in(&Hdr::of(&out.side_data_list));
                if !missing.is_empty() {
                    warnings.push(format!(
                        "HDR's {} could not be put into this coding and kind of file: left out",
                        missing.join(" and ")
                    ));
                }
            }
            Action::Copied if matches!(stream.codec_type.as_str(), "audio" | "subtitle") => {
                let before = &input.packets[stream.index];
                if before.len() != packets.len() {
                    warnings.push(format!(
                        "{}: {} of {} packets are in the output",
                        stream.name(),
                        packets.len(),
                        before.len()
                    ));
                }
            }
            Action::Encoded(..) if stream.codec_type == "audio" => {
                let long = |packets: &[Packet], base| end(packets, base).unwrap_or_default();
                let (a, b) = (
                    long(&input.packets[stream.index], stream.unit()),
                    long(packets, out.unit()),
                );
                if (a - b) > 0.2 && !input.starts_anywhere() {
                    warnings.push(format!(
                        "{}: the sound ends at {b:.1} of {a:.1} s",
                        stream.name()
                    ));
                }
            }
            _ => {}
        }
        lost.extend(
            missing(&stream.tags, &out.tags)
                // The file's own is kept; that of a track says the same.
                .filter(|name| *name != "creation_time")
                .map(|name| format!("{name} of {}", stream.name())),
        );
    }
    lost.extend(missing(&input.format.tags, &found.format.tags).map(str::to_owned));
    if !lost.is_empty() {
        warnings.push(format!(
            "the output's kind of file does not hold these tags; left out: {}",
            lost.join(", ")
        ));
    }
    if found.chapters.len() != input.chapters.len() {
        warnings.push(format!(
            "{} of {} chapters are in the output",
            found.chapters.len(),
            input.chapters.len()
        ));
    }
    Ok(warnings)
}

/// Whether the output has a packet at every time.
fn check_times(
    packets: &[Packet],
    unit: TimeBase,
    times: &[i64],
    base: TimeBase,
    container: &Container,
) -> Result<()> {
    let mut found: Vec<i64> = packets.iter().filter_map(|packet| packet.pts).collect();
    found.sort_unstable();
    let fault = "this is a fault of srfusion, of the encoder or of ffmpeg";
    if found.len() != times.len() {
        return Err(Failure::Failed(format!(
            "{} frames were upscaled, but {} are in the output; {fault}",
            times.len(),
            found.len()
        )));
    }
    // Half a unit, to which it is rounded, of the output, and a little for the conversion.
    let slack = if container.in_milliseconds() {
        1_000_000
    } else {
        unit.nanoseconds(1).max(1_000)
    };
    for (number, (found, wanted)) in found.iter().zip(times).enumerate() {
        let (found, wanted) = (unit.nanoseconds(*found), base.nanoseconds(*wanted));
        if found.abs_diff(wanted) > slack.unsigned_abs() {
            return Err(Failure::Failed(format!(
                "frame {number} is at {:.6} s in the output instead of {:.6} s; {fault}",
                found as f64 / 1e9,
                wanted as f64 / 1e9
            )));
        }
    }
    Ok(())
}

/// Names of tags that say something to people and are in `before` but not in `after`.
fn missing<'a>(before: &'a Tags, after: &'a Tags) -> impl Iterator<Item = &'a str> {
    const TECHNICAL: &[&str] = &[
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "handler_name",
        "vendor_id",
        "duration",
        "bps",
        "bitsps",
        "number_of_frames",
        "number_of_bytes",
        "rotate",
        "alpha_mode",
        "source_id",
        "software",
        "service_name",
        "service_provider",
    ];
    let same = |a: &str, b: &str| {
        let plain = |name: &str| name.to_lowercase().split('-').next().map(str::to_owned);
        plain(a) == plain(b)
    };
    before
        .iter()
        .filter(move |(name, value)| {
            let lower = name.to_lowercase();
            let technical = TECHNICAL
                .iter()
                .any(|known| lower == *known || lower.starts_with(&format!("{known}-")))
                || lower.starts_with("_statistics");
            let unknown = lower == "language" && value.as_str() == "und";
            let kept = after.keys().any(|other| same(name, other))
                || after.values().any(|other| other == *value);
            !(technical || unknown || kept)
        })
        .map(|(name, _)| name.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn packet(pts: i64) -> Packet {
        Packet {
            pts: Some(pts),
            duration: 1,
            size: 10,
            key: true,
            discarded: false,
            corrupt: false,
        }
    }

    #[test]
    fn frames_must_be_at_their_times() {
        let base = TimeBase {
            num: 1,
            den: 90_000,
        };
        let mp4 = Container::by_extension("mp4").unwrap();
        let mkv = Container::by_extension("mkv").unwrap();
        let milli = TimeBase { num: 1, den: 1000 };
        // Out of order in the file, as B-frames are.
        let exact = [packet(0), packet(6000), packet(3003)];
        check_times(&exact, base, &[0, 3003, 6000], base, mp4).unwrap();
        let moved = [packet(0), packet(6000), packet(3010)];
        let message = format!(
            "{:?}",
            check_times(&moved, base, &[0, 3003, 6000], base, mp4).unwrap_err()
        );
        assert!(message.contains("frame 1"), "{message}");
        let message = format!(
            "{:?}",
            check_times(&exact[..2], base, &[0, 3003, 6000], base, mp4).unwrap_err()
        );
        assert!(
            message.contains("3 frames") && message.contains("2 are"),
            "{message}"
        );
        let rounded = [packet(0), packet(33), packet(67)];
        check_times(&rounded, milli, &[0, 3003, 6000], base, mkv).unwrap();
    }

    #[test]
    fn only_tags_for_people_are_missed() {
        let tags = |names: &[&str]| -> Tags {
            names
                .iter()
                .map(|name| ((*name).to_owned(), format!("value of {name}")))
                .collect()
        };
        let before = tags(&[
            "title",
            "encoder",
            "BPS-eng",
            "location",
            "com.apple.quicktime.make",
        ]);
        let after = tags(&["TITLE"]);
        let found: Vec<_> = missing(&before, &after).collect();
        assert_eq!(found, ["com.apple.quicktime.make", "location"]);
    }
}

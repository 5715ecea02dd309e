//! Putting the output together: ffmpeg joins the finished track with everything else of the input, packet by packet.
//!
//! GStreamer's muxers alone would move the start of tracks by up to a frame, drop what comes before time zero (which every AAC
//! track has), and know neither chapters nor attachments nor flags; ffmpeg's keep all of it.

use std::ffi::OsString;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::video::container::Container;
use crate::video::probe::{Input, Stream};
use crate::video::tools;
use crate::video::track::Track;
use crate::video::tracks::{Action, Plan};

/// Longest time by which sound begins before the video without anybody meaning it, in microseconds: a packet.
const LEAD_IN: i64 = 100_000;

/// Tags of a stream that say how long it is, which holds no more for the upscaled one, or how it was written.
const STALE: &[&str] = &[
    "BPS",
    "BITSPS",
    "NUMBER_OF_BYTES",
    "NUMBER_OF_FRAMES",
    "DURATION",
    "SOURCE_ID",
];

/// Joins `track` with the other streams of `input` into `output`; `shifts` are times in microseconds by which each stream of the
/// input is moved.
///
/// # Errors
/// [`Failure::Failed`] with ffmpeg's reason, [`Failure::Interrupted`].
pub fn join(
    input: &Input,
    video: &Stream,
    plan: &Plan,
    container: &Container,
    track: &Track,
    shifts: &[i64],
    output: &Path,
) -> Result<Vec<String>> {
    let arguments = arguments(input, video, plan, container, track, shifts, output);
    tools::run(arguments).map_err(|failure| match failure {
        Failure::Failed(reason) => {
            Failure::Failed(format!("the output cannot be put together: {reason}"))
        }
        other => other,
    })
}

/// What ffmpeg is told.
fn arguments(
    input: &Input,
    video: &Stream,
    plan: &Plan,
    container: &Container,
    track: &Track,
    shifts: &[i64],
    output: &Path,
) -> Vec<OsString> {
    let mut all: Vec<OsString> = [
        "-hide_banner",
        "-nostats",
        "-loglevel",
        "repeat+error",
        "-y",
    ]
    .map(Into::into)
    .to_vec();
    let mut add = |options: &[&str]| all.extend(options.iter().map(OsString::from));
    // Of a broadcast ffmpeg takes off the start of those streams that it is to read, which are others when it decodes.
    let (moved, _) = starts(input, video, plan);
    if !input.starts_anywhere() {
        add(&["-copyts"]);
    }
    let mut inputs: Vec<(i64, &Path)> = vec![(moved, &input.path)];
    let start = track.start + video_start(input, video, plan);
    inputs.push((track.base.nanoseconds(start) / 1000, &track.path));
    // Streams that are to be moved by themselves come from an input of their own.
    let mut own = vec![0; input.streams.len()];
    for (index, shift) in shifts.iter().enumerate().filter(|(_, shift)| **shift != 0) {
        own[index] = inputs.len();
        inputs.push((moved + shift, &input.path));
    }
    for (offset, file) in inputs {
        all.extend(["-itsoffset".into(), tools::seconds(offset).into()]);
        all.extend(tools::local("-i", file));
    }
    let mut add = |options: &[&str]| all.extend(options.iter().map(OsString::from));
    let mut number = 0;
    let mut upscaled = 0;
    for (stream, action) in input.streams.iter().zip(&plan.actions) {
        let coding = format!("-c:{number}");
        let from = format!("{}:{}", own[stream.index], stream.index);
        match action {
            Action::Left => continue,
            Action::Upscaled => {
                add(&["-map", "1:0", &coding, "copy"]);
                upscaled = number;
            }
            Action::Copied => {
                add(&["-map", &from, &coding, "copy"]);
                if lacks_lengths(input, stream) {
                    // Without a length the last packet would lie behind the end of the track.
                    let last = "if(DURATION,DURATION,PTS-PREV_INPTS)";
                    add(&[
                        &format!("-bsf:{number}"),
                        &format!("setts=duration='{last}'"),
                    ]);
                }
            }
            Action::Encoded(encoder, options) => {
                add(&["-map", &from, &coding, encoder]);
                for pair in options.chunks(2) {
                    if let [name, value] = pair {
                        // Of this stream alone.
                        let name = name.split(':').next().unwrap_or(name);
                        let name = if name == "-af" { "-filter" } else { name };
                        add(&[&format!("{name}:{number}"), value]);
                    }
                }
            }
        }
        // Each by itself: told of one stream, ffmpeg copies the tags of no other.
        add(&[
            &format!("-map_metadata:s:{number}"),
            &format!("0:s:{}", stream.index),
        ]);
        // MP4 has no place for the title of a track but the name of its handler.
        if matches!(container.muxer, "mp4" | "mov")
            && let Some(title) = stream.tags.get("title")
        {
            add(&[
                &format!("-metadata:s:{number}"),
                &format!("handler_name={title}"),
            ]);
        }
        let flags: Vec<_> = stream
            .disposition
            .iter()
            .filter(|(_, flag)| **flag > 0)
            .map(|(name, _)| name.as_str())
            .collect();
        let flags = if flags.is_empty() {
            "0".to_owned()
        } else {
            flags.join("+")
        };
        add(&[&format!("-disposition:{number}"), &flags]);
        number += 1;
    }
    for name in video.tags.keys() {
        let stale = STALE
            .iter()
            .any(|stale| name == stale || name.starts_with(&format!("{stale}-")));
        if stale
            || name.starts_with("_STATISTICS")
            || name == "rotate"
            // There is no second picture beside the new ones.
            || name.eq_ignore_ascii_case("alpha_mode")
            || name.eq_ignore_ascii_case("encoder")
        {
            add(&[&format!("-metadata:s:{upscaled}"), &format!("{name}=")]);
        }
    }
    add(&["-map_metadata", "0", "-map_chapters", "0"]);
    if let Some(end) = track.end {
        add(&["-to", &end.to_string()]);
    }
    add(&[
        "-max_muxing_queue_size",
        "100000",
        "-strict",
        "experimental",
    ]);
    match container.muxer {
        "mp4" | "mov" => {
            let scale = track.base.den.to_string();
            add(&["-video_track_timescale", &scale]);
            // In these units starts of tracks are told.
            add(&[
                "-movie_timescale",
                &movie_units(input, track.base.den).to_string(),
            ]);
            add(&["-movflags", "+faststart+write_colr"]);
        }
        // Times before zero are allowed in the first cluster; otherwise everything would be moved by the sound's lead-in.
        _ => add(&["-avoid_negative_ts", "disabled"]),
    }
    if container.in_milliseconds() {
        // No random numbers: the same input makes the same file.
        add(&["-fflags", "+bitexact"]);
    }
    add(&["-f", container.muxer]);
    all.push(tools::file(output));
    all
}

/// By how much, in microseconds, the copied streams of a broadcast and its video are to be moved, so that the first of all
/// begins at zero; both are taken to begin at zero for themselves. Nothing for files that keep their times.
fn starts(input: &Input, video: &Stream, plan: &Plan) -> (i64, i64) {
    if !input.starts_anywhere() {
        return (0, 0);
    }
    let others = input.streams.iter().zip(&plan.actions);
    let others = others
        .filter(|(_, action)| matches!(action, Action::Copied | Action::Encoded(..)))
        .filter_map(|(stream, _)| stream.start())
        .min();
    match (others, video.start()) {
        (Some(others), Some(video)) => {
            // Sound that begins a little earlier is its coder's lead-in, and comes before zero.
            let early = (1..LEAD_IN).contains(&(video - others));
            let first = if early { video } else { others.min(video) };
            (others - first, video - first)
        }
        _ => (0, 0),
    }
}

/// By how much sound in `output` begins other than it should, in microseconds for each stream of the input: muxers that do not
/// count a coder's lead-in, or count it twice.
pub fn shifts(input: &Input, video: &Stream, plan: &Plan, output: &Input) -> Vec<i64> {
    /// What nobody hears, and a rounding to milliseconds can make.
    const SLACK: i64 = 1_500;
    /// Beyond this it is no lead-in.
    const MOST: i64 = 100_000;
    let mut found = vec![0; input.streams.len()];
    let kept = input.streams.iter().zip(&plan.actions);
    let kept = kept.filter(|(_, action)| **action != Action::Left);
    let (moved, _) = starts(input, video, plan);
    let first = |input: &Input, stream: &Stream| {
        let packet = input.packets[stream.index]
            .iter()
            .find_map(|packet| packet.pts)?;
        Some(stream.unit().nanoseconds(packet) / 1000)
    };
    let others = input.streams.iter().zip(&plan.actions);
    let others = others
        .filter(|(_, action)| matches!(action, Action::Copied | Action::Encoded(..)))
        .filter_map(|(stream, _)| stream.start())
        .min();
    for ((stream, action), out) in kept.zip(&output.streams) {
        if stream.codec_type != "audio" || out.codec_type != "audio" {
            continue;
        }
        let (Some(before), Some(after)) = (first(input, stream), first(output, out)) else {
            continue;
        };
        let before = match others {
            Some(others) if input.starts_anywhere() => before - others + moved,
            _ => before,
        };
        let wanted = match action {
            Action::Copied => before,
            // The only one whose lead-in is known; at 48 kHz, 312 samples.
            Action::Encoded("libopus", _) => before - 6_500,
            _ => continue,
        };
        let wrong = wanted - after;
        if (SLACK..MOST).contains(&wrong.abs()) {
            found[stream.index] = wrong;
        }
    }
    found
}

/// By how much the video of `input` is moved in the output, in its units.
pub fn video_start(input: &Input, video: &Stream, plan: &Plan) -> i64 {
    video.unit().units(starts(input, video, plan).1 * 1000)
}

/// Whether a packet of sound does not say how long it is.
fn lacks_lengths(input: &Input, stream: &Stream) -> bool {
    let packets = &input.packets[stream.index];
    stream.codec_type == "audio" && packets.iter().skip(1).any(|packet| packet.duration <= 0)
}

/// Units of a movie in which the starts of its tracks are exact: a common multiple of the tracks' own, as far as it fits.
fn movie_units(input: &Input, video: u32) -> u32 {
    const MOST: u64 = 1_000_000;
    let divisor = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    };
    let mut units = u64::from(video);
    for stream in &input.streams {
        if stream.codec_type == "audio"
            && let Some(rate) = stream
                .sample_rate
                .as_deref()
                .and_then(|rate| rate.parse::<u64>().ok())
            && rate > 0
        {
            let common = units / divisor(units, rate) * rate;
            if common <= MOST {
                units = common;
            }
        }
    }
    u32::try_from(units).unwrap_or(video)
}

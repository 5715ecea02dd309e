//! The file of the finished track alone, with the input's unit of time.
//!
//! GStreamer's muxer writes the packets. AV1 goes through an IVF file instead: GStreamer's MP4 muxer (1.22) leaves out the header
//! that other muxers need. Of AV1, VP9 and ProRes GStreamer's encoders (1.22) leave out the colours, which ffmpeg then writes into
//! the packets.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::{VideoColorRange, VideoColorimetry};

use crate::elements::{make, set, static_pad};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::video::encoder::Codec;
use crate::video::hdr::Hdr;
use crate::video::probe::TimeBase;
use crate::video::segment::{self, PacketRecord, Record, cannot_write};
use crate::video::tools;
use crate::video::watch::{PATIENCE, Watch};

/// How often a loop that waits looks at Ctrl-C.
const TICK: gst::ClockTime = gst::ClockTime::from_mseconds(50);

/// The track of the upscaled video.
#[derive(Debug)]
pub struct Track {
    /// A file of this track alone, that begins at time zero.
    pub path: PathBuf,
    /// Time of its first frame in units of the input's stream.
    pub start: i64,
    /// Those units.
    pub base: TimeBase,
    /// Where the rest of the output is cut off, in seconds of the input.
    pub end: Option<f64>,
}

/// What the track is like.
#[derive(Debug)]
pub struct Kind {
    /// Its coding.
    pub codec: Codec,
    /// Unit of its times.
    pub base: TimeBase,
    /// Its colours.
    pub colours: VideoColorimetry,
    /// HDR's fields.
    pub hdr: Hdr,
}

/// Writes the packets of `records` into a file of one track in `folder`; `last` is the length of the last frame.
///
/// # Errors
/// If an element is missing, or the file cannot be written.
pub fn write(folder: &Path, records: &[Record], kind: &Kind, last: i64) -> Result<PathBuf> {
    let path = match kind.codec {
        Codec::Av1 => write_ivf(folder, records, kind.base)?,
        _ => write_by_muxer(folder, records, kind, last)?,
    };
    let path = match kind.codec {
        Codec::Av1 | Codec::Vp9 | Codec::ProRes => colour(&path, folder, records, kind, last)?,
        _ => path,
    };
    if kind.codec != Codec::Ffv1 {
        kind.hdr.insert(&path)?;
    }
    Ok(path)
}

/// Writes the file by GStreamer's muxer.
fn write_by_muxer(folder: &Path, records: &[Record], kind: &Kind, last: i64) -> Result<PathBuf> {
    let Kind { codec, base, .. } = *kind;
    let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
    let first = records
        .first()
        .ok_or_else(|| Failure::Failed("there is no segment to write".into()))?;
    let mut caps: gst::Caps = first
        .caps
        .parse()
        .map_err(|_| Failure::Failed(format!("{} are no caps", first.caps)))?;
    let (own, others) = (&first.caps, &records[1..]);
    if let Some(other) = others.iter().find(|record| &record.caps != own) {
        return Err(Failure::Failed(format!(
            "the encoder gave packets of another kind in segment {} than in the first: {} and {own}",
            other.number, other.caps
        )));
    }
    if codec == Codec::Ffv1 {
        // GStreamer's encoder (1.22) and its muxer spell the version differently.
        caps.make_mut().set("ffversion", 1);
    }
    let unsited = caps
        .structure(0)
        .is_some_and(|s| !s.has_field("chroma-site"));
    if codec == Codec::Vp9 && unsited {
        // GStreamer's muxer (1.22) reads it unasked, and the program would crash.
        caps.make_mut().set("chroma-site", "mpeg2");
    }
    let path = folder.join("video");
    let source = make("appsrc")?
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| Failure::Failed("appsrc is of another type".into()))?;
    source.set_caps(Some(&caps));
    source.set_format(gst::Format::Time);
    source.set_property("block", true);
    source.set_max_bytes(32 << 20);
    let (muxer, sink) = (make(codec.muxer())?, make("filesink")?);
    sink.set_property("location", &path);
    let pipeline = gst::Pipeline::new();
    pipeline
        .add_many([source.upcast_ref(), &muxer, &sink])
        .map_err(failed)?;
    muxer.link(&sink).map_err(failed)?;
    let pad = muxer
        .request_pad_simple("video_%u")
        .ok_or_else(|| Failure::Failed(format!("{} takes no video", codec.muxer())))?;
    if pad.find_property("trak-timescale").is_some() {
        pad.set_property("trak-timescale", base.den);
        set(&muxer, "movie-timescale", &base.den.to_string())?;
    }
    static_pad(source.upcast_ref(), "src")?
        .link(&pad)
        .map_err(|error| Failure::Failed(format!("{} takes no {caps}: {error}", codec.muxer())))?;
    let stop = Stop(pipeline.clone());
    // A failure here comes with a message on the bus, which says more.
    let _ = pipeline.set_state(gst::State::Playing);
    let feeder = {
        let (records, folder) = (records.to_vec(), folder.to_owned());
        std::thread::spawn(move || feed(&source, &folder, &records, base, last))
    };
    let bus = pipeline
        .bus()
        .ok_or_else(|| Failure::Failed("the pipeline has no bus".into()))?;
    let (mut watch, mut looked) = (Watch::new(PATIENCE), Instant::now());
    let result = loop {
        if interrupt::interrupted() {
            break Err(Failure::Interrupted);
        }
        if looked.elapsed() >= Duration::from_secs(1) {
            looked = Instant::now();
            let bytes = path.metadata().map_or(0, |file| file.len());
            let places = vec![(codec.muxer(), bytes)];
            let pipelines = std::slice::from_ref(&pipeline);
            if let Err(failure) = watch.look(&places, &[std::process::id()], pipelines) {
                break Err(failure);
            }
        }
        let Some(message) = bus.timed_pop(TICK) else {
            continue;
        };
        match message.view() {
            gst::MessageView::Eos(_) => break Ok(path.clone()),
            gst::MessageView::Error(error) => {
                let details = error.debug().unwrap_or_default();
                let details: Vec<_> = details.lines().skip(1).collect();
                break Err(Failure::Failed(format!(
                    "{} ({})",
                    error.error().message(),
                    details.join(" ")
                )));
            }
            _ => {}
        }
    };
    drop(stop);
    let fed = feeder
        .join()
        .unwrap_or_else(|_| Err(Failure::Failed("packets could not be handed on".into())));
    match result {
        Ok(path) => fed.map(|()| path),
        Err(failure) => Err(failure),
    }
}

/// Ends a pipeline with the value.
struct Stop(gst::Pipeline);

impl Drop for Stop {
    fn drop(&mut self) {
        // A failure of this leaves nothing to be done.
        let _ = self.0.set_state(gst::State::Null);
    }
}

/// Gives `each` packet of `records`, in the order of decoding, with exactly the time of its frame in units; until it returns false.
fn packets(
    folder: &Path,
    records: &[Record],
    mut each: impl FnMut(Vec<u8>, &PacketRecord, i64) -> Result<bool>,
) -> Result<()> {
    for record in records {
        let (path, _) = segment::paths(folder, record.number);
        let failed = |error: std::io::Error| {
            Failure::Failed(format!("cannot read {}: {error}", path.display()))
        };
        let mut file = BufReader::with_capacity(1 << 20, File::open(&path).map_err(failed)?);
        // Packets come in the order of decoding, times are told in that of presentation.
        let mut order: Vec<usize> = (0..record.packets.len()).collect();
        order.sort_by_key(|&index| record.packets[index].time);
        let mut exact = vec![0; order.len()];
        for (time, &index) in record.times.iter().zip(&order) {
            exact[index] = *time;
        }
        for (packet, time) in record.packets.iter().zip(&exact) {
            let mut data = vec![0; usize::try_from(packet.size).unwrap_or_default()];
            file.read_exact(&mut data).map_err(failed)?;
            if !each(data, packet, *time)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Hands every packet of `records` to `source`, with exactly the times of the frames.
fn feed(
    source: &gst_app::AppSrc,
    folder: &Path,
    records: &[Record],
    base: TimeBase,
    last: i64,
) -> Result<()> {
    let times: Vec<i64> = records
        .iter()
        .flat_map(|record| record.times.iter().copied())
        .collect();
    packets(folder, records, |data, packet, time| {
        let next = times.binary_search(&time).ok();
        let next = next.and_then(|at| times.get(at + 1));
        let length = next.map_or(last, |next| next - time).max(1);
        let mut buffer = gst::Buffer::from_mut_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            let clock = |nanoseconds: i64| {
                gst::ClockTime::from_nseconds(u64::try_from(nanoseconds).unwrap_or_default())
            };
            let presentation = base.nanoseconds(time);
            buffer.set_pts(clock(presentation));
            // The encoder's own distance of both times.
            buffer.set_dts(clock(presentation - (packet.time - packet.decode).max(0)));
            buffer.set_duration(clock(base.nanoseconds(time + length) - presentation));
            if !packet.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        // Its end comes with a message.
        Ok(source.push_buffer(buffer).is_ok())
    })?;
    // As above.
    let _ = source.end_of_stream();
    Ok(())
}

/// Writes the packets as an IVF file: a header, and each packet behind its length and its time.
fn write_ivf(folder: &Path, records: &[Record], base: TimeBase) -> Result<PathBuf> {
    let path = folder.join("video.ivf");
    let name = path.display().to_string();
    let failed = |error: std::io::Error| cannot_write(&name, &error);
    let mut file = BufWriter::new(File::create(&path).map_err(failed)?);
    let (width, height) = records.first().map_or((0, 0), |record| record.size);
    // Sides are for players that look at nothing else; larger ones are in the packets.
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX).to_le_bytes();
    let frames: usize = records.iter().map(|record| record.packets.len()).sum();
    let mut header = b"DKIF\0\0\x20\0AV01".to_vec();
    header.extend(side(width).iter().chain(&side(height)));
    header.extend(base.den.to_le_bytes());
    header.extend(base.num.to_le_bytes());
    header.extend(u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes());
    header.extend([0; 4]);
    file.write_all(&header).map_err(failed)?;
    packets(folder, records, |data, _, time| {
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        file.write_all(&length.to_le_bytes())
            .and_then(|()| file.write_all(&time.to_le_bytes()))
            .and_then(|()| file.write_all(&data))
            .map_err(failed)?;
        Ok(!interrupt::interrupted())
    })?;
    file.flush().map_err(failed)?;
    Ok(path)
}

/// Has ffmpeg write the colours into the packets of the file at `path`; gives the new file.
fn colour(
    path: &Path,
    folder: &Path,
    records: &[Record],
    kind: &Kind,
    last: i64,
) -> Result<PathBuf> {
    let Kind {
        codec,
        base,
        colours,
        ..
    } = kind;
    let output = folder.join("coloured");
    let frames: usize = records.iter().map(|record| record.packets.len()).sum();
    let filter = format!(
        // What has no length by itself is as long as the frames before it.
        "{},setts=duration='if(eq(N,{}),{},DURATION)'",
        metadata(*codec, colours),
        frames.saturating_sub(1),
        last.max(1)
    );
    let muxer = if *codec == Codec::ProRes {
        "mov"
    } else {
        "mp4"
    };
    let mut arguments: Vec<OsString> = ["-v", "error", "-y", "-copyts", "-i"]
        .map(Into::into)
        .to_vec();
    arguments.push(tools::file(path));
    let scale = base.den.to_string();
    let options = [
        "-map",
        "0:0",
        "-c",
        "copy",
        "-bsf:v",
        &filter,
        "-video_track_timescale",
        &scale,
        "-movie_timescale",
        &scale,
        "-strict",
        "experimental",
        "-f",
        muxer,
    ];
    arguments.extend(options.map(Into::into));
    arguments.push(tools::file(&output));
    tools::run(arguments).map_err(|failure| match failure {
        Failure::Failed(reason) => {
            Failure::Failed(format!("the track cannot be written: {reason}"))
        }
        other => other,
    })?;
    // The same once more; a failure of this costs space only.
    let _ = std::fs::remove_file(path);
    Ok(output)
}

/// ffmpeg's filter that writes colours into packets of `codec`; numbers are those of ISO/IEC 23001-8, 2 is unknown.
fn metadata(codec: Codec, colours: &VideoColorimetry) -> String {
    let (matrix, transfer, primaries) = (
        colours.matrix().to_iso(),
        colours.transfer().to_iso(),
        colours.primaries().to_iso(),
    );
    let range = match colours.range() {
        VideoColorRange::Range0_255 => "pc",
        _ => "tv",
    };
    match codec {
        Codec::Av1 => format!(
            "av1_metadata=color_primaries={primaries}:transfer_characteristics={transfer}:matrix_coefficients={matrix}:color_range={range}"
        ),
        Codec::Vp9 => {
            let matrix = match matrix {
                1 => "bt709",
                5 => "bt601",
                6 => "smpte170",
                7 => "smpte240",
                9 | 10 => "bt2020",
                _ => "unknown",
            };
            format!("vp9_metadata=color_space={matrix}:color_range={range}")
        }
        // Its range is always the limited one. Of primaries and matrices it takes these numbers alone, and 0 for those that nobody knows.
        Codec::ProRes => {
            let primaries = match primaries {
                1 | 5 | 6 | 9 | 11 | 12 => primaries,
                _ => 0,
            };
            let matrix = match matrix {
                1 | 9 => matrix,
                5 | 6 => 6,
                _ => 0,
            };
            format!(
                "prores_metadata=color_primaries={primaries}:color_trc={transfer}:colorspace={matrix}"
            )
        }
        _ => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gst_video::{VideoColorMatrix, VideoColorPrimaries, VideoTransferFunction};

    #[test]
    fn colours_are_said_in_each_coding_s_words() {
        assert!(gst::init().is_ok());
        let colours = VideoColorimetry::new(
            VideoColorRange::Range0_255,
            VideoColorMatrix::Bt2020,
            VideoTransferFunction::Smpte2084,
            VideoColorPrimaries::Bt2020,
        );
        assert_eq!(
            metadata(Codec::Av1, &colours),
            "av1_metadata=color_primaries=9:transfer_characteristics=16:matrix_coefficients=9:color_range=pc"
        );
        assert_eq!(
            metadata(Codec::Vp9, &colours),
            "vp9_metadata=color_space=bt2020:color_range=pc"
        );
        assert_eq!(
            metadata(Codec::ProRes, &colours),
            "prores_metadata=color_primaries=9:color_trc=16:colorspace=9"
        );
        // A file that says nothing of its primaries.
        let open = VideoColorimetry::new(
            VideoColorRange::Range16_235,
            VideoColorMatrix::Bt601,
            VideoTransferFunction::Unknown,
            VideoColorPrimaries::Unknown,
        );
        assert_eq!(
            metadata(Codec::ProRes, &open),
            "prores_metadata=color_primaries=0:color_trc=2:colorspace=6"
        );
    }
}

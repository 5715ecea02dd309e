//! Sound tracks: copied packet for packet where the muxer takes their format, encoded anew where it does not.

use gst::prelude::*;

use super::container::{Container, template_for};
use super::link;
use crate::elements::{make, set, static_pad};
use crate::failure::{Failure, Result};
use crate::summary::SoundTrack;

/// Fields that say how packets are cut and not what they hold: a parser changes them as the muxer wants.
const PACKAGING: &[&str] = &[
    "stream-format",
    "framed",
    "parsed",
    "alignment",
    "codec_data",
    "streamheader",
    "format",
];

/// Caps of the content alone.
fn content(caps: &gst::Caps) -> gst::Caps {
    let mut caps = caps.clone();
    for structure in caps.make_mut().iter_mut() {
        // The format of raw samples is content.
        if structure.name() != "audio/x-raw" {
            structure.remove_fields(PACKAGING.iter().copied());
        }
    }
    caps
}

/// The parser that cuts packets of `caps` as a muxer may want them.
fn parser(caps: &gst::Caps) -> Option<&'static str> {
    let structure = caps.structure(0)?;
    let name = match structure.name().as_str() {
        "audio/mpeg" if structure.get::<i32>("mpegversion") == Ok(1) => "mpegaudioparse",
        "audio/mpeg" => "aacparse",
        "audio/x-ac3" | "audio/x-eac3" => "ac3parse",
        "audio/x-dts" => "dcaparse",
        "audio/x-opus" => "opusparse",
        "audio/x-flac" => "flacparse",
        _ => return None,
    };
    gst::ElementFactory::find(name).map(|_| name)
}

/// Samples in a packet of `caps`, where every packet has as many.
fn packet_samples(caps: &gst::CapsRef) -> Option<(u64, u64)> {
    let structure = caps.structure(0)?;
    if structure.name() != "audio/mpeg" {
        return None;
    }
    let rate = u64::try_from(structure.get::<i32>("rate").ok()?).ok()?;
    let samples = match (
        structure.get::<i32>("mpegversion").ok()?,
        structure.get::<i32>("layer").ok(),
    ) {
        (2 | 4, _) => 1024,
        (1, Some(1)) => 384,
        (1, Some(2)) => 1152,
        (1, Some(3))
            if structure
                .get::<i32>("mpegaudioversion")
                .is_ok_and(|version| version > 1) =>
        {
            576
        }
        (1, Some(3)) => 1152,
        _ => return None,
    };
    (rate > 0).then_some((samples, rate))
}

/// Gives packets without a duration theirs. Matroska does not store it, and the MP4 muxer would make the last packet
/// zero long, which players then leave out.
fn give_durations(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && buffer.duration().is_none()
            && let Some((samples, rate)) = pad.current_caps().and_then(|caps| packet_samples(&caps))
        {
            let duration = gst::ClockTime::SECOND.mul_div_round(samples, rate);
            buffer.make_mut().set_duration(duration);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Joins the sound of `source` (of `caps`) to `muxer`, behind the element pad `queued`, and says what becomes of it.
/// Called before any data flows.
///
/// # Errors
/// If an element that is installed cannot be used.
pub fn join(
    pipeline: &gst::Pipeline,
    muxer: &gst::Element,
    container: &Container,
    queued: &gst::Pad,
    caps: &gst::Caps,
) -> Result<SoundTrack> {
    let format = caps
        .structure(0)
        .map(|s| s.name().to_string())
        .unwrap_or_default();
    let content = content(caps);
    if let Some(template) = template_for(muxer, &content) {
        let sink = muxer
            .request_pad(&template, None, Some(&content))
            .ok_or_else(|| {
                Failure::Failed(format!("{} takes no further sound track", container.muxer))
            })?;
        give_durations(&sink);
        match parser(caps) {
            Some(name) => {
                let parser = make(name)?;
                add(pipeline, &[&parser])?;
                link(queued, &pad(&parser, "sink")?)?;
                link(&pad(&parser, "src")?, &sink)?;
            }
            None => link(queued, &sink)?,
        }
        return Ok(SoundTrack {
            format,
            action: "copied",
        });
    }
    let Some(encoder) = container
        .sound_encoders
        .iter()
        .find(|name| gst::ElementFactory::find(name).is_some())
    else {
        let fake = make("fakesink")?;
        set(&fake, "async", "false")?;
        add(pipeline, &[&fake])?;
        link(queued, &pad(&fake, "sink")?)?;
        return Ok(SoundTrack {
            format,
            action: "dropped",
        });
    };
    let (decoder, convert, resample, encoder) = (
        make("decodebin")?,
        make("audioconvert")?,
        make("audioresample")?,
        make(encoder)?,
    );
    add(pipeline, &[&decoder, &convert, &resample, &encoder])?;
    gst::Element::link_many([&convert, &resample, &encoder])
        .map_err(|error| Failure::Failed(format!("the sound cannot be encoded: {error}")))?;
    let produced = pad(&encoder, "src")?.query_caps(None);
    let template = template_for(muxer, &produced)
        .ok_or_else(|| Failure::Failed(format!("{} does not take {produced}", container.muxer)))?;
    let sink = muxer.request_pad(&template, None, None).ok_or_else(|| {
        Failure::Failed(format!("{} takes no further sound track", container.muxer))
    })?;
    link(&pad(&encoder, "src")?, &sink)?;
    let entry = pad(&convert, "sink")?;
    decoder.connect_pad_added(move |_, source| {
        if !entry.is_linked() {
            // A failure shows as a "not linked" error of the pipeline.
            let _ = source.link(&entry);
        }
    });
    link(queued, &pad(&decoder, "sink")?)?;
    Ok(SoundTrack {
        format,
        action: "encoded",
    })
}

fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad> {
    static_pad(element, name)
}

/// Adds elements to a pipeline that is starting.
fn add(pipeline: &gst::Pipeline, elements: &[&gst::Element]) -> Result<()> {
    pipeline
        .add_many(elements)
        .map_err(|error| Failure::Failed(error.to_string()))?;
    for element in elements {
        element
            .sync_state_with_parent()
            .map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::from_str(text).unwrap()
    }

    #[test]
    fn packets_have_their_lengths() {
        let aac = caps("audio/mpeg,mpegversion=4,stream-format=raw,rate=48000,channels=2");
        assert_eq!(packet_samples(&aac), Some((1024, 48000)));
        let mp3 = caps("audio/mpeg,mpegversion=1,layer=3,mpegaudioversion=1,rate=44100,channels=2");
        assert_eq!(packet_samples(&mp3), Some((1152, 44100)));
        assert_eq!(packet_samples(&caps("audio/x-vorbis,rate=44100")), None);
    }

    #[test]
    fn packaging_is_not_content() {
        let adts = content(&caps(
            "audio/mpeg,mpegversion=4,stream-format=adts,framed=true,rate=48000",
        ));
        assert_eq!(adts, caps("audio/mpeg,mpegversion=4,rate=48000"));
        let raw = caps("audio/x-raw,format=S16LE,rate=48000");
        assert_eq!(content(&raw), raw);
    }
}

//! Which video goes in and which comes out: the pad templates and the way from the caps of one side to those of the
//! other. Pure functions of caps; nothing here depends on a model or on the machine, as the registry caches templates.

use gst::prelude::*;
use srfusion::SCALE;

/// The factor between both sides, as caps count.
const FACTOR: i32 = SCALE as i32;

/// Longest side that can be taken, so that the output's side is still a number that caps can hold.
const MAX_INPUT: i32 = i32::MAX / FACTOR;

/// Field that a progressive stream may have, and those that are not.
const INTERLACING: &str = "interlace-mode";
const INTERLACED: [&str; 4] = ["interleaved", "mixed", "fields", "alternate"];

/// Width and height in fixed caps.
pub(super) fn sides(caps: &gst::CapsRef) -> Option<(u32, u32)> {
    let structure = caps.structure(0)?;
    let side = |name: &str| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    Some((side("width")?, side("height")?))
}

/// A list of every format's name.
fn formats() -> gst::List {
    gst::List::new(super::formats::names())
}

/// Caps of a pad whose sides lie in `range`.
fn template(range: gst::IntRange<i32>) -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format_list(super::formats::names().map(gst_video::VideoFormat::from_string))
        .width_range(range.min()..=range.max())
        .height_range(range.min()..=range.max())
        .field(INTERLACING, "progressive")
        .build()
}

/// What the sink pad takes. Interlaced video is among it, last, to be refused with a message: what a pad does not take at all fails
/// somewhere upstream, without a word of the reason.
pub(super) fn sink() -> gst::Caps {
    let mut caps = template(gst::IntRange::new(1, MAX_INPUT));
    add_interlaced(&mut caps);
    caps
}

/// Adds interlaced structures after the progressive ones.
fn add_interlaced(caps: &mut gst::Caps) {
    let mut interlaced = caps.copy();
    for structure in interlaced.make_mut().iter_mut() {
        structure.set(INTERLACING, gst::List::new(INTERLACED));
    }
    caps.make_mut().append(interlaced);
}

/// Whether `info` is of frames, not of fields.
pub(super) fn is_progressive(info: &gst_video::VideoInfo) -> bool {
    info.interlace_mode() == gst_video::VideoInterlaceMode::Progressive
}

/// What the source pad gives.
pub(super) fn src() -> gst::Caps {
    template(gst::IntRange::new(FACTOR, MAX_INPUT * FACTOR))
}

/// One side of a picture (an integer, a range or a list of those) as the other pad has it; `None` if there is none,
/// for instance an output width that is no multiple of four.
fn convert(
    direction: gst::PadDirection,
    value: &gst::glib::SendValue,
) -> Option<gst::glib::SendValue> {
    // `direction` is the pad that `value` belongs to: from the sink pad sides grow.
    let grow = direction == gst::PadDirection::Sink;
    if let Ok(side) = value.get::<i32>() {
        let other = if grow {
            side.checked_mul(FACTOR)?
        } else if side % FACTOR == 0 {
            side / FACTOR
        } else {
            return None;
        };
        Some(other.to_send_value())
    } else if let Ok(range) = value.get::<gst::IntRange<i32>>() {
        let (low, high) = if grow {
            (
                range.min().checked_mul(FACTOR)?,
                range.max().min(MAX_INPUT) * FACTOR,
            )
        } else {
            // Rounded inwards: every side in the result, times four, lies in the range given.
            (
                range.min() / FACTOR + i32::from(range.min() % FACTOR > 0),
                range.max() / FACTOR,
            )
        };
        let (low, high) = (low.max(1), high.max(0));
        match low.cmp(&high) {
            std::cmp::Ordering::Less => Some(gst::IntRange::new(low, high).to_send_value()),
            std::cmp::Ordering::Equal => Some(low.to_send_value()),
            std::cmp::Ordering::Greater => None,
        }
    } else if let Ok(list) = value.get::<gst::List>() {
        let mut others: Vec<_> = list
            .iter()
            .filter_map(|value| convert(direction, value))
            .collect();
        match others.len() {
            0 => None,
            1 => others.pop(),
            _ => Some(gst::List::from_values(others).to_send_value()),
        }
    } else {
        None
    }
}

/// The caps that the other pad can have for `caps` of the pad that `direction` names, best first: those of the same format and colours
/// before those of any.
///
/// Sides are multiplied or divided by four; every other field (frame rate, pixel aspect ratio, ...) and the caps features stay. What the
/// input leaves open of its colours and depends on its size is written down, so that it is not decided again, otherwise, for the larger
/// output. With a `filter` the result is its intersection with it.
pub(super) fn transform(
    direction: gst::PadDirection,
    caps: &gst::Caps,
    filter: Option<&gst::Caps>,
) -> gst::Caps {
    let mut same = gst::Caps::new_empty();
    let mut any = gst::Caps::new_empty();
    for (structure, features) in caps.iter_with_features() {
        let mut structure = structure.to_owned();
        let colours = (direction == gst::PadDirection::Sink)
            .then(|| colours(&structure))
            .flatten();
        let fits = ["width", "height"]
            .into_iter()
            .all(|name| match structure.value(name) {
                // A side that is not named can be anything; the template closes it.
                Err(_) => true,
                Ok(value) => match convert(direction, value) {
                    Some(side) => {
                        structure.set_value(name, side);
                        true
                    }
                    None => false,
                },
            });
        if !fits {
            continue;
        }
        if direction == gst::PadDirection::Sink && structure.has_field(INTERLACING) {
            // What is not progressive is refused when it is set, with a message.
            structure.set(INTERLACING, "progressive");
        }
        let mut other = structure.clone();
        if let Some((colorimetry, site)) = colours {
            structure.set("colorimetry", colorimetry);
            if let Some(site) = site {
                structure.set("chroma-site", site);
            }
        }
        same.make_mut()
            .append_structure_full(structure, Some(features.to_owned()));
        other.set("format", formats());
        other.remove_fields(["colorimetry", "chroma-site"]);
        any.make_mut()
            .append_structure_full(other, Some(features.to_owned()));
    }
    same.make_mut().append(any);
    if direction == gst::PadDirection::Src {
        add_interlaced(&mut same);
    }
    match filter {
        Some(filter) => filter.intersect_with_mode(&same, gst::CapsIntersectMode::First),
        None => same,
    }
}

/// The colorimetry and the place of colour differences that GStreamer decides on for a structure that is fixed and leaves them open.
fn colours(structure: &gst::StructureRef) -> Option<(String, Option<String>)> {
    let format = structure.get::<&str>("format").ok()?;
    let layout = super::formats::pixels(format)?.layout();
    if layout.family != srfusion::ColourFamily::Yuv {
        return None;
    }
    let caps = gst::Caps::builder_full()
        .structure(structure.to_owned())
        .build();
    if !caps.is_fixed() {
        return None;
    }
    let info = gst_video::VideoInfo::from_caps(&caps).ok()?;
    let site = (layout.subsampling() != (0, 0))
        .then(|| site_name(info.chroma_site()))
        .flatten();
    Some((info.colorimetry().to_string(), site))
}

/// A place of colour differences as caps spell it.
fn site_name(site: gst_video::VideoChromaSite) -> Option<String> {
    (!site.is_empty()).then(|| site.to_str().to_string())
}

/// How far the format called `other` is from that called `own`: what would be lost counts most, what would be made up least.
fn distance(own: &str, other: &str) -> u32 {
    let of = |name: &str| super::formats::pixels(name).map(|format| format.layout());
    let (Some(own), Some(other)) = (of(own), of(other)) else {
        return u32::MAX;
    };
    let ((x, y), (other_x, other_y)) = (own.subsampling(), other.subsampling());
    if own == other {
        return 0;
    }
    let is_grey = |layout: &srfusion::PixelLayout| layout.family == srfusion::ColourFamily::Gray;
    let lost = 64 * u32::from(is_grey(other) && !is_grey(own))
        + 32 * u32::from(own.alpha && !other.alpha)
        + 16 * u32::from(other_x > x || other_y > y)
        + 8 * u32::from(other.depth() < own.depth());
    1 + lost
        + 4 * u32::from(own.family != other.family)
        + 2 * u32::from(other.depth() > own.depth())
        + u32::from((x, y) != (other_x, other_y))
        + u32::from(other.alpha && !own.alpha)
}

/// Fixes `others`, caps that the other pad may have, for `caps` of the pad that `direction` names: the same format where it may be, else
/// the nearest, and colours as the input has them.
pub(super) fn fixate(
    direction: gst::PadDirection,
    caps: &gst::Caps,
    others: gst::Caps,
) -> gst::Caps {
    let own = caps.structure(0);
    let own_format = own
        .and_then(|own| own.get::<&str>("format").ok())
        .unwrap_or_default();
    // The formats of each structure, and the best of all; of equals the first.
    let names = |structure: &gst::StructureRef| -> Vec<String> {
        match structure.value("format") {
            Ok(value) => match value.get::<gst::List>() {
                Ok(list) => list
                    .iter()
                    .filter_map(|name| name.get::<String>().ok())
                    .collect(),
                Err(_) => value.get::<String>().into_iter().collect(),
            },
            Err(_) => vec![own_format.to_owned()],
        }
    };
    let candidates = others
        .iter()
        .enumerate()
        .flat_map(|(index, structure)| names(structure).into_iter().map(move |name| (index, name)));
    let best = candidates.min_by_key(|(_, name)| distance(own_format, name));
    let mut fixed = match best {
        Some((index, name)) => {
            let mut chosen = gst::Caps::new_empty();
            if let (Some(structure), Some(features)) =
                (others.structure(index), others.features(index))
            {
                let mut structure = structure.to_owned();
                structure.set("format", name);
                chosen
                    .make_mut()
                    .append_structure_full(structure, Some(features.to_owned()));
            }
            chosen
        }
        None => others,
    };
    fixed.fixate();
    if direction == gst::PadDirection::Sink {
        complete(caps, &mut fixed);
    }
    fixed
}

/// Writes into `output`, fixed, what it leaves open of its colours: as `input` has them, and where that has none, as GStreamer decides for the
/// input's size.
fn complete(input: &gst::Caps, output: &mut gst::Caps) {
    let Ok(info) = gst_video::VideoInfo::from_caps(input) else {
        return;
    };
    let Some(structure) = output.structure(0) else {
        return;
    };
    let Some(format) = structure
        .get::<&str>("format")
        .ok()
        .and_then(super::formats::pixels)
    else {
        return;
    };
    if format.layout().family != srfusion::ColourFamily::Yuv {
        return;
    }
    let is_yuv = info.colorimetry().matrix() != gst_video::VideoColorMatrix::Rgb && info.is_yuv();
    let small = || {
        let name = format.layout().name;
        let made = gst_video::VideoInfo::builder(
            gst_video::VideoFormat::from_string(name),
            info.width(),
            info.height(),
        );
        made.build().ok()
    };
    let source = if is_yuv { Some(info.clone()) } else { small() };
    let Some(source) = source else { return };
    let subsampled = format.layout().subsampling() != (0, 0);
    let missing = |name: &str| !structure.has_field(name);
    let colorimetry = missing("colorimetry").then(|| source.colorimetry().to_string());
    let site = (subsampled && missing("chroma-site"))
        .then(|| site_name(source.chroma_site()))
        .flatten();
    if let Some(structure) = output.make_mut().structure_mut(0) {
        if let Some(colorimetry) = colorimetry {
            structure.set("colorimetry", colorimetry);
        }
        if let Some(site) = site {
            structure.set("chroma-site", site);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gst::PadDirection::{Sink, Src};
    use std::str::FromStr;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::from_str(text).unwrap()
    }

    #[track_caller]
    fn check(direction: gst::PadDirection, from: &str, to: &str) {
        assert_eq!(
            transform(direction, &caps(from), None),
            caps(to),
            "{direction:?} {from}"
        );
    }

    #[test]
    fn sides_are_multiplied_and_divided() {
        check(
            Sink,
            "video/x-raw,width=3,height=5",
            "video/x-raw,width=12,height=20",
        );
        check(
            Src,
            "video/x-raw,width=12,height=20",
            "video/x-raw,width=3,height=5",
        );
        check(
            Sink,
            "video/x-raw,width=[1,10],height=7",
            "video/x-raw,width=[4,40],height=28",
        );
        check(
            Src,
            "video/x-raw,width=[5,40],height=[1,8]",
            "video/x-raw,width=[2,10],height=[1,2]",
        );
        check(
            Src,
            "video/x-raw,width=[5,11],height=8",
            "video/x-raw,width=2,height=2",
        );
        check(
            Sink,
            "video/x-raw,width={1,2},height=[1,536870911]",
            "video/x-raw,width={4,8},height=[4,2147483644]",
        );
        check(
            Src,
            "video/x-raw,width={4,7,12},height={8,9}",
            "video/x-raw,width={1,3},height=2",
        );
    }

    #[test]
    fn sides_that_have_no_partner_are_refused() {
        for text in [
            "width=1281,height=720",
            "width=1280,height=722",
            "width=[5,7],height=8",
            "width={5,7},height=8",
        ] {
            let result = transform(Src, &caps(&format!("video/x-raw,{text}")), None);
            assert!(result.is_empty(), "{text} gave {result}");
        }
        assert!(transform(Sink, &caps("video/x-raw,width=536870912,height=1"), None).is_empty());
    }

    #[test]
    fn one_structure_may_go_and_others_stay() {
        check(
            Src,
            "video/x-raw,width=5,height=4;video/x-raw,width=8,height=4",
            "video/x-raw,width=2,height=1",
        );
    }

    /// The caps of the same format, without those of any.
    fn same(direction: gst::PadDirection, text: &str) -> gst::Caps {
        let mut result = transform(direction, &caps(text), None);
        result.truncate();
        result
    }

    #[test]
    fn other_fields_and_features_stay() {
        let text = |side: u32| {
            format!(
                "video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=RGB,width={side},height={side},framerate=30/1,colorimetry=sRGB,pixel-aspect-ratio=16/11,interlace-mode=progressive,\
                 multiview-mode=side-by-side,views=2,mastering-display-info=(string)35400:14600:8500:39850:6550:2300:15635:16450:10000000:1,content-light-level=(string)1000:400,x-unknown=(string)kept"
            )
        };
        assert_eq!(same(Sink, &text(2)), caps(&text(8)));
        assert_eq!(same(Src, &text(8)), caps(&text(2)));
    }

    /// A picture of 480 lines is not that of 1,920 lines to GStreamer: what it leaves open is written down.
    #[test]
    fn colours_are_those_of_the_input_s_size() {
        for (text, colorimetry, site) in [
            ("format=NV12,width=640,height=480", "bt601", Some("jpeg")),
            ("format=NV12,width=1280,height=720", "bt709", Some("mpeg2")),
            ("format=Y444,width=640,height=480", "bt601", None),
            (
                "format=I420,width=640,height=480,colorimetry=1:4:0:1,chroma-site=dv",
                "1:4:0:1",
                Some("dv"),
            ),
        ] {
            let result = same(Sink, &format!("video/x-raw,framerate=25/1,{text}"));
            let structure = result.structure(0).unwrap();
            assert_eq!(
                structure.get::<&str>("colorimetry").ok(),
                Some(colorimetry),
                "{text}"
            );
            assert_eq!(structure.get::<&str>("chroma-site").ok(), site, "{text}");
        }
        // Red, green, blue and grey mean the same at any size.
        for format in ["RGB", "GRAY8"] {
            let text = format!("video/x-raw,framerate=25/1,format={format},width=640,height=480");
            assert!(
                !same(Sink, &text)
                    .structure(0)
                    .unwrap()
                    .has_field("colorimetry")
            );
        }
    }

    #[test]
    fn the_nearest_format_is_taken() {
        let fixed = |from: &str, others: &str| {
            let from = caps(&format!(
                "video/x-raw,framerate=25/1,width=640,height=480,format={from}"
            ));
            let others = caps(&format!(
                "video/x-raw,framerate=25/1,width=2560,height=1920,format={others}"
            ));
            let fixed = fixate(Sink, &from, others);
            let structure = fixed.structure(0).unwrap().to_owned();
            (
                structure.get::<String>("format").unwrap(),
                structure.get::<String>("colorimetry").ok(),
            )
        };
        let bt601 = Some("bt601".to_owned());
        for (from, others, format) in [
            ("NV12", "{I420,NV12,RGB}", "NV12"),
            ("NV12", "{RGB,I420,Y444}", "I420"),
            ("P010_10LE", "{NV12,I420,I420_10LE,RGB}", "I420_10LE"),
            ("RGBA", "{RGB,AYUV,I420}", "AYUV"),
            ("RGB", "{I420,Y444,NV12}", "Y444"),
            ("GRAY8", "{NV12,Y444}", "Y444"),
            ("YUY2", "{I420,Y42B}", "Y42B"),
        ] {
            let (found, colorimetry) = fixed(from, others);
            assert_eq!(found, format, "{from} to {others}");
            let is_yuv = super::super::formats::pixels(format)
                .unwrap()
                .layout()
                .family
                == srfusion::ColourFamily::Yuv;
            assert_eq!(
                colorimetry,
                bt601.clone().filter(|_| is_yuv),
                "{from} to {others}"
            );
        }
    }

    #[test]
    fn filter_decides_the_order() {
        let filter = caps("video/x-raw,width=8,height=4;video/x-raw,width=4,height=4");
        let result = transform(
            Sink,
            &caps("video/x-raw,width=[1,2],height=1"),
            Some(&filter),
        );
        assert_eq!(result, filter);
    }

    #[test]
    fn templates_hold_what_the_other_side_needs() {
        gst::init().unwrap();
        assert_eq!(transform(Sink, &sink(), None), src());
        assert_eq!(transform(Src, &src(), None), sink());
    }
}

//! Which video goes in and which comes out: the pad templates and the way from the caps of one side to those of the
//! other. Pure functions of caps; nothing here depends on a model or on the machine, as the registry caches templates.

use gst::prelude::*;
use srfusion::SCALE;

/// The factor between both sides, as caps count.
const FACTOR: i32 = SCALE as i32;

/// Longest side that can be taken, so that the output's side is still a number that caps can hold.
const MAX_INPUT: i32 = i32::MAX / FACTOR;

/// Caps of a pad whose sides lie in `range`.
fn template(range: gst::IntRange<i32>) -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::Rgb)
        .width_range(range.min()..=range.max())
        .height_range(range.min()..=range.max())
        .field("interlace-mode", "progressive")
        .build()
}

/// What the sink pad takes.
pub(super) fn sink() -> gst::Caps {
    template(gst::IntRange::new(1, MAX_INPUT))
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

/// The caps that the other pad can have for `caps` of the pad that `direction` names, best first.
///
/// Sides are multiplied or divided by four, every other field (frame rate, colorimetry, pixel aspect ratio, ...) and
/// the caps features stay. With a `filter` the result is its intersection with it, in the filter's order.
pub(super) fn transform(
    direction: gst::PadDirection,
    caps: &gst::Caps,
    filter: Option<&gst::Caps>,
) -> gst::Caps {
    let mut other = gst::Caps::new_empty();
    {
        let other = other.make_mut();
        for (structure, features) in caps.iter_with_features() {
            let mut structure = structure.to_owned();
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
            if fits {
                other.append_structure_full(structure, Some(features.to_owned()));
            }
        }
    }
    match filter {
        Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
        None => other,
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

    #[test]
    fn other_fields_and_features_stay() {
        check(
            Sink,
            "video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=RGB,width=2,height=2,framerate=30/1,colorimetry=sRGB,pixel-aspect-ratio=16/11,interlace-mode=progressive",
            "video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=RGB,width=8,height=8,framerate=30/1,colorimetry=sRGB,pixel-aspect-ratio=16/11,interlace-mode=progressive",
        );
        check(Sink, "video/x-raw,format=RGB", "video/x-raw,format=RGB");
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

//! Objects as `GstVideoRegionOfInterestMeta`, in and out, and which metas of an input frame its output keeps.
//!
//! A face is a region of type `face` with a parameter structure `srfusion/face`, an object of another kind one of the type that models.toml says,
//! mostly the kind's name, with a structure of the kind's name:
//!
//! | field | type | |
//! |---|---|---|
//! | `score` | double | the detector's confidence, 0 to 1 |
//! | `track-id` | guint64 | the same number for the same object from frame to frame; also the region's `id` |
//! | `weight` | double | how far the object is faded in, 0 to 1 |
//! | `held` | boolean | not found in this frame, kept from an earlier one |
//! | `points` | array of 10 doubles | x and y of left eye, right eye, nose, left and right mouth corner, if known |
//!
//! Positions are pixels of the frame that carries the meta. A scaler further down moves the region but cannot know
//! the points; whoever needs them reads them before.
//!
//! With the feature `analytics` objects may come as `GstAnalyticsRelationMeta` too (`analytics.rs`); in any build its positions are multiplied.

use gst::prelude::*;
use gst_video::video_meta::{VideoBarMeta, VideoMetaTransformScale, VideoRegionOfInterestMeta};
use srfusion::{BBox, Detection, Face, GivenDetection, ObjectKind, SCALE, Size};

use crate::log::CAT;

/// What the names of our parameter structures begin with; the name of the kind follows.
const PARAMS: &str = "srfusion/";

/// Name of the parameter structure of a region of this kind.
fn params_of(kind: &ObjectKind) -> String {
    format!("{PARAMS}{}", kind.subject)
}

/// Structure and field in which DL Streamer's elements keep a region's confidence.
const DETECTION_PARAMS: (&str, &str) = ("detection", "confidence");

/// Whether a region is one that `use-roi-meta` takes for an object of one of `kinds`.
pub(super) fn is_object(meta: &gst::MetaRef<'_, gst::Meta>, kinds: &[ObjectKind]) -> bool {
    meta.downcast_ref::<VideoRegionOfInterestMeta>()
        .is_some_and(|roi| kinds.iter().any(|kind| kind.roi_type == roi.roi_type()))
}

/// Puts the meta of an input frame on the output frame if it still holds there, its positions multiplied.
///
/// Returns whether the base class shall copy it unchanged.
pub(super) fn transform(
    outbuf: &mut gst::BufferRef,
    meta: &gst::MetaRef<'_, gst::Meta>,
    in_info: &gst_video::VideoInfo,
    out_info: &gst_video::VideoInfo,
) -> bool {
    if meta.api() == gst_video::video_meta::VideoCropMeta::meta_api() {
        // Says which part of the input's memory is the picture; the output's memory is all picture.
        return false;
    }
    if meta.has_tag::<gst::meta::tags::Memory>()
        || meta.has_tag::<gst::meta::tags::MemoryReference>()
    {
        return false;
    }
    if let Some(roi) = meta.downcast_ref::<VideoRegionOfInterestMeta>() {
        scale_region(outbuf, roi);
        return false;
    }
    if let Some(bars) = meta.downcast_ref::<VideoBarMeta>() {
        // Its own transformation leaves positions as they are.
        let scale = |position: u32| position.saturating_mul(SCALE as u32);
        let (first, second) = (scale(bars.bar_data1()), scale(bars.bar_data2()));
        VideoBarMeta::add(outbuf, bars.field(), bars.is_letterbox(), first, second);
        return false;
    }
    // It has no tag that says so, but positions, which its own transformation multiplies.
    let is_analytics = meta.api().name() == "GstAnalyticsRelationMetaAPI";
    if is_analytics || meta.has_tag::<gst_video::video_meta::tags::Size>() {
        let scale = VideoMetaTransformScale::new(in_info, out_info);
        if let Err(error) = meta.transform(outbuf, &scale) {
            gst::debug!(
                CAT,
                "Dropping meta {}, which cannot be scaled: {error}",
                meta.api()
            );
        }
        return false;
    }
    // The picture keeps its colours and its orientation.
    meta.tags_contain_only(&["video", "colorspace", "orientation"])
}

/// Puts a region of the input on the output. Its own transformation loses the parameters in GStreamer 1.22.
fn scale_region(outbuf: &mut gst::BufferRef, roi: &VideoRegionOfInterestMeta) {
    let scale = |side: u32| side.saturating_mul(SCALE as u32);
    let (x, y, width, height) = roi.rect();
    let mut scaled = VideoRegionOfInterestMeta::add(
        outbuf,
        roi.roi_type(),
        (scale(x), scale(y), scale(width), scale(height)),
    );
    scaled.set_id(roi.id());
    scaled.set_parent_id(roi.parent_id());
    for params in roi.params() {
        let mut params = params.to_owned();
        // Of all that may be in there, only our own points are known to be pixels.
        if params.name().starts_with(PARAMS)
            && let Ok(points) = params.get::<gst::Array>("points")
        {
            let points = points.iter().filter_map(|value| value.get::<f64>().ok());
            params.set(
                "points",
                gst::Array::new(points.map(|value| value * SCALE as f64)),
            );
        }
        scaled.add_param(params);
    }
}

/// The objects that upstream has put on a frame.
#[derive(Debug, Default)]
pub(super) struct GivenObjects {
    /// Each with its kind's place, in the order of the regions.
    pub(super) all: Vec<GivenDetection>,
    /// Those that are faces.
    pub(super) faces: Vec<Detection>,
    /// Type of a region that is of no kind, if there is one.
    pub(super) stranger: Option<String>,
}

impl GivenObjects {
    /// Takes one in: of the kind whose regions are of type `name`, if there is one, in the frame of `size`. A `score` that is no number is none;
    /// whoever sends an object without a score is sure of it.
    fn add(
        &mut self,
        kinds: &[ObjectKind],
        name: &str,
        (bounds, size): ([i64; 4], Size),
        score: Option<f64>,
        points: impl FnOnce(&ObjectKind, &BBox) -> Option<[[f32; 2]; 5]>,
    ) {
        let mut own = kinds.iter().enumerate();
        let Some((place, kind)) = own.find(|(_, kind)| kind.roi_type == name) else {
            self.stranger.get_or_insert_with(|| name.to_owned());
            return;
        };
        let Some(bbox) = cut(bounds, size) else {
            gst::trace!(
                CAT,
                "Ignoring {} at {bounds:?}: outside the {size} frame",
                kind.subject
            );
            return;
        };
        let score = score.filter(|score| score.is_finite());
        let detection = Detection {
            score: score.map_or(1.0, |score| score.clamp(0.0, 1.0) as f32),
            points: points(kind, &bbox),
            bbox,
            mask: None,
        };
        if kind.is_faces() {
            self.faces.push(detection.clone());
        }
        self.all.push((place, detection));
    }
}

/// The part of a box (left, top, right, bottom) that lies in a frame of `size`, if any does.
fn cut(bounds: [i64; 4], size: Size) -> Option<BBox> {
    let (width, height) = (size.width as i64, size.height as i64);
    let [x0, x1] = [bounds[0], bounds[2]].map(|x| x.clamp(0, width));
    let [y0, y1] = [bounds[1], bounds[3]].map(|y| y.clamp(0, height));
    let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(|value| value as f32);
    (x1 > x0 && y1 > y0).then_some(BBox { x0, y0, x1, y1 })
}

/// The objects of `kinds` that upstream has put on a frame of `size`, as detections in its pixels.
///
/// Regions of other types are no objects and are left alone. The score is that of our parameter structure, else the confidence that
/// DL Streamer writes, else 1. What is named both by a region and by a detection of the same bounds is one object.
pub(super) fn objects(buffer: &gst::BufferRef, size: Size, kinds: &[ObjectKind]) -> GivenObjects {
    let mut given = GivenObjects::default();
    for roi in buffer.iter_meta::<VideoRegionOfInterestMeta>() {
        let (x, y, width, height) = roi.rect();
        let [left, top, width, height] = [x, y, width, height].map(i64::from);
        let bounds = [left, top, left + width, top + height];
        let own = |kind: &ObjectKind| roi.param(&params_of(kind));
        let kind = kinds.iter().find(|kind| kind.roi_type == roi.roi_type());
        let score = kind
            .and_then(own)
            .and_then(|params| params.get::<f64>("score").ok())
            .or_else(|| {
                let (structure, field) = DETECTION_PARAMS;
                roi.param(structure)
                    .and_then(|params| params.get::<f64>(field).ok())
            });
        let points = |kind: &ObjectKind, bbox: &BBox| own(kind).and_then(|p| read_points(p, bbox));
        given.add(kinds, roi.roi_type(), (bounds, size), score, points);
    }
    #[cfg(feature = "analytics")]
    {
        let regions = given.all.len();
        for (name, bounds, score) in super::analytics::detections(buffer) {
            let is_there = |given: &GivenObjects| {
                cut(bounds, size).is_some_and(|bbox| {
                    let mut regions = given.all[..regions].iter();
                    regions
                        .any(|(place, found)| kinds[*place].roi_type == name && found.bbox == bbox)
                })
            };
            if !is_there(&given) {
                given.add(kinds, &name, (bounds, size), Some(score), |_, _| None);
            }
        }
    }
    given
}

/// The five points of a face, if they are all there and lie in or near its box. Elsewhere they are left over from a
/// frame of another size.
fn read_points(params: &gst::StructureRef, bbox: &BBox) -> Option<[[f32; 2]; 5]> {
    let array = params.get::<gst::Array>("points").ok()?;
    let flat: Vec<f32> = array
        .iter()
        .filter_map(|value| value.get::<f64>().ok())
        .map(|value| value as f32)
        .collect();
    if flat.len() != 10 {
        return None;
    }
    let margin = (bbox.x1 - bbox.x0).max(bbox.y1 - bbox.y0) * 0.5;
    let mut points = [[0.0; 2]; 5];
    for (point, xy) in points.iter_mut().zip(flat.chunks_exact(2)) {
        let near = (bbox.x0 - margin..=bbox.x1 + margin).contains(&xy[0])
            && (bbox.y0 - margin..=bbox.y1 + margin).contains(&xy[1]);
        if !near {
            return None;
        }
        point.copy_from_slice(xy);
    }
    Some(points)
}

/// A face's box in output pixels, x, y, width and height, cut to the output of a frame of `size`; `None` if it lies outside.
pub(super) fn output_box(bbox: &BBox, size: Size) -> Option<[u32; 4]> {
    let end = size.scaled(SCALE);
    let pixel =
        |value: f32, end: usize| (value * SCALE as f32).round().clamp(0.0, end as f32) as u32;
    let (x0, x1) = (pixel(bbox.x0, end.width), pixel(bbox.x1, end.width));
    let (y0, y1) = (pixel(bbox.y0, end.height), pixel(bbox.y1, end.height));
    (x1 > x0 && y1 > y0).then(|| [x0, y0, x1 - x0, y1 - y0])
}

/// Puts `objects` of `kind`, in pixels of the input, on an output frame made from an input of `size`.
pub(super) fn attach<'a>(
    outbuf: &mut gst::BufferRef,
    kind: &ObjectKind,
    objects: impl IntoIterator<Item = &'a Face>,
    size: Size,
) {
    let scale = SCALE as f32;
    for face in objects {
        let Some([x, y, width, height]) = output_box(&face.bbox, size) else {
            continue;
        };
        let mut params = gst::Structure::builder(params_of(kind))
            .field("score", f64::from(face.score))
            .field("track-id", face.id)
            .field("weight", f64::from(face.weight))
            .field("held", face.held);
        if let Some(points) = &face.points {
            params = params.field(
                "points",
                gst::Array::new(points.as_flattened().iter().map(|v| f64::from(v * scale))),
            );
        }
        let place = (x, y, width, height);
        let mut roi = VideoRegionOfInterestMeta::add(outbuf, &kind.roi_type, place);
        // The meta's number has fewer bits than ours; the full one is in the parameters.
        roi.set_id((face.id & 0x7fff_ffff) as i32);
        roi.add_param(params.build());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> gst::Buffer {
        gst::init().unwrap();
        gst::Buffer::with_size(16).unwrap()
    }

    /// Name of the parameter structure of a face's region.
    const PARAMS: &str = "srfusion/face";

    /// The faces that upstream has put on a frame.
    fn detections(buffer: &gst::BufferRef, size: Size) -> Vec<Detection> {
        objects(buffer, size, &[ObjectKind::faces()]).faces
    }

    fn attach(outbuf: &mut gst::BufferRef, faces: &[Face], size: Size) {
        super::attach(outbuf, &ObjectKind::faces(), faces, size);
    }

    #[test]
    fn each_kind_has_regions_of_its_own() {
        let mut buffer = buffer();
        let mut text = ObjectKind::new("text");
        text.roi_type = "text-line".to_owned();
        let kinds = [ObjectKind::faces(), text];
        let bbox = BBox {
            x0: 1.0,
            y0: 1.0,
            x1: 3.0,
            y1: 2.0,
        };
        for kind in &kinds {
            super::attach(
                buffer.make_mut(),
                kind,
                &[face(bbox, None)],
                Size::new(8, 8),
            );
        }
        VideoRegionOfInterestMeta::add(buffer.make_mut(), "person", (0, 0, 8, 8));
        let regions: Vec<_> = buffer
            .iter_meta::<VideoRegionOfInterestMeta>()
            .map(|roi| {
                let params = roi.params().map(|params| params.name().to_string());
                (roi.roi_type().to_owned(), params.collect::<Vec<_>>())
            })
            .collect();
        let region = |kind: &str, params: &str| (kind.to_owned(), vec![params.to_owned()]);
        assert_eq!(regions[0], region("face", "srfusion/face"));
        assert_eq!(regions[1], region("text-line", "srfusion/text"));
        let given = objects(&buffer, Size::new(32, 32), &kinds);
        let kinds: Vec<_> = given
            .all
            .iter()
            .map(|(kind, found)| (*kind, found.score))
            .collect();
        assert_eq!(kinds, [(0, 0.75), (1, 0.75)]);
        assert_eq!(given.faces.len(), 1);
        assert_eq!(given.stranger.as_deref(), Some("person"));
    }

    fn face(bbox: BBox, points: Option<[[f32; 2]; 5]>) -> Face {
        Face {
            id: 0x1_0000_0003,
            bbox,
            score: 0.75,
            points,
            weight: 0.5,
            held: true,
            mask: None,
        }
    }

    #[test]
    fn faces_survive_the_way_out_and_in() {
        let mut buffer = buffer();
        let points = [[3.0, 3.0], [5.0, 3.0], [4.0, 4.0], [3.0, 5.0], [5.0, 5.0]];
        let bbox = BBox {
            x0: 2.25,
            y0: 2.0,
            x1: 6.5,
            y1: 6.0,
        };
        attach(
            buffer.make_mut(),
            &[face(bbox, Some(points))],
            Size::new(16, 8),
        );

        let roi = buffer.meta::<VideoRegionOfInterestMeta>().unwrap();
        assert_eq!(
            (roi.roi_type(), roi.rect(), roi.id()),
            ("face", (9, 8, 17, 16), 3)
        );
        let params = roi.param(PARAMS).unwrap();
        assert_eq!(params.get::<f64>("score"), Ok(0.75));
        assert_eq!(params.get::<u64>("track-id"), Ok(0x1_0000_0003));
        assert_eq!(params.get::<f64>("weight"), Ok(0.5));
        assert_eq!(params.get::<bool>("held"), Ok(true));

        let read = detections(&buffer, Size::new(64, 32));
        assert_eq!(read.len(), 1);
        assert_eq!(
            read[0].bbox,
            BBox {
                x0: 9.0,
                y0: 8.0,
                x1: 26.0,
                y1: 24.0
            }
        );
        assert_eq!(read[0].score, 0.75);
        assert_eq!(read[0].points, Some(points.map(|p| p.map(|v| v * 4.0))));
    }

    #[test]
    fn faces_outside_or_empty_are_left_out() {
        let mut buffer = buffer();
        let outside = BBox {
            x0: -9.0,
            y0: 0.0,
            x1: -1.0,
            y1: 4.0,
        };
        let cut = BBox {
            x0: -2.0,
            y0: -3.0,
            x1: 20.0,
            y1: 4.0,
        };
        attach(
            buffer.make_mut(),
            &[face(outside, None), face(cut, None)],
            Size::new(16, 8),
        );
        let rects: Vec<_> = buffer
            .iter_meta::<VideoRegionOfInterestMeta>()
            .map(|roi| roi.rect())
            .collect();
        assert_eq!(rects, [(0, 0, 64, 16)]);
        // Read back on a smaller frame, it is cut to it or ignored.
        assert_eq!(
            detections(&buffer, Size::new(8, 8))[0].bbox,
            BBox {
                x0: 0.0,
                y0: 0.0,
                x1: 8.0,
                y1: 8.0
            }
        );
    }

    #[test]
    fn foreign_regions_and_scores() {
        let mut buffer = buffer();
        let outbuf = buffer.make_mut();
        VideoRegionOfInterestMeta::add(outbuf, "person", (0, 0, 8, 8));
        VideoRegionOfInterestMeta::add(outbuf, "face", (1, 1, 2, 2));
        VideoRegionOfInterestMeta::add(outbuf, "face", (3, 3, 2, 2)).add_param(
            gst::Structure::builder("detection")
                .field("confidence", 0.25f64)
                .build(),
        );
        VideoRegionOfInterestMeta::add(outbuf, "face", (5, 5, 2, 2)).add_param(
            gst::Structure::builder(PARAMS)
                .field("score", f64::NAN)
                .build(),
        );
        VideoRegionOfInterestMeta::add(outbuf, "face", (99, 5, 2, 2));
        let scores: Vec<_> = detections(&buffer, Size::new(8, 8))
            .iter()
            .map(|face| face.score)
            .collect();
        assert_eq!(scores, [1.0, 0.25, 1.0]);
    }

    #[test]
    fn points_far_from_the_box_are_not_believed() {
        let mut buffer = buffer();
        let points = gst::Array::new([100.0f64; 10]);
        VideoRegionOfInterestMeta::add(buffer.make_mut(), "face", (0, 0, 4, 4)).add_param(
            gst::Structure::builder(PARAMS)
                .field("score", 0.5f64)
                .field("points", points)
                .build(),
        );
        assert_eq!(detections(&buffer, Size::new(8, 8))[0].points, None);
    }
}

//! Objects that upstream has put on a frame as `GstAnalyticsRelationMeta`, which GStreamer has since 1.24. Built with the feature `analytics`.

use gst_analytics::prelude::*;
use gst_analytics::{AnalyticsODMtd, AnalyticsRelationMeta};

/// What is detected on a frame: the type's name, bounds (left, top, right, bottom) in pixels of the frame, which may lie outside of it, and the
/// confidence in these. A detection without a type, a place or a size is none.
pub(super) fn detections(buffer: &gst::BufferRef) -> Vec<(String, [i64; 4], f64)> {
    let mut found = Vec::new();
    for meta in buffer.iter_meta::<AnalyticsRelationMeta>() {
        for detection in meta.iter::<AnalyticsODMtd>() {
            let (Some(name), Ok(place)) = (detection.obj_type(), detection.location()) else {
                continue;
            };
            if place.w <= 0 || place.h <= 0 {
                continue;
            }
            let [x, y, w, h] = [place.x, place.y, place.w, place.h].map(i64::from);
            let bounds = [x, y, x + w, y + h];
            found.push((
                name.as_str().to_string(),
                bounds,
                f64::from(place.loc_conf_lvl),
            ));
        }
    }
    found
}

//! The element `srfusion`: its documentation, and what it is made of.
//!
//! `imp` is what GStreamer calls. It hands on to `settings` (properties, made of the engine's table; `enums` are its choices), `opening`
//! (the loader thread) and `flow` (frames through the engine). Under these are `slot` (where the engine is, and who may have it),
//! `outgoing` (frames on their way out, between the two streaming threads), `frames` (buffers as the engine takes them), `meta` (faces and
//! other metas; `analytics` those of GStreamer 1.24), `mark` (what frames say of what drew them), `caps` (which video goes in and out), `latency` (what the latency query answers), `report`
//! (what is told of a run) and `record` (what was drawn by what, in a file; `arrival` is what it needs of a frame that comes in).

/**
 * SECTION:element-srfusion
 * @see_also: videoscale, videoconvert, onnxinference
 *
 * Upscales video four times with two super-resolution networks, a general one and one trained on faces. Faces are
 * found by a third network and followed over time; where a face is, the picture of the face network is blended over
 * that of the general one with a soft mask that neither flickers nor jumps. The output has four times the width and the
 * height of the input; caps that ask for anything else do not negotiate. Video is progressive and keeps its format,
 * colours and depth, unless downstream asks for another format.
 *
 * A face drawn by a network is a likely face, not a measured one. It is no evidence of who was there. The regions that
 * the element attaches (below) say which pixels a face network had a part in.
 *
 * ## Models
 *
 * The models are ONNX files. #GstSrFusion:general-model, #GstSrFusion:face-model and #GstSrFusion:detector-model take
 * a name from the catalogue `models.toml` or the path of a file; the shipped ones are the default. `face-model=none`
 * gives the general network alone. Files in the catalogue are checked against its sha256, files outside it are probed:
 * a generator takes a picture, of colours or of luma alone, in floats or bytes, and gives the same enlarged.
 *
 * ONNX Runtime is loaded when the element leaves NULL, from #GstSrFusion:runtime-library, else from the file that the
 * environment variable `ORT_DYLIB_PATH` names, else from where the set-up installed it, else from the system.
 *
 * * NULL to READY checks what can be checked quickly: properties, model files, the runtime library, the provider.
 * * READY to PAUSED opens the models on a thread of its own and says so with progress messages (code `open`: start, one
 *   continue for each model, complete, canceled or error). Building a TensorRT engine can take minutes. The first
 *   frame waits for it; a flush or a stop does not.
 * * A fault is one error message that names the file, what was expected and what was found. With its cause cured, the
 *   element can be started again.
 *
 * ## Faces as regions
 *
 * With #GstSrFusion:attach-roi-meta every face is attached to the output frame as a #GstVideoRegionOfInterestMeta of
 * type `face`, in output pixels, with a parameter structure `srfusion/face`: `score` (double), `track-id` (guint64),
 * `weight` (double, how far the face is faded in), `held` (boolean, not found in this very frame), and `points` (array
 * of ten doubles, x and y of both eyes, the nose and both corners of the mouth, left ones first), where known.
 *
 * With #GstSrFusion:use-roi-meta no detector is loaded and the faces are the regions of type `face` of the input frame;
 * regions of other types are not faces and pass. Their score is `score` in `srfusion/face`, else `confidence` in
 * `detection`, else 1. If regions are attached as well, those that were taken are replaced by the attached ones.
 * All other regions and metas of the input that hold for a larger picture are passed, positions multiplied by four.
 * A plugin built with the feature `analytics` takes object detections of #GstAnalyticsRelationMeta in the same way, of
 * the kind whose regions are of the detection's type.
 *
 * ## Other kinds of objects
 *
 * Faces are one kind of objects. #GstSrFusion:objects names those that are looked for: `face` (the default), and whatever the catalogue has a
 * generator and a detector for under the same subject, such as `face,text`. Each kind has masks, regions (of a type and with a structure of its
 * name), statistics and lines in the record of its own. Regions of the input that are of no kind are one message in a run. Letters and digits
 * that a network draws may be invented: what cannot be read in the input must not be read in the output.
 *
 * ## Marks
 *
 * With #GstSrFusion:attach-marks every output frame says what drew it, as a #GstVideoSEIUserDataUnregisteredMeta that encoders
 * of H.264 and H.265 may write into the stream: the version, sha256 of each network, the view, and the box and weight of every
 * face that the face network had a part in, as CBOR under the UUID 5f6500c3-d7e9-4756-b24f-6fda4542c08d.
 *
 * ## Identity guard
 *
 * With #GstSrFusion:identity-guard above 0 faces as they are drawn are compared with the faces of the input, from time to time, by the
 * network of #GstSrFusion:identity-model, which is the user's. Where they are less alike than the limit, the face network's weight falls
 * until they are; the regions and marks tell the lowered weight, #GstSrFusion:stats counts `faces-lowered` and `identity-runs`.
 *
 * ## Pictures that stand still
 *
 * With #GstSrFusion:reuse set to `exact`, the default, parts of the picture whose input pixels did not change are not computed
 * again; the output is the same as without. `tolerant` also keeps parts that changed by no more than the camera's noise, which is
 * estimated from the stream (or set with #GstSrFusion:reuse-threshold): meant for fixed cameras, where it saves most
 * of the work. What is kept although it is not exact is renewed after #GstSrFusion:refresh-time. Scene cuts, seeks and
 * changes of size forget everything. #GstSrFusion:stats counts `tiles-reused` of `tiles-total`.
 *
 * ## Live pipelines
 *
 * * The element works on as many frames at a time as #GstSrFusion:frames-in-flight says, and buffers no others. A queue before it,
 *   such as `queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0`, gives it a thread of its own and drops
 *   the oldest frames where it cannot follow.
 * * Frames that are late already when they arrive are skipped, if the sink synchronises to the clock (quality of
 *   service of the base class). Faces are followed by presentation time and survive the gaps.
 * * With #GstSrFusion:deadline (-1 in live pipelines) every frame comes out in time: faces are drawn in any case, then what moves, then
 *   what is owed from earlier frames; the rest is drawn by #GstSrFusion:general-fast-model or interpolated, and made good while it stands
 *   still. What was left out is told by quality-of-service messages and #GstSrFusion:stats.
 * * The latency query is answered with #GstSrFusion:latency, else with the deadline, else with the time that frames are measured to
 *   take, from coming in to going out, and a quarter more. A new measurement is announced when the old one no longer holds, and at most
 *   once in five seconds.
 *
 * ## Frames in flight
 *
 * With #GstSrFusion:frames-in-flight above one, a frame is drawn on a thread of its own while the next is compared with earlier
 * ones and searched for faces, and sent on by another as soon as it is done, whether or not more come in. The frames that come out are
 * the same and in order; events, queries and new caps wait for those before them, a flush drops them, and the end of the stream lets all
 * of them out. Each holds its input and its output buffer, and one more output buffer is on its way. By default there are two where a
 * device draws (CUDA, TensorRT), and one where the processor does, which has nothing to overlap with: it is sent on by the thread that
 * brought it.
 *
 * ## Memory
 *
 * Output frames have sixteen times the samples: 49.8 MB in NV12 and 99.5 MB in RGB for a frame of 1920x1080 scaled to 7680x4320. The element asks for a
 * buffer pool as usual, so that nothing of that size is allocated for each frame. Unless #GstSrFusion:reuse is `none` it keeps one more
 * picture of that size; what else it holds depends on the tile size and on the models.
 *
 * ## Record
 *
 * With #GstSrFusion:audit a line of JSON for each frame is added to a file: objects, which network drew which rectangles, what was kept
 * from which earlier frame or interpolated for lack of time, and sums of both frames. A thread of its own writes it. No frame waits for it:
 * where it cannot follow, lines are left out, and the gap is in the file and in #GstSrFusion:stats. Up to four more frames are held meanwhile.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! srfusion ! x264enc ! mp4mux ! filesink location=out.mp4
 * ]| Upscales a file. No frame is dropped.
 *
 * |[
 * gst-launch-1.0 -v v4l2src ! video/x-raw,width=320,height=240 ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! srfusion deadline=-1 reuse=tolerant ! autovideosink
 * ]| Upscales a camera's picture to 1280x960 as far as the machine can follow.
 *
 * Since: 0.1.0
 */
mod imp;

#[cfg(feature = "analytics")]
mod analytics;
mod arrival;
mod caps;
mod enums;
mod flow;
mod formats;
mod frames;
mod latency;
mod mark;
mod meta;
mod opening;
mod outgoing;
mod quality;
mod record;
mod report;
mod settings;
mod slot;

use gst::glib;
use gst::prelude::*;

pub use enums::{Precision, Provider, Reuse, View};
pub use imp::SrFusion;
pub use mark::{MARK_UUID, take as take_mark};

/// Registers the element with the plugin.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    for type_ in enums::types() {
        type_.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    // Never chosen by itself: it costs far more than a scaler, and changes what is seen.
    gst::Element::register(
        Some(plugin),
        "srfusion",
        gst::Rank::NONE,
        SrFusion::static_type(),
    )
}

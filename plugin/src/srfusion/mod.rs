//! The element `srfusion`: its public type, its enumerations and its documentation.
//!
//! `imp` is the element, `caps` which video goes in and out, `frames` buffers as the engine takes them, `loader` the engine's way from
//! the loader thread to the streaming thread and back, `meta` faces and other metas, `latency` what the latency query answers.

/**
 * SECTION:element-srfusion
 * @see_also: videoscale, videoconvert, onnxinference
 *
 * Upscales video four times with two super-resolution networks, a general one and one trained on faces. Faces are
 * found by a third network and followed over time; where a face is, the picture of the face network is blended over
 * that of the general one with a soft mask that neither flickers nor jumps. The output has four times the width and the
 * height of the input; caps that ask for anything else do not negotiate. Video is packed RGB, progressive: put
 * `videoconvert` before and after.
 *
 * A face drawn by a network is a likely face, not a measured one. It is no evidence of who was there. The regions that
 * the element attaches (below) say which pixels a face network had a part in.
 *
 * ## Models
 *
 * The models are ONNX files. #GstSrFusion:general-model, #GstSrFusion:face-model and #GstSrFusion:detector-model take
 * a name from the catalogue `models.toml` or the path of a file; the shipped ones are the default. `face-model=none`
 * gives the general network alone. Files in the catalogue are checked against its sha256, files outside it are probed:
 * a generator takes one float32 input of 1x3xHxW and gives one float32 output of 1x3x4Hx4W.
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
 * * The latency query is answered with #GstSrFusion:latency, or with the time that frames are measured to take and a
 *   quarter more, and with a frame's duration for each frame in flight but one: it leaves when others come in. A new
 *   measurement is announced when the old one no longer holds, and at most once in five seconds.
 *
 * ## Frames in flight
 *
 * With #GstSrFusion:frames-in-flight above one, a frame is drawn on a thread of its own while the next is compared with earlier
 * ones and searched for faces. The frames that come out are the same and in order; events, queries and new caps wait for those before
 * them, a flush drops them, and the end of the stream lets all of them out. Each holds its input and its output buffer. By default
 * there are two where a device draws (CUDA, TensorRT), and one where the processor does, which has nothing to overlap with.
 *
 * ## Memory
 *
 * Output frames have 48 bytes per input pixel: 99.5 MB for a frame of 1920x1080 scaled to 7680x4320. The element asks for a
 * buffer pool as usual, so that nothing of that size is allocated for each frame. Unless #GstSrFusion:reuse is `none` it keeps one more
 * picture of that size; what else it holds depends on the tile size and on the models.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! srfusion ! videoconvert ! x264enc ! mp4mux ! filesink location=out.mp4
 * ]| Upscales a file. No frame is dropped.
 *
 * |[
 * gst-launch-1.0 -v v4l2src ! video/x-raw,width=320,height=240 ! videoconvert ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 ! srfusion ! videoconvert ! autovideosink
 * ]| Upscales a camera's picture to 1280x960 as far as the machine can follow.
 *
 * Since: 0.1.0
 */
mod imp;

mod caps;
mod frames;
mod latency;
mod loader;
mod meta;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// The element `srfusion`: upscales video four times, with a face network where faces are.
    pub struct SrFusion(ObjectSubclass<imp::SrFusion>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Which results of earlier frames are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstSrFusionReuse")]
pub enum Reuse {
    /// None.
    #[enum_value(name = "None: every frame is drawn anew", nick = "none")]
    None,
    /// Exact.
    #[default]
    #[enum_value(
        name = "Where no pixel changed; the picture is the same",
        nick = "exact"
    )]
    Exact,
    /// Tolerant.
    #[enum_value(
        name = "Where pixels changed by no more than the camera's noise",
        nick = "tolerant"
    )]
    Tolerant,
}

impl From<Reuse> for srfusion::Reuse {
    fn from(reuse: Reuse) -> Self {
        match reuse {
            Reuse::None => Self::None,
            Reuse::Exact => Self::Exact,
            Reuse::Tolerant => Self::Tolerant,
        }
    }
}

impl From<srfusion::Reuse> for Reuse {
    fn from(reuse: srfusion::Reuse) -> Self {
        match reuse {
            srfusion::Reuse::None => Self::None,
            srfusion::Reuse::Exact => Self::Exact,
            srfusion::Reuse::Tolerant => Self::Tolerant,
        }
    }
}

/// What the output frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstSrFusionView")]
pub enum View {
    /// The fused picture.
    #[default]
    #[enum_value(name = "General picture with faces blended in", nick = "fused")]
    Fused,
    /// The general network's picture.
    #[enum_value(name = "General network over the whole frame", nick = "general")]
    General,
    /// The face network's picture.
    #[enum_value(name = "Face network over the whole frame", nick = "face")]
    Face,
    /// The mask.
    #[enum_value(name = "Mask, white where the face network draws", nick = "mask")]
    Mask,
    /// Bicubic and fused side by side.
    #[enum_value(name = "Bicubic on the left, fused on the right", nick = "split")]
    Split,
    /// Bicubic interpolation.
    #[enum_value(name = "Bicubic interpolation, no network", nick = "bicubic")]
    Bicubic,
}

impl From<View> for srfusion::View {
    fn from(view: View) -> Self {
        match view {
            View::Fused => Self::Fused,
            View::General => Self::General,
            View::Face => Self::Face,
            View::Mask => Self::Mask,
            View::Split => Self::Split,
            View::Bicubic => Self::Bicubic,
        }
    }
}

impl From<srfusion::View> for View {
    fn from(view: srfusion::View) -> Self {
        match view {
            srfusion::View::Fused => Self::Fused,
            srfusion::View::General => Self::General,
            srfusion::View::Face => Self::Face,
            srfusion::View::Mask => Self::Mask,
            srfusion::View::Split => Self::Split,
            srfusion::View::Bicubic => Self::Bicubic,
        }
    }
}

/// Execution provider: what computes the networks. All values exist on every machine; whether one can be used is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstSrFusionProvider")]
pub enum Provider {
    /// The first of the others that works.
    #[default]
    #[enum_value(
        name = "First that works of tensorrt, cuda, openvino, cpu",
        nick = "auto"
    )]
    Auto,
    /// TensorRT.
    #[enum_value(name = "NVIDIA TensorRT", nick = "tensorrt")]
    TensorRt,
    /// CUDA.
    #[enum_value(name = "NVIDIA CUDA and cuDNN", nick = "cuda")]
    Cuda,
    /// OpenVINO.
    #[enum_value(name = "Intel OpenVINO", nick = "openvino")]
    OpenVino,
    /// The processor.
    #[enum_value(name = "Processor", nick = "cpu")]
    Cpu,
}

impl From<Provider> for srfusion::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Auto => Self::Auto,
            Provider::TensorRt => Self::TensorRt,
            Provider::Cuda => Self::Cuda,
            Provider::OpenVino => Self::OpenVino,
            Provider::Cpu => Self::Cpu,
        }
    }
}

impl From<srfusion::Provider> for Provider {
    fn from(provider: srfusion::Provider) -> Self {
        match provider {
            srfusion::Provider::Auto => Self::Auto,
            srfusion::Provider::TensorRt => Self::TensorRt,
            srfusion::Provider::Cuda => Self::Cuda,
            srfusion::Provider::OpenVino => Self::OpenVino,
            srfusion::Provider::Cpu => Self::Cpu,
        }
    }
}

/// Arithmetic of the networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[repr(i32)]
#[enum_type(name = "GstSrFusionPrecision")]
pub enum Precision {
    /// Half precision where the provider gains by it.
    #[default]
    #[enum_value(name = "Half precision where the provider gains by it", nick = "auto")]
    Auto,
    /// Single precision.
    #[enum_value(name = "Single precision", nick = "fp32")]
    Fp32,
    /// Half precision.
    #[enum_value(name = "Half precision, on providers that have it", nick = "fp16")]
    Fp16,
}

impl From<Precision> for srfusion::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Auto => Self::Auto,
            Precision::Fp32 => Self::Fp32,
            Precision::Fp16 => Self::Fp16,
        }
    }
}

impl From<srfusion::Precision> for Precision {
    fn from(precision: srfusion::Precision) -> Self {
        match precision {
            srfusion::Precision::Auto => Self::Auto,
            srfusion::Precision::Fp32 => Self::Fp32,
            srfusion::Precision::Fp16 => Self::Fp16,
        }
    }
}

/// Registers the element with the plugin.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    {
        for type_ in [
            View::static_type(),
            Provider::static_type(),
            Precision::static_type(),
        ] {
            type_.mark_as_plugin_api(gst::PluginAPIFlags::empty());
        }
    }
    // Never chosen by itself: it costs far more than a scaler, and changes what is seen.
    gst::Element::register(
        Some(plugin),
        "srfusion",
        gst::Rank::NONE,
        SrFusion::static_type(),
    )
}

//! Options of `upscale`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::arguments::engine::EngineOptions;
use crate::arguments::values::{assignment, duration};
use crate::bounds::MAX_PIXELS;

/// Options of `upscale`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Pictures: PNG, JPEG, WebP, BMP, TIFF in and out, 8 or 16 bit, colour or grey, with or without transparency; GIF in.
Videos: whatever ffmpeg decodes in; .mp4 .m4v .mov .mkv .webm out. Every frame keeps its time; sound, text, further tracks,
chapters, tags and flags are copied where the container takes them, and named where it does not; colours keep the input's
matrix and range.
OUT appears only when it is complete. A video is made in segments of some seconds in a folder beside OUT: after an
interruption the same command goes on. A folder as IN is done file by file into the folder OUT, what is done left out.")]
pub struct UpscaleOptions {
    /// Picture or video to upscale.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File to write; its extension says what it becomes. An existing file is replaced.
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Print JSON on standard output, an object a line: how far a video is, and at the end the result.
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors and warnings; with --json the result alone.
    #[arg(long, short)]
    pub quiet: bool,
    /// Constant quality of the encoded video, 0 (best, huge) to 50.
    #[arg(long, visible_alias = "crf", value_name = "N", default_value_t = 17, value_parser = clap::value_parser!(u32).range(0..=50))]
    pub quality: u32,
    /// Quality of a JPEG, 1 to 100 (best).
    #[arg(long, value_name = "N", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: u8,
    /// Coding of the video: h264, h265, av1, vp9, prores or ffv1, as far as OUT holds it [default: vp9 for .webm, else h264].
    #[arg(long, value_name = "NAME")]
    pub codec: Option<String>,
    /// Encoder element for the video, instead of the first of those known that is installed; hardware encoders are taken only so.
    #[arg(long, value_name = "ELEMENT")]
    pub encoder: Option<String>,
    /// Preset of the encoder, in its own words (x264enc: ultrafast to placebo).
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// Further properties of the encoder: `NAME=VALUE`, several with spaces between them.
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment, value_delimiter = ' ')]
    pub encoder_args: Vec<(String, String)>,
    /// Bits of a sample in the encoded video, 8 or 10 [default: 8; 10 for prores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=10))]
    pub bits: Option<u32>,
    /// Length of a segment, the most that an interruption can lose: `10s`.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub segment_time: Duration,
    /// Drop what an earlier run with other settings or another input has left.
    #[arg(long)]
    pub start_over: bool,
    /// When interrupted, leave what is finished as a playable OUT; the same command goes on all the same.
    #[arg(long)]
    pub partial: bool,
    /// Print which segments there are, keep that beside OUT, and do nothing else; for programs that spread a video (docs/farm.md).
    #[arg(long, hide = true, conflicts_with = "compare")]
    pub plan_segments: bool,
    /// Make this segment of those planned, and nothing else; several processes may.
    #[arg(long, hide = true, value_name = "N", conflicts_with_all = ["compare", "plan_segments", "start_over"])]
    pub segment: Option<u64>,
    /// Write a record to this file: what of each frame was drawn by which network, kept or interpolated, and sums of input and output.
    /// `srfusion audit` reads it; docs/evidence.md says what it shows.
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub audit: Option<PathBuf>,
    /// Write no marks: neither the tags that say that the picture was computed, and by what, nor with H.264 and H.265 the SEI that says of each
    /// key frame which networks drew which faces (docs/evidence.md).
    #[arg(long)]
    pub no_marks: bool,
    /// Sign OUT (.mp4, .m4v, .mov) by C2PA's rules with this chain of certificates, PEM, the signer's first; only in a program with the
    /// feature c2pa.
    #[arg(long, value_name = "FILE", requires = "c2pa_key")]
    pub c2pa: Option<PathBuf>,
    /// The signer's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "c2pa")]
    pub c2pa_key: Option<PathBuf>,
    /// Most pixels of the picture or of a frame, in IN: more is refused before anything is done.
    #[arg(long, value_name = "N", default_value_t = MAX_PIXELS, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub max_pixels: u64,
    /// Leave the sound out.
    #[arg(long)]
    pub no_sound: bool,
    /// Write a picture to compare instead, OUT: bicubic, fused and face mask side by side, of a video the frame with the largest face
    /// among the first 1500.
    #[arg(long)]
    pub compare: bool,
    /// What the engine is to do.
    #[command(flatten)]
    pub engine: EngineOptions,
}

//! Options of `upscale`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::engine::EngineOptions;

/// Options of `upscale`.
#[derive(Debug, Args)]
#[command(after_help = "\
Pictures: PNG, JPEG, WebP, BMP, TIFF in and out, 8 or 16 bit, colour or grey, with or without transparency.
Videos: whatever GStreamer decodes in; .mp4 .m4v .mov .mkv with H.264 and .webm with VP9 out. Every frame keeps its time,
sound is copied where the container takes it, and colours keep the input's matrix and range.
OUT appears only when it is complete.")]
pub struct UpscaleOptions {
    /// Picture or video to upscale.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File to write; its extension says what it becomes. An existing file is replaced.
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Print the result as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors and warnings.
    #[arg(long, short)]
    pub quiet: bool,
    /// Constant quality of the encoded video, 0 (best, huge) to 50.
    #[arg(long, value_name = "N", default_value_t = 17, value_parser = clap::value_parser!(u32).range(0..=50))]
    pub crf: u32,
    /// Quality of a JPEG, 1 to 100 (best).
    #[arg(long, value_name = "N", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg_quality: u8,
    /// Encoder element for the video, instead of the first of those known that is installed.
    #[arg(long, value_name = "ELEMENT")]
    pub encoder: Option<String>,
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

//! Options of `report`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::engine::EngineOptions;

/// Options of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
The page needs nothing but itself: pictures, style and program are inside. Faces and the mask are found in IN as `upscale` finds them;
give the options that `upscale` was given. What cannot be measured is left out, and the page says why.")]
pub struct ReportOptions {
    /// Page to write.
    #[arg(value_name = "OUT.html")]
    pub page: PathBuf,
    /// Video or picture that was upscaled.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// What it became, with the same frames and four times its sides.
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// The true video or picture, with the same frames and OUT's sides.
    #[arg(long, value_name = "HR")]
    pub reference: Option<PathBuf>,
    /// Face embedding network (ONNX, f32[1,3,112,112], RGB, ImageNet-normalised), to tell whether faces stay the same person.
    #[arg(long, value_name = "FILE")]
    pub embedding: Option<PathBuf>,
    /// Frames to show.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=24))]
    pub frames: u32,
    /// Frames for SSIM and SSIMULACRA 2, spread over the clip.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub samples: u32,
    /// Widest that a whole frame is shown, in pixels; details are shown pixel by pixel.
    #[arg(long, value_name = "PIXELS", default_value_t = 960, value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub width: u32,
    /// Heading of the page [default: the name of OUT].
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Print the numbers as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
    /// What the engine did.
    #[command(flatten)]
    pub engine: EngineOptions,
}

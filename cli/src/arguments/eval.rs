//! Options of `eval`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::engine::EngineOptions;

/// Options of `eval`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each picture of HR_DIR is cut to sides that are multiples of 4, made four times smaller, upscaled, and compared with what it was:
on luma (BT.601, 16 to 235) of 8-bit pictures, 4 pixels of the border left out; SSIM with a Gaussian window of 11x11 and sigma
1.5. Smaller pictures are made as MATLAB's imresize makes them (bicubic, antialiased), or taken from --lr. Bicubic enlargement
by the same function stands beside. Losslessly stored pictures give the numbers of the Python evaluation in models/training.
SSIMULACRA2 is of colour: 100 for equal pictures, 90 where nearly nobody sees a difference. CONSISTENCY is the PSNR of the
upscaled picture, made small again, against what it was made from. A clip is made smaller frame by frame and has the numbers
of `report`.")]
pub struct EvalOptions {
    /// Folder of true pictures, or a true clip.
    #[arg(value_name = "HR_DIR|CLIP")]
    pub truth: PathBuf,
    /// Folder of pictures four times smaller, with the same names (or with `x4` before the extension), instead of making them.
    #[arg(long, value_name = "DIR")]
    pub lr: Option<PathBuf>,
    /// Face embedding network (ONNX, f32[1,3,112,112], RGB, ImageNet-normalised) for the faces of a clip.
    #[arg(long, value_name = "FILE")]
    pub embedding: Option<PathBuf>,
    /// Frames of a clip for SSIM and SSIMULACRA 2, spread over it.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub samples: u32,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
    /// What the engine is to do; of the views `fused`, `general`, `face` and `bicubic` can be measured.
    #[command(flatten)]
    pub engine: EngineOptions,
}

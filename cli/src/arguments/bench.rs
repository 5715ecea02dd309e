//! Options of `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::arguments::engine::EngineOptions;
use crate::arguments::values::{fraction, size};

/// Options of `bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Rows take turns, each round beginning with another; medians are printed, and ratios are medians of the ratios within a round.
Frames are in memory before anything is timed. The row `bare` runs the general generator on whole frames from 32-bit floats to
32-bit floats with the engine's session options, with nothing before and after; `whole` runs both generators so. The peak is a
large matrix product in the same runtime. Times of one machine at one hour: compare within one run, not between runs.")]
pub struct BenchOptions {
    /// Video to take frames from, instead of making them.
    #[arg(value_name = "CLIP")]
    pub clip: Option<PathBuf>,
    /// Frames to make.
    #[arg(long, value_enum, default_value_t = SyntheticName::Moving, conflicts_with = "clip")]
    pub synthetic: SyntheticName,
    /// Size of the frames to make.
    #[arg(long, value_name = "WxH", value_parser = size, default_value = "640x360", conflicts_with = "clip")]
    pub size: srfusion::Size,
    /// Number of frames, or of the clip's frames at most.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
    pub frames: u32,
    /// Frames at the clip's start to leave out.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u32,
    /// Standard deviation of `noise`, in levels of 255.
    #[arg(long, value_name = "LEVELS", default_value_t = 2.0)]
    pub noise: f64,
    /// Share of the area that moves in `moving`.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.25, value_parser = fraction)]
    pub share: f64,
    /// Picture whose largest face is shown in `faces`.
    #[arg(long, value_name = "FILE")]
    pub portrait: Option<PathBuf>,
    /// Number of faces in `faces`.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub faces: u32,
    /// Height of a face in `faces`, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=4096))]
    pub face_height: u32,
    /// What to measure, in order [default: engine,element,bare, with a face generator also general,whole].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW,...")]
    pub rows: Vec<RowName>,
    /// Rounds in which every row has a turn.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Also compare the pictures: `engine` with a fusion of whole frames, `exact` and `tolerant` with `none`.
    #[arg(long)]
    pub check: bool,
    /// Leave the multiply-add peak out.
    #[arg(long)]
    pub no_peak: bool,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
    /// What the engine is to do.
    #[command(flatten)]
    pub engine: EngineOptions,
}

/// Streams that `bench` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SyntheticName {
    /// The same picture again and again
    Static,
    /// The same picture with new noise in every frame
    Noise,
    /// A part of the picture moves, the rest stands still
    Moving,
    /// Faces sway before a picture that stands still
    Faces,
}

/// What `bench` can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowName {
    /// The engine as the options have it
    Engine,
    /// The element as the options have it, in a pipeline
    Element,
    /// The engine without faces
    General,
    /// The engine with `--reuse none`
    None,
    /// The engine with `--reuse exact`
    Exact,
    /// The engine with `--reuse tolerant`
    Tolerant,
    /// The general generator on whole frames, nothing around it
    Bare,
    /// Both generators on whole frames, nothing around them
    Whole,
}

impl RowName {
    /// The name as it is typed.
    pub fn text(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Element => "element",
            Self::General => "general",
            Self::None => "none",
            Self::Exact => "exact",
            Self::Tolerant => "tolerant",
            Self::Bare => "bare",
            Self::Whole => "whole",
        }
    }
}

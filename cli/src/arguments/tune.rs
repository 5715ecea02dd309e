//! Options of `tune`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::engine::EngineOptions;

/// Options of `tune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Frames from up to three places of IN are upscaled again and again: with each provider that is here and each precision that it has, then
with other numbers of threads and sizes of tiles on the fastest, then with each pair of networks. What is given as an option is not
measured but taken. Another setting than the default is recommended where it is more than 3 % faster. Quality is not measured: look at
the sheet. The measurement is kept in the cache folder.")]
pub struct TuneOptions {
    /// Video or picture to measure on.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Picture to write: parts of the frames as each pair of networks draws them [default: IN's name with -tune.png, in this folder].
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
    /// Time to take at most, in seconds.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=120))]
    pub seconds: u64,
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

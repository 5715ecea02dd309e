//! Everything that can be typed: commands and options, a file for the options of each command. Reads no file.

use clap::{Parser, Subcommand};

mod audit;
mod bench;
mod camera;
mod engine;
mod eval;
mod models;
mod report;
mod study;
mod tune;
mod upscale;
mod values;

pub use audit::{AuditCommand, AuditOptions, ShowOptions, VerifyOptions};
pub use bench::{BenchOptions, RowName, SyntheticName};
pub use camera::CameraOptions;
pub use engine::{EngineOptions, config_here};
pub use eval::EvalOptions;
pub use models::{
    CatalogueOptions, ConvertOptions, DoctorOptions, GetOptions, ModelsCommand, ModelsOptions,
    PrebuildOptions, ProbeOptions,
};
pub use report::ReportOptions;
pub use study::{RaterOptions, ResultsOptions, ServeOptions, StudyCommand, StudyOptions};
pub use tune::TuneOptions;
pub use upscale::UpscaleOptions;

/// Upscale pictures and videos four times, with a network of its own for faces.
#[derive(Debug, Parser)]
#[command(
    name = "srfusion",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Exit status: 0 done, 1 failed, 2 wrong usage.")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upscale a picture or a video four times.
    Upscale(Box<UpscaleOptions>),
    /// Find the fastest settings for a video on this machine, and show what each pair of networks makes of it.
    Tune(Box<TuneOptions>),
    /// Measure upscaled pictures, or a clip, against the true ones.
    Eval(Box<EvalOptions>),
    /// Show on one page what became of a video or a picture: before and after, faces, flicker, likeness to the input or to the truth.
    Report(Box<ReportOptions>),
    /// Ask people which pictures are better, and say what they answered.
    Study(StudyOptions),
    /// Measure the speed beside a bare loop over ONNX Runtime and the machine's multiply-add peak.
    Bench(Box<BenchOptions>),
    /// Watch cameras until a signal ends it: hands over to the program srfusion-camera.
    Camera(CameraOptions),
    /// Look into a record of what was drawn by what, and compare it with the files.
    Audit(AuditOptions),
    /// Look at model files.
    Models(ModelsOptions),
    /// Say whether this machine has what srfusion needs, and what to do where it has not.
    Doctor(DoctorOptions),
    /// Write manual pages and completions for shells into a folder; for those who make packages.
    #[command(hide = true)]
    ShellFiles(ShellFilesOptions),
}

/// Options of `shell-files`.
#[derive(Debug, Clone, clap::Args)]
pub struct ShellFilesOptions {
    /// Folder to write into: `man1` and one folder for each shell appear in it.
    #[arg(value_name = "FOLDER")]
    pub folder: std::path::PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }
}

//! Options of `models` and of `doctor`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::engine::{ModelOptions, RuntimeOptions};
use crate::arguments::values::size;

/// Options and commands of `models`.
#[derive(Debug, Args)]
pub struct ModelsOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// Commands of `models`.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models of the catalogue.
    List(CatalogueOptions),
    /// Find out what an ONNX file is and whether it can be used.
    Probe(ProbeOptions),
    /// Compare each model file with its sha256 in the catalogue.
    Verify(CatalogueOptions),
    /// Have the provider compile the models now, so that streams need not wait for it.
    Prebuild(PrebuildOptions),
}

impl ModelsOptions {
    /// Whether the output is to be JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            ModelsCommand::List(options) | ModelsCommand::Verify(options) => options.json,
            ModelsCommand::Probe(options) => options.json,
            ModelsCommand::Prebuild(options) => options.json,
        }
    }
}

/// Options of the commands that read the catalogue.
#[derive(Debug, Args)]
pub struct CatalogueOptions {
    /// Folder of models.toml.
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `srfusion models prebuild`
#[derive(Debug, clap::Args)]
pub struct PrebuildOptions {
    /// Size of the frames that will come, in input pixels; may be given several times.
    #[arg(long = "size", value_name = "WIDTHxHEIGHT", value_parser = size)]
    pub sizes: Vec<srfusion::Size>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// The models.
    #[command(flatten)]
    pub models: ModelOptions,
    /// Where and how to run models.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

/// Options of `models probe`.
#[derive(Debug, Args)]
pub struct ProbeOptions {
    /// The ONNX file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Where and how to run it.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// Folder of models.toml.
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Where and how to run models.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

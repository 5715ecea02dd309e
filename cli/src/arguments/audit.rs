//! Options of `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::engine::{ModelOptions, RuntimeOptions};

/// Options and commands of `audit`.
#[derive(Debug, Args)]
pub struct AuditOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: AuditCommand,
}

/// Commands of `audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say what a record holds.
    Show(ShowOptions),
    /// Compare a record with the input, with the output, and with frames that are drawn again.
    Verify(Box<VerifyOptions>),
}

impl AuditOptions {
    /// Whether the output is to be JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            AuditCommand::Show(options) => options.json,
            AuditCommand::Verify(options) => options.json,
        }
    }
}

/// Options of `audit show`.
#[derive(Debug, Args)]
pub struct ShowOptions {
    /// The record: what `upscale --audit FILE`, or the element's property `audit`, has written.
    #[arg(value_name = "FILE")]
    pub record: PathBuf,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status 0: everything that could be compared is as it is on record; 1: something is not; what could not be compared is said.
Of a record with several runs the last is taken.")]
pub struct VerifyOptions {
    /// The record.
    #[arg(value_name = "FILE")]
    pub record: PathBuf,
    /// The picture or video that was upscaled: its frames are decoded, and their sums compared.
    #[arg(value_name = "INPUT")]
    pub input: PathBuf,
    /// What became of it: its frames are compared too, where it holds the very samples that were drawn (PNG, FFV1).
    #[arg(value_name = "OUTPUT")]
    pub output: Option<PathBuf>,
    /// Draw this frame again, with the settings and models on record, and compare; may be given several times.
    #[arg(long = "frame", value_name = "N")]
    pub frames: Vec<u64>,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Where the models are, if not where the record says.
    #[command(flatten)]
    pub models: ModelOptions,
    /// Where and how networks run.
    #[command(flatten)]
    pub runtime: RuntimeOptions,
}

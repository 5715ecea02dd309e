//! Options and commands of `study`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Options and commands of `study`.
#[derive(Debug, Args)]
pub struct StudyOptions {
    /// What to do.
    #[command(subcommand)]
    pub command: StudyCommand,
}

/// Commands of `study`.
#[derive(Debug, Subcommand)]
pub enum StudyCommand {
    /// Ask people: serve the page of the study until Ctrl-C.
    Serve(ServeOptions),
    /// Print mean, deviation and confidence interval of the marks of each treatment.
    Results(ResultsOptions),
    /// Write the marks as a data set for `sureal`.
    Export(ExportOptions),
}

impl StudyOptions {
    /// Whether the output is to be JSON.
    pub fn json(&self) -> bool {
        match &self.command {
            StudyCommand::Serve(_) => false,
            StudyCommand::Results(options) => options.json,
            StudyCommand::Export(options) => options.json,
        }
    }
}

/// Options of `study serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
FOLDER has a folder for each data set, and each of those the folders LR, HR and one for each treatment, with pictures of the same names
(PNG, JPEG, WebP); with a single data set, FOLDER may have LR, HR and the treatments itself. A rater sees, for each picture, LR as mark 1 and HR
as mark 5, and gives every treatment, in shuffled order and without its name, a mark from 1 to 5. Marks are written as they are given; a rater
who comes back to the same address goes on where the last answer was.")]
pub struct ServeOptions {
    /// Folder of the pictures.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// File of sessions and marks; one that is there is gone on with [default: study.sqlite in FOLDER].
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Address to serve; one of the loopback interface is seen from this machine only. Port 0 takes one that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8021")]
    pub listen: SocketAddr,
    /// Seconds for which the pictures of a question are shown.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Trapping questions of a session, in which LR and HR stand among the treatments [default: one for every eight pictures].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub traps: Option<u32>,
    /// Heading of the page.
    #[arg(long, value_name = "TEXT", default_value = "Which picture is better?")]
    pub title: String,
}

/// Options of `study results`.
#[derive(Debug, Args)]
pub struct ResultsOptions {
    /// File of sessions and marks.
    #[arg(value_name = "DATABASE")]
    pub database: PathBuf,
    /// Whose marks count.
    #[command(flatten)]
    pub raters: RaterOptions,
    /// Print JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Options of `study export`.
#[derive(Debug, Args)]
pub struct ExportOptions {
    /// File of sessions and marks.
    #[arg(value_name = "DATABASE")]
    pub database: PathBuf,
    /// Data set to write, for `sureal --dataset`.
    #[arg(value_name = "OUT.json")]
    pub output: PathBuf,
    /// Whose marks count.
    #[command(flatten)]
    pub raters: RaterOptions,
    /// Print what was written as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Whose marks count.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct RaterOptions {
    /// Trapping questions that a rater may get wrong and still count.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub allowed_failures: u32,
    /// Count raters who have not answered every question too.
    #[arg(long)]
    pub unfinished: bool,
}

//! The `srfusion` command: reads the arguments, runs one command, and turns its outcome into an exit status
//! (0 done, 1 failed, 2 wrong usage).
//!
//! [`arguments`] holds what can be typed, `upscale`, `eval`, `report`, `study`, `tune`, `bench`, `camera`, `audit`, `models` and `doctor` one command each; pictures go
//! through the engine (`picture`), videos through GStreamer with the element (`video`); [`metrics`] is what results are judged by, `mark`
//! what outputs say of themselves.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod audit;
mod bench;
mod bounds;
mod camera;
#[cfg(test)]
#[path = "../../tests/support/cases.rs"]
mod cases;
mod clip;
mod compare;
mod doctor;
mod draft;
mod elements;
mod eval;
mod failure;
mod folder;
mod interrupt;
mod label;
mod line;
mod machine;
mod mark;
mod metrics;
mod models;
mod picture;
mod progress;
mod report;
mod shell_files;
mod study;
mod summary;
mod table;
mod tune;
mod upscale;
mod video;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (json, outcome) = match &arguments.command {
        Command::Upscale(options) => (options.json, upscale::run(options)),
        Command::Eval(options) => (options.json, eval::run(options)),
        Command::Report(options) => (options.json, report::run(options)),
        Command::Study(options) => (options.json(), study::run(options)),
        Command::Tune(options) => (options.json, tune::run(options)),
        Command::Bench(options) => (options.json, bench::run(options)),
        Command::Camera(options) => (false, camera::run(options)),
        Command::Audit(options) => (options.json(), audit::run(options)),
        Command::Models(options) => (options.json(), models::run(options)),
        Command::Doctor(options) => (options.json, doctor::run(options)),
        Command::ShellFiles(options) => (false, shell_files::run(options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            failure.status()
        }
    }
}

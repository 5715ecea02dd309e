//! The `srfusion` command: reads the arguments, runs one command, and turns its outcome into an exit status
//! (0 done, 1 failed, 2 wrong usage).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod doctor;

/// Upscale pictures and videos four times, with a network of its own for faces.
#[derive(Debug, Parser)]
#[command(name = "srfusion", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether this machine has what srfusion needs.
    Doctor,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Doctor => doctor::run(),
    }
}

//! `srfusion-camera`: watches cameras until a signal ends it. `srfusion camera` hands over to it.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Parser;

/// How many heaps the C library may have. Without a limit there is one for each of GStreamer's threads, which come and go with every connection,
/// and what is free in one is of no use to the others: memory grows by some kilobytes a connection, for months.
const HEAPS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");

fn main() -> ExitCode {
    let options = srfusion_camera::Options::parse();
    if std::env::var_os(HEAPS.0).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        // Read by the C library only when a program starts. Returns where that fails, and then it goes without.
        let _ = Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(HEAPS.0, HEAPS.1)
            .exec();
    }
    srfusion_camera::run(&options)
}

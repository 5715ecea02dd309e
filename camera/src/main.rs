//! `srfusion-camera`: watches cameras until a signal ends it. `srfusion camera` hands over to it.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    srfusion_camera::run(&srfusion_camera::Options::parse())
}

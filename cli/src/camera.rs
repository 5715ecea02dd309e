//! `srfusion camera`: hands over to the program `srfusion-camera`, which has needs of its own (an RTSP server) that no other command has.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::arguments::CameraOptions;
use crate::failure::{Failure, Result};
use crate::video;

const PROGRAM: &str = "srfusion-camera";

/// Becomes the other program, which is looked for beside this one and then on PATH.
///
/// # Errors
/// If there is none, or it cannot be started.
pub fn run(options: &CameraOptions) -> Result<()> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join(PROGRAM)))
        .filter(|program| program.is_file());
    let program = beside.unwrap_or_else(|| video::program(PROGRAM));
    let error = Command::new(&program).args(&options.arguments).exec();
    Err(Failure::Failed(if error.kind() == ErrorKind::NotFound {
        format!(
            "the program {PROGRAM} is neither beside this one nor on PATH; cargo build --release -p {PROGRAM} makes it \
             (on Debian it needs libgstrtspserver-1.0-dev)"
        )
    } else {
        format!("{} cannot be started: {error}", program.display())
    }))
}

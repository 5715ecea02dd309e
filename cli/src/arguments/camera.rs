//! Arguments of `camera`, which belong to another program.

use std::ffi::OsString;

use clap::Args;

/// Arguments of `camera`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CameraOptions {
    /// Arguments for srfusion-camera; `srfusion camera --help` tells them.
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub arguments: Vec<OsString>,
}

//! `srfusion audit`: what a record holds, and whether it is true of the files.

mod read;
mod report;
mod show;
mod verify;

use crate::arguments::{AuditCommand, AuditOptions};
use crate::failure::Result;

/// Runs the command.
///
/// # Errors
/// What cannot be read; [`crate::failure::Failure::Refused`] if something is not as it is on record.
pub fn run(options: &AuditOptions) -> Result<()> {
    match &options.command {
        AuditCommand::Show(options) => show::run(options),
        AuditCommand::Verify(options) => verify::run(options),
    }
}

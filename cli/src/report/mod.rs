//! `srfusion report`: what became of a clip, on one page that needs nothing but itself.
//!
//! Two passes over the files: [`pass`] measures every frame, [`choose`] takes the frames in which most can go wrong, and the second pass makes
//! [`pictures`] of them. [`record`] is what was measured, [`page`] what people see.

mod choose;
pub mod faces;
mod page;
mod pass;
mod pictures;
pub mod record;
mod vmaf;

use crate::arguments::ReportOptions;
use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::{interrupt, table};

use record::{Averages, ClipReport, name};

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or do not belong together, a page that cannot be written, and the engine's.
pub fn run(options: &ReportOptions) -> Result<()> {
    // Wrong options are said before any work is done.
    options.engine.parameters()?;
    gst::init()
        .map_err(|error| Failure::Failed(format!("GStreamer cannot be initialised: {error}")))?;
    interrupt::catch()?;
    let draft = Draft::create(&options.page)?;
    let progress = Progress::new(options.quiet);
    progress.message("opening");
    let mut left_out = Vec::new();
    let measured = pass::measure(options, &progress, &mut left_out)?;
    let mut summary = Averages::of(&measured.rows);
    if let Some(reference) = &options.reference {
        match vmaf::missing() {
            Some(reason) => left_out.push(format!("VMAF: {reason}")),
            None => {
                progress.message("VMAF");
                match vmaf::vmaf(&options.output, reference) {
                    Ok(value) => summary.vmaf = Some(value),
                    Err(Failure::Failed(reason)) => left_out.push(format!("VMAF: {reason}")),
                    Err(failure) => return Err(failure),
                }
            }
        }
    } else {
        left_out.push(
            "PSNR, SSIM, SSIMULACRA 2, VMAF: there is no true clip to compare with (--reference)"
                .into(),
        );
    }
    let choices = choose::choose(&measured.rows, options.frames as usize);
    progress.message("pictures");
    let shown = pass::show(options, &measured, &choices)?;
    let report = ClipReport {
        title: options
            .title
            .clone()
            .unwrap_or_else(|| name(&options.output)),
        input: measured.input,
        output: measured.output,
        reference: measured.reference,
        seconds: measured.seconds,
        detector: measured.detector,
        left_out,
        summary,
        tracks: record::tracks(&measured.rows),
        frames: measured.rows,
    };
    let text = page::text(&report, &shown)?;
    std::fs::write(draft.path(), text).map_err(|error| {
        Failure::Failed(format!("cannot write {}: {error}", options.page.display()))
    })?;
    if interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    draft.finish()?;
    progress.clear();
    if options.json {
        return table::print_json(&report);
    }
    report.summary.print();
    for line in &report.left_out {
        println!("left out: {line}");
    }
    println!("{}", options.page.display());
    Ok(())
}

//! `srfusion upscale`: decides by content and extension whether a picture or a video is meant, and prints what was done.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::arguments::UpscaleOptions;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::{compare, interrupt, picture, video};

/// The two kinds of output, each with its format.
enum Target {
    Picture(image::ImageFormat),
    Video(&'static video::Container),
}

impl Target {
    /// By the extension of `path`.
    fn of(path: &Path) -> Result<Self> {
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        if let Some(container) = video::Container::by_extension(&extension) {
            return Ok(Self::Video(container));
        }
        if let Some(format) = picture::format_by_extension(&extension) {
            return Ok(Self::Picture(format));
        }
        Err(Failure::Usage(format!(
            "{}: the extension '{extension}' is not one that can be written; expected a picture ({}) or a video ({})",
            path.display(),
            picture::EXTENSIONS.join(" "),
            video::Container::extensions().join(" ")
        )))
    }
}

/// Whether `path` begins as a picture that can be read.
fn is_picture(path: &Path) -> Result<bool> {
    let failed =
        |error: std::io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
    if path.is_dir() {
        return Err(Failure::Failed(format!(
            "cannot read {}: it is a folder; expected a file",
            path.display()
        )));
    }
    let mut start = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(64)
        .read_to_end(&mut start)
        .map_err(failed)?;
    Ok(image::guess_format(&start).is_ok_and(picture::is_readable))
}

/// Runs the command.
///
/// # Errors
/// Whatever kept the output from being written.
pub fn run(options: &UpscaleOptions) -> Result<()> {
    let target = Target::of(&options.output)?;
    let (input, output) = (options.input.display(), options.output.display());
    let parameters = options.engine.parameters()?;
    let picture = is_picture(&options.input)?;
    if let (Ok(a), Ok(b)) = (options.input.canonicalize(), options.output.canonicalize())
        && a == b
    {
        return Err(Failure::Usage(format!(
            "{input} and {output} are the same file; give the output another name"
        )));
    }
    interrupt::catch()?;
    let progress = Progress::new(options.quiet);
    if options.compare {
        return compare::run(options, picture, &progress);
    }
    let summary = match (target, picture) {
        (Target::Picture(format), true) => picture::upscale(options, format, parameters, &progress),
        (Target::Video(container), false) => video::upscale(options, container, &progress),
        (Target::Video(_), true) => Err(Failure::Usage(format!(
            "{input} is a picture, but {output} a video; expected one of {}",
            picture::EXTENSIONS.join(" ")
        ))),
        (Target::Picture(_), false) => Err(Failure::Usage(format!(
            "{input} is not a picture that can be read ({}); a video is written as {}, not as {output}",
            picture::EXTENSIONS.join(" "),
            video::Container::extensions().join(" ")
        ))),
    };
    progress.clear();
    let summary = summary?;
    if options.json {
        crate::table::print_json(&summary)?;
    } else if !options.quiet {
        println!("{}", summary.text());
    }
    Ok(())
}

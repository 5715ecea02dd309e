//! `srfusion upscale`: decides by content and extension whether a picture or a video is meant, and prints what was done.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::arguments::UpscaleOptions;
use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::table::print_json;
use crate::{bounds, compare, folder, interrupt, line, picture, video};

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

/// Refuses what is no file to be read from its start to its end, more than once: a folder, a pipe, a device.
fn check_input(path: &Path) -> Result<()> {
    let refuse = |what: &str| {
        Err(Failure::Failed(format!(
            "cannot read {}: it is {what}; expected a regular file (save it first: it is read more than once)",
            path.display()
        )))
    };
    if path.as_os_str() == "-" && !path.exists() {
        return refuse("standard input");
    }
    let failed =
        |error: std::io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
    let kind = path.metadata().map_err(failed)?.file_type();
    if kind.is_dir() {
        return refuse("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
        if kind.is_fifo() {
            // Whoever waits for a reader is let go: opened, and closed at once. Fails where nothing is to be done.
            let _ = File::options()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path);
            return refuse("a pipe");
        }
        if kind.is_socket() {
            return refuse("a socket");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return refuse("a device");
        }
    }
    Ok(())
}

/// Whether `path` begins as a picture that can be read.
fn is_picture(path: &Path) -> Result<bool> {
    let failed =
        |error: std::io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
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
    // Wrong settings are told before anything is looked at.
    options.engine.parameters()?;
    bounds::set_most(options.max_pixels);
    if options.input.is_dir() {
        return all(options);
    }
    one(options, &mut interrupt::catch)
}

/// Upscales every file of a folder.
fn all(options: &UpscaleOptions) -> Result<()> {
    if Target::of(&options.output).is_ok() || options.output.is_file() {
        return Err(Failure::Usage(format!(
            "{} is a folder; expected {} to be one too, found the name of a file",
            options.input.display(),
            options.output.display()
        )));
    }
    if options.audit.is_some() {
        return Err(Failure::Usage(
            "--audit: expected a file as IN, found a folder; upscale its files one by one"
                .to_owned(),
        ));
    }
    interrupt::catch()?;
    let outcome = folder::run(&options.input, &options.output, kind, |job| {
        let options = UpscaleOptions {
            input: job.input.clone(),
            output: job.output.clone(),
            ..options.clone()
        };
        let result = one(&options, &mut || Ok(()));
        if let Err(Failure::Failed(text) | Failure::Usage(text)) = &result {
            eprintln!("srfusion: {text}");
            if options.json {
                let input = job.input.display().to_string();
                line::print(
                    &serde_json::json!({ "event": "error", "input": input, "error": text }),
                );
            }
        }
        result
    })?;
    if options.json {
        print_json(&outcome.json())?;
    } else if !options.quiet {
        eprintln!("srfusion: {}", outcome.text());
    }
    if outcome.failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::Failed(format!(
            "{} of the files could not be upscaled (named above)",
            outcome.failures.len()
        )))
    }
}

/// The extension of what a file becomes: its own where it can be written, else one that holds as much; `None` if it is neither
/// picture nor video.
fn kind(path: &Path) -> Result<Option<String>> {
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let moving = video::moves(path)?;
    if is_picture(path)? && !moving {
        let own = picture::format_by_extension(&extension).is_some();
        return Ok(Some(if own { extension } else { "png".to_owned() }));
    }
    if !moving {
        return Ok(None);
    }
    let own = video::Container::by_extension(&extension).is_some();
    Ok(Some(if own { extension } else { "mkv".to_owned() }))
}

/// Upscales one file; `catch` has signals caught once everything was checked.
fn one(options: &UpscaleOptions, catch: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let target = Target::of(&options.output)?;
    let (input, output) = (options.input.display(), options.output.display());
    let parameters = options.engine.parameters()?;
    if options.c2pa.is_some() && matches!(target, Target::Picture(_)) {
        return Err(Failure::Usage(format!(
            "--c2pa: only .mp4, .m4v and .mov are signed, found {output}"
        )));
    }
    check_input(&options.input)?;
    let mut picture = is_picture(&options.input)?;
    // Of animations and of pictures one after the other the first bytes do not tell.
    if picture && matches!(target, Target::Video(_)) && video::moves(&options.input)? {
        picture = false;
    }
    if let (Ok(a), Ok(b)) = (options.input.canonicalize(), options.output.canonicalize())
        && a == b
    {
        return Err(Failure::Usage(format!(
            "{input} and {output} are the same file; give the output another name"
        )));
    }
    if let Some(audit) = &options.audit
        && [&options.input, &options.output].into_iter().any(|path| {
            path == audit
                || matches!((path.canonicalize(), audit.canonicalize()), (Ok(a), Ok(b)) if a == b)
        })
    {
        return Err(Failure::Usage(format!(
            "--audit: {} is the input or the output; give the record another name",
            audit.display()
        )));
    }
    if let Some(audit) = &options.audit {
        let name = audit.display();
        if audit.exists() && !audit.is_file() {
            return Err(Failure::Usage(format!(
                "--audit: expected the name of a regular file, found {name}, which is none"
            )));
        }
        // Whether it can be written is told before any work.
        drop(Draft::create(audit)?);
    }
    catch()?;
    let progress = Progress::new(options.quiet);
    if options.compare {
        return compare::run(options, picture, &progress);
    }
    let progress = if options.json && !options.quiet {
        progress.with_lines(&options.input)
    } else {
        progress
    };
    if let (Target::Video(container), false) = (&target, picture) {
        if options.plan_segments {
            return print_json(&video::plan_segments(options, container, &progress)?);
        }
        if let Some(number) = options.segment {
            let made = video::one_segment(options, container, number, &progress);
            progress.clear();
            return print_json(&made?);
        }
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
        print_json(&summary)?;
    } else if !options.quiet {
        println!("{}", summary.text());
    }
    Ok(())
}

//! `srfusion upscale`: decides by content and extension whether a picture or a video is meant, and prints what was done.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::arguments::UpscaleOptions;
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::{interrupt, picture, video};

/// What was done, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// File read.
    pub input: String,
    /// File written.
    pub output: String,
    /// `picture` or `video`.
    pub kind: &'static str,
    /// Width of the output in pixels.
    pub width: u32,
    /// Height of the output in pixels.
    pub height: u32,
    /// Frames written; 1 for a picture.
    pub frames: u64,
    /// Time taken, models' opening included.
    pub seconds: f64,
    /// `frames` over `seconds`.
    pub frames_per_second: f64,
    /// Where the networks ran.
    pub provider: String,
    /// Frames that had at least one face.
    pub frames_with_faces: u64,
    /// Most faces in a frame.
    pub most_faces: u64,
    /// Encoder element of a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// What became of each sound track of a video.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sound: Vec<SoundTrack>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What became of a sound track.
#[derive(Debug, Clone, Serialize)]
pub struct SoundTrack {
    /// Media type, for instance `audio/mpeg`.
    pub format: String,
    /// `copied`, `encoded` or `dropped`.
    pub action: &'static str,
}

impl Summary {
    /// The last line that is printed for people.
    fn text(&self) -> String {
        let Self {
            output,
            width,
            height,
            frames,
            seconds,
            provider,
            ..
        } = self;
        let plural = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        if self.kind == "picture" {
            let faces = plural(self.most_faces, "face");
            return format!("{output}: {width}x{height}, {seconds:.2} s, on {provider}, {faces}");
        }
        let with = plural(self.frames_with_faces, "frame");
        format!(
            "{output}: {width}x{height}, {} in {seconds:.1} s, {:.2} frames per second, on {provider}, faces in {with} (at most {} at a time)",
            plural(*frames, "frame"),
            self.frames_per_second,
            self.most_faces
        )
    }
}

/// `frames` over `time`, 0 where no time has passed.
pub fn rate(frames: u64, time: Duration) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        frames as f64 / time.as_secs_f64()
    }
}

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

//! The two passes over the files of a report.

use std::path::Path;

use srfusion::{SCALE, SceneCut, Size};

use super::choose::Choice;
use super::faces::{FaceFinder, WeightMap};
use super::pictures::{Frames, Pictures};
use super::record::{ClipFile, FaceRow, FrameRow, name};
use crate::arguments::ReportOptions;
use crate::clip::{Clip, DecodedFrame};
use crate::failure::{Failure, Result};
use crate::metrics::{Feed, Identities, JudgedFrame, Picture, measure as measure_frames, sampling};
use crate::progress::Progress;

/// What the first pass found.
pub struct Measured {
    /// The files.
    pub input: ClipFile,
    pub output: ClipFile,
    pub reference: Option<ClipFile>,
    /// Duration in seconds.
    pub seconds: f64,
    /// The detector, where faces were looked for.
    pub detector: Option<String>,
    /// One for each frame.
    pub rows: Vec<FrameRow>,
}

/// A frame that is shown.
pub struct Shown {
    pub choice: Choice,
    pub pictures: Pictures,
}

/// The files, read side by side.
struct Clips {
    input: Clip,
    output: Clip,
    reference: Option<Clip>,
}

/// A frame of each.
struct Together {
    input: DecodedFrame,
    output: DecodedFrame,
    reference: Option<DecodedFrame>,
}

impl Clips {
    fn open(options: &ReportOptions) -> Result<Self> {
        let output = Clip::open(&options.output, None)?;
        let input = Clip::open(&options.input, Some(&output))?;
        let reference = options.reference.as_deref();
        let reference = reference
            .map(|path| Clip::open(path, Some(&output)))
            .transpose()?;
        let clips = Self {
            input,
            output,
            reference,
        };
        clips.check(options)?;
        Ok(clips)
    }

    /// Whether their sizes go together.
    fn check(&self, options: &ReportOptions) -> Result<()> {
        let (Some(low), Some(high)) = (self.input.size(), self.output.size()) else {
            return Ok(());
        };
        let expect = |path: &Path, expected: Size, found: Size, of: &str| {
            if expected == found {
                return Ok(());
            }
            Err(Failure::Failed(format!(
                "{}: expected frames of {expected}, {of}, found {found}",
                path.display()
            )))
        };
        let four = "four times those of IN";
        expect(&options.output, low.scaled(SCALE), high, four)?;
        if let (Some(path), Some(clip)) = (&options.reference, &self.reference) {
            expect(path, high, clip.size().unwrap_or(high), "the size of OUT")?;
        }
        Ok(())
    }

    /// The next frame of each; `None` where all end.
    fn next(&mut self, options: &ReportOptions) -> Result<Option<Together>> {
        let input = self.input.next()?;
        let output = self.output.next()?;
        let reference = self.reference.as_mut().map(Clip::next).transpose()?;
        let uneven = |short: &Path, count: usize, long: &Path| {
            Failure::Failed(format!(
                "{} ends after {count} frames and {} goes on: expected the same frames in both",
                short.display(),
                long.display()
            ))
        };
        match (input, output, reference) {
            (Some(input), Some(output), None) => Ok(Some(Together {
                input,
                output,
                reference: None,
            })),
            (Some(input), Some(output), Some(Some(reference))) => Ok(Some(Together {
                input,
                output,
                reference: Some(reference),
            })),
            (None, None, None | Some(None)) => Ok(None),
            (None, Some(_), _) => Err(uneven(&options.input, self.input.read(), &options.output)),
            (Some(_), None, _) => Err(uneven(&options.output, self.output.read(), &options.input)),
            (input, _, _) => {
                let path = options.reference.as_deref().unwrap_or(Path::new(""));
                let read = self.reference.as_ref().map_or(0, Clip::read);
                Err(if input.is_some() {
                    uneven(path, read, &options.output)
                } else {
                    uneven(&options.output, self.output.read(), path)
                })
            }
        }
    }
}

/// Opens what finds faces, or says why it cannot.
fn finder(options: &ReportOptions, left_out: &mut Vec<String>) -> Result<Option<FaceFinder>> {
    match FaceFinder::open(&options.engine) {
        Ok(finder) => Ok(Some(finder)),
        Err(Failure::Failed(reason)) => {
            left_out.push(format!("faces, mask, embedding distance: {reason}"));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Measures every frame.
///
/// # Errors
/// Files that cannot be read or do not go together, and the engine's.
pub fn measure(
    options: &ReportOptions,
    progress: &Progress,
    left_out: &mut Vec<String>,
) -> Result<Measured> {
    let mut clips = Clips::open(options)?;
    let mut finder = finder(options, left_out)?;
    let identities = options.embedding.as_deref();
    let open = |path| Identities::open(path, &options.engine.config());
    let mut identities = identities.map(open).transpose()?;
    if identities.is_none() {
        left_out.push("embedding distance: no face embedding was named (--embedding)".into());
    }
    let file = |path: &Path, size: Option<Size>| ClipFile {
        name: name(path),
        width: size.map_or(0, |size| size.width),
        height: size.map_or(0, |size| size.height),
    };
    let mut measured = Measured {
        input: file(&options.input, clips.input.size()),
        output: file(&options.output, clips.output.size()),
        reference: options
            .reference
            .as_deref()
            .map(|path| file(path, clips.output.size())),
        seconds: 0.0,
        detector: finder.as_ref().and_then(FaceFinder::detector),
        rows: Vec::new(),
    };
    let expected = clips.output.expected();
    let sampled = sampling(expected, options.samples);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = &mut measured.rows;
    let ((), numbers) = measure_frames(threads, |feed: &mut Feed| -> Result<()> {
        let mut cuts = SceneCut::default();
        let mut before: Option<WeightMap> = None;
        while let Some(shots) = clips.next(options)? {
            let index = rows.len();
            let truth = shots.reference.as_ref().filter(|_| sampled(index));
            let picture = shots.input.picture()?;
            let cut = cuts.observe(&picture.frame()?);
            let mut row = FrameRow {
                index,
                time: shots.output.time.as_secs_f64(),
                cut,
                ..FrameRow::default()
            };
            let mut large = None;
            if let Some(finder) = &mut finder {
                let (faces, mask) = finder.find(&picture, shots.input.time)?;
                let mut steps = vec![None; faces.len()];
                if let Some(identities) = &mut identities
                    && !faces.is_empty()
                {
                    let output = shots.output.picture()?;
                    steps = identities.step(&faces, &picture, &output)?;
                    large = Some(output);
                }
                row.faces = faces.iter().zip(&steps).map(FaceRow::of).collect();
                row.mask = Some(mask.mean());
                let change = before.as_ref().filter(|_| !cut);
                row.mask_change = change.and_then(|before| mask.change(before));
                before = Some(mask);
            }
            let pictures = match truth {
                None => None,
                Some(truth) => {
                    let output = match large {
                        Some(picture) => picture,
                        None => shots.output.picture()?,
                    };
                    Some((output, truth.picture()?))
                }
            };
            rows.push(row);
            let result = feed.push(JudgedFrame {
                input: shots.input.luma()?,
                output: shots.output.luma()?,
                truth: shots
                    .reference
                    .as_ref()
                    .map(DecodedFrame::luma)
                    .transpose()?,
                pictures,
                fresh: cut || index == 0,
            });
            result?;
            if let Some(expected) = expected {
                progress.message(&format!(
                    "measuring frame {} of about {expected}",
                    index + 1
                ));
            } else {
                progress.message(&format!("measuring frame {}", index + 1));
            }
        }
        Ok(())
    })?;
    for (row, numbers) in rows.iter_mut().zip(numbers) {
        row.numbers = numbers;
    }
    measured.seconds = duration(rows);
    Ok(measured)
}

/// From the first frame to the end of the last, which is taken to be as long as the mean of the others.
fn duration(rows: &[FrameRow]) -> f64 {
    let last = rows.last().map_or(0.0, |row| row.time);
    match rows.len() {
        0 | 1 => 0.0,
        count => last * count as f64 / (count - 1) as f64,
    }
}

/// The pictures of the chosen frames.
///
/// # Errors
/// As [`measure`].
pub fn show(
    options: &ReportOptions,
    measured: &Measured,
    choices: &[Choice],
) -> Result<Vec<Shown>> {
    let mut clips = Clips::open(options)?;
    let with_faces = |choice: &Choice| !measured.rows[choice.index].faces.is_empty();
    // Tracks need every frame before them, and there is no mask without a face.
    let mut finder = match choices.iter().any(with_faces) {
        true => Some(FaceFinder::open(&options.engine)?),
        false => None,
    };
    let mut left = choices.iter().peekable();
    let mut shown = Vec::new();
    let mut before: Option<Picture> = None;
    for row in &measured.rows {
        let Some(choice) = left.peek() else { break };
        let Some(shots) = clips.next(options)? else {
            break;
        };
        let wanted = choice.index == row.index;
        let near = wanted || choice.index == row.index + 1;
        let mut mask = None;
        if let Some(finder) = &mut finder {
            let found = finder.find(&shots.input.picture()?, shots.input.time)?;
            mask = Some(found.1);
        }
        if wanted && let Some(choice) = left.next() {
            let luma = |picture: &Picture| -> Result<_> {
                Ok(crate::metrics::Luma::of(&picture.frame()?))
            };
            let before = before.as_ref().filter(|_| !row.cut);
            let frames = Frames {
                input: shots.input.picture()?,
                output: shots.output.picture()?,
                reference: shots
                    .reference
                    .as_ref()
                    .map(DecodedFrame::picture)
                    .transpose()?,
                mask,
                before: before.map(luma).transpose()?,
            };
            shown.push(Shown {
                choice: choice.clone(),
                pictures: frames.encode(&row.faces, options.width as usize)?,
            });
        }
        before = match near {
            true => Some(shots.input.picture()?),
            false => None,
        };
    }
    Ok(shown)
}

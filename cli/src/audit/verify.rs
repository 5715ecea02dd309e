//! Whether a record is true of the files: the input's frames have the sums on record, the output's too where it holds the samples that were
//! drawn, and frames that are drawn again come out as they did.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use srfusion::record::{FrameLine, MEAN_UNIT, State};
use srfusion::settings::setting;
use srfusion::{PixelFormat, Settings};

use super::read::{Run, read};
use super::report::{Again, Compared, Report, people};
use crate::arguments::{EngineOptions, VerifyOptions, config_here};
use crate::failure::{Failure, Result};
use crate::progress::Progress;
use crate::video::{Film, Stretch, draw, hash};
use crate::{elements, line, picture};

/// Codings that give back the samples that they were given.
const LOSSLESS: &[&str] = &["ffv1", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "png"];

/// By how many levels of 255 the means of tiles may differ where samples may by rounding.
const ROUNDING: f64 = 1.0;

/// Runs the command.
///
/// # Errors
/// What cannot be read; [`Failure::Refused`] if something is not as it is on record.
pub fn run(options: &VerifyOptions) -> Result<()> {
    let run = read(&options.record)?.pop();
    let run = run.ok_or_else(|| Failure::Failed("the record has no run".into()))?;
    for number in &options.frames {
        if run.frame(*number).is_none() {
            let last = run.frames.last().map_or(0, |(line, _)| line.frame);
            return Err(Failure::Usage(format!(
                "--frame {number}: expected a frame that is on record, 0 to {last}; found none of this number"
            )));
        }
    }
    let progress = Progress::new(options.json);
    let report = if run.header.made_by == "picture" {
        of_picture(&run, options, &progress)
    } else {
        of_video(&run, options, &progress)
    };
    progress.clear();
    let report = report?;
    if options.json {
        line::print(&report);
    } else {
        people(&report);
    }
    if report.holds && report.complete {
        Ok(())
    } else {
        Err(Failure::Refused)
    }
}

/// Whether the file at `path` is that on record.
fn same_file(run: &Run, path: &Path) -> Result<Option<bool>> {
    let Some(input) = &run.header.input else {
        return Ok(None);
    };
    let sum = srfusion::models::sha256("input", path)?;
    Ok(Some(sum == input.sha256))
}

// ---------------------------------------------------------------------------------------------------------------- pictures

fn of_picture(run: &Run, options: &VerifyOptions, progress: &Progress) -> Result<Report> {
    let (line, state) = run
        .frame(0)
        .ok_or_else(|| Failure::Failed("the record has no frame".into()))?;
    progress.message("reading the input");
    let source = picture::read(&options.input)?;
    let mut input = Compared::default();
    if picture::input_sum(&source) == line.input {
        input.same = 1;
    } else {
        input.different.push(0);
    }
    let mut report = Report::of(run, same_file(run, &options.input)?, input);
    if let Some(path) = &options.output {
        let found = picture::read(path)?;
        let mut compared = Compared::default();
        let (kind, expected) = (picture::kind(&found), &state.formats.output.format);
        if picture::output_digest(&found)?.sha256 == line.output.sha256 {
            compared.same = 1;
        } else if is_jpeg(path)? {
            compared.not_compared = Some(
                "the output is a JPEG, which does not hold the samples that were drawn: only PNG, TIFF, BMP and WebP can be compared"
                    .to_owned(),
            );
        } else if kind != *expected {
            compared.not_compared = Some(format!(
                "the output's samples are {kind}, those on record {expected}"
            ));
        } else {
            compared.different.push(0);
        }
        report.output = Some(compared);
    }
    if !options.frames.is_empty() {
        progress.message("drawing again");
        let settings = settings(state, options)?;
        let again = match check_models(state, &settings)? {
            Some(note) => Again::unknown(0, note),
            None => {
                let made = picture::again(source, &settings, &state.formats.output.format)?;
                compared_again(line, state, &made.line, &made.state)
            }
        };
        report.again.push(again);
    }
    Ok(report.judged())
}

fn is_jpeg(path: &Path) -> Result<bool> {
    let failed =
        |error: std::io::Error| Failure::Failed(format!("cannot read {}: {error}", path.display()));
    let mut start = [0; 3];
    let mut file = std::fs::File::open(path).map_err(failed)?;
    std::io::Read::read_exact(&mut file, &mut start).map_err(failed)?;
    Ok(start == [0xff, 0xd8, 0xff])
}

// ------------------------------------------------------------------------------------------------------------------ videos

fn of_video(run: &Run, options: &VerifyOptions, progress: &Progress) -> Result<Report> {
    elements::init()?;
    let format = |of: fn(&State) -> &String| {
        let states = run.states.iter().map(of);
        states.map(String::as_str).collect::<Vec<_>>()
    };
    let film = Film::open(&options.input, &format(|state| &state.formats.input.format))?;
    progress.message("reading the input");
    let sums = sums(&film)?;
    let (mut input, places) = compare(run, &sums, |line| Some(&line.input[..]));
    let other = format(|state| &state.formats.input.format)
        .into_iter()
        .find(|format| !film.has_samples_of(format));
    if let Some(other) = other {
        input = Compared {
            not_compared: Some(format!(
                "frames came in as {other}, but the input is decoded to {}: other samples, made by a converter that is not on record",
                film.shape.layout.gstreamer.to_str()
            )),
            ..Compared::default()
        };
    }
    let mut report = Report::of(run, same_file(run, &options.input)?, input);
    if let Some(path) = &options.output {
        progress.message("reading the output");
        let output = Film::open(path, &format(|state| &state.formats.output.format))?;
        let sums = self::sums(&output)?;
        let (mut compared, _) = compare(run, &sums, |line| {
            let sum = &line.output.sha256[..];
            (!sum.is_empty()).then_some(sum)
        });
        let lossless = LOSSLESS.contains(&output.codec.as_str());
        let other = format(|state| &state.formats.output.format)
            .into_iter()
            .find(|format| !output.has_samples_of(format));
        if !compared.different.is_empty() && (!lossless || other.is_some()) {
            let why = match other {
                Some(other) => format!(
                    "its frames are decoded to {}, drawn were {other}",
                    output.shape.layout.gstreamer.to_str()
                ),
                None => format!(
                    "{} does not hold the samples that were drawn: only lossless codings, such as FFV1, can be compared",
                    output.codec
                ),
            };
            compared = Compared {
                not_compared: Some(format!(
                    "{why}; it has {} frames, on record are {}",
                    sums.len(),
                    run.frames.len()
                )),
                ..Compared::default()
            };
        }
        report.output = Some(compared);
    }
    if !options.frames.is_empty() {
        progress.message("drawing again");
        report.again = again(run, &film, &places, sums.len() as u64, options)?;
    }
    Ok(report.judged())
}

/// The sum of every frame of a film.
fn sums(film: &Film) -> Result<Vec<String>> {
    let mut sums = Vec::new();
    film.each(|frame| {
        // Packed planes are just what the sum is of.
        sums.push(hash(&frame.data));
        Ok(true)
    })?;
    Ok(sums)
}

/// Compares the frames on record with those of a file, whose sums are `sums`: each must come after the one before, in a job of the command
/// in its very place. Also gives the place of each.
fn compare<'a>(
    run: &'a Run,
    sums: &[String],
    of: impl Fn(&'a FrameLine) -> Option<&'a str>,
) -> (Compared, BTreeMap<u64, u64>) {
    let mut known: HashMap<&str, Vec<u64>> = HashMap::new();
    for (place, sum) in sums.iter().enumerate() {
        known.entry(sum).or_default().push(place as u64);
    }
    let in_place = run.header.made_by == "video";
    let (mut compared, mut places, mut next) = (Compared::default(), BTreeMap::new(), 0);
    for (line, _) in &run.frames {
        let Some(sum) = of(line) else {
            continue;
        };
        let found = known.get(sum).and_then(|found| {
            let place = found.partition_point(|place| *place < next);
            found.get(place).copied()
        });
        match found.filter(|place| !in_place || *place == line.frame) {
            Some(place) => {
                compared.same += 1;
                places.insert(line.frame, place);
                next = place + 1;
            }
            None => {
                compared.different.push(line.frame);
                if in_place {
                    next = line.frame + 1;
                }
            }
        }
    }
    compared.not_on_record = (sums.len() as u64).saturating_sub(run.frames.len() as u64);
    (compared, places)
}

/// Draws the frames that are asked for again.
fn again(
    run: &Run,
    film: &Film,
    places: &BTreeMap<u64, u64>,
    count: u64,
    options: &VerifyOptions,
) -> Result<Vec<Again>> {
    let mut wanted: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for number in &options.frames {
        wanted.entry(begin(run, *number)).or_default().push(*number);
    }
    let mut found = Vec::new();
    for (begin, numbers) in wanted {
        let last = numbers.iter().max().copied().unwrap_or(begin);
        let followed = run
            .segment(begin)
            .filter(|segment| segment.first == begin)
            .map_or(0, |segment| segment.followed);
        let Some((_, state)) = run.frame(begin).or_else(|| run.frame(last)) else {
            continue;
        };
        if last - begin >= count || followed > begin {
            let why = format!("on record it depends on more frames than the input's {count}");
            found.extend(
                numbers
                    .iter()
                    .map(|number| Again::unknown(*number, why.clone())),
            );
            continue;
        }
        let changes =
            (begin..=last).any(|number| run.frame(number).is_some_and(|(_, other)| other != state));
        let late = (begin..=last).any(|number| {
            run.frame(number)
                .is_some_and(|(line, _)| line.deadline.is_some())
        });
        let in_place = run.header.made_by == "video";
        let missing = (begin..=last).find(|number| !places.contains_key(number));
        let why = if late {
            Some("it was drawn with a deadline: what was interpolated for lack of time depends on how long other frames took, and does not repeat".to_owned())
        } else if changes {
            Some("settings, networks or formats changed between the frames that it depends on and itself".to_owned())
        } else if !film.has_samples_of(&state.formats.input.format) {
            Some("the input's samples are not those on record".to_owned())
        } else if let Some(number) =
            missing.filter(|number| !in_place || run.frame(*number).is_some())
        {
            Some(format!(
                "frame {number}, on which it may depend, is not in the input, or not on record"
            ))
        } else {
            check_models(state, &settings(state, options)?)?
        };
        if let Some(why) = why {
            found.extend(
                numbers
                    .iter()
                    .map(|number| Again::unknown(*number, why.clone())),
            );
            continue;
        }
        let mut frames: BTreeMap<u64, Option<&FrameLine>> = BTreeMap::new();
        for number in begin - followed..=last {
            // A frame without a line is in its place in a job of the command.
            let place = places.get(&number).copied().unwrap_or(number);
            frames.insert(place, run.frame(number).map(|(line, _)| line));
        }
        let stretch = Stretch {
            frames,
            followed,
            state,
        };
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::Failed(format!("no temporary folder: {error}")))?;
        let path = folder.path().join("record");
        draw(film, &stretch, &engine_options(options), &path)?;
        let made = read(&path)?.pop().unwrap_or_default();
        for number in numbers {
            let Some((line, state)) = run.frame(number) else {
                continue;
            };
            let own = number - begin + followed;
            found.push(match made.frame(own) {
                Some((other, drawn)) => {
                    let mut other = other.clone();
                    other.renumber(begin, followed);
                    compared_again(line, state, &other, drawn)
                }
                None => Again::unknown(number, "it was not drawn again".to_owned()),
            });
        }
    }
    found.sort_by_key(|again| again.frame);
    Ok(found)
}

/// The frame from which on frames are drawn again for frame `number`: where everything before was forgotten.
fn begin(run: &Run, number: u64) -> u64 {
    if let Some(segment) = run.segment(number) {
        return segment.first;
    }
    let frames = run.frames.iter().rev();
    frames
        .map(|(line, _)| line)
        .find(|line| line.frame <= number && line.fresh)
        .map_or(0, |line| line.frame)
}

// -------------------------------------------------------------------------------------------------------------- both kinds

/// The user's options for models and for where they run, as options of the engine.
fn engine_options(options: &VerifyOptions) -> EngineOptions {
    EngineOptions::joined(&options.models, &options.runtime)
}

/// The settings on record, with the user's own for where models are and how they run.
fn settings(state: &State, options: &VerifyOptions) -> Result<Settings> {
    let mut settings = Settings {
        config: config_here(),
        ..Settings::default()
    };
    for (name, value) in &state.settings {
        if let Some(known) = setting(name) {
            let value = known.parse(value)?;
            known.set(&mut settings, value)?;
        }
    }
    options.models.apply(&mut settings.config);
    options.runtime.apply(&mut settings.config);
    if settings.stream.use_roi_meta {
        settings.config.given_objects = true;
    }
    Ok(settings)
}

/// Whether the models of `settings` are those on record; else what is another.
fn check_models(state: &State, settings: &Settings) -> Result<Option<String>> {
    let found = srfusion::models::resolve_all(&settings.config)?;
    let here: BTreeMap<_, _> = found.roles().into_iter().collect();
    // The fast one is there where there was no time.
    let mut roles: Vec<&str> = here.keys().copied().collect();
    let recorded = state.models.iter().map(|model| model.role.as_str());
    roles.extend(recorded.filter(|role| !here.contains_key(role)));
    roles.retain(|role| ![srfusion::FAST, srfusion::IDENTITY].contains(role));
    for role in roles {
        let found = here.get(role).map(|found| (*found).clone());
        let recorded = state.models.iter().find(|model| model.role == role);
        let sums = found.map(|found| {
            let int8 = found.int8.and_then(|int8| int8.ok());
            (found.name, found.sha256, int8.map(|int8| int8.sha256))
        });
        match (recorded, sums) {
            (None, None) => {}
            (Some(recorded), Some((_, sum, int8)))
                if recorded.sha256 == sum || Some(&recorded.sha256) == int8.as_ref() => {}
            (Some(recorded), Some((name, sum, _))) => {
                return Ok(Some(format!(
                    "its {role} was {} with sha256 {}, found here is {name} with sha256 {sum}; name the file that was used with --{}",
                    recorded.name,
                    recorded.sha256,
                    option(role)
                )));
            }
            (Some(recorded), None) => {
                return Ok(Some(format!("its {role} {} is not here", recorded.name)));
            }
            (None, Some((name, ..))) => {
                return Ok(Some(format!("it had no {role}, here there is {name}")));
            }
        }
    }
    Ok(None)
}

/// The option that names the file of a model for `role`.
fn option(role: &str) -> String {
    let own = role.replace(' ', "-");
    match setting(&own) {
        Some(setting) => setting.name.to_owned(),
        // Of a kind of objects that models.toml describes.
        None => "models-dir".to_owned(),
    }
}

/// Compares a frame that was drawn again with its line.
fn compared_again(line: &FrameLine, state: &State, other: &FrameLine, drawn: &State) -> Again {
    let same = line.output.sha256 == other.output.sha256;
    let decided = |line: &FrameLine| {
        let mut line = line.clone();
        // An eight-bit file and the same in floats are one model.
        line.output = Default::default();
        line.fresh = false;
        line.pts = None;
        line
    };
    let mut note = String::new();
    let provider = |state: &State| {
        let all = state.models.iter();
        all.map(|model| {
            (
                model.role.clone(),
                model.provider.clone(),
                model.sha256.clone(),
            )
        })
        .collect::<Vec<_>>()
    };
    if provider(state) != provider(drawn) {
        note = "it was drawn by another provider or in another precision than here: samples may differ by rounding".to_owned();
    } else if state
        .settings
        .get("deterministic")
        .is_some_and(|value| value == "false")
    {
        note = "it was drawn without deterministic=true: how frames are cut into runs may differ, and with it the last bit of samples".to_owned();
    }
    let max = depth(&state.formats.output.format);
    let largest = line.output.means.iter().zip(&other.output.means);
    let largest = largest.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
    let differ = 255.0 * largest as f64 / (MEAN_UNIT as f64 * f64::from(max));
    Again {
        frame: line.frame,
        same: Some(same),
        means_differ_by: (!same).then_some(differ),
        decided_the_same: Some(decided(line) == decided(other)),
        against: !same && (note.is_empty() || differ > ROUNDING),
        note: if same { String::new() } else { note },
    }
}

/// The largest code of samples of a format, GStreamer's or a picture's.
fn depth(format: &str) -> u32 {
    let bits = PixelFormat::from_name(format).map_or_else(
        || if format.ends_with("16") { 16 } else { 8 },
        |format| format.layout().depth(),
    );
    (1 << bits) - 1
}

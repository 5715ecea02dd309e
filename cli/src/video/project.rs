//! One video to be upscaled: what is found out before the work begins, the work, what comes out of it, and what is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::arguments::UpscaleOptions;
use crate::draft::Draft;
use crate::elements;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::mark::{Networks, Statement};
use crate::progress::Progress;
use crate::summary::{KindCount, Summary, rate};
use crate::video::container::Container;
use crate::video::decode::Source;
use crate::video::encoder::Encoder;
use crate::video::facts::Facts;
use crate::video::job::{Outcome, Task};
use crate::video::probe::{FrameFacts, Input, Stream};
use crate::video::record::Audit;
use crate::video::resume::Lead;
use crate::video::segment::{Record, Seen};
use crate::video::settings::{hash_of, input_hash, settings};
use crate::video::sign::Credentials;
use crate::video::tools::Tools;
use crate::video::tracks::Plan;
use crate::video::work::Work;
use crate::video::{job, mux, resume, segment, sign, tag, track, verify, work};

/// Version of ffmpeg that would be used.
///
/// # Errors
/// [`Failure::Failed`] if there is none, with what to do.
pub fn ffmpeg_found() -> Result<String> {
    Tools::find().map(|tools| tools.text)
}

/// Whether the file at `path` holds moving pictures: a video stream of more than one packet. Only demuxing tells.
///
/// # Errors
/// [`Failure::Failed`] if ffprobe is missing.
pub fn moves(path: &Path) -> Result<bool> {
    Tools::find()?;
    let Ok(mut input) = Input::open(path) else {
        return Ok(false);
    };
    input.read_packets()?;
    let Ok(video) = input.video() else {
        return Ok(false);
    };
    // A GIF is an animation by nature, of one picture too.
    Ok(input.packets[video.index].len() > 1 || video.codec_name == "gif")
}

/// Refuses the video at `path` if its frames are too large, see [`crate::bounds`]; what cannot be read is left to others.
///
/// # Errors
/// [`Failure::Failed`] naming the size.
pub fn check_size(path: &Path) -> Result<()> {
    Tools::find()?;
    let Ok(input) = Input::open(path) else {
        return Ok(());
    };
    let size = |facts: FrameFacts| {
        let (width, height) = (facts.width.into(), facts.height.into());
        crate::bounds::check(path, width, height)
    };
    match input.video().and_then(|video| input.first_frame(video)) {
        Ok(facts) => size(facts),
        Err(failure) => Err(failure),
    }
}

/// One video to be upscaled: everything that was found out before the work begins.
pub struct Project<'a> {
    options: &'a UpscaleOptions,
    container: &'static Container,
    /// What encodes.
    pub encoder: &'static Encoder,
    /// The commands.
    pub tools: Tools,
    /// The file.
    pub input: Input,
    /// The stream that is upscaled.
    pub video: Stream,
    facts: Facts,
    plan: Plan,
    /// What the output is signed with.
    credentials: Option<Credentials>,
}

/// What was made of a video, before it gets its name.
struct MadeVideo {
    outcome: Outcome,
    warnings: Vec<String>,
    path: PathBuf,
}

/// Upscales a video.
///
/// # Errors
/// Whatever kept it from being written.
pub fn upscale(
    options: &UpscaleOptions,
    container: &'static Container,
    progress: &Progress,
) -> Result<Summary> {
    let started = Instant::now();
    let (mut project, bits) = Project::open(options, container, progress)?;
    project.input.read_packets()?;
    let hash = input_hash(&project.input)?;
    let settings = settings(options, &hash, project.encoder, bits, &project.tools)?;
    let mut work = Work::open(&options.output, &settings, options.start_over)?;
    let folder = work.folder().to_owned();
    if !options.partial {
        interrupt::on_deadline(options.json, move || {
            work::clean(&folder, true);
            goes_on(&folder)
        });
    }
    let audit = options.audit.as_deref();
    let audit = audit.map(|path| Audit::new(path, &options.input, &hash, &project.tools.text));
    let mut records = work.records();
    resume::remove_strangers(&mut records);
    let made = project
        .make(&work, &mut records, progress)
        .and_then(|outcome| project.put_together(&work, outcome, progress));
    let made = match made {
        Ok(made) => made,
        Err(failure) => {
            let finished: usize = records.values().map(|record| record.times.len()).sum();
            let total = project.input.packets[project.video.index].len();
            // A single segment that was all of it is soon made again.
            work.keeps = records.len() > 1 || (records.len() == 1 && finished < total);
            return Err(project.unfinished(failure, work, &records, audit.as_ref(), progress));
        }
    };
    if let Some(audit) = &audit {
        let joined = audit
            .join(work.folder(), &made.outcome.records)
            .and_then(Draft::finish);
        if let Err(failure) = joined {
            work.keeps = true;
            return Err(project.unfinished(failure, work, &records, None, progress));
        }
    }
    if let Some(credentials) = &project.credentials {
        progress.message("signing");
        let (input, container) = (&options.input, project.container);
        let signed = project
            .describe(&made.outcome.records)
            .and_then(|statement| {
                let sum = hash_of(&hash);
                sign::sign(&made.path, input, container, &statement, sum, credentials)
            });
        if let Err(failure) = signed {
            // The picture is finished; only the signature is not.
            work.keeps = true;
            return Err(project.unfinished(failure, work, &records, None, progress));
        }
    }
    work.finish(&made.path)?;
    Ok(project.summary(made, started))
}

impl<'a> Project<'a> {
    /// Finds out everything but the input's packets; what cannot work is told here. Also gives the bits of a sample in the output.
    ///
    /// # Errors
    /// Whatever keeps the video from being upscaled.
    pub fn open(
        options: &'a UpscaleOptions,
        container: &'static Container,
        progress: &Progress,
    ) -> Result<(Self, u32)> {
        elements::init()?;
        let tools = Tools::find()?;
        let named = [&options.codec, &options.encoder];
        let prores = named
            .into_iter()
            .flatten()
            .any(|name| name.contains("prores"));
        let bits = options.bits.unwrap_or(if prores { 10 } else { 8 });
        let (codec, element) = (options.codec.as_deref(), options.encoder.as_deref());
        let encoder = container.encoder(codec, element, bits)?;
        // Wrong settings are told before anything is done.
        encoder.make(
            options.quality,
            false,
            options.preset.as_deref(),
            &options.encoder_args,
        )?;
        if options.segment_time.is_zero() {
            return Err(Failure::Usage(
                "--segment-time: expected more than 0 s, found 0".into(),
            ));
        }
        let (certificates, key) = (options.c2pa.as_deref(), options.c2pa_key.as_deref());
        let credentials = sign::credentials(certificates, key, container)?;
        // The element would say the same, but it does not know where this program lies.
        srfusion::Upscaler::check(&options.engine.config())?;
        progress.message("reading the input");
        let input = Input::open(&options.input)?;
        let video = input.video()?.clone();
        let frame = input.first_frame(&video)?;
        let transparent = input.is_transparent(&video, &frame)?;
        let facts = Facts::find(options, encoder, bits, &video, &frame, transparent)?;
        let plan = Plan::make(&input, video.index, container, !options.no_sound);
        let project = Self {
            options,
            container,
            encoder,
            tools,
            input,
            video,
            facts,
            plan,
            credentials,
        };
        Ok((project, bits))
    }

    /// Length of a segment in nanoseconds.
    pub fn segment_length(&self) -> i64 {
        i64::try_from(self.options.segment_time.as_nanos()).unwrap_or(i64::MAX)
    }

    /// What is to be done in `folder`: all segments, or those up to `until`; `total` frames.
    pub fn task(&self, folder: PathBuf, total: u64, until: Option<u64>) -> Task {
        let base = self.video.unit();
        let (numerator, denominator) = self.facts.recipe.rate;
        let second = i64::from(denominator) * 1_000_000_000;
        let shape = self.facts.recipe.shape;
        Task {
            recipe: self.facts.recipe.clone(),
            source: Source::new(&self.tools, &self.input, &self.video, shape),
            folder,
            target: self.options.output.display().to_string(),
            base,
            length: self.segment_length(),
            step: base.units(second / i64::from(numerator.max(1))),
            total,
            until,
        }
    }

    /// Makes the segments that are missing in `records`.
    fn make(
        &self,
        work: &Work,
        records: &mut BTreeMap<u64, Record>,
        progress: &Progress,
    ) -> Result<Outcome> {
        let packets = &self.input.packets[self.video.index];
        let total = packets.iter().filter(|packet| !packet.discarded).count() as u64;
        let task = self.task(work.folder().to_owned(), total, None);
        progress.message("opening the models");
        let lead = Lead::find(&self.input, &self.video, records);
        let outcome = job::run(&task, lead, records, progress)?;
        if outcome.frames == 0 {
            let reason = outcome.faults.messages.first();
            return Err(Failure::Failed(format!(
                "{}: not one frame could be decoded{}",
                self.input.path.display(),
                reason.map_or(String::new(), |(text, _)| format!(": {text}"))
            )));
        }
        Ok(outcome)
    }

    /// Joins everything into the output, compares it with the input, and tells what the user should know.
    fn put_together(
        &self,
        work: &Work,
        outcome: Outcome,
        progress: &Progress,
    ) -> Result<MadeVideo> {
        progress.message("putting the output together");
        let path = self.join(work, &outcome.records, outcome.start, outcome.last, false)?;
        let times: Vec<i64> = outcome
            .records
            .iter()
            .flat_map(|record| record.times.iter().map(|time| time + outcome.start))
            .collect();
        let (input, video, plan) = (&self.input, &self.video, &self.plan);
        let moved = mux::video_start(input, video, plan);
        let times: Vec<i64> = times.into_iter().map(|time| time + moved).collect();
        let mut warnings = outcome.notices.clone();
        let told = warnings.len();
        let mut seen = Seen::default();
        for record in &outcome.records {
            seen.interlaced += record.seen.interlaced;
            for (size, frames) in &record.seen.sizes {
                seen.count(*size, *frames);
            }
        }
        let (faults, frames) = (&outcome.faults, outcome.frames);
        warnings.extend(verify::input_faults(input, video, faults, &seen, frames));
        if outcome.made_times > 0 {
            warnings.push(format!(
                "{} frames had no time of their own in the input, or not one after the frame before: put between their neighbours",
                outcome.made_times
            ));
        }
        if outcome.jumps > 0 {
            warnings.push(format!(
                "the input's clock jumps back {} times: what follows was moved on",
                outcome.jumps
            ));
        }
        if self.facts.deep {
            warnings.push(
                "the input has more than 8 bits a sample, the output 8 (--bits 10 keeps more, with a codec that has them)"
                    .to_owned(),
            );
        }
        if self.facts.transparent && !self.facts.recipe.transparent {
            let why = match self.container.transparent {
                Some((coding, Some(options))) => {
                    format!("this kind of file holds it as {coding} ({options})")
                }
                Some((coding, None)) => {
                    format!(
                        "this kind of file could hold it as {coding}, which no encoder here makes; .mkv with --codec ffv1 and .mov with --codec prores keep it"
                    )
                }
                None => {
                    "this kind of file does not hold it; .mkv with --codec ffv1 and .mov with --codec prores do"
                        .to_owned()
                }
            };
            warnings.push(format!(
                "the video's transparency is left out, its pixels are drawn as if they were opaque: {why}"
            ));
        }
        warnings.extend(plan.warnings.iter().cloned());
        let base = video.unit();
        warnings.extend(verify::output(
            &path,
            input,
            plan,
            self.container,
            &times,
            base,
            &self.facts.hdr,
        )?);
        warnings[told..]
            .iter()
            .for_each(|warning| progress.warn(warning));
        Ok(MadeVideo {
            outcome,
            warnings,
            path,
        })
    }

    /// Writes the track of `records` and joins it with the rest of the input; gives the file. `cut` cuts the rest where the
    /// track ends.
    fn join(
        &self,
        work: &Work,
        records: &[Record],
        start: i64,
        last: i64,
        cut: bool,
    ) -> Result<PathBuf> {
        let (base, codec) = (self.video.unit(), self.encoder.codec);
        let end = records.last().and_then(|record| record.times.last());
        let kind = track::Kind {
            codec,
            base,
            colours: self.facts.recipe.colours.1,
            hdr: self.facts.hdr,
        };
        let track = track::Track {
            path: track::write(work.folder(), records, &kind, last)?,
            start,
            base,
            end: end
                .filter(|_| cut)
                .map(|end| base.seconds(start + end + last)),
        };
        let output = work.folder().join("output");
        let (input, video, plan) = (&self.input, &self.video, &self.plan);
        let statement = self.statement(records)?;
        let tags = statement.as_ref().map_or_else(Vec::new, |statement| {
            tag::tags(statement, self.container, &input.format.tags)
        });
        let join = |shifts: &[i64]| {
            let container = self.container;
            mux::join(
                input, video, plan, container, &track, shifts, &tags, &output,
            )
        };
        join(&[])?;
        if plan.sound.iter().any(|track| track.action != "dropped") {
            let mut found = Input::open(&output)?;
            found.read_packets()?;
            let shifts = mux::shifts(input, video, plan, &found);
            if shifts.iter().any(|shift| *shift != 0) {
                join(&shifts)?;
            }
        }
        if let Some(statement) = statement.filter(|_| tag::has_boxes(self.container)) {
            tag::append_xmp(&output, &statement)?;
        }
        Ok(output)
    }

    /// What the output says of how it was made, unless it is to say nothing.
    fn statement(&self, records: &[Record]) -> Result<Option<Statement>> {
        let marks = !self.options.no_marks;
        marks.then(|| self.describe(records)).transpose()
    }

    /// How the output was made.
    fn describe(&self, records: &[Record]) -> Result<Statement> {
        let models = srfusion::models::resolve_all(&self.options.engine.config())?;
        let frames = records.iter().map(|record| record.times.len() as u64).sum();
        let with = records.iter().map(|record| record.frames_with_faces).sum();
        Ok(Statement {
            networks: Networks::chosen(&models),
            view: self.options.engine.parameters()?.view,
            frames: (frames, with),
            faces: Vec::new(),
        })
    }

    /// What is told of a job that did not end: what is kept, and with `--partial` a playable file of what is finished.
    fn unfinished(
        &self,
        failure: Failure,
        work: Work,
        records: &BTreeMap<u64, Record>,
        audit: Option<&Audit>,
        progress: &Progress,
    ) -> Failure {
        let (folder, kept) = (work.folder().to_owned(), work.keeps);
        let mut partial = String::new();
        if failure == Failure::Interrupted && self.options.partial && kept {
            interrupt::forget();
            progress.message("writing what is finished");
            partial = match self.leave_partial(&work, records, audit) {
                Ok(()) => format!("; what is finished is in {}", self.options.output.display()),
                Err(failure) => format!("; what is finished could not be written: {failure:?}"),
            };
        }
        work.explain();
        drop(work);
        match failure {
            Failure::Interrupted => Failure::Stopped(format!("{}{partial}", goes_on(&folder))),
            Failure::Failed(text) if kept && folder.exists() => Failure::Failed(format!(
                "{text}; the segments that are finished are kept in {}: the same command goes on with them",
                folder.display()
            )),
            other => other,
        }
    }

    /// Leaves what is finished from the start on as a playable output.
    fn leave_partial(
        &self,
        work: &Work,
        records: &BTreeMap<u64, Record>,
        audit: Option<&Audit>,
    ) -> Result<()> {
        // Segments are finished one after the other; numbers are left out where no frame lies.
        let whole: Vec<Record> = records.values().cloned().collect();
        let start = whole.first().map_or(0, |record| record.seen.start);
        let path = self.join(work, &whole, start, 1, true)?;
        if let Some(audit) = audit {
            audit.join(work.folder(), &whole)?.finish()?;
        }
        let name = self.options.output.display().to_string();
        std::fs::rename(path, &self.options.output)
            .map_err(|error| segment::cannot_write(&name, &error))
    }

    /// What was done.
    fn summary(self, made: MadeVideo, started: Instant) -> Summary {
        let MadeVideo {
            outcome, warnings, ..
        } = made;
        let time = started.elapsed();
        let records = &outcome.records;
        let mut providers: Vec<_> = records
            .iter()
            .map(|record| record.provider.clone())
            .collect();
        providers.dedup();
        let (width, height) = records.first().map_or((0, 0), |record| record.size);
        Summary {
            event: "summary",
            input: self.options.input.display().to_string(),
            output: self.options.output.display().to_string(),
            kind: "video",
            width,
            height,
            frames: outcome.frames,
            frames_reused: outcome.reused,
            frames_decoded: if outcome.reused > 0 {
                outcome.decoded
            } else {
                0
            },
            segments: records.len() as u64,
            seconds: time.as_secs_f64(),
            frames_per_second: rate(outcome.frames - outcome.reused, time),
            provider: providers.join(", "),
            frames_with_faces: records.iter().map(|record| record.frames_with_faces).sum(),
            most_faces: records
                .iter()
                .map(|record| record.most_faces)
                .max()
                .unwrap_or_default(),
            kinds: kind_counts(&self.options.engine.config().objects, records),
            encoder: Some(self.encoder.element.to_owned()),
            sound: self.plan.sound,
            warnings,
        }
    }
}

/// How many objects of each kind that `objects` asks for there were.
fn kind_counts(objects: &str, records: &[Record]) -> Vec<KindCount> {
    let asked = srfusion::settings::wanted_kinds(objects).unwrap_or_default();
    let counts = asked.into_iter().map(|asked| {
        let mut sum = KindCount {
            kind: asked.subject,
            ..KindCount::default()
        };
        for record in records {
            if sum.kind == srfusion::FACES {
                sum.frames += record.frames_with_faces;
                sum.most = sum.most.max(record.most_faces);
            }
            for count in record.kinds.iter().filter(|count| count.kind == sum.kind) {
                sum.frames += count.frames;
                sum.most = sum.most.max(count.most);
            }
        }
        sum
    });
    counts.collect()
}

/// How to go on with what is in `folder`, or that there is nothing.
fn goes_on(folder: &Path) -> String {
    if !folder.exists() {
        return "interrupted; nothing was written".to_owned();
    }
    let command: Vec<_> = std::env::args_os()
        .map(|word| crate::table::quoted(&word))
        .collect();
    format!(
        "interrupted; the segments that are finished are kept in {}, and this goes on: {}",
        folder.display(),
        command.join(" ")
    )
}

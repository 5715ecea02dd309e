//! What a record holds, in a few lines.

use std::collections::BTreeMap;

use serde::Serialize;
use srfusion::record::{FrameLine, From, Model};

use super::read::{Run, read};
use crate::arguments::ShowOptions;
use crate::failure::Result;
use crate::line;
use crate::table::print;

/// An object, from where it came to where it went.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RecordTrack {
    /// Tracks are numbered anew in each segment.
    segment: u64,
    /// Where it is no face.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    track: u64,
    first: u64,
    last: u64,
    frames: u64,
    largest_weight: f32,
    best_score: f32,
    /// Left, top, right and lower edge of the largest box.
    largest_box: [f32; 4],
}

/// What a run holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RecordSummary<'a> {
    event: &'static str,
    made_by: &'a str,
    srfusion: &'a str,
    onnxruntime: &'a str,
    gstreamer: Option<&'a str>,
    begun: u64,
    input: Option<&'a str>,
    input_sha256: Option<&'a str>,
    models: Vec<&'a Model>,
    settings: BTreeMap<&'a str, &'a str>,
    frames: u64,
    lost: u64,
    gaps: &'a [(u64, u64)],
    faults: Vec<String>,
    unreadable: u64,
    whole: bool,
    repeated: u64,
    with_objects: u64,
    interpolated: u64,
    segments: u64,
    /// Share of all input pixels, where the general picture was wanted, that came from where.
    pixels: Pixels,
    objects: Vec<RecordTrack>,
}

/// Input pixels of all frames by what they came from.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Pixels {
    drawn_by_general: u64,
    kept: u64,
    drawn_by_fast: u64,
    kept_fast: u64,
    interpolated: u64,
    owed: u64,
    covered: u64,
    drawn_by_face: u64,
    drawn_by_others: u64,
}

/// Prints what the record holds.
///
/// # Errors
/// What cannot be read.
pub fn run(options: &ShowOptions) -> Result<()> {
    for run in read(&options.record)? {
        let summary = summary(&run);
        if options.json {
            line::print(&summary);
        } else {
            people(&summary);
        }
    }
    Ok(())
}

fn area(rects: &[[usize; 4]]) -> u64 {
    // Whatever a record says.
    let areas = rects.iter().map(|[_, _, w, h]| w.saturating_mul(*h) as u64);
    areas.fold(0, u64::saturating_add)
}

fn count(pixels: &mut Pixels, line: &FrameLine) {
    let from = |kept: &[From]| {
        let areas = kept.iter().map(|kept| area(&kept.rects));
        areas.fold(0, u64::saturating_add)
    };
    let face = line.face.as_ref().map_or(0, |drawn| area(&drawn.rects));
    let others = line.experts.iter().map(|other| area(&other.drawn.rects));
    let others = others.fold(0, u64::saturating_add);
    let general = line.general.as_ref().map_or(0, |drawn| area(&drawn.rects));
    let fast = line.fast.as_ref().map_or(0, |drawn| area(&drawn.rects));
    for (sum, more) in [
        (&mut pixels.drawn_by_general, general),
        (&mut pixels.drawn_by_face, face),
        (&mut pixels.drawn_by_others, others),
        (&mut pixels.kept, from(&line.kept)),
        (&mut pixels.drawn_by_fast, fast),
        (&mut pixels.kept_fast, from(&line.kept_fast)),
        (&mut pixels.owed, from(&line.owed)),
        (&mut pixels.interpolated, area(&line.interpolated)),
        (&mut pixels.covered, area(&line.covered)),
    ] {
        *sum = sum.saturating_add(more);
    }
}

fn summary(run: &Run) -> RecordSummary<'_> {
    let mut tracks: BTreeMap<(u64, u64), RecordTrack> = BTreeMap::new();
    let mut pixels = Pixels::default();
    let (mut repeated, mut with_objects, mut interpolated) = (0, 0, 0);
    let size = |b: [f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    for (line, _) in &run.frames {
        count(&mut pixels, line);
        repeated += u64::from(line.repeats.is_some());
        with_objects += u64::from(!line.objects.is_empty());
        interpolated += u64::from(!(line.interpolated.is_empty() && line.owed.is_empty()));
        let segment = run.segment(line.frame).map_or(0, |segment| segment.segment);
        for object in &line.objects {
            let key = (segment, object.track);
            let track = tracks.entry(key).or_insert_with(|| RecordTrack {
                segment,
                kind: object.kind.clone(),
                track: object.track,
                first: line.frame,
                last: line.frame,
                frames: 0,
                largest_weight: 0.0,
                best_score: 0.0,
                largest_box: object.bounds,
            });
            track.last = line.frame;
            track.frames += 1;
            track.largest_weight = track.largest_weight.max(object.weight);
            track.best_score = track.best_score.max(object.score);
            if size(object.bounds) > size(track.largest_box) {
                track.largest_box = object.bounds;
            }
        }
    }
    let mut models: Vec<&Model> = Vec::new();
    for model in run.states.iter().flat_map(|state| &state.models) {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    let header = &run.header;
    let settings = header.state.settings.iter();
    RecordSummary {
        event: "record",
        made_by: &header.made_by,
        srfusion: &header.srfusion,
        onnxruntime: &header.onnx_runtime,
        gstreamer: header.gstreamer.as_deref(),
        begun: header.begun,
        input: header.input.as_ref().map(|input| &input.name[..]),
        input_sha256: header.input.as_ref().map(|input| &input.sha256[..]),
        models,
        settings: settings
            .map(|(name, value)| (&name[..], &value[..]))
            .collect(),
        frames: run.frames.len() as u64,
        lost: run.lost(),
        gaps: &run.gaps,
        faults: run.faults(),
        unreadable: run.unreadable,
        whole: run.end.is_some()
            && run.unreadable == 0
            && run.lost() == 0
            && run.faults().is_empty(),
        repeated,
        with_objects,
        interpolated,
        segments: run.segments.len() as u64,
        pixels,
        objects: tracks.into_values().collect(),
    }
}

/// Prints `summary` for people.
fn people(summary: &RecordSummary<'_>) {
    let gstreamer = summary
        .gstreamer
        .map_or(String::new(), |v| format!(", {v}"));
    println!(
        "made by: srfusion {} ({}), ONNX Runtime {}{gstreamer}",
        summary.srfusion, summary.made_by, summary.onnxruntime
    );
    if let (Some(input), Some(sum)) = (summary.input, summary.input_sha256) {
        println!("input:   {input}, sha256 {sum}");
    }
    for model in &summary.models {
        let known = model.licence.as_deref().unwrap_or("licence not known");
        println!(
            "{}: {} on {}, {} (sha256 {}; {known})",
            model.role, model.name, model.provider, model.file, model.sha256
        );
    }
    let changed: Vec<_> = srfusion::settings::SETTINGS
        .iter()
        .filter_map(|setting| {
            let value = summary.settings.get(setting.name)?;
            (*value != setting.default().to_string()).then(|| format!("{}={value}", setting.name))
        })
        .collect();
    println!(
        "settings that are not the defaults: {}",
        if changed.is_empty() {
            "none".to_owned()
        } else {
            changed.join(" ")
        }
    );
    println!(
        "frames:  {} on record, {} missing; {} repeat the one before, {} with objects, {} with parts interpolated for lack of time",
        summary.frames, summary.lost, summary.repeated, summary.with_objects, summary.interpolated
    );
    for (before, lost) in summary.gaps {
        println!(
            "gap:     {lost} frames are missing before frame {}",
            before.saturating_add(*lost)
        );
    }
    if summary.unreadable > 0 {
        println!("damage:  {} lines cannot be read", summary.unreadable);
    }
    for fault in &summary.faults {
        println!("damage:  {fault}");
    }
    if !summary.whole {
        println!("the record is not whole");
    }
    let p = summary.pixels;
    let all = [
        p.drawn_by_general,
        p.kept,
        p.drawn_by_fast,
        p.kept_fast,
        p.interpolated,
        p.owed,
        p.covered,
    ];
    let all = all.into_iter().fold(0, u64::saturating_add).max(1);
    let share = |pixels: u64| format!("{:.1} %", 100.0 * pixels as f64 / all as f64);
    println!(
        "pixels:  {} drawn by the general network, {} kept from earlier frames, {} drawn by the fast network, {} kept of that, {} interpolated, {} left interpolated, {} hidden by objects",
        share(p.drawn_by_general),
        share(p.kept),
        share(p.drawn_by_fast),
        share(p.kept_fast),
        share(p.interpolated),
        share(p.owed),
        share(p.covered)
    );
    if summary.objects.is_empty() {
        return;
    }
    let head = [
        "segment",
        "kind",
        "track",
        "first",
        "last",
        "frames",
        "score",
        "weight",
        "largest box",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(summary.objects.iter().map(|track| {
        let [x0, y0, x1, y1] = track.largest_box;
        vec![
            track.segment.to_string(),
            track
                .kind
                .clone()
                .unwrap_or_else(|| srfusion::FACES.to_owned()),
            track.track.to_string(),
            track.first.to_string(),
            track.last.to_string(),
            track.frames.to_string(),
            format!("{:.2}", track.best_score),
            format!("{:.2}", track.largest_weight),
            format!("{:.0}x{:.0} at {x0:.0},{y0:.0}", x1 - x0, y1 - y0),
        ]
    }));
    print(&rows);
}

/// Makes the summary of `run`, for tests.
#[cfg(test)]
pub fn check(run: &Run) {
    people(&summary(run));
}

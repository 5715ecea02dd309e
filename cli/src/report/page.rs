//! The page: its text, style and program, and what was measured as data that the program shows.

use serde::Serialize;

use super::pass::Shown;
use super::pictures::Pictures;
use super::record::{Averages, ClipFile, ClipReport, FaceRow, FaceTrack, FrameRow};
use crate::failure::{Failure, Result};

const PAGE: &str = include_str!("page/report.html");
const STYLE: &str = include_str!("page/report.css");
const PROGRAM: &str = include_str!("page/report.js");

/// Most points that the timeline has; of longer clips neighbouring frames share one.
const POINTS: usize = 1200;

/// What the program shows.
#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    input: &'a ClipFile,
    output: &'a ClipFile,
    reference: &'a Option<ClipFile>,
    count: usize,
    seconds: f64,
    detector: &'a Option<String>,
    left_out: &'a [String],
    summary: &'a Averages,
    tracks: &'a [FaceTrack],
    timeline: Timeline,
    shown: Vec<ShownFrame<'a>>,
    version: &'static str,
}

/// Numbers over time, one of each for each point.
#[derive(Default, Serialize)]
struct Timeline {
    /// Frames that share a point.
    frames: usize,
    time: Vec<f64>,
    cuts: Vec<f64>,
    warping: Vec<Option<f32>>,
    input_warping: Vec<Option<f32>>,
    change: Vec<Option<f32>>,
    mask_change: Vec<Option<f32>>,
    faces: Vec<usize>,
    /// Track, then begin and end in seconds of each part in which the face was there.
    tracks: Vec<(u64, Vec<[f64; 2]>)>,
}

/// A frame that is shown.
#[derive(Serialize)]
struct ShownFrame<'a> {
    index: usize,
    time: f64,
    why: &'a str,
    warping: Option<f64>,
    psnr: Option<f64>,
    faces: &'a [FaceRow],
    pictures: &'a Pictures,
}

impl Timeline {
    fn of(rows: &[FrameRow], tracks: &[FaceTrack]) -> Self {
        let frames = rows.len().div_ceil(POINTS).max(1);
        let mut timeline = Self {
            frames,
            cuts: rows
                .iter()
                .filter(|row| row.cut)
                .map(|row| row.time)
                .collect(),
            ..Self::default()
        };
        // The greatest of the frames that share a point: what is short must not vanish.
        let most = |rows: &[FrameRow], value: &dyn Fn(&FrameRow) -> Option<f64>| {
            rows.iter()
                .filter_map(value)
                .reduce(f64::max)
                .map(|value| value as f32)
        };
        for rows in rows.chunks(frames) {
            timeline.time.push(rows[0].time);
            timeline
                .warping
                .push(most(rows, &|row| row.numbers.warping));
            timeline
                .input_warping
                .push(most(rows, &|row| row.numbers.input_warping));
            timeline.change.push(most(rows, &|row| row.numbers.change));
            timeline
                .mask_change
                .push(most(rows, &|row| row.mask_change));
            let faces = rows.iter().map(|row| row.faces.len()).max();
            timeline.faces.push(faces.unwrap_or_default());
        }
        let end = |index: usize| {
            rows.get(index + 1)
                .or(rows.last())
                .map_or(0.0, |row| row.time)
        };
        for track in tracks {
            let mut parts: Vec<[usize; 2]> = Vec::new();
            for row in rows.iter().take(track.last + 1).skip(track.first) {
                if row.faces.iter().any(|face| face.id == track.id) {
                    match parts.last_mut() {
                        Some([_, last]) if *last + 1 == row.index => *last = row.index,
                        _ => parts.push([row.index, row.index]),
                    }
                }
            }
            let parts = parts
                .into_iter()
                .map(|[first, last]| [rows[first].time, end(last)]);
            timeline.tracks.push((track.id, parts.collect()));
        }
        timeline
    }
}

/// The page of `report`.
///
/// # Errors
/// [`Failure::Failed`] for numbers that JSON has no words for.
pub fn text(report: &ClipReport, shown: &[Shown]) -> Result<String> {
    let data = Data {
        title: &report.title,
        input: &report.input,
        output: &report.output,
        reference: &report.reference,
        count: report.frames.len(),
        seconds: report.seconds,
        detector: &report.detector,
        left_out: &report.left_out,
        summary: &report.summary,
        tracks: &report.tracks,
        timeline: Timeline::of(&report.frames, &report.tracks),
        shown: shown
            .iter()
            .map(|shown| {
                let row = &report.frames[shown.choice.index];
                ShownFrame {
                    index: row.index,
                    time: row.time,
                    why: shown.choice.why,
                    warping: row.numbers.warping,
                    psnr: row.numbers.error.map(crate::metrics::decibels),
                    faces: &row.faces,
                    pictures: &shown.pictures,
                }
            })
            .collect(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let json = serde_json::to_string(&data).map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(fill(&report.title, &json))
}

/// The page with its parts put in, each once: nothing that is put in is looked through for places.
fn fill(title: &str, json: &str) -> String {
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + PROGRAM.len() + json.len());
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        match name {
            "title" => page.push_str(&escape(title)),
            "style" => page.push_str(STYLE),
            // A name with a tag in it must not end the data.
            "data" => page.push_str(&json.replace('<', "\\u003c")),
            "program" => page.push_str(PROGRAM),
            _ => {}
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// `text` as HTML shows it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let page = fill("a <b> & {{data}}", r#"{"x":"</script>{{style}}"}"#);
        assert!(page.contains("<title>a &lt;b&gt; &amp; {{data}}"));
        assert!(page.contains(r#"{"x":"\u003c/script>{{style}}"}"#));
        assert_eq!(page.matches(STYLE).count(), 1);
    }

    #[test]
    fn nothing_is_fetched() {
        // A name space is not fetched.
        let all = [PAGE, STYLE, PROGRAM]
            .concat()
            .replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http://",
            "https://",
            "@import",
            "src=\"",
            "stylesheet",
            "fetch(",
            "XMLHttp",
        ] {
            assert!(!all.contains(word), "{word}");
        }
    }

    #[test]
    fn long_clips_have_few_points() {
        let mut rows: Vec<FrameRow> = (0..5000)
            .map(|index| FrameRow {
                index,
                time: index as f64 / 25.0,
                ..FrameRow::default()
            })
            .collect();
        rows[4001].numbers.warping = Some(9.0);
        for index in [10, 11, 12, 20] {
            rows[index].faces.push(FaceRow {
                id: 4,
                ..FaceRow::default()
            });
        }
        let timeline = Timeline::of(&rows, &super::super::record::tracks(&rows));
        assert_eq!((timeline.frames, timeline.time.len()), (5, 1000));
        assert_eq!(timeline.warping[800], Some(9.0));
        assert_eq!(timeline.tracks, [(4, vec![[0.4, 0.52], [0.8, 0.84]])]);
    }
}

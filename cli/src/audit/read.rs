//! Reading a record: its runs, each with its header, frames and gaps. Whatever is in the file, it is read to its end; lines that are none are
//! counted.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use srfusion::record::{End, FrameLine, Header, Line, Segment, State, VERSION};

use crate::failure::{Failure, Result};

/// Longest line that is read: whatever is longer is no line of a record.
const LONGEST: u64 = 64 << 20;

/// A run: from a header to the next.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// What made it.
    pub header: Header,
    /// Its frames in the order of the file, each with the place of what drew it in `states`.
    pub frames: Vec<(FrameLine, usize)>,
    /// What drew frames, in order.
    pub states: Vec<State>,
    /// Segments, if it was made so.
    pub segments: Vec<Segment>,
    /// Gaps: the frame before which lines are missing, or the number after the last, and how many.
    pub gaps: Vec<(u64, u64)>,
    /// What the record says at its end; none where it was broken off.
    pub end: Option<End>,
    /// Lines that are none.
    pub unreadable: u64,
}

impl Run {
    /// Frames whose lines are missing.
    pub fn lost(&self) -> u64 {
        self.gaps.iter().map(|(_, lost)| lost).sum()
    }

    /// The line of a frame, and what drew it.
    pub fn frame(&self, number: u64) -> Option<(&FrameLine, &State)> {
        let place = self
            .frames
            .binary_search_by_key(&number, |(line, _)| line.frame)
            .ok()?;
        let (line, state) = self.frames.get(place)?;
        Some((line, self.states.get(*state)?))
    }

    /// The segment that a frame lies in.
    pub fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments
            .iter()
            .rev()
            .find(|segment| segment.first <= number)
    }
}

/// The runs of the record at `path`, at least one.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be read, is no record, or is one of another version.
pub fn read(path: &Path) -> Result<Vec<Run>> {
    let name = path.display();
    let failed = |reason: String| Failure::Failed(format!("cannot read {name}: {reason}"));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut runs: Vec<Run> = Vec::new();
    let (mut text, mut before) = (Vec::new(), 0);
    loop {
        text.clear();
        let mut part = std::io::Read::take(&mut reader, LONGEST);
        let count = part
            .read_until(b'\n', &mut text)
            .map_err(|error| failed(error.to_string()))?;
        if count == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let line: Option<Line> = serde_json::from_slice(&text).ok();
        if let Some(Line::Header(header)) = line {
            if header.record != VERSION {
                return Err(failed(format!(
                    "it is a record of version {}, expected {VERSION}: it was made by srfusion {}",
                    header.record, header.srfusion
                )));
            }
            runs.push(Run {
                states: vec![header.state.clone()],
                header,
                ..Run::default()
            });
            continue;
        }
        let Some(run) = runs.last_mut() else {
            before += 1;
            continue;
        };
        match line {
            Some(Line::Change(state)) => run.states.push(state),
            Some(Line::Segment(segment)) => run.segments.push(segment),
            Some(Line::Frame(frame)) => run.frames.push((frame, run.states.len() - 1)),
            Some(Line::Lost(lost)) => {
                let next = run.frames.last().map_or(0, |(frame, _)| frame.frame + 1);
                run.gaps.push((next, lost.lost));
            }
            Some(Line::End(end)) => run.end = Some(end),
            Some(Line::Header(_)) | None => run.unreadable += 1,
        }
    }
    match runs.first_mut() {
        Some(first) => first.unreadable += before,
        None => {
            return Err(failed(
                "it is no record: expected lines of JSON that begin with a header, as upscale --audit writes them".into(),
            ));
        }
    }
    for run in &mut runs {
        run.frames.sort_by_key(|(frame, _)| frame.frame);
    }
    Ok(runs)
}

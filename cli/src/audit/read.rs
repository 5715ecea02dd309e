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
        self.gaps
            .iter()
            .fold(0, |sum, (_, lost)| sum.saturating_add(*lost))
    }

    /// What is wrong with the record in itself: frames that are missing without its saying so, or are there twice.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let twice = self.frames.windows(2);
        let twice = twice.filter(|pair| pair[0].0.frame == pair[1].0.frame);
        let twice = twice.count() as u64;
        if twice > 0 {
            faults.push(format!("{twice} frames are on record twice"));
        }
        let count = self.frames.len() as u64;
        let numbers = self
            .frames
            .last()
            .map_or(0, |(line, _)| line.frame.saturating_add(1));
        let missing = numbers.saturating_sub(count - twice);
        if missing > self.lost() {
            faults.push(format!(
                "{missing} frames have no line, but only {} are said to have none",
                self.lost()
            ));
        }
        if let Some(end) = self.end.as_ref().filter(|end| end.frames != count) {
            faults.push(format!(
                "it ends by saying that it has {} frames, but has {count}",
                end.frames
            ));
        }
        faults
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
                let next = run
                    .frames
                    .last()
                    .map_or(0, |(frame, _)| frame.frame.saturating_add(1));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use srfusion::testing::{ByteChange, changed};

    use super::*;
    use crate::audit::show;
    use crate::cases::cases;

    /// A record of two runs, with everything that there may be.
    const TEXT: &str = concat!(
        r#"{"line":"header","record":1,"made-by":"video","srfusion":"0.1.0","onnxruntime":"1.32","begun":1,"input":{"name":"a","sha256":"b"},"models":[],"settings":{"view":"fused"},"formats":{"input":{"format":"I420","width":16,"height":8},"output":{"format":"I420","width":64,"height":32}}}"#,
        "\n",
        r#"{"line":"segment","segment":3,"first":0,"followed":2}"#,
        "\n",
        r#"{"line":"frame","frame":0,"pts":null,"input":"c","output":{"sha256":"d","means":[1]},"objects":[{"track":1,"box":[1.0,2.0,3.0,4.0],"score":0.5,"weight":1.0,"held":false}],"general":{"sha256":"e","rects":[[0,0,16,8]]}}"#,
        "\n",
        r#"{"line":"lost","lost":2}"#,
        "\n",
        r#"{"line":"frame","frame":3,"pts":7,"input":"c","output":{"sha256":"d","means":[]},"repeats":0,"objects":[],"kept":[{"from":0,"rects":[[0,0,16,8]]}],"a-newer-field":1}"#,
        "\n",
        r#"{"line":"change","models":[],"settings":{},"formats":{"input":{"format":"","width":0,"height":0},"output":{"format":"","width":0,"height":0}}}"#,
        "\n",
        r#"{"line":"end","frames":2,"lost":2}"#,
        "\n",
    );

    fn parse(bytes: &[u8]) -> Result<Vec<Run>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn runs_gaps_and_lines_that_are_none_are_found() {
        let twice = [TEXT, "{\"line\":\"fra\n\n", TEXT].concat();
        let runs = parse(twice.as_bytes()).unwrap();
        assert_eq!(runs.len(), 2);
        let (run, other) = (&runs[0], &runs[1]);
        assert_eq!((run.unreadable, other.unreadable), (1, 0));
        assert_eq!((run.lost(), &run.gaps[..]), (2, &[(1, 2)][..]));
        assert_eq!(run.frame(3).unwrap().0.repeats, Some(0));
        assert!(run.frame(1).is_none());
        assert_eq!(run.segment(3).unwrap().segment, 3);
        assert_eq!(run.states.len(), 2);
        assert_eq!(run.faults(), [""; 0]);
        let lines: Vec<_> = TEXT.lines().collect();
        for (without, parts) in [
            (3, &["2 frames have no line", "only 0"][..]),
            (4, &["2 frames, but has 1"]),
        ] {
            let mut left = lines.clone();
            left.remove(without);
            let faults = parse(left.join("\n").as_bytes()).unwrap()[0]
                .faults()
                .join("; ");
            for part in parts {
                assert!(faults.contains(part), "no '{part}' in: {faults}");
            }
        }
        let newer = TEXT.replace("\"record\":1", "\"record\":2");
        let message = format!("{:?}", parse(newer.as_bytes()).unwrap_err());
        assert!(message.contains("version 2, expected 1"), "{message}");
        assert!(parse(b"").is_err());
    }

    proptest! {
        #![proptest_config(cases(2000))]

        /// Whatever is in a record, it ends in a word or a summary.
        #[test]
        fn a_hostile_record_is_told_of(changes in prop::collection::vec(any::<ByteChange>(), 1..6)) {
            if let Ok(runs) = parse(&changed(TEXT.as_bytes(), &changes)) {
                runs.iter().for_each(show::check);
            }
        }
    }
}

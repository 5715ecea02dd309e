//! Cutting a video into segments that can be made apart from one another, on one machine or on many: which there are, and where
//! decoding begins for each. Kept in the folder of the work, so that nobody has to read all of the input again.

use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::video::probe::{Input, Stream, TimeBase};
use crate::video::resume::Lead;
use crate::video::work::JobSettings;

/// Most frames before a segment that are needed for it; see `feed`.
const BEFORE: usize = 24;

/// How a video is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// What the input was when it was cut.
    pub file: FileMark,
    /// What must be the same for it to be used again.
    pub settings: JobSettings,
    /// Time of the first frame in units of the stream, as all others.
    pub start: i64,
    /// The segments, in order.
    pub pieces: Vec<Piece>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Which one, by its time.
    pub number: u64,
    /// Frames of the video before it.
    pub before: u64,
    /// Times of its frames.
    pub times: Vec<i64>,
    /// Times of frames before it, from a key frame on; empty for the first.
    pub lead: Vec<i64>,
}

/// What tells, without reading it, that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    bytes: u64,
    nanoseconds: u128,
}

impl FileMark {
    /// Of the file at `path`, if it is there.
    pub fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            bytes: found.len(),
            nanoseconds: changed.as_nanos(),
        })
    }
}

impl Cut {
    /// Cuts `stream` of `input` into pieces of `length` nanoseconds; `None` where pieces cannot be decoded by themselves: the format has
    /// no index, or not every frame is one packet with a time of its own.
    pub fn make(
        input: &Input,
        stream: &Stream,
        length: i64,
        file: FileMark,
        settings: JobSettings,
    ) -> Option<Self> {
        if !input.has_index() {
            return None;
        }
        let packets = input.shown(stream)?;
        let base = stream.unit();
        let start = packets.first()?.0;
        let number = |time: i64| number(base, time - start, length);
        let mut pieces: Vec<Piece> = Vec::new();
        for (index, &(time, _)) in packets.iter().enumerate() {
            let own = number(time);
            match pieces.last_mut() {
                Some(piece) if piece.number == own => piece.times.push(time),
                _ => {
                    let wanted = pieces
                        .last()
                        .map_or(0, |piece| piece.times.len().min(BEFORE));
                    let key = (0..=index - wanted).rev().find(|&at| packets[at].1);
                    // Whatever the file says of the first, there is none before it.
                    let lead = packets[key.unwrap_or(0)..index].iter();
                    pieces.push(Piece {
                        number: own,
                        before: index as u64,
                        times: vec![time],
                        lead: lead.map(|(time, _)| *time).collect(),
                    });
                }
            }
        }
        Some(Self {
            file,
            settings,
            start,
            pieces,
        })
    }

    /// Where decoding begins for the piece at `place`; `None` for the first.
    pub fn lead(&self, place: usize) -> Option<Lead> {
        let piece = self.pieces.get(place)?;
        let before = self.pieces.get(place.checked_sub(1)?)?;
        let place = (before.number, before.times.len());
        Lead::unverified(piece.lead.clone(), self.start, place, piece.before)
    }
}

/// Number of the segment in which a frame lies whose time is `since` after the first one's.
pub fn number(base: TimeBase, since: i64, length: i64) -> u64 {
    u64::try_from(base.nanoseconds(since) / length).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::video::probe::{Format, Packet};

    fn input(format: &str) -> Input {
        let packet = |number: i64| Packet {
            pts: Some(500 + number * 100 + if number >= 50 { 3000 } else { 0 }),
            duration: 100,
            size: 10,
            key: number % 16 == 0,
            discarded: false,
            corrupt: false,
        };
        let format: Format =
            serde_json::from_value(serde_json::json!({ "format_name": format })).unwrap();
        Input {
            path: "in".into(),
            format,
            streams: vec![Stream {
                time_base: "1/1000".to_owned(),
                ..Stream::default()
            }],
            chapters: Vec::new(),
            packets: vec![(0..60).map(packet).collect()],
            messages: Vec::new(),
        }
    }

    fn cut(format: &str) -> Option<Cut> {
        let input = input(format);
        let mark = FileMark {
            bytes: 1,
            nanoseconds: 2,
        };
        let second = 1_000_000_000;
        Cut::make(&input, &input.streams[0], second, mark, JobSettings::new())
    }

    #[test]
    fn pieces_hold_every_frame_once_and_begin_at_key_frames() {
        let cut = cut("mov,mp4").unwrap();
        assert_eq!(cut.start, 500);
        // Nothing lies in seconds 5 to 7.
        let numbers: Vec<_> = cut.pieces.iter().map(|piece| piece.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 8]);
        assert!(cut.pieces.iter().all(|piece| piece.times.len() == 10));
        assert_eq!(cut.pieces[3].before, 30);
        // Ten frames before 20 are wanted: frame 10, and the key frame before it is the first.
        assert_eq!(cut.pieces[0].lead, [0; 0]);
        assert_eq!(
            (cut.pieces[1].lead.len(), cut.pieces[2].lead.len()),
            (10, 20)
        );
        // Before 30 it is 20, so from 16 on.
        assert_eq!(cut.pieces[3].lead.len(), 14);
        assert_eq!(cut.pieces[3].lead[0], 500 + 1600);
        let lead = cut.lead(3).unwrap();
        assert_eq!((lead.before, lead.segment, lead.in_segment), (30, 2, 10));
        assert!(lead.sought && cut.lead(0).is_none() && !cut.lead(2).unwrap().sought);
    }

    #[test]
    fn what_cannot_be_sought_is_not_cut() {
        assert!(cut("mpegts").is_none());
    }
}

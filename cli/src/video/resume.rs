//! Where decoding begins when a job goes on: at the key frame before the first segment that is missing, if the frames behind it can be
//! known to be those of a run from the start.

use std::collections::BTreeMap;

use crate::video::probe::{Input, Stream};
use crate::video::segment::{self, Record};

/// The last frames before what is missing, from a key frame on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// Time of the key frame in units of the stream, as are all others.
    pub key: i64,
    /// Whether it is not the first of the video.
    pub sought: bool,
    /// Times of the frames from the key frame to the last one that is there.
    pub times: Vec<i64>,
    /// Time of the video's first frame.
    pub start: i64,
    /// Time of the last frame that is there.
    pub last: i64,
    /// Its distance from the one before, if there is one.
    pub step: Option<i64>,
    /// The segment that it belongs to.
    pub segment: u64,
    /// Frames in that segment.
    pub in_segment: usize,
    /// Frames of the video that are there.
    pub before: u64,
    /// sha256 of the last of them as they were decoded.
    tail: Vec<String>,
}

impl Lead {
    /// Finds where to begin for `stream` of `input` when `records` are there; `None` where everything has to be decoded: nothing is
    /// gained, the format has no index, the input has faults, or not every frame is one packet with a time of its own.
    pub fn find(input: &Input, stream: &Stream, records: &BTreeMap<u64, Record>) -> Option<Self> {
        if !input.has_index() {
            return None;
        }
        let mut times = Vec::new();
        let mut last = None;
        for record in records.values() {
            let seen = &record.seen;
            if seen.before != times.len() as u64 || !seen.clean || seen.tail.is_empty() {
                break;
            }
            times.extend(record.times.iter().map(|time| seen.start + time));
            last = Some(record);
        }
        let record = last?;
        let packets = input.shown(stream)?;
        let same =
            packets.len() >= times.len() && times.iter().zip(&packets).all(|(a, (b, _))| a == b);
        if !same {
            return None;
        }
        let compared = record.seen.tail.len().min(times.len());
        let from = (0..=times.len() - compared)
            .rev()
            .find(|&index| packets.get(index).is_some_and(|(_, key)| *key))?;
        if from == 0 {
            return None;
        }
        let last = *times.last()?;
        Some(Self {
            key: times[from],
            sought: true,
            start: record.seen.start,
            last,
            step: times.len().checked_sub(2).map(|at| last - times[at]),
            segment: record.number,
            in_segment: record.times.len(),
            before: times.len() as u64,
            tail: record.seen.tail[record.seen.tail.len() - compared..].to_vec(),
            times: times[from..].to_vec(),
        })
    }

    /// The frames of `times`, the last of which is frame `before` of the video and frame `in_segment` of its segment. What they look like
    /// is not known; whoever joins the pieces compares it. `None` where there are none.
    pub fn unverified(
        times: Vec<i64>,
        start: i64,
        (segment, in_segment): (u64, usize),
        before: u64,
    ) -> Option<Self> {
        let end = *times.last()?;
        Some(Self {
            key: *times.first()?,
            sought: times.first() != Some(&start),
            start,
            last: end,
            step: times.len().checked_sub(2).map(|at| end - times[at]),
            segment,
            in_segment,
            before,
            tail: Vec::new(),
            times,
        })
    }

    /// Whether `data` is the frame of `self.times[number]` as it was decoded the first time, as far as that is known.
    pub fn fits(&self, number: usize, data: &[u8]) -> bool {
        let unknown = self.times.len() - self.tail.len();
        number < unknown || self.tail[number - unknown] == segment::hash(data)
    }
}

/// Removes from `records` each one that was made by itself and did not begin behind the very frames with which the one before it ends;
/// gives their numbers.
pub fn remove_strangers(records: &mut BTreeMap<u64, Record>) -> Vec<u64> {
    let mut strangers = Vec::new();
    let mut before: Option<&Record> = None;
    for record in records.values() {
        let lead = &record.seen.lead;
        if let Some(before) = before
            .filter(|before| before.seen.before + before.times.len() as u64 == record.seen.before)
            && !lead.is_empty()
        {
            let count = lead.len().min(before.seen.tail.len());
            let tail = &before.seen.tail[before.seen.tail.len() - count..];
            if &lead[lead.len() - count..] != tail || before.seen.start != record.seen.start {
                strangers.push(record.number);
            }
        }
        before = Some(record);
    }
    for number in &strangers {
        records.remove(number);
    }
    strangers
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::video::probe::{Format, Packet};
    use crate::video::segment::Seen;

    /// Forty frames at 100, 110 ..., a key frame every eight, two of them out of order.
    fn input(format: &str) -> Input {
        let mut packets: Vec<_> = (0..40)
            .map(|number| Packet {
                pts: Some(100 + number * 10),
                duration: 10,
                size: 10,
                key: number % 8 == 0,
                discarded: false,
                corrupt: false,
            })
            .collect();
        packets.swap(3, 4);
        let format: Format =
            serde_json::from_value(serde_json::json!({ "format_name": format })).unwrap();
        Input {
            path: "in".into(),
            format,
            streams: vec![Stream::default()],
            chapters: Vec::new(),
            packets: vec![packets],
            messages: Vec::new(),
        }
    }

    /// Segments of ten frames.
    fn record(number: u64) -> (u64, Record) {
        let first = number as i64 * 100;
        let tail = (0..4).map(|index| segment::hash(&[number as u8 * 10 + 6 + index]));
        let record = Record {
            number,
            caps: String::new(),
            times: (0..10).map(|index| first + index * 10).collect(),
            packets: Vec::new(),
            sha256: String::new(),
            frames_with_faces: 0,
            most_faces: 0,
            kinds: Vec::new(),
            provider: String::new(),
            size: (0, 0),
            seen: Seen {
                before: number * 10,
                start: 100,
                tail: tail.collect(),
                clean: true,
                ..Seen::default()
            },
            audit: None,
            followed: 0,
        };
        (number, record)
    }

    fn find(input: &Input, records: &BTreeMap<u64, Record>) -> Option<Lead> {
        Lead::find(input, &input.streams[0], records)
    }

    #[test]
    fn decoding_begins_at_the_key_frame_before() {
        let records: BTreeMap<_, _> = [record(0), record(1)].into();
        let lead = find(&input("mov,mp4,m4a,3gp,3g2,mj2"), &records).unwrap();
        // Frame 16 is the last key frame from which on all four frames of the tail come.
        assert_eq!((lead.key, lead.last, lead.step), (260, 290, Some(10)));
        assert_eq!(lead.times, [260, 270, 280, 290]);
        assert_eq!((lead.segment, lead.in_segment, lead.before), (1, 10, 20));
        assert!(lead.fits(0, &[16]) && lead.fits(3, &[19]) && !lead.fits(3, &[18]));
        let lead = find(
            &input("matroska,webm"),
            &[record(0), record(1), record(2)].into(),
        );
        let lead = lead.unwrap();
        // Two frames of four are known: from 24 on.
        assert_eq!((lead.key, lead.times.len()), (340, 6));
        assert!(lead.fits(1, &[99]) && !lead.fits(2, &[99]) && lead.fits(2, &[26]));
    }

    #[test]
    fn pieces_that_do_not_fit_are_made_again() {
        let all = || BTreeMap::from([record(0), record(1), record(2)]);
        let mut records = all();
        let tail = records[&0].seen.tail.clone();
        // More frames are known of one than of the other.
        records.get_mut(&1).unwrap().seen.lead = tail[1..].to_vec();
        assert!(remove_strangers(&mut records).is_empty());
        records.get_mut(&1).unwrap().seen.lead[2] = "other".to_owned();
        assert_eq!(remove_strangers(&mut records), [1]);
        assert_eq!(records.len(), 2);
        // What is behind a gap cannot be compared yet.
        records.get_mut(&2).unwrap().seen.lead = vec!["other".to_owned()];
        assert!(remove_strangers(&mut records).is_empty());
    }

    #[test]
    fn what_is_not_known_to_be_the_same_is_decoded_from_the_start() {
        let mp4 = input("mov,mp4");
        let all = || BTreeMap::from([record(0), record(1)]);
        assert!(find(&mp4, &all()).is_some());
        assert!(find(&input("avi"), &all()).is_none());
        assert!(find(&mp4, &BTreeMap::new()).is_none());
        // The only key frame before is the first.
        assert!(find(&mp4, &[record(0)].into()).is_none());
        // Segment 1 is missing: only what lies before it counts.
        let gap = BTreeMap::from([record(0), record(2), record(3)]);
        assert!(find(&mp4, &gap).is_none());
        let mut faulty = all();
        faulty.get_mut(&1).unwrap().seen.clean = false;
        assert!(find(&mp4, &faulty).is_none());
        let mut moved = all();
        moved.get_mut(&1).unwrap().times[5] += 1;
        assert!(find(&mp4, &moved).is_none());
        for change in [
            |packet: &mut Packet| packet.pts = None,
            |packet: &mut Packet| packet.discarded = true,
            |packet: &mut Packet| packet.pts = Some(430),
        ] {
            let mut other = input("mov,mp4");
            change(&mut other.packets[0][12]);
            assert!(find(&other, &all()).is_none());
        }
    }
}

//! The files of finished segments: packets one after the other, and beside them a record in JSON that says what they are.
//! A segment counts once its record has its name.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::failure::{Failure, Result};
use crate::summary::KindCount;

/// Most bytes of a record that are read: days of video are a few megabytes.
const MOST: u64 = 1 << 28;

/// A packet in a segment's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, i64, i64, bool)", into = "(u64, i64, i64, bool)")]
pub struct PacketRecord {
    /// Bytes.
    pub size: u64,
    /// Time of presentation in nanoseconds after the first frame of the video.
    pub time: i64,
    /// Time of decoding, likewise.
    pub decode: i64,
    /// Whether decoding can begin with it.
    pub key: bool,
}

impl From<(u64, i64, i64, bool)> for PacketRecord {
    fn from((size, time, decode, key): (u64, i64, i64, bool)) -> Self {
        Self {
            size,
            time,
            decode,
            key,
        }
    }
}

impl From<PacketRecord> for (u64, i64, i64, bool) {
    fn from(packet: PacketRecord) -> Self {
        (packet.size, packet.time, packet.decode, packet.key)
    }
}

/// What was seen of the input while the frames of a segment were decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Frames of the video before the segment.
    pub before: u64,
    /// Time of the video's first frame in units of the input's stream.
    pub start: i64,
    /// sha256 of the segment's last frames as they were decoded, in order.
    pub tail: Vec<String>,
    /// Of a segment that was made by itself, sha256 of the last frames before it.
    #[serde(default)]
    pub lead: Vec<String>,
    /// Frames that were made of two fields.
    pub interlaced: u64,
    /// Sizes of frames and how many had each.
    pub sizes: Vec<((u32, u32), u64)>,
    /// Whether, from the start of the video to the end of the segment, nothing was wrong with the input and every frame had a time
    /// of its own. Only then may a job that goes on leave all of it undecoded.
    pub clean: bool,
}

impl Seen {
    /// Counts frames of a size.
    pub fn count(&mut self, size: (u32, u32), frames: u64) {
        match self.sizes.iter_mut().find(|(known, _)| *known == size) {
            Some((_, count)) => *count += frames,
            None => self.sizes.push((size, frames)),
        }
    }
}

/// What a segment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which one, from 0.
    pub number: u64,
    /// Caps of the packets.
    pub caps: String,
    /// Times of the frames in units of the input's stream, after the first frame of the video.
    pub times: Vec<i64>,
    /// The packets in the order of the file.
    pub packets: Vec<PacketRecord>,
    /// Of the file.
    pub sha256: String,
    /// Frames that had at least one face.
    pub frames_with_faces: u64,
    /// Most faces in a frame.
    pub most_faces: u64,
    /// The same of other kinds of objects that were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<KindCount>,
    /// Where the networks ran.
    pub provider: String,
    /// Width and height of the pictures.
    pub size: (u32, u32),
    /// What was seen of the input.
    pub seen: Seen,
    /// sha256 of the record of what was drawn by what, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
    /// Frames before it that were only followed.
    #[serde(default)]
    pub followed: u64,
}

/// The file that holds the record of what of a segment was drawn by what.
pub fn audit_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}.audit"))
}

/// The file of a segment and that of its record.
pub fn paths(folder: &Path, number: u64) -> (PathBuf, PathBuf) {
    (
        folder.join(format!("{number:06}.packets")),
        folder.join(format!("{number:06}.json")),
    )
}

/// A segment being written.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<NamedTempFile>,
    hash: Sha256,
    packets: Vec<PacketRecord>,
    caps: String,
    folder: PathBuf,
    number: u64,
    target: String,
    /// Where the engine's record is written meanwhile, if one is wanted.
    audit: Option<NamedTempFile>,
}

/// The user's words for a file that cannot be written.
pub fn cannot_write(target: &str, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot write {target}: {error}"))
}

impl Writer {
    /// Begins segment `number` in `folder`, for the file `target`; `audited` if there is a record of what is drawn by what.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it cannot be written.
    pub fn create(folder: &Path, number: u64, target: &str, audited: bool) -> Result<Self> {
        // Two processes may make the same segment; each writes a file of its own, and both are the same in the end.
        let make = || NamedTempFile::new_in(folder).map_err(|error| cannot_write(target, &error));
        let file = make()?;
        let audit = audited.then(make).transpose()?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, file),
            hash: Sha256::new(),
            packets: Vec::new(),
            caps: String::new(),
            folder: folder.to_owned(),
            number,
            target: target.to_owned(),
            audit,
        })
    }

    /// Takes the caps of the packets; the first ones hold.
    pub fn describe(&mut self, caps: &str) {
        if self.caps.is_empty() {
            caps.clone_into(&mut self.caps);
        }
    }

    /// Appends a packet.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it cannot be written.
    pub fn write(&mut self, data: &[u8], packet: PacketRecord) -> Result<()> {
        self.file
            .write_all(data)
            .map_err(|error| cannot_write(&self.target, &error))?;
        self.hash.update(data);
        self.packets.push(packet);
        Ok(())
    }

    /// Where the engine's record is to be written, if one is wanted.
    pub fn audit(&self) -> Option<&Path> {
        self.audit.as_ref().map(NamedTempFile::path)
    }

    /// Packets so far.
    pub fn packets(&self) -> usize {
        self.packets.len()
    }

    /// Makes the segment count: everything is on the disk before the record gets its name. `fill` adds what the writer does
    /// not know.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it cannot be written.
    pub fn finish(self, fill: impl FnOnce(&mut Record)) -> Result<Record> {
        let failed = |error: std::io::Error| cannot_write(&self.target, &error);
        let (packets, path) = paths(&self.folder, self.number);
        let mut record = Record {
            number: self.number,
            caps: self.caps,
            times: Vec::new(),
            packets: self.packets,
            sha256: hex(&self.hash.finalize()),
            frames_with_faces: 0,
            most_faces: 0,
            kinds: Vec::new(),
            provider: String::new(),
            size: (0, 0),
            seen: Seen::default(),
            audit: None,
            followed: 0,
        };
        fill(&mut record);
        if let Some(audit) = self.audit {
            let sum = sha256(audit.path(), || false).map_err(failed)?;
            audit.as_file().sync_all().map_err(failed)?;
            let path = audit_path(&self.folder, self.number);
            audit.persist(path).map_err(|error| failed(error.error))?;
            record.audit = Some(sum);
        }
        let file = self
            .file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(packets).map_err(|error| failed(error.error))?;
        write_sealed(&path, &record).map_err(failed)?;
        Ok(record)
    }
}

/// Writes `value` as JSON under a name that only a complete file has.
///
/// # Errors
/// Those of the file system.
pub fn write_whole(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    write_bytes(path, &serde_json::to_vec(value)?)
}

/// The same with a line behind it that has its sum: a job goes on by what it says.
///
/// # Errors
/// Those of the file system.
pub fn write_sealed(path: &Path, value: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    let seal = format!("\n{}\n", hash(&text));
    text.extend(seal.into_bytes());
    write_bytes(path, &text)
}

/// What [`write_sealed`] wrote, if it is there and undamaged.
pub fn read_sealed<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MOST).read_to_end(&mut text).ok()?;
    let text = text.strip_suffix(b"\n")?;
    let end = text.iter().rposition(|byte| *byte == b'\n')?;
    let (text, seal) = (&text[..end], &text[end + 1..]);
    (hash(text).as_bytes() == seal).then_some(())?;
    serde_json::from_slice(text).ok()
}

fn write_bytes(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // A name is on the disk when its folder is.
    File::open(folder)?.sync_all()
}

/// sha256 of `data`, in hexadecimal digits.
pub fn hash(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

/// Hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// sha256 of a file.
///
/// # Errors
/// Those of the file system, and [`std::io::ErrorKind::Interrupted`] where `stop` says so.
pub fn sha256(path: &Path, stop: impl Fn() -> bool) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut block = vec![0; 1 << 20];
    loop {
        if stop() {
            return Err(std::io::Error::from(std::io::ErrorKind::Interrupted));
        }
        let count = reader.read(&mut block)?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&block[..count]);
    }
}

/// The record of a segment that is complete and undamaged.
pub fn read(folder: &Path, number: u64) -> Option<Record> {
    let (packets, path) = paths(folder, number);
    let record: Record = read_sealed(&path)?;
    let whole = record.number == number
        && !record.packets.is_empty()
        // To its end whatever the user asks: a segment that does not count is one that is removed.
        && sha256(&packets, || false).ok()? == record.sha256
        && record.audit.as_ref().is_none_or(|sum| {
            let found = sha256(&audit_path(folder, number), || false);
            found.is_ok_and(|found| found == *sum)
        });
    whole.then_some(record)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use crate::cases::cases;
    use proptest::prelude::*;
    use srfusion::testing::changed;

    use super::*;

    proptest! {
        #![proptest_config(cases(300))]

        /// Whatever becomes of the files of a segment, it is taken as it was made or not at all.
        #[test]
        fn a_hostile_segment_does_not_count(
            of_packets in any::<bool>(),
            changes in prop::collection::vec(any::<srfusion::testing::ByteChange>(), 1..6),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = Writer::create(folder.path(), 3, "out.mp4", false).unwrap();
            for size in [5, 7] {
                let packet = PacketRecord { size, time: 40_000_000, decode: 0, key: true };
                writer.write(&vec![9; size as usize], packet).unwrap();
            }
            let record = writer.finish(|record| record.times = vec![7, 9]).unwrap();
            let (packets, json) = paths(folder.path(), 3);
            let path = if of_packets { packets } else { json };
            let whole = fs::read(&path).unwrap();
            let damaged = changed(&whole, &changes);
            fs::write(&path, &damaged).unwrap();
            let found = read(folder.path(), 3);
            prop_assert_eq!(found, (damaged == whole).then_some(record));
        }
    }

    #[test]
    fn only_a_complete_segment_counts() {
        let folder = tempfile::tempdir().unwrap();
        let packet = |size: usize| PacketRecord {
            size: size as u64,
            time: 40_000_000,
            decode: 0,
            key: true,
        };
        let mut writer = Writer::create(folder.path(), 3, "out.mp4", false).unwrap();
        writer.describe("video/x-h264");
        writer.write(b"abc", packet(3)).unwrap();
        assert!(read(folder.path(), 3).is_none());
        let record = writer.finish(|record| record.times = vec![7]).unwrap();
        assert_eq!(read(folder.path(), 3).unwrap(), record);
        assert_eq!(
            record.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        // Whatever is cut off or changed, it does not count.
        let (packets, json) = paths(folder.path(), 3);
        fs::write(&packets, b"abd").unwrap();
        assert!(read(folder.path(), 3).is_none());
        fs::write(&packets, b"abc").unwrap();
        let text = fs::read(&json).unwrap();
        fs::write(&json, &text[..text.len() / 2]).unwrap();
        assert!(read(folder.path(), 3).is_none());
    }
}

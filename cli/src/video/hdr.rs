//! HDR's static fields, the mastering display and the light level: read from the input, written into the file of the finished track,
//! from which ffmpeg takes them over. GStreamer's MP4 muxer (1.22) does not write them, and its Matroska muxer writes wrong ones.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::video::probe::SideData;
use crate::video::segment::cannot_write;

/// The fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hdr {
    /// x and y of red, green, blue and white in fifty-thousandths, largest and smallest luminance in ten-thousandths of cd/m2.
    pub mastering: Option<[u32; 10]>,
    /// Largest light level of a pixel and of a frame's mean, in cd/m2.
    pub light: Option<[u32; 2]>,
}

impl Hdr {
    /// What is in the side data of a frame or a stream.
    pub fn of(side_data: &[SideData]) -> Self {
        let mut found = Self::default();
        for data in side_data {
            let read = |name: &str, unit: i64| -> Option<u32> {
                let text = match data.get(name)? {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let (a, b): (i64, i64) = match text.split_once('/') {
                    Some((a, b)) => (a.parse().ok()?, b.parse().ok()?),
                    None => (text.parse().ok()?, 1),
                };
                let value = i128::from(a) * i128::from(unit);
                u32::try_from(value.checked_div(i128::from(b))?).ok()
            };
            let mastering = || -> Option<[u32; 10]> {
                let mut fields = [0; 10];
                let colours = ["red", "green", "blue", "white_point"];
                for (place, colour) in colours.iter().enumerate() {
                    fields[2 * place] = read(&format!("{colour}_x"), 50_000)?;
                    fields[2 * place + 1] = read(&format!("{colour}_y"), 50_000)?;
                }
                fields[8] = read("max_luminance", 10_000)?;
                fields[9] = read("min_luminance", 10_000)?;
                Some(fields)
            };
            let light = || Some([read("max_content", 1)?, read("max_average", 1)?]);
            found.mastering = found.mastering.or_else(mastering);
            found.light = found.light.or_else(light);
        }
        found
    }

    /// What of it `other` has not, as people call it.
    pub fn missing_in(&self, other: &Self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        // Denominators differ from format to format.
        let near = |a: &[u32], b: &[u32]| {
            a.iter()
                .zip(b)
                .all(|(a, b)| a.abs_diff(*b) <= 2.max(a / 1000))
        };
        if let Some(own) = &self.mastering
            && !other.mastering.is_some_and(|other| near(own, &other))
        {
            missing.push("mastering display");
        }
        if let Some(own) = &self.light
            && !other.light.is_some_and(|other| near(own, &other))
        {
            missing.push("light level");
        }
        missing
    }

    /// The boxes `mdcv` and `clli` of MP4.
    fn boxes(&self) -> Vec<u8> {
        let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
        let mut all = Vec::new();
        if let Some([rx, ry, gx, gy, bx, by, wx, wy, max, min]) = self.mastering {
            all.extend(32_u32.to_be_bytes());
            all.extend(b"mdcv");
            // Green, blue, red.
            for value in [gx, gy, bx, by, rx, ry, wx, wy] {
                all.extend(short(value));
            }
            all.extend(max.to_be_bytes());
            all.extend(min.to_be_bytes());
        }
        if let Some([content, average]) = self.light {
            all.extend(12_u32.to_be_bytes());
            all.extend(b"clli");
            all.extend(short(content));
            all.extend(short(average));
        }
        all
    }

    /// Puts the fields into the MP4 or QuickTime file of one track at `path`.
    ///
    /// # Errors
    /// [`Failure::Failed`] if the file is no such file, or cannot be written.
    pub fn insert(&self, path: &Path) -> Result<()> {
        let boxes = self.boxes();
        if boxes.is_empty() {
            return Ok(());
        }
        let name = path.display().to_string();
        let failed = |error: std::io::Error| cannot_write(&name, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        let (start, mut moov) = last_moov(&mut file).map_err(failed)?.ok_or_else(|| {
            Failure::Failed(format!(
                "{name} does not end with its description; this is a fault of srfusion or of GStreamer"
            ))
        })?;
        extend(&mut moov, &boxes).ok_or_else(|| {
            Failure::Failed(format!(
                "{name} describes no video; this is a fault of srfusion or of GStreamer"
            ))
        })?;
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        file.write_all(&moov).map_err(failed)
    }
}

/// The box `moov` that is the last of a file, and where it begins: what lies before it keeps its place then.
fn last_moov(file: &mut File) -> std::io::Result<Option<(u64, Vec<u8>)>> {
    let length = file.metadata()?.len();
    let mut at = 0;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 16];
        let count = file.read(&mut header)?;
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        let size = match word(0) {
            1 if count == 16 => u64::from(word(8)) << 32 | u64::from(word(12)),
            0 => length - at,
            size => u64::from(size),
        };
        if &header[4..8] == b"moov" && at + size == length {
            let mut moov = Vec::new();
            file.seek(SeekFrom::Start(at))?;
            file.read_to_end(&mut moov)?;
            return Ok(Some((at, moov)));
        }
        if size < 8 {
            return Ok(None);
        }
        at += size;
    }
    Ok(None)
}

/// Appends `boxes` to the description of the first track's samples.
fn extend(moov: &mut Vec<u8>, boxes: &[u8]) -> Option<()> {
    // Places of the boxes that grow, from the outermost on.
    let mut grown = vec![0];
    let (mut from, mut end) = (8, moov.len());
    for kind in [b"trak", b"mdia", b"minf", b"stbl", b"stsd"] {
        let (start, size) = find(moov, from, end, kind)?;
        grown.push(start);
        (from, end) = (start + 8, start + size);
    }
    // Version, flags and number of entries; the first entry.
    let entry = from + 8;
    let size = box_size(moov, entry)?;
    grown.push(entry);
    let more = u32::try_from(boxes.len()).ok()?;
    for place in grown {
        let size = u32::try_from(box_size(moov, place)?).ok()?;
        let size = size.checked_add(more)?.to_be_bytes();
        moov.get_mut(place..place + 4)?.copy_from_slice(&size);
    }
    let at = entry + size;
    (at <= moov.len()).then(|| {
        moov.splice(at..at, boxes.iter().copied());
    })
}

/// Length of the box at `at`.
fn box_size(data: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; 4] = data.get(at..at + 4)?.try_into().ok()?;
    let size = u32::from_be_bytes(bytes) as usize;
    (size >= 8).then_some(size)
}

/// The first box of a kind between two places: where it begins and how long it is.
fn find(data: &[u8], mut from: usize, end: usize, kind: &[u8; 4]) -> Option<(usize, usize)> {
    while from + 8 <= end {
        let size = box_size(data, from)?;
        if data.get(from + 4..from + 8)? == kind {
            return Some((from, size));
        }
        from += size;
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fields() -> Hdr {
        Hdr {
            mastering: Some([
                34_000, 16_000, 13_250, 34_500, 7_500, 3_000, 15_635, 16_450, 10_000_000, 50,
            ]),
            light: Some([1000, 400]),
        }
    }

    #[test]
    fn fields_are_read_as_ffprobe_tells_them() {
        let data: SideData = serde_json::from_str(
            r#"{"red_x":"34000/50000","red_y":"16000/50000","green_x":"13250/50000","green_y":"34500/50000","blue_x":"7500/50000",
            "blue_y":"3000/50000","white_point_x":"15635/50000","white_point_y":"16450/50000","min_luminance":"50/10000",
            "max_luminance":"10000000/10000"}"#,
        )
        .unwrap();
        let light: SideData =
            serde_json::from_str(r#"{"max_content": 1000, "max_average": 400}"#).unwrap();
        assert_eq!(Hdr::of(&[data.clone(), light]), fields());
        assert_eq!(Hdr::of(&[data]).light, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = Hdr::default();
        assert!(none.missing_in(&none).is_empty());
        assert_eq!(fields().missing_in(&fields()), [""; 0]);
        assert_eq!(
            fields().missing_in(&none),
            ["mastering display", "light level"]
        );
        let mut other = fields();
        // A fifth of the luminance, as GStreamer's Matroska muxer writes it.
        other.mastering.as_mut().unwrap()[8] = 2_000_000;
        assert_eq!(fields().missing_in(&other), ["mastering display"]);
    }

    #[test]
    fn boxes_are_put_behind_the_first_sample_entry() {
        let boxed = |kind: &[u8; 4], content: &[u8]| -> Vec<u8> {
            let size = u32::try_from(content.len() + 8).unwrap();
            [&size.to_be_bytes(), kind.as_slice(), content].concat()
        };
        let entry = boxed(b"avc1", b"0123456789");
        let describe = |entry: &[u8]| {
            let stsd = boxed(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], entry].concat());
            let stbl = boxed(b"stbl", &[stsd, boxed(b"stts", b"abcd")].concat());
            let minf = boxed(b"minf", &[boxed(b"vmhd", b""), stbl].concat());
            let mdia = boxed(b"mdia", &[boxed(b"mdhd", b"x"), minf].concat());
            boxed(
                b"moov",
                &[boxed(b"mvhd", b"yy"), boxed(b"trak", &mdia)].concat(),
            )
        };
        let before = [boxed(b"ftyp", b"isom"), boxed(b"mdat", b"pictures")].concat();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [before.clone(), describe(&entry)].concat()).unwrap();
        fields().insert(file.path()).unwrap();
        let longer = boxed(
            b"avc1",
            &[b"0123456789".as_slice(), &fields().boxes()].concat(),
        );
        let wanted = [before.clone(), describe(&longer)].concat();
        assert_eq!(std::fs::read(file.path()).unwrap(), wanted);

        // Never where offsets would have to move.
        let other = [describe(&entry), before].concat();
        std::fs::write(file.path(), &other).unwrap();
        assert!(fields().insert(file.path()).is_err());
        assert_eq!(std::fs::read(file.path()).unwrap(), other);
    }
}

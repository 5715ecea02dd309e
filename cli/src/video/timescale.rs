//! The time units of the video track of an MP4 or QuickTime file, read from its boxes: GStreamer gives times in
//! nanoseconds, and only with the same units they come out of the output's file as they were in the input's.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Units per second for inputs that are not MP4: a multiple of milliseconds (Matroska), of 1/90000 s (MPEG) and of the
/// common frame rates, and small enough for three hours in 32 bits.
pub const COMMON: u32 = 360_000;

/// Most that is read of the description of a file, in bytes; an hour's is some megabytes.
const LONGEST: u64 = 256 << 20;

/// Units per second of the first video track of the file at `path`; `None` if it is not MP4 or cannot be read.
pub fn of(path: &Path) -> Option<u32> {
    let mut file = File::open(path).ok()?;
    let moov = find_top(&mut file, b"moov")?;
    tracks(&moov).find_map(|track| {
        let media = child(track, b"mdia")?;
        let handler = child(media, b"hdlr")?.get(8..12)?;
        if handler != b"vide" {
            return None;
        }
        let header = child(media, b"mdhd")?;
        // Version 1 has two times of 64 bits before the units, version 0 two of 32.
        let at = if *header.first()? == 1 { 20 } else { 12 };
        let units = u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?);
        (units > 0).then_some(units)
    })
}

/// Length and type of the box that begins with `start`, and the length of its header.
fn header(start: &[u8]) -> Option<(u64, [u8; 4], u64)> {
    let short = u32::from_be_bytes(start.get(..4)?.try_into().ok()?);
    let kind = start.get(4..8)?.try_into().ok()?;
    if short == 1 {
        return Some((
            u64::from_be_bytes(start.get(8..16)?.try_into().ok()?),
            kind,
            16,
        ));
    }
    Some((short.into(), kind, 8))
}

/// Content of the first top-level box of `wanted` type.
fn find_top(file: &mut File, wanted: &[u8; 4]) -> Option<Vec<u8>> {
    let end = file.metadata().ok()?.len();
    let mut at = 0;
    while at + 8 <= end {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut start = Vec::new();
        file.by_ref().take(16).read_to_end(&mut start).ok()?;
        let (length, kind, skip) = header(&start)?;
        // A length of zero reaches to the end of the file.
        let length = if length == 0 { end - at } else { length };
        if at == 0 && !kind.iter().all(|c| c.is_ascii_graphic() || *c == b' ') {
            return None;
        }
        if length < skip {
            return None;
        }
        if &kind == wanted {
            let content = length - skip;
            if content > LONGEST {
                return None;
            }
            file.seek(SeekFrom::Start(at + skip)).ok()?;
            let mut data = Vec::new();
            file.by_ref().take(content).read_to_end(&mut data).ok()?;
            return Some(data);
        }
        at = at.checked_add(length)?;
    }
    None
}

/// The boxes inside `content`.
fn children(content: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (length, kind, skip) = header(rest)?;
        let length = usize::try_from(length).ok()?;
        let inner = rest.get(usize::try_from(skip).ok()?..length)?;
        rest = rest.get(length..)?;
        Some((kind, inner))
    })
}

fn child<'a>(content: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    children(content)
        .find(|(kind, _)| kind == wanted)
        .map(|(_, inner)| inner)
}

fn tracks(moov: &[u8]) -> impl Iterator<Item = &[u8]> {
    children(moov)
        .filter(|(kind, _)| kind == b"trak")
        .map(|(_, inner)| inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 8).unwrap();
        [&length.to_be_bytes(), kind.as_slice(), content].concat()
    }

    fn track(handler: &[u8; 4], version: u8, units: u32) -> Vec<u8> {
        let mut header = vec![version; 1];
        header.resize(if version == 1 { 20 } else { 12 }, 0);
        header.extend(units.to_be_bytes());
        let handler = [&[0; 8], handler.as_slice(), &[0; 12]].concat();
        boxed(
            b"trak",
            &boxed(
                b"mdia",
                &[boxed(b"mdhd", &header), boxed(b"hdlr", &handler)].concat(),
            ),
        )
    }

    #[test]
    fn the_video_track_counts() {
        let path = std::env::temp_dir().join(format!("srfusion-units-{}.mp4", std::process::id()));
        for version in [0, 1] {
            let tracks = [track(b"soun", 0, 44100), track(b"vide", version, 11988)].concat();
            let file = [
                boxed(b"ftyp", b"isom"),
                boxed(b"mdat", &[7; 99]),
                boxed(b"moov", &tracks),
            ]
            .concat();
            std::fs::write(&path, &file).unwrap();
            assert_eq!(of(&path), Some(11988));
            // Whatever is cut off or overwritten, reading ends.
            for end in 0..file.len() {
                std::fs::write(&path, &file[..end]).unwrap();
                let _ = of(&path);
            }
        }
        std::fs::write(&path, b"\x1a\x45\xdf\xa3 this is Matroska").unwrap();
        assert_eq!(of(&path), None);
        std::fs::remove_file(&path).unwrap();
    }
}

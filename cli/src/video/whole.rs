//! Whether a file is whole, by the lengths that its outermost parts give: ffmpeg reads what is there of a file that was cut off,
//! without a word in some formats.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Types of boxes that a file begins with.
const BOXES: [&[u8; 4]; 9] = [
    b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof",
];

/// Tells what is missing of the file at `path`; nothing where all is there, or its format has no such lengths.
pub fn missing(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut start = [0; 12];
    file.read_exact(&mut start).ok()?;
    let wanted = if &start[..4] == b"RIFF" {
        let said = u32::from_le_bytes(start[4..8].try_into().ok()?);
        // A recorder that was cut off may have written none.
        (said > 0 && said < u32::MAX).then(|| u64::from(said) + 8)?
    } else if BOXES.iter().any(|kind| start[4..8] == **kind) {
        end_of_boxes(&mut file, length)?
    } else {
        return None;
    };
    (wanted > length).then(|| {
        format!(
            "the input was cut off: it says that it has {wanted} bytes, and ends after {length}"
        )
    })
}

/// Where the last box of an MP4 or QuickTime file ends.
fn end_of_boxes(file: &mut File, length: u64) -> Option<u64> {
    let mut at = 0;
    let (mut fragments, mut data) = (0_u64, 0_u64);
    while at < length {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut header = [0; 16];
        let count = file.read(&mut header).ok()?;
        if count < 8 {
            return Some(at + 8);
        }
        let short = u32::from_be_bytes(header[..4].try_into().ok()?);
        let size = match short {
            0 => length - at,
            1 if count == 16 => u64::from_be_bytes(header[8..].try_into().ok()?),
            size => u64::from(size),
        };
        if size < 8 {
            return None;
        }
        fragments += u64::from(&header[4..8] == b"moof");
        data += u64::from(&header[4..8] == b"mdat");
        at = at.checked_add(size)?;
    }
    // A fragment's description whose data never came.
    Some(if fragments > data { at + 8 } else { at })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(data: &[u8]) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), data).unwrap();
        missing(file.path())
    }

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 8).unwrap();
        [&length.to_be_bytes(), kind.as_slice(), content].concat()
    }

    #[test]
    fn a_cut_is_seen_wherever_it_is() {
        let file = [
            boxed(b"ftyp", b"isomxxxx"),
            boxed(b"moov", &[0; 20]),
            boxed(b"moof", &[1; 9]),
            boxed(b"mdat", &[7; 99]),
        ]
        .concat();
        assert_eq!(check(&file), None);
        for end in [13, 20, 30, 50, 70, 100] {
            assert!(check(&file[..end]).is_some() || end == 16, "{end}");
        }
        let mut riff = [b"RIFF".as_slice(), &92_u32.to_le_bytes(), b"AVI ", &[0; 88]].concat();
        assert_eq!(check(&riff), None);
        riff.truncate(60);
        assert!(check(&riff).unwrap().contains("100 bytes"));
        assert_eq!(check(b"\x1a\x45\xdf\xa3 this is Matroska"), None);
        assert_eq!(check(b"short"), None);
    }
}

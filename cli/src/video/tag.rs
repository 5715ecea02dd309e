//! The statement of `mark` in a video's file: tags that ffmpeg's muxers write, and of MP4 and QuickTime an XMP packet in a box of its own.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::mark::Statement;
use crate::video::container::Container;
use crate::video::probe::Tags;

/// The kind of a box whose content is XMP (ISO 16684-3).
const XMP: [u8; 16] = [
    0xbe, 0x7a, 0xcf, 0xcb, 0x97, 0xa9, 0x42, 0xe8, 0x9c, 0x71, 0x99, 0x94, 0x91, 0xe3, 0xaf, 0xac,
];

/// Whether `container` is made of boxes.
pub fn has_boxes(container: &Container) -> bool {
    matches!(container.muxer, "mp4" | "mov")
}

/// The tags that say it, of a file whose input has `tags`. Those of the input are kept: MP4 and QuickTime have names of their own for few
/// tags, of which one that is free is taken, if any is.
pub fn tags(
    statement: &Statement,
    container: &Container,
    tags: &Tags,
) -> Vec<(&'static str, String)> {
    let has = |name: &str| tags.keys().any(|key| key.eq_ignore_ascii_case(name));
    let text = statement.text();
    if has_boxes(container) {
        let free: &[_] = match container.muxer {
            "mov" => &["comment"],
            _ => &["comment", "description", "synopsis"],
        };
        let name = free.iter().find(|name| !has(name));
        return name.map(|name| (*name, text)).into_iter().collect();
    }
    let source = statement.source_type();
    let mut all = vec![("SRFUSION", text)];
    all.extend(source.map(|source| ("DIGITAL_SOURCE_TYPE", source)));
    all
}

/// Appends the XMP packet to the file at `path`, which is made of boxes, as one that all readers of such files pass over who do not know it.
///
/// # Errors
/// [`Failure::Failed`] if it cannot be written.
pub fn append_xmp(path: &Path, statement: &Statement) -> Result<()> {
    let packet = statement.xmp();
    let length = (8 + XMP.len() + packet.len()) as u32;
    let whole = [&length.to_be_bytes()[..], b"uuid", &XMP, packet.as_bytes()].concat();
    File::options()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(&whole))
        .map_err(|error| Failure::Failed(format!("the marks cannot be written: {error}")))
}

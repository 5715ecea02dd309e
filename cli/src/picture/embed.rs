//! XMP in pictures, for formats whose encoders do not write it: put between the first bytes of PNG and JPEG as they are written, and into a
//! tag of TIFF.

use std::io::{Result, Seek, SeekFrom, Write};

use image::{DynamicImage, ImageFormat};
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

/// Bytes of a PNG before its second chunk: the signature and the header.
const PNG_HEAD: usize = 8 + 25;
/// Bytes of a JPEG before its third segment: the start, and the header of JFIF.
const JPEG_HEAD: usize = 2 + 18;
/// Most bytes of a segment of a JPEG, its length included.
const LONGEST_SEGMENT: usize = 65_535;
/// TIFF's tag for XMP.
const TIFF_XMP: u16 = 700;

/// What is to be put into a file of `format` that `xmp` is in it, and behind how many of its bytes; `None` where that is no way to do it.
fn insertion(format: ImageFormat, xmp: &str) -> Option<(usize, Vec<u8>)> {
    match format {
        ImageFormat::Png => {
            // Not compressed, no language, no translation.
            let body = [
                b"iTXtXML:com.adobe.xmp\0\0\0\0\0".as_slice(),
                xmp.as_bytes(),
            ]
            .concat();
            let length = u32::try_from(body.len() - 4).ok()?.to_be_bytes();
            let sum = crc32fast::hash(&body).to_be_bytes();
            Some((PNG_HEAD, [&length[..], &body, &sum].concat()))
        }
        ImageFormat::Jpeg => {
            let body = [b"http://ns.adobe.com/xap/1.0/\0", xmp.as_bytes()].concat();
            let length = body.len() + 2;
            let length = u16::try_from(length)
                .ok()
                .filter(|_| length <= LONGEST_SEGMENT)?;
            let segment = [&[0xff, 0xe1][..], &length.to_be_bytes(), &body].concat();
            Some((JPEG_HEAD, segment))
        }
        _ => None,
    }
}

/// Writes what an encoder gives, and XMP at its place between.
pub struct Inserting<W> {
    writer: W,
    /// Bytes until the place, and what is put there.
    left: usize,
    inserted: Vec<u8>,
}

impl<W: Write> Inserting<W> {
    /// For a file of `format`; puts nothing in where that is no way to do it. Also gives whether it will.
    pub fn new(writer: W, format: ImageFormat, xmp: Option<&str>) -> (Self, bool) {
        let found = xmp.and_then(|xmp| insertion(format, xmp));
        let will = found.is_some();
        let (left, inserted) = found.unwrap_or_default();
        let inserting = Self {
            writer,
            left,
            inserted,
        };
        (inserting, will)
    }
}

impl<W: Write> Write for Inserting<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.inserted.is_empty() {
            return self.writer.write(bytes);
        }
        let before = self.left.min(bytes.len());
        self.writer.write_all(&bytes[..before])?;
        self.left -= before;
        if self.left == 0 {
            self.writer.write_all(&self.inserted)?;
            self.inserted.clear();
        }
        Ok(before)
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush()
    }
}

/// Places are those of the file, of use where nothing is put in.
impl<W: Seek> Seek for Inserting<W> {
    fn seek(&mut self, place: SeekFrom) -> Result<u64> {
        self.writer.seek(place)
    }
}

/// Writes `picture` as TIFF with `xmp`.
///
/// # Errors
/// The encoder's, in its words.
pub fn write_tiff(
    picture: &DynamicImage,
    xmp: &str,
    writer: impl Write + Seek,
) -> std::result::Result<(), String> {
    let (width, height) = (picture.width(), picture.height());
    let run = || -> tiff::TiffResult<bool> {
        let mut encoder = TiffEncoder::new(writer)?;
        macro_rules! write {
            ($kind:ty, $picture:expr) => {{
                let mut image = encoder.new_image::<$kind>(width, height)?;
                image
                    .encoder()
                    .write_tag(Tag::Unknown(TIFF_XMP), xmp.as_bytes())?;
                image.write_data($picture.as_raw())?;
            }};
        }
        match picture {
            DynamicImage::ImageLuma8(picture) => write!(colortype::Gray8, picture),
            DynamicImage::ImageLuma16(picture) => write!(colortype::Gray16, picture),
            DynamicImage::ImageRgb8(picture) => write!(colortype::RGB8, picture),
            DynamicImage::ImageRgb16(picture) => write!(colortype::RGB16, picture),
            DynamicImage::ImageRgba8(picture) => write!(colortype::RGBA8, picture),
            DynamicImage::ImageRgba16(picture) => write!(colortype::RGBA16, picture),
            _ => return Ok(false),
        }
        Ok(true)
    };
    match run() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("TIFF takes no pixels of {:?}", picture.color())),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_put_in_once_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..100).collect();
        for step in [1, 7, 20, 33, 100] {
            for (format, head) in [(ImageFormat::Png, 33), (ImageFormat::Jpeg, 20)] {
                let mut out = Vec::new();
                let (mut inserting, will) = Inserting::new(&mut out, format, Some("<x/>"));
                assert!(will);
                for part in bytes.chunks(step) {
                    inserting.write_all(part).unwrap();
                }
                let between = out.len() - bytes.len();
                assert_eq!(out[..head], bytes[..head]);
                assert_eq!(out[head + between..], bytes[head..]);
                assert!(out[head..head + between].windows(4).any(|w| w == b"<x/>"));
            }
        }
        let mut out = Vec::new();
        let (mut inserting, will) = Inserting::new(&mut out, ImageFormat::Bmp, Some("<x/>"));
        inserting.write_all(&bytes).unwrap();
        assert!(!will && out == bytes);
        assert!(insertion(ImageFormat::Jpeg, &"x".repeat(70_000)).is_none());
    }
}

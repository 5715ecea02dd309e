//! The record of a picture: what was drawn by what, and sums of the picture as it was read and as it was drawn.

use std::io::Write;
use std::path::Path;

use image::DynamicImage;
use sha2::{Digest as _, Sha256};
use srfusion::record::{
    self, Digest, End, Formats, FrameLine, InputFile, Line, Side, State, header, write_line,
};
use srfusion::{Frame, Recorded, Settings, Size};

use crate::draft::Draft;
use crate::failure::{Failure, Result};
use crate::video::hash;

/// What a record says of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureRecord {
    /// What drew it.
    pub state: State,
    /// Its line.
    pub line: FrameLine,
}

/// The picture as the engine is given it: red, green and blue, of 8 bits where the file has no more.
fn colours(picture: &DynamicImage) -> DynamicImage {
    let kind = picture.color();
    if kind.bytes_per_pixel() / kind.channel_count() > 1 {
        picture.to_rgb16().into()
    } else {
        picture.to_rgb8().into()
    }
}

fn size(picture: &DynamicImage) -> Size {
    Size::new(picture.width() as usize, picture.height() as usize)
}

/// sha256 of the samples of `picture` as the engine is given it.
pub fn input_sum(picture: &DynamicImage) -> String {
    hash(colours(picture).as_bytes())
}

/// sha256 of the samples of a picture that was drawn, pixel by pixel, all of them; and the means of its colours.
///
/// # Errors
/// [`Failure::Failed`] for a picture without pixels.
pub fn output_digest(picture: &DynamicImage) -> Result<Digest> {
    let (size, all) = (size(picture), colours(picture));
    let means = match &all {
        DynamicImage::ImageRgb16(all) => {
            record::digest(&Frame::new(all.as_raw(), size, 3 * size.width)?).means
        }
        all => record::digest(&Frame::new(all.as_bytes(), size, 3 * size.width)?).means,
    };
    let sha256 = hash(picture.as_bytes());
    Ok(Digest { sha256, means })
}

/// What kind of samples a picture has, as `image` calls it.
pub fn kind(picture: &DynamicImage) -> String {
    format!("{:?}", picture.color())
}

impl PictureRecord {
    /// Of a picture of the size and kind of `input`, with the sum `sum`, drawn with `settings` as `recorded` says, which became `output`.
    ///
    /// # Errors
    /// Those of [`output_digest`].
    pub fn new(
        input: &Side,
        sum: String,
        recorded: &Recorded,
        settings: &Settings,
        output: &DynamicImage,
    ) -> Result<Self> {
        let deep = input.format.ends_with("16");
        let state = State {
            models: record::models(&recorded.models, deep),
            settings: record::settings(settings),
            formats: Formats {
                input: input.clone(),
                output: side(output),
            },
        };
        let sums = record::sums(&state.models, &recorded.kinds);
        let line = FrameLine {
            input: sum,
            output: output_digest(output)?,
            ..FrameLine::of(&recorded.frame, &sums)
        };
        Ok(Self { state, line })
    }

    /// Writes it for `target`, of the picture in the file at `input`; it gets its name when the draft is finished.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it cannot be written.
    pub fn write(&self, target: &Path, input: &Path) -> Result<Draft> {
        let failed = |path: &Path, error: std::io::Error| {
            Failure::Failed(format!("cannot write {}: {error}", path.display()))
        };
        let draft = Draft::create(target)?;
        let file = std::fs::read(input).map_err(|error| {
            Failure::Failed(format!("cannot read {}: {error}", input.display()))
        })?;
        let sum = Sha256::digest(&file);
        let input = InputFile {
            name: record::file_name(input),
            sha256: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
            decoder: None,
        };
        let mut head = header("picture", None, Some(input));
        head.state = self.state.clone();
        let end = End { frames: 1, lost: 0 };
        let mut text = Vec::new();
        for line in [
            Line::Header(head),
            Line::Frame(self.line.clone()),
            Line::End(end),
        ] {
            write_line(&mut text, &line).map_err(|error| failed(target, error))?;
        }
        std::fs::File::create(draft.path())
            .and_then(|mut file| file.write_all(&text))
            .map_err(|error| failed(target, error))?;
        Ok(draft)
    }
}

/// What a picture is.
pub fn side(picture: &DynamicImage) -> Side {
    Side {
        format: kind(picture),
        width: picture.width() as usize,
        height: picture.height() as usize,
        caps: None,
    }
}

/// `picture` in samples of `kind`, as [`kind`] names them.
///
/// # Errors
/// [`Failure::Failed`] for one that no picture is written in.
pub fn in_kind(picture: &DynamicImage, kind: &str) -> Result<DynamicImage> {
    Ok(match kind {
        "L8" => picture.to_luma8().into(),
        "La8" => picture.to_luma_alpha8().into(),
        "Rgb8" => picture.to_rgb8().into(),
        "Rgba8" => picture.to_rgba8().into(),
        "L16" => picture.to_luma16().into(),
        "La16" => picture.to_luma_alpha16().into(),
        "Rgb16" => picture.to_rgb16().into(),
        "Rgba16" => picture.to_rgba16().into(),
        other => {
            return Err(Failure::Failed(format!(
                "the record tells of a picture of {other}, expected one of 8 or 16 bits"
            )));
        }
    })
}

//! What was measured of a clip, as `--json` prints it and the page shows it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use srfusion::Face;

use crate::metrics::{Numbers, Step, decibels, mean};
use crate::table;

/// What `--json` prints, and the page is made from.
#[derive(Debug, Serialize)]
pub struct ClipReport {
    pub title: String,
    pub input: ClipFile,
    pub output: ClipFile,
    pub reference: Option<ClipFile>,
    /// Duration in seconds.
    pub seconds: f64,
    pub detector: Option<String>,
    /// What could not be measured, and why.
    pub left_out: Vec<String>,
    pub summary: Averages,
    pub tracks: Vec<FaceTrack>,
    pub frames: Vec<FrameRow>,
}

/// One of the files.
#[derive(Debug, Clone, Serialize)]
pub struct ClipFile {
    pub name: String,
    pub width: usize,
    pub height: usize,
}

/// A file's name without its folders.
pub fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A face in a frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FaceRow {
    /// Number of its track.
    pub id: u64,
    /// Left, top, right, bottom in pixels of the input.
    pub bbox: [f32; 4],
    /// Eyes, nose and mouth corners there, where the detector gives them.
    pub points: Option<[[f32; 2]; 5]>,
    /// How much of the face generator is used, `0.0..=1.0`.
    pub weight: f32,
    /// Whether it was not found in this frame and is held from before.
    pub held: bool,
    /// Distance of its embedding from that of the frame before, in the output.
    pub embedding_distance: Option<f64>,
    /// The same in the input.
    pub input_embedding_distance: Option<f64>,
}

impl FaceRow {
    /// A face as the engine found it, with the step of its embedding.
    pub fn of((face, step): (&Face, &Option<Step>)) -> Self {
        Self {
            id: face.id,
            bbox: [face.bbox.x0, face.bbox.y0, face.bbox.x1, face.bbox.y1],
            points: face.points,
            weight: face.weight,
            held: face.held,
            embedding_distance: step.map(|step| step.output),
            input_embedding_distance: step.map(|step| step.input),
        }
    }
}

/// A frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrameRow {
    /// Its number, from 0.
    pub index: usize,
    /// Its time in seconds.
    pub time: f64,
    /// Whether it begins a new scene.
    pub cut: bool,
    /// What its pixels say.
    pub numbers: Numbers,
    /// Mean of w.
    pub mask: Option<f64>,
    /// Share of the mask that is another than in the frame before.
    pub mask_change: Option<f64>,
    /// Faces, as the engine finds them.
    pub faces: Vec<FaceRow>,
}

/// Its words in JSON.
#[derive(Serialize)]
struct FrameRowText<'a> {
    index: usize,
    time: f64,
    cut: bool,
    consistency: f64,
    psnr: Option<f64>,
    ssim: Option<f64>,
    ssimulacra2: Option<f64>,
    change: Option<f64>,
    warping_error: Option<f64>,
    input_warping_error: Option<f64>,
    hidden: Option<f64>,
    mask: Option<f64>,
    mask_change: Option<f64>,
    faces: &'a [FaceRow],
}

impl Serialize for FrameRow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { numbers, .. } = self;
        FrameRowText {
            index: self.index,
            time: self.time,
            cut: self.cut,
            consistency: decibels(numbers.consistency),
            psnr: numbers.error.map(decibels),
            ssim: numbers.ssim,
            ssimulacra2: numbers.perceptual,
            change: numbers.change,
            warping_error: numbers.warping,
            input_warping_error: numbers.input_warping,
            hidden: numbers.hidden,
            mask: self.mask,
            mask_change: self.mask_change,
            faces: &self.faces,
        }
        .serialize(serializer)
    }
}

/// A face from its first frame to its last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaceTrack {
    /// Its number.
    pub id: u64,
    /// First frame.
    pub first: usize,
    /// Last frame.
    pub last: usize,
    /// Frames that have it.
    pub frames: usize,
    /// Greatest height in pixels of the input.
    pub height: f32,
    /// Mean distance of the embeddings of neighbouring frames, in the output.
    pub embedding_distance: Option<f64>,
    /// The same in the input.
    pub input_embedding_distance: Option<f64>,
    /// The largest such distance in the output.
    pub worst_embedding_distance: Option<f64>,
}

/// The tracks of `rows` in order of their first frame.
pub fn tracks(rows: &[FrameRow]) -> Vec<FaceTrack> {
    let mut found: BTreeMap<u64, Vec<(usize, &FaceRow)>> = BTreeMap::new();
    for row in rows {
        for face in &row.faces {
            found.entry(face.id).or_default().push((row.index, face));
        }
    }
    let mut tracks: Vec<_> = found
        .into_iter()
        .map(|(id, faces)| FaceTrack {
            id,
            first: faces.first().map_or(0, |(index, _)| *index),
            last: faces.last().map_or(0, |(index, _)| *index),
            frames: faces.len(),
            height: faces
                .iter()
                .map(|(_, face)| face.bbox[3] - face.bbox[1])
                .fold(0.0, f32::max),
            embedding_distance: mean(faces.iter().map(|(_, face)| face.embedding_distance)),
            input_embedding_distance: mean(
                faces.iter().map(|(_, face)| face.input_embedding_distance),
            ),
            worst_embedding_distance: faces
                .iter()
                .filter_map(|(_, face)| face.embedding_distance)
                .reduce(f64::max),
        })
        .collect();
    tracks.sort_by_key(|track| (track.first, track.id));
    tracks
}

/// The clip in a few numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Averages {
    /// PSNR of the output made four times smaller against the input, dB; null where they are equal.
    pub consistency: f64,
    /// E*warp of the output.
    pub warping_error: Option<f64>,
    /// E*warp of the input.
    pub input_warping_error: Option<f64>,
    /// Share of the mask that changes from frame to frame.
    pub mask_change: Option<f64>,
    /// Distance of embeddings of a face in neighbouring frames, in the output.
    pub embedding_distance: Option<f64>,
    /// The same in the input.
    pub input_embedding_distance: Option<f64>,
    /// PSNR against the true frames, dB; null where they are equal.
    pub psnr: Option<f64>,
    /// SSIM against the true frames.
    pub ssim: Option<f64>,
    /// SSIMULACRA 2 against the true frames.
    pub ssimulacra2: Option<f64>,
    /// VMAF against the true frames.
    pub vmaf: Option<f64>,
    /// Frames that SSIM and SSIMULACRA 2 are of.
    pub samples: usize,
}

impl Averages {
    /// The means over `rows`; PSNR is that of the mean squared error.
    pub fn of(rows: &[FrameRow]) -> Self {
        let over = |value: &dyn Fn(&FrameRow) -> Option<f64>| mean(rows.iter().map(value));
        let faces = |value: fn(&FaceRow) -> Option<f64>| {
            mean(rows.iter().flat_map(|row| &row.faces).map(value))
        };
        Self {
            consistency: over(&|row| Some(row.numbers.consistency)).map_or(f64::NAN, decibels),
            warping_error: over(&|row| row.numbers.warping),
            input_warping_error: over(&|row| row.numbers.input_warping),
            mask_change: over(&|row| row.mask_change),
            embedding_distance: faces(|face| face.embedding_distance),
            input_embedding_distance: faces(|face| face.input_embedding_distance),
            psnr: over(&|row| row.numbers.error).map(decibels),
            ssim: over(&|row| row.numbers.ssim),
            ssimulacra2: over(&|row| row.numbers.perceptual),
            vmaf: None,
            samples: rows.iter().filter(|row| row.numbers.ssim.is_some()).count(),
        }
    }

    /// Prints it for people, without what could not be measured.
    pub fn print(&self) {
        let number = |value: Option<f64>, digits: usize| {
            value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let Averages {
            consistency,
            warping_error,
            input_warping_error,
            mask_change,
            embedding_distance,
            input_embedding_distance,
            psnr,
            ssim,
            ssimulacra2,
            vmaf,
            ..
        } = *self;
        let rows = [
            ["", "OUT", "IN"].map(str::to_owned).to_vec(),
            vec![
                "consistency with the input, dB".into(),
                number(Some(consistency), 2),
            ],
            vec![
                "E*warp (x1000)".into(),
                number(warping_error, 3),
                number(input_warping_error, 3),
            ],
            vec![
                "change of the mask, %".into(),
                number(mask_change.map(|share| share * 100.0), 2),
            ],
            vec![
                "embedding distance".into(),
                number(embedding_distance, 4),
                number(input_embedding_distance, 4),
            ],
            vec!["PSNR, dB".into(), number(psnr, 3)],
            vec!["SSIM".into(), number(ssim, 4)],
            vec!["SSIMULACRA 2".into(), number(ssimulacra2, 2)],
            vec!["VMAF".into(), number(vmaf, 2)],
        ];
        let measured = |row: &table::Row| row.get(1).is_some_and(|cell| cell != "-");
        table::print(&rows.into_iter().filter(measured).collect::<Vec<_>>());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn face(id: u64, height: f32, distance: Option<f64>) -> FaceRow {
        FaceRow {
            id,
            bbox: [1.0, 2.0, 3.0, 2.0 + height],
            embedding_distance: distance,
            ..FaceRow::default()
        }
    }

    #[test]
    fn tracks_and_means() {
        let row = |index, faces, error| FrameRow {
            index,
            faces,
            numbers: Numbers {
                error,
                ..Numbers::default()
            },
            ..FrameRow::default()
        };
        let rows = [
            row(0, vec![face(7, 20.0, None)], Some(0.0)),
            row(
                1,
                vec![face(7, 24.0, Some(0.1)), face(3, 9.0, None)],
                Some(2.0),
            ),
            row(2, vec![face(3, 8.0, Some(0.5))], None),
        ];
        let found = tracks(&rows);
        assert_eq!(
            found
                .iter()
                .map(|t| (t.id, t.first, t.last, t.frames))
                .collect::<Vec<_>>(),
            [(7, 0, 1, 2), (3, 1, 2, 2)]
        );
        assert_eq!(
            (found[0].height, found[0].embedding_distance),
            (24.0, Some(0.1))
        );
        let summary = Averages::of(&rows);
        assert_eq!(summary.embedding_distance, Some(0.3));
        // The decibels of the mean error, not the mean of one number and infinity.
        assert!((summary.psnr.unwrap() - decibels(1.0)).abs() < 1e-12);
        assert_eq!(summary.ssim, None);
    }
}

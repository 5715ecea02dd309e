//! The lines of a record, as they are written and read: JSON, an object a line. Says what there is, writes nothing. docs/evidence.md tells
//! people what each field is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::find::Detection;
use crate::follow::Face;
use crate::origin::{FrameRecord, KeptRects};
use crate::picture::Rect;
use crate::settings::{Change, FACES, ObjectKind, SETTINGS, Settings, View};

/// The version of records that this engine writes and reads.
pub const VERSION: u32 = 1;

/// A rectangle in input pixels: left, top, width, height.
pub type Box4 = [usize; 4];

/// A line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "nearly all are frames")]
pub enum Line {
    /// The first.
    Header(Header),
    /// What of the header is another from here on.
    Change(State),
    /// A segment of a job begins: it was drawn without what was drawn before.
    Segment(Segment),
    /// A frame.
    Frame(FrameLine),
    /// Lines are missing here.
    Lost(Lost),
    /// The last.
    End(End),
}

/// What made the record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// [`VERSION`].
    pub record: u32,
    /// Who wrote it: `element`, `video` or `picture`, the latter two the command.
    pub made_by: String,
    /// Version of srfusion.
    pub srfusion: String,
    /// Version of ONNX Runtime, major and minor.
    #[serde(rename = "onnxruntime")]
    pub onnx_runtime: String,
    /// Version of GStreamer, where it was in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gstreamer: Option<String>,
    /// Seconds since 1970 when it was begun, by the machine's clock.
    pub begun: u64,
    /// The file that was upscaled, where the command did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputFile>,
    /// Networks, settings and formats.
    #[serde(flatten)]
    pub state: State,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InputFile {
    /// Its name without folders.
    pub name: String,
    /// Of all its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Version of the decoder, where that is a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
}

/// What drew frames.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct State {
    /// The networks.
    pub models: Vec<Model>,
    /// Every setting that the picture may depend on, by its name.
    pub settings: BTreeMap<String, String>,
    /// What frames are on both sides.
    pub formats: Formats,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Model {
    /// `general model`, `face model` or `detector model`; of other kinds of objects such as `text model` and `text detector model`.
    pub role: String,
    /// Its name in models.toml, else its file's.
    pub name: String,
    /// The file's name without folders.
    pub file: String,
    /// Of the file that runs, lower-case hexadecimal.
    pub sha256: String,
    /// What really computes it.
    pub provider: String,
    /// Licence, as models.toml has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// What it was trained on, and where its card is, as models.toml has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_on: Option<String>,
}

/// Frames on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Formats {
    /// What came in.
    pub input: Side,
    /// What went out.
    pub output: Side,
}

/// Frames of one side.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Side {
    /// GStreamer's name of their format.
    pub format: String,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// All of their caps, where GStreamer was in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caps: Option<String>,
}

/// Where a segment of a job begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Segment {
    /// Its number.
    pub segment: u64,
    /// Number of its first frame.
    pub first: u64,
    /// Frames before it in which faces were followed, without drawing them, so that they go on.
    pub followed: u64,
}

/// Lines that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lost {
    /// How many frames.
    pub lost: u64,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct End {
    /// Frames that have a line.
    pub frames: u64,
    /// Frames that have none.
    pub lost: u64,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Object {
    /// Its kind, where that is not faces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The same for the same object from frame to frame.
    pub track: u64,
    /// Left, top, right and lower edge in input pixels, smoothed.
    #[serde(rename = "box")]
    pub bounds: [f32; 4],
    /// The detector's, 0 to 1.
    pub score: f32,
    /// How much of its network's picture was blended in at most, 0 to 1.
    pub weight: f32,
    /// Whether it was not found in this very frame.
    pub held: bool,
}

/// Rectangles that were drawn in an earlier frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct From {
    /// Number of that frame.
    pub from: u64,
    /// The rectangles.
    pub rects: Vec<Box4>,
}

/// What the general network drew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Drawn {
    /// Of the network's file.
    pub sha256: String,
    /// What it drew in this frame.
    pub rects: Vec<Box4>,
}

/// What an expert drew and what was blended in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DrawnFaces {
    /// Of the network's file.
    pub sha256: String,
    /// What it drew in this frame.
    pub rects: Vec<Box4>,
    /// What was blended in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<DrawnPart>,
}

/// What the expert of a kind other than faces drew and what was blended in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DrawnKind {
    /// The kind.
    pub kind: String,
    /// As of faces.
    #[serde(flatten)]
    pub drawn: DrawnFaces,
}

/// A part of an expert's picture that was blended in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DrawnPart {
    /// The rectangle that was blended in.
    pub rect: Box4,
    /// The rectangle that it is part of, as the network drew it.
    pub of: Box4,
    /// The earlier frame in which that was; in this one if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// An object that came with the frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GivenObject {
    /// Its kind, where that is not faces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Type of its region, where that is not its kind's name.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub roi_type: Option<String>,
    /// Left, top, right and lower edge in input pixels.
    #[serde(rename = "box")]
    pub bounds: [f32; 4],
    /// 0 to 1.
    pub score: f32,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FrameLine {
    /// Its number, from 0.
    pub frame: u64,
    /// Presentation time in nanoseconds, if it had one.
    pub pts: Option<u64>,
    /// sha256 of the input frame's samples.
    pub input: String,
    /// sha256 and means of the output frame's samples.
    pub output: Digest,
    /// What it shows, where that is not the fused picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// The earlier frame whose output it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// Whether everything of before was forgotten, as after a seek.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fresh: bool,
    /// Nanoseconds that it might take; what is interpolated depends on how long other frames took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// Objects that came with it, where they were not looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<Vec<GivenObject>>,
    /// Its objects.
    pub objects: Vec<Object>,
    /// The general network's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general: Option<Drawn>,
    /// The face network's part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face: Option<DrawnFaces>,
    /// The parts of the networks of other kinds of objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub experts: Vec<DrawnKind>,
    /// What is taken from the general network's picture of earlier frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<From>,
    /// The fast network's part, for lack of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<Drawn>,
    /// What is taken from what the fast network drew in earlier frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_fast: Vec<From>,
    /// What was interpolated, no network, for lack of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interpolated: Vec<Box4>,
    /// What is taken from what was interpolated in earlier frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<From>,
    /// Where an expert's picture hides the general one's, which was not drawn there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<Box4>,
    /// What is drawn by more than before, and shown half as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raised: Vec<Box4>,
    /// Whether networks were given the mean of what stands still in place of this frame's own noise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub averaged: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

fn box4(rect: &Rect) -> Box4 {
    [rect.x, rect.y, rect.width, rect.height]
}

fn boxes(rects: &[Rect]) -> Vec<Box4> {
    rects.iter().map(box4).collect()
}

fn from(kept: &[KeptRects]) -> Vec<From> {
    let from = |(from, rects): &KeptRects| From {
        from: *from,
        rects: boxes(rects),
    };
    kept.iter().map(from).collect()
}

/// The kind's name, where that is not faces.
fn other(subject: &str) -> Option<String> {
    (subject != FACES).then(|| subject.to_owned())
}

impl GivenObject {
    /// An object of `kind` that came with a frame.
    pub fn of(kind: &ObjectKind, detection: &Detection) -> Self {
        let b = detection.bbox;
        Self {
            kind: other(&kind.subject),
            roi_type: (kind.roi_type != kind.subject).then(|| kind.roi_type.clone()),
            bounds: [b.x0, b.y0, b.x1, b.y1],
            score: detection.score,
        }
    }
}

impl Object {
    fn of(subject: &str, face: &Face) -> Self {
        let b = face.bbox;
        Self {
            kind: other(subject),
            track: face.id,
            bounds: [b.x0, b.y0, b.x1, b.y1],
            score: face.score,
            weight: face.weight,
            held: face.held,
        }
    }
}

/// The sha256 of the files of the networks that draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSums<'a> {
    /// Of the general network.
    pub general: Option<&'a str>,
    /// Of the fast one.
    pub fast: Option<&'a str>,
    /// Name of each kind of objects, and of its expert.
    pub kinds: Vec<(&'a str, Option<&'a str>)>,
}

/// What the expert of the kind in place `kind` drew, if anything; its file has the sum `sha256`.
fn drawn(record: &FrameRecord, kind: usize, sha256: &str) -> Option<DrawnFaces> {
    let rects = record.experts.get(kind).map_or(&[][..], Vec::as_slice);
    let parts = record.parts.iter().filter(|part| part.kind == kind);
    let parts: Vec<_> = parts
        .map(|part| DrawnPart {
            rect: box4(&part.support),
            of: box4(&part.rect),
            from: part.from,
        })
        .collect();
    let is_there = !(rects.is_empty() && parts.is_empty());
    is_there.then(|| DrawnFaces {
        sha256: sha256.to_owned(),
        rects: boxes(rects),
        parts,
    })
}

impl FrameLine {
    /// The line of what `record` says, of a stream whose networks are those of `sums`. Times and digests are the caller's.
    pub fn of(record: &FrameRecord, sums: &NetworkSums<'_>) -> Self {
        let fast = sums.fast.filter(|_| !record.fast.is_empty());
        let general = sums.general.filter(|_| !record.general.is_empty());
        let kinds = sums.kinds.iter().zip(&record.objects);
        let objects = kinds.flat_map(|((subject, _), objects)| {
            objects.iter().map(|object| Object::of(subject, object))
        });
        let (mut face, mut experts) = (None, Vec::new());
        for (kind, (subject, sum)) in sums.kinds.iter().enumerate() {
            match sum.and_then(|sum| drawn(record, kind, sum)) {
                Some(drawn) if *subject == FACES => face = Some(drawn),
                Some(drawn) => experts.push(DrawnKind {
                    kind: (*subject).to_owned(),
                    drawn,
                }),
                None => {}
            }
        }
        Self {
            frame: record.number,
            pts: None,
            input: String::new(),
            output: Digest::default(),
            view: (record.view != View::Fused).then(|| record.view.name().to_owned()),
            repeats: record.repeats,
            fresh: false,
            deadline: None,
            given: None,
            objects: objects.collect(),
            general: general.map(|sha256| Drawn {
                sha256: sha256.to_owned(),
                rects: boxes(&record.general),
            }),
            face,
            experts,
            kept: from(&record.kept),
            fast: fast.map(|sha256| Drawn {
                sha256: sha256.to_owned(),
                rects: boxes(&record.fast),
            }),
            kept_fast: from(&record.kept_fast),
            interpolated: boxes(&record.interpolated),
            owed: from(&record.owed),
            covered: boxes(&record.covered),
            raised: boxes(&record.raised),
            averaged: record.averaged,
        }
    }

    /// Every number of an earlier frame that it names, to be changed.
    fn numbers(&mut self) -> impl Iterator<Item = &mut u64> {
        let kept = self.kept.iter_mut().chain(&mut self.kept_fast);
        let kept = kept.chain(&mut self.owed);
        let experts = self.experts.iter_mut().map(|expert| &mut expert.drawn);
        let experts = self.face.iter_mut().chain(experts);
        let parts = experts.flat_map(|expert| &mut expert.parts);
        std::iter::once(&mut self.frame)
            .chain(&mut self.repeats)
            .chain(kept.map(|kept| &mut kept.from))
            .chain(parts.filter_map(|part| part.from.as_mut()))
    }

    /// Gives it, and every frame that it names, the number that is `first` further on than how far behind `skipped` it is. Whether none
    /// of them was before `skipped`.
    pub fn renumber(&mut self, first: u64, skipped: u64) -> bool {
        let mut all = true;
        for number in self.numbers() {
            match number.checked_sub(skipped) {
                Some(since) => *number = first.saturating_add(since),
                None => all = false,
            }
        }
        all
    }
}

/// Settings that no picture depends on, or that say where something lies on one machine.
const LEFT_OUT: &[&str] = &[
    "audit",
    "models-dir",
    "runtime-library",
    "cache-dir",
    "attach-roi-meta",
    "latency",
];

/// Every setting that the picture may depend on, by its name, as it is typed.
pub fn settings(settings: &Settings) -> BTreeMap<String, String> {
    let of = |change: Change| SETTINGS.iter().filter(move |s| s.change == change);
    of(Change::Ready)
        .chain(of(Change::Playing))
        .filter(|setting| !LEFT_OUT.contains(&setting.name))
        .map(|setting| (setting.name.to_owned(), setting.get(settings).to_string()))
        .collect()
}

/// What the file at `path` is called.
pub fn file_name(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

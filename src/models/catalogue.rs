//! models.toml: what is known of each model file, read and checked.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::SCALE;
use crate::bounded;
use crate::error::{Error, Result};
use crate::find::Family;
use crate::picture::{Channels, Encoding};
use crate::settings::{FACES, GENERAL_SUBJECT, NO_MODEL, Setting, is_subject, setting};

/// Name of the catalogue in a models folder.
pub const CATALOGUE_FILE: &str = "models.toml";

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Enlarges pictures.
    Generator,
    /// Finds objects of a kind.
    Detector,
}

impl Role {
    /// Name as models.toml spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Detector => "detector",
        }
    }
}

/// What a model was trained for: `general` for any picture, else the name of a kind of objects, such as `face`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

impl Subject {
    /// Name as models.toml spells it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether it is any picture.
    pub fn is_general(&self) -> bool {
        self.0 == GENERAL_SUBJECT
    }

    /// Whether it is faces.
    pub fn is_faces(&self) -> bool {
        self.0 == FACES
    }
}

impl TryFrom<String> for Subject {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        if is_subject(&name) && name != NO_MODEL {
            return Ok(Self(name));
        }
        Err(format!(
            "subject {name}, expected general, face or the name of another kind: at most 32 small letters, digits and hyphens, a letter first"
        ))
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

/// In which order a tensor has its sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// n, planes, height, width.
    #[default]
    Nchw,
    /// n, height, width, planes.
    Nhwc,
}

impl Layout {
    /// Name as models.toml spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nchw => "nchw",
            Self::Nhwc => "nhwc",
        }
    }
}

/// What a generator is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// The picture, which it enlarges.
    #[default]
    Picture,
    /// The picture's bicubic enlargement, which it sharpens.
    Interpolated,
}

impl InputKind {
    /// Name as models.toml spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Interpolated => "interpolated",
        }
    }
}

/// One `[[model]]` of models.toml.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Name by which properties and options choose it.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// What it was trained for.
    pub subject: Subject,
    /// File beside models.toml.
    pub file: String,
    /// sha256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// File beside models.toml with the same network in eight-bit numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8_file: Option<String>,
    /// sha256 of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8_sha256: Option<String>,
    /// Name of the generator in the same catalogue, of the same architecture, with whose weights a generator's are mixed for detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub natural: Option<String>,
    /// Output pixels per pixel of the picture of a generator; of one that is given the enlargement, how much larger that is.
    #[serde(default)]
    pub scale: Option<usize>,
    /// Order of the tensor's sides; a detector's is [`Layout::Nchw`].
    pub layout: Layout,
    /// What a generator is given.
    #[serde(default)]
    pub input: InputKind,
    /// Planes in order.
    #[serde(default)]
    pub channels: Channels,
    /// Tensor values of black and white.
    pub range: [f32; 2],
    /// How far, in pixels of its own input, a generator's output depends on its input.
    #[serde(default)]
    pub receptive_radius: Option<usize>,
    /// Beyond how many pixels of its own input the rest of the receptive radius changes a sample of 8 bits by three levels at most: what parts of a frame
    /// carry around them where tolerance is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_radius: Option<usize>,
    /// How a detector's outputs are read.
    #[serde(default)]
    pub family: Option<Family>,
    /// Of the classes that a detector's outputs tell apart, the numbers of those that are its kind; without, all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<u32>>,
    /// Multiple that the sides of its input must be of, and, for a generator, the places of tiles too.
    #[serde(default)]
    pub stride: Option<usize>,
    /// Longest side that a detector of free sides is given.
    #[serde(default)]
    pub input_size: Option<usize>,
    /// Score that its training recommends as threshold.
    #[serde(default)]
    pub min_confidence: Option<f64>,
    /// Type of the regions of interest that stand for objects of its kind; its subject's name where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roi_type: Option<String>,
    /// Margin of a box in the mask, as a fraction of its sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_padding: Option<f64>,
    /// Standard deviation of the mask's Gaussian, as a fraction of the box's sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_sigma: Option<f64>,
    /// Height in pixels of the input from which an object counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<f64>,
    /// Most objects followed at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_objects: Option<usize>,
    /// How strongly boxes are smoothed over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,
    /// How long an object that is no longer found is kept, such as `400ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<String>,
    /// How long an object takes to fade in and out, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fade_time: Option<String>,
    /// Number of parameters.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Licence of the file.
    pub licence: String,
    /// What it was trained on.
    pub trained_on: String,
    /// Who made it, where that is not this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Where it came from, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The version of models.toml that this engine writes and understands.
pub const CATALOGUE_FORMAT: u32 = 1;

/// Largest scale, stride, radius and side that an entry may have: beyond what any network has, and small enough to reckon with.
const MAX_SCALE: usize = 16;
const MAX_STRIDE: usize = 1024;
const MAX_RADIUS: usize = 4096;
const MAX_INPUT_SIZE: usize = 16384;

const fn first_format() -> u32 {
    1
}

#[derive(Deserialize)]
struct CatalogueFile {
    #[serde(default = "first_format")]
    format: u32,
    #[serde(default)]
    model: Vec<Entry>,
}

/// A models folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    dir: PathBuf,
    entries: Vec<Entry>,
    unknown: Vec<String>,
}

impl Entry {
    /// Values and planes of its tensors.
    pub fn encoding(&self) -> Encoding {
        Encoding {
            black: self.range[0],
            white: self.range[1],
            channels: self.channels,
        }
    }

    /// What it says of how objects of its kind are followed and masked, and are named among regions: keys and values as they are typed. The score
    /// from which they are believed is not among them: every detector may have one.
    pub fn rules(&self) -> impl Iterator<Item = (&'static str, String)> {
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        [
            ("roi-type", self.roi_type.clone()),
            ("mask-padding", number(self.mask_padding)),
            ("mask-sigma", number(self.mask_sigma)),
            ("min-size", number(self.min_size)),
            (
                "max-objects",
                self.max_objects.map(|count| count.to_string()),
            ),
            ("smoothing", number(self.smoothing)),
            ("hold-time", self.hold_time.clone()),
            ("fade-time", self.fade_time.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }
}

impl Catalogue {
    /// Reads models.toml in `dir`. The model files themselves are not looked at; see [`super::verify`].
    ///
    /// Keys that are not known are left out, and listed by [`Catalogue::unknown_keys`]: a newer srfusion may have written them.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it cannot be read, [`Error::Corrupt`] with the place of a mistake in it.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(CATALOGUE_FILE);
        let text =
            bounded::read_text(&path, bounded::CATALOGUE_BYTES).map_err(|e| Error::NotFound {
                what: "model catalogue".into(),
                path: path.display().to_string(),
                reason: e.to_string(),
            })?;
        let corrupt = |found: String| Error::Corrupt {
            path: path.clone(),
            expected: "a valid models.toml".into(),
            found,
        };
        let syntax = |e: toml::de::Error| corrupt(e.to_string().trim().replace('\n', " "));
        let mut unknown = Vec::new();
        let parsed = toml::Deserializer::parse(&text).map_err(syntax)?;
        let file: CatalogueFile =
            serde_ignored::deserialize(parsed, |key| unknown.push(key.to_string()))
                .map_err(syntax)?;
        if file.format != CATALOGUE_FORMAT {
            return Err(corrupt(format!(
                "format {}, expected {CATALOGUE_FORMAT}: it is for another version of srfusion",
                file.format
            )));
        }
        for (i, entry) in file.model.iter().enumerate() {
            let at = |what: String| corrupt(format!("model {}: {what}", entry.name));
            if file.model[..i].iter().any(|other| other.name == entry.name) {
                return Err(at("named twice".into()));
            }
            check(entry).map_err(at)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            entries: file.model,
            unknown,
        })
    }

    /// The models, in the file's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keys that were left out because they are not known, each with its place, for instance `model.0.licens`.
    pub fn unknown_keys(&self) -> &[String] {
        &self.unknown
    }
}

/// Checks what an entry says of itself; the error is what was found and what was expected.
fn check(entry: &Entry) -> std::result::Result<(), String> {
    if entry.role == Role::Detector && entry.layout != Layout::Nchw {
        let layout = entry.layout.name();
        return Err(format!("layout {layout} of a detector, expected nchw"));
    }
    if entry.role == Role::Detector && entry.channels == Channels::Y {
        return Err("channels y of a detector, expected rgb or bgr".to_owned());
    }
    if let Some(natural) = &entry.natural
        && (entry.role == Role::Detector || *natural == entry.name)
    {
        return Err(format!(
            "natural {natural}, expected the name of another generator, in the entry of one"
        ));
    }
    if entry.input == InputKind::Interpolated && entry.scale != Some(SCALE) {
        let scale = entry
            .scale
            .map_or("none".to_owned(), |scale| scale.to_string());
        return Err(format!(
            "scale {scale} with input interpolated, expected {SCALE}: the picture is enlarged so far for it"
        ));
    }
    if entry.range[0] == entry.range[1] || entry.range.iter().any(|v| !v.is_finite()) {
        let range = entry.range;
        return Err(format!("range {range:?}, expected two different numbers"));
    }
    let whole = entry.receptive_radius.unwrap_or(0);
    for (key, value, least, most) in [
        ("scale", entry.scale, 1, MAX_SCALE),
        ("near-radius", entry.near_radius, 1, whole),
        ("receptive-radius", entry.receptive_radius, 0, MAX_RADIUS),
        ("stride", entry.stride, 1, MAX_STRIDE),
        ("input-size", entry.input_size, 1, MAX_INPUT_SIZE),
    ] {
        if let Some(value) = value
            && !(least..=most).contains(&value)
        {
            return Err(format!("{key} {value}, expected {least} to {most}"));
        }
    }
    if let Some(score) = entry.min_confidence
        && !(0.0..=1.0).contains(&score)
    {
        return Err(format!("min-confidence {score}, expected 0 to 1"));
    }
    if let Some(classes) = &entry.classes {
        let tells = entry.family.is_none_or(Family::tells_classes);
        if entry.role != Role::Detector || !tells || classes.is_empty() {
            return Err(format!(
                "classes {classes:?}, expected at least one, of a detector that tells classes apart (yolo-seg, mask-rcnn)"
            ));
        }
    }
    check_rules(entry)?;
    let sums = [Some(&entry.sha256), entry.int8_sha256.as_ref()];
    for (key, sum) in ["sha256", "int8-sha256"].iter().zip(sums) {
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if let Some(sum) = sum
            && !(sum.len() == 64 && sum.chars().all(is_digit))
        {
            return Err(format!(
                "{key} {sum}, expected 64 lower-case hexadecimal digits"
            ));
        }
    }
    if entry.int8_file.is_some() != entry.int8_sha256.is_some() {
        return Err("expected both int8-file and int8-sha256, or neither".into());
    }
    // The name of a file beside the catalogue: it must not lead elsewhere.
    for (key, file) in [
        ("file", Some(&entry.file)),
        ("int8-file", entry.int8_file.as_ref()),
    ] {
        if let Some(file) = file
            && Path::new(file).components().count() != 1
        {
            return Err(format!("{key} {file}, expected a name without folders"));
        }
    }
    Ok(())
}

/// Checks what an entry says of how objects of its kind are followed and masked.
fn check_rules(entry: &Entry) -> std::result::Result<(), String> {
    if let Some((key, _)) = entry.rules().next()
        && (entry.subject.is_general() || entry.subject.is_faces())
    {
        let subject = entry.subject.name();
        let said = if entry.subject.is_faces() {
            "of faces the properties and options say it"
        } else {
            "it is about kinds of objects"
        };
        return Err(format!(
            "{key} with subject {subject}, expected none: {said}"
        ));
    }
    if entry.role == Role::Detector && entry.subject.is_general() {
        return Err("subject general of a detector, expected a kind of objects".to_owned());
    }
    if entry.roi_type.as_ref().is_some_and(String::is_empty) {
        return Err("roi-type is empty, expected the type of regions".to_owned());
    }
    for (key, value) in entry.rules() {
        // The setting of faces has the bounds.
        if let Some(setting) = rule_setting(key) {
            setting
                .parse(&value)
                .map_err(|_| format!("{key} {value}, expected {}", setting.kind.expected()))?;
        }
    }
    Ok(())
}

/// The setting that is of faces what `key` of an entry is of its kind, if there is one.
pub(super) fn rule_setting(key: &str) -> Option<&'static Setting> {
    setting(match key {
        "min-size" => "min-face-size",
        "max-objects" => "max-faces",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A detector's entry, with `line` in place of the line of the same key, or added.
    fn load(line: &str) -> Result<Catalogue> {
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let sum = "0123456789abcdef".repeat(4);
        let mut lines: Vec<String> = [
            "name = \"d\"",
            "role = \"detector\"",
            "subject = \"face\"",
            "file = \"d.onnx\"",
            &format!("sha256 = \"{sum}\""),
            "layout = \"nchw\"",
            "range = [0.0, 1.0]",
            "scale = 4",
            "receptive-radius = 10",
            "stride = 32",
            "input-size = 640",
            "min-confidence = 0.6",
            "licence = \"MIT\"",
            "trained-on = \"nothing\"",
        ]
        .map(str::to_owned)
        .to_vec();
        lines.retain(|known| key(known) != key(line));
        lines.push(line.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let text = format!("format = 1\n[[model]]\n{}\n", lines.join("\n"));
        std::fs::write(folder.path().join(CATALOGUE_FILE), text).unwrap();
        Catalogue::load(folder.path())
    }

    #[test]
    fn every_number_is_checked_when_the_file_is_read() {
        let catalogue = load("# all as it is").unwrap();
        assert_eq!(catalogue.entries().len(), 1);
        assert!(catalogue.unknown_keys().is_empty());
        for (line, expected) in [
            ("input-size = 0", "1 to 16384"),
            ("input-size = 99999", "1 to 16384"),
            ("input-size = -1", "invalid value"),
            ("stride = 0", "1 to 1024"),
            ("stride = 9223372036854775807", "1 to 1024"),
            ("scale = 0", "1 to 16"),
            ("receptive-radius = 5000", "0 to 4096"),
            ("near-radius = 11", "near-radius 11, expected 1 to 10"),
            ("min-confidence = 1.5", "0 to 1"),
            ("min-confidence = nan", "0 to 1"),
            ("range = [1.0, 1.0]", "two different numbers"),
            ("range = [0.0, inf]", "two different numbers"),
            ("sha256 = \"13ae\"", "64 lower-case"),
            ("layout = \"nhwc\"", "expected nchw"),
            ("layout = \"nwhc\"", "`nchw` or `nhwc`"),
            ("channels = \"y\"", "expected rgb or bgr"),
            ("channels = \"yuv\"", "`rgb`, `bgr`, `y`"),
            ("input = \"enlarged\"", "`picture` or `interpolated`"),
            ("file = \"../d.onnx\"", "without folders"),
            ("int8-file = \"d-int8.onnx\"", "both int8-file"),
            ("classes = []", "at least one"),
            ("classes = [-1]", "invalid value"),
            ("family = \"segment\"", "`yolo-seg`, `mask-rcnn`"),
        ] {
            let error = load(line).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Corrupt { .. }), "{text}");
            assert!(text.contains(expected), "{line}: {text}");
            let key = line.split(' ').next().unwrap();
            assert!(text.contains(key), "{line}: {text}");
        }
        // What is read is what the frame is shrunk to: no side is ever nothing.
        for size in [1, 16384] {
            let catalogue = load(&format!("input-size = {size}")).unwrap();
            assert_eq!(catalogue.entries()[0].input_size, Some(size));
        }
    }

    #[test]
    fn unknown_keys_are_told_and_another_format_is_refused() {
        let catalogue = load("colour-space = \"bt709\"").unwrap();
        assert_eq!(catalogue.unknown_keys(), ["model.0.colour-space"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CATALOGUE_FILE);
        std::fs::write(&path, "format = 2\n").unwrap();
        let text = Catalogue::load(folder.path()).unwrap_err().to_string();
        assert!(text.contains("format 2, expected 1"), "{text}");
        // Files from before there was a version are of the first.
        std::fs::write(&path, "").unwrap();
        assert!(Catalogue::load(folder.path()).unwrap().entries().is_empty());
    }
}

//! The file for each role of a configuration, found and checked.

use std::path::{Path, PathBuf};

use crate::SCALE;
use crate::bounded;
use crate::error::{Error, Result};
use crate::find::Family;
use crate::find::letterbox::InputSpec;
use crate::folders::{data_folders, is_everybodys};
use crate::notice::Notice;
use crate::picture::{Channels, Encoding};
use crate::settings::is_none;
use crate::settings::{
    Config, DEFAULT_FAST_MODEL, DETECTOR, FACE, FACES, FAST, GENERAL, IDENTITY, ObjectKind,
    WantedKind, detector_role, generator_role,
};

use super::added;
use super::catalogue::{CATALOGUE_FILE, Catalogue, Entry, InputKind, Layout, Role};
use super::kinds::find_kind;

/// Variable that names the models folder.
pub const MODELS_VARIABLE: &str = "SRFUSION_MODELS";

/// Multiple that a detector's free sides must be of, where the catalogue says nothing.
const DEFAULT_STRIDE: usize = 32;
/// Longest side that frames are shrunk to for a detector of free sides, where the catalogue says nothing.
const DEFAULT_INPUT_SIZE: usize = 640;

/// The folder of models.toml: `explicit` (property `models-dir`), else `SRFUSION_MODELS`, else `models` or
/// `share/srfusion/models` in a folder above `near` (a plugin or program), else the user's or the system's data folder.
///
/// # Errors
/// [`Error::NotFound`] naming the folders that were tried.
pub fn find_models_dir(explicit: Option<&Path>, near: Option<&Path>) -> Result<PathBuf> {
    match chosen_dir(explicit)? {
        Some(dir) => Ok(dir),
        None => shipped_dir(near),
    }
}

fn missing(path: String, reason: String) -> Error {
    Error::NotFound {
        what: "models folder".into(),
        path,
        reason,
    }
}

/// The folder that the user named, if any.
fn chosen_dir(explicit: Option<&Path>) -> Result<Option<PathBuf>> {
    let variable = std::env::var_os(MODELS_VARIABLE)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from);
    for (source, dir) in [
        ("models-dir", explicit.map(Path::to_owned)),
        (MODELS_VARIABLE, variable),
    ] {
        if let Some(dir) = dir {
            if dir.join(CATALOGUE_FILE).is_file() {
                return Ok(Some(dir));
            }
            let reason = format!("given by {source}, but it holds no {CATALOGUE_FILE}");
            return Err(missing(dir.display().to_string(), reason));
        }
    }
    Ok(None)
}

/// The folder that came with srfusion. The current folder is never looked into, nor one into which everybody may write.
fn shipped_dir(near: Option<&Path>) -> Result<PathBuf> {
    let near = near.and_then(|path| path.canonicalize().ok());
    let above = near
        .iter()
        .flat_map(|path| path.ancestors().skip(1))
        .filter(|folder| !is_everybodys(folder));
    let mut tried: Vec<PathBuf> = above
        .flat_map(|folder| [folder.join("models"), folder.join("share/srfusion/models")])
        .collect();
    tried.extend(
        data_folders()
            .into_iter()
            .map(|folder| folder.join("srfusion/models")),
    );
    if let Some(dir) = tried.iter().find(|dir| dir.join(CATALOGUE_FILE).is_file()) {
        return Ok(dir.clone());
    }
    let tried: Vec<_> = tried.iter().map(|dir| dir.display().to_string()).collect();
    let reason = format!("set models-dir or {MODELS_VARIABLE} to the folder that holds it");
    Err(missing(
        format!("{CATALOGUE_FILE} in {}", tried.join(", ")),
        reason,
    ))
}

/// sha256 of a file, in lower-case hexadecimal.
///
/// # Errors
/// [`Error::NotFound`] if it cannot be read, or is no regular file of at most 2 GiB.
pub fn sha256(what: &str, path: &Path) -> Result<String> {
    let unreadable = |e: std::io::Error| Error::NotFound {
        what: what.to_owned(),
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    bounded::open(path, bounded::MODEL_BYTES)
        .and_then(bounded::sha256)
        .map_err(unreadable)
}

/// Checks that the file of `entry` in `dir` is there and is the one described.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Corrupt`].
pub fn verify(dir: &Path, entry: &Entry) -> Result<()> {
    verify_file(dir.join(&entry.file), &entry.name, &entry.sha256)
}

/// As [`verify`], of the file in eight-bit numbers, if `entry` names one.
///
/// # Errors
/// Those of [`verify`].
pub fn verify_int8(dir: &Path, entry: &Entry) -> Result<()> {
    match (&entry.int8_file, &entry.int8_sha256) {
        (Some(file), Some(sum)) => verify_file(dir.join(file), &entry.name, sum),
        _ => Ok(()),
    }
}

fn verify_file(path: PathBuf, name: &str, sum: &str) -> Result<()> {
    let found = sha256(&format!("file of model {name}"), &path)?;
    if found == sum {
        return Ok(());
    }
    Err(Error::Corrupt {
        path,
        expected: format!("sha256 {sum}"),
        found: format!("sha256 {found}"),
    })
}

/// The partner of a generator, for detail.
#[derive(Debug, Clone, PartialEq)]
pub struct NaturalFile {
    /// Its name in models.toml.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// sha256 of the file.
    pub sha256: String,
    /// As [`Resolved::int8`].
    pub int8: Option<std::result::Result<Int8File, String>>,
    /// Receptive radius in input pixels, if known.
    pub receptive_radius: Option<usize>,
    /// Licence of the file.
    pub licence: String,
    /// What it was trained on.
    pub trained_on: String,
}

/// What a generator was mixed of.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// The share of the partner: above 0, at most 1.
    pub detail: f64,
    /// The generator as it is without.
    pub plain: Box<Resolved>,
}

/// What models.toml says of how a generator takes and gives pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownForm {
    /// Order of the sides.
    pub layout: Layout,
    /// What it is given.
    pub input: InputKind,
    /// Output pixels per pixel of the picture.
    pub scale: usize,
    /// Multiple that sides must be of, if it is said.
    pub stride: Option<usize>,
}

/// A model's file in eight-bit numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Int8File {
    /// The file.
    pub path: PathBuf,
    /// sha256 of the file.
    pub sha256: String,
}

/// A model file with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// Name in the catalogue, else the path.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// sha256 of the file.
    pub sha256: String,
    /// Receptive radius in input pixels, if known.
    pub receptive_radius: Option<usize>,
    /// As [`Entry::near_radius`], of a generator that is given the picture and enlarges it in one run.
    pub near_radius: Option<usize>,
    /// Family of a detector, if known.
    pub family: Option<Family>,
    /// Of the classes that a detector tells apart, those that are its kind; all, if none are named.
    pub classes: Option<Vec<u32>>,
    /// Values and channel order, if known.
    pub known_encoding: Option<Encoding>,
    /// What else is known of a generator.
    pub known_form: Option<KnownForm>,
    /// The same generator in eight-bit numbers, if there is a file, or why the one that models.toml names cannot be used.
    pub int8: Option<std::result::Result<Int8File, String>>,
    /// The partner that its weights may be mixed with, if models.toml names one, or why that cannot be used.
    pub natural: Option<std::result::Result<NaturalFile, String>>,
    /// What it was mixed of, where it was.
    pub mixture: Option<Mixture>,
    /// Licence of the file, if known.
    pub licence: Option<String>,
    /// What it was trained on, if known.
    pub trained_on: Option<String>,
    stride: usize,
    input_size: usize,
}

impl Resolved {
    /// A file of which nothing is known.
    pub fn unknown(name: String, path: PathBuf, sha256: String) -> Self {
        Self {
            name,
            path,
            sha256,
            receptive_radius: None,
            near_radius: None,
            family: None,
            classes: None,
            known_encoding: None,
            known_form: None,
            int8: None,
            natural: None,
            mixture: None,
            licence: None,
            trained_on: None,
            stride: DEFAULT_STRIDE,
            input_size: DEFAULT_INPUT_SIZE,
        }
    }

    /// Values and channel order; RGB from 0 to 1 where nothing is known.
    pub fn encoding(&self) -> Encoding {
        self.known_encoding.unwrap_or_default()
    }

    /// What a detector of `family` takes; where nothing is known, what the family's public files take.
    pub fn input(&self, family: Family) -> InputSpec {
        let public = match family {
            // Of Mask R-CNN torchvision's take these values; files of the ONNX zoos others, which models.toml has to say.
            Family::Yolo | Family::YoloSeg | Family::MaskRcnn => Encoding::default(),
            Family::YuNet => Encoding {
                black: 0.0,
                white: 255.0,
                channels: Channels::Bgr,
            },
            Family::UltraFace => Encoding {
                black: -127.0 / 128.0,
                white: 1.0,
                channels: Channels::Rgb,
            },
        };
        InputSpec {
            fixed: None,
            stride: self.stride,
            longest: self.input_size,
            encoding: self.known_encoding.unwrap_or(public),
        }
    }
}

/// A kind of objects other than faces, with the files of its networks.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedKind {
    /// The kind.
    pub kind: ObjectKind,
    /// Its generator.
    pub generator: Resolved,
    /// Its detector, unless its objects come with the frames.
    pub detector: Option<Resolved>,
}

/// The files for each role of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Models {
    /// General generator.
    pub general: Resolved,
    /// Generator for what that one has no time for, unless switched off, the same, or the default in a models folder that has none.
    pub fast: Option<Resolved>,
    /// Face generator, unless switched off.
    pub face: Option<Resolved>,
    /// Face detector, unless switched off or of no use without a face generator.
    pub detector: Option<Resolved>,
    /// Face embedding network, if there is one and a face generator whose faces it compares.
    pub identity: Option<Resolved>,
    /// Whether faces are one of the kinds of objects.
    pub has_faces: bool,
    /// The other kinds of objects.
    pub others: Vec<ResolvedKind>,
    /// What a user should be told of models.toml: keys that are not known, a detector taken from elsewhere.
    pub notices: Vec<Notice>,
}

impl Models {
    /// The networks that draw and find, each with what it is for: the general generators, faces, the other kinds.
    pub fn roles(&self) -> Vec<(&'static str, &Resolved)> {
        let mut roles = vec![(GENERAL, &self.general)];
        roles.extend(self.fast.as_ref().map(|found| (FAST, found)));
        roles.extend(self.face.as_ref().map(|found| (FACE, found)));
        roles.extend(self.detector.as_ref().map(|found| (DETECTOR, found)));
        for other in &self.others {
            let subject = &other.kind.subject;
            roles.push((generator_role(subject), &other.generator));
            let detector = other.detector.as_ref();
            roles.extend(detector.map(|found| (detector_role(subject), found)));
        }
        roles
    }
}

/// Finds and checks the file of each role of `config`, without regard to detail. A models folder of the user's own in which there is no detector is completed
/// by the detector of the folder that came with srfusion, which is noted.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Contract`] if a catalogued model has another role or scale.
pub(super) fn resolve_plain(config: &Config) -> Result<Models> {
    let chosen = chosen_dir(config.models_dir.as_deref());
    let is_chosen = matches!(chosen, Ok(Some(_)));
    let dir = chosen.and_then(|dir| match dir {
        Some(dir) => Ok(dir),
        None => shipped_dir(config.near.as_deref()),
    });
    let catalogue = dir.and_then(|dir| Catalogue::load(&dir));
    let mut notices = Vec::new();
    if let Ok(catalogue) = &catalogue
        && !catalogue.unknown_keys().is_empty()
    {
        notices.push(Notice::worse(format!(
            "{}: keys that are not known are ignored: {}",
            catalogue.dir().join(CATALOGUE_FILE).display(),
            catalogue.unknown_keys().join(", ")
        )));
    }
    let find = |what, name: &str, role| resolve(what, name, role, &catalogue);
    let wanted = config.wanted_kinds()?;
    let has_faces = wanted.iter().any(|kind| kind.subject == FACES);
    let face = has_faces && !is_none(&config.face_model);
    let detector = |notices: &mut Vec<Notice>| -> Result<Resolved> {
        let name = &config.detector_model;
        if let Ok(own) = &catalogue
            && is_chosen
            && !is_path(name)
            && own
                .entries()
                .iter()
                .all(|entry| entry.role != Role::Detector || !entry.subject.is_faces())
            && let Ok(shipped) =
                shipped_dir(config.near.as_deref()).and_then(|dir| Catalogue::load(&dir))
            && let Ok(found) = resolve(DETECTOR, name, Role::Detector, &Ok(shipped))
        {
            notices.push(Notice::info(format!(
                "{} has no detector: {name} is taken from {}",
                own.dir().join(CATALOGUE_FILE).display(),
                found.path.display()
            )));
            return Ok(found);
        }
        find(DETECTOR, name, Role::Detector)
    };
    let general = find(GENERAL, &config.general_model, Role::Generator)?;
    let fast = fast(config, &catalogue, &mut notices)?;
    let others = wanted.iter().filter(|kind| kind.subject != FACES);
    let others = others
        .map(|kind| resolve_kind(kind, config, is_chosen, &catalogue, &mut notices))
        .collect::<Result<_>>()?;
    Ok(Models {
        has_faces,
        others,
        fast: fast.filter(|fast| fast.sha256 != general.sha256),
        general,
        face: face
            .then(|| find(FACE, &config.face_model, Role::Generator))
            .transpose()?,
        detector: (face && !config.given_objects && !is_none(&config.detector_model))
            .then(|| detector(&mut notices))
            .transpose()?,
        identity: config
            .identity_model
            .as_ref()
            .filter(|_| face)
            .map(|path| {
                let name = path.display().to_string();
                let sha256 = sha256(IDENTITY, path)?;
                Ok(Resolved::unknown(name, path.clone(), sha256))
            })
            .transpose()?,
        notices,
    })
}

/// The kind of which it must be said that it is guessed.
const TEXT: &str = "text";

/// The kind that is `wanted`, which is not faces, with its files. A folder that `is_chosen` by the user is completed as with faces.
fn resolve_kind(
    wanted: &WantedKind,
    config: &Config,
    is_chosen: bool,
    catalogue: &Result<Catalogue>,
    notices: &mut Vec<Notice>,
) -> Result<ResolvedKind> {
    let own = catalogue.as_ref().map_err(Clone::clone)?;
    let shipped = match is_chosen {
        true => shipped_dir(config.near.as_deref()).and_then(|dir| Catalogue::load(&dir)),
        false => catalogue.clone(),
    };
    let found = find_kind(wanted, own, shipped.as_ref().ok(), config.given_objects)?;
    let subject = &found.kind.subject;
    let role = generator_role(subject);
    let generator = resolve(role, found.generator, Role::Generator, catalogue)?;
    let role = detector_role(subject);
    let detector = match found.detector {
        None => None,
        Some((name, false)) => Some(resolve(role, name, Role::Detector, catalogue)?),
        Some((name, true)) => {
            let detector = resolve(role, name, Role::Detector, &shipped)?;
            notices.push(Notice::info(format!(
                "{} has no detector of {subject}: {name} is taken from {}",
                own.dir().join(CATALOGUE_FILE).display(),
                detector.path.display()
            )));
            Some(detector)
        }
    };
    if subject == TEXT {
        notices.push(Notice::info(
            "objects includes text: letters and digits are drawn as is likely, not as they were; what cannot be read in the input must not be read in the output",
        ));
    }
    Ok(ResolvedKind {
        kind: found.kind,
        generator,
        detector,
    })
}

/// The generator for what the general one has no time for. A models folder of the user's own need not have the default one.
fn fast(
    config: &Config,
    catalogue: &Result<Catalogue>,
    notices: &mut Vec<Notice>,
) -> Result<Option<Resolved>> {
    let name = &config.general_fast_model;
    if is_none(name) {
        return Ok(None);
    }
    if let Ok(catalogue) = catalogue
        && name == DEFAULT_FAST_MODEL
        && catalogue.entries().iter().all(|entry| entry.name != *name)
    {
        notices.push(Notice::info(format!(
            "{} has no {name}: what the general model has no time for is interpolated",
            catalogue.dir().join(CATALOGUE_FILE).display()
        )));
        return Ok(None);
    }
    resolve(FAST, name, Role::Generator, catalogue).map(Some)
}

/// Whether a model setting is meant as a path rather than as a name.
fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || name.ends_with(".onnx")
}

fn resolve(what: &str, name: &str, role: Role, catalogue: &Result<Catalogue>) -> Result<Resolved> {
    resolve_in(what, name, role, catalogue, added::catalogue)
}

/// As [`resolve`]; what `catalogue` does not have is looked for in what `added` gives.
fn resolve_in(
    what: &str,
    name: &str,
    role: Role,
    catalogue: &Result<Catalogue>,
    added: impl FnOnce() -> Option<Result<Catalogue>>,
) -> Result<Resolved> {
    if is_path(name) {
        let path = PathBuf::from(name);
        let sha256 = sha256(what, &path)?;
        // A catalogued file given by its path, or a copy of it, is still known.
        let known = |catalogue: &Catalogue| {
            let mut entries = catalogue.entries().iter();
            entries.any(|entry| entry.sha256 == sha256)
        };
        let own = catalogue.as_ref().ok().filter(|own| known(own)).cloned();
        let catalogue = own.or_else(|| added()?.ok().filter(known));
        let entry = catalogue.as_ref().and_then(|catalogue| {
            let mut entries = catalogue.entries().iter();
            Some((entries.find(|entry| entry.sha256 == sha256)?, catalogue))
        });
        return describe(name.to_owned(), path, sha256.clone(), role, entry);
    }
    let own = catalogue.as_ref().map_err(Clone::clone)?;
    let named = |catalogue: &Catalogue| {
        let mut entries = catalogue.entries().iter();
        entries.any(|entry| entry.name == name)
    };
    let added = match named(own) {
        true => None,
        false => added().transpose()?,
    };
    let catalogue = added.as_ref().filter(|added| named(added)).unwrap_or(own);
    let Some(entry) = catalogue.entries().iter().find(|entry| entry.name == name) else {
        let both = std::iter::once(own).chain(&added);
        let names: Vec<_> = both
            .flat_map(|catalogue| catalogue.entries())
            .filter(|entry| entry.role == role)
            .map(|entry| entry.name.as_str())
            .collect();
        return Err(Error::NotFound {
            what: what.to_owned(),
            path: name.to_owned(),
            reason: format!(
                "expected a path to an ONNX file or a name in {}: {}",
                own.dir().join(CATALOGUE_FILE).display(),
                names.join(", ")
            ),
        });
    };
    verify(catalogue.dir(), entry)?;
    describe(
        name.to_owned(),
        catalogue.dir().join(&entry.file),
        entry.sha256.clone(),
        role,
        Some((entry, catalogue)),
    )
}

fn describe(
    name: String,
    path: PathBuf,
    sha256: String,
    role: Role,
    known: Option<(&Entry, &Catalogue)>,
) -> Result<Resolved> {
    let entry = known.map(|(entry, _)| entry);
    let wrong = |expected: String, found: String| {
        Err(Error::Contract {
            model: name.clone(),
            expected,
            found,
        })
    };
    if let Some(entry) = entry {
        if entry.role != role {
            return wrong(
                format!("a {}", role.name()),
                format!("a {}", entry.role.name()),
            );
        }
        if role == Role::Generator && entry.scale.is_none_or(|scale| scale < 2) {
            return wrong(
                "scale of 2 or more".to_owned(),
                entry
                    .scale
                    .map_or("none".into(), |scale| format!("scale {scale}")),
            );
        }
    }
    let generator = entry.filter(|_| role == Role::Generator);
    let known_form = generator.and_then(|entry| {
        Some(KnownForm {
            layout: entry.layout,
            input: entry.input,
            scale: entry.scale?,
            stride: entry.stride,
        })
    });
    let generator_in = known.filter(|_| role == Role::Generator);
    let int8 = generator_in.and_then(|(entry, catalogue)| int8(entry, catalogue.dir()));
    let natural = generator_in.and_then(|(entry, catalogue)| {
        let partner = entry.natural.as_ref()?;
        Some(natural(partner, catalogue))
    });
    let unknown = Resolved::unknown(name, path, sha256);
    Ok(Resolved {
        receptive_radius: entry.and_then(|entry| entry.receptive_radius),
        near_radius: entry
            .filter(|entry| entry.scale == Some(SCALE) && entry.input == InputKind::Picture)
            .and_then(|entry| entry.near_radius),
        family: entry.and_then(|entry| entry.family),
        classes: entry.and_then(|entry| entry.classes.clone()),
        known_encoding: entry.map(Entry::encoding),
        known_form,
        int8,
        natural,
        licence: entry.map(|entry| entry.licence.clone()),
        trained_on: entry.map(|entry| entry.trained_on.clone()),
        stride: entry
            .and_then(|entry| entry.stride)
            .unwrap_or(unknown.stride),
        input_size: entry
            .and_then(|entry| entry.input_size)
            .unwrap_or(unknown.input_size),
        ..unknown
    })
}

/// The file in eight-bit numbers that `entry` in `dir` names, or why it cannot be used.
fn int8(entry: &Entry, dir: &Path) -> Option<std::result::Result<Int8File, String>> {
    let (file, sum) = (entry.int8_file.as_ref()?, entry.int8_sha256.as_ref()?);
    let found = verify_int8(dir, entry).map(|()| Int8File {
        path: dir.join(file),
        sha256: sum.clone(),
    });
    Some(found.map_err(|error| error.to_string()))
}

/// The generator `name` of `catalogue`, which another's entry names as its partner.
fn natural(name: &str, catalogue: &Catalogue) -> std::result::Result<NaturalFile, String> {
    let mut entries = catalogue.entries().iter();
    let is_meant = |entry: &&Entry| entry.name == name && entry.role == Role::Generator;
    let Some(entry) = entries.find(is_meant) else {
        return Err(format!(
            "expected natural = \"{name}\" to be the name of a generator in {}, found none of that name",
            catalogue.dir().join(CATALOGUE_FILE).display()
        ));
    };
    let dir = catalogue.dir();
    verify(dir, entry).map_err(|error| error.to_string())?;
    Ok(NaturalFile {
        name: name.to_owned(),
        path: dir.join(&entry.file),
        sha256: entry.sha256.clone(),
        int8: int8(entry, dir),
        receptive_radius: entry.receptive_radius,
        licence: entry.licence.clone(),
        trained_on: entry.trained_on.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Severity;

    fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
    }

    /// A models folder of one's own: those of the shipped models whose names `wanted` has, with `change` to models.toml.
    fn own(wanted: &[&str], change: impl Fn(&str) -> String) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(shipped().join(CATALOGUE_FILE)).unwrap();
        let blocks = text.split("[[model]]").skip(1);
        let is_wanted = |block: &&str| {
            wanted
                .iter()
                .any(|name| block.contains(&format!("name = \"{name}\"\n")))
        };
        let blocks: Vec<_> = blocks
            .filter(is_wanted)
            .map(|block| format!("[[model]]{block}"))
            .collect();
        assert_eq!(blocks.len(), wanted.len());
        std::fs::write(folder.path().join(CATALOGUE_FILE), change(&blocks.concat())).unwrap();
        for name in wanted {
            let file = format!("{name}.onnx");
            std::fs::copy(shipped().join(&file), folder.path().join(&file)).unwrap();
        }
        folder
    }

    fn config(folder: &Path) -> Config {
        Config {
            models_dir: Some(folder.to_owned()),
            // A file in the repository, as the plugin is.
            near: Some(shipped().join(CATALOGUE_FILE)),
            ..Config::default()
        }
    }

    #[test]
    fn a_folder_without_a_detector_takes_the_shipped_one_and_says_so() {
        let folder = own(&["general-x4", "face-x4"], str::to_owned);
        let models = resolve_plain(&config(folder.path())).unwrap();
        assert_eq!(models.general.path.parent(), Some(folder.path()));
        let detector = models.detector.unwrap();
        assert!(detector.path.starts_with(shipped().canonicalize().unwrap()));
        let [notice] = models.notices.as_slice() else {
            panic!("{:?}", models.notices);
        };
        assert_eq!(notice.severity, Severity::Info);
        assert!(notice.text.contains("has no detector") && notice.text.contains("face-detector"));

        // One that has a detector of another name is taken at its word.
        let rename = |text: &str| text.replace("\"face-detector\"", "\"mine\"");
        let folder = own(&["general-x4", "face-x4", "face-detector"], rename);
        let error = resolve_plain(&config(folder.path()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("face-detector") && error.contains("mine"),
            "{error}"
        );
        // And nothing but the detector comes from elsewhere.
        let folder = own(&["general-x4"], str::to_owned);
        let error = resolve_plain(&config(folder.path()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("face-x4"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn models_that_anybody_may_have_put_there_are_not_taken() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("lib/plugin.so");
        for made in ["lib", "models"] {
            std::fs::create_dir(folder.path().join(made)).unwrap();
        }
        std::fs::write(&plugin, "").unwrap();
        std::fs::write(folder.path().join("models").join(CATALOGUE_FILE), "").unwrap();
        let ours = folder.path().canonicalize().unwrap().join("models");
        for (mode, taken) in [(0o755, true), (0o1777, false), (0o700, true)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
            let found = shipped_dir(Some(&plugin));
            assert_eq!(found.is_ok_and(|found| found == ours), taken, "{mode:o}");
        }
    }

    #[test]
    fn what_was_added_is_found_where_the_folder_does_not_have_it() {
        let load = |folder: &tempfile::TempDir| Catalogue::load(folder.path());
        let folder = own(&["general-x4"], str::to_owned);
        let added = own(&["general-x4", "general-x4-fast"], |text| {
            text.replace("licence = \"MIT OR Apache-2.0\"", "licence = \"added\"")
        });
        let find = |name: &str, added: Option<&tempfile::TempDir>| {
            let added = added.map(load);
            resolve_in(GENERAL, name, Role::Generator, &load(&folder), || added)
        };
        let found = find("general-x4-fast", Some(&added)).unwrap();
        assert_eq!(found.path.parent(), Some(added.path()));
        // Its own come first.
        let found = find("general-x4", Some(&added)).unwrap();
        assert_eq!(found.path.parent(), Some(folder.path()));
        assert_ne!(found.licence.as_deref(), Some("added"));
        // A copy of an added file is known by its content.
        let copy = folder.path().join("copy.onnx");
        std::fs::copy(added.path().join("general-x4-fast.onnx"), &copy).unwrap();
        let found = find(copy.to_str().unwrap(), Some(&added)).unwrap();
        assert_eq!(found.licence.as_deref(), Some("added"));
        assert_eq!(find(copy.to_str().unwrap(), None).unwrap().licence, None);
        let error = find("none-such", Some(&added)).unwrap_err().to_string();
        assert!(
            error.contains("general-x4, general-x4, general-x4-fast"),
            "{error}"
        );
    }

    #[test]
    fn unknown_keys_are_a_notice() {
        let add = |text: &str| text.replace("scale = 4", "scale = 4\nfuture = 1");
        let folder = own(&["general-x4", "face-x4", "face-detector"], add);
        let models = resolve_plain(&config(folder.path())).unwrap();
        let [notice] = models.notices.as_slice() else {
            panic!("{:?}", models.notices);
        };
        assert!(notice.text.contains("model.0.future"), "{notice}");
    }

    #[test]
    fn what_an_entry_says_of_a_generator_is_handed_on() {
        let luma = |text: &str| text.replace("channels = \"rgb\"", "channels = \"y\"");
        let folder = own(&["general-x4"], luma);
        let alone = Config {
            face_model: crate::NO_MODEL.to_owned(),
            ..config(folder.path())
        };
        let found = resolve_plain(&alone).unwrap().general;
        assert_eq!(found.encoding().channels, Channels::Y);
        let known = found.known_form.unwrap();
        assert_eq!((known.scale, known.layout), (4, Layout::Nchw));
        assert_eq!((known.input, known.stride), (InputKind::Picture, None));
        for scale in ["scale = 1\n", ""] {
            let folder = own(&["general-x4"], |text| text.replace("scale = 4\n", scale));
            let wrong = Config {
                models_dir: Some(folder.path().to_owned()),
                ..alone.clone()
            };
            let error = resolve_plain(&wrong).unwrap_err().to_string();
            assert!(
                error.contains("general-x4") && error.contains("scale of 2 or more"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_of_eight_bits_is_one_more_and_its_lack_no_failure() {
        let sum = "ab".repeat(32);
        let add = |text: &str| {
            text.lines()
                .filter(|line| !line.starts_with("int8-"))
                .map(|line| format!("{line}\n"))
                .collect::<String>()
                .replace(
                    "scale = 4",
                    &format!("scale = 4\nint8-file = \"e.onnx\"\nint8-sha256 = \"{sum}\""),
                )
        };
        let folder = own(&["general-x4"], add);
        let alone = Config {
            face_model: crate::NO_MODEL.to_owned(),
            ..config(folder.path())
        };
        let lacking = resolve_plain(&alone).unwrap().general.int8.unwrap();
        assert!(lacking.unwrap_err().contains("e.onnx"));
        std::fs::write(folder.path().join("e.onnx"), "x").unwrap();
        let other = resolve_plain(&alone).unwrap().general.int8.unwrap();
        assert!(other.unwrap_err().contains("sha256 abab"));
        let shipped = config(&shipped());
        let found = resolve_plain(&shipped).unwrap();
        for model in [found.general, found.face.unwrap()] {
            let int8 = model.int8.unwrap().unwrap();
            assert!(
                int8.path.ends_with(format!("{}.int8.onnx", model.name)),
                "{int8:?}"
            );
        }
    }
}

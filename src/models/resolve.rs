//! The file for each role of a configuration, found and checked.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::SCALE;
use crate::error::{Error, Result};
use crate::find::Family;
use crate::find::letterbox::InputSpec;
use crate::picture::tensor::{Channels, Encoding};
use crate::runtime::library::data_folders;
use crate::settings::is_none;
use crate::settings::{Config, DETECTOR, FACE, GENERAL};

use super::catalogue::{CATALOGUE_FILE, Catalogue, Entry, Role};

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
    let missing = |path: String, reason: String| Error::NotFound {
        what: "models folder".into(),
        path,
        reason,
    };
    let variable = std::env::var_os(MODELS_VARIABLE)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from);
    for (source, dir) in [
        ("models-dir", explicit.map(Path::to_owned)),
        (MODELS_VARIABLE, variable),
    ] {
        if let Some(dir) = dir {
            if dir.join(CATALOGUE_FILE).is_file() {
                return Ok(dir);
            }
            let reason = format!("given by {source}, but it holds no {CATALOGUE_FILE}");
            return Err(missing(dir.display().to_string(), reason));
        }
    }
    let near = near.and_then(|path| path.canonicalize().ok());
    let above = near.iter().flat_map(|path| path.ancestors().skip(1));
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
/// [`Error::NotFound`] if it cannot be read.
pub fn sha256(what: &str, path: &Path) -> Result<String> {
    let unreadable = |e: std::io::Error| Error::NotFound {
        what: what.to_owned(),
        path: path.display().to_string(),
        reason: e.to_string(),
    };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Checks that the file of `entry` in `dir` is there and is the one described.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Corrupt`].
pub fn verify(dir: &Path, entry: &Entry) -> Result<()> {
    let path = dir.join(&entry.file);
    let found = sha256(&format!("file of model {}", entry.name), &path)?;
    if found == entry.sha256 {
        return Ok(());
    }
    Err(Error::Corrupt {
        path,
        expected: format!("sha256 {}", entry.sha256),
        found: format!("sha256 {found}"),
    })
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
    /// Family of a detector, if known.
    pub family: Option<Family>,
    /// Values and channel order, if known.
    pub known_encoding: Option<Encoding>,
    stride: usize,
    input_size: usize,
}

impl Resolved {
    /// Values and channel order; RGB from 0 to 1 where nothing is known.
    pub fn encoding(&self) -> Encoding {
        self.known_encoding.unwrap_or_default()
    }

    /// What a detector of `family` takes; where nothing is known, what the family's public files take.
    pub fn input(&self, family: Family) -> InputSpec {
        let public = match family {
            Family::Yolo => Encoding::default(),
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

/// The files for each role of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Models {
    /// General generator.
    pub general: Resolved,
    /// Face generator, unless switched off.
    pub face: Option<Resolved>,
    /// Face detector, unless switched off or of no use without a face generator.
    pub detector: Option<Resolved>,
}

/// Finds and checks the file of each role of `config`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Contract`] if a catalogued model has another role or scale.
pub fn resolve_all(config: &Config) -> Result<Models> {
    let dir = find_models_dir(config.models_dir.as_deref(), config.near.as_deref());
    let catalogue = dir.and_then(|dir| Catalogue::load(&dir));
    let find = |what, name: &str, role| resolve(what, name, role, &catalogue);
    let face = !is_none(&config.face_model);
    Ok(Models {
        general: find(GENERAL, &config.general_model, Role::Generator)?,
        face: face
            .then(|| find(FACE, &config.face_model, Role::Generator))
            .transpose()?,
        detector: (face && !is_none(&config.detector_model))
            .then(|| find(DETECTOR, &config.detector_model, Role::Detector))
            .transpose()?,
    })
}

/// Whether a model setting is meant as a path rather than as a name.
fn is_path(name: &str) -> bool {
    name.contains(['/', '\\']) || name.ends_with(".onnx")
}

fn resolve(what: &str, name: &str, role: Role, catalogue: &Result<Catalogue>) -> Result<Resolved> {
    if is_path(name) {
        let path = PathBuf::from(name);
        let sha256 = sha256(what, &path)?;
        // A catalogued file given by its path, or a copy of it, is still known.
        let known = catalogue
            .as_ref()
            .ok()
            .and_then(|c| c.entries().iter().find(|entry| entry.sha256 == sha256));
        return describe(name.to_owned(), path, sha256, role, known);
    }
    let catalogue = catalogue.as_ref().map_err(Clone::clone)?;
    let Some(entry) = catalogue.entries().iter().find(|entry| entry.name == name) else {
        let names: Vec<_> = catalogue
            .entries()
            .iter()
            .filter(|entry| entry.role == role)
            .map(|entry| entry.name.as_str())
            .collect();
        return Err(Error::NotFound {
            what: what.to_owned(),
            path: name.to_owned(),
            reason: format!(
                "expected a path to an ONNX file or a name in {}: {}",
                catalogue.dir().join(CATALOGUE_FILE).display(),
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
        Some(entry),
    )
}

fn describe(
    name: String,
    path: PathBuf,
    sha256: String,
    role: Role,
    entry: Option<&Entry>,
) -> Result<Resolved> {
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
        if role == Role::Generator && entry.scale != Some(SCALE) {
            return wrong(
                format!("scale {SCALE}"),
                entry
                    .scale
                    .map_or("none".into(), |scale| format!("scale {scale}")),
            );
        }
    }
    Ok(Resolved {
        path,
        sha256,
        receptive_radius: entry.and_then(|entry| entry.receptive_radius),
        family: entry.and_then(|entry| entry.family),
        known_encoding: entry.map(|entry| Encoding {
            black: entry.range[0],
            white: entry.range[1],
            channels: entry.channels,
        }),
        stride: entry
            .and_then(|entry| entry.stride)
            .unwrap_or(DEFAULT_STRIDE),
        input_size: entry
            .and_then(|entry| entry.input_size)
            .unwrap_or(DEFAULT_INPUT_SIZE),
        name,
    })
}

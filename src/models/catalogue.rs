//! models.toml: what is known of each model file, read and checked.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::find::Family;
use crate::picture::tensor::Channels;

/// Name of the catalogue in a models folder.
pub const CATALOGUE_FILE: &str = "models.toml";

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Enlarges pictures.
    Generator,
    /// Finds faces.
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

/// What a model was trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Any picture.
    General,
    /// Faces.
    Face,
}

/// One `[[model]]` of models.toml.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
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
    /// Output pixels per input pixel of a generator.
    #[serde(default)]
    pub scale: Option<usize>,
    /// Order of the tensor's sides; `nchw` alone is served.
    pub layout: String,
    /// Order of the colour planes.
    #[serde(default)]
    pub channels: Channels,
    /// Tensor values of black and white.
    pub range: [f32; 2],
    /// How far, in input pixels, a generator's output depends on its input.
    #[serde(default)]
    pub receptive_radius: Option<usize>,
    /// How a detector's outputs are read.
    #[serde(default)]
    pub family: Option<Family>,
    /// Multiple that a detector's free sides must be of.
    #[serde(default)]
    pub stride: Option<usize>,
    /// Longest side that a detector of free sides is given.
    #[serde(default)]
    pub input_size: Option<usize>,
    /// Score that its training recommends as threshold.
    #[serde(default)]
    pub min_confidence: Option<f64>,
    /// Number of parameters.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Licence of the file.
    pub licence: String,
    /// What it was trained on.
    pub trained_on: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<Entry>,
}

/// A models folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    dir: PathBuf,
    entries: Vec<Entry>,
}

impl Catalogue {
    /// Reads models.toml in `dir`. The model files themselves are not looked at; see [`super::verify`].
    ///
    /// # Errors
    /// [`Error::NotFound`] if it cannot be read, [`Error::Corrupt`] with the place of a mistake in it.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(CATALOGUE_FILE);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::NotFound {
            what: "model catalogue".into(),
            path: path.display().to_string(),
            reason: e.to_string(),
        })?;
        let corrupt = |found: String| Error::Corrupt {
            path: path.clone(),
            expected: "a valid models.toml".into(),
            found,
        };
        let file: File =
            toml::from_str(&text).map_err(|e| corrupt(e.to_string().trim().replace('\n', " ")))?;
        for (i, entry) in file.model.iter().enumerate() {
            let at = |what: String| corrupt(format!("model {}: {what}", entry.name));
            if file.model[..i].iter().any(|other| other.name == entry.name) {
                return Err(at("named twice".into()));
            }
            if entry.layout != "nchw" {
                return Err(at(format!("layout {}, expected nchw", entry.layout)));
            }
            if entry.range[0] == entry.range[1] || entry.range.iter().any(|v| !v.is_finite()) {
                return Err(at(format!(
                    "range {:?}, expected two different numbers",
                    entry.range
                )));
            }
            // The name of a file beside the catalogue: it must not lead elsewhere.
            if Path::new(&entry.file).components().count() != 1 {
                return Err(at(format!(
                    "file {}, expected a name without folders",
                    entry.file
                )));
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            entries: file.model,
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
}

//! The user's folder of models that were fetched or converted, which completes the one that came with srfusion: a name that is not in the
//! one is looked for in the other.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::catalogue::{CATALOGUE_FILE, CATALOGUE_FORMAT, Catalogue};
use crate::bounded;
use crate::error::Result;
use crate::folders::{added_models, is_everybodys, make_private, write_whole};

/// The folder, if the user has a folder for data. It need not exist.
pub fn added_dir() -> Option<PathBuf> {
    added_models()
}

/// What was added; `None` where there is nothing, or where anybody may have put it.
pub(super) fn catalogue() -> Option<Result<Catalogue>> {
    let dir = added_models()?;
    let is_there = dir.join(CATALOGUE_FILE).is_file() && !is_everybodys(&dir);
    is_there.then(|| Catalogue::load(&dir))
}

/// A generator to be added: f32`[n, 3, h, w]` of red, green and blue from 0 to 1, enlarged.
#[derive(Debug, Clone)]
pub struct NewModel<'a> {
    /// Its name, and its file's without the ending.
    pub name: &'a str,
    /// What it was trained for: `general`, `face` or the name of another kind.
    pub subject: &'a str,
    /// Output pixels per pixel of the picture.
    pub scale: usize,
    /// How far its output depends on its input, in pixels of the latter.
    pub receptive_radius: Option<usize>,
    /// Number of weights.
    pub parameters: u64,
    /// Licence of the weights.
    pub licence: &'a str,
    /// What it was trained on.
    pub trained_on: &'a str,
    /// Who made it.
    pub author: Option<&'a str>,
    /// Where it came from.
    pub source: Option<&'a str>,
}

impl NewModel<'_> {
    /// Its table in models.toml.
    fn table(&self, file: &str, sha256: &str) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut lines = vec![
            "\n[[model]]".to_owned(),
            format!("name = {}", quoted(self.name)),
            "role = \"generator\"".to_owned(),
            format!("subject = {}", quoted(self.subject)),
            format!("file = {}", quoted(file)),
            format!("sha256 = {}", quoted(sha256)),
            format!("scale = {}", self.scale),
            "layout = \"nchw\"\nchannels = \"rgb\"\nrange = [0.0, 1.0]".to_owned(),
        ];
        let radius = self.receptive_radius;
        lines.extend(radius.map(|radius| format!("receptive-radius = {radius}")));
        lines.push(format!("parameters = {}", self.parameters));
        for (key, value) in [
            ("licence", Some(self.licence)),
            ("trained-on", Some(self.trained_on)),
            ("author", self.author),
            ("source", self.source),
        ] {
            lines.extend(value.map(|value| format!("{key} = {}", quoted(value))));
        }
        lines.join("\n") + "\n"
    }
}

/// Writes `bytes` to `file` in one step.
fn write(file: &Path, bytes: &[u8]) -> std::result::Result<(), String> {
    write_whole(file, bytes).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Adds the model `new`, whose file has the content `model`, to the folder `dir`, which is made if need be; returns its file. One that is there
/// already, with the same content, stays as it is.
///
/// # Errors
/// What is wrong: what was expected and found.
pub fn add(dir: &Path, new: &NewModel<'_>, model: &[u8]) -> std::result::Result<PathBuf, String> {
    let name = new.name;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty()
        || !name.chars().all(is_plain)
        || name.starts_with('.')
        || name.ends_with(".onnx")
    {
        return Err(format!(
            "expected a name of letters, digits, hyphens and points that is not a file's, found '{name}'"
        ));
    }
    make_private(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
    if is_everybodys(dir) {
        return Err(format!(
            "expected a folder into which not everybody may write, found {}",
            dir.display()
        ));
    }
    let sha256 = bounded::hex(&Sha256::digest(model));
    let (catalogue, file) = (dir.join(CATALOGUE_FILE), format!("{name}.onnx"));
    let path = dir.join(&file);
    let before = match catalogue.exists() {
        false => None,
        true => {
            let known = Catalogue::load(dir).map_err(|error| error.to_string())?;
            let entry = known.entries().iter().find(|entry| entry.name == name);
            if let Some(entry) = entry {
                if entry.sha256 == sha256 {
                    let path = dir.join(&entry.file);
                    write(&path, model)?;
                    return Ok(path);
                }
                return Err(format!(
                    "expected a name that {} does not have, found {name} of another file there: remove its entry first",
                    catalogue.display()
                ));
            }
            let text = bounded::read_text(&catalogue, bounded::CATALOGUE_BYTES)
                .map_err(|error| format!("cannot read {}: {error}", catalogue.display()))?;
            Some(text)
        }
    };
    write(&path, model)?;
    let start = before.clone().unwrap_or_else(|| {
        format!("# Models that were fetched or converted by `srfusion models`, one [[model]] table each.\nformat = {CATALOGUE_FORMAT}\n")
    });
    let text = format!("{}\n{}", start.trim_end(), new.table(&file, &sha256));
    write(&catalogue, text.as_bytes())?;
    if let Err(error) = Catalogue::load(dir) {
        // As it was.
        match before {
            Some(before) => write(&catalogue, before.as_bytes())?,
            None => {
                let _ = std::fs::remove_file(&catalogue);
            }
        }
        let _ = std::fs::remove_file(&path);
        return Err(error.to_string());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::super::verify;
    use super::*;

    const NEW: NewModel<'_> = NewModel {
        name: "public-x4",
        subject: "general",
        scale: 4,
        receptive_radius: Some(7),
        parameters: 12,
        licence: "BSD-3-Clause",
        trained_on: "pictures \"of others\"",
        author: Some("Somebody"),
        source: None,
    };

    #[test]
    fn an_added_model_has_an_entry_and_what_was_there_stays() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("a/models");
        let path = add(&dir, &NEW, b"one").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        let before = std::fs::read_to_string(dir.join(CATALOGUE_FILE)).unwrap();
        // The same again changes nothing, and mends the file.
        std::fs::write(&path, "bent").unwrap();
        assert_eq!(add(&dir, &NEW, b"one").unwrap(), path);
        assert_eq!(
            std::fs::read_to_string(dir.join(CATALOGUE_FILE)).unwrap(),
            before
        );
        let second = NewModel {
            name: "second-x4",
            receptive_radius: None,
            ..NEW
        };
        add(&dir, &second, b"two").unwrap();
        let catalogue = Catalogue::load(&dir).unwrap();
        assert!(catalogue.unknown_keys().is_empty());
        let [first, second] = catalogue.entries() else {
            panic!("{catalogue:?}");
        };
        verify(&dir, first).unwrap();
        verify(&dir, second).unwrap();
        assert_eq!(first.trained_on, NEW.trained_on);
        assert_eq!(first.author.as_deref(), Some("Somebody"));
        assert_eq!(
            (first.receptive_radius, second.receptive_radius),
            (Some(7), None)
        );
        let other = add(&dir, &NEW, b"other").unwrap_err();
        assert!(other.contains("public-x4 of another file"), "{other}");
    }

    #[test]
    fn a_mistake_leaves_the_folder_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = NewModel {
            subject: "No Kind",
            ..NEW
        };
        let said = add(dir.path(), &wrong, b"one").unwrap_err();
        assert!(said.contains("No Kind"), "{said}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        for name in ["", "a/b", "..", "x.onnx", "a b"] {
            let said = add(dir.path(), &NewModel { name, ..NEW }, b"one").unwrap_err();
            assert!(said.contains("expected a name"), "{name}: {said}");
        }
    }
}

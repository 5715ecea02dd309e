//! The pictures of a study: data sets, each with low-resolution and true pictures and their treatments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// Name of the folder of low-resolution pictures, and of what stands for them in a trapping question.
pub const LOW: &str = "LR";
/// The same of the true pictures.
pub const TRUE: &str = "HR";
/// Extensions of pictures that browsers show.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// One data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Its name; empty where the study has one that has none.
    pub name: String,
    /// Names of the treatments in order.
    pub treatments: Vec<String>,
    /// The pictures.
    pub pictures: Vec<Item>,
}

/// A picture of a data set: the name that its files share, and the file of LR, HR and each treatment, within the study's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Name without extension.
    pub name: String,
    /// Path within the study's folder, by folder: `LR`, `HR`, and the treatments.
    pub files: BTreeMap<String, PathBuf>,
}

/// The data sets in `folder`.
///
/// # Errors
/// [`Failure::Failed`] naming the folder or picture that is missing or has the wrong size.
pub fn read(folder: &Path) -> Result<Vec<Set>> {
    let whole = |name: &str| folder.join(name).is_dir();
    let names = if whole(LOW) || whole(TRUE) {
        vec![String::new()]
    } else {
        folders(folder)?
    };
    let sets = names.into_iter().map(|name| set(folder, name));
    let sets = sets.collect::<Result<Vec<_>>>()?;
    if sets.is_empty() {
        return Err(Failure::Failed(format!(
            "{}: expected a folder for each data set, with folders {LOW}, {TRUE} and one for each treatment; found none",
            folder.display()
        )));
    }
    Ok(sets)
}

fn unreadable(path: &Path, reason: &impl ToString) -> Failure {
    let reason = reason.to_string();
    Failure::Failed(format!("cannot read {}: {reason}", path.display()))
}

/// Names in `folder`, in order, hidden ones left out.
fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with('.') && wanted(&path) {
            found.push(name.into_owned());
        }
    }
    found.sort();
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<String>> {
    names(folder, Path::is_dir)
}

/// Pictures of a folder by their name without extension.
fn pictures(folder: &Path) -> Result<BTreeMap<String, String>> {
    let shown = |path: &Path| {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        path.is_file() && EXTENSIONS.contains(&extension.to_lowercase().as_str())
    };
    let mut found = BTreeMap::new();
    for file in names(folder, shown)? {
        let stem = Path::new(&file).file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        if let Some(other) = found.insert(stem, file.clone()) {
            return Err(Failure::Failed(format!(
                "{}: expected one file for each picture, found {other} and {file}",
                folder.display()
            )));
        }
    }
    Ok(found)
}

fn set(root: &Path, name: String) -> Result<Set> {
    let folder = root.join(&name);
    let kinds = folders(&folder)?;
    for kind in [LOW, TRUE] {
        if !kinds.iter().any(|found| found == kind) {
            return Err(Failure::Failed(format!(
                "{}: expected the folders {LOW}, {TRUE} and one for each treatment, found {}",
                folder.display(),
                if kinds.is_empty() {
                    "none".into()
                } else {
                    kinds.join(", ")
                }
            )));
        }
    }
    let treatments: Vec<_> = kinds
        .iter()
        .filter(|kind| *kind != LOW && *kind != TRUE)
        .cloned()
        .collect();
    if treatments.is_empty() {
        return Err(Failure::Failed(format!(
            "{}: expected a folder for each treatment beside {LOW} and {TRUE}, found none",
            folder.display()
        )));
    }
    let mut by_kind = BTreeMap::new();
    for kind in &kinds {
        by_kind.insert(kind.clone(), pictures(&folder.join(kind))?);
    }
    let stems: BTreeSet<_> = by_kind.values().flat_map(BTreeMap::keys).cloned().collect();
    let mut items = Vec::new();
    for stem in stems {
        let mut files = BTreeMap::new();
        for (kind, found) in &by_kind {
            let Some(file) = found.get(&stem) else {
                return Err(Failure::Failed(format!(
                    "{}: expected a picture named {stem} as in the other folders, found none",
                    folder.join(kind).display()
                )));
            };
            files.insert(kind.clone(), Path::new(&name).join(kind).join(file));
        }
        sizes(root, &files)?;
        items.push(Item { name: stem, files });
    }
    if items.is_empty() {
        return Err(Failure::Failed(format!(
            "{}: expected pictures ({}), found none",
            folder.join(TRUE).display(),
            EXTENSIONS.join(" ")
        )));
    }
    Ok(Set {
        name,
        treatments,
        pictures: items,
    })
}

/// Whether every treatment has the true picture's size, and LR is no larger.
fn sizes(root: &Path, files: &BTreeMap<String, PathBuf>) -> Result<()> {
    let size = |file: &Path| {
        let path = root.join(file);
        image::image_dimensions(&path).map_err(|error| unreadable(&path, &error))
    };
    let wanted = size(&files[TRUE])?;
    for (kind, file) in files {
        let found = size(file)?;
        let fits = match kind.as_str() {
            LOW => found.0 <= wanted.0 && found.1 <= wanted.1,
            _ => found == wanted,
        };
        if !fits {
            return Err(Failure::Failed(format!(
                "{}: expected {}{}x{}, the size of {}, found {}x{}",
                root.join(file).display(),
                if kind == LOW { "at most " } else { "" },
                wanted.0,
                wanted.1,
                root.join(&files[TRUE]).display(),
                found.0,
                found.1
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn picture(path: &Path, width: u32) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(width, 8).save(path).unwrap();
    }

    #[test]
    fn sets_are_found_and_faults_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let message = |wanted: &str| {
            let Err(Failure::Failed(text)) = read(root) else {
                panic!("no failure")
            };
            assert!(text.contains(wanted), "{text}");
        };
        message("data set");
        for set in ["b", "a"] {
            picture(&root.join(set).join("LR/x.png"), 2);
            message("HR");
            picture(&root.join(set).join("HR/x.png"), 8);
            message("each treatment");
            picture(&root.join(set).join("fusion/x.webp"), 8);
            picture(&root.join(set).join("bicubic/x.png"), 8);
        }
        std::fs::write(root.join("study.sqlite"), "").unwrap();
        let sets = read(root).unwrap();
        assert_eq!(
            sets.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(sets[0].treatments, ["bicubic", "fusion"]);
        assert_eq!(
            sets[1].pictures[0].files["fusion"],
            Path::new("b/fusion/x.webp")
        );
        assert_eq!(read(&root.join("a")).unwrap()[0].name, "");

        picture(&root.join("a/fusion/y.png"), 8);
        message("named y");
        std::fs::remove_file(root.join("a/fusion/y.png")).unwrap();
        picture(&root.join("a/bicubic/x.png"), 9);
        message("found 9x8");
        picture(&root.join("a/bicubic/x.jpg"), 8);
        message("one file for each");
    }
}

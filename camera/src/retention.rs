//! What is deleted so that no more is kept than asked for. The decision is pure; [`enforce`] looks at a folder and deletes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::Keep;

/// A file that may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<T> {
    /// What it is.
    pub what: T,
    /// Bytes.
    pub size: u64,
    /// Time since it was last written.
    pub age: Duration,
}

/// Which of `items` are to go, the oldest first. The youngest stays in any case: it may still be written.
pub fn surplus<T: Clone>(mut items: Vec<Item<T>>, keep: Keep) -> Vec<T> {
    items.sort_by_key(|item| std::cmp::Reverse(item.age));
    let mut total: u64 = items.iter().map(|item| item.size).sum();
    let count = items.len().saturating_sub(1);
    let mut gone = vec![];
    for item in items.into_iter().take(count) {
        let too_old = keep.age.is_some_and(|age| item.age > age);
        let too_much = keep.size.is_some_and(|size| total > size);
        if !too_old && !too_much {
            break;
        }
        total -= item.size;
        gone.push(item.what);
    }
    gone
}

/// The files in `folder` whose name begins with `prefix` and ends with `suffix`.
pub fn files(folder: &Path, prefix: &str, suffix: &str) -> Vec<Item<PathBuf>> {
    let now = SystemTime::now();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let known = name.starts_with(prefix) && name.ends_with(suffix);
            let about = known.then(|| entry.metadata().ok()).flatten()?;
            let age = now.duration_since(about.modified().ok()?);
            about.is_file().then(|| Item {
                what: entry.path(),
                size: about.len(),
                age: age.unwrap_or_default(),
            })
        })
        .collect()
}

/// Deletes what is too much in `folder`.
///
/// # Errors
/// The first file that cannot be deleted, and why. The others are deleted all the same.
pub fn enforce(folder: &Path, prefix: &str, suffix: &str, keep: Keep) -> Result<usize, String> {
    let mut outcome = Ok(0);
    for path in surplus(files(folder, prefix, suffix), keep) {
        match (std::fs::remove_file(&path), &mut outcome) {
            (Ok(()), Ok(count)) => *count += 1,
            (Err(error), Ok(_)) => {
                outcome = Err(format!("cannot delete {}: {error}", path.display()));
            }
            _ => {}
        }
    }
    outcome
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn item(what: &'static str, size: u64, age: u64) -> Item<&'static str> {
        let age = Duration::from_secs(age);
        Item { what, size, age }
    }

    #[test]
    fn the_oldest_go_first_and_the_youngest_never() {
        let items = || vec![item("b", 10, 20), item("a", 10, 30), item("c", 10, 10)];
        let by = |age: Option<u64>, size| {
            let age = age.map(Duration::from_secs);
            surplus(items(), Keep { age, size })
        };
        assert!(by(None, None).is_empty());
        assert!(by(Some(30), Some(30)).is_empty());
        assert_eq!(by(Some(25), None), ["a"]);
        assert_eq!(by(None, Some(20)), ["a"]);
        assert_eq!(by(Some(25), Some(10)), ["a", "b"]);
        assert_eq!(by(Some(0), Some(0)), ["a", "b"]);
        assert!(surplus(Vec::<Item<&str>>::new(), Keep::default()).is_empty());
    }

    #[test]
    fn only_files_of_the_name_are_touched() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["door-1.mkv", "door-2.mkv", "yard-1.mkv", "door-notes.txt"] {
            std::fs::write(folder.path().join(name), "0123456789").unwrap();
        }
        let old = SystemTime::now() - Duration::from_secs(100);
        let file = std::fs::File::options()
            .write(true)
            .open(folder.path().join("door-1.mkv"))
            .unwrap();
        file.set_modified(old).unwrap();
        let keep = Keep {
            age: None,
            size: Some(15),
        };
        assert_eq!(enforce(folder.path(), "door-", ".mkv", keep), Ok(1));
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["door-2.mkv", "door-notes.txt", "yard-1.mkv"]);
    }
}

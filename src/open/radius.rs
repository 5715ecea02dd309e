//! The receptive radius of a generator of which models.toml says nothing: reckoned from its file, else measured in small runs, once for
//! each file.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tempfile::NamedTempFile;

use crate::SCALE;
use crate::error::Result;
use crate::notice::Notice;
use crate::runtime::{Network, cache};
use crate::settings::Config;

/// Folder, in the cache folder, for what was measured: a file for each sha256.
const FOLDER: &str = "probed";
/// Version of those files.
const FORMAT: u32 = 1;
/// Largest radius that is believed of such a file.
const LARGEST: usize = 4096;

/// Sides of the patches that are disturbed, the smallest first: the first that is larger than what the network sees answers. Odd: the
/// centre is a pixel.
const SIDES: [usize; 3] = [33, 97, 193];
/// Radius up to which networks are given all the context that they see. Those that see further are given what shows.
const EXACT: usize = 96;
/// Change of a value, black 0 and white 1, that is half a step of 255: smaller ones are not seen.
const UNSEEN: f32 = 0.5 / 255.0;
/// Patches that are tried of each side, because a rectifier may hide a path in one of them.
const ROUNDS: usize = 3;

/// A radius, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundRadius {
    /// In input pixels.
    pub(super) radius: usize,
    /// What a user should be told: that it was measured, and where it is kept.
    pub(super) notice: Option<Notice>,
}

/// The receptive radius of the generator `network`, whose file is at `path`. `progress` is told each run of a measurement in words.
///
/// # Errors
/// The runtime's, [`crate::Error::Cancelled`].
pub(super) fn find(
    network: &mut Network,
    path: &Path,
    sha256: &str,
    config: &Config,
    progress: &mut dyn FnMut(&str),
) -> Result<FoundRadius> {
    let silent = |radius| FoundRadius {
        radius,
        notice: None,
    };
    let bound = bound(path);
    if let Some(radius) = bound.filter(|radius| *radius <= EXACT) {
        return Ok(silent(radius));
    }
    let file = cache::dir(config).map(|dir| dir.join(FOLDER).join(format!("{sha256}.toml")));
    if let Some(radius) = file.as_deref().and_then(read) {
        return Ok(silent(radius));
    }
    let radius = measure(network, bound, progress)?;
    let kept = match file.map(|file| write(&file, radius).map(|()| file)) {
        Some(Ok(file)) => format!("it is kept in {}", file.display()),
        Some(Err(error)) => format!("it cannot be kept in the cache folder: {error}"),
        None => "there is no cache folder to keep it in".to_owned(),
    };
    let notice = Notice::info(format!(
        "model {} has no receptive-radius in models.toml: {radius} input pixels were measured; {kept}",
        network.name()
    ));
    Ok(FoundRadius {
        radius,
        notice: Some(notice),
    })
}

/// What the graph in the file says, if it can be reckoned.
fn bound(path: &Path) -> Option<usize> {
    crate::runtime::receptive_radius(&std::fs::read(path).ok()?)
}

/// As [`find`], of the network itself and of nothing that was kept.
///
/// # Errors
/// The runtime's.
pub(super) fn probe(network: &mut Network, path: &Path) -> Result<usize> {
    match bound(path) {
        Some(radius) if radius <= EXACT => Ok(radius),
        bound => measure(network, bound, &mut |_| ()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ProbedFile {
    format: u32,
    receptive_radius: usize,
}

fn read(file: &Path) -> Option<usize> {
    let probed: ProbedFile = toml::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    let is_sane = probed.format == FORMAT && probed.receptive_radius <= LARGEST;
    is_sane.then_some(probed.receptive_radius)
}

fn write(file: &Path, radius: usize) -> std::io::Result<()> {
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    std::fs::create_dir_all(&folder)?;
    // In one step: nobody sees half of it.
    let new = NamedTempFile::new_in(&folder)?;
    let text = format!("format = {FORMAT}\nreceptive-radius = {radius}\n");
    std::fs::write(new.path(), text)?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// How far away from a disturbed pixel the output changes at all, in input pixels. Of networks that see further than [`EXACT`], as
/// `bound` may say, or than the largest patch, the distance beyond which no change is as large as half a step of 255.
///
/// # Errors
/// The runtime's.
fn measure(
    network: &mut Network,
    bound: Option<usize>,
    progress: &mut dyn FnMut(&str),
) -> Result<usize> {
    let mut seen = 0;
    for side in SIDES {
        let reach = disturb(network, side, progress)?;
        // Of those that see too far to be given all of it, no larger patch is needed than what shows.
        let radius = bound.map_or(reach.changed, |_| reach.seen);
        if radius < side / 2 {
            return Ok(radius);
        }
        seen = reach.seen;
    }
    Ok(bound.map_or(seen, |bound| bound.min(seen)))
}

/// Largest distances from the centre of a patch, in input pixels, at which the output changes when the centre does.
#[derive(Default)]
struct Reach {
    /// At all.
    changed: usize,
    /// By more than [`UNSEEN`].
    seen: usize,
}

/// Disturbs the centre of noisy patches of `side`.
fn disturb(network: &mut Network, side: usize, progress: &mut dyn FnMut(&str)) -> Result<Reach> {
    let (centre, area) = (side / 2, side * side);
    // The same patches in every run, so that the same file always gives the same radius.
    let mut random = fastrand::Rng::with_seed(side as u64);
    let mut reach = Reach::default();
    for round in 0..ROUNDS {
        progress(&format!(
            "measuring its receptive radius on {side}x{side}, {} of {ROUNDS}",
            round + 1
        ));
        let mut patch: Vec<f32> = (0..3 * area).map(|_| random.f32()).collect();
        let before = network.run([1, 3, side, side], &patch, |outputs| {
            Ok(outputs[0].values.to_vec())
        })?;
        for plane in 0..3 {
            let value = &mut patch[plane * area + centre * side + centre];
            *value = if round == 1 { -4.0 } else { 4.0 } + plane as f32;
        }
        let width = side * SCALE;
        network.run([1, 3, side, side], &patch, |outputs| {
            for (i, (now, before)) in outputs[0].values.iter().zip(&before).enumerate() {
                let change = (now - before).abs();
                if change > 0.0 {
                    let (x, y) = (i % width / SCALE, i / width % width / SCALE);
                    let distance = x.abs_diff(centre).max(y.abs_diff(centre));
                    reach.changed = reach.changed.max(distance);
                    if change > UNSEEN {
                        reach.seen = reach.seen.max(distance);
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(reach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Canceller;
    use crate::models::Catalogue;
    use crate::runtime::library;
    use crate::settings::Provider;

    fn models() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
    }

    fn config(cache: &Path) -> Config {
        Config {
            provider: Provider::Cpu,
            cache_dir: Some(cache.to_owned()),
            ..Config::default()
        }
    }

    fn open(path: &Path, config: &Config) -> Network {
        Network::open(path, "network", "", config, &Canceller::new()).unwrap()
    }

    fn runtime() -> bool {
        library::load(None)
            .inspect_err(|e| eprintln!("skipped: {e}"))
            .is_ok()
    }

    #[test]
    fn what_is_measured_is_what_is_reckoned_and_what_the_catalogue_says() {
        if !runtime() {
            return;
        }
        let cache = tempfile::tempdir().unwrap();
        for entry in Catalogue::load(&models()).unwrap().entries() {
            let Some(noted) = entry.receptive_radius else {
                continue;
            };
            let path = models().join(&entry.file);
            let mut network = open(&path, &config(cache.path()));
            let measured = measure(&mut network, None, &mut |_| ()).unwrap();
            // Weights may hide the last pixel or two of what the graph allows.
            assert!(
                measured <= noted && measured + 2 >= noted,
                "{}: {measured} measured, {noted} noted",
                entry.name
            );
            assert_eq!(bound(&path), Some(noted), "{}", entry.name);
        }
        // A network of known reach that is not made of convolutions alone.
        let mut bicubic = open(
            &models().join("tiny/bicubic-x4.onnx"),
            &config(cache.path()),
        );
        assert_eq!(measure(&mut bicubic, None, &mut |_| ()).unwrap(), 2);
    }

    /// The shipped general generator with an operator of which it is not known what it reads.
    fn unknown(folder: &Path) -> PathBuf {
        let mut file = std::fs::read(models().join("general-x4-fast.onnx")).unwrap();
        let at = file.windows(4).position(|bytes| bytes == b"Relu");
        let at = at.unwrap_or_else(|| panic!("no Relu"));
        // `Celu` with its usual alpha reads what `Relu` reads, and the graph walker has never heard of it.
        file[at..at + 4].copy_from_slice(b"Celu");
        let path = folder.join("unknown.onnx");
        std::fs::write(&path, file).unwrap();
        path
    }

    #[test]
    fn a_measurement_is_made_once_with_progress_and_kept_by_the_file_s_sum() {
        if !runtime() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = unknown(folder.path());
        assert_eq!(bound(&path), None);
        let config = config(&folder.path().join("cache"));
        let mut network = open(&path, &config);
        let mut find = |sha256: &str| {
            let mut steps = Vec::new();
            let mut progress = |step: &str| steps.push(step.to_owned());
            let found = find(&mut network, &path, sha256, &config, &mut progress).unwrap();
            (found, steps)
        };
        let (first, steps) = find("13ae");
        // Of seven pixels the smallest patch tells.
        assert_eq!((first.radius, steps.len()), (7, ROUNDS));
        assert!(steps[0].contains("33x33, 1 of 3"), "{steps:?}");
        let notice = first.notice.unwrap().text;
        assert!(
            notice.contains("7 input pixels") && notice.contains("13ae.toml"),
            "{notice}"
        );
        let (second, steps) = find("13ae");
        assert_eq!((second.radius, second.notice, steps.len()), (7, None, 0));
        // Another file is another matter, and so is a damaged note.
        assert_eq!(find("13af").1.len(), ROUNDS);
        let kept = config
            .cache_dir
            .as_ref()
            .unwrap()
            .join(FOLDER)
            .join("13ae.toml");
        for text in [
            "format = 2\nreceptive-radius = 7\n",
            "format = 1\nreceptive-radius = 99999\n",
            "\u{1}",
        ] {
            std::fs::write(&kept, text).unwrap();
            let (again, steps) = find("13ae");
            assert_eq!((again.radius, steps.len()), (7, ROUNDS), "{text}");
        }
    }
}

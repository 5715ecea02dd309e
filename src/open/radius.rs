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
/// Radius up to which networks are given all the context that they see. Those that see further are given what shows, and never more.
const EXACT: usize = 96;
/// Contexts that are tried of networks that see further, in input pixels.
const CONTEXTS: [usize; 6] = [8, 12, 16, 24, 32, 48];
/// Side of the middle of a patch in which the output is compared, in input pixels.
const CORE: usize = 16;
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

/// The context that a tile of the network needs: as far as it sees, or, of networks that see further than [`EXACT`], as `bound` may say,
/// or than the largest patch, as far as shows.
///
/// # Errors
/// The runtime's.
fn measure(
    network: &mut Network,
    bound: Option<usize>,
    progress: &mut dyn FnMut(&str),
) -> Result<usize> {
    if bound.is_none() {
        for side in SIDES {
            let radius = disturb(network, side, progress)?;
            if radius < side / 2 {
                return Ok(radius);
            }
        }
    }
    crop(network, progress)
}

/// Noise of `side` x `side`, the same in every run, so that the same file always gives the same radius.
fn noise(side: usize, random: &mut fastrand::Rng) -> Vec<f32> {
    (0..3 * side * side).map(|_| random.f32()).collect()
}

/// Largest distance from the centre of noisy patches of `side`, in input pixels, at which the output changes when the centre does.
fn disturb(network: &mut Network, side: usize, progress: &mut dyn FnMut(&str)) -> Result<usize> {
    let (centre, area) = (side / 2, side * side);
    let mut random = fastrand::Rng::with_seed(side as u64);
    let mut radius = 0;
    for round in 0..ROUNDS {
        progress(&format!(
            "measuring its receptive radius on {side}x{side}, {} of {ROUNDS}",
            round + 1
        ));
        let mut patch = noise(side, &mut random);
        let before = run(network, side, &patch)?;
        for plane in 0..3 {
            let value = &mut patch[plane * area + centre * side + centre];
            *value = if round == 1 { -4.0 } else { 4.0 } + plane as f32;
        }
        let width = side * SCALE;
        let after = run(network, side, &patch)?;
        let changed = after.iter().zip(&before).enumerate();
        let changed = changed.filter(|(_, (now, before))| now != before);
        let distance = changed.map(|(i, _)| {
            let (x, y) = (i % width / SCALE, i / width % width / SCALE);
            x.abs_diff(centre).max(y.abs_diff(centre))
        });
        radius = radius.max(distance.max().unwrap_or(0));
    }
    Ok(radius)
}

/// The least of [`CONTEXTS`] with which the middle of a noisy patch comes out as with twice of it, but for half a step of 255: what
/// cutting a picture into tiles does to it. [`EXACT`] if none suffices.
fn crop(network: &mut Network, progress: &mut dyn FnMut(&str)) -> Result<usize> {
    let whole = CORE + 2 * EXACT;
    let patch = noise(whole, &mut fastrand::Rng::with_seed(whole as u64));
    // The smallest first, each once: few networks need more.
    let mut known: Vec<(usize, Vec<f32>)> = Vec::new();
    let mut with = |context: usize| -> Result<Vec<f32>> {
        if let Some((_, output)) = known.iter().find(|(known, _)| *known == context) {
            return Ok(output.clone());
        }
        progress(&format!(
            "measuring whether {context} pixels of context suffice"
        ));
        let (side, cut) = (CORE + 2 * context, EXACT - context);
        let rows = (0..3 * whole).filter(|row| (cut..cut + side).contains(&(row % whole)));
        let cropped: Vec<f32> = rows
            .flat_map(|row| &patch[row * whole + cut..][..side])
            .copied()
            .collect();
        let output = core(&run(network, side, &cropped)?, side);
        known.push((context, output.clone()));
        Ok(output)
    };
    for context in CONTEXTS {
        let (found, expected) = (with(context)?, with(2 * context)?);
        let mut changes = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        if changes.all(|change| change <= UNSEEN) {
            return Ok(context);
        }
    }
    Ok(EXACT)
}

/// The middle [`CORE`] x [`CORE`] input pixels of the output for an input of `side`.
fn core(output: &[f32], side: usize) -> Vec<f32> {
    let (width, core) = (SCALE * side, SCALE * CORE);
    let start = (width - core) / 2;
    let is_inside = |row: &usize| (start..start + core).contains(&(row % width));
    let rows = (0..output.len() / width).filter(is_inside);
    rows.flat_map(|row| &output[row * width + start..][..core])
        .copied()
        .collect()
}

fn run(network: &mut Network, side: usize, patch: &[f32]) -> Result<Vec<f32>> {
    network.run([1, 3, side, side], patch, |outputs| {
        Ok(outputs
            .first()
            .map_or_else(Vec::new, |output| output.values.to_vec()))
    })
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
        // Cut as tiles are: never more than the least context on the list that is all of it, and enough for nothing to show.
        for (name, most) in [("general-x4-fast.onnx", 8), ("general-x4.onnx", 12)] {
            let mut network = open(&models().join(name), &config(cache.path()));
            let context = measure(&mut network, Some(EXACT + 1), &mut |_| ()).unwrap();
            assert!(
                CONTEXTS.contains(&context) && context <= most,
                "{name}: {context}"
            );
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

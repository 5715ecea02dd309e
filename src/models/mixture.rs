//! Network interpolation for detail: a generator's weights mixed with those of its partner, in a file of the cache folder, which then is opened,
//! checked, compiled and named as any other.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::resolve::{Int8File, Mixture, Models, NaturalFile, Resolved, resolve_plain};
use crate::bounded;
use crate::detail::Detail;
use crate::error::Result;
use crate::folders::{make_private, write_whole};
use crate::notice::Notice;
use crate::runtime::{cache, mix, mix_int8};
use crate::settings::{Config, Precision};

/// Folder in the cache folder for mixed files.
const FOLDER: &str = "mixed";
/// Most files that are kept there, and how old one is at least that is removed.
const MOST: usize = 64;
const OLD: Duration = Duration::from_secs(3600);

/// Finds and checks the file of each role of `config`, mixed for [`Config::detail`] where there is a partner. A models folder of the user's own in
/// which there is no detector is completed by the detector of the folder that came with srfusion, which is noted.
///
/// # Errors
/// [`crate::Error::NotFound`], [`crate::Error::Corrupt`], [`crate::Error::Contract`] if a catalogued model has another role or scale.
pub fn resolve_all(config: &Config) -> Result<Models> {
    let mut models = resolve_plain(config)?;
    let detail = Detail::of(config.detail);
    if detail == Detail::NONE {
        return Ok(models);
    }
    let lacking = lacking(&models);
    let mut reasons = Vec::from_iter(lacking);
    for found in generators(&mut models) {
        if !matches!(found.natural, Some(Ok(_))) {
            continue;
        }
        match at_detail(found, detail, config) {
            Ok(mixed) => *found = mixed,
            Err(reason) => reasons.push(format!("{}: {reason}", found.name)),
        }
    }
    if !reasons.is_empty() {
        models.notices.push(Notice::worse(format!(
            "detail {} has no effect on {}",
            detail.share(),
            reasons.join("; ")
        )));
    }
    Ok(models)
}

/// The generators that detail is for: all but the one for what there is no time for.
fn generators(models: &mut Models) -> impl Iterator<Item = &mut Resolved> {
    let others = models.others.iter_mut().map(|other| &mut other.generator);
    std::iter::once(&mut models.general)
        .chain(&mut models.face)
        .chain(others)
}

/// Which generators detail has no effect on, and why; of kinds other than faces only those whose partner cannot be used.
pub(crate) fn lacking(models: &Models) -> Option<String> {
    let drawn = std::iter::once(&models.general).chain(&models.face);
    let others = models.others.iter().map(|other| &other.generator);
    let none = |found: &&Resolved| found.natural.is_none();
    let names: Vec<_> = drawn
        .clone()
        .filter(none)
        .map(|f| f.name.as_str())
        .collect();
    let mut reasons = Vec::new();
    if !names.is_empty() {
        reasons.push(format!(
            "{}: expected natural = \"NAME\" in the entry in models.toml, the name of a generator of the same architecture there; found none",
            names.join(" and ")
        ));
    }
    for found in drawn.chain(others) {
        if let Some(Err(reason)) = &found.natural {
            reasons.push(format!("{}: {reason}", found.name));
        }
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The generator `plain`, which was not mixed, at `detail`.
///
/// # Errors
/// Why that cannot be had.
pub(crate) fn at_detail(
    plain: &Resolved,
    detail: Detail,
    config: &Config,
) -> std::result::Result<Resolved, String> {
    if detail == Detail::NONE {
        return Ok(plain.clone());
    }
    let natural = match &plain.natural {
        Some(Ok(natural)) => natural,
        Some(Err(reason)) => return Err(reason.clone()),
        None => return Err("expected a partner in models.toml, found none".to_owned()),
    };
    let (path, sha256) = match detail.is_all() {
        true => (natural.path.clone(), natural.sha256.clone()),
        false => mixed_file(
            (&plain.name, &plain.path, &plain.sha256),
            (&natural.name, &natural.path, &natural.sha256),
            detail,
            config,
            mix,
        )?,
    };
    let both = |one: &Option<String>, other: &str| match one {
        Some(one) if one != other => format!("{one}; {other}"),
        _ => other.to_owned(),
    };
    let mut mixed = plain.clone();
    mixed.name = format!("{} at detail {}", plain.name, detail.share());
    (mixed.path, mixed.sha256) = (path, sha256);
    mixed.near_radius = None; // It is measured of what ships.
    mixed.receptive_radius = plain
        .receptive_radius
        .zip(natural.receptive_radius)
        .map(|(one, other)| one.max(other));
    // What is invented turns the rounding of eight bits into flicker of smooth places, a fifth to a third more of it (docs/models.md): only who asks
    // for it gets it.
    mixed.int8 = match (config.precision, detail.is_all()) {
        (Precision::Int8, true) => natural.int8.clone(),
        (Precision::Int8, false) => mixed_int8(plain, natural, detail, config),
        _ => None,
    };
    mixed.licence = Some(both(&plain.licence, &natural.licence));
    mixed.trained_on = Some(both(&plain.trained_on, &natural.trained_on));
    mixed.mixture = Some(Mixture {
        detail: detail.share(),
        plain: Box::new(plain.clone()),
    });
    Ok(mixed)
}

/// The file in eight-bit numbers between `plain` and `natural`, if `plain` has one.
fn mixed_int8(
    plain: &Resolved,
    natural: &NaturalFile,
    detail: Detail,
    config: &Config,
) -> Option<std::result::Result<Int8File, String>> {
    let lacking = |reason: &str| {
        Some(Err(format!(
            "{} in eight-bit numbers: {reason}",
            natural.name
        )))
    };
    let first = match plain.int8.as_ref()? {
        Ok(first) => first,
        Err(reason) => return Some(Err(reason.clone())),
    };
    let second = match &natural.int8 {
        Some(Ok(second)) => second,
        Some(Err(reason)) => return lacking(reason),
        None => return lacking("expected int8-file in models.toml, found none"),
    };
    let (first, second) = (
        (&*plain.name, &*first.path, &*first.sha256),
        (&*natural.name, &*second.path, &*second.sha256),
    );
    let made = mixed_file(first, second, detail, config, mix_int8);
    Some(made.map(|(path, sha256)| Int8File { path, sha256 }))
}

/// Makes one file of two, so much of the second.
type Mix = fn(&[u8], &[u8], f64) -> std::result::Result<Vec<u8>, String>;

/// The file that `mix` makes of two, each with its network's name and its sha256, and the sha256 of that.
fn mixed_file(
    plain: (&str, &Path, &str),
    natural: (&str, &Path, &str),
    detail: Detail,
    config: &Config,
    mix: Mix,
) -> std::result::Result<(PathBuf, String), String> {
    let Some(folder) = cache::dir(config) else {
        return Err("expected a folder for mixed files, found none: set cache-dir".to_owned());
    };
    let folder = folder.join(FOLDER);
    let read = |path: &Path, sum: &str| {
        let bytes = bounded::read(path, bounded::MODEL_BYTES)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        match bounded::hex(&Sha256::digest(&bytes)) == sum {
            true => Ok(bytes),
            false => Err(format!(
                "{}: expected sha256 {sum}, found another",
                path.display()
            )),
        }
    };
    let (first, second) = (read(plain.1, plain.2)?, read(natural.1, natural.2)?);
    let mixed = mix(&first, &second, detail.share())
        .map_err(|reason| format!("{} and {}: {reason}", plain.0, natural.0))?;
    let sha256 = bounded::hex(&Sha256::digest(&mixed));
    let file = folder.join(format!("{sha256}.onnx"));
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", file.display());
    make_private(&folder).map_err(failed)?;
    let is_there = || {
        let there = bounded::open(&file, bounded::MODEL_BYTES).and_then(bounded::sha256);
        there.is_ok_and(|sum| sum == sha256)
    };
    if !is_there() {
        write_whole(&file, &mixed).map_err(failed)?;
        tidy(&folder);
    }
    Ok((file, sha256))
}

/// Removes the oldest files of `folder`, where there are many.
fn tidy(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort_unstable();
    let many = files.len().saturating_sub(MOST);
    for (written, path) in files.into_iter().take(many) {
        if written.elapsed().is_ok_and(|age| age > OLD) {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Severity;
    use crate::settings::NO_MODEL;

    fn tiny(cache: &Path, general: &str, detail: f64) -> Config {
        Config {
            general_model: general.to_owned(),
            face_model: NO_MODEL.to_owned(),
            models_dir: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny")),
            cache_dir: Some(cache.to_owned()),
            detail,
            ..Config::default()
        }
    }

    #[test]
    fn each_end_is_a_file_of_the_folder_and_between_is_a_mixed_one() {
        let cache = tempfile::tempdir().unwrap();
        let at = |detail| resolve_all(&tiny(cache.path(), "plain-x4", detail)).unwrap();
        let [none, half, all] = [0.0, 0.5, 1.0].map(at);
        for models in [&none, &half, &all] {
            assert!(models.notices.is_empty(), "{:?}", models.notices);
        }
        assert!(none.general.path.ends_with("plain-x4.onnx") && none.general.mixture.is_none());
        assert!(all.general.path.ends_with("crisp-x4.onnx"));
        // NumPy's own, written by generate.py: the same weights to the bit.
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
        let weights = |path: &Path| {
            mix(
                &std::fs::read(path).unwrap(),
                &std::fs::read(path).unwrap(),
                0.0,
            )
        };
        let expected = weights(&tiny.join("between-x4.onnx")).unwrap();
        let found = std::fs::read(&half.general.path).unwrap();
        let kernel = |file: &[u8]| {
            let at = file.windows(6).rposition(|w| w == b"kernel").unwrap();
            file[at + 6..at + 6 + 4 * 48 * 75].to_vec()
        };
        assert_eq!(kernel(&found), kernel(&expected));
        assert_eq!(half.general.sha256, bounded::hex(&Sha256::digest(&found)));
        assert_eq!(half.general.name, "plain-x4 at detail 0.5");
        let mixture = half.general.mixture.unwrap();
        assert_eq!((mixture.detail, &*mixture.plain), (0.5, &none.general));
        // A damaged one is written anew.
        std::fs::write(&half.general.path, "bent").unwrap();
        assert_eq!(at(0.5).general.path, half.general.path);
        assert_eq!(std::fs::read(&half.general.path).unwrap(), found);
    }

    #[test]
    fn without_a_partner_it_is_as_without_detail_and_is_told_once() {
        let cache = tempfile::tempdir().unwrap();
        let models = resolve_all(&tiny(cache.path(), "bicubic-x4", 0.7)).unwrap();
        assert!(models.general.mixture.is_none());
        let [notice] = models.notices.as_slice() else {
            panic!("{:?}", models.notices);
        };
        assert_eq!(notice.severity, Severity::Worse);
        assert!(
            notice
                .text
                .contains("detail 0.7 has no effect on bicubic-x4: expected natural ="),
            "{notice}"
        );
        // A partner of another architecture, and one that is not there.
        let shipped = tiny(cache.path(), "", 0.0).models_dir.unwrap();
        let text = std::fs::read_to_string(shipped.join("models.toml")).unwrap();
        for (partner, said) in [("inverted-x4", "pads"), ("none-such", "none of that name")] {
            let folder = tempfile::tempdir().unwrap();
            for file in ["plain-x4.onnx", "inverted-x4.onnx"] {
                std::fs::copy(shipped.join(file), folder.path().join(file)).unwrap();
            }
            let text = text.replace(
                "natural = \"crisp-x4\"",
                &format!("natural = \"{partner}\""),
            );
            std::fs::write(folder.path().join("models.toml"), text).unwrap();
            let at = |detail| {
                resolve_all(&Config {
                    models_dir: Some(folder.path().to_owned()),
                    ..tiny(cache.path(), "plain-x4", detail)
                })
                .unwrap()
            };
            let models = at(0.7);
            assert!(models.general.mixture.is_none());
            let [notice] = models.notices.as_slice() else {
                panic!("{:?}", models.notices);
            };
            let text = &notice.text;
            assert!(text.contains("plain-x4") && text.contains(said), "{text}");
            assert!(at(0.0).notices.is_empty());
        }
    }
}

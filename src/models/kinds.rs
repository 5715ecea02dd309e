//! Kinds of objects other than faces, as the entries of models.toml say them: two of the same subject, a generator's and a detector's, are a kind.

use super::catalogue::{CATALOGUE_FILE, Catalogue, Entry, Role, rule_setting};
use crate::error::{Error, Result};
use crate::settings::{KindRules, ObjectKind, Settings, WantedKind, detector_role, generator_role};

/// What makes a kind: names of models, and what entries say of it.
pub(super) struct FoundKind<'a> {
    pub(super) kind: ObjectKind,
    /// Name or path of its generator.
    pub(super) generator: &'a str,
    /// Name of its detector, and whether it is one of the folder that came with srfusion; none where its objects come with the frames.
    pub(super) detector: Option<(&'a str, bool)>,
}

/// The first of `entries` in `role` for `subject`.
fn first<'a>(entries: &'a [Entry], role: Role, subject: &str) -> Option<&'a Entry> {
    let is_it = |entry: &&Entry| entry.role == role && entry.subject.name() == subject;
    entries.iter().find(is_it)
}

/// What makes the kind that is `wanted`, which is not faces, among the models of `own`, which `shipped`, the folder that came with srfusion, completes
/// by a detector. That is left out where objects come with the frames, `given`.
///
/// # Errors
/// [`Error::NotFound`] where there is no such entry.
pub(super) fn find_kind<'a>(
    wanted: &'a WantedKind,
    own: &'a Catalogue,
    shipped: Option<&'a Catalogue>,
    given: bool,
) -> Result<FoundKind<'a>> {
    let subject = wanted.subject.as_str();
    let drawn_by = first(own.entries(), Role::Generator, subject);
    let generator = match (&wanted.generator, drawn_by) {
        (Some(name), _) => name,
        (None, Some(entry)) => &entry.name,
        (None, None) => {
            let role = generator_role(subject);
            return Err(lacking(own, role, Role::Generator, subject));
        }
    };
    let detector = |catalogue: &'a Catalogue| first(catalogue.entries(), Role::Detector, subject);
    let found_by = match detector(own) {
        Some(entry) => Some((entry, false)),
        None => shipped.and_then(detector).map(|entry| (entry, true)),
    };
    if found_by.is_none() && !given {
        let role = detector_role(subject);
        return Err(lacking(own, role, Role::Detector, subject));
    }
    let entries = [found_by.map(|(entry, _)| entry), drawn_by];
    Ok(FoundKind {
        kind: kind(subject, entries.into_iter().flatten()),
        generator,
        detector: found_by
            .filter(|_| !given)
            .map(|(entry, from_shipped)| (entry.name.as_str(), from_shipped)),
    })
}

/// The kind `subject` of which `entries` say what is not as with faces; what the first says holds.
fn kind<'a>(subject: &str, entries: impl Iterator<Item = &'a Entry>) -> ObjectKind {
    let mut roi_type = None;
    let mut known: Vec<&str> = Vec::new();
    let mut settings = Settings::default();
    for entry in entries {
        let score = entry
            .min_confidence
            .filter(|_| entry.role == Role::Detector);
        let score = score.map(|score| ("min-confidence", score.to_string()));
        for (key, value) in entry.rules().chain(score) {
            if known.contains(&key) {
                continue;
            }
            known.push(key);
            match rule_setting(key) {
                // Within its bounds, which were checked when the file was read.
                Some(setting) => {
                    let _ = setting
                        .parse(&value)
                        .and_then(|value| setting.set(&mut settings, value));
                }
                None => roi_type = Some(value),
            }
        }
    }
    ObjectKind {
        roi_type: roi_type.unwrap_or_else(|| subject.to_owned()),
        rules: Some(KindRules::of(&settings.parameters)),
        ..ObjectKind::new(subject)
    }
}

/// There is no entry for the kind `subject`.
fn lacking(catalogue: &Catalogue, what: &str, role: Role, subject: &str) -> Error {
    let mut subjects: Vec<_> = catalogue
        .entries()
        .iter()
        .filter(|entry| entry.role == role && !entry.subject.is_general())
        .map(|entry| entry.subject.name())
        .collect();
    subjects.sort_unstable();
    subjects.dedup();
    let there = match subjects.as_slice() {
        [] => "no other".to_owned(),
        subjects => subjects.join(", "),
    };
    let role = role.name();
    Error::NotFound {
        what: what.to_owned(),
        path: catalogue.dir().join(CATALOGUE_FILE).display().to_string(),
        reason: format!(
            "objects names {subject}, expected an entry with role = \"{role}\" and subject = \"{subject}\" (docs/kinds.md), found those of {there}"
        ),
    }
}

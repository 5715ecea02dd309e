//! Kinds of objects: what a stream looks for and has an expert draw. Which there are is written in models.toml; faces are the kind that is always
//! known, and that the settings of the table are about. Every other kind brings its own, of which the defaults are those of faces.

use std::time::Duration;

use super::values::{Config, NO_MODEL, Parameters};
use crate::error::{Error, Result};

/// Most kinds in one stream.
pub const MAX_KINDS: usize = 8;
/// The kind that the settings of the table are about.
pub const FACES: &str = "face";
/// What a generator was trained for that draws everything: no kind of objects.
pub const GENERAL_SUBJECT: &str = "general";
/// Longest name of a kind.
const LONGEST_NAME: usize = 32;

/// A kind that a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedKind {
    /// Its name: the `subject` of models in models.toml.
    pub subject: String,
    /// Its generator, if not the first of that subject: a name in models.toml or the path of an ONNX file.
    pub generator: Option<String>,
}

/// Whether `name` can be that of a kind, or of what a model was trained for: small letters, digits and hyphens, a letter first.
pub fn is_subject(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= LONGEST_NAME
        && name.chars().all(is_plain)
        && !name.ends_with('-')
}

/// The kinds that `text` names, joined by commas, each with `=` and its generator if need be; `none` names none. Faces come first, whatever
/// their place: they are drawn before others. `None` where it names no kinds, or one of them twice, or more than [`MAX_KINDS`].
pub fn wanted_kinds(text: &str) -> Option<Vec<WantedKind>> {
    if text.trim() == NO_MODEL {
        return Some(Vec::new());
    }
    let mut wanted: Vec<WantedKind> = Vec::new();
    for part in text.split(',') {
        let (subject, generator) = match part.split_once('=') {
            Some((subject, generator)) => (subject.trim(), Some(generator.trim())),
            None => (part.trim(), None),
        };
        // A face's generator has a setting of its own.
        let is_named_well = generator.is_none_or(|name| !name.is_empty() && subject != FACES);
        let is_new = wanted.iter().all(|other| other.subject != subject);
        let is_kind = is_subject(subject) && ![GENERAL_SUBJECT, NO_MODEL].contains(&subject);
        if !(is_kind && is_new && is_named_well) || wanted.len() == MAX_KINDS {
            return None;
        }
        wanted.push(WantedKind {
            subject: subject.to_owned(),
            generator: generator.map(str::to_owned),
        });
    }
    wanted.sort_by_key(|kind| kind.subject != FACES);
    Some(wanted)
}

/// What may be said of kinds, for messages.
pub const WANTED_KINDS: &str = "kinds of objects joined by commas, such as face or face,text, each once and at most eight; of one but face =NAME names its generator";

impl Config {
    /// The kinds of objects that are asked for, faces first.
    ///
    /// # Errors
    /// [`Error::Setting`] where `objects` is no list of kinds.
    pub fn wanted_kinds(&self) -> Result<Vec<WantedKind>> {
        wanted_kinds(&self.objects).ok_or_else(|| Error::Setting {
            name: "objects".into(),
            expected: WANTED_KINDS.into(),
            found: self.objects.clone(),
        })
    }
}

/// How the objects of a kind are followed and masked. The defaults are those of faces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KindRules {
    /// Margin added on each side of a box, as a fraction of its width and height. `0.0..=2.0`.
    pub mask_padding: f64,
    /// Standard deviation of the mask's Gaussian, as a fraction of the box's width and height. `0.0..=1.0`.
    pub mask_sigma: f64,
    /// Score from which a new object is believed. `0.0..=1.0`.
    pub min_confidence: f64,
    /// Height in input pixels from which an object counts.
    pub min_size: f64,
    /// Most objects followed at a time.
    pub max_objects: usize,
    /// How strongly a box is smoothed over time. `0.0..1.0`.
    pub smoothing: f64,
    /// How long an object that is no longer found is kept before it fades.
    pub hold_time: Duration,
    /// How long an object takes to fade in and out.
    pub fade_time: Duration,
}

impl Default for KindRules {
    fn default() -> Self {
        Self::of(&Parameters::default())
    }
}

impl KindRules {
    /// Those that `faces` says of faces.
    pub fn of(faces: &Parameters) -> Self {
        Self {
            mask_padding: faces.mask_padding,
            mask_sigma: faces.mask_sigma,
            min_confidence: faces.min_confidence,
            min_size: faces.min_face_size,
            max_objects: faces.max_faces,
            smoothing: faces.smoothing,
            hold_time: faces.hold_time,
            fade_time: faces.fade_time,
        }
    }
}

/// A kind of objects that is looked for, followed and drawn by a network of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectKind {
    /// Its name, as models.toml has it for `subject`.
    pub subject: String,
    /// Type of the regions of interest that stand for its objects.
    pub roi_type: String,
    /// How its objects are followed and masked; `None` as the parameters in force say, which are about faces.
    pub rules: Option<KindRules>,
}

impl ObjectKind {
    /// Faces.
    pub fn faces() -> Self {
        Self {
            subject: FACES.to_owned(),
            roi_type: FACES.to_owned(),
            rules: None,
        }
    }

    /// A kind of this name with the default rules, whose regions are of a type of the same name.
    pub fn new(subject: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            roi_type: subject.to_owned(),
            rules: Some(KindRules::default()),
        }
    }

    /// Whether it is faces.
    pub fn is_faces(&self) -> bool {
        self.subject == FACES
    }

    /// The parameters in force for it, where those of the stream are `parameters`.
    pub fn parameters(&self, parameters: &Parameters) -> Parameters {
        match &self.rules {
            None => parameters.clone(),
            Some(rules) => Parameters {
                mask_padding: rules.mask_padding,
                mask_sigma: rules.mask_sigma,
                min_confidence: rules.min_confidence,
                min_face_size: rules.min_size,
                max_faces: rules.max_objects,
                smoothing: rules.smoothing,
                hold_time: rules.hold_time,
                fade_time: rules.fade_time,
                ..parameters.clone()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_kinds() {
        let names = |text: &str| -> Option<Vec<String>> {
            let kinds = wanted_kinds(text)?.into_iter();
            Some(kinds.map(|kind| kind.subject).collect())
        };
        assert_eq!(names("face").unwrap(), ["face"]);
        assert_eq!(
            names("text, plate ,face").unwrap(),
            ["face", "text", "plate"]
        );
        assert_eq!(names("none").unwrap(), [""; 0]);
        let named = wanted_kinds("face,text=text-x4-fast").unwrap();
        assert_eq!(named[1].generator.as_deref(), Some("text-x4-fast"));
        assert_eq!(named[0].generator, None);
        for wrong in [
            "",
            "face,",
            "face,face",
            "Face",
            "general",
            "face,none",
            "a b",
            "4text",
            "text=",
            "te_xt",
            "face=face-x4-fast",
            "text-",
            "a,b,c,d,e,f,g,h,i",
        ] {
            assert_eq!(wanted_kinds(wrong), None, "{wrong}");
        }
        assert_eq!(names("a,b,c,d,e,f,g,h").unwrap().len(), MAX_KINDS);
    }

    #[test]
    fn a_kind_without_rules_of_its_own_goes_as_faces_do_by_default() {
        let changed = Parameters {
            mask_padding: 0.7,
            max_faces: 1,
            detect_interval: 5,
            ..Parameters::default()
        };
        assert_eq!(ObjectKind::faces().parameters(&changed), changed);
        let text = ObjectKind::new("text").parameters(&changed);
        let expected = Parameters {
            detect_interval: 5,
            ..Parameters::default()
        };
        assert_eq!(text, expected);
    }
}

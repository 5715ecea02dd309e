//! The table of settings: what each is called, what it may be, and when it may change. The element's properties, the command's options
//! and the table in the documentation are made from it; the defaults are those of [`Settings::default`].

use super::choices::{Choices, Precision, Provider, Reuse, View};
use super::kinds::FACES;
use super::value::{Field, Kind, Value};
use super::values::{MAX_FRAMES_IN_FLIGHT, Parameters, Settings, is_none};
use crate::error::{Error, Result};

/// Longest side of an input frame: four times as many pixels are still a number that caps can hold.
/// Longest side of what a detector is given.
const LONGEST_DETECTOR_SIDE: i64 = 16_384;
const LONGEST_SIDE: i64 = i32::MAX as i64 / crate::scale::SCALE as i64;

/// When a new value of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// When the models are opened next: the element is READY or below.
    Ready,
    /// With the next frame.
    Playing,
}

/// What a setting is about, and so which commands have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Which models are used.
    Models,
    /// Where and how they run.
    Runtime,
    /// What is done with frames.
    Engine,
    /// What is done with streams: for the element alone.
    Element,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name, in words joined by hyphens.
    pub name: &'static str,
    /// Name for people.
    pub nick: &'static str,
    /// What it sets, one phrase.
    pub blurb: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What its number counts; empty where there is nothing to say.
    pub unit: &'static str,
    /// When a new value takes effect.
    pub change: Change,
    /// What it is about.
    pub group: Group,
    read: fn(&Settings) -> Value,
    write: fn(&mut Settings, Value) -> Option<()>,
}

/// What is wrong where `identity-guard` has nothing to compare by.
pub(crate) fn no_identity_model(guard: f64) -> Error {
    Error::Setting {
        name: "identity-model".into(),
        expected: format!("the file of a face embedding network, as identity-guard is {guard}"),
        found: "none".into(),
    }
}

/// The setting of this name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// Its value in `settings`.
    pub fn get(&self, settings: &Settings) -> Value {
        (self.read)(settings)
    }

    /// Its default.
    pub fn default(&self) -> Value {
        self.get(&Settings::default())
    }

    /// Puts `value` into `settings`.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is of another kind or out of its bounds; the old value stays.
    pub fn set(&self, settings: &mut Settings, value: Value) -> Result<()> {
        let wrong = self.wrong(&value);
        if self.kind.allows(&value) && (self.write)(settings, value).is_some() {
            Ok(())
        } else {
            Err(wrong)
        }
    }

    /// Reads its value.
    ///
    /// # Errors
    /// [`Error::Setting`] if `text` is none, or out of its bounds.
    pub fn parse(&self, text: &str) -> Result<Value> {
        self.kind.parse(text).ok_or_else(|| self.wrong(&text))
    }

    fn wrong(&self, found: &dyn std::fmt::Display) -> Error {
        Error::Setting {
            name: self.name.to_owned(),
            expected: self.kind.expected(),
            found: format!("'{found}'"),
        }
    }
}

impl Settings {
    /// Checks that every value is within its bounds, and that what one needs of another is there.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first that is not.
    pub fn validate(&self) -> Result<()> {
        self.check_bounds()?;
        let (config, guard) = (&self.config, self.parameters.identity_guard);
        let wanted = config.wanted_kinds()?;
        let draws_faces =
            wanted.iter().any(|kind| kind.subject == FACES) && !is_none(&config.face_model);
        if guard > 0.0 && config.identity_model.is_none() && draws_faces {
            return Err(no_identity_model(guard));
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<()> {
        for setting in SETTINGS {
            let value = setting.get(self);
            if !setting.kind.allows(&value) {
                return Err(setting.wrong(&value));
            }
        }
        Ok(())
    }
}

impl Parameters {
    /// Checks that every value is within its bounds.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the first that is not.
    pub fn validate(&self) -> Result<()> {
        let parameters = self.clone();
        Settings {
            parameters,
            ..Settings::default()
        }
        .check_bounds()
    }
}

/// One line of the table: a name and what it is for people, the field that holds it, and what it may be.
macro_rules! table {
    ($( $group:ident $change:ident $name:literal $nick:literal in $part:ident.$field:ident: $kind:expr, $unit:literal, $blurb:literal; )*) => {
        &[$( Setting {
            name: $name,
            nick: $nick,
            blurb: $blurb,
            kind: $kind,
            unit: $unit,
            change: Change::$change,
            group: Group::$group,
            read: |settings| settings.$part.$field.read(),
            write: |settings, value| settings.$part.$field.write(value),
        } ),*]
    };
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: &[Setting] = table! {
    Models Ready "general-model" "General model" in config.general_model: Kind::Model, "",
        "Generator for the whole frame: a name in models.toml or the path of an ONNX file";
    Models Ready "objects" "Objects" in config.objects: Kind::Objects, "",
        "Kinds of objects that are looked for and drawn by a network of their own, joined by commas: face, and those that models.toml has a generator and a detector for, each with =NAME for another generator; none for no kind; see docs/kinds.md";
    Models Ready "face-model" "Face model" in config.face_model: Kind::Model, "",
        "Generator for faces, likewise; none gives the general generator alone";
    Models Playing "detail" "Detail" in config.detail: Kind::Number(0.0, 1.0), "share",
        "Texture that is likely rather than certain: how much of a generator's weights is its natural partner's in models.toml, in steps of a thousandth (0 = none); see docs/models.md";
    Models Ready "detector-model" "Detector model" in config.detector_model: Kind::Model, "",
        "Face detector, likewise; none finds no faces; not opened with use-roi-meta";
    Engine Ready "detector-size" "Detector size" in config.detector_size: Kind::Count(0, LONGEST_DETECTOR_SIDE), "pixels",
        "Longest side to which a larger frame is shrunk before faces are looked for; more finds smaller faces and takes longer (0 = as the model's entry says, 960 for the one that ships)";
    Models Ready "identity-model" "Identity model" in config.identity_model: Kind::File, "",
        "Face embedding network for identity-guard, an ONNX file that takes an aligned face, f32[1, 3, 112, 112]; none ships";
    Models Ready "models-dir" "Models folder" in config.models_dir: Kind::Folder, "",
        "Folder of models.toml; by default SRFUSION_MODELS, else beside the plugin or program, else the installed one";
    Runtime Ready "runtime-library" "Runtime library" in config.runtime_library: Kind::File, "",
        "ONNX Runtime's shared library; by default ORT_DYLIB_PATH, else what scripts/setup installed, else the system's";
    Runtime Ready "provider" "Provider" in config.provider: Kind::Choice(Provider::CHOICES), "",
        "What computes the networks; auto takes the first that works, a named one that does not work is an error";
    Runtime Ready "device-id" "Device" in config.device_id: Kind::Count(0, i32::MAX as i64), "",
        "Index of the accelerator among those of the provider";
    Runtime Ready "precision" "Precision" in config.precision: Kind::Choice(Precision::CHOICES), "",
        "Arithmetic of the networks";
    Runtime Ready "threads" "Threads" in config.threads: Kind::Count(0, 1024), "",
        "Threads that a network may use on the processor (0 = all cores), and up to four of which write what it has drawn";
    Runtime Ready "cache-dir" "Cache folder" in config.cache_dir: Kind::Folder, "",
        "Folder for what a provider compiles, such as TensorRT engines; by default one in the user's cache folder";
    Engine Ready "deterministic" "Deterministic" in config.deterministic: Kind::Switch, "",
        "Do not learn from the times of runs how frames are best cut into runs: the same input gives the same output, bit by bit, whatever else the machine does (without a deadline)";
    Engine Ready "tile-size" "Tile size" in config.tile_size: Kind::Integer(0, LONGEST_SIDE), "pixels",
        "Longest side of a tile in input pixels, context included (0 = chosen)";
    Engine Ready "tile-overlap" "Tile overlap" in config.tile_overlap: Kind::Integer(-1, LONGEST_SIDE), "pixels",
        "Context around a tile in input pixels; less than the generator's receptive radius shows seams (-1 = receptive radius, or with reuse=tolerant the near-radius of models.toml)";
    Engine Playing "mask-padding" "Mask padding" in parameters.mask_padding: Kind::Number(0.0, 2.0), "fraction",
        "Margin added on each side of a face's box, as a fraction of its width and height";
    Engine Playing "mask-sigma" "Mask sigma" in parameters.mask_sigma: Kind::Number(0.0, 1.0), "fraction",
        "Softness of the mask's edge: standard deviation of its Gaussian, as a fraction of the box's width and height";
    Engine Playing "detect-interval" "Detection interval" in parameters.detect_interval: Kind::Count(0, i32::MAX as i64), "frames",
        "Frames from one detection to the next (1 = every frame, 0 = every frame in which something moved, else once a second)";
    Engine Playing "min-confidence" "Minimum confidence" in parameters.min_confidence: Kind::Number(0.0, 1.0), "score",
        "Score from which a new face is believed; one that is followed already may score less";
    Engine Playing "min-face-size" "Minimum face size" in parameters.min_face_size: Kind::Number(0.0, LONGEST_SIDE as f64), "pixels",
        "Height in input pixels from which a face counts";
    Engine Playing "max-faces" "Most faces" in parameters.max_faces: Kind::Count(0, 1024), "faces",
        "Most faces followed at a time";
    Engine Playing "smoothing" "Smoothing" in parameters.smoothing: Kind::Number(0.0, 0.999), "strength",
        "How strongly the position of a face is smoothed over time (0 = not at all); adds no latency";
    Engine Playing "hold-time" "Hold time" in parameters.hold_time: Kind::Time, "ns",
        "How long a face that is no longer found is kept before it fades";
    Engine Playing "fade-time" "Fade time" in parameters.fade_time: Kind::Time, "ns",
        "How long a face takes to fade in and out";
    Engine Playing "identity-guard" "Identity guard" in parameters.identity_guard: Kind::Number(0.0, 1.0), "cosine",
        "How like the input's face a drawn face must be, as identity-model sees it; where it is less the face network's weight falls until it is (0 = no guard)";
    Element Ready "use-roi-meta" "Use regions" in stream.use_roi_meta: Kind::Switch, "",
        "Take faces from the input's region of interest metas of type face instead of detecting them; no detector is opened";
    Element Playing "attach-roi-meta" "Attach regions" in stream.attach_roi_meta: Kind::Switch, "",
        "Attach each face to the output as a region of interest meta of type face, in output pixels, with score, track id, weight and points";
    Element Playing "attach-marks" "Attach marks" in stream.attach_marks: Kind::Switch, "",
        "Attach to each output frame, as user data for the SEI of H.264 and H.265, which networks drew it and which faces: encoders that know this meta write it";
    Engine Playing "reuse" "Reuse" in parameters.reuse: Kind::Choice(Reuse::CHOICES), "",
        "Which results of earlier frames are kept instead of computing them again";
    Engine Playing "reuse-threshold" "Reuse threshold" in parameters.reuse_threshold: Kind::Number(0.0, 64.0), "levels",
        "Difference in levels of 255 that reuse=tolerant takes for noise (0 = estimated from the stream)";
    Engine Playing "refresh-time" "Refresh time" in parameters.refresh_time: Kind::Time, "ns",
        "Longest time that reuse=tolerant keeps a result that is not exact (0 = for ever)";
    Engine Playing "view" "View" in parameters.view: Kind::Choice(View::CHOICES), "",
        "What the output shows";
    Engine Ready "frames-in-flight" "Frames in flight" in stream.frames_in_flight: Kind::Count(0, MAX_FRAMES_IN_FLIGHT as i64), "frames",
        "Frames under way at a time: with more than one, the next is compared and searched for faces while one is drawn (0 = chosen: 2 where a device draws, else 1)";
    Element Playing "deadline" "Deadline" in stream.deadline: Kind::Nanoseconds(-1, i64::MAX), "ns",
        "Time that a frame may take: faces are drawn in any case, then what moves, then what is owed from earlier frames; the rest is drawn by general-fast-model or interpolated (0 = as long as it takes, -1 = a frame's duration when live)";
    Element Ready "general-fast-model" "Fast general model" in stream.general_fast_model: Kind::Model, "",
        "Generator, likewise, that draws what general-model has no time for within the deadline; none for interpolation alone; opened only with a deadline";
    Element Playing "latency" "Latency" in stream.latency: Kind::Time, "ns",
        "Time for a frame that is reported to live pipelines (0 = the deadline, or else measured); reads as what is reported";
    Element Ready "audit" "Record" in stream.audit: Kind::File, "",
        "Add to this file, a line of JSON a frame, what was drawn by what, with hashes of both frames; see docs/evidence.md";
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn names_are_words_joined_by_hyphens_and_unique() {
        let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), SETTINGS.len());
        for name in names {
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{name}"
            );
            assert_eq!(setting(name).map(|setting| setting.name), Some(name));
        }
        assert!(setting("no-such").is_none());
    }

    /// A value within the bounds that is not the default.
    fn another(setting: &Setting) -> Value {
        let default = setting.default();
        let other = match (setting.kind, &default) {
            (Kind::Model, _) => Value::Text("another".into()),
            (Kind::Objects, _) => Value::Text("face,another".into()),
            (Kind::File | Kind::Folder, _) => Value::Path(Some("/another".into())),
            (Kind::Choice(choices), _) => {
                let other = choices
                    .iter()
                    .find(|choice| Value::Choice(choice.name) != default);
                Value::Choice(other.unwrap().name)
            }
            (
                Kind::Count(..) | Kind::Integer(..) | Kind::Nanoseconds(..),
                Value::Integer(value),
            ) => Value::Integer(value + 1),
            (Kind::Number(_, high), _) => Value::Number(high / 4.0),
            (Kind::Time, _) => Value::Time(Duration::from_nanos(1_234_567)),
            (Kind::Switch, Value::Switch(value)) => Value::Switch(!value),
            (kind, value) => panic!("{kind:?} has {value:?}"),
        };
        assert_ne!(other, default, "{}", setting.name);
        other
    }

    #[test]
    fn each_name_has_a_value_of_its_own() {
        let mut all = Settings::default();
        assert!(all.validate().is_ok());
        for setting in SETTINGS {
            let value = another(setting);
            let mut one = Settings::default();
            setting.set(&mut one, value.clone()).unwrap();
            for other in SETTINGS {
                let expected = if other.name == setting.name {
                    value.clone()
                } else {
                    other.default()
                };
                assert_eq!(
                    other.get(&one),
                    expected,
                    "{} of {}",
                    other.name,
                    setting.name
                );
            }
            // As it is written it is read.
            assert_eq!(setting.parse(&value.text()).unwrap(), value);
            assert_eq!(setting.parse(&value.to_string()).unwrap(), value);
            setting.set(&mut all, value).unwrap();
        }
        assert!(all.validate().is_ok());
    }

    #[test]
    fn values_out_of_bounds_are_refused_with_the_bounds() {
        for (name, text, part) in [
            ("smoothing", "1", "0.999"),
            ("mask-padding", "2.5", "from 0 to 2"),
            ("mask-padding", "NaN", "from 0 to 2"),
            ("tile-overlap", "-2", "from -1"),
            ("frames-in-flight", "9", "from 0 to 8"),
            ("max-faces", "-1", "from 0"),
            ("view", "fussed", "fused"),
            ("hold-time", "4m", "400ms"),
            ("hold-time", "-1s", "400ms"),
            ("hold-time", "300000000000s", "292 years"),
            ("use-roi-meta", "maybe", "true or false"),
        ] {
            let error = setting(name).unwrap().parse(text).unwrap_err().to_string();
            for part in [name, text, part] {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
        let mut settings = Settings::default();
        let smoothing = setting("smoothing").unwrap();
        assert!(smoothing.set(&mut settings, Value::Number(2.0)).is_err());
        assert!(smoothing.set(&mut settings, Value::Switch(true)).is_err());
        assert_eq!(settings, Settings::default());
        settings.parameters.smoothing = 2.0;
        let error = settings.parameters.validate().unwrap_err().to_string();
        assert!(
            error.contains("smoothing") && error.contains('2'),
            "{error}"
        );
    }

    #[test]
    fn a_guard_of_faces_needs_a_network_only_where_faces_are_drawn() {
        let mut settings = Settings::default();
        settings.parameters.identity_guard = 0.5;
        assert!(settings.validate().is_err());
        settings.config.objects = "text".to_owned();
        assert!(settings.validate().is_ok());
        settings.config.objects = "text,face".to_owned();
        assert!(settings.validate().is_err());
        settings.config.face_model = "none".to_owned();
        assert!(settings.validate().is_ok());
        settings.config.objects = "text,text".to_owned();
        let error = settings.validate().unwrap_err().to_string();
        assert!(
            error.contains("objects") && error.contains("each once"),
            "{error}"
        );
    }

    #[test]
    fn times_have_units() {
        let time = |text: &str| setting("fade-time").unwrap().parse(text).unwrap();
        assert_eq!(time("400ms"), Value::Time(Duration::from_millis(400)));
        assert_eq!(time("0.4s"), Value::Time(Duration::from_millis(400)));
        assert_eq!(time("250000"), Value::Time(Duration::from_micros(250)));
        assert_eq!(time("7us"), Value::Time(Duration::from_micros(7)));
        for text in ["0", "400ms", "10s", "7us", "1234567ns"] {
            assert_eq!(time(text).text(), text);
        }
    }
}

//! What the engine is to do, with which models and where: the options that several commands take. They are made from the engine's table
//! of settings, and so are spelt as the element's properties.

use std::marker::PhantomData;

use clap::builder::{
    PathBufValueParser, PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser,
};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use srfusion::settings::{Group, Kind, SETTINGS, Setting, Value};
use srfusion::{Config, Parameters, Settings};

/// Which settings a command has.
pub trait Scope {
    /// Their groups, in the order in which they are shown.
    const GROUPS: &'static [Group];
}

/// Which models to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Models;

impl Scope for Models {
    const GROUPS: &'static [Group] = &[Group::Models];
}

/// Where and how networks run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Runtime;

impl Scope for Runtime {
    const GROUPS: &'static [Group] = &[Group::Runtime];
}

/// What the engine is to do, with which models and where.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineScope;

impl Scope for EngineScope {
    const GROUPS: &'static [Group] = &[Group::Models, Group::Engine, Group::Runtime];
}

/// Which models to run.
pub type ModelOptions = SettingOptions<Models>;
/// Where and how networks run.
pub type RuntimeOptions = SettingOptions<Runtime>;
/// What the engine is to do, with which models and where.
pub type EngineOptions = SettingOptions<EngineScope>;

/// The settings that were given. What is not given keeps its default.
#[derive(Debug, Clone, Default)]
pub struct SettingOptions<S> {
    given: Vec<(&'static Setting, Value)>,
    scope: PhantomData<S>,
}

/// The settings of a scope, in the order in which they are shown.
fn settings<S: Scope>() -> impl Iterator<Item = &'static Setting> {
    S::GROUPS
        .iter()
        .flat_map(|group| SETTINGS.iter().filter(|setting| setting.group == *group))
}

/// The option for a setting.
fn option(setting: &'static Setting) -> Arg {
    let heading = match setting.group {
        Group::Models => "Models (as the properties of the element srfusion)",
        Group::Runtime => "Runtime (as the properties of the element srfusion)",
        Group::Engine | Group::Element => "Engine (as the properties of the element srfusion)",
    };
    let parser: ValueParser = match setting.kind {
        // Paths need not be text.
        Kind::File | Kind::Folder => PathBufValueParser::new()
            .map(|path| Value::Path(Some(path)))
            .into(),
        Kind::Choice(choices) => {
            let values = choices
                .iter()
                .map(|choice| PossibleValue::new(choice.name).help(choice.blurb));
            PossibleValuesParser::new(values)
                .try_map(|name| setting.parse(&name))
                .into()
        }
        _ => ValueParser::new(|text: &str| setting.parse(text)),
    };
    let word = match setting.kind {
        Kind::Model => "NAME|FILE".to_owned(),
        Kind::Objects => "KINDS".to_owned(),
        Kind::File => "FILE".to_owned(),
        Kind::Folder => "FOLDER".to_owned(),
        Kind::Time => "TIME".to_owned(),
        Kind::Choice(_) => setting.name.to_uppercase(),
        _ if setting.unit.is_empty() => "N".to_owned(),
        _ => setting.unit.to_uppercase(),
    };
    let help = match setting.default().text() {
        none if none.is_empty() => setting.blurb.to_owned(),
        default => format!("{} [default: {default}]", setting.blurb),
    };
    Arg::new(setting.name)
        .long(setting.name)
        .value_name(word)
        .help(help)
        .help_heading(heading)
        .allow_negative_numbers(true)
        .value_parser(parser)
}

impl<S: Scope> Args for SettingOptions<S> {
    fn augment_args(command: Command) -> Command {
        command.args(settings::<S>().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Scope> FromArgMatches for SettingOptions<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = settings::<S>()
            .filter_map(|setting| Some((setting, matches.get_one(setting.name).cloned()?)))
            .collect();
        Ok(Self {
            given,
            scope: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<S> SettingOptions<S> {
    /// Puts what was given into `settings`.
    fn put(&self, settings: &mut Settings) {
        for (setting, value) in &self.given {
            // Cannot fail: it was read as a value of this very setting.
            let _ = setting.set(settings, value.clone());
        }
    }

    /// Puts what was given into `config`.
    pub fn apply(&self, config: &mut Config) {
        let mut settings = Settings {
            config: config.clone(),
            ..Settings::default()
        };
        self.put(&mut settings);
        *config = settings.config;
    }
}

/// The configuration that every command starts from: models are looked for near this program.
pub fn config_here() -> Config {
    Config {
        near: std::env::current_exe().ok(),
        ..Config::default()
    }
}

impl EngineOptions {
    /// Those of `models` and `runtime`.
    pub fn joined(models: &ModelOptions, runtime: &RuntimeOptions) -> Self {
        Self {
            given: [&models.given[..], &runtime.given[..]].concat(),
            scope: PhantomData,
        }
    }

    /// What is fixed when models are opened.
    pub fn config(&self) -> Config {
        let mut config = config_here();
        self.apply(&mut config);
        config
    }

    /// What may change between frames.
    ///
    /// # Errors
    /// [`srfusion::Error::Setting`] naming the option that is out of range.
    pub fn parameters(&self) -> srfusion::Result<Parameters> {
        let mut settings = Settings::default();
        self.put(&mut settings);
        settings.validate()?;
        Ok(settings.parameters)
    }

    /// What was given, as properties of the element with their values in GStreamer's notation. `models-dir` is left to
    /// the caller, who knows where this program lies.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        self.given
            .iter()
            .filter(|(setting, _)| setting.name != "models-dir")
            .map(|(setting, value)| (setting.name, value.to_string()))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        options: EngineOptions,
    }

    fn typed(text: &str) -> Result<EngineOptions, clap::Error> {
        Typed::try_parse_from(text.split(' ')).map(|typed| typed.options)
    }

    #[test]
    fn options_reach_both_sides() {
        let options = typed(
            "srfusion --view mask --hold-time 1s --tile-overlap -1 --threads 3 --smoothing 0.5 --frames-in-flight 2 --models-dir x",
        )
        .unwrap();
        let (config, parameters) = (options.config(), options.parameters().unwrap());
        assert_eq!((config.threads, config.tile_overlap), (3, None));
        assert_eq!(config.models_dir, Some("x".into()));
        assert_eq!(
            (parameters.view, parameters.hold_time),
            (srfusion::View::Mask, Duration::from_secs(1))
        );
        let mut properties = options.properties();
        properties.sort();
        let expected = [
            ("frames-in-flight", "2"),
            ("hold-time", "1000000000"),
            ("smoothing", "0.5"),
            ("threads", "3"),
            ("tile-overlap", "-1"),
            ("view", "mask"),
        ];
        assert_eq!(
            properties,
            expected.map(|(name, value)| (name, value.to_owned()))
        );
    }

    #[test]
    fn every_setting_but_the_element_s_own_is_an_option_of_its_default() {
        for setting in SETTINGS {
            let default = setting.default().text();
            if default.is_empty() {
                continue;
            }
            let given = typed(&format!("srfusion --{} {default}", setting.name));
            if setting.group == Group::Element {
                assert!(given.is_err(), "{}", setting.name);
                continue;
            }
            let given = given.unwrap();
            assert_eq!(given.parameters().unwrap(), Parameters::default());
            assert_eq!(given.config(), config_here());
            assert_eq!(given.properties().len(), 1, "{}", setting.name);
        }
    }

    #[test]
    fn wrong_values_are_told_with_what_was_expected() {
        for (text, part) in [
            ("srfusion --smoothing 1", "0.999"),
            ("srfusion --view fussed", "fused"),
            ("srfusion --hold-time 4m", "400ms"),
            ("srfusion --frames-in-flight 9", "0 to 8"),
        ] {
            let error = typed(text).unwrap_err().to_string();
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        // No word is lost between bounds that a number may be written in.
        assert_eq!(
            typed("srfusion --mask-padding 0.2")
                .unwrap()
                .parameters()
                .unwrap()
                .mask_padding,
            0.2
        );
    }
}

//! The engine's table of settings as properties: parameter specifications, and values on their way in and out. The properties that are
//! no settings are here as well.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use srfusion::Settings;
use srfusion::settings::{Change, Kind, SETTINGS, Setting, Value, setting};

use super::enums;

pub(super) const PROP_ACTIVE_PROVIDER: &str = "active-provider";
pub(super) const PROP_LATENCY: &str = "latency";
pub(super) const PROP_STATS: &str = "stats";

/// Durations as clocks count them.
pub(super) fn clock_time(duration: Duration) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1))
}

/// What a property of this kind holds for `value`.
fn to_glib(setting: &Setting, value: &Value) -> Option<glib::Value> {
    Some(match value {
        Value::Text(text) => text.to_value(),
        Value::Path(path) => path.to_value(),
        Value::Choice(name) => enums::to_value(enums::type_of(setting.name)?, name)?,
        Value::Integer(value) if matches!(setting.kind, Kind::Count(..)) => {
            u32::try_from(*value).ok()?.to_value()
        }
        Value::Integer(value) if matches!(setting.kind, Kind::Nanoseconds(..)) => value.to_value(),
        Value::Integer(value) => i32::try_from(*value).ok()?.to_value(),
        Value::Number(value) => value.to_value(),
        Value::Time(time) => clock_time(*time).nseconds().to_value(),
        Value::Switch(value) => value.to_value(),
    })
}

/// What `value` of a property of this kind stands for. No text, as from a variable of the shell that is not set, is the default.
fn from_glib(setting: &Setting, value: &glib::Value) -> Option<Value> {
    Some(match setting.kind {
        Kind::Model | Kind::Objects | Kind::File | Kind::Folder => {
            match value.get::<Option<String>>().ok()? {
                Some(text) => setting.kind.parse(&text)?,
                None => setting.default(),
            }
        }
        Kind::Choice(choices) => {
            let name = enums::name(value)?;
            Value::Choice(choices.iter().find(|choice| choice.name == name)?.name)
        }
        Kind::Count(..) => Value::Integer(value.get::<u32>().ok()?.into()),
        Kind::Integer(..) => Value::Integer(value.get::<i32>().ok()?.into()),
        Kind::Nanoseconds(..) => Value::Integer(value.get::<i64>().ok()?),
        Kind::Number(..) => Value::Number(value.get().ok()?),
        Kind::Time => Value::Time(Duration::from_nanos(value.get().ok()?)),
        Kind::Switch => Value::Switch(value.get().ok()?),
    })
}

/// Puts the value of the property `name` into `settings`.
///
/// # Errors
/// What is wrong, for the log: GObject has checked the type and the bounds before.
pub(super) fn put(settings: &mut Settings, name: &str, value: &glib::Value) -> Result<(), String> {
    let setting = setting(name).ok_or("it is no setting")?;
    let value = from_glib(setting, value).ok_or_else(|| format!("{value:?} is no value of it"))?;
    setting
        .set(settings, value)
        .map_err(|error| error.to_string())
}

/// The value of the property `name` in `settings`; `None` if it is no setting.
pub(super) fn get(settings: &Settings, name: &str) -> Option<glib::Value> {
    let setting = setting(name)?;
    to_glib(setting, &setting.get(settings))
}

/// The property of a setting.
fn property(setting: &Setting) -> Option<glib::ParamSpec> {
    let (name, nick) = (setting.name, setting.nick);
    let blurb = match setting.kind {
        Kind::Time | Kind::Nanoseconds(..) => format!("{}, in nanoseconds", setting.blurb),
        _ => setting.blurb.to_owned(),
    };
    let blurb = blurb.as_str();
    let flags = glib::ParamFlags::READWRITE
        | match setting.change {
            Change::Ready => gst::PARAM_FLAG_MUTABLE_READY,
            Change::Playing => gst::PARAM_FLAG_MUTABLE_PLAYING,
        };
    macro_rules! build {
        ($builder:expr $(, $method:ident($value:expr))*) => {
            $builder.nick(nick).blurb(blurb).flags(flags)$(.$method($value))*.build()
        };
    }
    Some(match (setting.kind, setting.default()) {
        (Kind::Model | Kind::Objects, Value::Text(default)) => build!(
            glib::ParamSpecString::builder(name),
            default_value(Some(default.as_str()))
        ),
        (Kind::File | Kind::Folder, _) => build!(glib::ParamSpecString::builder(name)),
        (Kind::Choice(_), Value::Choice(default)) => {
            enums::property(name, nick, blurb, flags, default)?
        }
        (Kind::Count(low, high), Value::Integer(default)) => build!(
            glib::ParamSpecUInt::builder(name),
            minimum(low.try_into().ok()?),
            maximum(high.try_into().ok()?),
            default_value(default.try_into().ok()?)
        ),
        (Kind::Integer(low, high), Value::Integer(default)) => build!(
            glib::ParamSpecInt::builder(name),
            minimum(low.try_into().ok()?),
            maximum(high.try_into().ok()?),
            default_value(default.try_into().ok()?)
        ),
        (Kind::Nanoseconds(low, high), Value::Integer(default)) => build!(
            glib::ParamSpecInt64::builder(name),
            minimum(low),
            maximum(high),
            default_value(default)
        ),
        (Kind::Number(low, high), Value::Number(default)) => build!(
            glib::ParamSpecDouble::builder(name),
            minimum(low),
            maximum(high),
            default_value(default)
        ),
        (Kind::Time, Value::Time(default)) => build!(
            glib::ParamSpecUInt64::builder(name),
            maximum(i64::MAX as u64),
            default_value(clock_time(default).nseconds())
        ),
        (Kind::Switch, Value::Switch(default)) => {
            build!(
                glib::ParamSpecBoolean::builder(name),
                default_value(default)
            )
        }
        _ => return None,
    })
}

/// The element's properties: the settings, and what can only be read.
pub(super) fn properties() -> Vec<glib::ParamSpec> {
    let mut properties: Vec<_> = SETTINGS.iter().filter_map(property).collect();
    properties.push(
        glib::ParamSpecString::builder(PROP_ACTIVE_PROVIDER)
            .nick("Active provider")
            .blurb("What computes the networks now, once the models are open")
            .read_only()
            .build(),
    );
    properties.push(
        glib::ParamSpecBoxed::builder::<gst::Structure>(PROP_STATS)
            .nick("Statistics")
            .blurb("frames-in, frames-out, frames-repeated, deadline-missed, pixels-late, tiles-late, tiles-fast, share-full, share-fast, share-interpolated, objects-at-full-quality, faces, frames-with-faces, tiles-total, tiles-run, tiles-reused, face-pixels, identity-runs, faces-lowered, detections, mean milliseconds per stage and frame, provider, transfer, frames-in-flight, audit-frames, audit-lost, audit-errors; of kinds of objects but faces, such as text, kind-text-objects, kind-text-frames, kind-text-detections, kind-text-pixels, kind-text-ms")
            .read_only()
            .build(),
    );
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_a_property_that_can_be_set_and_read_back() {
        gst::init().unwrap();
        let properties = properties();
        assert_eq!(properties.len(), SETTINGS.len() + 2);
        let text = |value: &glib::Value| format!("{value:?}");
        for setting in SETTINGS {
            let property = properties
                .iter()
                .find(|property| property.name() == setting.name)
                .unwrap();
            let mut settings = Settings::default();
            let default = property.default_value();
            let read = get(&settings, setting.name).unwrap();
            assert_eq!(text(&read), text(default), "{}", setting.name);
            put(&mut settings, setting.name, default).unwrap();
            assert_eq!(settings, Settings::default(), "{}", setting.name);
            // At the bounds too.
            let ends = match setting.kind {
                Kind::Count(low, high)
                | Kind::Integer(low, high)
                | Kind::Nanoseconds(low, high) => {
                    vec![Value::Integer(low), Value::Integer(high)]
                }
                Kind::Number(low, high) => vec![Value::Number(low), Value::Number(high)],
                Kind::Choice(choices) => choices.iter().map(|c| Value::Choice(c.name)).collect(),
                Kind::Switch => vec![Value::Switch(true), Value::Switch(false)],
                Kind::Time => vec![Value::Time(Duration::from_nanos(i64::MAX as u64))],
                Kind::Model => vec![Value::Text("another".into())],
                Kind::Objects => vec![Value::Text("face,another".into())],
                Kind::File | Kind::Folder => vec![Value::Path(Some("/another".into()))],
            };
            for end in ends {
                let value = to_glib(setting, &end).unwrap();
                put(&mut settings, setting.name, &value).unwrap();
                assert_eq!(setting.get(&settings), end);
                assert_eq!(text(&get(&settings, setting.name).unwrap()), text(&value));
            }
        }
    }

    #[test]
    fn what_is_no_setting_or_no_value_is_refused() {
        gst::init().unwrap();
        let mut settings = Settings::default();
        assert!(get(&settings, PROP_STATS).is_none());
        assert!(put(&mut settings, PROP_STATS, &1.to_value()).is_err());
        assert!(put(&mut settings, "smoothing", &"much".to_value()).is_err());
        assert!(put(&mut settings, "smoothing", &2.0.to_value()).is_err());
        assert_eq!(settings, Settings::default());
    }
}

//! One value of the table of settings, what values there may be, and how they are written. Knows no setting.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::choices::{Choice, Choices, names};
use super::kinds::{WANTED_KINDS, wanted_kinds};

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// The name of a model or the path of its file.
    Model,
    /// Names of kinds of objects, joined by commas.
    Objects,
    /// The path of a file.
    File,
    /// The path of a folder.
    Folder,
    /// One of these names.
    Choice(&'static [Choice]),
    /// A whole number that is not negative, within these bounds.
    Count(i64, i64),
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A time in nanoseconds within these bounds; what is negative stands for something else.
    Nanoseconds(i64, i64),
    /// A number within these bounds.
    Number(f64, f64),
    /// A time, at most that of a signed number of nanoseconds.
    Time,
    /// On or off.
    Switch,
}

/// The longest time that a setting may be: that of a signed number of nanoseconds.
const LONGEST: Duration = Duration::from_nanos(i64::MAX as u64);

impl Kind {
    /// The values allowed, for messages.
    pub fn expected(&self) -> String {
        match self {
            Self::Model => "a name in models.toml or the path of an ONNX file".to_owned(),
            Self::Objects => WANTED_KINDS.to_owned(),
            Self::File => "the path of a file".to_owned(),
            Self::Folder => "the path of a folder".to_owned(),
            Self::Choice(choices) => names(choices),
            Self::Count(low, high) | Self::Integer(low, high) => {
                format!("a whole number from {low} to {high}")
            }
            Self::Nanoseconds(low, _) => {
                format!("a time such as 40ms or a number of nanoseconds from {low} on")
            }
            Self::Number(low, high) => format!("a number from {low} to {high}"),
            Self::Time => "a time such as 400ms or 0.4s, at most 292 years".to_owned(),
            Self::Switch => "true or false".to_owned(),
        }
    }

    /// Whether `value` is of this kind and within its bounds.
    pub fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Model, Value::Text(_)) => true,
            (Self::Objects, Value::Text(text)) => wanted_kinds(text).is_some(),
            (Self::File | Self::Folder, Value::Path(_)) => true,
            (Self::Choice(choices), Value::Choice(name)) => {
                choices.iter().any(|choice| choice.name == *name)
            }
            (Self::Count(low, high) | Self::Integer(low, high), Value::Integer(value)) => {
                (low..=high).contains(&value)
            }
            (Self::Nanoseconds(low, high), Value::Integer(value)) => (low..=high).contains(&value),
            (Self::Number(low, high), Value::Number(value)) => (low..=high).contains(&value),
            (Self::Time, Value::Time(value)) => *value <= LONGEST,
            (Self::Switch, Value::Switch(_)) => true,
            _ => false,
        }
    }

    /// The value that `text` stands for; `None` if it stands for none, or for one out of bounds. Times may have a unit (`ns`, `us`,
    /// `ms`, `s`), without one they are nanoseconds.
    pub fn parse(&self, text: &str) -> Option<Value> {
        let value = match self {
            Self::Model | Self::Objects => Value::Text(text.to_owned()),
            Self::File | Self::Folder => {
                Value::Path(Some(PathBuf::from(text)).filter(|path| path != Path::new("")))
            }
            Self::Choice(choices) => {
                let choice = choices.iter().find(|choice| choice.name == text)?;
                Value::Choice(choice.name)
            }
            Self::Count(..) | Self::Integer(..) => Value::Integer(text.parse().ok()?),
            Self::Nanoseconds(..) => Value::Integer(match text.parse() {
                Ok(value) => value,
                Err(_) => i64::try_from(time(text)?.as_nanos()).ok()?,
            }),
            Self::Number(..) => Value::Number(text.parse().ok()?),
            Self::Time => Value::Time(time(text)?),
            Self::Switch => Value::Switch(text.parse().ok()?),
        };
        self.allows(&value).then_some(value)
    }
}

/// Reads `400ms`, `0.4s`, `400us`, `400ns` or `400` (nanoseconds).
fn time(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))?;
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Of [`Kind::Model`] and [`Kind::Objects`].
    Text(String),
    /// Of [`Kind::File`] and [`Kind::Folder`].
    Path(Option<PathBuf>),
    /// Of [`Kind::Choice`].
    Choice(&'static str),
    /// Of [`Kind::Count`] and [`Kind::Integer`].
    Integer(i64),
    /// Of [`Kind::Number`].
    Number(f64),
    /// Of [`Kind::Time`].
    Time(Duration),
    /// Of [`Kind::Switch`].
    Switch(bool),
}

impl Value {
    /// As people write it: times with their unit, and no path is no text.
    pub fn text(&self) -> String {
        let Self::Time(time) = self else {
            return self.to_string();
        };
        let nanoseconds = time.as_nanos();
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
        match units.iter().find(|(size, _)| nanoseconds % size == 0) {
            _ if nanoseconds == 0 => "0".to_owned(),
            Some((size, unit)) => format!("{}{unit}", nanoseconds / size),
            None => format!("{nanoseconds}ns"),
        }
    }
}

/// As the element's property takes it: times are nanoseconds, and no path is no text.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Path(path) => write!(f, "{}", path.as_deref().unwrap_or(Path::new("")).display()),
            Self::Choice(name) => f.write_str(name),
            Self::Integer(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Time(time) => time.as_nanos().fmt(f),
            Self::Switch(value) => value.fmt(f),
        }
    }
}

/// Something that a setting's value is kept in.
pub(super) trait Field {
    /// What is in it.
    fn read(&self) -> Value;
    /// Puts `value` in; `None` leaves the old one where it is of another kind, or is more than this can hold.
    fn write(&mut self, value: Value) -> Option<()>;
}

macro_rules! fields {
    ($( $type:ty { $value:ident => $read:expr, $pattern:pat => $write:expr } )*) => { $(
        impl Field for $type {
            fn read(&self) -> Value {
                let $value = self;
                $read
            }

            fn write(&mut self, value: Value) -> Option<()> {
                *self = match value {
                    $pattern => $write,
                    _ => return None,
                };
                Some(())
            }
        }
    )* };
}

/// A number for the table; none of ours are so large that it is not itself.
fn integer(value: impl TryInto<i64>) -> Value {
    Value::Integer(value.try_into().unwrap_or(i64::MAX))
}

fields! {
    String { text => Value::Text(text.clone()), Value::Text(text) => text }
    Option<PathBuf> { path => Value::Path(path.clone()), Value::Path(path) => path }
    i64 { value => Value::Integer(*value), Value::Integer(value) => value }
    u32 { value => integer(*value), Value::Integer(value) => value.try_into().ok()? }
    usize { value => integer(*value), Value::Integer(value) => value.try_into().ok()? }
    // None is negative.
    Option<usize> {
        value => value.map_or(Value::Integer(-1), integer),
        Value::Integer(value) => usize::try_from(value).ok()
    }
    f64 { value => Value::Number(*value), Value::Number(value) => value }
    Duration { time => Value::Time(*time), Value::Time(time) => time }
    bool { value => Value::Switch(*value), Value::Switch(value) => value }
}

impl<T: Choices> Field for T {
    fn read(&self) -> Value {
        Value::Choice(Choices::name(*self))
    }

    fn write(&mut self, value: Value) -> Option<()> {
        let Value::Choice(name) = value else {
            return None;
        };
        *self = T::named(name).ok()?;
        Some(())
    }
}

//! The engine's choices as GObject's enumerations, made of the same words.

use gst::glib;
use gst::glib::prelude::*;

macro_rules! enumerations {
    ($(
        $(#[$about:meta])* $name:ident $type_name:tt $setting:tt {
            $( $(#[$attribute:meta])* $value:ident $word:tt $blurb:tt, )*
        }
    )*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
            #[repr(i32)]
            #[enum_type(name = $type_name)]
            pub enum $name {
                $( $(#[$attribute])* #[enum_value(name = $blurb, nick = $word)] $value, )*
            }
        )*

        /// The property of this setting, with this default.
        pub(super) fn property(
            setting: &str,
            nick: &str,
            blurb: &str,
            flags: glib::ParamFlags,
            default: &str,
        ) -> Option<glib::ParamSpec> {
            match setting {
                $( $setting => {
                    let default = to_value($name::static_type(), default)?.get::<$name>().ok()?;
                    let builder = glib::ParamSpecEnum::builder_with_default(setting, default);
                    Some(builder.nick(nick).blurb(blurb).flags(flags).build())
                } )*
                _ => None,
            }
        }

        /// The type of the property of this name, if it is a choice.
        pub(super) fn type_of(setting: &str) -> Option<glib::Type> {
            match setting {
                $( $setting => Some($name::static_type()), )*
                _ => None,
            }
        }

        /// Every type of a property that is a choice.
        pub(super) fn types() -> Vec<glib::Type> {
            vec![$( $name::static_type() ),*]
        }
    };
}

srfusion::choices!(enumerations);

/// The value called `name` of an enumeration.
pub(super) fn to_value(type_: glib::Type, name: &str) -> Option<glib::Value> {
    glib::EnumClass::with_type(type_)?.to_value_by_nick(name)
}

/// What the value of an enumeration is called.
pub(super) fn name(value: &glib::Value) -> Option<String> {
    let (_, value) = glib::EnumValue::from_value(value)?;
    Some(value.nick().to_owned())
}

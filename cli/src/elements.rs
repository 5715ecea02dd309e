//! GStreamer's elements: making them, setting their properties, Debian's package of each, and the element `srfusion` itself.

use std::sync::OnceLock;

use gst::prelude::*;

use crate::arguments::EngineOptions;
use crate::failure::{Failure, Result};

/// Elements that a video needs and the Debian package of each.
pub const NEEDED: &[(&str, &str)] = &[
    ("queue", "libgstreamer1.0-0"),
    ("capsfilter", "libgstreamer1.0-0"),
    ("filesink", "libgstreamer1.0-0"),
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("deinterlace", "gstreamer1.0-plugins-good"),
    ("mp4mux", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
];

/// Elements that some videos need, or that are needed in their stead.
pub const FURTHER: &[(&str, &str)] = &[
    ("qtmux", "gstreamer1.0-plugins-good"),
    ("matroskamux", "gstreamer1.0-plugins-good"),
    ("h265parse", "gstreamer1.0-plugins-bad"),
    ("av1parse", "gstreamer1.0-plugins-bad"),
    ("vp9parse", "gstreamer1.0-plugins-bad"),
    ("filesrc", "libgstreamer1.0-0"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
];

/// Starts GStreamer, and makes the element `srfusion` known to it.
///
/// # Errors
/// [`Failure::Failed`] with GStreamer's reason.
pub fn init() -> Result<()> {
    // Once: registering the element again would pull its factory from under elements that are at work.
    static DONE: OnceLock<Result<()>> = OnceLock::new();
    DONE.get_or_init(|| {
        gst::init().map_err(|error| {
            Failure::Failed(format!("GStreamer cannot be initialised: {error}"))
        })?;
        gstsrfusion::plugin_register_static().map_err(|error| {
            Failure::Failed(format!(
                "the element srfusion cannot be registered: {error}"
            ))
        })
    })
    .clone()
}

/// Debian's package of an element, where it is known.
pub fn package(element: &str) -> Option<&'static str> {
    NEEDED
        .iter()
        .chain(FURTHER)
        .find(|(name, _)| *name == element)
        .map(|(_, package)| *package)
}

/// Makes an element.
///
/// # Errors
/// [`Failure::Failed`] naming it, and Debian's package where it is known.
pub fn make(name: &str) -> Result<gst::Element> {
    gst::ElementFactory::make(name).build().map_err(|_| {
        let hint = package(name).map(|package| format!("; on Debian it is in {package}"));
        Failure::Failed(format!(
            "the GStreamer element {name} is missing{}",
            hint.unwrap_or_default()
        ))
    })
}

/// Sets a property from its text. Unlike GObject's own functions it does not panic.
///
/// # Errors
/// [`Failure::Failed`] where the element has no such property, [`Failure::Usage`] for a text that is no value of it.
pub fn set(element: &gst::Element, name: &str, text: &str) -> Result<()> {
    let what = || {
        element
            .factory()
            .map(|factory| factory.name().to_string())
            .unwrap_or_default()
    };
    let spec = element
        .find_property(name)
        .ok_or_else(|| Failure::Failed(format!("the element {} has no property {name}", what())))?;
    // A string is taken as it is; the notation of other types has to be read.
    let value = if spec.value_type() == gst::glib::Type::STRING {
        Ok(text.to_value())
    } else {
        gst::glib::Value::deserialize(text, spec.value_type())
    };
    let value = value.ok().filter(|value| in_range(&spec, value));
    let value = value.ok_or_else(|| {
        Failure::Usage(format!(
            "'{text}' is no value for {name} of the element {}; gst-inspect-1.0 {} tells those that are",
            what(),
            what()
        ))
    })?;
    if !spec.flags().contains(gst::glib::ParamFlags::WRITABLE) {
        return Err(Failure::Usage(format!(
            "{name} of the element {} cannot be set",
            what()
        )));
    }
    element.set_property_from_value(name, &value);
    Ok(())
}

/// Whether a number lies within what a property takes; outside, GObject would end the program.
fn in_range(spec: &gst::glib::ParamSpec, value: &gst::glib::Value) -> bool {
    use gst::glib::{
        ParamSpecDouble, ParamSpecInt, ParamSpecInt64, ParamSpecUInt, ParamSpecUInt64,
    };
    macro_rules! within {
        ($($kind:ty, $number:ty);*) => {
            $(if let (Some(spec), Ok(number)) = (spec.downcast_ref::<$kind>(), value.get::<$number>()) {
                return (spec.minimum()..=spec.maximum()).contains(&number);
            })*
        };
    }
    within!(ParamSpecInt, i32; ParamSpecUInt, u32; ParamSpecInt64, i64; ParamSpecUInt64, u64; ParamSpecDouble, f64);
    true
}

/// The pad of an element that has it from the start.
///
/// # Errors
/// [`Failure::Failed`] naming both.
pub fn static_pad(element: &gst::Element, name: &str) -> Result<gst::Pad> {
    element
        .static_pad(name)
        .ok_or_else(|| Failure::Failed(format!("{} has no pad {name}", element.name())))
}

/// The element `srfusion` with the user's options.
///
/// # Errors
/// [`Failure::Usage`] for a value that a property does not take.
pub fn engine(options: &EngineOptions) -> Result<gst::Element> {
    let engine = make("srfusion")?;
    for (name, value) in options.properties() {
        set(&engine, name, &value)?;
    }
    // Linked into this program, the element does not know where to look.
    let config = options.config();
    let found = || srfusion::models::find_models_dir(None, config.near.as_deref()).ok();
    if let Some(dir) = config.models_dir.clone().or_else(found) {
        set(&engine, "models-dir", &dir.to_string_lossy())?;
    }
    Ok(engine)
}

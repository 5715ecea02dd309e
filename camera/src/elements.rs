//! Making GStreamer's elements, with errors that say where a missing one is to be had.

use std::sync::{Arc, OnceLock};

use gst::prelude::*;
use parking_lot::Mutex;

/// Elements and Debian's package of each.
const PACKAGES: &[(&str, &str)] = &[
    ("rtspsrc", "gstreamer1.0-plugins-good"),
    ("souphttpsrc", "gstreamer1.0-plugins-good"),
    ("v4l2src", "gstreamer1.0-plugins-good"),
    ("splitmuxsink", "gstreamer1.0-plugins-good"),
    ("matroskamux", "gstreamer1.0-plugins-good"),
    ("aacparse", "gstreamer1.0-plugins-good"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("appsink", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("videoscale", "gstreamer1.0-plugins-base"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("hlssink2", "gstreamer1.0-plugins-bad"),
    ("mpegtsmux", "gstreamer1.0-plugins-bad"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
];

/// Starts GStreamer and makes the element `srfusion` known to it.
///
/// # Errors
/// GStreamer's reason.
pub fn init() -> Result<(), String> {
    // Once: registering the element again would pull its factory from under elements that are at work.
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        gst::init().map_err(|error| format!("GStreamer cannot be initialised: {error}"))?;
        gstsrfusion::plugin_register_static()
            .map_err(|error| format!("the element srfusion cannot be registered: {error}"))
    })
    .clone()
}

/// Says of the element `name` that it is missing.
pub fn missing(name: &str) -> String {
    let package = PACKAGES.iter().find(|(element, _)| *element == name);
    let hint = package.map(|(_, package)| format!("; on Debian it is in {package}"));
    format!(
        "the GStreamer element {name} is missing{}",
        hint.unwrap_or_default()
    )
}

/// Makes an element.
///
/// # Errors
/// Names it and, where it is known, its package.
pub fn make(name: &str) -> Result<gst::Element, String> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| missing(name))
}

/// A bin made from a description, with ghost pads for what is left open in it.
///
/// # Errors
/// The missing element, or GStreamer's reason.
pub fn bin(description: &str) -> Result<gst::Bin, String> {
    gst::parse::bin_from_description(description, true).map_err(|error| reason(&error))
}

/// A pipeline made from a description.
///
/// # Errors
/// The missing element, or GStreamer's reason.
pub fn pipeline(description: &str) -> Result<gst::Pipeline, String> {
    let element = gst::parse::launch(description).map_err(|error| reason(&error))?;
    // A single element comes without one.
    element
        .downcast::<gst::Pipeline>()
        .map_err(|element| format!("{} is no pipeline", element.name()))
}

fn reason(error: &gst::glib::Error) -> String {
    let text = error.message();
    if error.matches(gst::ParseError::NoSuchElement)
        && let Some(name) = text.split('"').nth(1)
    {
        return missing(name);
    }
    text.to_owned()
}

/// The element `name` of `bin`, as `T`.
///
/// # Errors
/// Names what was looked for.
pub fn child<T: IsA<gst::Element>>(bin: &impl IsA<gst::Bin>, name: &str) -> Result<T, String> {
    let found = bin.as_ref().by_name(name);
    found
        .and_then(|element| element.downcast::<T>().ok())
        .ok_or_else(|| format!("the pipeline has no {name} of its type"))
}

/// Has `tell` hear of the pipeline's errors and of its end, from whichever thread they come, and has it play. Nothing else is kept of its messages.
///
/// # Errors
/// The pipeline's first error, or `otherwise`, if it does not begin to play.
pub fn play(
    pipeline: &gst::Pipeline,
    otherwise: &str,
    tell: impl Fn(Ending) + Send + Sync + 'static,
) -> Result<(), String> {
    let first = Arc::new(Mutex::new(None));
    let noted = first.clone();
    let tell = move |ending| {
        if let Ending::Error(reason) = &ending {
            noted.lock().get_or_insert_with(|| reason.clone());
        }
        tell(ending);
    };
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    bus.set_sync_handler(move |_, message| {
        match message.view() {
            gst::MessageView::Error(error) => {
                let message = error.error().message().to_owned();
                // After the place in GStreamer's source, which tells the user nothing.
                let detail = error.debug().and_then(|debug| {
                    let (_, detail) = debug.split_once('\n')?;
                    Some(detail.trim().to_owned())
                });
                tell(Ending::Error(match detail {
                    Some(detail) if !detail.is_empty() => format!("{message} {detail}"),
                    _ => message,
                }));
            }
            gst::MessageView::Eos(_) => tell(Ending::Eos),
            _ => {}
        }
        gst::BusSyncReply::Drop
    });
    match pipeline.set_state(gst::State::Playing) {
        Ok(_) => Ok(()),
        Err(_) => Err(first.lock().take().unwrap_or_else(|| otherwise.to_owned())),
    }
}

/// How a pipeline came to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By a fault.
    Error(String),
    /// At the end of its stream.
    Eos,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_is_named_with_its_package() {
        init().unwrap();
        assert!(missing("x264enc").ends_with("gstreamer1.0-plugins-ugly"));
        let error = pipeline("fakesrc ! nosuchelement ! fakesink").unwrap_err();
        assert_eq!(error, "the GStreamer element nosuchelement is missing");
        for (name, _) in PACKAGES {
            make(name).unwrap();
        }
    }
}

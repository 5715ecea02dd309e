//! The user's words for what elements of a pipeline have to say.

use gst::prelude::*;

use crate::failure::Failure;

/// The name of the element that a message comes from.
fn factory(source: Option<&gst::Object>) -> String {
    source
        .and_then(|source| source.downcast_ref::<gst::Element>())
        .and_then(|element| element.factory())
        .map(|factory| factory.name().to_string())
        .unwrap_or_default()
}

/// The user's words for a warning or a piece of information from an element.
pub fn notice(
    source: Option<&gst::Object>,
    text: &str,
    debug: Option<gst::glib::GString>,
) -> String {
    let factory = factory(source);
    // The first line of the details is a place in GStreamer's source, the others say what happened.
    let details: Vec<_> = debug
        .as_deref()
        .unwrap_or_default()
        .lines()
        .skip(1)
        .collect();
    let details = details.join(" ");
    if factory == "srfusion" {
        // The text of a message of GStreamer's own says less than the details.
        let general = text.starts_with("Could not ") && !details.trim().is_empty();
        return if general {
            details.trim().to_owned()
        } else {
            text.to_owned()
        };
    }
    let details = if details.trim().is_empty() {
        String::new()
    } else {
        format!(" ({})", details.trim())
    };
    format!("{factory}: {text}{details}")
}

/// The user's words for an error of an element.
pub fn describe(error: &gst::message::Error) -> Failure {
    let cause = error.error();
    let factory = factory(error.src());
    if factory == "srfusion" {
        return Failure::Failed(cause.message().to_owned());
    }
    let details = error
        .debug()
        .map(|debug| debug.lines().skip(1).collect::<Vec<_>>().join(" "))
        .unwrap_or_default();
    let details = if details.is_empty() {
        details
    } else {
        format!(" ({})", details.trim())
    };
    Failure::Failed(format!("{factory}: {}{details}", cause.message()))
}

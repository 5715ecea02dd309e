//! The two debug categories, and the way from ONNX Runtime's own log into the second one.
//!
//! Levels of `srfusion`: error (also on the bus), warning (late frames, a provider refused that was asked for), info
//! (models and providers at load, caps), debug (state changes), log (each frame), trace (metas).

use std::sync::{LazyLock, Once};

use srfusion::runtime::library::{self, LogLevel};

/// The element's own messages.
pub static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "srfusion",
        gst::DebugColorFlags::empty(),
        Some("Video super-resolution with a face network"),
    )
});

/// What ONNX Runtime says.
pub static RUNTIME_CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "srfusion-ort",
        gst::DebugColorFlags::empty(),
        Some("ONNX Runtime, as used by srfusion"),
    )
});

/// Level of a GStreamer message for a message of the runtime.
const fn to_gst(level: LogLevel) -> gst::DebugLevel {
    match level {
        LogLevel::Verbose => gst::DebugLevel::Debug,
        LogLevel::Info => gst::DebugLevel::Info,
        LogLevel::Warning => gst::DebugLevel::Warning,
        LogLevel::Error | LogLevel::Fatal => gst::DebugLevel::Error,
    }
}

/// The least level that the runtime need report for a category that shows messages up to `threshold`.
fn wanted(threshold: gst::DebugLevel) -> LogLevel {
    if threshold >= gst::DebugLevel::Debug {
        LogLevel::Verbose
    } else if threshold >= gst::DebugLevel::Info {
        LogLevel::Info
    } else if threshold >= gst::DebugLevel::Warning {
        LogLevel::Warning
    } else {
        LogLevel::Error
    }
}

/// Sends the runtime's log to [`RUNTIME_CAT`], once per process, and asks it for as much as the category now shows.
///
/// To be called before the runtime is loaded; again at every load, because the threshold may have changed.
pub fn connect_runtime() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        library::set_logger(|level, category, message| {
            gst::log_with_level!(RUNTIME_CAT, to_gst(level), "{category}: {message}");
        });
    });
    library::set_log_level(wanted(RUNTIME_CAT.threshold()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_is_asked_for_no_more_than_is_shown() {
        assert_eq!(wanted(gst::DebugLevel::None), LogLevel::Error);
        assert_eq!(wanted(gst::DebugLevel::Fixme), LogLevel::Warning);
        assert_eq!(wanted(gst::DebugLevel::Info), LogLevel::Info);
        assert_eq!(wanted(gst::DebugLevel::Log), LogLevel::Verbose);
    }
}

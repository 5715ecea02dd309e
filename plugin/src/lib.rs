//! The GStreamer plugin `srfusion`: registers the element of the same name and nothing else.
//!
//! [`log`] holds the debug categories, [`error`] the way from the engine's errors to bus messages, `srfusion` the
//! element. What is computed is decided in the crate `srfusion`; here it is only fitted to GStreamer.

// The items that `plugin_define!` makes have no documentation, and it takes no attributes.
#![allow(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod error;
pub mod log;
mod srfusion;

pub use crate::srfusion::{MARK_UUID, Precision, Provider, Reuse, SrFusion, View, take_mark};

/// Registers the element. ONNX Runtime is not touched: a plugin whose initialisation fails is blacklisted in the
/// registry and stays so after the cause is gone, whereas the element can say what is missing when it is used.
fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    srfusion::register(plugin)
}

gst::plugin_define!(
    srfusion,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
    // GStreamer knows a fixed list of licences; of ours, MIT OR Apache-2.0, it has the first under this name.
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_REPOSITORY"),
    env!("BUILD_REL_DATE")
);

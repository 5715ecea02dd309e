//! Gives the plugin its commit and release date (`COMMIT_ID`, `BUILD_REL_DATE`).

fn main() {
    gst_plugin_version_helper::info()
}

//! `srfusion doctor`: looks at GStreamer and its elements, changes nothing.

use std::process::ExitCode;

/// Elements without which no video can be read or written, and the Debian package of each.
const ELEMENTS: &[(&str, &str)] = &[
    ("filesrc", "libgstreamer1.0-0"),
    ("parsebin", "gstreamer1.0-plugins-base"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("mp4mux", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
];

/// Prints a line for each thing looked at; fails if one that is needed is missing.
pub fn run() -> ExitCode {
    if let Err(error) = gst::init() {
        eprintln!("srfusion: GStreamer cannot be initialised: {error}");
        return ExitCode::FAILURE;
    }
    println!("{}", gst::version_string());
    let mut complete = true;
    for (name, package) in ELEMENTS {
        let found = gst::ElementFactory::find(name).is_some();
        complete &= found;
        if found {
            println!("{name}: found");
        } else {
            println!("{name}: missing; Debian has it in {package}");
        }
    }
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

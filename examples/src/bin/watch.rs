//! A camera for months, in sixty lines: every frame is upscaled in the time until the next, and the camera is connected to again whenever it goes.
//!
//!     cargo run -p srfusion-examples --bin watch -- rtsp://camera/stream recording [CONNECTIONS]
//!
//! leaves recording-0.mkv, recording-1.mkv and so on, one for each connection. `srfusion camera` (docs/live.md) does much more.

use std::error::Error;
use std::time::Duration;

use gst::prelude::*;

/// How long a camera may be silent, and the waits before it is tried again; the last one for ever.
const SILENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);
const WAITS: [u64; 4] = [1, 5, 10, 60];

/// Plays until the end, an error, or silence. Returns the frames that came out.
fn watch(address: &str, file: &str) -> Result<u64, Box<dyn Error>> {
    let text = "uridecodebin name=source ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 \
         ! srfusion name=engine deadline=-1 reuse=tolerant ! queue max-size-buffers=4 max-size-bytes=0 \
         ! x264enc tune=zerolatency speed-preset=veryfast ! h264parse ! matroskamux streamable=true ! filesink name=file";
    let pipeline = gst::parse::launch(text)?;
    let bin = pipeline.downcast_ref::<gst::Bin>().ok_or("no pipeline")?;
    let element = |name: &str| bin.by_name(name).ok_or(format!("no element {name}"));
    element("source")?.set_property("uri", address);
    element("file")?.set_property("location", file);
    let engine = element("engine")?;
    let frames = || -> Option<u64> {
        let stats: Option<gst::Structure> = engine.property("stats");
        stats?.get("frames-out").ok()
    };
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    let mut before = None;
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let reason = loop {
        match bus.timed_pop_filtered(SILENCE, &ends) {
            Some(message) => match message.view() {
                gst::MessageView::Error(error) => break error.error().to_string(),
                _ => break "it has ended".to_owned(),
            },
            None if frames() == before => break format!("no frame for {SILENCE}"),
            None => before = frames(),
        }
    };
    pipeline.set_state(gst::State::Null)?;
    eprintln!("{file}: {reason}");
    Ok(frames().unwrap_or(0))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, recording, rest @ ..] = arguments.as_slice() else {
        return Err("usage: watch ADDRESS RECORDING [CONNECTIONS]".into());
    };
    let connections: u64 = rest.first().map_or(Ok(u64::MAX), |count| count.parse())?;
    gst::init()?;
    let mut failures = 0;
    for connection in 0..connections {
        let frames = watch(address, &format!("{recording}-{connection}.mkv"))?;
        println!("connection {connection}: {frames} frames");
        failures = if frames > 0 { 0 } else { failures + 1 };
        if connection + 1 < connections {
            std::thread::sleep(Duration::from_secs(WAITS[failures.min(WAITS.len() - 1)]));
        }
    }
    Ok(())
}

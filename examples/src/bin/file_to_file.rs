//! Video file to video file: a GStreamer pipeline with the `srfusion` element in it, built in Rust.
//!
//!     cargo run -p srfusion-examples --bin file_to_file -- INPUT OUTPUT.mp4
//!
//! The element is found as any other: set `GST_PLUGIN_PATH` to the folder of `libgstsrfusion.so` (for instance
//! `target/debug`) or install it. The picture alone is carried over; `srfusion upscale` carries the sound too.

use std::error::Error;

use gst::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: file_to_file INPUT OUTPUT.mp4".into());
    };
    gst::init()?;

    // Names are set as properties below: a path inside a pipeline description would need quoting.
    let pipeline = gst::parse::launch(
        "filesrc name=input ! decodebin ! queue max-size-buffers=4 ! srfusion \
         ! queue max-size-buffers=2 max-size-bytes=0 ! x264enc pass=qual quantizer=18 vbv-buf-capacity=0 bframes=0 ! h264parse ! mp4mux \
         ! filesink name=output",
    )?
    .downcast::<gst::Pipeline>()
    .map_err(|_| "the description is not a pipeline")?;
    for (name, location) in [("input", input), ("output", output)] {
        let element = pipeline
            .by_name(name)
            .ok_or("the pipeline lost an element")?;
        element.set_property("location", location);
    }

    pipeline.set_state(gst::State::Playing)?;
    let outcome = wait(&pipeline);
    pipeline.set_state(gst::State::Null)?;
    outcome
}

/// Waits for the end of the stream, or for the first error.
fn wait(pipeline: &gst::Pipeline) -> Result<(), Box<dyn Error>> {
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(()),
            gst::MessageView::Error(error) => return Err(error.error().into()),
            _ => {}
        }
    }
    Err("the pipeline ended without a word".into())
}

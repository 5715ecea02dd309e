//! The element as it comes: no property set, the shipped networks.

use std::path::Path;

use gst::prelude::*;

use crate::common::{init, play};

#[test]
fn defaults_upscale() {
    init();
    let models = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .canonicalize()
        .unwrap();
    let text = format!(
        "videotestsrc pattern=ball num-buffers=3 ! video/x-raw,width=160,height=90,framerate=25/1 ! videoconvert ! \
         srfusion name=srfusion models-dir=\"{}\" ! videoconvert ! video/x-raw,format=I420,width=640,height=360 ! fakesink",
        models.display()
    );
    let pipeline: gst::Pipeline = gst::parse::launch(&text).unwrap().downcast().unwrap();
    play(&pipeline);
    let stats: gst::Structure = pipeline.by_name("srfusion").unwrap().property("stats");
    assert_eq!(stats.get::<u64>("frames-out"), Ok(3));
    println!("{stats}");
}

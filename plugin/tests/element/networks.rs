//! Networks of well-known shapes, named by their paths, in pipelines of the formats that decoders give.

use gst::prelude::*;

use crate::common::{collect, init, play, tiny_file};

#[test]
fn well_known_shapes_run_in_a_pipeline() {
    init();
    let cache = std::env::temp_dir().join(format!("srfusion-networks-{}", std::process::id()));
    for (file, format) in [
        ("shapes/srcnn-shape.onnx", "NV12"),
        ("shapes/vdsr-shape.onnx", "I420_10LE"),
        ("shapes/edsr-shape.onnx", "NV12"),
        ("shapes/srgan-shape.onnx", "RGB"),
        ("shapes/esrgan-shape.onnx", "I420"),
        ("shapes/span-shape.onnx", "NV12"),
        ("window-x4.onnx", "NV12"),
        ("fixed-x4.onnx", "GRAY8"),
        ("last-x4.onnx", "RGB"),
        ("eight-x4.onnx", "NV12"),
        ("nearest-x2.onnx", "NV12"),
    ] {
        let text = format!(
            "videotestsrc num-buffers=2 ! video/x-raw,format={format},width=90,height=58 ! \
             srfusion name=srfusion face-model=none detector-model=none general-model=\"{}\" cache-dir=\"{}\" tile-size=64 ! \
             video/x-raw,format={format},width=360,height=232 ! fakesink name=sink",
            tiny_file(file),
            cache.display()
        );
        let pipeline: gst::Pipeline = gst::parse::launch(&text).unwrap().downcast().unwrap();
        let frames = collect(&pipeline);
        play(&pipeline);
        let frames = frames.lock().unwrap();
        assert_eq!(frames.len(), 2, "{file} in {format}");
        let map = frames[1].map_readable().unwrap();
        let (least, most) = (map.iter().min(), map.iter().max());
        assert!(least < most, "{file} in {format} is flat");
        let stats: gst::Structure = pipeline.by_name("srfusion").unwrap().property("stats");
        assert_eq!(stats.get::<u64>("frames-out"), Ok(2));
    }
    std::fs::remove_dir_all(&cache).unwrap();
}

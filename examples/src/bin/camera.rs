//! A live picture through `srfusion`, into a window or a file, without ever falling behind.
//!
//!     cargo run -p srfusion-examples --bin camera -- --help
//!
//! A network takes as long as it takes. What keeps a live pipeline live is the leaky queue before the element: frames
//! that come while one is being upscaled push each other out, so that the next one taken is always the newest. The
//! queue behind the element gives conversion and display a thread of their own. With a window, the sink tells the
//! element when frames come too late, and those are skipped as well.

use std::error::Error;

use gst::prelude::*;

const HELP: &str = "\
usage: camera [--device DEVICE | --rtsp ADDRESS] [--frames N] [--provider NAME] [OUTPUT.mkv]

  --device DEVICE  a camera, for instance /dev/video0; without one a test picture stands in
  --rtsp ADDRESS   a network camera, for instance rtsp://camera/stream
  --frames N       stop after N frames of the source
  --provider NAME  auto, tensorrt, cuda, openvino or cpu
  OUTPUT.mkv       record here instead of opening a window

The element is found as any other: set GST_PLUGIN_PATH to the folder of libgstsrfusion.so, or install it.";

#[derive(Default)]
struct Options {
    device: Option<String>,
    rtsp: Option<String>,
    frames: Option<i32>,
    provider: Option<String>,
    output: Option<String>,
}

fn options() -> Result<Option<Options>, Box<dyn Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--device" => options.device = Some(value()?),
            "--rtsp" => options.rtsp = Some(value()?),
            "--frames" => options.frames = Some(value()?.parse()?),
            "--provider" => options.provider = Some(value()?),
            _ if argument.starts_with('-') => {
                return Err(format!("unknown option {argument}; see --help").into());
            }
            _ => options.output = Some(argument),
        }
    }
    Ok(Some(options))
}

/// Makes an element, with an error that names it.
fn make(name: &str) -> Result<gst::Element, Box<dyn Error>> {
    gst::ElementFactory::make(name)
        .build()
        .map_err(|_| format!("the element {name} is missing").into())
}

/// The source, decoded, as the beginning of a pipeline's description, and what its element `source` is to be told.
fn source(options: &Options) -> (&'static str, Vec<(&'static str, &str)>) {
    match options {
        Options {
            rtsp: Some(address),
            ..
        } => (
            "rtspsrc name=source latency=200 ! rtph264depay ! h264parse ! decodebin",
            vec![("location", address)],
        ),
        Options {
            device: Some(device),
            ..
        } => ("v4l2src name=source ! decodebin", vec![("device", device)]),
        _ => (
            "videotestsrc name=source is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=10/1",
            vec![],
        ),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    gst::init()?;
    // Says "missing" here rather than somewhere inside a description.
    make("srfusion")?;
    let (source, settings) = source(&options);
    let sink = match options.output {
        Some(_) => {
            "x264enc tune=zerolatency speed-preset=veryfast ! h264parse ! matroskamux ! filesink name=sink"
        }
        None => "autovideosink",
    };
    let description = format!(
        "{source} ! queue leaky=downstream max-size-buffers=2 max-size-bytes=0 max-size-time=0 \
         ! srfusion name=engine ! queue max-size-buffers=2 max-size-bytes=0 max-size-time=0 \
         ! {sink}"
    );
    let pipeline = gst::parse::launch(&description)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "the description is not a pipeline")?;
    let element = |name: &str| pipeline.by_name(name).ok_or(format!("no element {name}"));
    for (name, value) in settings {
        element("source")?.set_property(name, value);
    }
    if let Some(frames) = options.frames {
        element("source")?.set_property("num-buffers", frames);
    }
    let engine = element("engine")?;
    if let Some(provider) = &options.provider {
        engine.set_property_from_str("provider", provider);
    }
    if let Some(output) = &options.output {
        element("sink")?.set_property("location", output);
    }

    pipeline.set_state(gst::State::Playing)?;
    let outcome = watch(&pipeline);
    let stats: Option<gst::Structure> = engine.property("stats");
    pipeline.set_state(gst::State::Null)?;
    if let Some(stats) = stats {
        println!("{stats}");
    }
    outcome
}

/// Waits for the end of the stream or an error, and tells what happens meanwhile.
fn watch(pipeline: &gst::Pipeline) -> Result<(), Box<dyn Error>> {
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    for message in bus.iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(()),
            gst::MessageView::Error(error) => return Err(error.error().into()),
            gst::MessageView::Warning(warning) => eprintln!("warning: {}", warning.error()),
            // Models are opened while the pipeline runs already.
            gst::MessageView::Progress(progress) => eprintln!("{}", progress.get().2),
            gst::MessageView::Latency(_) => {
                let _ = pipeline.recalculate_latency();
            }
            _ => {}
        }
    }
    Err("the pipeline ended without a word".into())
}

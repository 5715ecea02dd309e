//! The things that are timed side by side: the engine, the element in a pipeline, and a bare loop over the runtime.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use gst::prelude::*;
use srfusion::runtime::session::Network;
use srfusion::{
    Canceller, Config, Frame, FrameInfo, FrameMut, Parameters, SCALE, Size, Stats, Upscaler,
};

use super::stream::BenchStream;
use crate::arguments::EngineOptions;
use crate::failure::{Failure, Result};
use crate::{elements, interrupt};

/// Something that upscales a stream.
pub trait Runner {
    /// Upscales the first `frames` frames and returns the time that took, without making the frames.
    ///
    /// # Errors
    /// Whatever kept it from doing so, [`Failure::Interrupted`].
    fn pass(&mut self, stream: &BenchStream, frames: usize) -> Result<Duration>;

    /// Counters of the engine, where it is one.
    fn stats(&self) -> Option<Stats> {
        None
    }

    /// What happened since the last call that a user should be told, such as another provider than was asked for.
    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}

fn check_interrupt() -> Result<()> {
    if interrupt::interrupted() {
        Err(Failure::Interrupted)
    } else {
        Ok(())
    }
}

/// The engine, called directly.
pub struct EngineRunner {
    upscaler: Upscaler,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl EngineRunner {
    /// Opens the models of `config`.
    ///
    /// # Errors
    /// The engine's.
    pub fn open(config: &Config, parameters: &Parameters) -> Result<Self> {
        let mut upscaler = Upscaler::open(config, &Canceller::new(), &mut |_| ())?;
        upscaler.set_parameters(parameters.clone())?;
        Ok(Self {
            upscaler,
            input: Vec::new(),
            output: Vec::new(),
        })
    }

    /// Forgets what it knows of earlier frames.
    pub fn reset(&mut self) {
        self.upscaler.reset();
    }

    /// Upscales frame `index`; returns the time for it.
    ///
    /// # Errors
    /// The engine's.
    pub fn frame(&mut self, stream: &BenchStream, index: usize) -> Result<Duration> {
        check_interrupt()?;
        let time = stream.read(index, &mut self.input);
        let size = stream.size.scaled(SCALE);
        self.output.resize(size.area() * 3, 0);
        let input = Frame::new(&self.input, stream.size, stream.size.width * 3)?;
        let mut output = FrameMut::new(&mut self.output, size, size.width * 3)?;
        let info = FrameInfo {
            pts: Some(time),
            ..FrameInfo::default()
        };
        let start = Instant::now();
        self.upscaler.process(input, &info, &mut output)?;
        Ok(start.elapsed())
    }

    /// The frame upscaled last.
    ///
    /// # Errors
    /// [`srfusion::Error::Shape`] before the first.
    pub fn output(&self, size: Size) -> Result<Frame<'_>> {
        Ok(Frame::new(&self.output, size, size.width * 3)?)
    }

    /// The upscaler.
    pub fn upscaler(&self) -> &Upscaler {
        &self.upscaler
    }
}

impl Runner for EngineRunner {
    fn pass(&mut self, stream: &BenchStream, frames: usize) -> Result<Duration> {
        self.reset();
        (0..frames).map(|index| self.frame(stream, index)).sum()
    }

    fn stats(&self) -> Option<Stats> {
        Some(*self.upscaler.stats())
    }

    fn notices(&mut self) -> Vec<String> {
        let notices = self.upscaler.take_notices();
        notices.iter().map(ToString::to_string).collect()
    }
}

/// Networks run on whole frames one after the other, from what their files take to what they give (32-bit floats, or 8-bit samples), with
/// the session options of the engine: no conversion, no planning, no fusion, no faces looked for. What is left when everything around the
/// networks is free.
pub struct Bare {
    networks: Vec<Network>,
    samples: Vec<u8>,
    values: Vec<f32>,
}

impl Bare {
    /// Opens `models`, names and files, with the settings of `config`.
    ///
    /// # Errors
    /// The engine's.
    pub fn open(models: &[(String, std::path::PathBuf)], config: &Config) -> Result<Self> {
        // A number of threads has a session opened with threads of its own, apart from those that the engine's share.
        let threads = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let config = Config {
            threads,
            ..config.clone()
        };
        let open = |(name, path): &(String, std::path::PathBuf)| {
            let sum = srfusion::models::sha256("model", path)?;
            Network::open(path, name, &sum, &config, &Canceller::new())
        };
        Ok(Self {
            networks: models.iter().map(open).collect::<srfusion::Result<_>>()?,
            samples: Vec::new(),
            values: Vec::new(),
        })
    }
}

impl Runner for Bare {
    fn pass(&mut self, stream: &BenchStream, frames: usize) -> Result<Duration> {
        let Size { width, height } = stream.size;
        let mut frame = Vec::new();
        let mut time = Duration::ZERO;
        for index in 0..frames {
            check_interrupt()?;
            stream.read(index, &mut frame);
            self.samples.clear();
            for plane in 0..3 {
                self.samples.extend(frame.iter().skip(plane).step_by(3));
            }
            self.values.clear();
            let values = self.samples.iter().map(|sample| f32::from(*sample) / 255.0);
            self.values.extend(values);
            let start = Instant::now();
            for network in &mut self.networks {
                // Of luma alone any plane is as good as another.
                let planes = network.run_input()[1].min(3);
                let (shape, count) = ([1, planes, height, width], planes * height * width);
                if network.takes_samples() {
                    network.run_samples(shape, &self.samples[..count], |_, _| Ok(()))?;
                } else {
                    network.run(shape, &self.values[..count], |_| Ok(()))?;
                }
            }
            time += start.elapsed();
        }
        Ok(time)
    }
}

/// The element in a pipeline of its own: frames are pushed in as fast as it takes them, and its output is thrown away.
pub struct Element {
    pipeline: gst::Pipeline,
    source: gst::Element,
    engine: gst::Element,
    arrived: Receiver<()>,
    /// Frames pushed so far; times must grow.
    pushed: u64,
}

/// How long a frame may take before the pipeline's bus is looked at.
const PATIENCE: Duration = Duration::from_millis(500);

impl Element {
    /// Builds the pipeline for frames of `size` and has the models opened.
    ///
    /// # Errors
    /// [`Failure::Failed`] naming an element that is missing, and what the element says when it cannot start.
    pub fn open(options: &EngineOptions, size: Size) -> Result<Self> {
        let pipeline = gst::Pipeline::new();
        let source = elements::make("appsrc")?;
        let caps = format!(
            "video/x-raw,format=RGB,width={},height={},framerate=25/1",
            size.width, size.height
        );
        for (name, value) in [
            ("caps", caps.as_str()),
            ("format", "time"),
            ("block", "true"),
        ] {
            elements::set(&source, name, value)?;
        }
        // Room for four frames.
        elements::set(&source, "max-bytes", &(size.area() * 12).to_string())?;
        let (engine, sink) = (elements::engine(options)?, elements::make("fakesink")?);
        elements::set(&sink, "sync", "false")?;
        let failed = |error: gst::glib::BoolError| Failure::Failed(error.to_string());
        pipeline
            .add_many([&source, &engine, &sink])
            .map_err(failed)?;
        gst::Element::link_many([&source, &engine, &sink]).map_err(failed)?;
        let (sender, arrived): (Sender<()>, _) = channel();
        elements::static_pad(&sink, "sink")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            // Nobody listens at the end.
            let _ = sender.send(());
            gst::PadProbeReturn::Ok
        });
        // A failure here comes with a message on the bus, which says more.
        let _ = pipeline.set_state(gst::State::Playing);
        Ok(Self {
            pipeline,
            source,
            engine,
            arrived,
            pushed: 0,
        })
    }

    /// Waits until the element has given out a frame.
    fn wait(&self) -> Result<()> {
        loop {
            check_interrupt()?;
            match self.arrived.recv_timeout(PATIENCE) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::Failed("the pipeline has ended".into()));
                }
            }
            let error = self
                .pipeline
                .bus()
                .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
            if let Some(gst::MessageView::Error(error)) = error.as_ref().map(|error| error.view()) {
                return Err(Failure::Failed(error.error().message().to_owned()));
            }
        }
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        // Ends every thread of it; a failure of this leaves nothing to be done.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Runner for Element {
    fn pass(&mut self, stream: &BenchStream, frames: usize) -> Result<Duration> {
        let mut buffers = Vec::with_capacity(frames);
        let mut frame = Vec::new();
        let row = stream.size.width * 3;
        // GStreamer's rows begin at multiples of four bytes.
        let stride = row.next_multiple_of(4);
        for index in 0..frames {
            stream.read(index, &mut frame);
            let mut data = Vec::with_capacity(stride * stream.size.height);
            for row in frame.chunks_exact(row) {
                data.extend_from_slice(row);
                data.resize(data.len().next_multiple_of(4), 0);
            }
            let mut buffer = gst::Buffer::from_mut_slice(data);
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(gst::ClockTime::from_mseconds(40 * self.pushed));
                buffer.set_duration(gst::ClockTime::from_mseconds(40));
                if index == 0 {
                    // Has everything of the round before forgotten, as the engine does.
                    buffer.set_flags(gst::BufferFlags::RESYNC | gst::BufferFlags::DISCONT);
                }
            }
            self.pushed += 1;
            buffers.push(buffer);
        }
        let start = Instant::now();
        let mut waiting = 0;
        for buffer in buffers {
            let flow: gst::FlowReturn = self.source.emit_by_name("push-buffer", &[&buffer]);
            waiting += 1;
            if flow != gst::FlowReturn::Ok {
                // The bus says why.
                break;
            }
        }
        // Frames in flight wait for those that come after them, or for any event: it has to wait for them in turn.
        let end = gst::Structure::new_empty("srfusion-bench-end");
        self.source
            .send_event(gst::event::CustomDownstream::new(end));
        for _ in 0..waiting {
            self.wait()?;
        }
        Ok(start.elapsed())
    }

    fn stats(&self) -> Option<Stats> {
        let stats: gst::Structure = self.engine.property("stats");
        let count = |name: &str| stats.get::<u64>(name).unwrap_or_default();
        let frames = count("frames-out");
        // The element gives means over the frames.
        let time = |name: &str| {
            let mean = stats.get::<f64>(name).unwrap_or_default().max(0.0);
            Duration::from_secs_f64(mean / 1e3 * frames as f64)
        };
        Some(Stats {
            frames_in: count("frames-in"),
            frames_out: frames,
            frames_with_faces: count("frames-with-faces"),
            tiles_total: count("tiles-total"),
            tiles_run: count("tiles-run"),
            tiles_reused: count("tiles-reused"),
            detections: count("detections"),
            face_pixels: count("face-pixels"),
            plan: time("plan-ms"),
            detect: time("detect-ms"),
            general: time("general-ms"),
            face: time("face-ms"),
            fuse: time("fuse-ms"),
            total: time("total-ms"),
            ..Stats::default()
        })
    }

    fn notices(&mut self) -> Vec<String> {
        let wanted = [gst::MessageType::Warning, gst::MessageType::Info];
        let bus = self.pipeline.bus();
        let messages = std::iter::from_fn(|| bus.as_ref()?.pop_filtered(&wanted));
        messages
            .filter_map(|message| match message.view() {
                gst::MessageView::Warning(warning) => Some(warning.error().message().to_owned()),
                gst::MessageView::Info(info) => Some(info.error().message().to_owned()),
                _ => None,
            })
            .collect()
    }
}

//! Frames of one size and format to H.264, which never ends while the camera is configured.

use std::sync::Arc;
use std::time::Duration;

use gst::prelude::*;

use crate::clock::{Clock, clock_time};
use crate::config::CameraConfig;
use crate::elements::{Ending, child, pipeline, play};
use crate::engine::output_caps;
use crate::hub::Hub;

/// Time from key frame to key frame.
const KEY_EVERY: Duration = Duration::from_secs(2);

/// An encoder at work.
#[derive(Debug)]
pub struct Encoder {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    encoder: gst::Element,
    hub: Arc<Hub>,
    last_key: Option<Duration>,
}

impl Drop for Encoder {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

impl Encoder {
    /// An encoder of frames of `size` whose packets go to `hub`.
    ///
    /// # Errors
    /// A missing element, or GStreamer's reason.
    pub fn start(
        camera: &CameraConfig,
        clock: &Clock,
        size: (u32, u32),
        hub: &Arc<Hub>,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let rate = match camera.bitrate {
            Some(bitrate) => format!("bitrate={bitrate}"),
            None => format!("pass=qual quantizer={} vbv-buf-capacity=0", camera.quality),
        };
        // Asked for start codes at once: h264parse of GStreamer 1.22 damages the shortest slices when it puts them there.
        // Key frames come by time, not by number: the distance of frames varies.
        let pipeline = pipeline(&format!(
            "appsrc name=source is-live=true format=time block=true max-buffers=4 max-bytes=0 max-time=0 \
             ! x264enc name=encoder tune=zerolatency speed-preset=veryfast key-int-max=10000 {rate} \
             ! video/x-h264,stream-format=byte-stream ! h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au \
             ! appsink name=sink sync=false async=false"
        ))?;
        let source: gst_app::AppSrc = child(&pipeline, "source")?;
        let sink: gst_app::AppSink = child(&pipeline, "sink")?;
        let encoder: gst::Element = child(&pipeline, "encoder")?;
        let mut caps = output_caps(size);
        // Frames come when they come.
        if let Some(caps) = caps.make_mut().structure_mut(0) {
            caps.set("framerate", gst::Fraction::new(0, 1));
        }
        source.set_caps(Some(&caps));
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample({
            let hub = hub.clone();
            move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                // x264enc moves all times far ahead, and the segment's start with them.
                let segment = sample
                    .segment()
                    .and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
                if let (Some(caps), Some(mut buffer), Some(segment)) =
                    (sample.caps_owned(), sample.buffer_owned(), segment)
                {
                    let time = segment.to_running_time(buffer.pts());
                    buffer.make_mut().set_pts(time);
                    hub.video(&caps, &buffer);
                }
                Ok(gst::FlowSuccess::Ok)
            }
        });
        sink.set_callbacks(callbacks.build());
        clock.rule(&pipeline);
        let encoder = Self {
            pipeline,
            source,
            encoder,
            hub: hub.clone(),
            last_key: None,
        };
        play(
            &encoder.pipeline,
            "the encoder cannot be started",
            move |ending| {
                failed(match ending {
                    Ending::Error(reason) => reason,
                    Ending::Eos => "it has ended".into(),
                });
            },
        )?;
        Ok(encoder)
    }

    /// Encodes a frame that is shown at `time`, later than the one before.
    ///
    /// # Errors
    /// If the encoder has ended.
    pub fn push(&mut self, mut buffer: gst::Buffer, time: Duration) -> Result<(), String> {
        let wanted = self.hub.key_wanted();
        let due = self.last_key.is_none_or(|last| time >= last + KEY_EVERY);
        if wanted || due {
            let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            self.encoder.send_event(event);
            self.last_key = Some(time);
        }
        {
            let buffer = buffer.make_mut();
            buffer.set_pts(clock_time(time));
            buffer.set_dts(gst::ClockTime::NONE);
            buffer.set_duration(gst::ClockTime::NONE);
        }
        self.source
            .push_buffer(buffer)
            .map(|_| ())
            .map_err(|error| format!("the encoder takes no frame: {error}"))
    }
}

//! Passes what was encoded, and the camera's sound, on to everything that comes out: the server, the recordings, the playlist. Whoever joins
//! begins with the next key frame; whoever does not take what comes loses it, and holds up nobody.

use std::sync::Arc;

use gst::prelude::*;
use parking_lot::Mutex;

/// Sound is said to be absent when it has not come for so long, so that no muxer waits for it.
const SILENCE: gst::ClockTime = gst::ClockTime::from_mseconds(500);
/// What waits at most in front of an output that does not take it.
const MOST_BYTES: u64 = 32_000_000;

/// An `appsrc` in the words of a pipeline's description.
pub fn description(name: &str) -> String {
    format!(
        "appsrc name={name} is-live=true format=time block=false leaky-type=upstream max-buffers=0 max-time=0 max-bytes={MOST_BYTES}"
    )
}

/// One who takes video and perhaps sound.
#[derive(Debug)]
pub struct Outlet {
    video: gst_app::AppSrc,
    sound: Option<gst_app::AppSrc>,
    /// Whether its pipeline counts time from another beginning.
    foreign: bool,
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    /// What is added to times, once the first key frame has come.
    offset: Option<gst::ClockTimeDiff>,
    /// Time of the first frame.
    first: gst::ClockTime,
    /// Up to here sound has been passed, or said to be absent.
    heard: gst::ClockTime,
}

impl Outlet {
    /// One who takes from the next key frame on. `foreign`: its pipeline counts time from another beginning than the cameras' clock.
    pub fn new(video: gst_app::AppSrc, sound: Option<gst_app::AppSrc>, foreign: bool) -> Arc<Self> {
        Arc::new(Self {
            video,
            sound,
            foreign,
            state: Mutex::default(),
        })
    }

    fn moved(buffer: &gst::BufferRef, offset: gst::ClockTimeDiff) -> Option<gst::Buffer> {
        let mut copy = buffer.copy();
        let add = |time: gst::ClockTime| {
            let time = time.nseconds() as i64 + offset;
            u64::try_from(time).ok().map(gst::ClockTime::from_nseconds)
        };
        {
            let copy = copy.make_mut();
            copy.set_pts(add(buffer.pts()?)?);
            // No frame is encoded out of turn.
            copy.set_dts(copy.pts());
        }
        Some(copy)
    }

    /// Takes an encoded frame. Returns whether it still takes any.
    fn video(&self, caps: &gst::Caps, buffer: &gst::BufferRef) -> bool {
        let Some(pts) = buffer.pts() else { return true };
        let mut state = self.state.lock();
        if state.offset.is_none() {
            if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                return true;
            }
            let offset = if self.foreign {
                // Until its pipeline plays, there is no time to be had.
                match self.video.current_running_time() {
                    Some(now) => now.nseconds() as i64 - pts.nseconds() as i64,
                    None => return true,
                }
            } else {
                0
            };
            state.offset = Some(offset);
            (state.first, state.heard) = (pts, pts);
        }
        let offset = state.offset.unwrap_or_default();
        let Some(moved) = Self::moved(buffer, offset) else {
            return true;
        };
        if let Some(sound) = &self.sound
            && pts.saturating_sub(state.heard) >= SILENCE
        {
            let gap = Self::moved(
                buffer,
                offset - pts.saturating_sub(state.heard).nseconds() as i64,
            );
            if let Some(start) = gap.and_then(|gap| gap.pts()) {
                let gap = gst::event::Gap::builder(start).duration(pts.saturating_sub(state.heard));
                sound.send_event(gap.build());
                state.heard = pts;
            }
        }
        drop(state);
        if self.video.caps().as_ref() != Some(caps) {
            self.video.set_caps(Some(caps));
        }
        self.video.push_buffer(moved).is_ok()
    }

    fn sound(&self, caps: &gst::Caps, buffer: &gst::BufferRef) {
        let (Some(sound), Some(pts)) = (&self.sound, buffer.pts()) else {
            return;
        };
        // The muxer has been told these; others make it fail.
        if sound.caps().as_ref() != Some(caps) {
            return;
        }
        let mut state = self.state.lock();
        let Some(offset) = state.offset else { return };
        if pts < state.first || pts < state.heard {
            return;
        }
        state.heard = pts + buffer.duration().unwrap_or_default();
        drop(state);
        if let Some(moved) = Self::moved(buffer, offset) {
            // One that ends is taken out by its video.
            let _ = sound.push_buffer(moved);
        }
    }

    /// Says that nothing more comes.
    pub fn end(&self) {
        let _ = self.video.end_of_stream();
        if let Some(sound) = &self.sound {
            let _ = sound.end_of_stream();
        }
    }
}

/// Where all outlets of a camera join.
#[derive(Debug, Default)]
pub struct Hub {
    outlets: Mutex<Vec<Arc<Outlet>>>,
    sound: Mutex<Option<gst::Caps>>,
    /// Asks the encoder for a key frame.
    wanted: Mutex<bool>,
}

impl Hub {
    /// Joins from the next key frame on.
    pub fn join(&self, outlet: Arc<Outlet>) {
        self.outlets.lock().push(outlet);
        self.want_key();
    }

    /// Leaves.
    pub fn leave(&self, outlet: &Arc<Outlet>) {
        self.outlets
            .lock()
            .retain(|other| !Arc::ptr_eq(other, outlet));
    }

    /// Asks for a key frame.
    pub fn want_key(&self) {
        *self.wanted.lock() = true;
    }

    /// Whether a key frame was asked for since the last call.
    pub fn key_wanted(&self) -> bool {
        std::mem::take(&mut *self.wanted.lock())
    }

    /// Passes an encoded frame on.
    pub fn video(&self, caps: &gst::Caps, buffer: &gst::BufferRef) {
        let outlets = self.outlets.lock().clone();
        for outlet in outlets {
            if !outlet.video(caps, buffer) {
                self.leave(&outlet);
            }
        }
    }

    /// Passes a packet of sound on; its time is that of the cameras' clock.
    pub fn sound(&self, caps: &gst::Caps, buffer: &gst::BufferRef) {
        {
            let mut known = self.sound.lock();
            if known.as_ref() != Some(caps) {
                *known = Some(caps.clone());
            }
        }
        let outlets = self.outlets.lock().clone();
        outlets.iter().for_each(|outlet| outlet.sound(caps, buffer));
    }

    /// What the camera's sound is, once it has been heard.
    pub fn sound_caps(&self) -> Option<gst::Caps> {
        self.sound.lock().clone()
    }
}

//! What the engine counts and times while it works.

use std::time::Duration;

use crate::settings::MAX_KINDS;

/// What is counted and timed of one kind of objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KindStats {
    /// Objects in the last frame.
    pub objects: u64,
    /// Frames that had at least one.
    pub frames: u64,
    /// Runs of its detector.
    pub detections: u64,
    /// Input pixels that its expert ran over, context included.
    pub pixels_run: u64,
    /// Output pixels that its expert's picture was fused into.
    pub pixels: u64,
    /// Time in its expert.
    pub time: Duration,
}

/// Counters since the models were opened. Durations are sums over all frames unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames given to the engine.
    pub frames_in: u64,
    /// Frames finished.
    pub frames_out: u64,
    /// Frames of those that repeat the one before and were not even copied.
    pub frames_repeated: u64,
    /// Faces in the last frame.
    pub faces: u64,
    /// Frames that had at least one face.
    pub frames_with_faces: u64,
    /// Cells of 8 input pixels a side in which the general generator's picture was wanted.
    pub tiles_total: u64,
    /// Cells of those that the general generator ran for.
    pub tiles_run: u64,
    /// Cells of those whose result of an earlier frame was kept.
    pub tiles_reused: u64,
    /// Cells of those that showed what the fast generator drew for lack of time, in this frame or an earlier one.
    pub tiles_fast: u64,
    /// Cells of those that were interpolated for lack of time, in this frame or an earlier one.
    pub tiles_late: u64,
    /// Input pixels that were interpolated for lack of time.
    pub pixels_late: u64,
    /// Frames that took longer than they might.
    pub deadline_missed: u64,
    /// Objects of all kinds that their network drew, frame by frame.
    pub objects: u64,
    /// Runs of a generator, general and experts; a run may hold several rectangles.
    pub runs: u64,
    /// Input pixels of all frames.
    pub pixels_total: u64,
    /// Input pixels that the general generator ran over, context included.
    pub pixels_run: u64,
    /// Input pixels that the fast generator ran over, context included.
    pub fast_pixels_run: u64,
    /// Input pixels that the face generator ran over, context included.
    pub face_pixels_run: u64,
    /// Runs of detectors, of all kinds.
    pub detections: u64,
    /// Runs of the network that compares drawn faces with the input's.
    pub embeddings: u64,
    /// Faces, frame by frame, that were given less of the face network's picture because they were not drawn alike.
    pub faces_lowered: u64,
    /// Output pixels that the face generator drew into.
    pub face_pixels: u64,
    /// Time comparing frames with earlier ones and planning.
    pub plan: Duration,
    /// Time in detectors, letterbox and suppression included.
    pub detect: Duration,
    /// Time in the general generator.
    pub general: Duration,
    /// Time in the face generator.
    pub face: Duration,
    /// Time fusing and writing samples.
    pub fuse: Duration,
    /// Time comparing drawn faces with the input's.
    pub identity: Duration,
    /// Time for whole frames.
    pub total: Duration,
    /// Time for the last frame.
    pub last: Duration,
    /// The same of each kind of objects, faces among them, in the order of [`crate::Upscaler::kinds`].
    pub kinds: [KindStats; MAX_KINDS],
}

impl Stats {
    /// Adds the work of another part of the flow. [`Stats::faces`], [`Stats::last`] and [`KindStats::objects`], which are of one frame, stay.
    pub fn add(&mut self, other: &Self) {
        let Self {
            frames_in,
            frames_out,
            frames_repeated,
            faces: _,
            frames_with_faces,
            tiles_total,
            tiles_run,
            tiles_reused,
            tiles_fast,
            tiles_late,
            pixels_late,
            deadline_missed,
            objects,
            runs,
            pixels_total,
            pixels_run,
            fast_pixels_run,
            face_pixels_run,
            detections,
            embeddings,
            faces_lowered,
            face_pixels,
            plan,
            detect,
            general,
            face,
            fuse,
            identity,
            total,
            last: _,
            kinds,
        } = other;
        for (sum, more) in [
            (&mut self.frames_in, frames_in),
            (&mut self.frames_out, frames_out),
            (&mut self.frames_repeated, frames_repeated),
            (&mut self.frames_with_faces, frames_with_faces),
            (&mut self.tiles_total, tiles_total),
            (&mut self.tiles_run, tiles_run),
            (&mut self.tiles_reused, tiles_reused),
            (&mut self.tiles_fast, tiles_fast),
            (&mut self.tiles_late, tiles_late),
            (&mut self.pixels_late, pixels_late),
            (&mut self.deadline_missed, deadline_missed),
            (&mut self.objects, objects),
            (&mut self.runs, runs),
            (&mut self.pixels_total, pixels_total),
            (&mut self.pixels_run, pixels_run),
            (&mut self.fast_pixels_run, fast_pixels_run),
            (&mut self.face_pixels_run, face_pixels_run),
            (&mut self.detections, detections),
            (&mut self.embeddings, embeddings),
            (&mut self.faces_lowered, faces_lowered),
            (&mut self.face_pixels, face_pixels),
        ] {
            *sum += more;
        }
        for (sum, more) in [
            (&mut self.plan, plan),
            (&mut self.detect, detect),
            (&mut self.general, general),
            (&mut self.face, face),
            (&mut self.fuse, fuse),
            (&mut self.identity, identity),
            (&mut self.total, total),
        ] {
            *sum += *more;
        }
        for (sum, more) in self.kinds.iter_mut().zip(kinds) {
            sum.frames += more.frames;
            sum.detections += more.detections;
            sum.pixels_run += more.pixels_run;
            sum.pixels += more.pixels;
            sum.time += more.time;
        }
    }
}

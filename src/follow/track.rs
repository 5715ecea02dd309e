//! Objects over time, those of one kind: association by overlap, smoothing of boxes, holding and fading. Pure; keyed on presentation time, because
//! late frames are skipped and frame rates vary.
//!
//! Positions go through a One-Euro filter (Casiez, Roussel, Vogel, CHI 2012): a low-pass whose cut-off rises with speed, so a
//! still face does not tremble and a moving one does not drag its mask behind. Speeds are in box sizes per second, so the
//! filter treats near and far faces alike.

use std::sync::Arc;

use super::clock::{NOMINAL_STEP, Tick};
use super::outline::Outline;
use crate::find::{BBox, Detection, InstanceMask, Points};
use crate::settings::Parameters;

/// An object as the mask sees it, whatever its kind: smoothed, held and faded. Faces were the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Stays the same for as long as it is followed; never given to another object, of whatever kind.
    pub id: u64,
    /// Smoothed box in pixels of the input frame.
    pub bbox: BBox,
    /// Score of the latest detection.
    pub score: f32,
    /// Smoothed points in pixels of the input frame, where the detector gives them.
    pub points: Option<Points>,
    /// How much of its kind's expert is used, `0.0..=1.0`; rises and falls over the fade time.
    pub weight: f32,
    /// Whether it was missed in the latest detection and is held from before.
    pub held: bool,
    /// Where in its box it is, smoothed too, where the detector gives that; else it is the whole box.
    pub mask: Option<Arc<InstanceMask>>,
}

/// Cut-off of the filter for the speed itself, in Hz (the source's recommendation).
const SPEED_CUTOFF: f64 = 1.0;
/// Rise of the cut-off with speed, in Hz per (box size per second): a face crossing its own size in a second lags by less than
/// a twentieth of it.
const SPEED_GAIN: f64 = 2.0;
/// A face that is followed already may score this fraction of `min-confidence`, and be this fraction of `min-face-size`.
const KEEP_CONFIDENCE: f64 = 0.7;
const KEEP_SIZE: f64 = 0.8;

/// The score below which a detection is of no use to the tracker.
pub fn score_floor(parameters: &Parameters) -> f32 {
    (parameters.min_confidence * KEEP_CONFIDENCE) as f32
}

/// One coordinate's One-Euro filter. Measurements may come more seldom than frames: the value glides to the latest one.
#[derive(Debug, Clone, Copy, Default)]
struct Smoothed {
    value: f64,
    /// The latest measurement.
    target: f64,
    /// Smoothed speed of the measurements, in units per second.
    speed: f64,
}

/// Share of the new value that a first-order low-pass of time constant `tau` takes after `dt` seconds.
fn share(dt: f64, tau: f64) -> f64 {
    if tau > 0.0 {
        1.0 - (-dt / tau).exp()
    } else {
        1.0
    }
}

/// Time constant of a low-pass of this cut-off in Hz, and the other way round.
fn reciprocal(cutoff: f64) -> f64 {
    1.0 / (std::f64::consts::TAU * cutoff)
}

impl Smoothed {
    fn new(value: f64) -> Self {
        Self {
            value,
            target: value,
            speed: 0.0,
        }
    }

    /// Takes a measurement made `elapsed` seconds after the one before; `unit` is the size that speeds are measured in.
    fn measure(&mut self, target: f64, elapsed: f64, unit: f64) {
        let speed = (target - self.target) / (unit * elapsed);
        self.speed += share(elapsed, reciprocal(SPEED_CUTOFF)) * (speed - self.speed);
        self.target = target;
    }

    /// Moves on by `dt` seconds; `tau` is the time constant at rest in seconds.
    fn glide(&mut self, dt: f64, tau: f64) {
        let tau = if tau > 0.0 {
            reciprocal(reciprocal(tau) + SPEED_GAIN * self.speed.abs())
        } else {
            0.0
        };
        self.value += share(dt, tau) * (self.target - self.value);
    }
}

#[derive(Debug, Clone)]
struct Track {
    id: u64,
    /// Centre x, centre y, logarithm of width and of height.
    state: [Smoothed; 4],
    /// Points as fractions of the box, from its centre.
    points: Option<[[f64; 2]; 5]>,
    score: f32,
    weight: f64,
    /// Seconds since the face was found last.
    since_found: f64,
    /// Seconds since a detection first missed it.
    missed: f64,
    held: bool,
    /// Where in its box it is.
    outline: Outline,
}

fn coordinates(bbox: BBox) -> [f64; 4] {
    let (cx, cy) = bbox.centre();
    [
        f64::from(cx),
        f64::from(cy),
        f64::from(bbox.width()).ln(),
        f64::from(bbox.height()).ln(),
    ]
}

impl Track {
    fn new(id: u64, detection: &Detection, weight: f64) -> Self {
        let state = coordinates(detection.bbox).map(Smoothed::new);
        let points = relative(detection);
        Self {
            id,
            state,
            points,
            score: detection.score,
            weight,
            since_found: 0.0,
            missed: 0.0,
            held: false,
            outline: Outline::new(detection.mask.as_ref()),
        }
    }

    fn bbox(&self) -> BBox {
        let [cx, cy, w, h] = self.state.map(|s| s.value);
        BBox::from_centre(cx as f32, cy as f32, w.exp() as f32, h.exp() as f32)
    }

    /// The box as it was found last.
    fn found(&self) -> BBox {
        let [cx, cy, w, h] = self.state.map(|s| s.target);
        BBox::from_centre(cx as f32, cy as f32, w.exp() as f32, h.exp() as f32)
    }

    fn measure(&mut self, detection: &Detection, tau: f64) {
        let elapsed = self.since_found.max(1e-3);
        let size = (self.state[2].target.exp() * self.state[3].target.exp())
            .sqrt()
            .max(1.0);
        for (i, (state, target)) in self
            .state
            .iter_mut()
            .zip(coordinates(detection.bbox))
            .enumerate()
        {
            state.measure(target, elapsed, if i < 2 { size } else { 1.0 });
        }
        self.points = match (self.points, relative(detection)) {
            (Some(mut known), Some(new)) => {
                for (known, new) in known.iter_mut().flatten().zip(new.iter().flatten()) {
                    *known += share(elapsed, tau) * (new - *known);
                }
                Some(known)
            }
            (_, points) => points,
        };
        self.outline.measure(detection.mask.as_ref());
        self.score = detection.score;
        (self.since_found, self.missed, self.held) = (0.0, 0.0, false);
    }

    fn face(&self) -> Face {
        let bbox = self.bbox();
        let (cx, cy) = bbox.centre();
        let points = self.points.map(|points| {
            points.map(|[x, y]| [cx + x as f32 * bbox.width(), cy + y as f32 * bbox.height()])
        });
        Face {
            id: self.id,
            bbox,
            score: self.score,
            points,
            weight: self.weight as f32,
            held: self.held,
            mask: self.outline.value(),
        }
    }
}

/// Furthest that a point may be from its box, in sides of the box: beyond it, it belongs to something else.
const FURTHEST_POINT: f64 = 100.0;

/// The points of `detection` as fractions of its box, from its centre, if they are near it.
fn relative(detection: &Detection) -> Option<[[f64; 2]; 5]> {
    let bbox = detection.bbox;
    let (cx, cy) = bbox.centre();
    let points = detection.points?.map(|[x, y]| {
        [
            f64::from((x - cx) / bbox.width()),
            f64::from((y - cy) / bbox.height()),
        ]
    });
    let is_near = |value: &f64| value.abs() <= FURTHEST_POINT;
    points.iter().flatten().all(is_near).then_some(points)
}

/// How well a detection continues a track; `None` if it cannot be the same face.
fn affinity(track: BBox, detection: BBox) -> Option<f32> {
    let iou = track.iou(detection);
    if iou >= 0.2 {
        return Some(1.0 + iou);
    }
    // A face that moves by most of its size between two detections overlaps little; nearness and likeness of size decide.
    let ((ax, ay), (bx, by)) = (track.centre(), detection.centre());
    let size = (track.area() * detection.area()).sqrt().sqrt();
    let distance = (ax - bx).hypot(ay - by) / size;
    let ratio = track.area() / detection.area();
    (distance < 0.8 && (0.4..2.5).contains(&ratio)).then_some(1.0 - distance)
}

/// Follows faces from frame to frame. Its memory is bounded by the largest number of faces allowed.
#[derive(Debug)]
pub struct Tracker {
    tracks: Vec<Track>,
    faces: Vec<Face>,
    /// The number before the next object's, and how far apart they are: each kind has its own.
    next_id: u64,
    id_step: u64,
    /// Nothing was seen yet since the start, a cut or a gap: what appears now does not fade in.
    started: bool,
}

impl Default for Tracker {
    fn default() -> Self {
        Self::numbered(0, 1)
    }
}

impl Tracker {
    /// Of the kind in place `place` of `kinds`: none of its objects has the number of one of another kind.
    pub fn numbered(place: usize, kinds: usize) -> Self {
        let step = kinds.max(1) as u64;
        Self {
            tracks: Vec::new(),
            faces: Vec::new(),
            // One kind alone counts from 1.
            next_id: (place as u64 + 1).wrapping_sub(step),
            id_step: step,
            started: false,
        }
    }

    /// Forgets every face; numbers go on. The next frame's faces appear at full weight.
    pub fn reset(&mut self) {
        self.tracks.clear();
        self.faces.clear();
        self.started = false;
    }

    /// The faces after the latest [`Tracker::advance`].
    pub fn faces(&self) -> &[Face] {
        &self.faces
    }

    /// Moves on to a frame at `tick`. `detections` is `None` for a frame in which no detection was run: faces then stay.
    ///
    /// Where time jumped everything is forgotten first.
    pub fn advance(
        &mut self,
        tick: &Tick,
        detections: Option<&[Detection]>,
        parameters: &Parameters,
    ) -> &[Face] {
        if tick.jumped {
            self.reset();
        }
        let dt = tick.step.as_secs_f64();
        // The time constant at rest that keeps `smoothing` of the old value over a thirtieth of a second.
        let tau = match parameters.smoothing {
            s if s > 0.0 => -NOMINAL_STEP.as_secs_f64() / s.ln(),
            _ => 0.0,
        };
        for track in &mut self.tracks {
            track.since_found += dt;
        }
        if let Some(detections) = detections {
            self.associate(detections, tau, parameters);
        }
        for track in self.tracks.iter_mut().filter(|track| track.held) {
            track.missed += dt;
        }
        for smoothed in self.tracks.iter_mut().flat_map(|track| &mut track.state) {
            smoothed.glide(dt, tau);
        }
        for track in &mut self.tracks {
            track.outline.glide(|| share(dt, tau) as f32);
        }
        self.fade(dt, parameters);
        self.faces.clear();
        self.faces.extend(self.tracks.iter().map(Track::face));
        &self.faces
    }

    fn associate(&mut self, detections: &[Detection], tau: f64, parameters: &Parameters) {
        let tall = |d: &Detection, share: f64| {
            f64::from(d.bbox.height()) >= parameters.min_face_size * share
        };
        let usable = |d: &Detection| {
            d.is_valid()
                && f64::from(d.score) >= parameters.min_confidence * KEEP_CONFIDENCE
                && tall(d, KEEP_SIZE)
        };
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (t, track) in self.tracks.iter().enumerate() {
            let bbox = track.found();
            let candidates = detections.iter().enumerate().filter(|(_, d)| usable(d));
            pairs.extend(
                candidates
                    .filter_map(|(d, detection)| Some((affinity(bbox, detection.bbox)?, t, d))),
            );
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut track_taken = vec![false; self.tracks.len()];
        let mut detection_taken = vec![false; detections.len()];
        for (_, t, d) in pairs {
            if !track_taken[t] && !detection_taken[d] {
                (track_taken[t], detection_taken[d]) = (true, true);
                self.tracks[t].measure(&detections[d], tau);
            }
        }
        for (track, taken) in self.tracks.iter_mut().zip(track_taken) {
            if !taken {
                track.held = true;
            }
        }
        let fresh = |d: &Detection| {
            d.is_valid() && f64::from(d.score) >= parameters.min_confidence && tall(d, 1.0)
        };
        let mut new: Vec<&Detection> = detections
            .iter()
            .zip(detection_taken)
            .filter(|(d, taken)| !taken && fresh(d))
            .map(|(d, _)| d)
            .collect();
        new.sort_by(|a, b| (b.score * b.bbox.area()).total_cmp(&(a.score * a.bbox.area())));
        let weight = if self.started && !parameters.fade_time.is_zero() {
            0.0
        } else {
            1.0
        };
        for detection in new
            .into_iter()
            .take(parameters.max_faces.saturating_sub(self.tracks.len()))
        {
            self.next_id = self.next_id.wrapping_add(self.id_step);
            self.tracks
                .push(Track::new(self.next_id, detection, weight));
        }
        self.started = true;
    }

    fn fade(&mut self, dt: f64, parameters: &Parameters) {
        let step = match parameters.fade_time.as_secs_f64() {
            fade if fade > 0.0 => dt / fade,
            _ => 1.0,
        };
        let hold = parameters.hold_time.as_secs_f64();
        for track in &mut self.tracks {
            let leaving = track.missed > hold;
            track.weight = (track.weight + if leaving { -step } else { step }).clamp(0.0, 1.0);
        }
        self.tracks
            .retain(|track| track.missed <= hold || track.weight > 0.0);
        self.tracks.truncate(parameters.max_faces);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::clock::Clock;
    use std::time::Duration;

    use crate::mask::Mask;
    use crate::picture::Size;

    fn detection(cx: f32, cy: f32, side: f32) -> Detection {
        Detection {
            bbox: BBox::from_centre(cx, cy, side, side * 1.25),
            score: 0.9,
            points: Some([[cx, cy]; 5]),
            mask: None,
        }
    }

    /// A tracker with a clock.
    #[derive(Default)]
    struct Timed {
        clock: Clock,
        tracker: Tracker,
    }

    impl Timed {
        fn advance(
            &mut self,
            pts: Option<Duration>,
            detections: Option<&[Detection]>,
            parameters: &Parameters,
        ) -> &[Face] {
            let tick = self.clock.tick(pts);
            self.tracker.advance(&tick, detections, parameters)
        }
    }

    fn ms(value: u64) -> Option<Duration> {
        Some(Duration::from_millis(value))
    }

    /// Pseudo-random numbers in -1..1 (xorshift), the same in every run.
    struct Jitter(u64);

    impl Jitter {
        fn next(&mut self) -> f32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        }
    }

    /// Mean and maximum change of w from frame to frame over a clip of 200 frames with a face that sways slowly, whose
    /// detections tremble by 4 % of the box and are missing in a fifth of the frames.
    fn unrest(parameters: &Parameters) -> (f32, f32) {
        let size = Size::new(96, 80);
        let (mut tracker, mut mask, mut noise) = (Timed::default(), Mask::default(), Jitter(42));
        let width = size.width * crate::SCALE;
        let (mut last, mut now) = (vec![0.0f32; width], vec![0.0f32; width]);
        let (mut sum, mut most, mut count) = (0.0f64, 0.0f32, 0u32);
        for frame in 0..200u64 {
            let sway = (frame as f32 / 30.0).sin() * 6.0;
            let shake = 40.0 * 0.04;
            let found = detection(
                48.0 + sway + noise.next() * shake,
                40.0 + noise.next() * shake,
                30.0 + noise.next() * shake,
            );
            let missed = noise.next() < -0.6;
            let detections = if missed { vec![] } else { vec![found] };
            let faces = tracker.advance(ms(frame * 1000 / 30), Some(&detections), parameters);
            mask.fill(faces, size, 0.15, 0.1);
            mask.row(0, 40 * crate::SCALE, &mut now);
            if frame > 0 {
                for (a, b) in last.iter().zip(&now) {
                    sum += f64::from((a - b).abs());
                    most = most.max((a - b).abs());
                    count += 1;
                }
            }
            last.copy_from_slice(&now);
        }
        ((sum / f64::from(count)) as f32, most)
    }

    #[test]
    fn jitter_and_drop_outs_do_not_pop() {
        let raw = Parameters {
            smoothing: 0.0,
            hold_time: Duration::ZERO,
            fade_time: Duration::ZERO,
            ..Parameters::default()
        };
        let (raw_mean, raw_max) = unrest(&raw);
        let (mean, max) = unrest(&Parameters::default());
        println!(
            "change of w per frame: raw mean {raw_mean:.4} max {raw_max:.3}, smoothed mean {mean:.4} max {max:.3}"
        );
        assert!(raw_max > 0.9, "the raw mask pops: {raw_max}");
        assert!(max < 0.2, "the smoothed mask does not: {max}");
        assert!(mean < raw_mean / 8.0, "{mean} against {raw_mean}");
    }

    #[test]
    fn a_moving_face_is_followed() {
        let (mut tracker, parameters) = (Timed::default(), Parameters::default());
        let mut lag = 0.0;
        for frame in 0..60u64 {
            // One box width a second.
            let x = 50.0 + frame as f32;
            let faces = tracker.advance(
                ms(frame * 1000 / 30),
                Some(&[detection(x, 50.0, 30.0)]),
                &parameters,
            );
            lag = x - faces[0].bbox.centre().0;
        }
        assert!(
            lag.abs() < 30.0 / 15.0,
            "lags by {lag} pixels of a 30 pixel face"
        );
    }

    #[test]
    fn smoothing_depends_on_time_not_on_frames() {
        // The same step seen at 60 and at 15 frames a second has come as far after half a second.
        let after = |rate: u64| {
            let (mut tracker, parameters) = (Timed::default(), Parameters::default());
            tracker.advance(ms(0), Some(&[detection(50.0, 50.0, 40.0)]), &parameters);
            let mut x = 0.0;
            for frame in 1..=rate / 2 {
                let faces = tracker.advance(
                    ms(frame * 1000 / rate),
                    Some(&[detection(54.0, 50.0, 40.0)]),
                    &parameters,
                );
                x = faces[0].bbox.centre().0;
            }
            x
        };
        assert!(
            (after(60) - after(15)).abs() < 0.2,
            "{} against {}",
            after(60),
            after(15)
        );
    }

    #[test]
    fn held_then_faded_then_gone() {
        let (mut tracker, parameters) = (Timed::default(), Parameters::default());
        tracker.advance(ms(0), Some(&[detection(50.0, 50.0, 30.0)]), &parameters);
        let weight = |tracker: &mut Timed, at: u64| {
            tracker
                .advance(ms(at), Some(&[]), &parameters)
                .first()
                .map(|f| (f.weight, f.held))
        };
        assert_eq!(weight(&mut tracker, 100), Some((1.0, true)));
        assert_eq!(weight(&mut tracker, 400), Some((1.0, true)));
        let mut last = 1.0;
        for at in (450..700).step_by(50) {
            let (now, _) = weight(&mut tracker, at).unwrap();
            assert!(now < last && last - now < 0.17, "{now} after {last}");
            last = now;
        }
        assert_eq!(weight(&mut tracker, 760), None);
    }

    #[test]
    fn new_faces_fade_in_but_not_after_a_cut_or_at_the_start() {
        let (mut tracker, parameters) = (Timed::default(), Parameters::default());
        assert_eq!(
            tracker.advance(ms(0), Some(&[detection(50.0, 50.0, 30.0)]), &parameters)[0].weight,
            1.0
        );
        let two = [detection(50.0, 50.0, 30.0), detection(150.0, 50.0, 30.0)];
        let weights: Vec<f32> = tracker
            .advance(ms(30), Some(&two), &parameters)
            .iter()
            .map(|f| f.weight)
            .collect();
        assert_eq!(weights[0], 1.0);
        assert!((weights[1] - 0.1).abs() < 1e-3);
        tracker.tracker.reset();
        let faces = tracker.advance(ms(60), Some(&two), &parameters);
        assert!(faces.iter().all(|f| f.weight == 1.0) && faces[0].id == 3 && faces[1].id == 4);
        // A step back in time and a long gap count as a cut.
        assert_eq!(tracker.advance(ms(0), Some(&two), &parameters)[0].id, 5);
        assert_eq!(
            tracker.advance(ms(60_000), Some(&two), &parameters)[0].id,
            7
        );
    }

    #[test]
    fn identities_stay_when_faces_pass_each_other() {
        let (mut tracker, parameters) = (Timed::default(), Parameters::default());
        for frame in 0..40u64 {
            let t = frame as f32;
            let pair = [
                detection(40.0 + t * 3.0, 40.0, 30.0),
                detection(160.0 - t * 3.0, 75.0, 30.0),
            ];
            let faces = tracker.advance(ms(frame * 33), Some(&pair), &parameters);
            assert_eq!(faces.len(), 2);
            assert!(
                faces
                    .iter()
                    .all(|f| (f.bbox.centre().1 < 60.0) == (f.id == 1))
            );
        }
    }

    #[test]
    fn hysteresis_and_limits() {
        let (mut tracker, parameters) = (
            Timed::default(),
            Parameters {
                max_faces: 3,
                ..Parameters::default()
            },
        );
        let weak = Detection {
            score: 0.45,
            ..detection(50.0, 50.0, 30.0)
        };
        assert!(
            tracker
                .advance(ms(0), Some(std::slice::from_ref(&weak)), &parameters)
                .is_empty()
        );
        tracker.advance(ms(33), Some(&[detection(50.0, 50.0, 30.0)]), &parameters);
        assert!(!tracker.advance(ms(66), Some(std::slice::from_ref(&weak)), &parameters)[0].held);
        let small = detection(200.0, 50.0, 5.0);
        assert_eq!(
            tracker
                .advance(ms(99), Some(&[weak, small]), &parameters)
                .len(),
            1
        );
        // A stream that never ends, with faces everywhere, holds no more than the limit.
        let mut noise = Jitter(7);
        for frame in 0..5000u64 {
            let crowd: Vec<_> = (0..40)
                .map(|_| {
                    detection(
                        500.0 + 500.0 * noise.next(),
                        500.0 + 500.0 * noise.next(),
                        30.0,
                    )
                })
                .collect();
            assert!(
                tracker
                    .advance(ms(100 + frame * 33), Some(&crowd), &parameters)
                    .len()
                    <= 3
            );
        }
        let tracker = &tracker.tracker;
        assert!(tracker.tracks.capacity() <= 8 && tracker.faces.capacity() <= 8);
    }

    #[test]
    fn frames_without_detection_keep_faces() {
        let (mut tracker, parameters) = (Timed::default(), Parameters::default());
        tracker.advance(ms(0), Some(&[detection(50.0, 50.0, 30.0)]), &parameters);
        for frame in 1..40 {
            let faces = tracker.advance(ms(frame * 40), None, &parameters);
            assert_eq!((faces[0].weight, faces[0].held), (1.0, false));
        }
    }

    /// Mean and maximum change of w from frame to frame inside of a box that stands still, whose mask ends a cell or two further or nearer in each frame.
    fn unrest_of_masks(parameters: &Parameters) -> (f32, f32) {
        let size = Size::new(60, 60);
        let (mut tracker, mut mask, mut noise) = (Timed::default(), Mask::default(), Jitter(3));
        let (mut now, mut last) = (vec![0.0f32; 240], vec![0.0f32; 240]);
        let (mut sum, mut most) = (0.0, 0.0f32);
        for frame in 0..150u64 {
            let end = (16.0 + 2.5 * noise.next()) as usize;
            let found = Detection {
                mask: Some(Arc::new(InstanceMask::new(|x, _| {
                    f32::from(u8::from(x < end))
                }))),
                ..detection(30.0, 30.0, 28.0)
            };
            let faces = tracker.advance(ms(frame * 33), Some(&[found]), parameters);
            mask.fill(faces, size, 0.0, 0.03);
            mask.row(0, 120, &mut now);
            if frame > 20 {
                for (a, b) in last.iter().zip(&now) {
                    sum += (a - b).abs() / 129.0 / 240.0;
                    most = most.max((a - b).abs());
                }
            }
            last.copy_from_slice(&now);
        }
        (sum, most)
    }

    #[test]
    fn a_trembling_edge_of_a_mask_does_not_flicker() {
        let raw = Parameters {
            smoothing: 0.0,
            ..Parameters::default()
        };
        let (raw_mean, raw_max) = unrest_of_masks(&raw);
        let (mean, max) = unrest_of_masks(&Parameters::default());
        println!(
            "change of w per frame: raw mean {raw_mean:.4} max {raw_max:.3}, smoothed mean {mean:.4} max {max:.3}"
        );
        assert!(raw_max > 0.8 && max < 0.25, "{raw_max}, {max}");
        assert!(mean < raw_mean / 3.0, "{mean} against {raw_mean}");
    }

    #[test]
    fn a_mask_goes_with_its_object_and_is_held_with_it() {
        let (mut tracker, parameters) = (Timed::default(), Parameters::default());
        let shape = Arc::new(InstanceMask::new(|x, y| f32::from(u8::from(x > y))));
        for frame in 0..20u64 {
            let found = Detection {
                mask: Some(Arc::new(shape.as_ref().clone())),
                ..detection(30.0 + frame as f32, 30.0, 20.0)
            };
            let faces = tracker.advance(ms(frame * 33), Some(&[found]), &parameters);
            assert_eq!(faces[0].mask.as_ref(), Some(&shape));
        }
        // Frames in which nothing is looked for, and some in which nothing is found.
        for frame in 20..30u64 {
            let nothing = (frame % 2 == 0).then_some(&[][..]);
            let faces = tracker.advance(ms(frame * 33), nothing, &parameters);
            assert_eq!(faces[0].mask.as_ref(), Some(&shape));
        }
        // Without one there is none.
        let mut boxes = Timed::default();
        let faces = boxes.advance(ms(0), Some(&[detection(30.0, 30.0, 20.0)]), &parameters);
        assert_eq!(faces[0].mask, None);
    }
}

//! Frames in flight: any number of them gives the frames that one at a time gives, whatever fails on the way. With stand-ins for
//! the networks, and with the shipped ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use srfusion::Detector;
use srfusion::Encoding;
use srfusion::Generator;
use srfusion::testing::{Altered, Bicubic, FixedFaces};
use srfusion::{
    BBox, Canceller, Config, Detection, Error, Flight, FrameInfo, NO_MODEL, Parameters, Provider,
    Result, Reuse, Size, Upscaler, View,
};
use srfusion::{Finished, MAX_DEPTH, Source, Target};

mod support;
use support::{Owned, Random, models, runtime};

/// What a [`Scripted`] generator does instead of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Error,
    Panic,
    NotANumber,
}

/// A little blur in tiles of one size, whose cost is never learnt, so that the plan does not depend on time. Fails when it is told
/// to.
struct Scripted {
    /// Added to every value.
    offset: f32,
    output: Vec<f32>,
    faults: Arc<Mutex<Vec<Fault>>>,
    /// Calls of `adopt_better` until it adds this to every value.
    adopts: Option<(usize, f32)>,
}

impl Scripted {
    /// Half of the pixel and an eighth of each of its neighbours, of which there are none beyond the edge.
    fn blur(&mut self, input: &[f32], size: Size) {
        let (width, wide) = (size.width, 4 * size.width);
        self.output.resize(16 * input.len(), 0.0);
        let rows = self.output.chunks_exact_mut(4 * wide);
        for ((index, row), lines) in input.chunks_exact(width).enumerate().zip(rows) {
            let y = index % size.height;
            let above = (y > 0).then(|| &input[(index - 1) * width..][..width]);
            let below = (y + 1 < size.height).then(|| &input[(index + 1) * width..][..width]);
            let at = |row: Option<&[f32]>, x| *row.and_then(|row| row.get(x)).unwrap_or(&0.0);
            for x in 0..width {
                let beside = at(Some(row), x.wrapping_sub(1)) + at(Some(row), x + 1);
                let around = beside + at(above, x) + at(below, x);
                let value = 0.5 * row[x] + 0.125 * around + self.offset;
                for line in lines.chunks_exact_mut(wide) {
                    line[4 * x..4 * x + 4].fill(value);
                }
            }
        }
    }
}

impl Generator for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }
    fn radius(&self) -> usize {
        1
    }
    fn encoding(&self) -> Encoding {
        Encoding::default()
    }
    fn fixed_tile(&self) -> Option<(Size, usize)> {
        Some((Size::new(48, 48), 1))
    }
    fn adopt_better(&mut self) -> Option<Provider> {
        let (left, offset) = self.adopts.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        self.offset = *offset;
        self.adopts = None;
        Some(Provider::Cuda)
    }
    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        let fault = self.faults.lock().unwrap().pop();
        match fault {
            None => {
                self.blur(input, size);
                take(&self.output).map(|()| Duration::ZERO)
            }
            Some(Fault::Error) => Err(Error::Inference {
                model: "scripted".into(),
                message: "on purpose".into(),
            }),
            Some(Fault::Panic) => panic!("on purpose"),
            Some(Fault::NotANumber) => {
                take(&vec![f32::NAN; count * 3 * size.scaled(4).area()]).map(|()| Duration::ZERO)
            }
        }
    }
}

fn scripted(faults: &Arc<Mutex<Vec<Fault>>>, adopts: Option<(usize, f32)>) -> Upscaler {
    let generator = |offset| Scripted {
        offset,
        output: Vec::new(),
        faults: faults.clone(),
        adopts,
    };
    let (general, face) = (generator(0.0), generator(0.25));
    Upscaler::with_networks(Box::new(general), Some(Box::new(face)), None, 0, None).unwrap()
}

fn of(reuse: Reuse, view: View) -> Parameters {
    Parameters {
        reuse,
        view,
        reuse_threshold: 3.0,
        refresh_time: Duration::from_millis(400),
        min_face_size: 1.0,
        ..Parameters::default()
    }
}

fn face(x0: f32, y0: f32, x1: f32, y1: f32) -> Detection {
    Detection {
        bbox: BBox { x0, y0, x1, y1 },
        score: 0.9,
        points: None,
        mask: None,
    }
}

/// A frame of a made-up stream.
struct Step {
    picture: Owned,
    time: Duration,
    faces: Vec<Detection>,
    parameters: Parameters,
    /// A seek comes before it.
    seek: bool,
}

/// A stream in which parts of the picture change, by little or much, faces move, sizes and views change.
fn stream(random: &mut Random, reuse: Reuse, frames: usize) -> Vec<Step> {
    let mut size = Size::new(60 + random.below(60), 50 + random.below(40));
    let mut picture = Owned::texture(size, random.below(50));
    (0..frames)
        .map(|index| {
            match random.below(14) {
                0 => picture = Owned::texture(size, index),
                1 => {
                    size = Size::new(60 + random.below(60), 50 + random.below(40));
                    picture = Owned::texture(size, index);
                }
                2 | 3 => {}
                kind => {
                    let (w, h) = (1 + random.below(16), 1 + random.below(16));
                    let (x, y) = (random.below(size.width - w), random.below(size.height - h));
                    let most = if kind < 9 { 3 } else { 200 };
                    for y in y..y + h {
                        for x in x..x + w {
                            let at = (y * size.width + x) * 3 + random.below(3);
                            picture.data[at] ^= random.below(most) as u8;
                        }
                    }
                }
            }
            let view = match random.below(16) {
                0 => View::General,
                1 => View::Split,
                2 => View::Face,
                3 => View::Mask,
                4 => View::Bicubic,
                _ => View::Fused,
            };
            let t = index as f32 * 0.4;
            let mut faces = vec![face(5.0 + t, 4.0, 21.0 + t, 24.0)];
            if index % 7 < 3 {
                // So large that the general generator need not run in the middle of it.
                faces.push(face(-20.0, -20.0, 70.0, 60.0));
            }
            Step {
                picture: picture.clone(),
                time: Duration::from_millis(40) * index as u32,
                faces,
                parameters: of(reuse, view),
                seek: random.below(20) == 0,
            }
        })
        .collect()
}

/// The frames, one at a time.
fn one_by_one(upscaler: &mut Upscaler, steps: &[Step]) -> Vec<Owned> {
    let draw = |step: &Step| {
        upscaler.set_parameters(step.parameters.clone()).unwrap();
        if step.seek {
            upscaler.reset();
        }
        let mut output = Owned::black(step.picture.size.scaled(4));
        let info = FrameInfo {
            pts: Some(step.time),
            faces: Some(&step.faces),
            ..FrameInfo::default()
        };
        upscaler
            .process(
                step.picture.frame().unwrap(),
                &info,
                &mut output.frame_mut().unwrap(),
            )
            .unwrap();
        output
    };
    steps.iter().map(draw).collect()
}

type Done = Result<Finished<Owned, Owned>>;

/// The same, as many in flight as may be; `None` for frames that were given up by `give_up`.
fn in_flight(
    flight: &mut Flight<Owned, Owned>,
    steps: &[Step],
    random: &mut Random,
    give_up: bool,
) -> Vec<Option<Done>> {
    let mut all: Vec<Option<Done>> = Vec::new();
    for step in steps {
        flight.set_parameters(step.parameters.clone()).unwrap();
        if step.seek {
            flight.reset();
        }
        if give_up && random.below(9) == 0 {
            let lost = flight.in_flight();
            flight.abandon();
            all.extend((0..lost).map(|_| None));
        }
        let info = FrameInfo {
            pts: Some(step.time),
            faces: Some(&step.faces),
            ..FrameInfo::default()
        };
        let output = Owned::black(step.picture.size.scaled(4));
        flight.submit(step.picture.clone(), &info, output).unwrap();
        while flight.in_flight() >= flight.depth() {
            all.push(Some(flight.next().unwrap()));
        }
        if random.below(3) == 0
            && let Some(done) = flight.ready()
        {
            all.push(Some(done));
        }
    }
    while let Some(done) = flight.next() {
        all.push(Some(done));
    }
    assert_eq!((flight.in_flight(), all.len()), (0, steps.len()));
    all
}

fn flight(upscaler: Upscaler, depth: usize) -> Flight<Owned, Owned> {
    let mut flight = Flight::new(upscaler);
    flight.set_depth(depth).unwrap();
    flight
}

#[test]
fn any_depth_gives_the_frames_of_one_at_a_time() {
    let mut random = Random(0x2468_ace1_1357_9bdf);
    let none = Arc::default();
    for reuse in Reuse::ALL {
        for round in 0..2 {
            let steps = stream(&mut random, reuse, 20);
            let mut alone = scripted(&none, None);
            let expected = one_by_one(&mut alone, &steps);
            for depth in [1, 2, 3, MAX_DEPTH] {
                let mut flight = flight(scripted(&none, None), depth);
                let found = in_flight(&mut flight, &steps, &mut random, false);
                for (index, (found, expected)) in found.into_iter().zip(&expected).enumerate() {
                    let found = found.unwrap().unwrap();
                    assert!(found.input == steps[index].picture);
                    assert!(
                        found.output == *expected,
                        "{reuse:?}, round {round}, depth {depth}, frame {index}"
                    );
                }
                let (a, b) = (alone.stats(), flight.stats());
                let counters = |s: &srfusion::Stats| {
                    let tiles = [s.tiles_total, s.tiles_run, s.tiles_reused, s.runs];
                    let pixels = [s.pixels_total, s.pixels_run, s.face_pixels_run];
                    let frames = [s.frames_in, s.frames_out, s.faces, s.frames_with_faces];
                    (tiles, pixels, frames, s.face_pixels)
                };
                assert_eq!(counters(a), counters(b), "{reuse:?}, depth {depth}");
                assert!(b.total >= b.general && b.last > Duration::ZERO);
            }
        }
    }
}

#[test]
fn what_fails_or_is_given_up_harms_no_other_frame() {
    let mut random = Random(0x1357_2468_9bdf_ace1);
    let mut failed = 0;
    for round in 0..8 {
        let steps = stream(&mut random, Reuse::Exact, 24);
        // Exact reuse gives what none gives.
        let expected = one_by_one(&mut scripted(&Arc::default(), None), &steps);
        let faults = Arc::new(Mutex::new(Vec::new()));
        let mut flight = flight(scripted(&faults, None), 1 + round % 4);
        let kinds = [Fault::Error, Fault::Panic, Fault::NotANumber];
        let mut found = Vec::new();
        for part in steps.chunks(6) {
            *faults.lock().unwrap() = vec![kinds[round % 3]; random.below(3)];
            found.extend(in_flight(&mut flight, part, &mut random, true));
        }
        for (index, (found, expected)) in found.into_iter().zip(&expected).enumerate() {
            match found {
                None => {}
                Some(Ok(found)) => assert!(found.output == *expected, "{round}, frame {index}"),
                Some(Err(Error::Inference { .. })) => failed += 1,
                Some(Err(Error::Internal(words))) => {
                    assert_eq!(words, "drawing a frame panicked: on purpose");
                    failed += 1;
                }
                Some(Err(error)) => panic!("{error}"),
            }
        }
    }
    assert!(failed > 5, "{failed}");
}

#[test]
fn another_provider_shows_no_seam() {
    for depth in [1, 2, 4] {
        let mut flight = flight(scripted(&Arc::default(), Some((5, 0.5))), depth);
        let step = |index: u32| Step {
            picture: Owned::texture(Size::new(96, 64), 3),
            time: Duration::from_millis(40) * index,
            faces: Vec::new(),
            parameters: of(Reuse::Exact, View::Fused),
            seek: false,
        };
        let steps: Vec<_> = (0..12).map(step).collect();
        let found = in_flight(&mut flight, &steps, &mut Random(1), false);
        let found: Vec<_> = found
            .into_iter()
            .map(|f| f.unwrap().unwrap().output)
            .collect();
        assert!(found[..5].iter().all(|output| *output == found[0]));
        assert!(found[5..].iter().all(|output| *output == found[11]));
        assert!(found[0] != found[11]);
    }
}

/// A detector that tells when it is asked, and then works as another does.
struct Telling(FixedFaces, Sender<()>);

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(30);

impl Detector for Telling {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn input(&self) -> srfusion::InputSpec {
        self.0.input()
    }
    fn run(
        &mut self,
        input: &[f32],
        size: Size,
        floor: f32,
        found: &mut Vec<Detection>,
    ) -> Result<()> {
        // Whoever listened may be gone.
        let _ = self.1.send(());
        self.0.run(input, size, floor, found)
    }
}

/// A generator that tells when it is asked, if somebody wants to know, and waits until it is told to work.
fn waiting(tell: Option<Sender<()>>, wait: Receiver<()>) -> Box<Altered> {
    let inner = Box::new(Bicubic::new(0.0));
    Altered::new("waiting", inner, move |inner, input, count, size, take| {
        // Whoever listened may be gone.
        let _ = tell.as_ref().map(|tell| tell.send(()));
        wait.recv_timeout(PATIENCE).expect("told in time");
        inner.run(input, count, size, take)
    })
}

fn picture(index: u32) -> (Owned, FrameInfo<'static>, Owned) {
    let picture = Owned::texture(Size::new(64, 48), index as usize);
    let output = Owned::black(picture.size.scaled(4));
    let info = FrameInfo {
        pts: Some(Duration::from_millis(40) * index),
        faces: None,
        ..FrameInfo::default()
    };
    (picture, info, output)
}

#[test]
fn the_next_frame_is_decided_on_while_one_is_drawn() {
    let (tell, wait) = channel();
    let detector = Box::new(Telling(FixedFaces::default(), tell));
    let general = waiting(None, wait);
    let upscaler = Upscaler::with_networks(general, None, Some(detector), 0, None).unwrap();
    let mut flight = flight(upscaler, 2);
    let parameters = Parameters {
        detect_interval: 1,
        ..of(Reuse::None, View::Fused)
    };
    flight.set_parameters(parameters).unwrap();
    let submit = |flight: &mut Flight<_, _>, index| {
        let (input, info, output) = picture(index);
        flight.submit(input, &info, output)
    };
    submit(&mut flight, 0).unwrap();
    assert_eq!(flight.in_flight(), 1);
    submit(&mut flight, 1).unwrap();
    assert!(matches!(submit(&mut flight, 2), Err(Error::Setting { .. })));
    // The first waited for one of two decisions, the second for the other.
    assert!(flight.next().unwrap().is_ok() && flight.next().unwrap().is_ok());
    assert!(flight.next().is_none() && flight.ready().is_none());
    // And back to one at a time, here.
    flight.set_depth(1).unwrap();
    submit(&mut flight, 3).unwrap();
    assert!(flight.ready().unwrap().is_ok());
    assert!(flight.set_depth(0).is_err() && flight.set_depth(MAX_DEPTH + 1).is_err());
    assert_eq!(flight.depth(), 1);
}

#[test]
fn cancelling_ends_all_and_the_thread_goes_with_the_flight() {
    let (tell, told) = channel();
    let (go, wait) = channel();
    let general = waiting(Some(tell), wait);
    let upscaler = Upscaler::with_networks(general, None, None, 0, None).unwrap();
    let mut flight = flight(upscaler, 3);
    flight
        .set_parameters(of(Reuse::Exact, View::Fused))
        .unwrap();
    let submit = |flight: &mut Flight<_, _>, index| {
        let (input, info, output) = picture(index);
        flight.submit(input, &info, output)
    };
    submit(&mut flight, 0).unwrap();
    submit(&mut flight, 1).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    let canceller = flight.canceller();
    canceller.cancel();
    go.send(()).unwrap();
    // The first was under way already, and a stand-in cannot be interrupted.
    assert!(flight.next().unwrap().is_ok());
    assert!(matches!(flight.next(), Some(Err(Error::Cancelled))));
    assert!(matches!(submit(&mut flight, 2), Err(Error::Cancelled)));
    canceller.reset();
    go.send(()).unwrap();
    submit(&mut flight, 3).unwrap();
    assert!(flight.next().unwrap().is_ok());
    // Dropped with one under way: the thread, and with it the generator, is gone.
    submit(&mut flight, 4).unwrap();
    submit(&mut flight, 5).unwrap();
    let later = std::thread::spawn({
        let go = go.clone();
        move || {
            std::thread::sleep(Duration::from_millis(50));
            // Nobody waits for the second if it was given up.
            let _ = go.send(()).and_then(|()| go.send(()));
        }
    });
    drop(flight);
    later.join().unwrap();
    assert!(go.send(()).is_err());
}

/// Has memory for so many pixels only.
struct Short(Bicubic, Arc<AtomicUsize>);

impl Generator for Short {
    fn name(&self) -> &str {
        "short"
    }
    fn radius(&self) -> usize {
        self.0.radius()
    }
    fn encoding(&self) -> Encoding {
        self.0.encoding()
    }
    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        if count * size.area() > 9000 {
            self.1.fetch_add(1, Ordering::Relaxed);
            return Err(Error::OutOfMemory {
                model: "short".into(),
                message: "Failed to allocate memory".into(),
            });
        }
        self.0.run(input, count, size, take)
    }
}

#[test]
fn short_memory_makes_tiles_smaller_once() {
    let failures = Arc::new(AtomicUsize::new(0));
    let general = Short(Bicubic::new(0.0), failures.clone());
    let upscaler = Upscaler::with_networks(Box::new(general), None, None, 0, None).unwrap();
    let step = |index: u32| Step {
        picture: Owned::texture(Size::new(200, 150), index as usize),
        time: Duration::from_millis(40) * index,
        faces: Vec::new(),
        parameters: of(Reuse::None, View::Fused),
        seek: false,
    };
    let steps: Vec<_> = (0..4).map(step).collect();
    let whole = Upscaler::with_networks(Box::new(Bicubic::new(0.0)), None, None, 0, None).unwrap();
    let expected = one_by_one(&mut { whole }, &steps);
    let found = in_flight(&mut flight(upscaler, 2), &steps, &mut Random(1), false);
    for (found, expected) in found.into_iter().zip(expected) {
        assert!(found.unwrap().unwrap().output == expected);
    }
    let failures = failures.load(Ordering::Relaxed);
    assert!((1..=3).contains(&failures), "{failures}");
}

#[test]
fn shipped_networks_draw_the_same_in_flight() {
    if !runtime() {
        return;
    }
    let config = Config {
        detector_model: NO_MODEL.to_owned(),
        models_dir: Some(models()),
        provider: Provider::Cpu,
        ..Config::default()
    };
    let open = || Upscaler::open(&config, &Canceller::new(), &mut |_| ()).unwrap();
    let mut random = Random(0x9bdf_1357_2468_ace1);
    for reuse in Reuse::ALL {
        // So few frames that what runs cost is not learnt yet: the plan would depend on it.
        let steps = stream(&mut random, reuse, 6);
        let expected = one_by_one(&mut open(), &steps);
        let found = in_flight(&mut flight(open(), 3), &steps, &mut random, false);
        for (index, (found, expected)) in found.into_iter().zip(expected).enumerate() {
            let found = found.unwrap().unwrap().output;
            assert!(found == expected, "{reuse:?}, frame {index}");
        }
    }
}

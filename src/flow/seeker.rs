//! Finds and follows the objects of one kind.

use crate::error::Result;
use crate::find::{Detection, Detector, InputSpec, letterbox, suppression};
use crate::follow::clock::Tick;
use crate::follow::track::{self, Face, Tracker};
use crate::picture::Frame;
use crate::picture::shrink::Shrinker;
use crate::settings::{ObjectKind, Parameters};

/// The frame as the detector before was given it: those that take the same share it.
#[derive(Default)]
pub struct Shrunk {
    shrinker: Shrinker,
    tensor: Vec<f32>,
    /// What the tensor was filled for, in this frame.
    filled: Option<InputSpec>,
}

impl Shrunk {
    /// Another frame comes.
    pub fn renew(&mut self) {
        self.filled = None;
    }
}

/// What finds and follows the objects of a kind, from frame to frame.
pub struct Seeker {
    kind: ObjectKind,
    detector: Option<Box<dyn Detector>>,
    /// Whether a network draws what it finds.
    pub draws: bool,
    /// Those in force for its kind.
    pub parameters: Parameters,
    tracker: Tracker,
    detections: Vec<Detection>,
}

impl Seeker {
    /// Of a kind that is the one in place `place` of `kinds`.
    pub fn new(
        kind: ObjectKind,
        detector: Option<Box<dyn Detector>>,
        draws: bool,
        (place, kinds): (usize, usize),
    ) -> Self {
        let parameters = kind.parameters(&Parameters::default());
        Self {
            kind,
            detector,
            draws,
            parameters,
            tracker: Tracker::numbered(place, kinds),
            detections: Vec::new(),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &ObjectKind {
        &self.kind
    }

    /// What looks for its objects, if anything does.
    pub fn detector(&self) -> Option<&dyn Detector> {
        self.detector.as_deref()
    }

    /// The same, to be told something.
    pub fn detector_mut(&mut self) -> Option<&mut Box<dyn Detector>> {
        self.detector.as_mut()
    }

    /// Takes the parameters of the stream.
    pub fn set_parameters(&mut self, parameters: &Parameters) {
        self.parameters = self.kind.parameters(parameters);
    }

    /// Forgets every object.
    pub fn reset(&mut self) {
        self.tracker.reset();
    }

    /// The objects of the last frame.
    pub fn objects(&self) -> &[Face] {
        self.tracker.faces()
    }

    /// Moves on to `input`, which is at `tick`: what was `given` is what there is, else it is looked for, if this frame `looks`. Returns whether the
    /// detector ran.
    ///
    /// # Errors
    /// The detector's.
    pub fn advance(
        &mut self,
        input: &Frame<'_>,
        given: Option<&[Detection]>,
        tick: &Tick,
        looks: bool,
        shrunk: &mut Shrunk,
    ) -> Result<bool> {
        let mut ran = false;
        let detections = match (given, &mut self.detector) {
            (Some(given), _) => Some(given),
            (None, Some(detector)) if looks => {
                let spec = detector.input();
                let placement = spec.place(input.size());
                if shrunk.filled != Some(spec) {
                    shrunk.filled = None;
                    let (shrinker, tensor) = (&mut shrunk.shrinker, &mut shrunk.tensor);
                    letterbox::fill(input, &placement, spec.encoding, shrinker, tensor)?;
                    shrunk.filled = Some(spec);
                }
                let found = &mut self.detections;
                found.clear();
                let floor = track::score_floor(&self.parameters);
                detector.run(&shrunk.tensor, placement.tensor, floor, found)?;
                suppression::suppress(found, suppression::IOU);
                found
                    .iter_mut()
                    .for_each(|detection| placement.map_back(detection));
                ran = true;
                Some(found.as_slice())
            }
            (None, Some(_)) => None,
            (None, None) => Some(&[][..]),
        };
        self.tracker.advance(tick, detections, &self.parameters);
        Ok(ran)
    }
}

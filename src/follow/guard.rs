//! Guards identity: how much of the face network's picture each face is given, by how like the face of the input what was drawn is. Pure;
//! keyed on the stream's time, as the tracker is.
//!
//! The face in the input and the face as drawn are compared from time to time, not in every frame. Where two comparisons one after the other
//! say that they are less alike than the limit, the weight falls at a steady rate until what is shown, the face network's picture and the
//! general one's together, is alike again; it rises, more slowly, only when the face network's picture alone is. It never jumps. A
//! face whose weight has come down to nothing is tried again from time to time, by so little of the face network's picture that it
//! cannot be seen.

use std::time::Duration;

use super::track::Face;

/// What a comparison says of one face: cosines of embeddings with that of the face in the input, `-1.0..=1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Number of the track.
    pub face: u64,
    /// Of the face network's picture alone.
    pub expert: f32,
    /// Of what the frame shows.
    pub shown: f32,
}

/// Time from one comparison of a face to the next.
const INTERVAL: Duration = Duration::from_millis(240);
/// The same of one whose weight falls or has fallen.
const SUSPECT: Duration = Duration::from_millis(160);
/// The same where its weight has come down to nothing.
const RETRY: Duration = Duration::from_secs(1);
/// Seconds in which a weight falls from 1 to 0, and rises from 0 to 1.
const FALL: f64 = 0.22;
const RISE: f64 = 1.0;
/// Comparisons one after the other that must say that a face is not alike before its weight falls: one may be wrong.
const DOUBTS: u32 = 2;
/// How much more alike than the limit the face network's picture must be before a weight that has fallen rises again.
const MARGIN: f32 = 0.02;
/// A weight of the face network's picture that cannot be seen, a quarter of a level of 255, but has it drawn.
const TRIAL: f32 = 1.0 / 1024.0;

/// Where a weight is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Falls,
    Stays,
    Rises,
}

/// What is known of one face.
#[derive(Debug, Clone, Copy)]
struct Watched {
    id: u64,
    weight: f64,
    course: Course,
    /// Comparisons in a row that said that it is not alike.
    doubts: u32,
    /// When it is to be compared next.
    due: Duration,
}

/// What is known of the face `id`, if anything is.
fn of_face(watched: &mut [Watched], id: u64) -> Option<&mut Watched> {
    watched.iter_mut().find(|watched| watched.id == id)
}

impl Watched {
    fn take(&mut self, likeness: &Likeness, limit: f32, now: Duration) {
        let alike = if self.weight < 1.0 {
            limit + MARGIN
        } else {
            limit
        };
        if likeness.expert >= alike {
            (self.course, self.doubts) = (Course::Rises, 0);
        } else if likeness.shown >= limit && self.weight > 0.0 {
            (self.course, self.doubts) = (Course::Stays, 0);
        } else {
            self.doubts += 1;
            if self.doubts >= DOUBTS {
                if self.course != Course::Falls {
                    self.due = now;
                }
                self.course = Course::Falls;
            } else {
                // Looked at again at once, before anything is done.
                (self.course, self.due) = (Course::Stays, now);
            }
        }
    }

    fn advance(&mut self, seconds: f64) {
        let step = match self.course {
            Course::Falls => -seconds / FALL,
            Course::Stays => 0.0,
            Course::Rises => seconds / RISE,
        };
        self.weight = (self.weight + step).clamp(0.0, 1.0);
    }
}

/// Weights of faces by how alike they are drawn. Its memory is bounded by the number of faces.
#[derive(Debug, Default)]
pub struct Guard {
    watched: Vec<Watched>,
    /// Comparisons that are not taken in yet, each with the number of the frame that it is of.
    told: Vec<(u64, Likeness)>,
}

impl Guard {
    /// Forgets everything.
    pub fn reset(&mut self) {
        self.watched.clear();
        self.told.clear();
    }

    /// Is told what a comparison in frame `number` says; see [`Guard::advance`].
    pub fn tell(&mut self, number: u64, likeness: Likeness) {
        self.told.push((number, likeness));
    }

    /// Moves on by `step` to a frame at `now`, and lowers the weights of `faces`. Takes in what was told of frames up to number `until`, and
    /// nothing of later ones, so that the same frames get the same weights however early anything is told.
    ///
    /// A `limit` of 0 leaves every weight as it is.
    pub fn advance(
        &mut self,
        now: Duration,
        step: Duration,
        until: Option<u64>,
        limit: f32,
        faces: &mut [Face],
    ) {
        if limit <= 0.0 {
            self.reset();
            return;
        }
        self.watched
            .retain(|watched| faces.iter().any(|face| face.id == watched.id));
        for face in faces.iter() {
            if !self.watched.iter().any(|watched| watched.id == face.id) {
                self.watched.push(Watched {
                    id: face.id,
                    weight: 1.0,
                    course: Course::Stays,
                    doubts: 0,
                    due: now,
                });
            }
        }
        let known = |number: u64| until.is_some_and(|until| number <= until);
        for (_, likeness) in self.told.iter().filter(|(number, _)| known(*number)) {
            if let Some(watched) = of_face(&mut self.watched, likeness.face) {
                watched.take(likeness, limit, now);
            }
        }
        self.told.retain(|(number, _)| !known(*number));
        for face in faces {
            let Some(watched) = of_face(&mut self.watched, face.id) else {
                continue;
            };
            watched.advance(step.as_secs_f64());
            let trial = watched.weight <= 0.0 && !face.held && watched.due <= now;
            let weight = if trial { TRIAL } else { watched.weight as f32 };
            face.weight *= weight;
        }
    }

    /// Puts into `compared` which of `faces`, by their places, are to be compared in the frame at `now`: those that are due, that were found
    /// in this very frame or the search before it, and of which anything is drawn.
    pub fn ask(&mut self, now: Duration, faces: &[Face], compared: &mut Vec<usize>) {
        for (place, face) in faces.iter().enumerate() {
            let Some(watched) = of_face(&mut self.watched, face.id) else {
                continue;
            };
            if watched.due <= now && !face.held && face.weight > 0.0 {
                let trusted = watched.weight >= 1.0 && watched.course != Course::Falls;
                watched.due = now
                    + match watched.weight {
                        _ if trusted => INTERVAL,
                        weight if weight > 0.0 => SUSPECT,
                        _ => RETRY,
                    };
                compared.push(place);
            }
        }
    }

    /// Whether a comparison left a doubt that another one at `now` is to settle.
    pub fn doubts(&self, now: Duration) -> bool {
        let doubted = |watched: &Watched| watched.doubts > 0 && watched.course == Course::Stays;
        self.watched
            .iter()
            .any(|watched| doubted(watched) && watched.due <= now)
    }

    /// Faces that are given less than all of the face network's picture.
    pub fn lowered(&self) -> usize {
        self.watched
            .iter()
            .filter(|watched| watched.weight < 1.0)
            .count()
    }

    /// Whether nothing is going to change while comparisons say what they said last.
    pub fn is_settled(&self) -> bool {
        self.told.is_empty()
            && self.watched.iter().all(|watched| match watched.course {
                Course::Falls => watched.weight <= 0.0,
                Course::Stays => watched.doubts == 0,
                Course::Rises => watched.weight >= 1.0,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::BBox;
    use crate::testing::Random;

    const STEP: Duration = Duration::from_millis(40);

    fn face(id: u64, held: bool) -> Face {
        Face {
            id,
            bbox: BBox::from_centre(50.0, 50.0, 30.0, 40.0),
            score: 0.9,
            points: None,
            weight: 1.0,
            held,
            mask: None,
        }
    }

    /// One face for so many frames; `likeness` says for each frame, given the weight that it was drawn with, how alike the face network's
    /// picture and the shown one are. Results come `lag` frames later. Gives the weights, and the frames that were compared.
    fn run(
        frames: usize,
        lag: u64,
        limit: f32,
        mut likeness: impl FnMut(usize, f32) -> (f32, f32),
    ) -> (Vec<f32>, Vec<usize>) {
        let (mut guard, mut weights, mut asked) = (Guard::default(), Vec::new(), Vec::new());
        for number in 0..frames {
            let mut faces = [face(7, false)];
            let now = STEP * number as u32;
            let until = (number as u64).checked_sub(lag);
            guard.advance(now, STEP, until, limit, &mut faces);
            weights.push(faces[0].weight);
            let mut compared = Vec::new();
            guard.ask(now, &faces, &mut compared);
            for place in compared {
                assert_eq!(place, 0);
                asked.push(number);
                let (expert, shown) = likeness(number, faces[0].weight);
                guard.tell(
                    number as u64,
                    Likeness {
                        face: 7,
                        expert,
                        shown,
                    },
                );
            }
        }
        (weights, asked)
    }

    #[test]
    fn one_that_is_alike_is_left_alone() {
        let (weights, asked) = run(250, 1, 0.5, |_, _| (0.6, 0.6));
        assert!(weights.iter().all(|weight| *weight == 1.0));
        // Once in six frames, not in every one.
        assert_eq!(asked.len(), 250_usize.div_ceil(6));
        // Nor does a single comparison that is wrong do anything, however often.
        let (weights, _) = run(250, 1, 0.5, |frame, _| {
            let wrong = frame % 12 == 0;
            let likeness = if wrong { 0.1 } else { 0.6 };
            (likeness, likeness)
        });
        assert!(weights.iter().all(|weight| *weight == 1.0));
    }

    #[test]
    fn one_that_is_spoilt_is_out_within_twelve_frames() {
        for lag in [1, 2] {
            for spoilt_from in 0..9 {
                let (weights, _) = run(60, lag, 0.5, |frame, _| {
                    let likeness = if frame < spoilt_from { 0.8 } else { 0.2 };
                    (likeness, likeness)
                });
                let out = weights.iter().position(|weight| *weight < 0.1).unwrap();
                // Two frames under way tell each of the two comparisons a frame later.
                let late = 2 * (lag as usize - 1);
                assert!(out <= spoilt_from + 12 + late, "{lag} {spoilt_from} {out}");
                // Out but for trials.
                assert!(weights[out + 2..].iter().all(|weight| *weight <= TRIAL));
                let trials = weights[out + 2..].iter().filter(|weight| **weight > 0.0);
                assert!(trials.count() <= 4);
            }
        }
    }

    #[test]
    fn it_falls_as_far_as_is_needed_and_stays_there() {
        // What is shown is a mixture: alike from a weight of 0.4 down.
        let shown = |weight: f32| 0.9 - weight;
        let (weights, _) = run(250, 1, 0.5, |_, weight| (0.0, shown(weight)));
        let last = *weights.last().unwrap();
        assert!(shown(last) >= 0.5 && last > 0.0, "{last}");
        assert!(weights[40..].iter().all(|weight| *weight == last));
    }

    #[test]
    fn it_comes_back_when_the_face_network_is_alike_again() {
        let (weights, _) = run(250, 1, 0.5, |frame, _| {
            let likeness = if frame < 60 { 0.2 } else { 0.8 };
            (likeness, likeness)
        });
        assert!(weights[40] <= TRIAL);
        assert_eq!(*weights.last().unwrap(), 1.0);
        // Not by an inch more than the limit: it would fall again.
        let (weights, _) = run(250, 1, 0.5, |frame, _| {
            let likeness = if frame < 60 { 0.2 } else { 0.51 };
            (likeness, likeness)
        });
        assert!(*weights.last().unwrap() <= TRIAL);
    }

    #[test]
    fn weights_never_jump_whatever_comparisons_say() {
        let mut random = Random(11);
        for round in 0..200 {
            let lag = 1 + round % 3;
            let mut values = Random(1 + random.below(1 << 40) as u64);
            let mut next = move || values.below(201) as f32 / 100.0 - 1.0;
            let (weights, _) = run(200, lag, 0.3, |_, _| (next(), next()));
            let seconds = STEP.as_secs_f64();
            for pair in weights.windows(2) {
                assert!((0.0..=1.0).contains(&pair[1]));
                let change = f64::from(pair[1] - pair[0]);
                let trial = f64::from(TRIAL);
                assert!(-change <= seconds / FALL + trial + 1e-6, "{pair:?}");
                assert!(change <= seconds / RISE + trial + 1e-6, "{pair:?}");
            }
        }
    }

    #[test]
    fn values_that_are_no_numbers_are_not_alike() {
        let (weights, _) = run(30, 1, 0.3, |_, _| (f32::NAN, f32::NAN));
        assert!(*weights.last().unwrap() <= TRIAL);
    }

    #[test]
    fn each_track_goes_its_own_way_and_is_forgotten() {
        let mut guard = Guard::default();
        for number in 0..40u64 {
            let mut faces = [face(1, false), face(2, false), face(3, true)];
            let now = STEP * number as u32;
            guard.advance(now, STEP, number.checked_sub(1), 0.5, &mut faces);
            let mut compared = Vec::new();
            guard.ask(now, &faces, &mut compared);
            // What is held was not seen: there is nothing to compare.
            assert!(!compared.contains(&2));
            for place in compared {
                let likeness = [0.1, 0.9][place];
                let (face, expert, shown) = (faces[place].id, likeness, likeness);
                guard.tell(
                    number,
                    Likeness {
                        face,
                        expert,
                        shown,
                    },
                );
            }
            if number == 39 {
                let [spoilt, good, held] = faces.map(|face| face.weight);
                assert!(spoilt <= TRIAL && good == 1.0 && held == 1.0);
                assert_eq!(guard.lowered(), 1);
            }
        }
        guard.advance(STEP * 40, STEP, Some(39), 0.5, &mut []);
        assert!(guard.watched.is_empty() && guard.lowered() == 0);
        // Seen anew, under a number of its own, it begins at full weight.
        let mut faces = [face(4, false)];
        guard.advance(STEP * 41, STEP, Some(40), 0.5, &mut faces);
        assert_eq!(faces[0].weight, 1.0);
    }

    #[test]
    fn without_a_limit_nothing_is_touched() {
        let (weights, asked) = run(50, 1, 0.0, |_, _| (-1.0, -1.0));
        assert!(weights.iter().all(|weight| *weight == 1.0) && asked.is_empty());
    }

    #[test]
    fn what_is_told_early_counts_no_earlier() {
        // With two frames under way a result may be there after one frame or after two: the weights are the same.
        let weights = |early: bool| {
            let (mut guard, mut all, mut late) = (Guard::default(), Vec::new(), Vec::new());
            for number in 0..40u64 {
                let mut faces = [face(7, false)];
                let now = STEP * number as u32;
                for (of, likeness) in std::mem::take(&mut late) {
                    if of + 2 <= number {
                        guard.tell(of, likeness);
                    } else {
                        late.push((of, likeness));
                    }
                }
                guard.advance(now, STEP, number.checked_sub(2), 0.5, &mut faces);
                all.push(faces[0].weight);
                let mut compared = Vec::new();
                guard.ask(now, &faces, &mut compared);
                let likeness = Likeness {
                    face: 7,
                    expert: 0.1,
                    shown: 0.1,
                };
                if !compared.is_empty() && early {
                    guard.tell(number, likeness);
                } else if !compared.is_empty() {
                    late.push((number, likeness));
                }
            }
            all
        };
        assert_eq!(weights(true), weights(false));
    }
}

//! Which snapshot of a face is the best, and when its track is over. Pure: time is what the caller says.

use std::collections::HashMap;
use std::time::Duration;

/// A face that was not seen for so long is gone.
const GONE: Duration = Duration::from_secs(2);
/// A face that stays gets an entry every so often.
const LONGEST: Duration = Duration::from_secs(300);
/// Height of a face, in pixels of the input, from which more does not count.
const LARGE: f64 = 96.0;
/// Sharpness that counts half.
const SHARP: f64 = 150.0;

/// What a snapshot is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Marks {
    /// Height of the face in pixels of the input.
    pub height: f64,
    /// Variance of the Laplacian.
    pub sharpness: f64,
    /// The detector's confidence, 0 to 1.
    pub score: f64,
}

impl Marks {
    /// How good the snapshot is, 0 to 1: size, sharpness and score, each of which can spoil it.
    pub fn quality(self) -> f64 {
        let size = (self.height / LARGE).clamp(0.0, 1.0);
        let sharp = self.sharpness / (self.sharpness + SHARP);
        size * sharp * self.score.clamp(0.0, 1.0)
    }
}

/// A face of a camera.
type Track = (String, u64);

#[derive(Debug)]
struct Kept<T> {
    first: Duration,
    last: Duration,
    marks: Marks,
    snapshot: T,
}

/// The best snapshot of every face that is being seen.
#[derive(Debug)]
pub struct Chooser<T> {
    tracks: HashMap<Track, Kept<T>>,
}

impl<T> Default for Chooser<T> {
    fn default() -> Self {
        Self {
            tracks: HashMap::new(),
        }
    }
}

/// The best snapshot of a face that is gone.
#[derive(Debug, PartialEq)]
pub struct Chosen<T> {
    /// Name of the camera.
    pub camera: String,
    /// Number of the face's track.
    pub track: u64,
    /// What it was judged by.
    pub marks: Marks,
    /// The snapshot.
    pub snapshot: T,
}

impl<T> Chooser<T> {
    /// Sees a face; `take` makes the snapshot if it is the best so far.
    pub fn see(
        &mut self,
        now: Duration,
        camera: &str,
        track: u64,
        marks: Marks,
        take: impl FnOnce() -> Option<T>,
    ) {
        let key = (camera.to_owned(), track);
        if let Some(kept) = self.tracks.get_mut(&key) {
            kept.last = now;
            if marks.quality() > kept.marks.quality()
                && let Some(snapshot) = take()
            {
                (kept.marks, kept.snapshot) = (marks, snapshot);
            }
        } else if let Some(snapshot) = take() {
            let kept = Kept {
                first: now,
                last: now,
                marks,
                snapshot,
            };
            self.tracks.insert(key, kept);
        }
    }

    /// Those that are gone, or have stayed long enough for an entry.
    pub fn done(&mut self, now: Duration) -> Vec<Chosen<T>> {
        self.take(|kept| {
            now.saturating_sub(kept.last) >= GONE || now.saturating_sub(kept.first) >= LONGEST
        })
    }

    /// All of them.
    pub fn all(&mut self) -> Vec<Chosen<T>> {
        self.take(|_| true)
    }

    fn take(&mut self, which: impl Fn(&Kept<T>) -> bool) -> Vec<Chosen<T>> {
        let done = self.tracks.extract_if(|_, kept| which(kept));
        let chosen = done.map(|((camera, track), kept)| Chosen {
            camera,
            track,
            marks: kept.marks,
            snapshot: kept.snapshot,
        });
        chosen.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(height: f64, sharpness: f64, score: f64) -> Marks {
        Marks {
            height,
            sharpness,
            score,
        }
    }

    #[test]
    fn each_mark_alone_makes_a_snapshot_better() {
        let middle = marks(48.0, 100.0, 0.8).quality();
        assert!(marks(60.0, 100.0, 0.8).quality() > middle);
        assert!(marks(48.0, 200.0, 0.8).quality() > middle);
        assert!(marks(48.0, 100.0, 0.9).quality() > middle);
        assert_eq!(marks(48.0, 0.0, 0.8).quality(), 0.0);
        assert!(marks(1_000.0, 1e9, 1.0).quality() <= 1.0);
    }

    #[test]
    fn the_best_of_a_track_is_kept_until_it_is_gone() {
        let second = Duration::from_secs;
        let mut chooser = Chooser::default();
        for (time, sharpness) in [(0, 50.0), (1, 300.0), (2, 100.0)] {
            chooser.see(second(time), "door", 7, marks(48.0, sharpness, 0.9), || {
                Some(time)
            });
        }
        chooser.see(second(2), "yard", 7, marks(48.0, 10.0, 0.9), || Some(99));
        // One that cannot be taken is none.
        chooser.see(second(2), "door", 8, marks(48.0, 10.0, 0.9), || None);
        assert!(chooser.done(second(3)).is_empty());
        let mut done = chooser.done(second(4));
        done.sort_by(|a, b| a.camera.cmp(&b.camera));
        let found: Vec<_> = done
            .iter()
            .map(|chosen| (chosen.camera.as_str(), chosen.track, chosen.snapshot))
            .collect();
        assert_eq!(found, [("door", 7, 1), ("yard", 7, 99)]);
        assert!(chooser.all().is_empty());
    }

    #[test]
    fn one_that_stays_gets_an_entry_every_five_minutes() {
        let mut chooser = Chooser::default();
        let mut entries = 0;
        for time in 0..700 {
            let now = Duration::from_secs(time);
            chooser.see(now, "door", 1, marks(48.0, 10.0, 0.9), || Some(()));
            entries += chooser.done(now).len();
        }
        assert_eq!(entries, 2);
        assert_eq!(chooser.all().len(), 1);
    }
}

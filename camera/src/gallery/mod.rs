//! The gallery: of every face that is followed the best snapshot, as it came and as it was drawn. Off unless it is asked for.
//!
//! [`best`] chooses, [`store`] keeps; a thread of its own does the work, so that no camera waits for a disk.

mod best;
mod store;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use image::RgbImage;

use crate::config::GalleryConfig as Config;
use crate::engine::{FaceSeen, Pair, Picture};
use crate::log::{error, info};
use crate::picture::{Part, jpeg, labelled, part, sharpness};

use best::{Chooser, Chosen, Marks};
pub use store::{Entry, Store, Wanted, Which};

/// Words on every drawn picture.
pub const LABEL: &str = "COMPUTED BY A NETWORK, NO EVIDENCE";
/// Margin around a face, as a fraction of its sides.
const MARGIN: f64 = 0.3;
/// A face that is faded in less is not looked at yet.
const CLEAR: f64 = 0.5;
/// How often is looked which faces are gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often old ones are deleted.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Frames that wait.
const WAITING: usize = 4;

/// A frame of a camera, by its name.
pub type Frame = (String, Arc<Pair>);

/// The gallery at work. Dropping it keeps what was chosen so far.
#[derive(Debug)]
pub struct Gallery {
    sender: Option<SyncSender<Frame>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Gallery {
    fn drop(&mut self) {
        // The thread ends when the last camera has let go, too.
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct FaceSnapshot {
    time: SystemTime,
    input: RgbImage,
    drawn: RgbImage,
}

impl Gallery {
    /// Opens it.
    ///
    /// # Errors
    /// A folder or a database that cannot be had.
    pub fn open(config: &Config) -> Result<Self, String> {
        let store = Store::open(config)?;
        let (sender, frames) = sync_channel(WAITING);
        info!("keeping faces in {}", config.folder.display());
        let mut keeper = GalleryKeeper {
            store,
            config: config.clone(),
            chooser: Chooser::default(),
            tidied: None,
        };
        let thread = std::thread::Builder::new()
            .name("gallery".into())
            .spawn(move || keeper.run(&frames))
            .map_err(|error| format!("no thread for the gallery: {error}"))?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    /// Where cameras send their frames.
    pub fn sender(&self) -> Option<SyncSender<Frame>> {
        self.sender.clone()
    }
}

struct GalleryKeeper {
    store: Store,
    config: Config,
    chooser: Chooser<FaceSnapshot>,
    tidied: Option<Instant>,
}

impl GalleryKeeper {
    fn run(&mut self, frames: &Receiver<Frame>) {
        let begun = Instant::now();
        loop {
            let frame = frames.recv_timeout(LOOK_EVERY);
            let now = begun.elapsed();
            match frame {
                Ok((camera, pair)) => self.look(now, &camera, &pair),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let done = self.chooser.done(now);
            self.keep(done);
            self.tidy();
        }
        let rest = self.chooser.all();
        self.keep(rest);
    }

    /// Looks at the faces of a frame.
    fn look(&mut self, now: Duration, camera: &str, pair: &Pair) {
        for face in &pair.faces {
            if face.held || face.weight < CLEAR {
                continue;
            }
            let Some((before, after)) = parts(face, pair) else {
                continue;
            };
            let size = |part: Part| (part.2, part.3);
            let Some(input) = part(&pair.before, before, size(before)) else {
                continue;
            };
            let marks = Marks {
                height: f64::from(face.rect.3) / f64::from(srfusion::SCALE as u32),
                sharpness: sharpness(&input),
                score: face.score,
            };
            self.chooser.see(now, camera, face.track, marks, || {
                Some(FaceSnapshot {
                    time: SystemTime::now(),
                    input,
                    drawn: part(&pair.after, after, size(after))?,
                })
            });
        }
    }

    fn keep(&mut self, chosen: Vec<Chosen<FaceSnapshot>>) {
        for chosen in chosen {
            if let Err(reason) = self.keep_one(&chosen) {
                error!("gallery: {reason}");
            }
        }
    }

    fn keep_one(&mut self, chosen: &Chosen<FaceSnapshot>) -> Result<(), String> {
        let Chosen {
            camera,
            marks,
            snapshot,
            ..
        } = chosen;
        let about = format!("camera {camera}, track {}", chosen.track);
        let input = jpeg(&snapshot.input, 95, &about);
        let drawn = labelled(&snapshot.drawn, LABEL);
        let drawn = jpeg(&drawn, 92, &format!("{LABEL}; {about}"));
        let (Some(input), Some(drawn)) = (input, drawn) else {
            return Err(format!("a picture of {about} cannot be written as JPEG"));
        };
        let entry = Entry {
            id: 0,
            camera: camera.clone(),
            track: i64::try_from(chosen.track).unwrap_or(i64::MAX),
            time: store::milliseconds(snapshot.time),
            score: marks.score,
            sharpness: marks.sharpness,
            height: marks.height,
            computed: true,
        };
        self.store.add(&entry, &input, &drawn).map(|_| ())
    }

    fn tidy(&mut self) {
        if self.tidied.is_some_and(|last| last.elapsed() < TIDY_EVERY) {
            return;
        }
        self.tidied = Some(Instant::now());
        match self.store.tidy(SystemTime::now(), self.config.keep) {
            Ok(0) => {}
            Ok(count) => info!("gallery: {count} old faces were deleted"),
            Err(reason) => error!("gallery: {reason}"),
        }
    }
}

/// The part of the input that shows a face with its margin, and the same of the drawn frame.
fn parts(face: &FaceSeen, pair: &Pair) -> Option<(Part, Part)> {
    let scale = srfusion::SCALE as u32;
    let sides = |picture: &Picture| (picture.info.width(), picture.info.height());
    let (width, height) = sides(&pair.before);
    if sides(&pair.after) != (width * scale, height * scale) {
        return None;
    }
    let stretch = |start: u32, length: u32, whole: u32| {
        let margin = (f64::from(length) * MARGIN) as u32;
        let first = start.saturating_sub(margin) / scale;
        let last = (start + length + margin).div_ceil(scale).min(whole);
        (first, last.saturating_sub(first))
    };
    let (left, across) = stretch(face.rect.0, face.rect.2, width);
    let (top, down) = stretch(face.rect.1, face.rect.3, height);
    if across == 0 || down == 0 {
        return None;
    }
    let after = (left * scale, top * scale, across * scale, down * scale);
    Some(((left, top, across, down), after))
}

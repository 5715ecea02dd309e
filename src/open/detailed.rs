//! A generator with a partner: follows the knob for detail while frames come. What is asked for is mixed and opened in the background, and drawn
//! with from the next frame on once it is ready.

use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::generator::OnnxGenerator;
use super::opening::{OpenedGenerator, Opening};
use crate::cancel::Canceller;
use crate::detail::{Detail, DetailKnob};
use crate::draw::{ByteLayout, Generator, ModelOrigin, NetworkFile, Transfer};
use crate::error::{Error, Result};
use crate::models::{Resolved, at_detail};
use crate::notice::Notice;
use crate::picture::{Encoding, Size};
use crate::settings::{Config, Provider};

/// What the file at `path` is, which runs for the model `found`.
pub(super) fn network_file(found: &Resolved, path: &Path) -> NetworkFile {
    let floats = (found.path.clone(), found.sha256.clone());
    let int8 = found.int8.as_ref().and_then(|int8| int8.as_ref().ok());
    let (sha256, floats) = match int8.filter(|int8| int8.path == path) {
        Some(int8) => (int8.sha256.clone(), Some(floats)),
        None => (floats.1, None),
    };
    NetworkFile {
        name: found.name.clone(),
        path: path.to_owned(),
        origin: ModelOrigin {
            sha256,
            floats,
            licence: found.licence.clone(),
            trained_on: found.trained_on.clone(),
        },
    }
}

/// A generator that is on its way.
struct PendingDetail {
    detail: Detail,
    outcome: Receiver<Result<(OpenedGenerator, NetworkFile)>>,
}

/// How another is opened.
#[derive(Clone)]
struct Recipe {
    /// The generator without detail.
    plain: Resolved,
    config: Config,
    cancel: Canceller,
}

impl Recipe {
    fn open(&self, detail: Detail) -> Result<(OpenedGenerator, NetworkFile)> {
        let found =
            at_detail(&self.plain, detail, &self.config).map_err(|found| Error::Contract {
                model: self.plain.name.clone(),
                expected: format!("a network at detail {}", detail.share()),
                found,
            })?;
        let opened = Opening::new(&found, &self.config, &self.cancel).open(&mut |_| ())?;
        let file = network_file(&found, &opened.path);
        Ok((opened, file))
    }
}

/// A generator with a partner.
pub(super) struct Detailed {
    current: OnnxGenerator,
    recipe: Recipe,
    knob: DetailKnob,
    /// What `current` is of.
    at: Detail,
    /// What could not be had.
    refused: Option<Detail>,
    change: Option<PendingDetail>,
    file: Option<NetworkFile>,
    notices: Vec<Notice>,
}

impl Detailed {
    /// `current` is open of the file `found`, which has a partner; `knob` says what is asked for.
    pub(super) fn new(
        current: OnnxGenerator,
        found: &Resolved,
        config: &Config,
        cancel: &Canceller,
        knob: &DetailKnob,
    ) -> Self {
        let mixture = found.mixture.as_ref();
        Self {
            current,
            at: mixture.map_or(Detail::NONE, |mixture| Detail::of(mixture.detail)),
            recipe: Recipe {
                plain: mixture.map_or(found, |mixture| &*mixture.plain).clone(),
                config: config.clone(),
                cancel: cancel.clone(),
            },
            knob: knob.clone(),
            refused: None,
            change: None,
            file: None,
            notices: Vec::new(),
        }
    }

    /// Begins to open what is asked for, unless it is what is drawn with, or could not be had.
    fn begin(&mut self) {
        let detail = self.knob.get();
        if self.change.is_some() || detail == self.at || self.refused == Some(detail) {
            return;
        }
        let (sender, outcome) = channel();
        let recipe = self.recipe.clone();
        let thread = std::thread::Builder::new()
            .name("srfusion-detail".into())
            .spawn(move || {
                // Nobody listens any more if the generator was dropped.
                let _ = sender.send(recipe.open(detail));
            });
        match thread {
            Ok(_) => self.change = Some(PendingDetail { detail, outcome }),
            Err(error) => self.refuse(detail, &error.to_string()),
        }
    }

    fn refuse(&mut self, detail: Detail, reason: &str) {
        self.refused = Some(detail);
        self.notices.push(Notice::worse(format!(
            "model {} stays at detail {}, {} cannot be had: {reason}",
            self.recipe.plain.name,
            self.at.share(),
            detail.share()
        )));
    }

    /// Takes what was opened, if it is ready.
    fn adopt(&mut self) -> Option<Provider> {
        let change = self.change.take()?;
        match change.outcome.try_recv() {
            Err(TryRecvError::Empty) => {
                self.change = Some(change);
                None
            }
            Err(TryRecvError::Disconnected) => {
                self.refuse(change.detail, "opening it was broken off");
                None
            }
            // A flush interrupts all that runs: once more.
            Ok(Err(Error::Cancelled)) => None,
            Ok(Err(error)) => {
                self.refuse(change.detail, &error.to_string());
                None
            }
            Ok(Ok((opened, file))) => {
                self.notices.extend(opened.notices);
                let text = format!("model {} draws from here on", file.name);
                self.notices.push(Notice::info(text));
                (self.at, self.refused, self.file) = (change.detail, None, Some(file));
                let before = std::mem::replace(&mut self.current, opened.generator);
                // Giving a device's memory back takes its time.
                let _ = std::thread::Builder::new().spawn(move || drop(before));
                Some(self.current.network().provider())
            }
        }
    }
}

impl Generator for Detailed {
    fn name(&self) -> &str {
        self.current.name()
    }

    fn radius(&self) -> usize {
        self.current.radius()
    }

    fn near_radius(&self) -> usize {
        self.current.near_radius()
    }

    fn stride(&self) -> usize {
        self.current.stride()
    }

    fn load(&self) -> usize {
        self.current.load()
    }

    fn set_due(&mut self, due: Option<Instant>) {
        self.current.set_due(due);
    }

    fn encoding(&self) -> Encoding {
        self.current.encoding()
    }

    fn fixed_tile(&self) -> Option<(Size, usize)> {
        self.current.fixed_tile()
    }

    fn adopt_better(&mut self) -> Option<Provider> {
        let adopted = self.adopt();
        self.begin();
        adopted.or_else(|| self.current.adopt_better())
    }

    fn take_file(&mut self) -> Option<NetworkFile> {
        self.file.take()
    }

    fn refused(&self) -> &[(Provider, String)] {
        self.current.refused()
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.notices);
        notices.extend(self.current.take_notices());
        notices
    }

    fn run(
        &mut self,
        input: &[f32],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<Duration> {
        self.current.run(input, count, size, take)
    }

    fn byte_layout(&self) -> Option<ByteLayout> {
        self.current.byte_layout()
    }

    fn run_bytes(
        &mut self,
        input: &[u8],
        count: usize,
        size: Size,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Duration> {
        self.current.run_bytes(input, count, size, take)
    }

    fn transfer(&self) -> Transfer {
        self.current.transfer()
    }
}

//! The knob for detail while frames come: turned by the caller, heard by the generators.

use crate::detail::{Detail, DetailKnob};
use crate::error::{Error, Result};
use crate::notice::Notice;

/// The knob, and what is told once where it moves nothing.
#[derive(Debug, Default)]
pub(crate) struct DetailControl {
    /// `None` where no generator hears it.
    knob: Option<DetailKnob>,
    /// The generators that have no partner, and why.
    lacking: Option<String>,
    told: bool,
}

impl DetailControl {
    /// The knob that the generators hear; `lacking` is what generators have no partner, which was told already if detail was asked for.
    pub(crate) fn new(knob: DetailKnob, lacking: Option<String>) -> Self {
        Self {
            told: knob.get() != Detail::NONE,
            knob: Some(knob),
            lacking,
        }
    }

    /// Turns it; what a user should be told of that.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is not from 0 to 1; it stays as it was.
    pub(crate) fn set(&mut self, detail: f64) -> Result<Option<Notice>> {
        if !(0.0..=1.0).contains(&detail) {
            return Err(Error::Setting {
                name: "detail".into(),
                expected: "a number from 0 to 1".into(),
                found: detail.to_string(),
            });
        }
        let wanted = Detail::of(detail);
        if let Some(knob) = &self.knob {
            knob.set(wanted);
        }
        if wanted == Detail::NONE || self.told {
            return Ok(None);
        }
        let lacking = self.lacking.as_ref();
        let notice = lacking.map(|lacking| no_effect(wanted, lacking));
        self.told = true;
        Ok(notice)
    }
}

/// What is told where `detail` is asked for and generators are `lacking` a partner.
fn no_effect(detail: Detail, lacking: &str) -> Notice {
    Notice::worse(format!(
        "detail {} has no effect on {lacking}",
        detail.share()
    ))
}

//! The provider that a model is opened on: the first that works, with the better one on its way in the background.

use std::sync::Arc;
use std::time::Duration;

use super::control::RunControl;
use super::loader::{Loader, OpenedSession};
use super::upgrade::Upgrade;
use crate::cancel::Canceller;
use crate::error::{Error, Result};
use crate::settings::{Config, Provider};

/// How long `provider=auto` waits for a provider that may have to compile, before it starts on another: enough to load what is
/// compiled, or to find out that the provider cannot be had.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// What becomes of providers that must compile first, with `provider=auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlowProviders {
    /// They do so in the background while another provider serves.
    Background,
    /// They are left out.
    Refused,
}

/// Why a provider that must compile first was left out.
const NOT_COMPILED: &str = "the model is not compiled for it yet; `srfusion models prebuild` compiles it, and a stream changes over once it is compiled";

/// The session that serves, and what came of the other providers.
pub(super) struct ChosenSession {
    pub(super) opened: OpenedSession,
    /// Providers that come before it and cannot be had, each with the reason.
    pub(super) refused: Vec<(Provider, String)>,
    /// A better one that is being made ready.
    pub(super) upgrade: Option<Upgrade>,
}

/// Opens the model of `loader` on the first provider of `config` that works.
///
/// # Errors
/// [`Error::Provider`] with each provider's reason, [`Error::Cancelled`], and those of opening.
pub(super) fn choose(
    loader: &Arc<Loader>,
    config: &Config,
    cancel: &Canceller,
    control: &RunControl,
    slow: SlowProviders,
) -> Result<ChosenSession> {
    let mut refused: Vec<(Provider, String)> = Vec::new();
    let mut upgrade: Option<Upgrade> = None;
    for provider in config.candidates() {
        cancel.check()?;
        let precision = provider.precision(config.precision);
        let is_slow = config.provider == Provider::Auto && loader.is_slow(provider);
        let attempt = if is_slow && slow == SlowProviders::Refused {
            Ok(Err(NOT_COMPILED.to_owned()))
        } else if is_slow {
            let started = Upgrade::start(loader, provider, precision)?;
            match started.wait(GRACE, || cancel.is_cancelled())? {
                Some(attempt) => attempt,
                None => {
                    upgrade = Some(started);
                    continue;
                }
            }
        } else {
            loader.attempt(provider, precision, |_| true, control)
        };
        match attempt? {
            Ok(opened) => {
                return Ok(ChosenSession {
                    opened,
                    refused,
                    upgrade,
                });
            }
            Err(reason) => refused.push((provider, reason)),
        }
    }
    // Nothing else works: what is being built is waited for.
    if let Some(upgrade) = upgrade {
        match upgrade.wait(Duration::MAX, || cancel.is_cancelled())? {
            Some(Ok(Ok(opened))) => {
                return Ok(ChosenSession {
                    opened,
                    refused,
                    upgrade: None,
                });
            }
            Some(Ok(Err(reason))) => refused.push((upgrade.provider, reason)),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    let reasons: Vec<_> = refused
        .iter()
        .map(|(provider, reason)| format!("{provider}: {reason}"))
        .collect();
    let mut reasons = reasons.join("; ");
    if config.provider != Provider::Auto {
        reasons.push_str("; provider=auto takes the best that works");
    }
    Err(Error::Provider {
        model: loader.name().to_owned(),
        requested: config.provider.to_string(),
        reasons,
    })
}

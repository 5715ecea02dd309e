//! Open sessions, shared by all networks of the process that ask for the same one.
//!
//! A session is kept for as long as a network uses it; then its weights are freed. Streams take turns, whose frame is due first before the
//! others, one run at a time: `ort` allows no more, and the run before uses all cores already. Joining frames of several streams
//! into one batch is left out: on two cores two runs of 320x180 took 341 ms and one batch of two 336 ms, which is no gain for
//! a frame that would have to wait for another.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::backend::LoadedModel;
use super::fair_lock::FairLock;
use super::io_mode::IoMode;
use super::port::Port;
use super::session_key::SessionKey;
use crate::draw::Transfer;
use crate::error::{Error, Result};
use crate::settings::{Precision, Provider};

/// How often one that waits looks whether it was interrupted.
const GLANCE: Duration = Duration::from_millis(20);

/// What a provider had to compile for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The provider compiles nothing that could be kept.
    Nothing,
    /// It was there from before.
    Kept,
    /// It was compiled when the session was opened, and kept if there is a folder for it.
    Compiled,
}

/// An open session: where it runs and what goes in and out.
pub(super) struct SharedSession {
    pub(super) provider: Provider,
    pub(super) precision: Precision,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Input of the warm-up run.
    pub(super) run_input: [usize; 4],
    /// Outputs as they came out of the warm-up run: files often declare fewer sides than are fixed.
    pub(super) run_shapes: Vec<(String, Vec<i64>)>,
    pub(super) build: Build,
    pub(super) io_mode: IoMode,
    pub(super) transfer: Transfer,
    pub(super) model: FairLock<Box<dyn LoadedModel>>,
}

/// A place in the registry.
#[derive(Default)]
struct RegistrySlot {
    state: Mutex<SlotState>,
    done: Condvar,
}

#[derive(Default)]
struct SlotState {
    opening: bool,
    session: Weak<SharedSession>,
}

/// Lets the next one try, also when opening panics.
struct OpeningGuard<'a>(&'a RegistrySlot);

impl Drop for OpeningGuard<'_> {
    fn drop(&mut self) {
        self.0.state.lock().opening = false;
        self.0.done.notify_all();
    }
}

static SESSIONS: Mutex<Vec<(SessionKey, Arc<RegistrySlot>)>> = Mutex::new(Vec::new());

/// What opening gives: a session, or the reason why the provider cannot serve it.
pub(super) type SessionResult = Result<std::result::Result<Arc<SharedSession>, String>>;

/// The session of `key`: the one that is open, or what `open` makes. Whoever comes while another opens it waits for that one.
///
/// # Errors
/// [`Error::Cancelled`] once `interrupted` while it waits, and those of `open`.
pub(super) fn obtain(
    key: &SessionKey,
    interrupted: impl Fn() -> bool,
    open: impl FnOnce() -> SessionResult,
) -> SessionResult {
    let slot = {
        let mut sessions = SESSIONS.lock();
        // Nobody else holds a slot but under this lock.
        sessions.retain(|(_, slot)| {
            Arc::strong_count(slot) > 1 || slot.state.lock().session.strong_count() > 0
        });
        match sessions.iter().find(|(known, _)| known == key) {
            Some((_, slot)) => slot.clone(),
            None => {
                let slot = Arc::new(RegistrySlot::default());
                sessions.push((key.clone(), slot.clone()));
                slot
            }
        }
    };
    let mut state = slot.state.lock();
    loop {
        if let Some(session) = state.session.upgrade() {
            return Ok(Ok(session));
        }
        if !state.opening {
            break;
        }
        if interrupted() {
            return Err(Error::Cancelled);
        }
        slot.done.wait_for(&mut state, GLANCE);
    }
    state.opening = true;
    drop(state);
    let _opening = OpeningGuard(&slot);
    let session = open()?;
    if let Ok(session) = &session {
        slot.state.lock().session = Arc::downgrade(session);
    }
    Ok(session)
}

/// Sessions of models that are open in this process.
pub fn open_sessions() -> usize {
    SESSIONS
        .lock()
        .iter()
        .filter(|(_, slot)| slot.state.lock().session.strong_count() > 0)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::control::RunControl;
    use crate::runtime::tensor::{InputValues, OutputTensor};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn key(name: &str) -> SessionKey {
        SessionKey {
            sha256: name.into(),
            path: name.into(),
            provider: Provider::Cpu,
            device_id: 0,
            precision: Precision::Fp32,
            threads: 0,
            options: String::new(),
            tile: None,
            io_mode: String::new(),
            cache_dir: None,
        }
    }

    fn nothing() -> Arc<SharedSession> {
        struct Nothing;
        impl LoadedModel for Nothing {
            fn ports(&self) -> (&[Port], &[Port]) {
                (&[], &[])
            }
            fn run(
                &mut self,
                _: [usize; 4],
                _: InputValues<'_>,
                _: &RunControl,
            ) -> std::result::Result<Vec<OutputTensor>, String> {
                Ok(Vec::new())
            }
        }
        Arc::new(SharedSession {
            provider: Provider::Cpu,
            precision: Precision::Fp32,
            inputs: Vec::new(),
            outputs: Vec::new(),
            run_input: [1, 3, 1, 1],
            run_shapes: Vec::new(),
            build: Build::Nothing,
            io_mode: IoMode::default(),
            transfer: Transfer::default(),
            model: FairLock::new(Box::new(Nothing)),
        })
    }

    #[test]
    fn one_opens_while_the_others_wait() {
        let opened = AtomicUsize::new(0);
        let open = || {
            obtain(
                &key("waited for"),
                || false,
                || {
                    opened.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(60));
                    Ok(Ok(nothing()))
                },
            )
            .unwrap()
            .unwrap()
        };
        let sessions: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(opened.load(Ordering::SeqCst), 1);
        assert!(sessions.iter().all(|s| Arc::ptr_eq(s, &sessions[0])));
        let freed = Arc::downgrade(&sessions[0]);
        drop(sessions);
        assert_eq!(freed.strong_count(), 0);
        drop(open());
        assert_eq!(
            opened.load(Ordering::SeqCst),
            2,
            "opened again after it was freed"
        );
    }

    #[test]
    fn a_refusal_or_a_panic_leaves_the_next_one_free_to_try() {
        let key = key("refused");
        let refused = obtain(&key, || false, || Ok(Err("not here".into())));
        assert!(matches!(refused, Ok(Err(reason)) if reason == "not here"));
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| obtain(&key, || false, || panic!("on purpose")))
                .join()
                .is_err()
        });
        assert!(panicked);
        assert!(
            obtain(&key, || false, || Ok(Ok(nothing())))
                .unwrap()
                .is_ok()
        );
        assert!(
            matches!(
                obtain(&key, || true, || Err(Error::Cancelled)),
                Err(Error::Cancelled)
            ),
            "an open that is cancelled says so"
        );
    }
}

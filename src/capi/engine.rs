//! The engine: made, drained, stored, freed.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::address::BareJid;

use super::action::dmuc_action;
use super::config::dmuc_config;
use super::guard::{
    Outcome, Output, c_text, exclusive, guard, guard_or, reference, release, slice, text, text_of_length,
    to_bare,
};
use super::result::dmuc_result;
use crate::engine::{Action, Engine, Input, Now, RemoteOccupant};
use crate::error::Error;
use crate::ids::Seed;
use crate::snapshot::Snapshot;

/// What dmuc_engine_poll_timeout gives when no timeout is due ever.
pub const DMUC_NEVER: u64 = u64::MAX;
/// How many bytes dmuc_engine_new wants of randomness.
pub const DMUC_SEED_BYTES: usize = 32;

/// The time of a call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct dmuc_now {
    /// Milliseconds on a clock that never goes back while the engine lives (CLOCK_MONOTONIC). Drives timers.
    pub mono_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z. Orders and stamps messages; may jump.
    pub wall_ms: u64,
}

impl From<dmuc_now> for Now {
    fn from(now: dmuc_now) -> Now {
        Now {
            mono_ms: now.mono_ms,
            wall_ms: now.wall_ms,
        }
    }
}

/// Every distributed room of one MUC service. Opaque.
#[derive(Debug)]
pub struct dmuc_engine {
    pub(super) engine: Engine,
    is_poisoned: bool,
    /// Payloads of presences that were handed in since the actions were last drained, by `room@peer/nick`: the
    /// engine leaves them with the host, and a host in C is better served by complete actions.
    pub(super) presences: BTreeMap<String, String>,
    /// Occupants of peer instances that the host has to show before anything else: of a room that was restored.
    restored: VecDeque<RemoteOccupant>,
}

impl dmuc_engine {
    /// Hands in something that happened here. A refusal can only be a bug of the host (else its caller wants the verdict, see
    /// [`verdict_of`](super::verdict::verdict_of)).
    pub(super) fn input(&mut self, now: dmuc_now, input: Input<'_>) -> Outcome<()> {
        match self.engine.handle_input(now.into(), input) {
            Ok(_) => Ok(()),
            Err(error) => Err(result_of(&error)),
        }
    }

    /// A room of this service.
    pub(super) fn room(&self, text: &str) -> Outcome<BareJid> {
        let room = to_bare(text)?;
        if room.node().is_none() || room.domain() != self.engine.config().service.domain() {
            return Err(dmuc_result::DMUC_RESULT_INVALID_JID);
        }
        Ok(room)
    }

    /// The state of a room is complete. Who was out of reach when the engine stopped is known from the snapshot, and the
    /// host, which keeps no remote occupants over a restart, is told.
    pub(super) fn started(&mut self, now: dmuc_now, room: &BareJid, is_whole: bool) -> Outcome<()> {
        let known = self.engine.remote_occupants(room);
        self.input(now, Input::Started { room, is_whole })?;
        self.restored.extend(known);
        Ok(())
    }

    fn poll_action(&mut self) -> Option<Action> {
        let restored = self.restored.pop_front();
        let shown = restored.map(|occupant| Action::ShowOccupant(Box::new(occupant)));
        shown.or_else(|| self.engine.poll_action())
    }

    /// The payload that an action left out: of the presence that was just handed in, or as it was.
    fn payload_of(&self, occupant: &RemoteOccupant) -> Option<String> {
        let key = format!("{}/{}", occupant.home, occupant.nick);
        self.presences.get(&key).cloned().or_else(|| {
            let all = self.engine.remote_occupants(&occupant.room);
            let is_it = |other: &RemoteOccupant| other.home == occupant.home && other.nick == occupant.nick;
            all.into_iter().find(is_it)?.payload
        })
    }

    fn next_action(&mut self) -> Option<dmuc_action> {
        while let Some(mut action) = self.poll_action() {
            if let Action::ShowOccupant(occupant) = &mut action
                && occupant.payload.is_none()
            {
                occupant.payload = self.payload_of(occupant);
            }
            // A stanza that cannot be addressed has nowhere to go.
            if let Some(action) = dmuc_action::new(&self.engine, action) {
                return Some(action);
            }
        }
        self.presences.clear();
        None
    }
}

pub(super) fn result_of(error: &Error) -> dmuc_result {
    match error {
        Error::UnknownRoom => dmuc_result::DMUC_RESULT_UNKNOWN_ROOM,
        Error::Refused(_) => dmuc_result::DMUC_RESULT_INVALID_VALUE,
        Error::Poisoned => dmuc_result::DMUC_RESULT_POISONED,
    }
}

/// Runs a call on an engine. A panic poisons it.
///
/// # Safety
/// The pointer is NULL or an engine of ours that nobody else uses during the call.
pub(super) unsafe fn with_engine(
    engine: *mut dmuc_engine,
    call: impl FnOnce(&mut dmuc_engine) -> Outcome<()>,
) -> dmuc_result {
    // SAFETY: passed on to the caller.
    let engine = match unsafe { exclusive(engine) } {
        Ok(engine) => engine,
        Err(result) => return result,
    };
    if engine.is_poisoned {
        return dmuc_result::DMUC_RESULT_POISONED;
    }
    match catch_unwind(AssertUnwindSafe(|| call(engine))) {
        Ok(Ok(())) => dmuc_result::DMUC_RESULT_OK,
        Ok(Err(result)) => result,
        Err(_) => {
            engine.is_poisoned = true;
            dmuc_result::DMUC_RESULT_PANIC
        }
    }
}

/// An engine without rooms. `seed` is DMUC_SEED_BYTES bytes from the operating system's random source (any other
/// `seed_length` is DMUC_RESULT_INVALID_VALUE): the same seed and the same calls give the same results, byte for
/// byte. `config` is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_new(
    config: *const dmuc_config,
    seed: *const u8,
    seed_length: usize,
    engine: *mut *mut dmuc_engine,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, seed, out) = unsafe {
            (
                reference(config)?,
                slice(seed, seed_length)?,
                Output::new(engine)?,
            )
        };
        let seed = Seed::try_from(seed).map_err(|_| dmuc_result::DMUC_RESULT_INVALID_VALUE)?;
        out.write_handle(dmuc_engine {
            engine: Engine::new(config.checked().clone(), seed),
            is_poisoned: false,
            presences: BTreeMap::new(),
            restored: VecDeque::new(),
        });
        Ok(())
    })
}

/// Takes back a room that dmuc_engine_snapshot gave, after a restart. Each entry of its stored log follows with
/// dmuc_engine_logged, then its local occupants, if there are any, then dmuc_engine_started. DMUC_RESULT_ROOM_EXISTS if it is
/// here already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_restore(
    engine: *mut dmuc_engine,
    now: dmuc_now,
    snapshot: *const c_char,
    length: usize,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let invalid = dmuc_result::DMUC_RESULT_INVALID_SNAPSHOT;
            let snapshot = Snapshot::parse(text_of_length(snapshot, length)?).map_err(|_| invalid)?;
            engine.room(snapshot.room().as_str()).map_err(|_| invalid)?;
            let restored = engine.engine.restore(now.into(), &snapshot);
            restored.map_err(|_| dmuc_result::DMUC_RESULT_ROOM_EXISTS)
        })
    }
}

/// The state of a room that has to survive a restart, when DMUC_ACTION_STORE says that it has changed: a line of XML,
/// or NULL if the room is to be forgotten. Free it with dmuc_string_free. Messages are not in it: they are in the stored log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_snapshot(
    engine: *mut dmuc_engine,
    room: *const c_char,
    snapshot: *mut *mut c_char,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let (room, out) = (to_bare(text(room)?)?, Output::new(snapshot)?);
            let snapshot = engine.engine.snapshot(&room);
            out.write(snapshot.map_or(ptr::null_mut(), |snapshot| to_c(&snapshot.to_xml())));
            Ok(())
        })
    }
}

/// The next thing to do, in order, or NULL when there is nothing. Drain after every call that takes a dmuc_now. Free
/// each with dmuc_action_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_poll_action(
    engine: *mut dmuc_engine,
    action: *mut *mut dmuc_action,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let out = Output::new(action)?;
            match engine.next_action() {
                Some(action) => out.write_handle(action),
                None => out.write(ptr::null_mut()),
            }
            Ok(())
        })
    }
}

/// When dmuc_engine_handle_timeout is due, on the monotonic clock; DMUC_NEVER if it is not. Any call that takes a dmuc_now
/// may change it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_poll_timeout(
    engine: *mut dmuc_engine,
    mono_ms: *mut u64,
) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            let out = Output::new(mono_ms)?;
            out.write(engine.engine.poll_timeout().unwrap_or(DMUC_NEVER));
            Ok(())
        })
    }
}

/// Does what is due. Too early is harmless.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_handle_timeout(engine: *mut dmuc_engine, now: dmuc_now) -> dmuc_result {
    // SAFETY: the caller keeps the conventions.
    unsafe {
        with_engine(engine, |engine| {
            engine.engine.handle_timeout(now.into());
            Ok(())
        })
    }
}

/// Frees the engine and what was not drained. Tells nobody: peers see a service that has gone silent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_engine_free(engine: *mut dmuc_engine) {
    // SAFETY: the caller keeps the conventions.
    unsafe { release(engine) }
}

/// Text as a `char *` output.
pub(super) fn to_c(text: &str) -> *mut c_char {
    c_text(text).into_raw()
}

/// Frees a text that came out as a `char *`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_string_free(string: *mut c_char) {
    guard_or((), || {
        if !string.is_null() {
            // SAFETY: it came from `to_c`, and nobody uses it any more.
            drop(unsafe { CString::from_raw(string) });
        }
        None
    });
}

/// The version of the library, as "0.1.0"; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmuc_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_panic_is_caught_and_poisons_the_engine() {
        let mut handle = dmuc_engine {
            engine: Engine::new(
                Config::new(BareJid::new("chat.shakespeare.lit").unwrap()),
                [0; 32],
            ),
            is_poisoned: false,
            presences: BTreeMap::new(),
            restored: VecDeque::new(),
        };
        let engine: *mut dmuc_engine = &mut handle;
        let now = dmuc_now {
            mono_ms: 0,
            wall_ms: 0,
        };
        // SAFETY: the engine outlives the calls.
        unsafe {
            assert_eq!(
                dmuc_engine_handle_timeout(engine, now),
                dmuc_result::DMUC_RESULT_OK
            );
            assert_eq!(
                with_engine(engine, |_| panic!("on purpose")),
                dmuc_result::DMUC_RESULT_PANIC
            );
            assert_eq!(
                dmuc_engine_handle_timeout(engine, now),
                dmuc_result::DMUC_RESULT_POISONED
            );
            let mut timeout = 7;
            assert_eq!(
                dmuc_engine_poll_timeout(engine, &mut timeout),
                dmuc_result::DMUC_RESULT_POISONED
            );
            assert_eq!(timeout, 7);
        }
    }

    #[test]
    fn a_panic_without_an_engine_is_caught() {
        assert_eq!(guard(|| panic!("on purpose")), dmuc_result::DMUC_RESULT_PANIC);
        assert_eq!(guard_or(3, || panic!("on purpose")), 3);
    }
}

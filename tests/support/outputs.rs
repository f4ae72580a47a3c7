//! What the engines of a federation put out, as hashes: to be compared with what they put out before a change that is to
//! change nothing (`make same-outputs BASE=rev`).
//!
//! With `DMUC_OUTPUTS` every federation of a test run adds a line to that file when it ends: what it was, and a hash
//! of the actions that its engines wanted, of the stanzas that its services sent, and of the snapshots they stored.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Mutex, OnceLock};

use dmuc::Action;
use dmuc::engine::Shown;
use dmuc::wire::{Hatted, Listing, Request, Ruling};
use sha2::{Digest, Sha256};

/// The kinds of output, each with a hash of its own.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Action,
    Stanza,
    Snapshot,
}

const KINDS: [&str; 3] = ["actions", "stanzas", "snapshots"];

/// What is going on in this thread.
#[derive(Default)]
struct Recording {
    /// What the test calls it; otherwise the name of the thread, which is that of the test.
    name: Option<String>,
    /// How many federations of that name have ended.
    ended: usize,
    hashes: [Sha256; KINDS.len()],
}

thread_local! {
    static RECORDING: RefCell<Recording> = RefCell::default();
}

fn file() -> Option<&'static Mutex<File>> {
    static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::var_os("DMUC_OUTPUTS")?;
        let file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        Some(Mutex::new(file))
    })
    .as_ref()
}

/// What this thread does from now on is called so.
pub fn name(name: &str) {
    RECORDING.with_borrow_mut(|recording| {
        *recording = Recording {
            name: Some(name.to_owned()),
            ..Recording::default()
        };
    });
}

/// Something was put out.
pub fn note(kind: Kind, what: impl FnOnce() -> String) {
    if file().is_none() {
        return;
    }
    RECORDING.with_borrow_mut(|recording| {
        let hash = &mut recording.hashes[kind as usize];
        hash.update(what());
        hash.update([0]);
    });
}

/// The federation has ended.
pub fn end() {
    let Some(file) = file() else { return };
    RECORDING.with_borrow_mut(|recording| {
        let thread = std::thread::current();
        let name = recording.name.as_deref().or(thread.name()).unwrap_or("?");
        let mut line = format!("{name} {}", recording.ended);
        for (kind, hash) in KINDS.iter().zip(&mut recording.hashes) {
            let digest = hash.finalize_reset();
            write!(line, " {kind}={}", hex(&digest[..8])).unwrap();
        }
        recording.ended += 1;
        writeln!(file.lock().unwrap(), "{line}").unwrap();
    });
}

/// An action in words that say what a host is told, in whatever types it is told: what the source decides by its parts, an
/// act as XML, everything else as it is.
pub fn described(action: &Action) -> String {
    match action {
        Action::Apply { room, shown } => match shown.as_ref() {
            Shown::Settings { source, form, salt } => format!("form {room} {source} {form:?} {salt:?}"),
            Shown::Listed {
                listing: Listing { jid, entry },
                actor,
                reason,
            } => {
                let (affiliation, nick) = (entry.affiliation, &entry.nick);
                format!("listed {room} {jid} {affiliation:?} {nick:?} {reason:?} {actor:?}")
            }
            Shown::Subject(None) => format!("subject {room} None {:?}", ""),
            Shown::Subject(Some(subject)) => format!("subject {room} {:?} {:?}", subject.nick, subject.text),
            Shown::Moderated(moderated) => match &moderated.moderation {
                Some(moderation) => format!("hidden {room} {moderation:?}"),
                None => format!("restored {room} {}", moderated.id),
            },
            Shown::Avatar(vcard) => format!("avatar {room} {vcard:?}"),
            Shown::Hats(Hatted { jid, hats }) => format!("hats {room} {jid} {hats:?}"),
        },
        Action::Overridden {
            room,
            actor_nick,
            actor_jid,
            ruling,
            is_registration,
        } => {
            let what = match ruling.as_ref() {
                Ruling::Listed(Listing { jid, entry }) if *is_registration => {
                    format!("registered {jid} {:?}", entry.nick)
                }
                Ruling::Listed(Listing { jid, entry }) => format!("listed {jid} {:?}", entry.affiliation),
                Ruling::Subject(None) => format!("subject {:?}", ""),
                Ruling::Subject(Some(subject)) => format!("subject {:?}", subject.text),
                Ruling::Moderated(moderated) => format!("moderated {}", moderated.id),
                Ruling::Form(form) => format!("field {:?}", form.fields[0].var),
                Ruling::Avatar(avatar) => format!("avatar {avatar:?}"),
                Ruling::Hats(hatted) => format!("hats {}", hatted.jid),
            };
            format!("overridden {room} {actor_nick:?} {actor_jid:?} {what}")
        }
        Action::SendRequest {
            from,
            to,
            id,
            request,
        } => format!("request {from} {to} {id} {}", request.to_xml()),
        Action::PerformAct {
            room,
            actor,
            act,
            to,
            from,
            id,
        } => {
            let act = Request::Act(act.as_ref().clone()).to_xml();
            format!("act {room} {actor} {to} {from} {id} {act}")
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

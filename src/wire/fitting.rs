//! What a host holds, as the wire takes it: a host checks less, or otherwise.

use super::dom::to_nick;
use super::limits::{MAX_ID_BYTES, MAX_TEXT_BYTES};
use super::text::beginning;

/// A nick in its normal form; `None` if other instances take none such.
pub fn fitting_nick(nick: &str) -> Option<String> {
    to_nick("nick", nick).ok()
}

/// A text (a reason, a subject), cut to [`MAX_TEXT_BYTES`], with U+FFFD for what XML cannot express.
pub fn fitting_text(text: &str) -> String {
    let mut text: String = text.chars().map(fitting_char).collect();
    text.truncate(beginning(&text, MAX_TEXT_BYTES).len());
    text
}

/// An id of ours (a stanza-id, an occupant-id, a salt), if other instances take it.
pub fn fitting_id(id: &str) -> Option<&str> {
    let is_fitting = (1..=MAX_ID_BYTES).contains(&id.len()) && id.chars().all(|c| fitting_char(c) == c);
    is_fitting.then_some(id)
}

/// Text, or XML that was put together without escaping this: what XML 1.0 (section 2.2) cannot express is U+FFFD.
pub fn fitting_char(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => c,
        '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
        _ => c,
    }
}

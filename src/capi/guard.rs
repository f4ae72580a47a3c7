//! The border: panics stop here, and pointers become references or a result that says what is wrong with them.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::address::{BareJid, FullJid, Jid, resourcepart};

use super::result::dmuc_result;

/// What the inside of a call returns.
pub(super) type Outcome<T> = Result<T, dmuc_result>;

/// Runs the inside of a call. No panic leaves it.
pub(super) fn guard(call: impl FnOnce() -> Outcome<()>) -> dmuc_result {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => dmuc_result::DMUC_RESULT_OK,
        Ok(Err(result)) => result,
        Err(_) => dmuc_result::DMUC_RESULT_PANIC,
    }
}

/// Runs a getter or a `_free`, which have no result to return.
pub(super) fn guard_or<T>(otherwise: T, call: impl FnOnce() -> Option<T>) -> T {
    catch_unwind(AssertUnwindSafe(call))
        .ok()
        .flatten()
        .unwrap_or(otherwise)
}

/// A handle or struct that must be there.
///
/// # Safety
/// The pointer is NULL or valid for reads for as long as `'a`, and nobody writes meanwhile.
pub(super) unsafe fn reference<'a, T>(pointer: *const T) -> Outcome<&'a T> {
    // SAFETY: passed on to the caller.
    unsafe { pointer.as_ref() }.ok_or(dmuc_result::DMUC_RESULT_NULL_PARAMETER)
}

/// A handle that is changed, or where an output goes.
///
/// # Safety
/// The pointer is NULL or valid for reads and writes for as long as `'a`, and nobody else uses it meanwhile.
pub(super) unsafe fn exclusive<'a, T>(pointer: *mut T) -> Outcome<&'a mut T> {
    // SAFETY: passed on to the caller.
    unsafe { pointer.as_mut() }.ok_or(dmuc_result::DMUC_RESULT_NULL_PARAMETER)
}

/// Where an output goes. Unlike [`exclusive`] it may hold anything before it is written.
pub(super) struct Output<T>(*mut T);

impl<T> Output<T> {
    /// # Safety
    /// The pointer is NULL or valid for writes until the call returns.
    pub(super) unsafe fn new(pointer: *mut T) -> Outcome<Output<T>> {
        if pointer.is_null() {
            return Err(dmuc_result::DMUC_RESULT_NULL_PARAMETER);
        }
        Ok(Output(pointer))
    }

    pub(super) fn write(self, value: T) {
        // SAFETY: `new` checked it for NULL, and its caller promised the rest.
        unsafe { self.0.write(value) }
    }
}

impl<T> Output<*mut T> {
    /// Hands a new handle to C; [`release`] takes it back.
    pub(super) fn write_handle(self, value: T) {
        self.write(Box::into_raw(Box::new(value)));
    }
}

/// Takes a handle back from C.
///
/// # Safety
/// The pointer is NULL or came from [`Output::write_handle`], once.
pub(super) unsafe fn release<T>(pointer: *mut T) {
    guard_or((), || {
        if !pointer.is_null() {
            // SAFETY: it is a Box of ours, and nobody uses it any more.
            drop(unsafe { Box::from_raw(pointer) });
        }
        None
    });
}

/// A text that must be there.
///
/// # Safety
/// The pointer is NULL or points to bytes that end with NUL and do not change for as long as `'a`.
pub(super) unsafe fn text<'a>(pointer: *const c_char) -> Outcome<&'a str> {
    if pointer.is_null() {
        return Err(dmuc_result::DMUC_RESULT_NULL_PARAMETER);
    }
    // SAFETY: not NULL, and the rest is passed on to the caller.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| dmuc_result::DMUC_RESULT_INVALID_UTF8)
}

/// A text that may be absent.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn optional_text<'a>(pointer: *const c_char) -> Outcome<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on to the caller.
    unsafe { text(pointer) }.map(Some)
}

/// A text of a given length.
///
/// # Safety
/// The pointer is NULL or valid for reads of `length` bytes, which do not change for as long as `'a`.
pub(super) unsafe fn text_of_length<'a>(pointer: *const c_char, length: usize) -> Outcome<&'a str> {
    // SAFETY: passed on to the caller.
    let bytes = unsafe { slice(pointer.cast::<u8>(), length) }?;
    std::str::from_utf8(bytes).map_err(|_| dmuc_result::DMUC_RESULT_INVALID_UTF8)
}

/// An array; the pointer must be there even if it is empty.
///
/// # Safety
/// The pointer is NULL or aligned and valid for reads of `length` items, which do not change for as long as `'a`.
pub(super) unsafe fn slice<'a, T>(pointer: *const T, length: usize) -> Outcome<&'a [T]> {
    if pointer.is_null() {
        return Err(dmuc_result::DMUC_RESULT_NULL_PARAMETER);
    }
    // A size that no object has is a bug of the caller, and would be undefined behaviour here.
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(dmuc_result::DMUC_RESULT_INVALID_VALUE);
    }
    // SAFETY: not NULL, not too long, and the rest is passed on to the caller.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// Text for C. A NUL, which neither XML nor an input from C can contain, ends it.
pub(super) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

const NO_JID: dmuc_result = dmuc_result::DMUC_RESULT_INVALID_JID;

pub(super) fn to_bare(text: &str) -> Outcome<BareJid> {
    BareJid::new(text).map_err(|_| NO_JID)
}

pub(super) fn to_full(text: &str) -> Outcome<FullJid> {
    FullJid::new(text).map_err(|_| NO_JID)
}

pub(super) fn to_jid(text: &str) -> Outcome<Jid> {
    Jid::new(text).map_err(|_| NO_JID)
}

/// A service: a bare JID without localpart.
pub(super) fn to_service(text: &str) -> Outcome<BareJid> {
    to_bare(text).and_then(|jid| {
        // Prosody takes a user's domain with a space in it; no service has such a name.
        if jid.node().is_none() && !jid.domain().contains(char::is_whitespace) {
            Ok(jid)
        } else {
            Err(NO_JID)
        }
    })
}

/// A nick: a resource, prepared.
pub(super) fn to_nick(text: &str) -> Outcome<String> {
    resourcepart(text).map_err(|_| NO_JID)
}

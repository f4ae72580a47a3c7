//! Result codes.

use std::ffi::{CStr, c_char};

/// The result of a call. Anything but DMUC_RESULT_OK: nothing changed and no output was written.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum dmuc_result {
    /// It was done.
    DMUC_RESULT_OK = 7000,
    /// A pointer that must not be NULL is.
    DMUC_RESULT_NULL_PARAMETER = 7001,
    /// A text is not UTF-8.
    DMUC_RESULT_INVALID_UTF8 = 7002,
    /// An address is not a JID of the kind that is wanted here (of a service, of a room of this service, with a
    /// resource), or a nick is not a resource.
    DMUC_RESULT_INVALID_JID = 7003,
    /// A payload, form or stanza is not well-formed, not what is wanted here, or larger than is taken.
    DMUC_RESULT_INVALID_XML = 7004,
    /// A number or a name (affiliation, role) is none of those that are possible here.
    DMUC_RESULT_INVALID_VALUE = 7005,
    /// An option does not exist or does not take this value: see dmuc_config_error_message.
    DMUC_RESULT_INVALID_OPTION = 7006,
    /// The room is not distributed here.
    DMUC_RESULT_UNKNOWN_ROOM = 7007,
    /// The room is here already.
    DMUC_RESULT_ROOM_EXISTS = 7008,
    /// The text is not a snapshot of this version.
    DMUC_RESULT_INVALID_SNAPSHOT = 7009,
    /// An earlier call on this engine ended with DMUC_RESULT_PANIC.
    DMUC_RESULT_POISONED = 7010,
    /// A bug of this library. The state is lost: free the engine and restore a new one from its snapshots.
    DMUC_RESULT_PANIC = 7011,
}

impl dmuc_result {
    const ALL: [dmuc_result; 12] = [
        dmuc_result::DMUC_RESULT_OK,
        dmuc_result::DMUC_RESULT_NULL_PARAMETER,
        dmuc_result::DMUC_RESULT_INVALID_UTF8,
        dmuc_result::DMUC_RESULT_INVALID_JID,
        dmuc_result::DMUC_RESULT_INVALID_XML,
        dmuc_result::DMUC_RESULT_INVALID_VALUE,
        dmuc_result::DMUC_RESULT_INVALID_OPTION,
        dmuc_result::DMUC_RESULT_UNKNOWN_ROOM,
        dmuc_result::DMUC_RESULT_ROOM_EXISTS,
        dmuc_result::DMUC_RESULT_INVALID_SNAPSHOT,
        dmuc_result::DMUC_RESULT_POISONED,
        dmuc_result::DMUC_RESULT_PANIC,
    ];

    fn text(self) -> &'static CStr {
        match self {
            dmuc_result::DMUC_RESULT_OK => c"done",
            dmuc_result::DMUC_RESULT_NULL_PARAMETER => c"a pointer is NULL",
            dmuc_result::DMUC_RESULT_INVALID_UTF8 => c"not UTF-8",
            dmuc_result::DMUC_RESULT_INVALID_JID => c"not such a JID or nick",
            dmuc_result::DMUC_RESULT_INVALID_XML => c"not such XML",
            dmuc_result::DMUC_RESULT_INVALID_VALUE => c"not a possible value",
            dmuc_result::DMUC_RESULT_INVALID_OPTION => c"not such an option, or not a value of it",
            dmuc_result::DMUC_RESULT_UNKNOWN_ROOM => c"the room is not distributed here",
            dmuc_result::DMUC_RESULT_ROOM_EXISTS => c"the room is here already",
            dmuc_result::DMUC_RESULT_INVALID_SNAPSHOT => c"not a snapshot of this version",
            dmuc_result::DMUC_RESULT_POISONED => c"the engine failed earlier and must be rebuilt",
            dmuc_result::DMUC_RESULT_PANIC => c"the engine failed and must be rebuilt",
        }
    }
}

/// A few words for a log, in English; never NULL. `result` is a dmuc_result.
#[unsafe(no_mangle)]
pub extern "C" fn dmuc_result_text(result: u32) -> *const c_char {
    dmuc_result::ALL
        .into_iter()
        .find(|known| *known as u32 == result)
        .map_or(c"unknown result", dmuc_result::text)
        .as_ptr()
}

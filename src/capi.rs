//! dmuc: distributed multi-user chat (XEP-0281) for programs in C.
//!
//! A dmuc_engine holds every distributed room of one MUC service. The host hands in what happened, and after every
//! call drains what there is to do: dmuc_engine_poll_action until it gives NULL, then one timer for
//! dmuc_engine_poll_timeout. The engine reads no clock, no file and no network, and never calls back. docs/C-API.md
//! has a walk through.
//!
//! Conventions, kept everywhere:
//!
//! - Every function that can fail returns a dmuc_result. Anything but DMUC_RESULT_OK means that nothing changed,
//!   with the one exception of DMUC_RESULT_PANIC.
//! - Arguments come in the order: self, inputs, outputs. Outputs are written only on success.
//! - Every pointer must be valid or NULL; NULL gives DMUC_RESULT_NULL_PARAMETER unless it is said to be optional.
//!   Getters that return a value take NULL too and return NULL or 0.
//! - Text is UTF-8 and ends with NUL, in both directions; an optional text that is NULL is absent. Stanzas and
//!   snapshots come in as a pointer and a length, since they come from buffers. Text that is not UTF-8 gives
//!   DMUC_RESULT_INVALID_UTF8, what is not a valid address (RFC 7622) DMUC_RESULT_INVALID_JID, and so does a nick that
//!   no room JID could have.
//! - What goes in is copied; the caller keeps what it passed. Text that comes out belongs to the handle it was asked of
//!   and lives as long as that, except for a `char *` output, which the caller frees with dmuc_string_free.
//! - What has a `_new` or comes out through a pointer to a pointer is freed with the `_free` of its type, exactly once.
//!   Every `_free` accepts NULL.
//! - No global state, no locks. A handle is used by one thread at a time; different handles are independent.
//! - Every call is guarded: a panic is a bug of this library, ends the call with DMUC_RESULT_PANIC, and poisons the engine. A
//!   poisoned engine answers DMUC_RESULT_POISONED and can only be freed; the host makes a new one and restores its
//!   snapshots.
//! - Enumerators keep their values. New ones may be added: treat unknown results as errors, and pass over unknown
//!   actions.

// The one place in the crate that needs it: pointers from C. Each block says why it is sound.
#![allow(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]
// Names as C sees them; cbindgen takes them over as they stand.
#![allow(non_camel_case_types, clippy::enum_variant_names)]
// The contract of every function is the same: the conventions above.
#![allow(clippy::missing_safety_doc)]

mod action;
mod config;
mod engine;
mod fields;
mod guard;
mod messages;
mod occupants;
mod queries;
mod requests;
mod result;
mod rooms;
mod settings;
mod stanza;
mod values;
mod verdict;

pub use action::{
    dmuc_action, dmuc_action_code, dmuc_action_free, dmuc_action_kind, dmuc_action_number,
    dmuc_action_stanza, dmuc_action_text, dmuc_action_type,
};
pub use config::{
    dmuc_config, dmuc_config_add_peer, dmuc_config_add_peer_domain, dmuc_config_error_message,
    dmuc_config_free, dmuc_config_new, dmuc_config_set_flag, dmuc_config_set_number, dmuc_config_set_text,
    dmuc_config_trust_peer,
};
pub use engine::{
    DMUC_NEVER, DMUC_SEED_BYTES, dmuc_engine, dmuc_engine_free, dmuc_engine_handle_timeout, dmuc_engine_new,
    dmuc_engine_poll_action, dmuc_engine_poll_timeout, dmuc_engine_restore, dmuc_engine_snapshot, dmuc_now,
    dmuc_string_free, dmuc_version,
};
pub use fields::dmuc_field;
pub use messages::{
    dmuc_engine_groupchat, dmuc_engine_logged, dmuc_engine_moderate, dmuc_engine_past, dmuc_engine_private,
    dmuc_engine_private_answered, dmuc_logged_message, dmuc_message, dmuc_moderation, dmuc_past_message,
};
pub use occupants::{dmuc_departure, dmuc_engine_occupant, dmuc_engine_occupant_left, dmuc_occupant};
pub use queries::{
    dmuc_engine_instance_here, dmuc_engine_is_settled, dmuc_engine_is_source_reachable,
    dmuc_engine_is_vouched_for, dmuc_engine_link_state, dmuc_link_state,
};
pub use requests::{
    dmuc_act, dmuc_act_type, dmuc_engine_act, dmuc_engine_decline, dmuc_engine_invite,
    dmuc_engine_join_request, dmuc_engine_voice_answer, dmuc_engine_voice_request,
};
pub use result::{dmuc_result, dmuc_result_text};
pub use rooms::{
    dmuc_engine_destroyed, dmuc_engine_distribute, dmuc_engine_log_read, dmuc_engine_started,
    dmuc_engine_started_reading, dmuc_engine_undistribute, dmuc_engine_unread,
};
pub use settings::{
    dmuc_affiliation, dmuc_engine_affiliation, dmuc_engine_avatar, dmuc_engine_hats, dmuc_engine_picture,
    dmuc_engine_settings, dmuc_engine_subject,
};
pub use stanza::{dmuc_engine_arriving, dmuc_engine_handle_stanza, dmuc_engine_wanted_room};
pub use verdict::{
    dmuc_verdict, dmuc_verdict_free, dmuc_verdict_kind, dmuc_verdict_number, dmuc_verdict_text,
    dmuc_verdict_type,
};

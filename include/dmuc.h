// dmuc: distributed multi-user chat (XEP-0281) for programs in C.
//
// A dmuc_engine holds every distributed room of one MUC service. The host hands in what happened, and after every
// call drains what there is to do: dmuc_engine_poll_action until it gives NULL, then one timer for
// dmuc_engine_poll_timeout. The engine reads no clock, no file and no network, and never calls back. docs/C-API.md
// has a walk through.
//
// Conventions, kept everywhere:
//
// - Every function that can fail returns a dmuc_result. Anything but DMUC_RESULT_OK means that nothing changed,
//   with the one exception of DMUC_RESULT_PANIC.
// - Arguments come in the order: self, inputs, outputs. Outputs are written only on success.
// - Every pointer must be valid or NULL; NULL gives DMUC_RESULT_NULL_PARAMETER unless it is said to be optional.
//   Getters that return a value take NULL too and return NULL or 0.
// - Text is UTF-8 and ends with NUL, in both directions; an optional text that is NULL is absent. Stanzas and
//   snapshots come in as a pointer and a length, since they come from buffers. Text that is not UTF-8 gives
//   DMUC_RESULT_INVALID_UTF8, what is not a valid address (RFC 7622) DMUC_RESULT_INVALID_JID, and so does a nick that
//   no room JID could have.
// - What goes in is copied; the caller keeps what it passed. Text that comes out belongs to the handle it was asked of
//   and lives as long as that, except for a `char *` output, which the caller frees with dmuc_string_free.
// - What has a `_new` or comes out through a pointer to a pointer is freed with the `_free` of its type, exactly once.
//   Every `_free` accepts NULL.
// - No global state, no locks. A handle is used by one thread at a time; different handles are independent.
// - Every call is guarded: a panic is a bug of this library, ends the call with DMUC_RESULT_PANIC, and poisons the engine. A
//   poisoned engine answers DMUC_RESULT_POISONED and can only be freed; the host makes a new one and restores its
//   snapshots.
// - Enumerators keep their values. New ones may be added: treat unknown results as errors, and pass over unknown
//   actions.
//
// Generated from src/capi by cbindgen; do not edit.

#ifndef DMUC_H
#define DMUC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What dmuc_engine_poll_timeout gives when no timeout is due ever.
#define DMUC_NEVER UINT64_MAX

// How many bytes dmuc_engine_new wants of randomness.
#define DMUC_SEED_BYTES 32

// The result of a call. Anything but DMUC_RESULT_OK: nothing changed and no output was written.
typedef enum {
  // It was done.
  DMUC_RESULT_OK = 7000,
  // A pointer that must not be NULL is.
  DMUC_RESULT_NULL_PARAMETER = 7001,
  // A text is not UTF-8.
  DMUC_RESULT_INVALID_UTF8 = 7002,
  // An address is not a JID of the kind that is wanted here (of a service, of a room of this service, with a
  // resource), or a nick is not a resource.
  DMUC_RESULT_INVALID_JID = 7003,
  // A payload, form or stanza is not well-formed, not what is wanted here, or larger than is taken.
  DMUC_RESULT_INVALID_XML = 7004,
  // A number or a name (affiliation, role) is none of those that are possible here.
  DMUC_RESULT_INVALID_VALUE = 7005,
  // An option does not exist or does not take this value: see dmuc_config_error_message.
  DMUC_RESULT_INVALID_OPTION = 7006,
  // The room is not distributed here.
  DMUC_RESULT_UNKNOWN_ROOM = 7007,
  // The room is here already.
  DMUC_RESULT_ROOM_EXISTS = 7008,
  // The text is not a snapshot of this version.
  DMUC_RESULT_INVALID_SNAPSHOT = 7009,
  // An earlier call on this engine ended with DMUC_RESULT_PANIC.
  DMUC_RESULT_POISONED = 7010,
  // A bug of this library. The state is lost: free the engine and restore a new one from its snapshots.
  DMUC_RESULT_PANIC = 7011,
} dmuc_result;

// Whether a peer service can be reached.
typedef enum {
  // It has not answered anything yet, or is no peer.
  DMUC_LINK_UNKNOWN = 0,
  // It answers, and both sides agree.
  DMUC_LINK_UP = 1,
  // Something bounced: it is asked at once.
  DMUC_LINK_SUSPECT = 2,
  // It does not answer, and is probed with growing delay.
  DMUC_LINK_DOWN = 3,
  // It answers again: both sides find out what they have missed.
  DMUC_LINK_SYNCING = 4,
} dmuc_link_state;

// What the engine says at once.
typedef enum {
  // There is no verdict: NULL was asked.
  DMUC_VERDICT_NONE = 0,
  // Not the engine's: the host goes on as XEP-0045 says.
  DMUC_VERDICT_CONTINUE = 1,
  // Taken: the host only drains.
  DMUC_VERDICT_DONE = 2,
  // A local message was taken. STANZA_ID and KEPT: if kept, the host stamps it with that id and appends it to its stored
  // log, with ORIGIN, INCARNATION, SEQ and AT, before it shows it and before it drains.
  DMUC_VERDICT_ACCEPTED = 3,
  // A peer's message is to be shown to local occupants, once: ROOM, NICK, MESSAGE_ID, LANG, PAYLOAD, OCCUPANT_ID (may
  // be absent) and KEPT. If kept, it is stamped with STANZA_ID and first appended to the stored log, with ORIGIN, INCARNATION,
  // SEQ and AT.
  DMUC_VERDICT_DELIVER = 4,
  // The user is sent to the room TO, in the words ERROR_TEXT, and, if INVITE is 1, invited there (XEP-0249).
  DMUC_VERDICT_REDIRECT = 5,
  // It was refused and changed nothing: ERROR_TYPE, ERROR_CONDITION, ERROR_TEXT (may be absent), and, to a peer's
  // stanza that is answered, as REPLY the stanza to answer with. To a local user the host says it.
  DMUC_VERDICT_REFUSED = 6,
  // The source decides this and is out of reach: the host does it as it would at the source, and hands it in, with who did
  // it. It holds here until the source decides.
  DMUC_VERDICT_HOLD = 7,
} dmuc_verdict_type;

// What the host has to do. The parts of each are listed with it, by their names in dmuc_field.
typedef enum {
  // There is nothing to do: NULL was asked.
  DMUC_ACTION_NONE = 0,
  // Send dmuc_action_stanza. FROM, TO (a service, a room, or an occupant of one).
  DMUC_ACTION_SEND = 1,
  // Make the shadow's room if it does not exist, and give it this configuration. ROOM, SOURCE, FORM, SALT (absent if the
  // peer does not share it).
  DMUC_ACTION_APPLY_SETTINGS = 2,
  // Show the subject. ROOM, NICK (absent for the room itself), SUBJECT. A source may hand it in again with dmuc_engine_subject:
  // unchanged is recognised.
  DMUC_ACTION_APPLY_SUBJECT = 3,
  // Set an affiliation that the source decided. ROOM, JID, AFFILIATION; RESERVED_NICK, REASON, ACTOR may be absent.
  DMUC_ACTION_APPLY_AFFILIATION = 4,
  // Put an occupant of a peer instance into the room, or change it. ROOM, HOME, NICK, AFFILIATION, ROLE, PAYLOAD; JID
  // and OCCUPANT_ID may be absent.
  DMUC_ACTION_SHOW_OCCUPANT = 5,
  // Take an occupant of a peer instance out of the room. ROOM, HOME, NICK, dmuc_action_code; NEW_NICK (with
  // code 303), ACTOR, REASON may be absent.
  DMUC_ACTION_HIDE_OCCUPANT = 6,
  // Give a local occupant another nick: it lost a clash (codes 303 and 210). ROOM, NICK, NEW_NICK.
  DMUC_ACTION_RENAME = 7,
  // A message that was missed, or is older than this instance: into the stored log, then into the archive, and, if
  // DELIVER, to the occupants with a delay. ROOM, NICK, STANZA_ID, ORIGIN, INCARNATION, SEQ, AT, TIME_MS, PAYLOAD, DELIVER;
  // MESSAGE_ID, LANG and OCCUPANT_ID may be absent. If PAYLOAD is empty it was moderated: a tombstone, shown to nobody. Without
  // NICK it is the room's own word that the message MODERATED is taken away (XEP-0425), by ACTOR, for REASON, both optional:
  // that becomes a tombstone in the stored log and in the archive, and the occupants are told.
  DMUC_ACTION_ADD_MESSAGE = 8,
  // Do what a peer's occupant asks, with the rights of ACTOR, and answer the IQ: from FROM, to TO, with the id
  // IQ_ID. ROOM, ACTOR (the JID in whose name: in the room, or real), ACT, and, depending on that, NICK and ROLE; JID,
  // AFFILIATION and RESERVED_NICK; FORM; RESERVED_NICK, which may be absent; VENUE and PASSWORD; MODERATED; JID (an
  // invitation). REASON may be absent. With VOICE a role is the answer to a voice request: "visitor" refuses it, which is
  // told with dmuc_engine_voice_answer. With INVITED an affiliation is what goes with an invitation: who may invite makes
  // a member in a members-only room.
  DMUC_ACTION_PERFORM_ACT = 9,
  // The outcome of dmuc_engine_act. ROOM, TOKEN; with an ERROR_TYPE, ERROR_CONDITION and ERROR_TEXT if it failed.
  DMUC_ACTION_ACT_ANSWERED = 10,
  // The source was destroyed: destroy this shadow. Its remote occupants go with it, without a
  // DMUC_ACTION_HIDE_OCCUPANT each. ROOM; REASON, VENUE, PASSWORD may be absent.
  DMUC_ACTION_DESTROY = 11,
  // The source is an ordinary room again: tell the people here and invite them to it; the room stays as history that is
  // closed to new messages. ROOM, SOURCE; REASON may be absent.
  DMUC_ACTION_CLOSE = 12,
  // Something an owner or administrator should know. ROOM, PEER, NOTICE; SHADOW (replicated); ERROR_TYPE,
  // ERROR_CONDITION, ERROR_TEXT (refused); CAUSE (unreachable, split_began); OCCUPANTS (split_began: the link to a
  // service that holds an instance is down),
  // DELIVER (split_began, and split_ended, when both sides agree again: whether the people in the room are told, in a line
  // that goes into no history); MESSAGES (gap: messages of the peer's are lost here, nobody has kept them).
  DMUC_ACTION_NOTICE = 13,
  // Store what dmuc_engine_snapshot gives for ROOM.
  DMUC_ACTION_STORE = 14,
  // What was sent under the TOKEN of a dmuc_engine_private has reached its home: what is kept of it can go.
  DMUC_ACTION_PRIVATE_DONE = 15,
  // It did not, as far as can be known: its sender gets this error. TOKEN, ERROR_TYPE, ERROR_CONDITION; ERROR_TEXT may be
  // absent.
  DMUC_ACTION_PRIVATE_FAILED = 16,
  // What somebody changed here while the source was out of reach does not hold: the source decided otherwise. The
  // source's value has been applied already by the actions before; tell who made the change. ROOM, CHANGE, and, depending
  // on that, JID and AFFILIATION, JID and RESERVED_NICK (absent if a registration was taken back), SUBJECT, VARIABLE, or
  // MODERATED: what it was changed to. ACTOR and ACTOR_JID may be absent.
  DMUC_ACTION_OVERRIDDEN = 17,
  // Nothing has been answered over the connection to the service PEER for too long: give it up, so that the next stanza
  // opens a new one. TCP alone would take a quarter of an hour.
  DMUC_ACTION_RESET_LINK = 18,
  // The stored log of ROOM has grown well beyond what is kept: drop the entries that were appended first until KEEP are
  // left.
  DMUC_ACTION_TRIM_LOG = 19,
  // Somebody here took the message MODERATED away while the source is out of reach: the occupants are told, and it is a
  // tombstone in the archive. The stored log still has it. ROOM, MODERATED; ACTOR and REASON may be absent.
  DMUC_ACTION_HIDE_MESSAGE = 20,
  // The source did not take the message STANZA_ID away, which was hidden here: it is back in the archive. ROOM, STANZA_ID.
  DMUC_ACTION_RESTORE_MESSAGE = 21,
  // An occupant of another instance asks for voice: show it to the moderators here (XEP-0045 section 8.6). ROOM, NICK;
  // JID is absent if this instance may not know it.
  DMUC_ACTION_SHOW_VOICE_REQUEST = 22,
  // Send the invitation of the dmuc_engine_invite with this TOKEN from this instance. ROOM.
  DMUC_ACTION_SEND_INVITATION = 23,
  // Tell who invited, the real JID TO, that the user JID declined. ROOM; REASON may be absent.
  DMUC_ACTION_DELIVER_DECLINE = 24,
  // Give the user JID these HATS (XEP-0317), and no others: the source decided. ROOM, JID, HATS.
  DMUC_ACTION_APPLY_HATS = 25,
  // The shadow ROOM is parked: its remote occupants are gone already, the people here are told why and cannot speak. What is
  // stored of it stays, and so does its stored log. PEER, the service of its source; PARKED; DELIVER: whether there may be people in it, nobody is after a restart;
  // SOURCE may be absent.
  DMUC_ACTION_PARK = 26,
  // The parked shadow ROOM goes on: dmuc_engine_logged for each entry of its stored log, its occupants here, and
  // dmuc_engine_started follow, as after dmuc_engine_restore.
  DMUC_ACTION_UNPARK = 27,
  // The service PEER sends more than one peer may: read nothing of what comes from there for PAUSE_MS, the newest of these
  // from when it is given. What is sent there goes out as always, and nothing that has come is dropped.
  DMUC_ACTION_SLOW_DOWN = 28,
  // Somebody waits for what is in the stored log of ROOM, after dmuc_engine_started_reading: it is to be read before others
  // are.
  DMUC_ACTION_READ_LOG = 29,
  // The vCard of ROOM is VCARD now, or none if it is absent: keep it, and tell the people in the room (XEP-0486, status 104).
  DMUC_ACTION_APPLY_AVATAR = 30,
  // The vCard of ROOM is needed: hand it over with dmuc_engine_picture, whether there is one or not.
  DMUC_ACTION_READ_AVATAR = 31,
  // These messages of ROOM are needed, and not in memory: dmuc_engine_logged for each, and dmuc_engine_messages_read with TOKEN
  // follow. STANZA_IDS. Given only of messages for which dmuc_engine_message_stored was called.
  DMUC_ACTION_READ_MESSAGES = 32,
  // The source of ROOM is SOURCE from now on; ROOM itself, if this instance is the source now. It is named where the one
  // before was, and the people in the room are told once.
  DMUC_ACTION_SOURCE_MOVED = 33,
  // ROOM is here for whoever asks for it by one of ADDRESSES, of other instances that hold it by their own word. Given when
  // they change: all of them each time, none when the room is not shared any more.
  DMUC_ACTION_SERVED = 34,
} dmuc_action_type;

// The parts of actions and verdicts. Those marked as numbers are for dmuc_action_number and dmuc_verdict_number, all
// others for dmuc_action_text and dmuc_verdict_text. Which action and which verdict has which is said there.
typedef enum {
  // The sender of a stanza, or of the answer to give.
  DMUC_FIELD_FROM = 1,
  // The addressee.
  DMUC_FIELD_TO = 2,
  // Our room.
  DMUC_FIELD_ROOM = 3,
  // The source of the room.
  DMUC_FIELD_SOURCE = 4,
  // The peer instance that an occupant joined.
  DMUC_FIELD_HOME = 5,
  // A peer service.
  DMUC_FIELD_PEER = 6,
  // A shadow: of this room, at a peer.
  DMUC_FIELD_SHADOW = 7,
  // The id of an IQ.
  DMUC_FIELD_IQ_ID = 8,
  // Whose it is, or who did it; absent for the room itself.
  DMUC_FIELD_NICK = 9,
  // The nick that takes its place.
  DMUC_FIELD_NEW_NICK = 10,
  // The nick that is registered with an affiliation.
  DMUC_FIELD_RESERVED_NICK = 11,
  // A real JID.
  DMUC_FIELD_JID = 12,
  // "owner", "admin", "member", "none" or "outcast".
  DMUC_FIELD_AFFILIATION = 13,
  // "moderator", "participant", "visitor" or "none".
  DMUC_FIELD_ROLE = 14,
  // The occupant-id (XEP-0421).
  DMUC_FIELD_OCCUPANT_ID = 15,
  // The stanza-id (XEP-0359), the same at every instance.
  DMUC_FIELD_STANZA_ID = 16,
  // The `id` attribute of a message.
  DMUC_FIELD_MESSAGE_ID = 17,
  // The children of a message or presence, as XML.
  DMUC_FIELD_PAYLOAD = 18,
  // A number: when it was sent, Unix time in milliseconds.
  DMUC_FIELD_TIME_MS = 19,
  // A number: 1 if occupants have yet to see the message, or are told of the split, or that the room is parked.
  DMUC_FIELD_DELIVER = 20,
  // A number: 1 if the message is to be appended to the stored log before it is shown.
  DMUC_FIELD_KEPT = 21,
  // A subject; empty if there is none.
  DMUC_FIELD_SUBJECT = 22,
  // The configuration, a data form (XEP-0004) with muc#roomconfig fields.
  DMUC_FIELD_FORM = 23,
  // The salt of the room's occupant-ids.
  DMUC_FIELD_SALT = 24,
  // Who did it: a nick; in DMUC_ACTION_PERFORM_ACT the JID in whose name it is done.
  DMUC_FIELD_ACTOR = 25,
  // Why.
  DMUC_FIELD_REASON = 26,
  // The room to go to instead.
  DMUC_FIELD_VENUE = 27,
  // The password there.
  DMUC_FIELD_PASSWORD = 28,
  // What happened: "replicated", "unsupported", "refused", "unreachable", "split_began", "split_ended", "gap",
  // "set_aside" (the message with that STANZA_ID does not get through),
  // "too_many_peerhosts", "clock_ahead" and "clock_behind" (the peer's clock differs from ours by DIFFERENCE_MS), "takes_less" (the
  // peer takes smaller messages than we do), "not_named" (the peer is not in `dmuc_peers` any more, and its instance is left out until it is), or
  // "unfit": something was cut or left out, DMUC_FIELD_REASON says what.
  DMUC_FIELD_NOTICE = 29,
  // A number: what is to be done, a dmuc_act_type.
  DMUC_FIELD_ACT = 30,
  // A number: the token that the host gave.
  DMUC_FIELD_TOKEN = 31,
  // The type of an error (RFC 6120 section 8.3.2), as "cancel".
  DMUC_FIELD_ERROR_TYPE = 32,
  // Its condition (RFC 6120 section 8.3.3), as "forbidden".
  DMUC_FIELD_ERROR_CONDITION = 33,
  // Its words for a human.
  DMUC_FIELD_ERROR_TEXT = 34,
  // A complete stanza to send back.
  DMUC_FIELD_REPLY = 35,
  // The instance whose occupant sent a message: with INCARNATION and SEQ it names the message everywhere.
  DMUC_FIELD_ORIGIN = 36,
  // A number: the life of the origin in which it sent the message; 0 if the origin does not number its messages.
  DMUC_FIELD_INCARNATION = 37,
  // A number: the message's own, from 1 in each life of its origin.
  DMUC_FIELD_SEQ = 38,
  // When it was sent, for the order of the messages, the same at every instance: `<ms>.<counter>`, both decimal. The
  // order is by (ms, counter, ORIGIN, INCARNATION, SEQ).
  DMUC_FIELD_AT = 39,
  // A number: how many entries stay.
  DMUC_FIELD_KEEP = 40,
  // A number: how many occupants cannot be reached.
  DMUC_FIELD_OCCUPANTS = 41,
  // A number: how many messages are lost.
  DMUC_FIELD_MESSAGES = 42,
  // The real JID of who did it.
  DMUC_FIELD_ACTOR_JID = 43,
  // What was changed: "affiliation", "registration", "subject", "field", "avatar" or "moderation".
  DMUC_FIELD_CHANGE = 44,
  // The variable of a field of the configuration, as "muc#roomconfig_roomname".
  DMUC_FIELD_VARIABLE = 45,
  // The stanza-id of the message that is taken away.
  DMUC_FIELD_MODERATED = 46,
  // A number: 1 if a role is the answer to a voice request.
  DMUC_FIELD_VOICE = 47,
  // A number: 1 if an affiliation comes of an invitation.
  DMUC_FIELD_INVITED = 48,
  // The hats of a user, an element `<hats xmlns='urn:xmpp:hats:0'/>` (XEP-0317); empty for none.
  DMUC_FIELD_HATS = 49,
  // The `xml:lang` of a message.
  DMUC_FIELD_LANG = 50,
  // Why a room is parked: "source_not_named" (PEER is not in the peers of this engine) or "not_shared" (PEER does not name
  // this service).
  DMUC_FIELD_PARKED = 51,
  // Why a peer is out of reach, as far as that is known: "silent", "unreachable", "dns", "connection-refused",
  // "certificate", "no-module" or "not-peered".
  DMUC_FIELD_CAUSE = 52,
  // A number: by how much two clocks differ, in milliseconds.
  DMUC_FIELD_DIFFERENCE_MS = 53,
  // A number: the largest payload of a message that the peer takes, in bytes.
  DMUC_FIELD_TAKES = 54,
  // A number: the same of this engine (dmuc_max_stanza_size).
  DMUC_FIELD_TAKES_HERE = 55,
  // A number: for how long nothing is read, in milliseconds.
  DMUC_FIELD_PAUSE_MS = 56,
  // The vCard of a room, an element `<vCard xmlns='vcard-temp'/>` (XEP-0054).
  DMUC_FIELD_VCARD = 57,
  // Stanza-ids, one a line, in the order of the log: 500 at most.
  DMUC_FIELD_STANZA_IDS = 58,
  // Room JIDs, one a line; empty if there are none.
  DMUC_FIELD_ADDRESSES = 59,
  // A number: whether an invitation is sent.
  DMUC_FIELD_INVITE = 60,
} dmuc_field;

// What somebody wants done at another instance.
typedef enum {
  // Change the role of a remote occupant: `nick`, `role` ("none" is a kick).
  DMUC_ACT_ROLE = 1,
  // Change an affiliation: `jid`, `affiliation`, `nick` (to register with it; optional).
  DMUC_ACT_AFFILIATION = 2,
  // Change the configuration: `form`.
  DMUC_ACT_SETTINGS = 3,
  // Destroy the room: `venue` and `password` (optional).
  DMUC_ACT_DESTROY = 4,
  // Change the subject. Never asked of a host, and not for dmuc_engine_act: that is what dmuc_engine_subject does.
  DMUC_ACT_SUBJECT = 5,
  // Take a message away (XEP-0425): `message`.
  DMUC_ACT_MODERATE = 6,
  // Register `nick` for the user, who need not be in the room, or take its registration back (no `nick`).
  DMUC_ACT_REGISTER = 7,
  // Invite a user of this server. Not for dmuc_engine_act: that is what dmuc_engine_invite does.
  DMUC_ACT_INVITE = 8,
  // Set the vCard of the room, which shows its avatar: `vcard` (absent or empty to remove it). Only owners may. Hand it in with
  // dmuc_engine_picture before: the source asks for it. Never asked of a host.
  DMUC_ACT_AVATAR = 9,
} dmuc_act_type;

// What an administrator orders (dmuc_engine_order).
typedef enum {
  // What is shared is compared, and what is missing pulled, now instead of when its time comes: of `room` with every other
  // instance, or of all rooms with `service`. The other of the two is NULL.
  DMUC_ORDER_SYNC = 0,
  // The source `room` brings up an instance at the peer `service`, or tries again; also where it was retracted before.
  DMUC_ORDER_REPLICATE = 1,
  // The source `room` takes `service` out of the room: the instance there is closed, and none is made there until it is
  // replicated.
  DMUC_ORDER_RETRACT = 2,
  // `service`, which is no peer any more, is gone for good: what waits for it is given up. `room` is NULL.
  DMUC_ORDER_FORGET = 3,
  // The instance `room` asks for votes and becomes the source, since that is gone. `service` is NULL, as in the next two.
  DMUC_ORDER_TAKE_OVER = 4,
  // The same without votes, where there can be no majority: what others have decided and is not known here may be lost.
  DMUC_ORDER_FORCE = 5,
  // The same, and nobody else votes from then on.
  DMUC_ORDER_FORCE_ALONE = 6,
  // The source `room` hands over to the instance at `service`, if that votes.
  DMUC_ORDER_HAND_OVER = 7,
  // The instance `room` follows the one at `service`, which says that it is the source.
  DMUC_ORDER_FOLLOW = 8,
} dmuc_order;

// An action and its parts. Opaque.
typedef struct dmuc_action dmuc_action;

// The options of one MUC service. Opaque; always valid, as every change is checked when it is made.
typedef struct dmuc_config dmuc_config;

// Every distributed room of one MUC service. Opaque.
typedef struct dmuc_engine dmuc_engine;

// A verdict and its parts. Opaque.
typedef struct dmuc_verdict dmuc_verdict;

// The time of a call.
typedef struct {
  // Milliseconds on a clock that never goes back while the engine lives (CLOCK_MONOTONIC). Drives timers.
  uint64_t mono_ms;
  // Milliseconds since 1970-01-01T00:00:00Z. Orders and stamps messages; may jump.
  uint64_t wall_ms;
} dmuc_now;

// A local occupant as it is now.
typedef struct {
  // Its nick.
  const char *nick;
  // The real JID of its primary session.
  const char *jid;
  // "owner", "admin", "member" or "none".
  const char *affiliation;
  // "moderator", "participant" or "visitor".
  const char *role;
  // Its occupant-id (XEP-0421). Optional.
  const char *occupant_id;
  // The children of its presence as XML. Optional. If they are too large, the peers get the presence without them.
  const char *payload;
} dmuc_occupant;

// How a local occupant ceased to be one.
typedef struct {
  // Its nick.
  const char *nick;
  // Status codes (XEP-0045 section 15.6), as 307 for a kick. Optional.
  const uint16_t *codes;
  // How many.
  size_t code_count;
  // The nick it takes, with 303. Optional.
  const char *new_nick;
  // The affiliation it leaves with. Optional: the one it had.
  const char *affiliation;
  // The nick of who removed it. Optional.
  const char *actor;
  // Why. Optional.
  const char *reason;
  // The children of its last presence as XML. Optional.
  const char *payload;
} dmuc_departure;

// An entry of the list of affiliations.
typedef struct {
  // Whose: a bare JID or a domain.
  const char *jid;
  // "owner", "admin", "member", "none" or "outcast".
  const char *affiliation;
  // The nick that is registered with it. Optional.
  const char *reserved_nick;
  // Why. Optional.
  const char *reason;
  // The nick of who did it. Optional.
  const char *actor;
  // The real JID of who did it, a bare JID. Optional; a shadow needs it.
  const char *actor_jid;
  // Whether a shadow that cannot reach its source made somebody a member because that one was invited.
  bool is_invited;
} dmuc_affiliation;

// What a local user wants done at another instance, which decides. The texts that `act` does not need are not looked at.
typedef struct {
  // What: a dmuc_act_type.
  uint32_t act;
  // The nick of the user, if it is in the room. Optional.
  const char *actor_nick;
  // Its real JID, if the peer may know it. Optional.
  const char *actor_jid;
  // Why. Optional.
  const char *reason;
  // A nick.
  const char *nick;
  // A role.
  const char *role;
  // A bare JID or a domain.
  const char *jid;
  // An affiliation.
  const char *affiliation;
  // A data form with the fields to change.
  const char *form;
  // The room to go to instead.
  const char *venue;
  // The password there.
  const char *password;
  // The stanza-id of a message.
  const char *message;
  // A vCard, an element `<vCard xmlns='vcard-temp'/>`.
  const char *vcard;
} dmuc_act;

// A message from before the room was distributed.
typedef struct {
  // Who sent it.
  const char *nick;
  // The `id` attribute. Optional.
  const char *id;
  // The stanza-id it has here. Optional.
  const char *stanza_id;
  // The occupant-id of its sender. Optional.
  const char *occupant_id;
  // When, Unix time in milliseconds.
  uint64_t time_ms;
  // The children of the message as XML.
  const char *payload;
  // The `xml:lang` attribute. Optional.
  const char *lang;
} dmuc_past_message;

// An entry of the host's stored log, as a verdict or an action gave it.
typedef struct {
  // Who sent it. Absent for the room itself, which says that a message is moderated.
  const char *nick;
  // The `id` attribute. Optional.
  const char *id;
  // DMUC_FIELD_STANZA_ID.
  const char *stanza_id;
  // The occupant-id of its sender. Optional.
  const char *occupant_id;
  // DMUC_FIELD_ORIGIN. Optional: this instance.
  const char *origin;
  // DMUC_FIELD_INCARNATION.
  uint64_t incarnation;
  // DMUC_FIELD_SEQ.
  uint64_t seq;
  // DMUC_FIELD_AT.
  const char *at;
  // The children of the message as XML; of the room itself DMUC_FIELD_PAYLOAD as it was; empty for a tombstone.
  const char *payload;
  // The `xml:lang` attribute. Optional.
  const char *lang;
} dmuc_logged_message;

// A message that a local occupant sends to the room.
typedef struct {
  // Who.
  const char *nick;
  // The `id` attribute. Optional.
  const char *id;
  // The children of the message as XML.
  const char *payload;
  // Whether it belongs into the history. What does not, as chat states, is sent once and forgotten.
  bool keep;
  // The `xml:lang` attribute. Optional.
  const char *lang;
} dmuc_message;

// A message that is taken away (XEP-0425).
typedef struct {
  // Its stanza-id.
  const char *message;
  // The nick of who did it. Optional.
  const char *actor_nick;
  // The real JID of who did it, a bare JID. Optional; a shadow needs it.
  const char *actor_jid;
  // The occupant-id of who did it. Optional.
  const char *occupant_id;
  // Why. Optional.
  const char *reason;
} dmuc_moderation;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A few words for a log, in English; never NULL. `result` is a dmuc_result.
const char *dmuc_result_text(uint32_t result);

// The default options of the MUC service `service`: it has no peers.
dmuc_result dmuc_config_new(const char *service, dmuc_config **config);

// Adds a service to peer with. It is authoritative for its parent domain, if that is not one of our own users (the parent
// domain of our service, and `dmuc_own_domains`), and not trusted. Adding it again changes
// nothing.
dmuc_result dmuc_config_add_peer(dmuc_config *config,
                                 const char *peer);

// Makes a peer, added before, authoritative for a domain; the first one takes the place of its parent domain.
dmuc_result dmuc_config_add_peer_domain(dmuc_config *config, const char *peer, const char *domain);

// Trusts a peer, added before: what it relays for third instances, and the real JIDs it names, whatever their domain.
dmuc_result dmuc_config_trust_peer(dmuc_config *config,
                                   const char *peer);

// Sets an option that takes a text, as "dmuc_redirect" to "off". The options have the names and the meanings that they
// have in Prosody's configuration.
dmuc_result dmuc_config_set_text(dmuc_config *config,
                                 const char *option,
                                 const char *value);

// Sets an option that takes a number, as "dmuc_occupant_timeout". Times are in seconds.
dmuc_result dmuc_config_set_number(dmuc_config *config, const char *option, uint64_t value);

// Sets an option that takes true or false, as "dmuc_split_notice".
dmuc_result dmuc_config_set_flag(dmuc_config *config, const char *option, bool value);

// One line for the administrator: which option the last call refused, which value, and what is accepted. NULL if
// it refused none. Lives until the next call on `config`.
const char *dmuc_config_error_message(const dmuc_config *config);

// Frees the options. Engines made from them keep their copy.
void dmuc_config_free(dmuc_config *config);

// An engine without rooms. `seed` is DMUC_SEED_BYTES bytes from the operating system's random source (any other
// `seed_length` is DMUC_RESULT_INVALID_VALUE): the same seed and the same calls give the same results, byte for
// byte. `config` is copied.
dmuc_result dmuc_engine_new(const dmuc_config *config,
                            const uint8_t *seed,
                            size_t seed_length,
                            dmuc_engine **engine);

// Takes back a room that dmuc_engine_snapshot gave, after a restart. Each entry of its stored log follows with
// dmuc_engine_logged, then its local occupants, if there are any, then dmuc_engine_started. DMUC_RESULT_ROOM_EXISTS if it is
// here already.
dmuc_result dmuc_engine_restore(dmuc_engine *engine,
                                dmuc_now now,
                                const char *snapshot,
                                size_t length);

// The state of a room that has to survive a restart, when DMUC_ACTION_STORE says that it has changed: a line of XML,
// or NULL if the room is to be forgotten. Free it with dmuc_string_free. Messages are not in it: they are in the stored log.
dmuc_result dmuc_engine_snapshot(dmuc_engine *engine,
                                 const char *room,
                                 char **snapshot);

// The next thing to do, in order, or NULL when there is nothing. Drain after every call that takes a dmuc_now. Free
// each with dmuc_action_free.
dmuc_result dmuc_engine_poll_action(dmuc_engine *engine,
                                    dmuc_action **action);

// When dmuc_engine_handle_timeout is due, on the monotonic clock; DMUC_NEVER if it is not. Any call that takes a dmuc_now
// may change it.
dmuc_result dmuc_engine_poll_timeout(dmuc_engine *engine,
                                     uint64_t *mono_ms);

// Does what is due. Too early is harmless.
dmuc_result dmuc_engine_handle_timeout(dmuc_engine *engine, dmuc_now now);

// Frees the engine and what was not drained. Tells nobody: peers see a service that has gone silent.
void dmuc_engine_free(dmuc_engine *engine);

// Frees a text that came out as a `char *`.
void dmuc_string_free(char *string);

// The version of the library, as "0.1.0"; never NULL.
const char *dmuc_version(void);

// The room was made distributed, and becomes the source. `form` is its configuration, a data form (XEP-0004) with
// muc#roomconfig fields; `salt` the secret that its occupant-ids are made with; `subject_nick` and `subject` are
// optional, together. Its affiliations, occupants and past messages follow, then dmuc_engine_started. A room that is
// distributed already stays as it is.
dmuc_result dmuc_engine_distribute(dmuc_engine *engine,
                                   dmuc_now now,
                                   const char *room,
                                   const char *form,
                                   const char *salt,
                                   const char *subject_nick,
                                   const char *subject);

// The state of a room that was just made distributed, or taken back with dmuc_engine_restore, is complete: peers are
// contacted from now on.
dmuc_result dmuc_engine_started(dmuc_engine *engine,
                                dmuc_now now,
                                const char *room);

// The same after dmuc_engine_restore, when not all of the stored log has been handed in: what was appended since the snapshot
// was stored has been, the rest follows in any order, and dmuc_engine_log_read. Until then peers that ask for what is in the
// log are told to wait, and so is whoever wants a message moderated.
dmuc_result dmuc_engine_started_reading(dmuc_engine *engine,
                                        dmuc_now now,
                                        const char *room);

// The last entry of the stored log has been handed in, after dmuc_engine_started_reading. As long as it has not, that is to be
// done before a message of a peer comes in that nobody has numbered: it may be one that is stored.
dmuc_result dmuc_engine_log_read(dmuc_engine *engine,
                                 dmuc_now now,
                                 const char *room);

// The host cannot read what it has stored of `room`, or, without one, which rooms there are; or it has read it by now, if
// `is_unread` is false. Until then peers that ask for such a room are told to wait, and nobody is told that a room is gone.
// dmuc_engine_restore reads a room as well.
dmuc_result dmuc_engine_unread(dmuc_engine *engine,
                               dmuc_now now,
                               const char *room,
                               bool is_unread);

// The source was made an ordinary room again. `reason` is for the people in the shadows; optional.
dmuc_result dmuc_engine_undistribute(dmuc_engine *engine, dmuc_now now, const char *room, const char *reason);

// An administrator gives up what is parked of the room: a shadow is closed (DMUC_ACTION_CLOSE) and its source told that it
// has left; a source forgets its instances at services that are no peers. Nothing happens if nothing is parked.
dmuc_result dmuc_engine_let_go(dmuc_engine *engine,
                               dmuc_now now,
                               const char *room);

// An administrator orders something; see dmuc_order for which of `room` and `service` it takes. DMUC_VERDICT_DONE, or
// DMUC_VERDICT_REFUSED with the words for the administrator: it is not for this room (a shadow) or not for this service (a peer,
// or none). DMUC_RESULT_UNKNOWN_ROOM for an ordinary room, DMUC_RESULT_INVALID_VALUE for no such order.
dmuc_result dmuc_engine_order(dmuc_engine *engine,
                              dmuc_now now,
                              uint32_t order,
                              const char *room,
                              const char *service,
                              dmuc_verdict **verdict);

// The room was destroyed here (XEP-0045 section 10.9). `reason`, `venue` and `password` are optional.
dmuc_result dmuc_engine_destroyed(dmuc_engine *engine,
                                  dmuc_now now,
                                  const char *room,
                                  const char *reason,
                                  const char *venue,
                                  const char *password);

// A local occupant joined or changed: presence, role, affiliation. The host has shown it already.
dmuc_result dmuc_engine_occupant(dmuc_engine *engine,
                                 dmuc_now now,
                                 const char *room,
                                 const dmuc_occupant *occupant);

// A local occupant left, was removed, or changed its nick (then the new one follows with dmuc_engine_occupant).
dmuc_result dmuc_engine_occupant_left(dmuc_engine *engine,
                                      dmuc_now now,
                                      const char *room,
                                      const dmuc_departure *departure);

// The subject was changed: at the source by anybody entitled; at a shadow it is only wished for, and shown when the source
// has decided. While that cannot be reached the change holds here, until it can. `nick` is optional: the room itself;
// `actor_jid`, the real bare JID of who did it, is optional; a shadow needs it. An empty `subject` removes it.
dmuc_result dmuc_engine_subject(dmuc_engine *engine,
                                dmuc_now now,
                                const char *room,
                                const char *nick,
                                const char *actor_jid,
                                const char *subject);

// The room's configuration as it is now, all muc#roomconfig fields. Unchanged is recognised. A shadow asks the source with
// DMUC_ACT_SETTINGS, and only after DMUC_VERDICT_HOLD to that hands the change in itself: it holds here until the source has
// decided. `actor_nick` and `actor_jid`, a bare JID, say who changed it; optional; a shadow needs them.
dmuc_result dmuc_engine_settings(dmuc_engine *engine,
                                 dmuc_now now,
                                 const char *room,
                                 const char *form,
                                 const char *actor_nick,
                                 const char *actor_jid);

// An affiliation was set. Unchanged is recognised. At a shadow as for dmuc_engine_settings.
dmuc_result dmuc_engine_affiliation(dmuc_engine *engine,
                                    dmuc_now now,
                                    const char *room,
                                    const dmuc_affiliation *affiliation);

// The hats of the user `jid` as they are now (XEP-0317), at the source: `hats` is an element `<hats/>` with all of them, or
// NULL for none. Unchanged is recognised. DMUC_RESULT_INVALID_XML also for what is over a limit (docs/PROTOCOL.md),
// DMUC_RESULT_INVALID_VALUE for who is not on the list: give an affiliation first. Who is taken off the list has no hats. A shadow follows its source, and what is said here of
// hats is ignored. The hats of a local occupant go into the payload of its presence at every instance, for those that do
// not know its real JID.
dmuc_result dmuc_engine_hats(dmuc_engine *engine,
                             dmuc_now now,
                             const char *room,
                             const char *jid,
                             const char *hats);

// The room has this vCard now, which shows its avatar (XEP-0486); NULL or an empty one for none. Unchanged is recognised. The host
// keeps it, and tells the people in the room. At a shadow as for dmuc_engine_settings, with DMUC_ACT_AVATAR.
// DMUC_RESULT_INVALID_XML also for what is over a limit (docs/PROTOCOL.md).
dmuc_result dmuc_engine_avatar(dmuc_engine *engine,
                               dmuc_now now,
                               const char *room,
                               const char *vcard,
                               const char *actor_nick,
                               const char *actor_jid);

// The vCard that the host has of the room, in answer to DMUC_ACTION_READ_AVATAR: NULL if it has none. Or, with `is_wanted`, one that
// somebody wants set: before the DMUC_ACT_AVATAR that asks the source for it, or dmuc_engine_avatar.
// DMUC_RESULT_INVALID_XML also for what is over a limit (docs/PROTOCOL.md).
dmuc_result dmuc_engine_picture(dmuc_engine *engine,
                                dmuc_now now,
                                const char *room,
                                const char *vcard,
                                bool is_wanted);

// A local user wants something done that only another instance may do: the source, or the home of an occupant.
// DMUC_VERDICT_DONE: answered later by DMUC_ACTION_ACT_ANSWERED with the same `token`. DMUC_VERDICT_HOLD (not for a role or the
// end of the room): no answer follows.
dmuc_result dmuc_engine_act(dmuc_engine *engine,
                            dmuc_now now,
                            const char *room,
                            uint64_t token,
                            const dmuc_act *act,
                            dmuc_verdict **verdict);

// A visitor here asks for voice (XEP-0045 section 7.13). The host shows it to the moderators here.
dmuc_result dmuc_engine_voice_request(dmuc_engine *engine, dmuc_now now, const char *room, const char *nick);

// A moderator here, `actor_nick` with the real JID `actor_jid`, both optional, answers the request of `nick` (XEP-0045
// section 8.6). DMUC_VERDICT_CONTINUE: the host gives voice. DMUC_VERDICT_DONE: nothing is left for it to do; if the home
// of `nick` is another instance, DMUC_ACTION_ACT_ANSWERED follows with the same `token`.
dmuc_result dmuc_engine_voice_answer(dmuc_engine *engine,
                                     dmuc_now now,
                                     const char *room,
                                     const char *nick,
                                     uint64_t token,
                                     const char *actor_nick,
                                     const char *actor_jid,
                                     bool is_granted,
                                     dmuc_verdict **verdict);

// Somebody here who may invites a user (XEP-0045 section 7.8.2): `nick`, optional, with the real JID `jid`.
// Where only members may join, the source makes a member first. DMUC_VERDICT_CONTINUE: the host sends the invitation.
// DMUC_VERDICT_HOLD: it does, and makes a member. DMUC_VERDICT_DONE: another instance is asked;
// DMUC_ACTION_SEND_INVITATION or DMUC_ACTION_ACT_ANSWERED follows with the same `token`. `reason` is optional.
dmuc_result dmuc_engine_invite(dmuc_engine *engine,
                               dmuc_now now,
                               const char *room,
                               uint64_t token,
                               const char *nick,
                               const char *jid,
                               const char *invitee,
                               const char *reason,
                               dmuc_verdict **verdict);

// The user `invitee` declines an invitation into a room here (XEP-0045 section 7.8.2); `to` is the JID that it names.
// DMUC_VERDICT_CONTINUE: nothing is known of it here, the host delivers it. DMUC_VERDICT_DONE: it is on its way.
// `reason` is optional.
dmuc_result dmuc_engine_decline(dmuc_engine *engine,
                                dmuc_now now,
                                const char *room,
                                const char *invitee,
                                const char *to,
                                const char *reason,
                                dmuc_verdict **verdict);

// A user who is not an occupant asks to join; `user` is its full JID. DMUC_VERDICT_REDIRECT sends it to a shadow (XEP-0281
// section 3.5); any other verdict: the join goes on. Who asks again within a minute gets in.
dmuc_result dmuc_engine_join_request(dmuc_engine *engine,
                                     dmuc_now now,
                                     const char *room,
                                     const char *user,
                                     dmuc_verdict **verdict);

// A message of the room's past, oldest first, between dmuc_engine_distribute and dmuc_engine_started. The verdict is
// DMUC_VERDICT_ACCEPTED: it goes into the stored log as a new one does.
dmuc_result dmuc_engine_past(dmuc_engine *engine,
                             dmuc_now now,
                             const char *room,
                             const dmuc_past_message *message,
                             dmuc_verdict **verdict);

// An entry of the host's stored log, after dmuc_engine_restore and before dmuc_engine_started. In any order; one that is
// known is passed over. DMUC_RESULT_INVALID_VALUE if it has no place in a log: then no verdict and no action gave it so.
dmuc_result dmuc_engine_logged(dmuc_engine *engine,
                               dmuc_now now,
                               const char *room,
                               const dmuc_logged_message *message);

// The host has stored the message with this stanza-id, in safety, and can read it again: what it says may leave memory
// (`dmuc_memory`), and is asked for with DMUC_ACTION_READ_MESSAGES. Also after dmuc_engine_logged. Nothing leaves the memory of
// a host that does not say so.
dmuc_result dmuc_engine_message_stored(dmuc_engine *engine,
                                       dmuc_now now,
                                       const char *room,
                                       const char *stanza_id);

// What DMUC_ACTION_READ_MESSAGES asked for under `token` has been handed in with dmuc_engine_logged: what is missing the storage
// has lost. If `is_read` is false it cannot be read, and whoever needs it is told to ask again.
dmuc_result dmuc_engine_messages_read(dmuc_engine *engine,
                                      dmuc_now now,
                                      uint64_t token,
                                      bool is_read);

// A local occupant, allowed to speak, sent a message. The verdict is DMUC_VERDICT_ACCEPTED, or DMUC_VERDICT_REFUSED if
// the peers would not take it.
dmuc_result dmuc_engine_groupchat(dmuc_engine *engine,
                                  dmuc_now now,
                                  const char *room,
                                  const dmuc_message *message,
                                  dmuc_verdict **verdict);

// A message was taken away by somebody entitled. A shadow asks the source with DMUC_ACT_MODERATE, and only after
// DMUC_VERDICT_HOLD to that hands it in itself: the message is hidden here until the source has decided. DMUC_VERDICT_REFUSED:
// there is no such message, or it cannot be hidden. What is to be done with it follows as actions.
dmuc_result dmuc_engine_moderate(dmuc_engine *engine,
                                 dmuc_now now,
                                 const char *room,
                                 const dmuc_moderation *moderation,
                                 dmuc_verdict **verdict);

// Somebody here sends a private message, or, if `is_request`, an IQ that has to be answered, to the occupant `nick`.
// DMUC_VERDICT_CONTINUE: that is no occupant of a peer instance. DMUC_VERDICT_REFUSED: it cannot be reached, the sender gets
// the error. DMUC_VERDICT_DONE: the host sends it and keeps what it needs to answer its sender; DMUC_ACTION_PRIVATE_DONE or
// DMUC_ACTION_PRIVATE_FAILED follows with `token`, which is its own until then, or until dmuc_engine_private_answered.
dmuc_result dmuc_engine_private(dmuc_engine *engine,
                                dmuc_now now,
                                const char *room,
                                const char *nick,
                                uint64_t token,
                                bool is_request,
                                dmuc_verdict **verdict);

// The IQ with this token was answered. DMUC_VERDICT_DONE: the answer is for its sender. DMUC_VERDICT_CONTINUE: no such IQ is
// on its way; its sender has an error already, if there was one.
dmuc_result dmuc_engine_private_answered(dmuc_engine *engine,
                                         dmuc_now now,
                                         uint64_t token,
                                         dmuc_verdict **verdict);

// Whether the source of `room` can be asked now: always true at the source and for rooms that are not distributed; at a shadow
// while the link to the source is not down. For people who look on: a host that acts on it races the link. What it is to do
// with a change says the verdict of dmuc_engine_act (DMUC_VERDICT_HOLD), which counts however the link fares meanwhile.
dmuc_result dmuc_engine_is_source_reachable(dmuc_engine *engine,
                                            const char *room,
                                            bool *is_reachable);

// The room here of which the room `instance` is another instance that holds it now: where a direct invitation (XEP-0249) to a
// user of this server should lead. NULL if there is none; to be freed with dmuc_string_free.
dmuc_result dmuc_engine_instance_here(dmuc_engine *engine,
                                      const char *instance,
                                      char **room);

// Whether the shadow `room` is parked (DMUC_ACTION_PARK): nobody may speak in it. False for any other room.
dmuc_result dmuc_engine_is_parked(dmuc_engine *engine, const char *room, bool *is_parked);

// Whether the client that the instance `home` shows under `nick` counts as the person who has the nick in `room`, so that it
// gets a copy of what is for that person alone (a private message): where occupants of several homes have one nick, their
// occupant-ids are the same, and those are public. False for rooms that are not distributed.
dmuc_result dmuc_engine_is_vouched_for(dmuc_engine *engine,
                                       const char *room,
                                       const char *home,
                                       const char *nick,
                                       bool *is_vouched_for);

// Whether the peer service `service` can be reached.
dmuc_result dmuc_engine_link_state(dmuc_engine *engine, const char *service, dmuc_link_state *state);

// Whether nothing is to be done but heartbeats: nothing is unanswered, nothing is missing as far as is known, and every link
// is up or leads to nobody.
dmuc_result dmuc_engine_is_settled(dmuc_engine *engine,
                                   bool *is_settled);

// Hands in a complete stanza that came for the service, a room of it, or an occupant of one.
//
// The host has authenticated the sending server and checked that `from` is of its domain. Whatever is not between
// instances, as stanzas of local users, service discovery and private messages, is DMUC_VERDICT_CONTINUE. What a peer may
// not do, or got wrong, is DMUC_VERDICT_REFUSED. DMUC_RESULT_INVALID_XML only if this is no stanza, or says not from whom
// to whom it goes.
//
// `taken`: whether the room that dmuc_engine_wanted_room gives for this stanza is an ordinary room here. Hosts without
// ordinary rooms pass false.
dmuc_result dmuc_engine_handle_stanza(dmuc_engine *engine,
                                      dmuc_now now,
                                      const char *xml,
                                      size_t length,
                                      bool taken,
                                      dmuc_verdict **verdict);

// Bytes of a stanza of the peer service `service` have come in, and the stanza is not whole yet: over a thin link that takes
// longer than `link_timeout`. Told every eighth of that, or less, as long as bytes come, it keeps the link from being called
// down; no word is needed of stanzas that are whole sooner. DMUC_VERDICT_DONE; DMUC_VERDICT_CONTINUE if it is no peer.
dmuc_result dmuc_engine_arriving(dmuc_engine *engine,
                                 dmuc_now now,
                                 const char *service,
                                 dmuc_verdict **verdict);

// The room that a stanza asks this service to hold, if it is a `<replicate/>`; NULL for every other stanza, and for what is
// none. Free it with dmuc_string_free. Changes nothing.
dmuc_result dmuc_engine_wanted_room(dmuc_engine *engine,
                                    const char *xml,
                                    size_t length,
                                    char **room);

// Which verdict it is.
dmuc_verdict_type dmuc_verdict_kind(const dmuc_verdict *verdict);

// A part that is text, or NULL if it is absent. `field` is a dmuc_field.
const char *dmuc_verdict_text(const dmuc_verdict *verdict, uint32_t field);

// A part that is a number, or 0 if it is absent. `field` is a dmuc_field.
uint64_t dmuc_verdict_number(const dmuc_verdict *verdict, uint32_t field);

// Frees a verdict.
void dmuc_verdict_free(dmuc_verdict *verdict);

// Which action it is.
dmuc_action_type dmuc_action_kind(const dmuc_action *action);

// The complete stanza that DMUC_ACTION_SEND sends, of jabber:client; NULL for other actions.
const char *dmuc_action_stanza(const dmuc_action *action);

// A part that is text, or NULL if it is absent. `field` is a dmuc_field.
const char *dmuc_action_text(const dmuc_action *action, uint32_t field);

// A part that is a number, or 0 if it is absent. `field` is a dmuc_field.
uint64_t dmuc_action_number(const dmuc_action *action, uint32_t field);

// A status code (XEP-0045 section 15.6), by its index from 0; 0 after the last one.
uint16_t dmuc_action_code(const dmuc_action *action, size_t index);

// Frees an action.
void dmuc_action_free(dmuc_action *action);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DMUC_H */

//! What can happen to the engine.

use crate::address::{BareJid, Jid};

use super::orders::Order;
use crate::wire::{
    Act, Affiliation, EventStamp, Form, IqKind, Moderation, Role, Ruling, StanzaError, Unfit, weight,
};

/// One thing that happened, at this service or at a peer. Everything is borrowed: the engine copies what it keeps.
///
/// JIDs are prepared (RFC 7622); `room` is always the JID of *our* instance; nicks are resources without the
/// room JID; payloads are the children of a stanza as XML in the context of `jabber:client`, opaque.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// An owner made the room distributed, or a default did (XEP-0281 section 3.1). Occupants and affiliations
    /// follow as inputs of their own, then [`Input::Started`].
    Distribute {
        /// The room, which becomes the source.
        room: &'a BareJid,
        /// Its configuration, `muc#roomconfig` fields only.
        form: Form,
        /// What of the configuration was cut or left out ([`Form::parse_fitting`]).
        unfit: Unfit,
        /// The salt of its occupant-ids.
        salt: &'a str,
        /// Its subject and the nick that set it.
        subject: Option<(&'a str, &'a str)>,
    },
    /// The state of a room that was just made distributed, or restored, is complete: peers may be contacted.
    Started {
        /// The room.
        room: &'a BareJid,
        /// Whether all of the stored log has been handed in. If not, the rest follows, and [`Input::LogRead`]; what was
        /// appended since the snapshot was taken has to be there already.
        is_whole: bool,
    },
    /// The last entry of the stored log has been handed in, after [`Input::Started`]. Until then peers that ask for what is in
    /// it are told to wait, and so is whoever wants one of its messages moderated.
    LogRead {
        /// The room.
        room: &'a BareJid,
    },
    /// An entry of the host's stored log, read back after [`Engine::restore`](super::Engine::restore) and before
    /// [`Input::Started`], or, of what the snapshot knows, before [`Input::LogRead`]; or as soon as a peer has made a shadow here that was one before and of which only the log was
    /// stored. In any order; one that is known is passed over.
    Logged {
        /// The room.
        room: &'a BareJid,
        /// Who sent it; empty for the room itself.
        nick: &'a str,
        /// `id` attribute.
        message_id: Option<&'a str>,
        /// `xml:lang`.
        lang: Option<&'a str>,
        /// Occupant-id.
        occupant_id: Option<&'a str>,
        /// Its place in the log, with its origin.
        event: EventStamp,
        /// The message's children.
        payload: &'a str,
        /// Whether it can be read again: then it may leave memory ([`Input::MessageStored`]). Not, if it only waits to be stored.
        is_stored: bool,
    },
    /// A message is in the host's stored log, in safety, and can be read again: what it says may leave memory from now on, and is
    /// asked for with [`Action::ReadMessages`](super::Action::ReadMessages) when a peer needs it (DESIGN 11). Of a host that does
    /// not say so everything stays in memory.
    MessageStored {
        /// The room.
        room: &'a BareJid,
        /// Its stanza-id.
        id: &'a str,
    },
    /// What [`Action::ReadMessages`](super::Action::ReadMessages) asked for has been handed in ([`Input::Logged`]), or cannot be
    /// read.
    MessagesRead {
        /// That of the action.
        token: u64,
        /// Whether everything was that is stored: what is missing is lost. If not, whoever asked is told to ask again.
        is_read: bool,
    },
    /// The host cannot read what it has stored of a room, or which rooms there are: until it has, peers that ask for such a
    /// room are told to wait, and nobody is told that a room is gone. [`Engine::restore`](super::Engine::restore) reads a room
    /// as well.
    Unread {
        /// The room; `None` for the list of them.
        room: Option<&'a BareJid>,
        /// Whether it cannot be read; `false` when it has been, and if there was nothing.
        is_unread: bool,
    },
    /// An owner made the room ordinary again.
    Undistribute {
        /// The source.
        room: &'a BareJid,
        /// Why, in words, for the people in the shadows.
        reason: Option<&'a str>,
    },
    /// The room was destroyed here (XEP-0045 section 10.9).
    Destroyed {
        /// The room.
        room: &'a BareJid,
        /// Why.
        reason: Option<&'a str>,
        /// Alternate venue.
        venue: Option<&'a BareJid>,
        /// The alternate venue's password.
        password: Option<&'a str>,
    },
    /// An administrator gives up what is parked of the room ([`Engine::parked`](super::Engine::parked)): a shadow is closed
    /// ([`Action::Close`](super::Action)), a source forgets its instances at services that are no peers. Nothing happens if
    /// nothing is parked.
    LetGo {
        /// The room.
        room: &'a BareJid,
    },
    /// An administrator orders something.
    Order(Order<'a>),
    /// A message of the room's past, from before it was distributed.
    Past {
        /// The room.
        room: &'a BareJid,
        /// Who sent it.
        nick: &'a str,
        /// `id` attribute.
        message_id: Option<&'a str>,
        /// `xml:lang`.
        lang: Option<&'a str>,
        /// Stanza-id it already has here.
        stanza_id: Option<&'a str>,
        /// Occupant-id it carries.
        occupant_id: Option<&'a str>,
        /// When, Unix ms.
        wall_ms: u64,
        /// The message's children.
        payload: &'a str,
    },

    /// A local occupant joined or changed: presence, role, affiliation (G2: already shown locally).
    Occupant(Occupant<'a>),
    /// A local occupant left, was removed, or changed its nick (then the new one follows as an `Occupant`).
    OccupantLeft(Departure<'a>),
    /// A local occupant, allowed to speak, sent a message. The verdict is [`Verdict::Accepted`](super::Verdict).
    Groupchat {
        /// The room.
        room: &'a BareJid,
        /// Who.
        nick: &'a str,
        /// `id` attribute.
        message_id: Option<&'a str>,
        /// `xml:lang`.
        lang: Option<&'a str>,
        /// The children.
        payload: &'a str,
        /// Worth keeping: logged, numbered, in the history. Otherwise sent once and forgotten (chat states).
        keep: bool,
    },
    /// Somebody entitled here has decided what is the source's to decide, or the room itself has it so; unchanged is recognised.
    Ruled(Ruled<'a>),
    /// The vCard that the host has of the room, in answer to [`Action::ReadAvatar`](super::Action). Or one that somebody wants
    /// set, before the [`Input::Act`] that asks the source for it, which asks for it in turn, or before [`Input::Ruled`].
    ///
    /// Refused with `bad-request` or `policy-violation` if it is none that a room could have. Of what the host has that counts as
    /// none.
    Avatar {
        /// The room.
        room: &'a BareJid,
        /// The element `<vCard xmlns='vcard-temp'/>`; `None` for none.
        vcard: Option<&'a str>,
        /// Whether somebody wants it set.
        is_wanted: bool,
    },
    /// A visitor here asks for voice (XEP-0045 section 7.13). The host shows it to the moderators here; the engine tells
    /// the other instances that host one. [`Verdict::Continue`](super::Verdict) if the occupant is no visitor.
    VoiceRequest {
        /// The room.
        room: &'a BareJid,
        /// Who asks.
        nick: &'a str,
    },
    /// A moderator here answers a voice request (XEP-0045 section 8.6). The first answer counts, and the home of who asked
    /// knows which was the first: [`Verdict::Continue`](super::Verdict) if the host is to give voice now,
    /// [`Verdict::Done`](super::Verdict) if there is nothing for it to do. For an occupant of another instance
    /// [`Action::ActAnswered`](super::Action) follows with the token.
    VoiceAnswer {
        /// The room.
        room: &'a BareJid,
        /// Who asked for voice.
        nick: &'a str,
        /// Names the answer to the host.
        token: u64,
        /// The nick of the moderator.
        actor_nick: Option<&'a str>,
        /// Its real JID.
        actor_jid: Option<&'a BareJid>,
        /// Whether it gets voice.
        is_granted: bool,
    },
    /// Somebody entitled here invites a user (XEP-0045 section 7.8.2). Where only members may join, the source has made a
    /// member before. [`Verdict::Continue`](super::Verdict): the host sends the invitation.
    /// [`Verdict::Hold`](super::Verdict): it does, and makes a member. [`Verdict::Done`](super::Verdict): another instance is asked;
    /// [`Action::SendInvitation`](super::Action) or [`Action::ActAnswered`](super::Action) follows with the token.
    Invite {
        /// The room.
        room: &'a BareJid,
        /// Names the invitation to the host.
        token: u64,
        /// The nick of who invites, if it is an occupant.
        nick: Option<&'a str>,
        /// Its real JID.
        jid: &'a Jid,
        /// Who is invited.
        invitee: &'a Jid,
        /// Why.
        reason: Option<&'a str>,
    },
    /// Somebody declines an invitation into a room here (XEP-0045 section 7.8.2).
    /// [`Verdict::Continue`](super::Verdict): nothing is known of it, the host does as XEP-0045 says.
    /// [`Verdict::Done`](super::Verdict): it is on its way to who invited.
    Decline {
        /// The room.
        room: &'a BareJid,
        /// Who declines.
        invitee: &'a Jid,
        /// To whom, as the invitation named it: an in-room JID or a real one.
        to: &'a Jid,
        /// Why.
        reason: Option<&'a str>,
    },
    /// Somebody here sends a private message or an IQ to an occupant of another instance. Refused while its home is out of
    /// reach, [`Verdict::Continue`](super::Verdict) if the nick is no remote occupant's; else the host sends it, and
    /// [`Action::PrivateDone`](super::Action) or [`Action::PrivateFailed`](super::Action) follows with the same token.
    Private {
        /// The room.
        room: &'a BareJid,
        /// The addressee.
        nick: &'a str,
        /// Names this stanza to the host.
        token: u64,
        /// Whether it is an IQ that has to be answered.
        is_request: bool,
    },
    /// The IQ with this token was answered.
    PrivateAnswered {
        /// The token.
        token: u64,
    },
    /// Somebody here wants something done elsewhere: at the source, or at the home of an occupant (at every home, if one
    /// person joined at several). Answered once, when all have answered or the link timeout is over, by
    /// [`Action::ActAnswered`](super::Action) with the same token.
    ///
    /// [`Verdict::Hold`](super::Verdict): the source is out of reach, and what it decides holds here until it can be asked; no
    /// answer follows. Whoever destroys the room has to wait for the source.
    Act {
        /// The room.
        room: &'a BareJid,
        /// Names this request to the host.
        token: u64,
        /// What, and on whose behalf.
        act: Act,
    },
    /// A user, not an occupant yet, asks to join. [`Verdict::Redirect`](super::Verdict) sends it to a shadow
    /// (XEP-0281 section 3.5), otherwise it goes on.
    JoinRequest {
        /// The room.
        room: &'a BareJid,
        /// The user's real JID.
        user: &'a Jid,
    },

    /// An IQ of type get or set from a peer.
    PeerIq {
        /// Sender: a service or a room.
        from: &'a Jid,
        /// Our service or room.
        to: &'a Jid,
        /// Get or set.
        kind: IqKind,
        /// The stanza's id.
        id: &'a str,
        /// Its one child, as XML.
        payload: &'a str,
        /// Whether `id@our-service` of a `<replicate/>` is a room here already that is not distributed.
        taken: bool,
    },
    /// The answer to an IQ of ours.
    PeerAnswer {
        /// Sender.
        from: &'a Jid,
        /// The id we gave.
        id: &'a str,
        /// The child of a result as XML (empty for none), or the error.
        answer: Result<&'a str, StanzaError>,
    },
    /// Presence from one room JID to another: an occupant of a peer instance joined, changed, or left.
    PeerPresence(PeerPresence<'a>),
    /// A message of type groupchat from one room JID to another.
    PeerGroupchat {
        /// `room@peer/nick`.
        from: &'a Jid,
        /// `room@here/nick`.
        to: &'a Jid,
        /// `id` attribute.
        message_id: Option<&'a str>,
        /// `xml:lang`.
        lang: Option<&'a str>,
        /// Our stamp, if it has one and it could be read.
        event: Option<EventStamp>,
        /// The children without our stamp and without stanza-id and occupant-id.
        payload: &'a str,
        /// Worth keeping (as for [`Input::Groupchat`]), should its home say nothing of that: one that has our extension
        /// numbers what is kept.
        keep: bool,
    },
    /// A message of type groupchat with nothing but a subject, from a peer instance.
    PeerSubject {
        /// `room@peer/nick`, or `room@peer` for the room itself.
        from: &'a Jid,
        /// Our room.
        room: &'a BareJid,
        /// The subject.
        text: &'a str,
        /// The version of the settings with it, if the source said (`<settings version=''/>`).
        version: Option<u64>,
    },
    /// A message of type groupchat from a room itself with `<moderate/>` (XEP-0425): from the source only.
    PeerModeration {
        /// The room at the peer.
        from: &'a Jid,
        /// Our room.
        room: &'a BareJid,
        /// Its stamp.
        event: Option<EventStamp>,
        /// What is moderated.
        moderation: &'a Moderation,
    },
    /// Bytes of a stanza of this peer service have come in, and the stanza is not whole yet: over a thin link, or behind a
    /// rate limit, that takes longer than [`Config::link_timeout_ms`](crate::Config). Told every eighth of that, or less.
    /// [`Verdict::Continue`](super::Verdict) if it is no peer.
    Arriving {
        /// The service.
        service: &'a BareJid,
    },
    /// A stanza of type error came back from a peer instance. Moves link state, never occupants (G8).
    /// [`Verdict::Continue`](super::Verdict): it counts for nothing, since its sender is no instance, or says again that an
    /// occupant of ours has lost its nick.
    PeerError {
        /// Who it came from.
        from: &'a Jid,
        /// What it says.
        error: &'a StanzaError,
    },
}

impl Input<'_> {
    /// The peer service that something has come from. An error may be of our own server's making, and shows nothing.
    pub(super) fn peer(&self) -> Option<BareJid> {
        match self {
            Input::PeerIq { from, .. }
            | Input::PeerAnswer {
                from, answer: Ok(_), ..
            }
            | Input::PeerGroupchat { from, .. } => Some(from.service()),
            Input::PeerPresence(presence) => Some(presence.from.service()),
            _ => None,
        }
    }

    /// What has come from a peer service without being asked for, as far as it is known yet.
    pub(super) fn came(&self) -> Option<Came> {
        let (from, bytes, is_answer) = match self {
            Input::PeerIq { from, payload, .. } => (*from, payload.len(), false),
            Input::PeerAnswer { from, answer, .. } => {
                (*from, answer.as_ref().map_or(0, |xml| xml.len()), true)
            }
            Input::PeerGroupchat { from, payload, .. } => (*from, payload.len(), false),
            Input::PeerPresence(presence) => (presence.from, presence.payload.len(), false),
            Input::PeerSubject { from, text, .. } => (*from, text.len(), false),
            Input::PeerModeration { from, .. } | Input::PeerError { from, .. } => (*from, 0, false),
            _ => return None,
        };
        let service = from.service();
        Some(Came {
            service,
            bytes,
            weight: match self {
                Input::PeerIq { payload, .. } => weight(payload),
                _ => bytes,
            },
            is_answer,
        })
    }
}

/// What has come from a peer service.
pub(super) struct Came {
    pub(super) service: BareJid,
    /// How much of it has the engine been told.
    pub(super) bytes: usize,
    /// How much there is to read in it, if it is packed.
    pub(super) weight: usize,
    /// Whether it answers something, be it of ours or not.
    pub(super) is_answer: bool,
}

/// What was decided here.
///
/// At the source it is so, and the other instances are told. At a shadow it is so until the source can be asked, and only after
/// [`Verdict::Hold`](super::Verdict) to an [`Input::Act`]; but a subject is handed in always, which the shadow asks the source
/// for by itself. The source may be back by the time the host has done what `Hold` says: the change is offered at once then.
/// What the host is to show comes as [`Action::Apply`](super::Action).
///
/// Of an avatar the host hands in the vCard before ([`Input::Avatar`]), and keeps it afterwards.
///
/// Hats are given at the source only (a shadow follows it, and what it says of hats is no news), to who is on the list: give an
/// affiliation first. Who is taken off the list has none. A message that was retracted does not come back by a ruling.
#[derive(Debug, Clone)]
pub struct Ruled<'a> {
    /// The room.
    pub room: &'a BareJid,
    /// What is so now: of the configuration all `muc#roomconfig` fields. Who set a subject, and who took a message away, is
    /// part of it; when a subject was set is when it is handed in, whatever its stamp.
    pub ruling: Ruling,
    /// What of a configuration was cut or left out ([`Form::parse_fitting`](crate::wire::Form::parse_fitting)).
    pub unfit: Unfit,
    /// The nick of who did it, where the ruling does not say so itself.
    pub actor_nick: Option<&'a str>,
    /// Its real JID. A shadow needs it.
    pub actor_jid: Option<&'a BareJid>,
    /// Why somebody's affiliation was changed.
    pub reason: Option<&'a str>,
    /// A shadow that cannot reach its source made somebody a member because the actor invited it.
    pub is_invited: bool,
}

impl<'a> Ruled<'a> {
    /// A ruling in nobody's name.
    pub fn by_the_room(room: &'a BareJid, ruling: impl Into<Ruling>) -> Ruled<'a> {
        Ruled {
            room,
            ruling: ruling.into(),
            unfit: Unfit::default(),
            actor_nick: None,
            actor_jid: None,
            reason: None,
            is_invited: false,
        }
    }
}

/// A local occupant as it is now.
#[derive(Debug, Clone)]
pub struct Occupant<'a> {
    /// The room.
    pub room: &'a BareJid,
    /// The nick.
    pub nick: &'a str,
    /// The real JID of the occupant's primary session.
    pub jid: &'a Jid,
    /// Its affiliation.
    pub affiliation: Affiliation,
    /// Its role.
    pub role: Role,
    /// Its occupant-id.
    pub occupant_id: Option<&'a str>,
    /// The children of its presence, without those of XEP-0045 and without the occupant-id.
    pub payload: &'a str,
}

/// How a local occupant ceased to be one.
#[derive(Debug, Clone, Default)]
pub struct Departure<'a> {
    /// The room.
    pub room: Option<&'a BareJid>,
    /// The nick.
    pub nick: &'a str,
    /// XEP-0045 status codes, for example 307 or 303.
    pub codes: &'a [u16],
    /// The new nick, with 303.
    pub new_nick: Option<&'a str>,
    /// The affiliation it leaves with.
    pub affiliation: Option<Affiliation>,
    /// The nick of who removed it.
    pub actor: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
    /// The children of the unavailable presence.
    pub payload: &'a str,
}

/// Presence of an occupant of a peer instance, taken apart by the host.
#[derive(Debug, Clone)]
pub struct PeerPresence<'a> {
    /// `room@peer/nick`.
    pub from: &'a Jid,
    /// `room@here/nick`.
    pub to: &'a Jid,
    /// Whether the type is absent (available) or `unavailable`.
    pub available: bool,
    /// Affiliation of the `muc#user` item.
    pub affiliation: Affiliation,
    /// Role of the `muc#user` item.
    pub role: Role,
    /// Real JID of the item.
    pub jid: Option<&'a Jid>,
    /// Occupant-id, if present.
    pub occupant_id: Option<&'a str>,
    /// Our join serial, if present.
    pub serial: Option<u64>,
    /// The version of its home's roster with this change, if present.
    pub version: Option<u64>,
    /// XEP-0045 status codes.
    pub codes: &'a [u16],
    /// The `nick` of the item, with 303.
    pub new_nick: Option<&'a str>,
    /// The `nick` of the item's actor.
    pub actor: Option<&'a str>,
    /// The item's reason.
    pub reason: Option<&'a str>,
    /// The presence's children without those of XEP-0045, ours and the occupant-id.
    pub payload: &'a str,
}

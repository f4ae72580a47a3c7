//! What the host does for the engine, and what the engine says at once.

use std::sync::Arc;

use crate::address::{BareJid, Jid};

use super::cause::Cause;
use super::parked::ParkedRoom;
use crate::wire::{
    Act, Affiliation, EventStamp, Form, Hatted, Listing, Moderated, Moderation, Request, Response, Role,
    Ruling, StanzaError, Subject,
};

/// The engine's immediate answer to an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing of the engine's: the host goes on as XEP-0045 says.
    Continue,
    /// Taken. The host does no more than drain the actions.
    Done,
    /// The source decides this and is out of reach. The host does it as it would at the source, and tells who did it with
    /// [`super::Input::Ruled`]: it holds here until the source decides.
    Hold,
    /// A local message was taken under this stanza-id. If it has an event, the host stamps it (G5) and appends it to
    /// its stored log before it is reflected (G3).
    Accepted {
        /// The stanza-id; also names the message in [`Action::SendGroupchat`].
        id: String,
        /// Its place in the log; absent for a message that is not kept.
        event: Option<EventStamp>,
    },
    /// A peer's message is to be shown to local occupants, once. If it has an event, the host first appends it to its
    /// stored log.
    Deliver {
        /// The stanza-id to stamp it with, and its place in the log; absent for a message that is not kept. Its origin is
        /// the sender.
        event: Option<EventStamp>,
        /// The occupant-id of its sender.
        occupant_id: Option<String>,
    },
    /// The user is sent to this shadow.
    Redirect {
        /// The shadow's room JID.
        to: BareJid,
        /// Whether it is invited there, too (XEP-0249): not if that was done a moment ago.
        is_invited: bool,
    },
}

/// What the host has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send an IQ of ours.
    SendRequest {
        /// From our service or room.
        from: BareJid,
        /// To a peer's service or room.
        to: BareJid,
        /// The id to give it.
        id: String,
        /// The payload; [`Request::iq_kind`] tells the type.
        request: Box<Request>,
    },
    /// Answer a peer's IQ.
    SendAnswer {
        /// From whom it was asked.
        from: Jid,
        /// To who asked.
        to: Jid,
        /// The id of the request.
        id: String,
        /// The payload or the error.
        answer: Box<Result<Response, StanzaError>>,
    },
    /// Send the presence of a local occupant to one peer instance.
    SendPresence(Box<SendPresence>),
    /// Send a local message to one peer instance.
    SendGroupchat {
        /// From our room.
        room: BareJid,
        /// To this instance; the nick is added on both sides.
        to: BareJid,
        /// Who sent it.
        nick: String,
        /// `id` attribute.
        message_id: Option<String>,
        /// `xml:lang`.
        lang: Option<Box<str>>,
        /// The id [`Verdict::Accepted`] gave.
        key: String,
        /// Our stamp; absent for peers that speak only the XEP's text and for messages that are not kept.
        event: Option<EventStamp>,
        /// The children.
        payload: Arc<str>,
    },
    /// Tell one peer instance that a message is moderated; from the room itself.
    SendModeration {
        /// From our room.
        room: BareJid,
        /// To this instance.
        to: BareJid,
        /// Our stamp.
        event: EventStamp,
        /// Which message, by whom and why.
        moderation: Box<Moderation>,
    },
    /// Send a change of subject to one peer instance.
    SendSubject {
        /// From our room.
        room: BareJid,
        /// To this instance.
        to: BareJid,
        /// Who set it; absent for the room itself.
        nick: Option<String>,
        /// The subject.
        text: String,
        /// The version of the settings with it, from the source to peers that speak `urn:x-dmuc:0`.
        version: Option<u64>,
    },

    /// Show what the source has decided: it is in force here.
    Apply {
        /// Our room.
        room: BareJid,
        /// What was decided.
        shown: Box<Shown>,
    },
    /// Put an occupant of a peer instance into the room, or change it.
    ShowOccupant(Box<RemoteOccupant>),
    /// Take an occupant of a peer instance out of the room.
    HideOccupant {
        /// Our room.
        room: BareJid,
        /// Its home.
        home: BareJid,
        /// Its nick.
        nick: String,
        /// Status codes.
        codes: Vec<u16>,
        /// New nick, with 303.
        new_nick: Option<String>,
        /// The nick of who removed it.
        actor: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// Give a local occupant another nick: it lost a clash (303 and 210, G8).
    Rename {
        /// Our room.
        room: BareJid,
        /// The nick it has.
        nick: String,
        /// The nick it gets.
        new_nick: String,
    },
    /// A message that was missed or is older than this instance: into the stored log, then into the archive, then, if
    /// `deliver`, to the occupants with a delay. If it has no payload it was moderated: a tombstone, which is not shown.
    /// If it has no nick, its payload is a [`Moderation`]: the message that this names becomes a tombstone in the stored
    /// log and in the archive, and the occupants are told.
    AddMessage {
        /// Our room.
        room: BareJid,
        /// Stanza-id; [`super::Engine::message`] gives the rest.
        id: String,
        /// Whether occupants have yet to see it.
        deliver: bool,
    },
    /// Do what a peer's occupant asks, with the rights of `actor`, and answer the IQ named by `to`, `from`, `id`.
    PerformAct {
        /// Our room.
        room: BareJid,
        /// In whose name: the in-room JID at its home, or a real bare JID that is not in the room.
        actor: Jid,
        /// What.
        act: Box<Act>,
        /// Where the answer goes.
        to: Jid,
        /// Where it comes from.
        from: Jid,
        /// The id of the request.
        id: String,
    },
    /// A private message or request of [`super::Input::Private`] reached its home (or was answered): what the host
    /// keeps of it under this token can go.
    PrivateDone {
        /// The token of the input.
        token: u64,
    },
    /// A private message or request of [`super::Input::Private`] did not reach its home, as far as can be known: its
    /// sender gets this error.
    PrivateFailed {
        /// The token of the input.
        token: u64,
        /// `remote-server-timeout` or `remote-server-not-found`.
        error: StanzaError,
    },
    /// An occupant of another instance asks for voice: the moderators here are shown it (XEP-0045 section 8.6).
    ShowVoiceRequest {
        /// Our room.
        room: BareJid,
        /// Who asks.
        nick: String,
        /// Its real JID, if this instance may know it.
        jid: Option<Jid>,
    },
    /// Send the invitation of [`super::Input::Invite`] with this token: from this instance.
    SendInvitation {
        /// Our room.
        room: BareJid,
        /// The token of the input.
        token: u64,
    },
    /// Tell somebody here that an invitation was declined (XEP-0045 section 7.8.2).
    DeliverDecline {
        /// Our room.
        room: BareJid,
        /// The real JID of who invited.
        to: Jid,
        /// Who declines.
        invitee: Jid,
        /// Why.
        reason: Option<String>,
    },
    /// The outcome of [`super::Input::Act`], once: of several homes of one person, when all have answered. Of
    /// [`super::Input::VoiceAnswer`] and [`super::Input::Invite`], too, if another instance had to be asked.
    ActAnswered {
        /// Our room.
        room: BareJid,
        /// The token of the input.
        token: u64,
        /// The error, if any of them refused it or could not be asked.
        error: Option<StanzaError>,
    },
    /// The source was destroyed: destroy this shadow.
    Destroy {
        /// Our room.
        room: BareJid,
        /// Why.
        reason: Option<String>,
        /// Alternate venue.
        venue: Option<BareJid>,
        /// Its password.
        password: Option<String>,
    },
    /// The source is an ordinary room again: tell the people here and invite them to it; the room stays as
    /// history that is closed to new messages.
    Close {
        /// Our room.
        room: BareJid,
        /// The source.
        source: BareJid,
        /// Why.
        reason: Option<String>,
    },
    /// The shadow is parked: its remote occupants are gone already, the people here are told why and cannot speak. Everything
    /// that is stored of it stays. [`Action::Unpark`] follows when the service is named.
    Park {
        /// The room, and why.
        parked: ParkedRoom,
        /// Whether there may be people in it who have to be told: after a restart nobody is there yet.
        has_people: bool,
    },
    /// The parked shadow goes on: [`super::Input::Logged`] for each entry of its stored log, its occupants here, and
    /// [`super::Input::Started`] follow, as after [`super::Engine::restore`].
    Unpark {
        /// Our room.
        room: BareJid,
    },
    /// The vCard of this room is needed: hand it over with [`super::Input::Avatar`], whether there is one or not.
    ReadAvatar {
        /// Our room.
        room: BareJid,
    },
    /// Somebody waits for what is in the stored log of this room: it is to be read before others are.
    ReadLog {
        /// Our room.
        room: BareJid,
    },
    /// These messages are needed and are in the stored log only: they are to be handed in
    /// ([`Input::Logged`](super::Input::Logged)), and then [`Input::MessagesRead`](super::Input::MessagesRead). Asked only of hosts
    /// that have said that they can ([`Input::MessageStored`](super::Input::MessageStored)).
    ReadMessages {
        /// Our room.
        room: BareJid,
        /// For the answer.
        token: u64,
        /// The stanza-ids, in the order of the log: 500 at most.
        ids: Vec<String>,
    },
    /// Another instance is the source of the room from now on, or this one is. The host names it where it did the one before, and
    /// tells who is in the room once.
    SourceMoved {
        /// Our room.
        room: BareJid,
        /// The source; our room itself if it is that.
        source: BareJid,
        /// The term in which it was elected.
        term: u64,
    },
    /// The room is here for whoever asks for it by one of these addresses, of other instances that hold it by their own word
    /// (DESIGN 10). Given when they change: all of them each time, none when the room is not shared any more.
    /// [`super::Engine::addresses`] gives the same.
    Served {
        /// Our room.
        room: BareJid,
        /// In the order of their JIDs.
        addresses: Vec<BareJid>,
    },
    /// What somebody changed here while the source was out of reach does not hold: the source decided otherwise (G7).
    /// The room is back to the source's value already; who made the change is told by the room.
    Overridden {
        /// Our room.
        room: BareJid,
        /// The nick of who made the change, then.
        actor_nick: Option<String>,
        /// Its real JID.
        actor_jid: Option<BareJid>,
        /// What it was changed to: of the configuration one field.
        ruling: Box<Ruling>,
        /// Of an entry of the list: only the nick registered with it was changed, by the person whose entry it is.
        is_registration: bool,
    },
    /// Nothing that was sent to this service has been answered for too long: give up the connection to it, so that a new
    /// one is tried (FAILURES: TCP itself takes a quarter of an hour).
    ResetLink {
        /// The peer service.
        service: BareJid,
    },
    /// This service sends more than one peer may: read nothing of what comes from there for so long, as often as this says
    /// so from now. What is sent there goes out as always, and nothing that has come is dropped.
    SlowDown {
        /// The peer service.
        service: BareJid,
        /// For how long, ms.
        pause_ms: u64,
    },
    /// Something an owner or administrator should know.
    Notice {
        /// The room.
        room: BareJid,
        /// The peer service it is about.
        peer: BareJid,
        /// What.
        notice: Notice,
    },
    /// Store the room's distributed state; [`super::Engine::snapshot`] gives it, `None` means forget it.
    Store {
        /// The room.
        room: BareJid,
    },
    /// The stored log has grown well beyond what is kept: drop the entries that were appended first until `keep` are left.
    /// The [`Action::Store`] before it has what must be remembered of them.
    TrimLog {
        /// The room.
        room: BareJid,
        /// How many entries stay.
        keep: usize,
    },
}

/// What happened to a room's distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The peer holds a shadow now.
    Replicated {
        /// The shadow.
        shadow: BareJid,
    },
    /// The peer's service does not know XEP-0281: no shadow there, the room goes on.
    Unsupported,
    /// The peer refused.
    Refused(StanzaError),
    /// The peer cannot be reached and holds no instance yet; it is tried again.
    Unreachable {
        /// Why, as far as that is known.
        cause: Cause,
    },
    /// The link to a service that holds an instance is down: the people there cannot be reached.
    SplitBegan {
        /// How many occupants are out of reach.
        occupants: usize,
        /// Why, as far as that is known.
        cause: Cause,
    },
    /// The link is up again and both sides agree.
    SplitEnded,
    /// Messages of the peer's occupants are lost to this instance: nobody who may tell of them has kept them.
    Gap {
        /// How many.
        messages: u64,
    },
    /// A message does not get through from the peer, however it is sent: it is not known here, and everything else goes on.
    SetAside {
        /// Its stanza-id.
        id: String,
    },
    /// An instance was told something else than others under one number: the source's word counts, and what it says is in
    /// force.
    Differs {
        /// Whose people said it.
        origin: BareJid,
    },
    /// Something of the room does not fit the types of the wire (`docs/PROTOCOL.md` section 16) and was cut or left out: of
    /// our own service what the host holds, of a peer what it told. The rest counts. Told once.
    Unfit {
        /// What, in words for an administrator.
        what: String,
    },
    /// The peer's clock and ours differ: times and the order of what is said during a split are wrong. Told once.
    ClockDiffers {
        /// By how much its clock is ahead of ours, ms; negative: behind.
        ahead_ms: i64,
    },
    /// The peer takes smaller messages than this service (`dmuc_max_stanza_size`): larger ones do not arrive there. Told once.
    TakesLess {
        /// The most that the peer takes, bytes.
        theirs: u64,
        /// The most that is taken here, bytes.
        ours: u64,
    },
    /// The room has as many peerhosts as are allowed.
    TooManyPeerhosts,
    /// The peer's service is not in `dmuc_peers` any more: its instance is left out, until it is named again.
    NotNamed,
}

/// An occupant's presence on its way to one peer instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendPresence {
    /// From our room.
    pub room: BareJid,
    /// To this instance.
    pub to: BareJid,
    /// The nick, on both sides.
    pub nick: String,
    /// Available or unavailable.
    pub available: bool,
    /// For the `muc#user` item.
    pub affiliation: Affiliation,
    /// For the item.
    pub role: Role,
    /// Real JID, where this instance may know it (DESIGN section 5).
    pub jid: Option<Jid>,
    /// Join serial, for peers that speak `urn:x-dmuc:0`.
    pub serial: Option<u64>,
    /// The version of our roster with this change, for peers that speak `urn:x-dmuc:0`.
    pub version: Option<u64>,
    /// Occupant-id.
    pub occupant_id: Option<String>,
    /// Status codes.
    pub codes: Vec<u16>,
    /// For 303.
    pub new_nick: Option<String>,
    /// The nick of who removed it.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The presence's other children.
    pub payload: Arc<str>,
}

/// An occupant of a peer instance as local occupants see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOccupant {
    /// Our room.
    pub room: BareJid,
    /// The peer instance it joined.
    pub home: BareJid,
    /// Its nick.
    pub nick: String,
    /// Its real JID, if the home may name it.
    pub jid: Option<Jid>,
    /// The affiliation it has here.
    pub affiliation: Affiliation,
    /// Its role.
    pub role: Role,
    /// Its occupant-id.
    pub occupant_id: Option<String>,
    /// The children of its presence; absent: those of the presence from `home/nick` just handed in, or as they were.
    pub payload: Option<String>,
}

/// How the host is shown what the source has decided ([`Action::Apply`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The whole configuration. A shadow's room is made if it does not exist.
    Settings {
        /// The source of the room.
        source: BareJid,
        /// The configuration form.
        form: Form,
        /// The salt of its occupant-ids, if the peer shares it.
        salt: Option<String>,
    },
    /// An entry of the list.
    Listed {
        /// Whose, and what it is.
        listing: Listing,
        /// The nick of who did it.
        actor: Option<String>,
        /// Why.
        reason: Option<String>,
    },
    /// The subject. A source that shows one hands it in like one of its own ([`super::Ruled`]): if nothing else was set meanwhile
    /// that is no news.
    Subject(Option<Subject>),
    /// A message that somebody here took away while the source is out of reach (XEP-0425), of which people here are told and the
    /// archive says so, while the stored log still has it; or one that is there again, in the archive too, since the source
    /// decided otherwise or tells it differently: [`super::Engine::message`] gives it. No other message comes so.
    Moderated(Moderated),
    /// The vCard of the room, an element `<vCard xmlns='vcard-temp'/>`; `None` to remove it. The people here are told (XEP-0486,
    /// status 104), and the host keeps it.
    Avatar(Option<String>),
    /// Somebody's hats. They follow the entry of the list, if that changes as well.
    Hats(Hatted),
}

impl Action {
    /// What the host is to show of a room.
    pub(super) fn apply(room: &BareJid, shown: Shown) -> Action {
        Action::Apply {
            room: room.clone(),
            shown: Box::new(shown),
        }
    }

    /// The stanza to send as XML, for hosts without a stanza type of their own. `None`: nothing is sent.
    pub fn stanza(&self) -> Option<String> {
        super::stanza::write(self)
    }
}

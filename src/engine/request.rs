//! Requests of ours that are not answered yet. Every one has a deadline.

use super::state::waiting::Matter;
use crate::address::{BareJid, Jid};

use super::cause::Cause;
use super::invitations::{Declining, Inviting};
use super::rate::Asked;
use super::state::clock::Now;
use super::{Action, Engine};
use crate::succession::Moment;
use crate::wire::{Condition, Request, Response, StanzaError};

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    /// What does this service speak?
    Disco(BareJid),
    /// Will this service replicate the room?
    Replicate { room: BareJid, instance: BareJid },
    /// The first configuration of an instance.
    Config { room: BareJid, instance: BareJid },
    /// A roster.
    Roster { room: BareJid, instance: BareJid },
    /// An instance is told of another one, which is told of it in turn if this is the first half.
    Introduce {
        room: BareJid,
        told: BareJid,
        of: BareJid,
        is_first: bool,
    },
    /// A part of a roster of which more follows.
    RosterPart { room: BareJid, instance: BareJid },
    /// The history.
    History { room: BareJid, instance: BareJid },
    /// Something a user of ours wants done elsewhere, by one instance or by several.
    Act { room: BareJid, token: u64 },
    /// An instance was told of a request for voice.
    Voice {
        room: BareJid,
        nick: String,
        instance: BareJid,
    },
    /// Another instance makes a user a member, or sends it an invitation.
    Invite(Box<Inviting>),
    /// Who invited is told, at another instance, that the invitee has said no.
    Decline(Box<Declining>),
    /// What is missing here, of settings of this version if it is the source's.
    Sync {
        room: BareJid,
        instance: BareJid,
        settings: Option<u64>,
        page: Asked,
        /// Whether the number and id of an event that does not get through were asked for.
        head: bool,
    },
    /// A part of the vCard with this hash.
    Avatar { room: BareJid, hash: String },
    /// A heartbeat.
    Digest(BareJid),
    /// A change made here while the source was out of reach.
    Offer { room: BareJid, matter: Matter },
    /// A shadow is told that its room has ended, or the source that its shadow has.
    Ending { room: BareJid, instance: BareJid },
    /// Another instance was told what this one says of itself.
    Succession {
        room: BareJid,
        instance: BareJid,
        at: Moment,
    },
    /// Nothing depends on the answer.
    Nothing,
}

impl Pending {
    /// Whether somebody waits for the answer who was promised one within the link timeout.
    fn is_awaited(&self) -> bool {
        use Pending as P;
        matches!(
            self,
            P::Act { .. } | P::Voice { .. } | P::Invite(_) | P::Decline(_)
        )
    }

    /// What the refusal of a question says of the service as a whole.
    fn refused_by_service(&self, error: &StanzaError) -> Option<Cause> {
        match self {
            Pending::Digest(_) => Cause::of_refusal(error),
            _ => None,
        }
    }
}

/// How late timeouts may be handled without the host having been too busy to hear an answer.
const LATE_MS: u64 = 500;

/// A request with the peer it went to and the time by which it counts as unanswered.
#[derive(Debug, Clone)]
pub(crate) struct Outstanding {
    pub(crate) to: BareJid,
    pub(crate) pending: Pending,
    pub(super) sent_at: u64,
    deadline: u64,
    /// When it is asked again if nothing at all has come since.
    pub(super) check_at: Option<u64>,
    /// Whether it has been given its time again.
    is_extended: bool,
    /// The private stanzas before this one have arrived if it is answered.
    private_mark: u64,
}

impl Outstanding {
    /// Whether it asks this instance for a page.
    pub(super) fn is_page_of(&self, jid: &BareJid, peer: &BareJid) -> bool {
        matches!(&self.pending, Pending::Sync { room, instance, .. } if room == jid && instance == peer)
    }
}

impl Engine {
    pub(super) fn request(
        &mut self,
        now: Now,
        from: BareJid,
        to: BareJid,
        request: Request,
        pending: Pending,
    ) {
        self.request_within(now, self.config.link_timeout_ms, from, to, request, pending);
    }

    /// A request that counts as unanswered after `wait_ms`.
    pub(super) fn request_within(
        &mut self,
        now: Now,
        wait_ms: u64,
        from: BareJid,
        to: BareJid,
        request: Request,
        pending: Pending,
    ) {
        let request = self.packed_for(&to, request);
        let id = format!("dmuc-{}", self.ids.uuid());
        let deadline = now.mono_ms + wait_ms;
        let is_page = matches!(pending, Pending::Sync { .. });
        self.outstanding.insert(
            id.clone(),
            Outstanding {
                to: to.clone(),
                pending,
                sent_at: now.mono_ms,
                deadline,
                check_at: is_page.then_some(now.mono_ms + self.silent_ms()),
                is_extended: false,
                private_mark: self.private_mark,
            },
        );
        self.actions.push_back(Action::SendRequest {
            from,
            to,
            id,
            request: Box::new(request),
        });
    }

    /// What may be large goes in less to those who read that.
    fn packed_for(&self, to: &BareJid, request: Request) -> Request {
        let may_be_large = matches!(request, Request::Roster(_) | Request::Config(_));
        let link = self.links.get(&to.service()).filter(|_| may_be_large);
        match link.is_some_and(|link| link.reads_packed) {
            true => Request::Packed(Box::new(request)),
            false => request,
        }
    }

    /// An answer came. One to nothing, or from somebody else than was asked, is ignored (G11), except that it shows that
    /// its sender is alive.
    pub(super) fn peer_answer(
        &mut self,
        now: Now,
        from: &Jid,
        id: &str,
        answer: Result<&str, StanzaError>,
    ) -> bool {
        if self
            .outstanding
            .get(id)
            .is_none_or(|outstanding| *from != outstanding.to)
        {
            if !answer.is_err_and(|error| Self::is_link_error(&error)) {
                self.showed_life(now, &from.service());
            }
            return false;
        }
        let Some(Outstanding {
            to,
            pending,
            sent_at,
            private_mark,
            ..
        }) = self.outstanding.remove(id)
        else {
            return false;
        };
        let service = to.service();
        let is_probe = matches!(pending, Pending::Disco(_));
        match &answer {
            Err(error) if Self::is_link_error(error) => {
                self.link_failed(now, &service, is_probe, Cause::of_bounce(error));
            }
            Err(error) if pending.refused_by_service(error).is_some() => {}
            _ => {
                if let Some(link) = self.links.get_mut(&service) {
                    link.answered_for = link.answered_for.max(sent_at);
                    if matches!(pending, Pending::Digest(_)) {
                        link.compared_for = link.compared_for.max(sent_at);
                    }
                }
                self.private_arrived(&service, private_mark);
                // What it speaks by now comes before everything else.
                if !is_probe {
                    self.acked(now, &service);
                }
            }
        }
        self.answered(now, pending, sent_at, answer);
        true
    }

    #[allow(clippy::too_many_lines)] // a table: what each answer is for
    fn answered(&mut self, now: Now, pending: Pending, sent_at: u64, answer: Result<&str, StanzaError>) {
        if let Ok(xml) = &answer {
            match &pending {
                Pending::Sync { instance, page, .. } => {
                    self.note_page(now, &instance.service(), *page, sent_at, xml.len());
                }
                Pending::Digest(service) => self.note_round_trip(now, service, sent_at),
                _ => {}
            }
        }
        let read = answer.and_then(|xml| Response::parse_fitting(Some(xml)).map_err(StanzaError::from));
        let response = read.map(|(response, unfit)| {
            if let Pending::Sync { room, instance, .. } = &pending {
                self.tell_unfit(room, &instance.service(), &unfit);
            }
            response
        });
        match (pending, response) {
            (Pending::Disco(service), Ok(Response::DiscoInfo(info))) => {
                self.disco_answered(now, &service, &info);
            }
            (Pending::Disco(_), Err(error)) if Self::is_link_error(&error) => {}
            (Pending::Disco(service), _) => self.disco_refused(now, &service),
            (Pending::Replicate { room, instance }, response) => {
                self.replicate_answered(now, &room, &instance, response.err());
            }
            (Pending::Config { room, instance }, response) => {
                self.config_answered(now, &room, &instance, response.err());
            }
            (Pending::Roster { room, instance }, response) => {
                self.roster_answered(now, &room, &instance, response.err());
            }
            (Pending::Succession { room, instance, at }, response) => {
                self.succession_answered(now, &room, &instance, at, response.err().as_ref());
            }
            (
                Pending::Introduce {
                    room,
                    told,
                    of,
                    is_first,
                },
                response,
            ) => self.introduced(now, &room, (&told, &of), is_first, response.err().as_ref()),
            (Pending::RosterPart { room, instance }, Err(error)) => {
                self.roster_answered(now, &room, &instance, Some(error));
            }
            (Pending::History { room, instance }, Ok(Response::History(history))) => {
                self.merge_history(now, &room, &instance, history);
            }
            (Pending::History { room, instance }, _) => self.release(now, &room, &instance),
            (
                Pending::Sync {
                    room,
                    instance,
                    settings,
                    head,
                    ..
                },
                response,
            ) => self.sync_answered(now, &room, &instance, (settings, head), response),
            (Pending::Digest(service), Ok(Response::Digest(digest))) => {
                self.digest_taken(now, &service);
                self.digest_answered(now, &service, &digest, sent_at);
            }
            (Pending::Digest(service), response) => {
                let cause = response.err().as_ref().and_then(Cause::of_refusal);
                self.digest_failed(now, &service, cause);
            }
            (Pending::Offer { room, matter }, response) => {
                self.offer_answered(now, &room, &matter, response.err().as_ref());
            }
            (Pending::Avatar { room, hash }, response) => self.picture_answered(now, &room, &hash, response),
            (Pending::Ending { room, instance }, response) => {
                self.ending_answered(now, &room, &instance, response.err().as_ref());
            }
            (Pending::Voice { room, nick, instance }, Err(_)) => self.voice_not_told(&room, &nick, &instance),
            (Pending::Invite(inviting), response) => self.invite_answered(now, *inviting, response.err()),
            (Pending::Decline(declining), Err(error)) if Self::is_link_error(&error) => {
                self.decline_lost(now, &declining);
            }
            (Pending::Act { room, token }, response) => self.act_answered(room, token, response.err()),
            _ => {}
        }
    }

    /// One answer to whoever wants something done: when the last instance has answered, with what any of them said against it.
    fn act_answered(&mut self, room: BareJid, token: u64, error: Option<StanzaError>) {
        let key = (room, token);
        let (open, first) = self.acts.remove(&key).unwrap_or((1, None));
        let error = first.or(error);
        if open > 1 {
            self.acts.insert(key, (open - 1, error));
        } else {
            let (room, token) = key;
            self.actions.push_back(Action::ActAnswered { room, token, error });
        }
    }

    pub(super) fn requests_timeout(&self) -> Option<u64> {
        self.outstanding
            .values()
            .map(|outstanding| outstanding.deadline.min(outstanding.check_at.unwrap_or(u64::MAX)))
            .min()
    }

    /// Timeouts that are handled so much too late are the own host's fault, which was busy (a page of a resync that goes
    /// to a slow disk): what came meanwhile is not read yet, and the request itself may have been sent only now. It has
    /// its time once more.
    fn extend_late_requests(&mut self, now: Now) {
        for outstanding in self.outstanding.values_mut() {
            if !outstanding.is_extended && outstanding.deadline + LATE_MS <= now.mono_ms {
                let wait_ms = outstanding.deadline - outstanding.sent_at;
                (outstanding.deadline, outstanding.is_extended) = (now.mono_ms + wait_ms, true);
            }
        }
    }

    /// An answer may have to wait behind data that keeps arriving from where it is to come from.
    fn extend_waiting_requests(&mut self, now: Now) {
        let mut extended = Vec::new();
        for (id, outstanding) in &self.outstanding {
            if outstanding.deadline <= now.mono_ms && !outstanding.pending.is_awaited() {
                let service = outstanding.to.service();
                if let Some(until) = self.patience(now, &service, outstanding.sent_at) {
                    extended.push((id.clone(), service, until));
                }
            }
        }
        for (id, service, until) in extended {
            if let Some(outstanding) = self.outstanding.get_mut(&id) {
                outstanding.deadline = until;
                if matches!(outstanding.pending, Pending::Digest(_) | Pending::Disco(_)) {
                    self.ping_goes_on(now, &service);
                }
            }
        }
    }

    pub(super) fn handle_request_timeouts(&mut self, now: Now) {
        self.extend_late_requests(now);
        self.extend_waiting_requests(now);
        self.check_pages(now);
        let due: Vec<String> = self
            .outstanding
            .iter()
            .filter(|(_, outstanding)| outstanding.deadline <= now.mono_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            if let Some(outstanding) = self.outstanding.remove(&id) {
                let service = outstanding.to.service();
                let is_probe = matches!(outstanding.pending, Pending::Disco(_));
                self.page_failed(&outstanding.pending, outstanding.sent_at);
                self.answered(now, outstanding.pending, outstanding.sent_at, Err(silence()));
                self.was_silent(now, &service, outstanding.sent_at, is_probe);
            }
        }
    }

    /// The link to a service is down: nothing that was asked of it is awaited any longer.
    pub(super) fn give_up_requests(&mut self, now: Now, service: &BareJid) {
        let given_up: Vec<String> = self
            .outstanding
            .iter()
            .filter(|(_, outstanding)| {
                outstanding.to.is_at(service) && !matches!(outstanding.pending, Pending::Disco(_))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in given_up {
            if let Some(outstanding) = self.outstanding.remove(&id) {
                self.page_failed(&outstanding.pending, outstanding.sent_at);
                self.answered(now, outstanding.pending, outstanding.sent_at, Err(silence()));
            }
        }
    }
}

fn silence() -> StanzaError {
    StanzaError::with_text(Condition::RemoteServerTimeout, "The peer did not answer")
}

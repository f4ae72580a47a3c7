//! Everything one instance or service asks another in an IQ.

use super::dom::bad;
use super::packed::{packed, unpacked};
use super::reading::Reading;
use super::text::Tag;
use super::{
    Act, AvatarQuery, Close, Condition, Config, Destroy, Digest, History, Peerhost, Replicate, Roster,
    Succession, SyncRequest, Unfit, WireError, ns,
};

/// The type of an IQ that asks (RFC 6120 section 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IqKind {
    /// Asks for information.
    Get,
    /// Changes something.
    Set,
}

/// The payload of an IQ that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Set, service to service: host a shadow.
    Replicate(Replicate),
    /// Set, service to service: there is another peerhost.
    Peerhost(Peerhost),
    /// Set, source to shadow: the configuration.
    Config(Config),
    /// Set, instance to instance: occupants and affiliations.
    Roster(Roster),
    /// Get, instance to instance: your occupants (ours; an empty `<roster/>`).
    RosterQuery,
    /// Get, instance to instance: the history.
    History(History),
    /// Set, instance to instance: do this for one of my occupants.
    Act(Act),
    /// Set, source to shadow: the room is no longer distributed.
    Close(Close),
    /// Set, source to shadow: the room is destroyed.
    Destroy(Destroy),
    /// Set, shadow to source: this shadow is no more.
    Leave,
    /// Get, instance to instance: what is missing here (ours)?
    Sync(SyncRequest),
    /// Set, service to service: heartbeat, and what the rooms here have to offer (ours). Answered with the same of the
    /// rooms that were named.
    Digest(Digest),
    /// Get, instance to instance: the vCard of the room (ours).
    Avatar(AvatarQuery),
    /// Set, instance to instance: what the sender says of itself about who decides for the room (ours).
    Succession(Box<Succession>),
    /// Get: what do you support (XEP-0030)?
    DiscoInfo,
    /// One of these in less, to somebody who reads that. What is read is what is in it.
    Packed(Box<Request>),
}

impl Request {
    /// The type of IQ it travels in.
    pub fn iq_kind(&self) -> IqKind {
        match self {
            Request::RosterQuery
            | Request::History(_)
            | Request::Sync(_)
            | Request::Avatar(_)
            | Request::DiscoInfo => IqKind::Get,
            Request::Packed(request) => request.iq_kind(),
            _ => IqKind::Set,
        }
    }

    /// Parses the child element of an `<iq/>` of type get or set.
    ///
    /// What is malformed is `bad-request`, what is not a valid address `jid-malformed`, a bad room id `not-acceptable`, what is
    /// over a limit `policy-violation`. An element of ours or of the XEP's that is unknown here is
    /// `feature-not-implemented`, any other `service-unavailable` (RFC 6120 section 8.4).
    pub fn parse(kind: IqKind, xml: &str) -> Result<Request, WireError> {
        Request::read(kind, xml, &mut Reading::strict())
    }

    /// As [`Request::parse`], but of a configuration or a roster what is malformed or over a limit costs at most the entry,
    /// the field or the part of it: that is cut or left out, and said.
    ///
    /// # Errors
    /// As [`Request::parse`], for what is wrong with the whole.
    pub fn parse_fitting(kind: IqKind, xml: &str) -> Result<(Request, Unfit), WireError> {
        let mut reading = Reading::lenient();
        let request = Request::read(kind, xml, &mut reading)?;
        Ok((request, reading.unfit))
    }

    fn read(kind: IqKind, xml: &str, reading: &mut Reading) -> Result<Request, WireError> {
        let el = unpacked(xml)?;
        let namespace = el.ns();
        let request = match (namespace.as_str(), el.name()) {
            (ns::DMUC, "replicate") => Request::Replicate(Replicate::read(&el)?),
            (ns::DMUC, "peerhost") => Request::Peerhost(Peerhost::read(&el)?),
            (ns::DMUC, "config") => Request::Config(Config::read(&el, reading)?),
            (ns::DMUC, "roster") if kind == IqKind::Get => match el.children().next() {
                None => Request::RosterQuery,
                Some(_) => return Err(bad("a question for the roster is empty")),
            },
            (ns::DMUC, "roster") => Request::Roster(Roster::read(&el, reading)?),
            (ns::DMUC, "room") => Request::History(History::read(&el)?),
            (ns::OURS, "act") => Request::Act(Act::read(&el)?),
            (ns::OURS, "close") => Request::Close(Close::read(&el)?),
            (ns::OURS, "destroy") => Request::Destroy(Destroy::read(&el)?),
            (ns::OURS, "leave") => Request::Leave,
            (ns::OURS, "sync") => Request::Sync(SyncRequest::read(&el)?),
            (ns::OURS, "avatar") => Request::Avatar(AvatarQuery::read(&el)?),
            (ns::OURS, "succession") => Request::Succession(Box::new(Succession::read(&el)?)),
            (ns::OURS, "digest") => Request::Digest(Digest::read(&el)?),
            (ns::DISCO_INFO, "query") => Request::DiscoInfo,
            (ns::DMUC | ns::OURS, name) => {
                let text = format!("<{name}/> is not known here");
                return Err(WireError::new(Condition::FeatureNotImplemented, text));
            }
            _ => {
                return Err(WireError::new(
                    Condition::ServiceUnavailable,
                    "nobody here answers this",
                ));
            }
        };
        if request.iq_kind() != kind {
            return Err(bad(format!("<{}/> came in an IQ of the wrong type", el.name())));
        }
        Ok(request)
    }

    /// The child element of an `<iq/>` of type [`Request::iq_kind`].
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        match self {
            Request::Replicate(replicate) => replicate.write(&mut out),
            Request::Peerhost(peerhost) => peerhost.write(&mut out),
            Request::Config(config) => config.write(&mut out),
            Request::Roster(roster) => roster.write(&mut out),
            Request::RosterQuery => Tag::within(&mut out, "roster", ns::DMUC).empty(),
            Request::History(history) => history.write(&mut out),
            Request::Act(act) => act.write(&mut out),
            Request::Close(close) => close.write(&mut out),
            Request::Destroy(destroy) => destroy.write(&mut out),
            Request::Sync(sync) => sync.write(&mut out),
            Request::Digest(digest) => digest.write(&mut out),
            Request::Avatar(query) => query.write(&mut out),
            Request::Succession(succession) => succession.write(&mut out),
            Request::Leave => Tag::within(&mut out, "leave", ns::OURS).empty(),
            Request::DiscoInfo => Tag::within(&mut out, "query", ns::DISCO_INFO).empty(),
            Request::Packed(request) => return packed(request.to_xml()),
        }
        out
    }
}

//! Everything an IQ result may hold.

use super::dom::bad;
use super::packed::{packed, unpacked};
use super::reading::Reading;
use super::{AvatarPart, Digest, DiscoInfo, HistoryResult, SyncAnswer, Unfit, WireError, ns};

/// The payload of an IQ result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// Nothing: an acknowledgement, or a history without messages.
    Empty,
    /// A room's history.
    History(HistoryResult),
    /// What was missing, or a page of it (ours).
    Sync(Box<SyncAnswer>),
    /// What the rooms there have to offer (ours).
    Digest(Digest),
    /// A part of the room's vCard (ours).
    Avatar(AvatarPart),
    /// What the peer supports.
    DiscoInfo(DiscoInfo),
    /// One of these in less, to somebody who reads that. What is read is what is in it.
    Packed(Box<Response>),
}

impl Response {
    /// Parses the child element of an `<iq type='result'/>`, if it has one.
    ///
    /// A result is never answered, so the error is only for the log. The XEP's example of a history leaves the result empty
    /// and puts `<history/>` after it, where it cannot reach us: that is a history without messages.
    pub fn parse(xml: Option<&str>) -> Result<Response, WireError> {
        Response::read(xml, &mut Reading::strict())
    }

    /// As [`Response::parse`], but of what was missing a malformed entry costs no more than itself
    /// ([`Request::parse_fitting`](super::Request::parse_fitting)).
    ///
    /// # Errors
    /// As [`Response::parse`], for what is wrong with the whole.
    pub fn parse_fitting(xml: Option<&str>) -> Result<(Response, Unfit), WireError> {
        let mut reading = Reading::lenient();
        let response = Response::read(xml, &mut reading)?;
        Ok((response, reading.unfit))
    }

    fn read(xml: Option<&str>, reading: &mut Reading) -> Result<Response, WireError> {
        let Some(xml) = xml.filter(|xml| !xml.is_empty()) else {
            return Ok(Response::Empty);
        };
        let el = unpacked(xml)?;
        let namespace = el.ns();
        match (namespace.as_str(), el.name()) {
            (ns::MUC, "history") => Ok(Response::History(HistoryResult::read(&el)?)),
            (ns::OURS, "sync") => Ok(Response::Sync(Box::new(SyncAnswer::read(&el, reading)?))),
            (ns::OURS, "avatar") => Ok(Response::Avatar(AvatarPart::read(&el)?)),
            (ns::OURS, "digest") => Ok(Response::Digest(Digest::read(&el)?)),
            (ns::DISCO_INFO, "query") => Ok(Response::DiscoInfo(DiscoInfo::read(&el)?)),
            (_, name) => Err(bad(format!("<{name}/> is no answer to anything asked"))),
        }
    }

    /// The child element of the result, if it has one.
    pub fn to_xml(&self) -> Option<String> {
        let mut out = String::new();
        match self {
            Response::Empty => return None,
            Response::History(history) => history.write(&mut out),
            Response::Sync(sync) => sync.write(&mut out),
            Response::Digest(digest) => digest.write(&mut out),
            Response::Avatar(part) => part.write(&mut out),
            Response::DiscoInfo(info) => info.write(&mut out),
            Response::Packed(response) => return response.to_xml().map(packed),
        }
        Some(out)
    }
}

//! Why a peer service is out of reach, as far as that is known.

use crate::wire::{Condition, StanzaError};

/// Why a link is down. Words of other servers are hints: what they do not name is [`Cause::Unreachable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nothing that was sent there has been answered for the link timeout.
    Silent,
    /// No connection can be had, or it broke; nothing more is known.
    Unreachable,
    /// The name of its server cannot be resolved.
    Dns,
    /// Its server takes no connections.
    ConnectionRefused,
    /// One of the two servers does not accept the certificate of the other.
    Certificate,
    /// It answers, and does not support distributed rooms (XEP-0281).
    NoModule,
    /// It answers, and does not peer with this service.
    NotPeered,
}

impl Cause {
    /// Its name, for hosts.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Silent => "silent",
            Cause::Unreachable => "unreachable",
            Cause::Dns => "dns",
            Cause::ConnectionRefused => "connection-refused",
            Cause::Certificate => "certificate",
            Cause::NoModule => "no-module",
            Cause::NotPeered => "not-peered",
        }
    }

    /// Whether the peer itself said it: it is there, and has to change before anything else happens.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Cause::NoModule | Cause::NotPeered)
    }

    /// What an error of a link says of its cause. The condition says that the peer was not reached; why is in words only.
    pub(crate) fn of_bounce(error: &StanzaError) -> Cause {
        let text = error.text.as_deref().unwrap_or_default().to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["certificate", "not-authorized"]) {
            Cause::Certificate
        } else if has(&["resolve", " lookup", "nxdomain", "srv record", "idna"]) {
            Cause::Dns
        } else if has(&["connection refused", "econnrefused"]) {
            Cause::ConnectionRefused
        } else {
            Cause::Unreachable
        }
    }

    /// What the refusal of a question to the service itself (not to one of its rooms) says: that it has no XEP-0281, or
    /// that it does not peer with us. Other errors are about the question only.
    pub(crate) fn of_refusal(error: &StanzaError) -> Option<Cause> {
        match error.condition {
            Condition::ServiceUnavailable | Condition::FeatureNotImplemented => Some(Cause::NoModule),
            Condition::Forbidden => Some(Cause::NotPeered),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_servers_are_hints() {
        let told = [
            (
                "Server-to-server connection failed: unable to resolve service",
                Cause::Dns,
            ),
            (
                "Server-to-server connection failed: NXDOMAIN in A lookup",
                Cause::Dns,
            ),
            (
                "Server-to-server connection failed: connection refused",
                Cause::ConnectionRefused,
            ),
            (
                "Server-to-server connection failed: Remote server's certificate is not trusted",
                Cause::Certificate,
            ),
            (
                "Server-to-server connection failed: not-authorized (Your server's certificate has expired)",
                Cause::Certificate,
            ),
            (
                "Server-to-server connection failed: stream closed",
                Cause::Unreachable,
            ),
            ("", Cause::Unreachable),
        ];
        for (text, cause) in told {
            let error = StanzaError::with_text(Condition::RemoteServerNotFound, text);
            assert_eq!(Cause::of_bounce(&error), cause, "{text}");
        }
        assert_eq!(
            Cause::of_bounce(&StanzaError::new(Condition::RecipientUnavailable)),
            Cause::Unreachable
        );
    }

    #[test]
    fn an_error_about_a_question_is_none_about_the_link() {
        let of = |condition| Cause::of_refusal(&StanzaError::new(condition));
        assert_eq!(of(Condition::ServiceUnavailable), Some(Cause::NoModule));
        assert_eq!(of(Condition::FeatureNotImplemented), Some(Cause::NoModule));
        assert_eq!(of(Condition::Forbidden), Some(Cause::NotPeered));
        for condition in [
            Condition::ItemNotFound,
            Condition::BadRequest,
            Condition::InternalServerError,
        ] {
            assert_eq!(of(condition), None);
        }
    }
}

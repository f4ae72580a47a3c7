//! Stanza errors (RFC 6120 section 8.3) and the error of parsing, which is one of them.

use std::fmt;

/// What the sender may do about an error (RFC 6120 section 8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed, this was only a warning.
    Continue,
    /// Retry after changing the data.
    Modify,
    /// Retry after waiting.
    Wait,
}

/// A defined condition (RFC 6120 section 8.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// Malformed or unprocessable (8.3.3.1).
    BadRequest,
    /// Something with this name exists already (8.3.3.2).
    Conflict,
    /// Understood in principle, not built (8.3.3.3).
    FeatureNotImplemented,
    /// The sender lacks the permission (8.3.3.4).
    Forbidden,
    /// The address is not used any more; may hold the new one (8.3.3.5).
    Gone,
    /// The service is broken (8.3.3.6).
    InternalServerError,
    /// No such item (8.3.3.7).
    ItemNotFound,
    /// Not an address (8.3.3.8).
    JidMalformed,
    /// Does not meet the criteria of the recipient (8.3.3.9).
    NotAcceptable,
    /// Nobody may do this (8.3.3.10).
    NotAllowed,
    /// Credentials are missing (8.3.3.11).
    NotAuthorized,
    /// Against local policy, as a stanza over a size limit (8.3.3.12).
    PolicyViolation,
    /// Temporarily away (8.3.3.13).
    RecipientUnavailable,
    /// Try another address, which it holds (8.3.3.14).
    Redirect,
    /// Register first (8.3.3.15).
    RegistrationRequired,
    /// The remote server does not exist (8.3.3.16).
    RemoteServerNotFound,
    /// The remote server did not answer (8.3.3.17).
    RemoteServerTimeout,
    /// Not enough resources (8.3.3.18).
    ResourceConstraint,
    /// Nobody here offers this (8.3.3.19).
    ServiceUnavailable,
    /// Subscribe first (8.3.3.20).
    SubscriptionRequired,
    /// None of the others (8.3.3.21).
    UndefinedCondition,
    /// Understood, but not now (8.3.3.22).
    UnexpectedRequest,
}

/// A stanza error (RFC 6120 section 8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub kind: ErrorType,
    /// The defined condition.
    pub condition: Condition,
    /// Words for a human.
    pub text: Option<String>,
    /// The address inside `<redirect/>` or `<gone/>`: an XMPP URI or a JID.
    pub target: Option<String>,
}

/// Why a stanza could not become a typed value: the error its sender is answered with.
///
/// Nothing was changed when this is returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// What the sender may do about it.
    pub kind: ErrorType,
    /// The defined condition.
    pub condition: Condition,
    /// Words for a human: what was wrong with which part.
    pub text: String,
}

const CONDITIONS: [(Condition, &str, ErrorType); 22] = [
    (Condition::BadRequest, "bad-request", ErrorType::Modify),
    (Condition::Conflict, "conflict", ErrorType::Cancel),
    (
        Condition::FeatureNotImplemented,
        "feature-not-implemented",
        ErrorType::Cancel,
    ),
    (Condition::Forbidden, "forbidden", ErrorType::Auth),
    (Condition::Gone, "gone", ErrorType::Cancel),
    (
        Condition::InternalServerError,
        "internal-server-error",
        ErrorType::Cancel,
    ),
    (Condition::ItemNotFound, "item-not-found", ErrorType::Cancel),
    (Condition::JidMalformed, "jid-malformed", ErrorType::Modify),
    (Condition::NotAcceptable, "not-acceptable", ErrorType::Modify),
    (Condition::NotAllowed, "not-allowed", ErrorType::Cancel),
    (Condition::NotAuthorized, "not-authorized", ErrorType::Auth),
    (Condition::PolicyViolation, "policy-violation", ErrorType::Modify),
    (
        Condition::RecipientUnavailable,
        "recipient-unavailable",
        ErrorType::Wait,
    ),
    (Condition::Redirect, "redirect", ErrorType::Cancel),
    (
        Condition::RegistrationRequired,
        "registration-required",
        ErrorType::Auth,
    ),
    (
        Condition::RemoteServerNotFound,
        "remote-server-not-found",
        ErrorType::Cancel,
    ),
    (
        Condition::RemoteServerTimeout,
        "remote-server-timeout",
        ErrorType::Wait,
    ),
    (
        Condition::ResourceConstraint,
        "resource-constraint",
        ErrorType::Wait,
    ),
    (
        Condition::ServiceUnavailable,
        "service-unavailable",
        ErrorType::Cancel,
    ),
    (
        Condition::SubscriptionRequired,
        "subscription-required",
        ErrorType::Auth,
    ),
    (
        Condition::UndefinedCondition,
        "undefined-condition",
        ErrorType::Cancel,
    ),
    (
        Condition::UnexpectedRequest,
        "unexpected-request",
        ErrorType::Wait,
    ),
];

impl ErrorType {
    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        }
    }

    /// The type with this name, if there is one.
    pub fn from_name(name: &str) -> Option<ErrorType> {
        Some(match name {
            "auth" => ErrorType::Auth,
            "cancel" => ErrorType::Cancel,
            "continue" => ErrorType::Continue,
            "modify" => ErrorType::Modify,
            "wait" => ErrorType::Wait,
            _ => return None,
        })
    }
}

impl Condition {
    /// Every condition of RFC 6120, in the order of its section 8.3.3.
    pub fn all() -> impl Iterator<Item = Condition> {
        CONDITIONS.iter().map(|row| row.0)
    }

    /// The name of the condition's element.
    pub fn as_str(self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|row| row.0 == self)
            .map_or("undefined-condition", |row| row.1)
    }

    /// The condition with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Condition> {
        CONDITIONS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The error type RFC 6120 associates with the condition (the first of them where it names several).
    pub fn default_type(self) -> ErrorType {
        CONDITIONS
            .iter()
            .find(|row| row.0 == self)
            .map_or(ErrorType::Cancel, |row| row.2)
    }
}

impl StanzaError {
    /// An error with the condition's usual type and no text.
    pub fn new(condition: Condition) -> StanzaError {
        StanzaError {
            kind: condition.default_type(),
            condition,
            text: None,
            target: None,
        }
    }

    /// An error with the condition's usual type and words for a human.
    pub fn with_text(condition: Condition, text: impl Into<String>) -> StanzaError {
        StanzaError {
            text: Some(text.into()),
            ..StanzaError::new(condition)
        }
    }
}

impl WireError {
    /// An error with the condition's usual type.
    pub fn new(condition: Condition, text: impl Into<String>) -> WireError {
        WireError {
            kind: condition.default_type(),
            condition,
            text: text.into(),
        }
    }
}

impl From<WireError> for StanzaError {
    fn from(error: WireError) -> StanzaError {
        StanzaError {
            kind: error.kind,
            condition: error.condition,
            text: Some(error.text),
            target: None,
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.condition.as_str(), self.text)
    }
}

impl std::error::Error for WireError {}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StanzaError {}

//! What can go wrong, and what it did to the state.

use std::fmt;

/// An input the engine did not take. **Nothing changed**: the host answers the sender, if there is one,
/// with [`Error::stanza_error`] and may log the text (it names rooms and services, never bodies).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The room named by the host is not distributed here: a bug of the host, or a stale event.
    UnknownRoom,
    /// A peer's stanza was refused. The error is what the peer gets (G11).
    Refused(crate::wire::StanzaError),
    /// The engine panicked earlier and takes no further calls until it is rebuilt from what is stored.
    Poisoned,
}

impl Error {
    /// The `<error/>` a peer gets for this, or `None` when no peer is concerned.
    pub fn stanza_error(&self) -> Option<&crate::wire::StanzaError> {
        match self {
            Error::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownRoom => f.write_str("the room is not distributed here"),
            Error::Refused(error) => {
                write!(f, "{}", error.condition.as_str())?;
                if let Some(text) = &error.text {
                    write!(f, ": {text}")?;
                }
                Ok(())
            }
            Error::Poisoned => f.write_str("the engine failed earlier and must be rebuilt"),
        }
    }
}

impl std::error::Error for Error {}

/// A configuration option with an unusable value. Displays as the one line an administrator sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The option, for example `dmuc_peers`.
    pub option: String,
    /// The value as it was given.
    pub value: String,
    /// What would have been accepted.
    pub accepted: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {}: accepted is {}",
            self.option, self.value, self.accepted
        )
    }
}

impl std::error::Error for ConfigError {}

/// A stored snapshot that cannot be used. Nothing was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreError(pub String);

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored room cannot be restored: {}", self.0)
    }
}

impl std::error::Error for RestoreError {}

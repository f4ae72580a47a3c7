//! `dmuc_voters`: who may follow the sources here.

use std::collections::BTreeSet;

use super::{OptionValue, bad};
use crate::address::BareJid;
use crate::error::ConfigError;

const ACCEPTED: &str = "\"trusted\", \"none\", or a list of service JIDs";

/// At which services instances vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voters {
    /// At those that `dmuc_peers` says are trusted.
    Trusted,
    /// Nowhere but here: nobody can follow a source that is gone.
    Nobody,
    /// At these.
    These(BTreeSet<BareJid>),
}

pub(super) fn read(value: &OptionValue) -> Result<Voters, ConfigError> {
    let wrong = || bad("dmuc_voters", &value.to_string(), ACCEPTED);
    match value {
        OptionValue::Text(text) if text == "trusted" => Ok(Voters::Trusted),
        OptionValue::Text(text) if text == "none" => Ok(Voters::Nobody),
        OptionValue::List(values) => {
            let service = |value: &OptionValue| match value {
                OptionValue::Text(text) => {
                    let jid = BareJid::new(text).ok();
                    jid.filter(|jid| jid.node().is_none()).ok_or_else(wrong)
                }
                _ => Err(wrong()),
            };
            Ok(Voters::These(
                values.iter().map(service).collect::<Result<_, _>>()?,
            ))
        }
        _ => Err(wrong()),
    }
}

//! `dmuc_peers`: a list of services, a table with a policy for each, or a mixture.

use std::collections::{BTreeMap, BTreeSet};

use super::{OptionValue, Peer, bad, parent_domain};
use crate::address::BareJid;
use crate::error::ConfigError;

const ACCEPTED: &str =
    "a list of service JIDs, or a table [\"rooms.example\"] = { domains = { \"example\" }, trusted = false }";

/// Reads `dmuc_peers`. A service may be named more than once, as in another case. An entry without a policy says nothing
/// about it; of several policies only that counts on which all agree: it is trusted if all say so, and speaks for the
/// domains that all have. By default none speaks for `own` domains.
pub(super) fn read(
    value: &OptionValue,
    own: &BTreeSet<String>,
) -> Result<BTreeMap<BareJid, Peer>, ConfigError> {
    let mut named: BTreeMap<BareJid, Option<Peer>> = BTreeMap::new();
    match value {
        OptionValue::List(values) => {
            for value in values {
                let OptionValue::Text(text) = value else {
                    return Err(wrong(&value.to_string()));
                };
                named.entry(service(text)?).or_default();
            }
        }
        OptionValue::Map(entries) => {
            for (key, value) in entries {
                let jid = service(key)?;
                let policy = policy(&jid, value, own)?;
                match (named.entry(jid).or_default(), policy) {
                    (Some(before), Some(policy)) => {
                        before.trusted &= policy.trusted;
                        before.domains.retain(|domain| policy.domains.contains(domain));
                    }
                    (before @ None, policy) => *before = policy,
                    (Some(_), None) => {}
                }
            }
        }
        other => return Err(wrong(&other.to_string())),
    }
    let with_defaults = |(jid, policy): (BareJid, Option<Peer>)| {
        let policy = policy.unwrap_or_else(|| defaults(&jid, own));
        (jid, policy)
    };
    Ok(named.into_iter().map(with_defaults).collect())
}

fn wrong(what: &str) -> ConfigError {
    bad("dmuc_peers", what, ACCEPTED)
}

fn service(text: &str) -> Result<BareJid, ConfigError> {
    match BareJid::new(text) {
        Ok(jid) if jid.node().is_none() && jid.is_bare() && !jid.domain().contains(char::is_whitespace) => {
            Ok(jid)
        }
        _ => Err(wrong(&format!("{text:?}"))),
    }
}

/// What is agreed with a service of which nothing is said.
pub(super) fn defaults(service: &BareJid, own: &BTreeSet<String>) -> Peer {
    let parent = parent_domain(service).filter(|parent| !own.contains(parent));
    Peer {
        domains: parent.into_iter().collect(),
        trusted: false,
    }
}

/// `dmuc_own_domains`: the domains of our own users.
pub(super) fn domains(value: &OptionValue) -> Result<BTreeSet<String>, ConfigError> {
    let accepted = "a domain of this server's users, or a list of them";
    let wrong = |what: String| bad("dmuc_own_domains", &what, accepted);
    let values = match value {
        OptionValue::List(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let read = values.iter().map(|value| match value {
        OptionValue::Text(text) => service(text)
            .map(|jid| jid.domain().to_owned())
            .map_err(|_| wrong(value.to_string())),
        other => Err(wrong(other.to_string())),
    });
    read.collect()
}

/// The policy of one entry; `None` if it says nothing of it: `{ ["rooms.example"] = true }` or an empty table.
pub(super) fn policy(
    jid: &BareJid,
    value: &OptionValue,
    own: &BTreeSet<String>,
) -> Result<Option<Peer>, ConfigError> {
    let OptionValue::Map(policy) = value else {
        if *value == OptionValue::Bool(true) || *value == OptionValue::List(Vec::new()) {
            return Ok(None);
        }
        return Err(wrong(&value.to_string()));
    };
    let mut peer = defaults(jid, own);
    for (name, value) in policy {
        match (name.as_str(), value) {
            ("trusted", OptionValue::Bool(trusted)) => peer.trusted = *trusted,
            ("domains", OptionValue::List(domains)) => {
                peer.domains = domains
                    .iter()
                    .map(|domain| match domain {
                        OptionValue::Text(text) => service(text).map(|jid| jid.domain().to_owned()),
                        other => Err(wrong(&other.to_string())),
                    })
                    .collect::<Result<_, _>>()?;
            }
            _ => return Err(wrong(&format!("{{ {name} = {value} }}"))),
        }
    }
    Ok(Some(peer))
}

//! What is configured and will hardly do what was meant, though no value is wrong: lines for the log.

use std::collections::BTreeMap;

use super::{OptionValue, Options, Peer, peers};
use crate::address::BareJid;

/// The options that [`Config::from_options`](super::Config::from_options) reads.
pub const NAMES: [&str; 35] = [
    "dmuc_link_timeout",
    "dmuc_log_max_age",
    "dmuc_log_max_bytes",
    "dmuc_log_max_messages",
    "dmuc_max_bytes_per_peer",
    "dmuc_max_listed_per_peer",
    "dmuc_max_lives",
    "dmuc_max_occupants_per_peer",
    "dmuc_max_origins",
    "dmuc_max_peerhosts",
    "dmuc_max_presence_bytes_per_peer",
    "dmuc_max_questions",
    "dmuc_max_remote_occupants",
    "dmuc_max_roster_bytes_per_peer",
    "dmuc_max_shadows",
    "dmuc_max_shadows_per_peer",
    "dmuc_max_split_notices",
    "dmuc_max_stanza_size",
    "dmuc_max_stanzas",
    "dmuc_max_unsent",
    "dmuc_max_voice_requests",
    "dmuc_memory",
    "dmuc_occupant_timeout",
    "dmuc_own_domains",
    "dmuc_peers",
    "dmuc_ping_interval",
    "dmuc_redirect",
    "dmuc_redirect_after",
    "dmuc_replicate",
    "dmuc_room_id",
    "dmuc_shadow_names",
    "dmuc_succession_after",
    "dmuc_voters",
    "dmuc_split_notice",
    "dmuc_split_presence",
];

/// What is to be said of the names of all options that are configured: those that can only be meant for this module and are
/// none of its own. `host` are the names that the host has besides [`NAMES`].
pub fn misspelt<'a>(configured: impl IntoIterator<Item = &'a str>, host: &[&str]) -> Vec<String> {
    let known: Vec<&str> = NAMES.iter().chain(host).copied().collect();
    let mut lines = Vec::new();
    for name in configured {
        if known.contains(&name) {
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let is_ours = lower.starts_with("dmuc_") || lower.starts_with("dmuc-");
        let nearest = known
            .iter()
            .map(|option| (distance(&lower, option), *option))
            .min();
        let has_no_effect = format!("{name} is not an option of mod_dmuc and has no effect");
        match nearest {
            // `dmuc_peer`, and `dmcu_peers`, where only this module can be meant.
            Some((by, option)) if is_ours && by * 3 <= option.len().max(9) || by <= 2 => {
                lines.push(format!("{has_no_effect}: did you mean {option}?"));
            }
            _ if is_ours => lines.push(format!("{has_no_effect}: its README lists them")),
            _ => {}
        }
    }
    lines
}

/// What is to be said of peers that are named more than once, as in another case, with policies that differ.
pub fn contradictions(options: &Options) -> Vec<String> {
    let Some(OptionValue::Map(entries)) = options.get("dmuc_peers") else {
        return Vec::new();
    };
    let mut named: BTreeMap<BareJid, (usize, Vec<Peer>)> = BTreeMap::new();
    for (key, value) in entries {
        let Ok(jid) = BareJid::new(key) else { continue };
        let Ok(policy) = peers::policy(&jid, value, &Default::default()) else {
            continue;
        };
        let (count, policies) = named.entry(jid).or_default();
        *count += 1;
        policies.extend(policy);
    }
    let differ = |policies: &[Peer]| policies.windows(2).any(|pair| pair[0] != pair[1]);
    let contradictory = named.iter().filter(|(_, (_, policies))| differ(policies));
    contradictory
        .map(|(jid, (count, _))| {
            format!(
                "dmuc_peers has {jid} {count} times, and not with the same policy: what both say counts; leave one of them"
            )
        })
        .collect()
}

/// How many letters have to be put in, left out, exchanged or swapped to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let exchanged = last[j] + usize::from(x != y);
            let mut least = exchanged.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn every_option_that_is_read_has_its_name_here_and_no_other() {
        let service = BareJid::new("chat.shakespeare.lit").unwrap();
        for name in NAMES {
            let options = Options::from([(name.to_owned(), OptionValue::Number(-0.5))]);
            let error = Config::from_options(service.clone(), &options).unwrap_err();
            assert_eq!(error.option, name);
        }
        // Those of the source of the reader, where they are named once more.
        let sources = [
            include_str!("../config.rs"),
            include_str!("budgets.rs"),
            include_str!("peers.rs"),
        ];
        let quoted = sources.iter().flat_map(|source| source.split('"'));
        let names = quoted.filter(|part| {
            part.starts_with("dmuc_") && part.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
        });
        let unknown: Vec<&str> = names.filter(|name| !NAMES.contains(name)).collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }

    #[test]
    fn a_name_that_can_only_be_meant_for_this_module_is_named_with_the_nearest() {
        let said = |name: &str| misspelt([name], &["dmuc_offer_choice"]).pop().unwrap_or_default();
        for (name, option) in [
            ("dmuc_link_timout", "dmuc_link_timeout"),
            ("dmcu_peers", "dmuc_peers"),
            ("dmuc-room-id", "dmuc_room_id"),
            ("DMUC_PEERS", "dmuc_peers"),
            ("dmuc_offer_choise", "dmuc_offer_choice"),
        ] {
            assert!(
                said(name).ends_with(&format!("did you mean {option}?")),
                "{name}: {}",
                said(name)
            );
        }
        assert!(said("dmuc_frobnicate_everything").ends_with("its README lists them"));
        for name in [
            "dmuc_peers",
            "dmuc_offer_choice",
            "muc_log_by_default",
            "modules_enabled",
            "s2s_secure_auth",
        ] {
            assert_eq!(said(name), "", "{name}");
        }
    }

    #[test]
    fn a_peer_with_two_policies_is_named() {
        let trusted = |trusted| {
            OptionValue::Map(BTreeMap::from([(
                "trusted".to_owned(),
                OptionValue::Bool(trusted),
            )]))
        };
        let said = |entries: [(&str, OptionValue); 2]| {
            let map = entries.map(|(key, value)| (key.to_owned(), value)).into();
            contradictions(&Options::from([("dmuc_peers".to_owned(), OptionValue::Map(map))]))
        };
        let lines = said([
            ("Rooms.Macbeth.lit", trusted(true)),
            ("rooms.macbeth.lit", trusted(false)),
        ]);
        assert!(
            lines.len() == 1 && lines[0].starts_with("dmuc_peers has rooms.macbeth.lit 2 times, "),
            "{lines:?}"
        );
        for other in [trusted(true), OptionValue::Bool(true)] {
            let lines = said([("Rooms.Macbeth.lit", trusted(true)), ("rooms.macbeth.lit", other)]);
            assert_eq!(lines, Vec::<String>::new());
        }
    }

    #[test]
    fn letters_are_counted() {
        for (a, b, by) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("acb", "abc", 1),
            ("abcd", "abc", 1),
            ("xbc", "abc", 1),
        ] {
            assert_eq!(distance(a, b), by, "{a} {b}");
        }
    }
}

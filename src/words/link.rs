//! What an administrator should know of a link to a peer, and what to do about it.

use crate::address::BareJid;
use crate::config::Config;
use crate::engine::{Cause, LinkOverview, Speaks};

/// What there is to say of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong, each with what to do about it.
    pub problems: Vec<String>,
    /// What is worth knowing, and may be meant so.
    pub notes: Vec<String>,
}

/// What there is to say of a link whose peer was asked something `asked_ago_ms` ago.
pub fn of_link(config: &Config, link: &LinkOverview, asked_ago_ms: u64) -> Findings {
    let mut found = Findings::default();
    if let Some(cause) = link.cause {
        found.problems.push(remedy(&config.service, cause));
    } else if link.waits(asked_ago_ms) {
        found.problems.push(format!(
            "it has not answered within {} s: does something on the way swallow what is sent there? dmuc:links() shows whether it \
             does later",
            asked_ago_ms / 1_000
        ));
    }
    if link.is_clock_wrong() {
        let ahead_ms = link.ahead_ms.unwrap_or_default();
        let word = if ahead_ms > 0 { "ahead of" } else { "behind" };
        found.problems.push(format!(
            "its clock is {} s {word} the one here: set the wrong one right (NTP)",
            ahead_ms.unsigned_abs().saturating_add(500) / 1_000
        ));
    }
    let ours = config.max_stanza_size as u64;
    if let Some(theirs) = link.takes
        && theirs != ours
    {
        found.problems.push(format!(
            "it takes messages of up to {theirs} bytes, and this service of up to {ours}: set dmuc_max_stanza_size alike at both"
        ));
    }
    if link.speaks == Speaks::Xep {
        found.notes.push(
            "it speaks only the text of XEP-0281: what its people say while the link is down does not arrive afterwards"
                .to_owned(),
        );
    }
    found
}

/// What is wrong where a link is out of reach, and what to do about it.
fn remedy(ours: &BareJid, cause: Cause) -> String {
    let text = match cause {
        Cause::Silent => {
            "it takes what it is sent and answers nothing: is Prosody stuck there, or does a firewall swallow it?"
        }
        Cause::Unreachable => {
            "it cannot be reached, and no reason is known: see the log for its server's name, and prosodyctl mod_dmuc check"
        }
        Cause::Dns => {
            "its name cannot be resolved: is it spelt right in dmuc_peers, and has it SRV or address records?"
        }
        Cause::ConnectionRefused => {
            "its server takes no connections: is Prosody running there, and is its port for servers open?"
        }
        Cause::Certificate => {
            "one server does not accept the certificate of the other: both have to be valid for the names of the MUC services, and \
             not expired (prosodyctl check certs, on both)"
        }
        Cause::NoModule => "it does not support distributed rooms: mod_dmuc has to be loaded for it",
        Cause::NotPeered => {
            return format!("it does not share rooms with this service: its dmuc_peers has to name {ours}");
        }
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::LinkState;

    fn config() -> Config {
        Config::new(BareJid::new("chat.shakespeare.lit").unwrap())
    }

    fn link() -> LinkOverview {
        LinkOverview {
            service: BareJid::new("rooms.macbeth.lit").unwrap(),
            state: LinkState::Up,
            for_ms: Some(60_000),
            cause: None,
            speaks: Speaks::Ours,
            answered_ago_ms: Some(1_000),
            next_in_ms: Some(20_000),
            ahead_ms: Some(-60_000),
            takes: Some(262_144),
            rooms: 1,
            behind: 0,
            endings: 0,
        }
    }

    #[test]
    fn nothing_is_said_of_a_link_that_is_fine() {
        assert_eq!(of_link(&config(), &link(), 1_000), Findings::default());
    }

    #[test]
    fn whoever_does_not_answer_is_not_fine() {
        for (state, answered_ago_ms) in [
            (LinkState::Up, Some(13_000)),
            (LinkState::Syncing, Some(13_000)),
            (LinkState::Unknown, None),
        ] {
            let silent = LinkOverview {
                state,
                answered_ago_ms,
                ..link()
            };
            let found = of_link(&config(), &silent, 12_100);
            assert_eq!(found.problems.len(), 1, "{state:?}");
            assert!(found.problems[0].starts_with("it has not answered within 12 s: "));
        }
    }

    #[test]
    fn every_cause_has_its_remedy() {
        for cause in [
            Cause::Silent,
            Cause::Unreachable,
            Cause::Dns,
            Cause::ConnectionRefused,
            Cause::Certificate,
            Cause::NoModule,
            Cause::NotPeered,
        ] {
            let down = LinkOverview {
                state: LinkState::Down,
                cause: Some(cause),
                answered_ago_ms: None,
                ..link()
            };
            let found = of_link(&config(), &down, 12_000);
            assert_eq!(found.problems, [remedy(&config().service, cause)]);
        }
    }

    #[test]
    fn what_is_not_alike_is_told() {
        let unlike = LinkOverview {
            ahead_ms: Some(600_200),
            takes: Some(65_536),
            speaks: Speaks::Xep,
            ..link()
        };
        let found = of_link(&config(), &unlike, 1_000);
        assert!(found.problems[0].starts_with("its clock is 600 s ahead of the one here"));
        assert!(
            found.problems[1]
                .starts_with("it takes messages of up to 65536 bytes, and this service of up to 262144")
        );
        assert!(found.notes[0].starts_with("it speaks only the text of XEP-0281"));
        let behind = LinkOverview {
            ahead_ms: Some(-61_000),
            ..link()
        };
        let found = of_link(&config(), &behind, 1_000);
        assert!(found.problems[0].starts_with("its clock is 61 s behind the one here"));
    }
}

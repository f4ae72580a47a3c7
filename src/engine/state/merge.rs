//! Conflict rules: pure functions that give the same answer on every instance.

use crate::address::{BareJid, MAX_PART_BYTES};

/// One side of a nick clash (DESIGN section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender<'a> {
    /// Whether the nick is registered to this occupant's bare JID (XEP-0045 section 7.10).
    pub owns_nick: bool,
    /// Whether its home is the source.
    pub at_source: bool,
    /// When it took the nick: Unix ms on its home's clock.
    pub since_ms: u64,
    /// Its home.
    pub home: &'a BareJid,
}

/// Whether `a` keeps the nick against `b`: the nick's registered owner, else the source's occupant, else who
/// took it earlier, else the smaller instance JID. For different homes exactly one side wins (G6, G8).
pub fn keeps_nick(a: &Contender<'_>, b: &Contender<'_>) -> bool {
    let rank = |side: &Contender<'_>| (!side.owns_nick, !side.at_source, side.since_ms);
    (rank(a), a.home) < (rank(b), b.home)
}

/// A free nick close to `nick`, for who loses a clash (303 and 210 tell the client).
pub fn free_nick(nick: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut number = 2u32;
    loop {
        let suffix = format!(" ({number})");
        let mut end = nick.len().min(MAX_PART_BYTES - suffix.len());
        while !nick.is_char_boundary(end) {
            end -= 1;
        }
        let candidate = format!("{}{suffix}", nick.get(..end).unwrap_or_default());
        if !is_taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_apply_in_their_order_and_one_side_wins() {
        let (x, y) = (BareJid::new("r@x").unwrap(), BareJid::new("r@y").unwrap());
        let side = |owns_nick, at_source, since_ms, home| Contender {
            owns_nick,
            at_source,
            since_ms,
            home,
        };
        let cases = [
            (side(true, false, 9, &y), side(false, true, 1, &x)),
            (side(false, true, 9, &y), side(false, false, 1, &x)),
            (side(false, false, 1, &y), side(false, false, 9, &x)),
            (side(false, false, 5, &x), side(false, false, 5, &y)),
        ];
        for (winner, loser) in cases {
            assert!(keeps_nick(&winner, &loser), "{winner:?} against {loser:?}");
            assert!(!keeps_nick(&loser, &winner), "{loser:?} against {winner:?}");
        }
    }

    #[test]
    fn a_free_nick_is_free() {
        assert_eq!(free_nick("alice", |nick| nick == "alice (2)"), "alice (3)");
        let longest = "ä".repeat(MAX_PART_BYTES / 2);
        let nick = free_nick(&longest, |_| false);
        assert!(nick.len() <= MAX_PART_BYTES && nick.ends_with("ä (2)"), "{nick}");
    }
}

//! A peer that sends more than it may is read more slowly (G13): nothing of what it sends is lost, and others do not wait for it.

use crate::support::federation::{Federation, config_of};
use crate::support::host::Host;
use crate::support::names::*;

const SERVICES: [&str; 3] = [CHAT, ROOMS, CONF];

fn coven(change: impl Fn(&mut dmuc::Config)) -> Federation {
    let mut fed = Federation::empty(1);
    for service in SERVICES {
        let mut config = config_of(service, &SERVICES);
        change(&mut config);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.run_for(60_000);
    fed
}

fn host<'f>(fed: &'f mut Federation, service: &str) -> &'f mut Host {
    fed.hosts.get_mut(&bare(service)).unwrap()
}

/// Something of no consequence, from a room of the peer that is no instance of ours.
fn refused(from: &str, id: usize) -> String {
    format!("<iq from='heath@{from}' to='{COVEN}' id='q{id}' type='get'><sync xmlns='urn:x-dmuc:0'/></iq>")
}

/// A question that is answered.
fn asked(from: &str, id: usize, bytes: usize) -> String {
    let padding = " ".repeat(bytes);
    format!(
        "<iq from='{from}' to='{COVEN}' id='q{id}' type='get'><sync xmlns='urn:x-dmuc:0'>{padding}</sync></iq>"
    )
}

/// Hands in what a host reads that does as it is told, from a peer that never stops, for so long. Returns how many stanzas.
fn flood(fed: &mut Federation, for_ms: u64, stanza: impl Fn(usize) -> String) -> usize {
    let (mut handled, mut reads_at) = (0, 0);
    for ms in 0..for_ms {
        if ms >= reads_at {
            for _ in 0..20 {
                fed.hand_in(&bare(CHAT), &stanza(handled));
                handled += 1;
            }
        }
        for (_, pause_ms) in std::mem::take(&mut host(fed, CHAT).slowed) {
            reads_at = ms + pause_ms;
        }
        fed.run_for(1);
    }
    handled
}

#[test]
fn who_never_stops_is_read_as_fast_as_it_may_and_nobody_else_is_slowed() {
    let mut fed = coven(|config| config.budgets.max_stanzas = 100);
    let handled = flood(&mut fed, 10_000, |id| asked(COVEN_AT_ROOMS, id, 0));
    // 100 a second, 200 at once, and what is read at once.
    assert!((1_000..=1_240).contains(&handled), "{handled}");
    let before = fed.host(CHAT).slowed.len();
    fed.hand_in(&bare(CHAT), &asked("coven@conference.marlowe.lit", 0, 0));
    assert_eq!(fed.host(CHAT).slowed.len(), before);
    // It can be reached as before.
    fed.run_for(60_000);
    fed.join(FOO, CRONE1);
    fed.say(FOO, "hail");
    fed.run();
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 1);
    assert_eq!(
        fed.host(CHAT).engine.link_state(&bare(ROOMS)),
        dmuc::engine::LinkState::Up
    );
}

#[test]
fn what_is_refused_and_what_is_long_counts_for_more() {
    let mut fed = coven(|config| config.budgets.max_stanzas = 100);
    let handled = flood(&mut fed, 10_000, |id| refused(ROOMS, id));
    assert!(
        handled <= 420,
        "two readings a second at the least, and at the most: {handled}"
    );
    let mut fed = coven(|config| config.budgets.max_stanzas = 100);
    let handled = flood(&mut fed, 10_000, |id| asked(COVEN_AT_ROOMS, id, 9 * 1_024));
    assert!(handled <= 420, "{handled}");
}

#[test]
fn however_much_it_sent_it_is_read_again_soon() {
    for (link_timeout_ms, longest) in [(60_000, 500), (1_000, 250)] {
        let mut fed = coven(|config| {
            config.budgets.max_stanzas = 10;
            config.link_timeout_ms = link_timeout_ms;
        });
        for id in 0..10_000 {
            fed.hand_in(&bare(CHAT), &refused(ROOMS, id));
        }
        let slowed = std::mem::take(&mut host(&mut fed, CHAT).slowed);
        assert!(!slowed.is_empty() && slowed.len() < 100, "{}", slowed.len());
        let most = slowed.iter().map(|(_, pause_ms)| *pause_ms).max();
        assert_eq!(most, Some(longest));
        assert!(slowed.iter().all(|(service, _)| *service == bare(ROOMS)));
    }
}

#[test]
fn after_the_longest_pause_it_owes_nothing() {
    let mut fed = coven(|config| config.budgets.max_stanzas = 10);
    for id in 0..1_000 {
        fed.hand_in(&bare(CHAT), &refused(ROOMS, id));
    }
    host(&mut fed, CHAT).slowed.clear();
    fed.run_for(500);
    fed.hand_in(&bare(CHAT), &asked(COVEN_AT_ROOMS, 0, 0));
    assert_eq!(fed.host(CHAT).slowed, [(bare(ROOMS), 100)], "ten a second");
}

#[test]
fn what_was_asked_for_comes_as_fast_as_it_can() {
    let mut fed = coven(|config| config.budgets.max_stanzas = 20);
    fed.join(FOO, CRONE1);
    fed.run();
    fed.net
        .set_mode(&bare(CHAT), &bare(ROOMS), crate::support::net::Mode::Swallows);
    for number in 0..200 {
        fed.say(FOO, &format!("{number} {}", "x".repeat(4_000)));
    }
    fed.run_for(300_000);
    host(&mut fed, ROOMS).slowed.clear();
    fed.net.heal();
    fed.run();
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 200);
    assert_eq!(fed.host(ROOMS).slowed, []);
}

#[test]
fn whose_answers_wait_behind_a_flood_is_not_taken_for_gone() {
    let mut fed = coven(|config| config.budgets.max_stanzas = 10);
    let mode = crate::support::net::Mode::Swallows;
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), mode);
    let timeouts = |fed: &mut Federation, count: u64| {
        for second in 0..count * 60 {
            for id in 0..3 {
                fed.hand_in(&bare(CHAT), &refused(ROOMS, id + second as usize));
            }
            fed.run_for(1_000);
        }
        fed.host(CHAT).engine.link_state(&bare(ROOMS))
    };
    assert_eq!(timeouts(&mut fed, 5), dmuc::engine::LinkState::Up);
    assert_eq!(
        timeouts(&mut fed, 10),
        dmuc::engine::LinkState::Down,
        "not for ever"
    );
}

#[test]
fn who_is_no_peer_is_not_of_our_concern() {
    let mut fed = coven(|config| config.budgets.max_stanzas = 10);
    for id in 0..1_000 {
        fed.hand_in(&bare(CHAT), &refused("rooms.elsinore.lit", id));
    }
    assert_eq!(fed.host(CHAT).slowed, []);
}

/// What is packed weighs as much as what is in it.
#[test]
fn who_sends_little_that_is_much_to_read_is_read_no_faster_for_it() {
    let roster = format!(
        "<roster xmlns='urn:xmpp:dmuc:0'>{}</roster>",
        " ".repeat(1_000_000)
    );
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(roster.as_bytes(), 9);
    let base64 = data_encoding::BASE64.encode(&compressed);
    assert!(base64.len() < 2_000);
    let bomb = |id: usize| {
        format!(
            "<iq from='{COVEN_AT_ROOMS}' to='{COVEN}' id='q{id}' type='set'><packed xmlns='urn:x-dmuc:0' abytes='1' bytes='{}'>{base64}</packed></iq>",
            roster.len()
        )
    };
    let mut fed = coven(|_| ());
    // Twenty are handed in at a time, and then there is a pause of half a second.
    let handled = flood(&mut fed, 5_000, bomb);
    assert!((20..=220).contains(&handled), "{handled}");
}

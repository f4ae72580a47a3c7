//! What was missed comes back: from both sides, once, in order, and only that (G3, G4, G6, G10).

use dmuc::wire::{Affiliation, Condition};

use crate::support::event::{Crossing, Seen};
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const SERVICES: [&str; 3] = [CHAT, ROOMS, CONF];

fn coven_with(change: impl Fn(&mut dmuc::Config)) -> Federation {
    coven_in(Federation::empty(1), change)
}

fn coven_in(mut fed: Federation, change: impl Fn(&mut dmuc::Config)) -> Federation {
    for service in SERVICES {
        let mut config = config_of(service, &SERVICES);
        change(&mut config);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.run();
    fed.forget();
    fed
}

fn coven() -> Federation {
    coven_with(|_| {})
}

fn cut(fed: &mut Federation, a: &str, b: &str) {
    fed.net.set_mode(&bare(a), &bare(b), Mode::Swallows);
    fed.run_for(100_000);
}

fn heal(fed: &mut Federation) {
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// What was shown with a delay at a place.
fn delayed(fed: &Federation, place: &str) -> Vec<String> {
    let messages = fed.messages(place).into_iter().filter(|message| message.delayed);
    messages
        .map(|message| crate::support::view::body(&message.payload))
        .collect()
}

fn expect_one_history(fed: &Federation) {
    let history = fed.history(COVEN);
    for room in [COVEN_AT_ROOMS, COVEN_AT_CONF] {
        assert_eq!(fed.history(room), history, "{room}");
    }
}

#[test]
fn both_sides_get_what_the_other_one_said_once_and_in_order() {
    let mut fed = coven();
    cut(&mut fed, CHAT, ROOMS);
    cut(&mut fed, CONF, ROOMS);
    let (ours, theirs) = (numbered("here ", 30), numbered("there ", 30));
    for (here, there) in ours.iter().zip(&theirs) {
        fed.say(FOO, here);
        fed.say(WITCH_PLACE, there);
        fed.run_for(1_000);
    }
    heal(&mut fed);
    assert_eq!(delayed(&fed, FOO), theirs);
    assert_eq!(delayed(&fed, WITCH_PLACE), ours);
    expect_one_history(&fed);
    assert_eq!(fed.history(COVEN).len(), 60);
}

/// How far the clocks are apart decides only until two instances have agreed once.
#[test]
fn a_clock_that_is_far_behind_hides_nothing_that_was_missed() {
    let mut fed = Federation::empty(1);
    fed.skew_ms.insert(bare(ROOMS), -1_200_000);
    let mut fed = coven_in(fed, |_| {});
    cut(&mut fed, CHAT, ROOMS);
    cut(&mut fed, CONF, ROOMS);
    fed.say(WITCH_PLACE, "by an old clock");
    heal(&mut fed);
    for place in [FOO, FAUST_PLACE] {
        assert_eq!(delayed(&fed, place), ["by an old clock"], "{place}");
    }
    expect_one_history(&fed);
}

/// What had been said when the shadow came into being is told by numbers, not by clocks.
#[test]
fn who_comes_with_a_new_shadow_misses_nothing_whatever_the_clocks_say() {
    for (skew_ms, is_restarted) in [(-1_200_000, false), (-1_200_000, true), (1_200_000, false)] {
        let mut fed = Federation::empty(1);
        fed.skew_ms.insert(bare(CHAT), skew_ms);
        fed.add(config_of(CHAT, &[CHAT, ROOMS]));
        fed.add(config_of(ROOMS, &[CHAT, ROOMS]));
        fed.create(COVEN, CRONE1, &[]);
        fed.join(FOO, CRONE1);
        fed.say(FOO, "before");
        fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
        while fed.try_join(WITCH_PLACE, WITCH).is_err() {
            assert!(fed.step(10_000), "the shadow does not come");
        }
        // Its first question is lost.
        fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
        fed.run_for(1_000);
        if is_restarted {
            fed.restart(ROOMS);
            fed.join(WITCH_PLACE, WITCH);
        }
        fed.say(FOO, "missed");
        heal(&mut fed);
        assert_eq!(delayed(&fed, WITCH_PLACE), ["missed"], "{skew_ms} {is_restarted}");
        assert_eq!(fed.history(COVEN_AT_ROOMS), fed.history(COVEN));
    }
}

#[test]
fn what_was_missed_comes_in_pages_and_nothing_comes_twice() {
    let mut fed = coven();
    cut(&mut fed, CHAT, ROOMS);
    let said = numbered("line ", 700);
    for text in &said {
        fed.say(FOO, text);
    }
    fed.run_for(1_000);
    fed.forget();
    heal(&mut fed);
    assert_eq!(fed.heard(WITCH_PLACE), said);
    let pages = fed.tally(ROOMS, CHAT)["sync"];
    assert!((4..=8).contains(&pages), "{pages} questions");
}

#[test]
fn a_resync_that_is_cut_in_the_middle_goes_on_where_it_was() {
    let mut fed = coven();
    cut(&mut fed, CHAT, ROOMS);
    let said = numbered("line ", 1_000);
    for text in &said {
        fed.say(FOO, text);
    }
    fed.net.heal();
    while delayed(&fed, WITCH_PLACE).is_empty() {
        assert!(fed.step(u64::MAX));
    }
    let before = delayed(&fed, WITCH_PLACE).len();
    assert!(before < said.len());
    cut(&mut fed, CHAT, ROOMS);
    fed.say(FOO, "meanwhile");
    heal(&mut fed);
    let expected: Vec<String> = said.into_iter().chain(["meanwhile".to_owned()]).collect();
    assert_eq!(fed.heard(WITCH_PLACE), expected);
    expect_one_history(&fed);
}

#[test]
fn the_last_message_that_was_swallowed_is_found_by_the_next_digest() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.say(FOO, "the last one");
    fed.net.heal();
    // Nothing failed as far as anybody knows.
    fed.run_for(35_000);
    assert_eq!(fed.heard(WITCH_PLACE), ["the last one"]);
    assert!(fed.notices(CHAT).iter().all(|notice| !notice.contains("Split")));
}

#[test]
fn a_gap_is_filled_without_a_full_resync() {
    let mut fed = coven();
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.say(FOO, "lost");
    fed.net.heal();
    fed.forget();
    fed.say(FOO, "seen");
    fed.run_for(500);
    assert_eq!(fed.heard(WITCH_PLACE), ["lost", "seen"]);
    assert_eq!(fed.tally(ROOMS, CHAT)["sync"], 1);
    assert!(!fed.tally(CHAT, ROOMS).contains_key("digest"));
}

#[test]
fn shadows_that_cannot_reach_each_other_hear_each_other_through_the_source() {
    let mut fed = coven();
    cut(&mut fed, ROOMS, CONF);
    fed.say(WITCH_PLACE, "hail");
    fed.say(FAUST_PLACE, "settle thy studies");
    fed.run_for(100_000);
    assert_eq!(fed.heard(FAUST_PLACE), ["settle thy studies", "hail"]);
    assert_eq!(fed.heard(WITCH_PLACE), ["hail", "settle thy studies"]);
    expect_one_history(&fed);
    let before = fed.history(COVEN);
    heal(&mut fed);
    assert_eq!(fed.history(COVEN_AT_CONF), before);
    assert_eq!(fed.heard(FAUST_PLACE).len(), 2, "nothing is shown again");
}

#[test]
fn a_shadow_relays_only_to_those_who_trust_it() {
    for trusted in [false, true] {
        let mut fed = coven_with(|config| {
            if let Some(peer) = config.peers.get_mut(&bare(CONF))
                && config.service == bare(ROOMS)
            {
                peer.trusted = trusted;
            }
        });
        cut(&mut fed, CHAT, ROOMS);
        fed.say(FOO, "from the source");
        fed.run_for(100_000);
        let heard = fed.heard(WITCH_PLACE);
        assert_eq!(
            heard.contains(&"from the source".to_owned()),
            trusted,
            "{heard:?}"
        );
        heal(&mut fed);
        assert_eq!(fed.heard(WITCH_PLACE), ["from the source"]);
        expect_one_history(&fed);
    }
}

#[test]
fn what_is_beyond_retention_is_told_as_a_gap() {
    let mut fed = coven_with(|config| config.log_max_messages = 20);
    fed.say(FOO, "before");
    fed.run();
    cut(&mut fed, CHAT, ROOMS);
    for text in numbered("line ", 50) {
        fed.say(FOO, &text);
    }
    heal(&mut fed);
    assert_eq!(delayed(&fed, WITCH_PLACE), numbered("line ", 50)[30..]);
    let gap = format!("{COVEN_AT_ROOMS} {CHAT} Gap {{ messages: 30 }}");
    assert!(fed.notices(ROOMS).contains(&gap), "{:?}", fed.notices(ROOMS));
    fed.run_for(100_000);
    fed.run();
    let gaps = fed.notices(ROOMS).into_iter().filter(|notice| *notice == gap);
    assert_eq!(gaps.count(), 1, "said once");
}

#[test]
fn a_message_that_was_reflected_survives_the_death_of_its_server() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Swallows);
    fed.say(FOO, "last words");
    fed.crash(&bare(CHAT), false);
    fed.net.heal();
    fed.start(&bare(CHAT));
    heal(&mut fed);
    assert_eq!(fed.heard(WITCH_PLACE), ["last words"]);
    assert_eq!(fed.heard(FAUST_PLACE), ["last words"]);
    expect_one_history(&fed);
}

#[test]
fn after_a_restored_backup_nothing_new_is_taken_for_old() {
    let mut fed = coven();
    fed.at(&bare(ROOMS), |host| host.backup());
    fed.say(WITCH_PLACE, "first life");
    fed.run();
    fed.at(&bare(ROOMS), |host| {
        host.crash(false);
        assert!(host.restore_backup());
    });
    fed.start(&bare(ROOMS));
    fed.join(WITCH_PLACE, WITCH);
    fed.say(WITCH_PLACE, "second life");
    heal(&mut fed);
    assert_eq!(fed.heard(FOO), ["first life", "second life"]);
    // What it had said itself and lost comes back from the source.
    expect_one_history(&fed);
}

/// Its clock is behind what it has said itself: the number of its life says that it was there.
#[test]
fn what_was_lost_before_the_clock_was_set_back_comes_back() {
    let mut fed = coven();
    fed.at(&bare(ROOMS), |host| host.flush());
    fed.say(WITCH_PLACE, "lost");
    fed.run();
    fed.crash(&bare(ROOMS), true);
    fed.skew_ms.insert(bare(ROOMS), -600_000);
    fed.start(&bare(ROOMS));
    assert!(fed.history(COVEN_AT_ROOMS).is_empty());
    fed.run_for(100_000);
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 1);
    expect_one_history(&fed);
}

/// Each restart begins a life that is ahead of the clock; a backup from before them begins one that is not.
#[test]
fn what_was_said_in_later_lives_than_a_restored_backup_knows_of_comes_back() {
    let mut fed = coven();
    fed.at(&bare(ROOMS), |host| host.backup());
    for _ in 0..3 {
        fed.restart(ROOMS);
    }
    fed.join(WITCH_PLACE, WITCH);
    fed.say(WITCH_PLACE, "third life");
    heal(&mut fed);
    fed.at(&bare(ROOMS), |host| {
        host.crash(false);
        assert!(host.restore_backup());
    });
    fed.start(&bare(ROOMS));
    fed.join(WITCH_PLACE, WITCH);
    heal(&mut fed);
    fed.say(WITCH_PLACE, "fourth life");
    heal(&mut fed);
    expect_one_history(&fed);
    assert_eq!(fed.history(COVEN_AT_ROOMS).len(), 2);
}

#[test]
fn a_heal_tells_only_what_is_different_in_the_roster() {
    let mut sizes = Vec::new();
    for people in [5, 200] {
        let mut fed = coven();
        for number in 0..people {
            fed.join(
                &format!("{COVEN}/n{number}"),
                &format!("user{number}@shakespeare.lit/x"),
            );
        }
        fed.run();
        cut(&mut fed, CHAT, ROOMS);
        fed.leave(&format!("{COVEN}/n0"));
        fed.join(&format!("{COVEN}/late"), "late@shakespeare.lit/x");
        fed.run_for(1_000);
        let session = fed.session(WITCH_PLACE);
        fed.forget();
        let before = fed.net.direction(&bare(CHAT), &bare(ROOMS)).bytes;
        heal(&mut fed);
        sizes.push(fed.net.direction(&bare(CHAT), &bare(ROOMS)).bytes - before);
        let gone: Vec<String> = fed
            .seen_by(COVEN_AT_ROOMS, session)
            .into_iter()
            .filter_map(|seen| match seen {
                Seen::Gone { nick, .. } => Some(nick),
                _ => None,
            })
            .collect();
        assert_eq!(gone, ["n0"], "nobody else leaves");
        assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
    }
    assert!(sizes[1] < sizes[0] + 200, "{sizes:?} bytes with 5 and 200 people");
}

#[test]
fn a_change_of_settings_that_was_missed_brings_only_that_change() {
    let mut sizes = Vec::new();
    for members in [5, 300] {
        let mut fed = coven();
        for number in 0..members {
            fed.affiliate(FOO, &format!("user{number}@shakespeare.lit"), Affiliation::Member);
        }
        fed.run();
        cut(&mut fed, CHAT, ROOMS);
        fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Member);
        fed.affiliate(FOO, "user0@shakespeare.lit", Affiliation::None);
        fed.configure(FOO, &[("muc#roomconfig_roomname", "Heath")]);
        fed.run_for(1_000);
        let before = fed.net.direction(&bare(CHAT), &bare(ROOMS)).bytes;
        heal(&mut fed);
        sizes.push(fed.net.direction(&bare(CHAT), &bare(ROOMS)).bytes - before);
        let (source, shadow) = (
            &fed.host(CHAT).room(&bare(COVEN)).affiliations,
            &fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).affiliations,
        );
        assert_eq!(source, shadow);
        assert_eq!(
            fed.field(COVEN_AT_ROOMS, "muc#roomconfig_roomname").as_deref(),
            Some("Heath")
        );
    }
    assert!(
        sizes[1] < sizes[0] + 200,
        "{sizes:?} bytes with 5 and 300 members"
    );
}

#[test]
fn a_heal_with_nothing_missed_costs_one_question_each_way() {
    let mut fed = coven();
    cut(&mut fed, CHAT, ROOMS);
    fed.forget();
    fed.net.heal();
    fed.run();
    for (from, to) in [(CHAT, ROOMS), (ROOMS, CHAT)] {
        let tally = fed.tally(from, to);
        assert!(
            !tally.contains_key("sync") && !tally.contains_key("roster"),
            "{tally:?}"
        );
        assert!(tally["digest"] <= 2, "{tally:?}");
    }
}

#[test]
fn nothing_is_sent_into_a_link_that_is_down_but_probes() {
    let mut fed = coven();
    cut(&mut fed, CHAT, ROOMS);
    fed.forget();
    fed.say(FOO, "into the void");
    fed.update(FOO, "<show>away</show>");
    fed.run_for(30_000);
    let sent = fed.crossed(CHAT, ROOMS);
    assert!(
        sent.iter().all(|what| *what == Crossing::Request("query".into())),
        "{sent:?}"
    );
}

#[test]
fn a_shadow_that_was_away_learns_of_the_end() {
    let mut fed = coven();
    let session = fed.session(WITCH_PLACE);
    cut(&mut fed, CHAT, ROOMS);
    let venue = bare("heath@chat.shakespeare.lit");
    fed.at(&bare(CHAT), |host| {
        host.destroy(&bare(COVEN), Some("moved"), Some(&venue))
    });
    fed.run_for(1_000);
    // It is remembered even over a restart.
    fed.restart(CHAT);
    heal(&mut fed);
    let end = Seen::Destroyed {
        reason: Some("moved".into()),
        venue: Some(venue),
    };
    assert!(fed.seen_by(COVEN_AT_ROOMS, session).contains(&end));
    for service in SERVICES {
        assert!(
            fed.host(service).stored.is_empty(),
            "{service} remembers it for ever"
        );
    }
}

#[test]
fn private_messages_fail_in_bounded_time() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    let started = fed.now_ms;
    let token = fed
        .here(FOO, |host, room, nick| host.whisper(room, nick, "witch", false))
        .expect("she is elsewhere");
    let failed = |fed: &Federation| {
        fed.events.iter().any(|event| {
            matches!(event, crate::support::event::Event::PrivateEnded { token: ended, is_done: false, .. }
                if *ended == token)
        })
    };
    while !failed(&fed) && fed.step(started + 200_000) {}
    assert!(
        failed(&fed) && fed.now_ms - started <= 61_000,
        "{}",
        fed.now_ms - started
    );
    // From then on at once.
    let refused = fed.at(&bare(CHAT), |host| {
        host.engine.handle_input(
            host.now,
            dmuc::Input::Private {
                room: &bare(COVEN),
                nick: "witch",
                token: 999,
                is_request: true,
            },
        )
    });
    let error = refused.unwrap_err();
    let condition = error.stanza_error().map(|error| error.condition);
    assert_eq!(condition, Some(Condition::RemoteServerNotFound));
}

/// Who says something now is heard at once, or is behind.
#[test]
fn an_instance_is_behind_from_a_split_until_what_was_missed_is_here() {
    let mut fed = coven();
    let behind = |fed: &Federation| {
        let pairs = fed.host(ROOMS).engine.behind();
        let pairs = pairs.map(|(room, instance)| (room.to_string(), instance.to_string()));
        pairs.collect::<Vec<_>>()
    };
    assert_eq!(behind(&fed), []);
    cut(&mut fed, CHAT, ROOMS);
    fed.say(FOO, "Thrice to thine");
    assert_eq!(behind(&fed), [(COVEN_AT_ROOMS.to_owned(), COVEN.to_owned())]);
    heal(&mut fed);
    assert_eq!(behind(&fed), []);
}

//! The room's avatar (XEP-0486): set by owners anywhere, decided at the source, and the same everywhere.

use dmuc::wire::limits::MAX_AVATAR_BYTES;
use dmuc::wire::{Affiliation, Condition, Picture};
use dmuc::{Error, Input};

use crate::scenes;
use crate::support::avatar::vcard;
use crate::support::event::{Event, Seen, What};
use crate::support::federation::Federation;
use crate::support::moderate::Wish;
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::people::Denied;

const EVERYWHERE: [&str; 3] = [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF];

/// foo at the source and the witch at a shadow own it, faust at another one does not.
fn coven() -> Federation {
    let mut fed = scenes::coven();
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.run();
    fed.forget();
    fed
}

fn token(wish: Wish) -> u64 {
    match wish {
        Wish::Asked(token) => token,
        Wish::Done => panic!("it was not asked for elsewhere"),
    }
}

fn shown(fed: &Federation, place: &str) -> Vec<String> {
    let seen = fed.seen(place).into_iter();
    seen.filter_map(|seen| match seen {
        Seen::Avatar(vcard) => Some(vcard),
        _ => None,
    })
    .collect()
}

fn expect_everywhere(fed: &Federation, vcard: &str) {
    for room in EVERYWHERE {
        assert!(fed.avatar(room) == vcard, "{room} has another avatar");
    }
}

fn cut(fed: &mut Federation) {
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
}

fn heal(fed: &mut Federation) {
    fed.net.heal();
    fed.run_for(100_000);
    fed.run();
}

#[test]
fn one_that_is_set_at_the_source_is_seen_everywhere_once() {
    let mut fed = coven();
    for avatar in [vcard("one", 40_000), vcard("two", 400), String::new()] {
        fed.forget();
        fed.set_avatar(FOO, &avatar);
        fed.run();
        expect_everywhere(&fed, &avatar);
        for place in [FOO, WITCH_PLACE, FAUST_PLACE] {
            assert_eq!(shown(&fed, place), std::slice::from_ref(&avatar), "{place}");
        }
    }
}

#[test]
fn one_that_is_set_at_a_shadow_is_decided_at_the_source() {
    let mut fed = coven();
    let avatar = vcard("witch", 40_000);
    let wish = fed.set_avatar(WITCH_PLACE, &avatar);
    assert_eq!(
        fed.avatar(COVEN_AT_ROOMS),
        "",
        "nothing is shown before the source says so"
    );
    fed.run();
    assert_eq!(fed.act_error(ROOMS, token(wish)), None);
    expect_everywhere(&fed, &avatar);
    let wish = fed.set_avatar(WITCH_PLACE, "");
    fed.run();
    assert_eq!(fed.act_error(ROOMS, token(wish)), None);
    expect_everywhere(&fed, "");
}

/// In 8,000 bytes at a time, to each who has it not, and never back to who has set it.
#[test]
fn it_crosses_once_and_in_parts() {
    let mut fed = coven();
    fed.set_avatar(WITCH_PLACE, &vcard("witch", 40_000));
    fed.run();
    let asked = |from, to| fed.tally(from, to).get("avatar").copied().unwrap_or(0);
    assert_eq!((asked(CHAT, ROOMS), asked(CONF, CHAT)), (6, 6));
    assert_eq!((asked(ROOMS, CHAT), asked(CHAT, CONF)), (0, 0));
    assert_eq!((asked(ROOMS, CONF), asked(CONF, ROOMS)), (0, 0));
    let most = |fed: &Federation| fed.net.largest;
    assert!(most(&fed) < 10_000, "{} bytes in one stanza", most(&fed));
    // What has nothing to do with it does not bring it again.
    fed.forget();
    fed.configure(FOO, &[("muc#roomconfig_roomdesc", "A dark cave")]);
    fed.run();
    assert_eq!(fed.tally(CONF, CHAT).get("avatar"), None);
}

#[test]
fn only_owners_set_it_wherever_they_are() {
    let mut fed = coven();
    let avatar = vcard("faust", 400);
    let denied = fed.at(&bare(CONF), |host| {
        let (room, nick) = seat(FAUST_PLACE);
        host.set_avatar(&room, &nick, &avatar)
    });
    assert_eq!(denied, Err(Denied::NotEntitled));
    // The instance says so all the same.
    let lie = format!(
        "<iq xmlns='jabber:client' type='set' id='lie' from='{COVEN_AT_CONF}' to='{COVEN}'>\
         <act xmlns='urn:x-dmuc:0' nick='faust' jid='faust@marlowe.lit'><avatar hash='1f' bytes='400'/></act></iq>"
    );
    fed.forge(&bare(CONF), lie);
    fed.run();
    assert_eq!(
        fed.tally(CHAT, CONF).get("avatar"),
        None,
        "it is not even asked for"
    );
    expect_everywhere(&fed, "");
}

#[test]
fn those_that_are_set_while_another_is_on_its_way_are_decided_in_order() {
    let mut fed = coven();
    let avatars = [vcard("one", 60_000), vcard("two", 400), vcard("three", 4_000)];
    let wishes: Vec<Wish> = avatars
        .iter()
        .map(|avatar| fed.set_avatar(WITCH_PLACE, avatar))
        .collect();
    // Four may wait.
    let more: Vec<Wish> = (0..3)
        .map(|n| fed.set_avatar(WITCH_PLACE, &vcard(&format!("more {n}"), 400)))
        .collect();
    fed.run();
    for wish in wishes {
        assert_eq!(fed.act_error(ROOMS, token(wish)), None);
    }
    let errors = more.into_iter().map(|wish| fed.act_error(ROOMS, token(wish)));
    let errors: Vec<Option<Condition>> = errors.collect();
    assert_eq!(errors, [None, None, Some(Condition::ResourceConstraint)]);
    expect_everywhere(&fed, &vcard("more 1", 400));
}

#[test]
fn one_that_is_set_in_a_split_is_offered_and_taken() {
    let mut fed = coven();
    cut(&mut fed);
    let avatar = vcard("witch", 20_000);
    assert_eq!(fed.set_avatar(WITCH_PLACE, &avatar), Wish::Done);
    fed.run_for(1_000);
    assert!(fed.avatar(COVEN_AT_ROOMS) == avatar, "it holds there");
    assert_eq!(fed.avatar(COVEN), "");
    heal(&mut fed);
    expect_everywhere(&fed, &avatar);
    assert_eq!(
        shown(&fed, WITCH_PLACE),
        [avatar],
        "those who had it are not shown it again"
    );
}

#[test]
fn the_sources_own_wins_over_one_that_was_set_in_a_split() {
    let mut fed = coven();
    fed.set_avatar(FOO, &vcard("old", 400));
    fed.run();
    for ours in [vcard("ours", 20_000), String::new()] {
        cut(&mut fed);
        fed.set_avatar(WITCH_PLACE, &vcard("theirs", 20_000));
        fed.set_avatar(FOO, &ours);
        fed.run_for(1_000);
        fed.forget();
        heal(&mut fed);
        expect_everywhere(&fed, &ours);
        assert_eq!(shown(&fed, WITCH_PLACE), [ours]);
        let told = fed.events.iter().filter_map(|event| match event {
            Event::Overridden { actor, what, .. } => Some((actor.clone(), what.clone())),
            _ => None,
        });
        let witch = bare("somewitch@macbeth.lit");
        assert_eq!(told.collect::<Vec<_>>(), [(Some(witch), What::Avatar)]);
    }
}

#[test]
fn it_comes_with_a_new_shadow_and_survives_restarts() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run_for(10_000);
    fed.join(FOO, CRONE1);
    let avatar = vcard("coven", 20_000);
    fed.set_avatar(FOO, &avatar);
    fed.run_for(10_000);
    heal(&mut fed);
    expect_everywhere(&fed, &avatar);
    fed.forget();
    for service in [CHAT, ROOMS, CONF] {
        fed.restart(service);
        fed.run();
    }
    expect_everywhere(&fed, &avatar);
    for (from, to) in [(ROOMS, CHAT), (CONF, CHAT)] {
        assert_eq!(fed.tally(from, to).get("avatar"), None, "{from} has it still");
    }
}

#[test]
fn what_a_room_has_from_before_it_was_distributed_counts() {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.create(COVEN, CRONE1, &[]);
    fed.join(FOO, CRONE1);
    let avatar = vcard("coven", 4_000);
    fed.set_avatar(FOO, &avatar);
    fed.at(&bare(CHAT), |host| host.distribute(&bare(COVEN)));
    fed.run();
    assert!(fed.avatar(COVEN_AT_ROOMS) == avatar);
}

/// The hosts' stores have lost it, or have another one: the source's is the one.
#[test]
fn after_a_restart_hosts_have_what_is_in_force() {
    let mut fed = coven();
    let (avatar, other) = (vcard("coven", 4_000), vcard("other", 4_000));
    fed.set_avatar(FOO, &avatar);
    fed.run();
    for wrong in ["", &other] {
        fed.at(&bare(ROOMS), |host| {
            host.rooms.get_mut(&bare(COVEN_AT_ROOMS)).unwrap().vcard = wrong.to_owned();
        });
        fed.restart(ROOMS);
        fed.run();
        expect_everywhere(&fed, &avatar);
    }
    fed.at(&bare(CHAT), |host| {
        host.rooms.get_mut(&bare(COVEN)).unwrap().vcard.clone_from(&other);
    });
    fed.restart(CHAT);
    fed.run();
    expect_everywhere(&fed, &other);
}

#[test]
fn one_that_nobody_has_any_more_is_no_answer() {
    let mut fed = coven();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.set_avatar(WITCH_PLACE, &vcard("witch", 4_000));
    // Its process ends before the source has asked for it.
    fed.restart(ROOMS);
    fed.net.heal();
    fed.run_for(300_000);
    fed.run();
    expect_everywhere(&fed, "");
    // Another instance asks for what was never there.
    let asks = format!(
        "<iq xmlns='jabber:client' type='get' id='x' from='{COVEN_AT_CONF}' to='{COVEN}'>\
         <avatar xmlns='urn:x-dmuc:0' hash='1f' from='0'/></iq>"
    );
    fed.forge(&bare(CONF), asks);
    fed.run();
    expect_everywhere(&fed, "");
}

#[test]
fn what_no_room_could_have_is_refused_and_changes_nothing() {
    let mut fed = coven();
    let large = vcard("large", MAX_AVATAR_BYTES);
    for (wrong, condition) in [
        ("<vCard/>", Condition::BadRequest),
        ("<vCard xmlns='vcard-temp'>", Condition::BadRequest),
        (&*large, Condition::PolicyViolation),
    ] {
        let refused = fed.at(&bare(CHAT), |host| {
            host.input(Input::Avatar {
                room: &bare(COVEN),
                vcard: Some(wrong),
                is_wanted: true,
            })
        });
        let error = refused.err().and_then(|error| match error {
            Error::Refused(error) => Some(error.condition),
            _ => None,
        });
        assert_eq!(error, Some(condition));
        assert!(Picture::parse(wrong).is_err());
    }
    let largest = vcard("large", MAX_AVATAR_BYTES - 200);
    fed.set_avatar(FOO, &largest);
    fed.run();
    expect_everywhere(&fed, &largest);
}

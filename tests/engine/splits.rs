//! What people see of a split, and what they may change during it (G7, G8, G9).

use dmuc::config::SplitPresence;
use dmuc::wire::{Affiliation, Role};

use crate::support::event::{Event, Seen, What};
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

const MACBETH_PLACE: &str = "coven@rooms.macbeth.lit/macbeth";
const MACBETH: &str = "macbeth@macbeth.lit/castle";

fn coven_with(how: SplitPresence) -> Federation {
    coven_of(1, how)
}

fn coven_of(seed: u64, how: SplitPresence) -> Federation {
    let mut fed = Federation::empty(seed);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        (config.split_presence, config.occupant_timeout_ms) = (how, 3_600_000);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (MACBETH_PLACE, MACBETH)] {
        fed.join(place, user);
    }
    fed.affiliate(FOO, "macbeth@macbeth.lit", Affiliation::Owner);
    fed.update(WITCH_PLACE, "<show>chat</show><priority>1</priority>");
    fed.run();
    fed.forget();
    fed
}

fn coven() -> Federation {
    coven_with(SplitPresence::Away)
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

/// The presences of a nick that were shown at a place: the payload, or `None` when it left.
fn presences(fed: &Federation, place: &str, of: &str) -> Vec<Option<String>> {
    let seen = fed.seen(place).into_iter();
    seen.filter_map(|seen| match seen {
        Seen::Presence { nick, payload, .. } if nick == of => Some(Some(payload)),
        Seen::Gone { nick, .. } if nick == of => Some(None),
        _ => None,
    })
    .collect()
}

const MOOD: &str = "<show>chat</show><priority>1</priority>";

#[test]
fn who_is_out_of_reach_is_shown_so_and_then_as_before() {
    let mut fed = coven();
    cut(&mut fed);
    let away = "<priority>1</priority><show>xa</show>\
                <status>Out of reach: the connection to rooms.macbeth.lit is interrupted</status>";
    assert_eq!(presences(&fed, FOO, "witch"), [Some(away.to_owned())]);
    // Newcomers see the same.
    fed.join("coven@chat.shakespeare.lit/late", "late@shakespeare.lit/x");
    assert_eq!(
        presences(&fed, "coven@chat.shakespeare.lit/late", "witch"),
        [Some(away.to_owned())]
    );
    heal(&mut fed);
    assert_eq!(
        presences(&fed, FOO, "witch"),
        [Some(away.to_owned()), Some(MOOD.to_owned())]
    );
}

#[test]
fn by_option_nothing_is_shown_of_a_split() {
    let mut fed = coven_with(SplitPresence::Keep);
    cut(&mut fed);
    heal(&mut fed);
    assert!(presences(&fed, FOO, "witch").is_empty());
}

#[test]
fn by_option_they_leave_and_come_back() {
    let mut fed = coven_with(SplitPresence::Leave);
    cut(&mut fed);
    assert_eq!(presences(&fed, FOO, "witch"), [None]);
    assert_eq!(fed.roster(COVEN), ["foo owner moderator"]);
    heal(&mut fed);
    assert_eq!(presences(&fed, FOO, "witch"), [None, Some(MOOD.to_owned())]);
}

#[test]
fn who_is_out_of_reach_is_remembered_over_a_restart() {
    let mut fed = coven();
    cut(&mut fed);
    fed.restart(CHAT);
    fed.run_for(1_000);
    assert_eq!(
        fed.roster(COVEN),
        ["macbeth owner moderator", "witch none participant"]
    );
    heal(&mut fed);
    assert_eq!(fed.roster(COVEN), fed.roster(COVEN_AT_ROOMS));
}

#[test]
fn who_never_returns_is_not_listed_for_ever() {
    let mut fed = coven();
    cut(&mut fed);
    fed.run_for(3_700_000);
    assert_eq!(fed.roster(COVEN), ["foo owner moderator"]);
    heal(&mut fed);
    assert_eq!(fed.roster(COVEN).len(), 3, "they come back when they do");
}

#[test]
fn changes_at_a_shadow_hold_there_and_everywhere_afterwards() {
    let mut fed = coven();
    cut(&mut fed);
    fed.set_subject(MACBETH_PLACE, "Scotland");
    fed.configure(MACBETH_PLACE, &[("muc#roomconfig_roomname", "Forres")]);
    fed.affiliate(MACBETH_PLACE, "banquo@macbeth.lit", Affiliation::Admin);
    let expect = |fed: &Federation, room: &str| {
        assert_eq!(fed.subject(room), "Scotland");
        assert_eq!(
            fed.field(room, "muc#roomconfig_roomname").as_deref(),
            Some("Forres")
        );
        assert_eq!(fed.affiliation(room, "banquo@macbeth.lit"), Affiliation::Admin);
    };
    expect(&fed, COVEN_AT_ROOMS);
    assert_eq!(fed.affiliation(COVEN, "banquo@macbeth.lit"), Affiliation::None);
    // What waits survives a restart.
    fed.restart(ROOMS);
    expect(&fed, COVEN_AT_ROOMS);
    heal(&mut fed);
    expect(&fed, COVEN);
    expect(&fed, COVEN_AT_ROOMS);
    assert!(
        !fed.events
            .iter()
            .any(|event| matches!(event, Event::Overridden { .. }))
    );
}

#[test]
fn what_both_sides_changed_is_the_sources_and_who_is_overridden_is_told() {
    let mut fed = coven();
    cut(&mut fed);
    fed.set_subject(MACBETH_PLACE, "Scotland");
    fed.set_subject(FOO, "England");
    fed.configure(MACBETH_PLACE, &[("muc#roomconfig_roomname", "Forres")]);
    fed.configure(FOO, &[("muc#roomconfig_roomname", "Windsor")]);
    fed.affiliate(MACBETH_PLACE, "banquo@macbeth.lit", Affiliation::Outcast);
    fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Member);
    heal(&mut fed);
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(fed.subject(room), "England", "{room}");
        assert_eq!(
            fed.field(room, "muc#roomconfig_roomname").as_deref(),
            Some("Windsor"),
            "{room}"
        );
        assert_eq!(
            fed.affiliation(room, "banquo@macbeth.lit"),
            Affiliation::Member,
            "{room}"
        );
    }
    let told: Vec<&What> = fed
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Overridden { actor, what, .. } => {
                assert_eq!(*actor, Some(bare("macbeth@macbeth.lit")));
                Some(what)
            }
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
}

/// The source changes the same while an offer is on its way: it compares before it sets (DESIGN 3, G7).
#[test]
fn an_offer_that_meets_a_newer_value_is_overridden_at_the_source() {
    let mut fed = coven();
    cut(&mut fed);
    fed.set_subject(MACBETH_PLACE, "Scotland");
    fed.is_traced = true;
    fed.net.heal();
    let is_offer = |line: &String| line.contains("rooms.macbeth.lit sends <iq") && line.contains("<act ");
    while !fed.trace.iter().any(is_offer) {
        assert!(fed.step(fed.now_ms + 100_000), "no offer is made");
    }
    fed.set_subject(FOO, "England");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(fed.subject(room), "England", "{room}");
    }
    let overridden = |event: &&Event| matches!(event, Event::Overridden { .. });
    assert_eq!(fed.events.iter().filter(overridden).count(), 1);
}

/// What was stuck in a connection that is no more comes after what replaced it.
#[test]
fn an_old_configuration_that_comes_late_is_no_news() {
    let mut fed = coven();
    fed.is_traced = true;
    fed.configure(FOO, &[("muc#roomconfig_roomname", "Windsor")]);
    fed.run();
    let mut lines = fed.trace.iter();
    let old = lines.find_map(|line| {
        let (_, xml) = line.split_once("rooms.macbeth.lit gets ")?;
        xml.contains("<config ").then(|| xml.to_owned())
    });
    let old = old.expect("the configuration is sent");
    fed.configure(FOO, &[("muc#roomconfig_roomname", "Forres")]);
    fed.run();
    fed.hand_in(&bare(ROOMS), &old);
    let name = fed.field(COVEN_AT_ROOMS, "muc#roomconfig_roomname");
    assert_eq!(name.as_deref(), Some("Forres"));
    fed.run();
    let name = fed.field(COVEN_AT_ROOMS, "muc#roomconfig_roomname");
    assert_eq!(name.as_deref(), Some("Forres"));
}

#[test]
fn a_change_of_somebody_who_lost_the_right_meanwhile_is_not_taken() {
    let mut fed = coven();
    cut(&mut fed);
    fed.affiliate(MACBETH_PLACE, "banquo@macbeth.lit", Affiliation::Admin);
    fed.affiliate(FOO, "macbeth@macbeth.lit", Affiliation::Member);
    heal(&mut fed);
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(
            fed.affiliation(room, "banquo@macbeth.lit"),
            Affiliation::None,
            "{room}"
        );
        assert_eq!(
            fed.affiliation(room, "macbeth@macbeth.lit"),
            Affiliation::Member,
            "{room}"
        );
    }
}

#[test]
fn who_was_banned_on_either_side_is_out_on_both() {
    let mut fed = coven();
    fed.join("coven@chat.shakespeare.lit/hag", "hag66@shakespeare.lit/pda");
    fed.run();
    cut(&mut fed);
    fed.affiliate(MACBETH_PLACE, "hag66@shakespeare.lit", Affiliation::Outcast);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Outcast);
    heal(&mut fed);
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(
            fed.roster(room),
            ["foo owner moderator", "macbeth owner moderator"],
            "{room}"
        );
    }
}

/// Who tries first whether the link works again, the source or the shadow, is by chance. If it is the source, it hears of
/// who came before it hears that the ban is lifted.
#[test]
fn who_comes_because_a_ban_was_lifted_in_a_split_is_there_on_both_sides() {
    let mut orders = [false; 2];
    for seed in 1..9 {
        let mut fed = coven_of(seed, SplitPresence::Away);
        fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Outcast);
        fed.run();
        cut(&mut fed);
        fed.affiliate(MACBETH_PLACE, "banquo@macbeth.lit", Affiliation::Member);
        fed.join("coven@rooms.macbeth.lit/banquo", "banquo@macbeth.lit/horse");
        fed.is_traced = true;
        heal(&mut fed);
        let gets = |what: &str| {
            let is_it = |line: &String| line.contains("chat.shakespeare.lit gets") && line.contains(what);
            fed.trace.iter().position(is_it).expect(what)
        };
        orders[usize::from(gets("name='banquo'") < gets("<act "))] = true;
        let expected = [
            "banquo member participant",
            "foo owner moderator",
            "macbeth owner moderator",
            "witch none participant",
        ];
        for room in [COVEN, COVEN_AT_ROOMS] {
            assert_eq!(fed.roster(room), expected, "{room}, seed {seed}");
        }
    }
    assert_eq!(orders, [true; 2], "not both orders were tried");
}

/// By option who is out of reach is shown as gone: then whoever lost the nick to them, and could not hear of it, is there.
#[test]
fn who_lost_a_nick_to_somebody_who_is_out_of_reach_then_is_shown() {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS, CONF] {
        let mut config = config_of(service, &[CHAT, ROOMS, CONF]);
        (config.split_presence, config.occupant_timeout_ms) = (SplitPresence::Leave, 3_600_000);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.net.set_mode(&bare(CHAT), &bare(CONF), Mode::Bounces);
    fed.run_for(100_000);
    fed.join("coven@chat.shakespeare.lit/thane", "hag66@shakespeare.lit/pda");
    fed.run_for(1_000);
    fed.join("coven@conference.marlowe.lit/thane", FAUST);
    fed.run_for(1_000);
    let home = |fed: &Federation| {
        let room = fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS));
        room.remote("thane").map(|(home, _)| home.to_string())
    };
    assert_eq!(home(&fed).as_deref(), Some(COVEN));
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.run_for(100_000);
    assert_eq!(home(&fed).as_deref(), Some(COVEN_AT_CONF));
    heal(&mut fed);
    for room in [COVEN, COVEN_AT_ROOMS, COVEN_AT_CONF] {
        let expected = [
            "thane none participant",
            "thane (2) none participant",
            "witch none participant",
        ];
        assert_eq!(fed.roster(room), expected, "{room}");
    }
}

#[test]
fn moderation_of_somebody_out_of_reach_is_an_error_at_once() {
    let mut fed = coven();
    cut(&mut fed);
    let wish = fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "witch", Role::None, None)
    });
    let crate::support::moderate::Wish::Asked(token) = wish else {
        panic!("{wish:?}");
    };
    assert_eq!(
        fed.act_error(CHAT, token),
        Some(dmuc::wire::Condition::RemoteServerNotFound)
    );
}

#[test]
fn two_people_who_took_one_nick_in_a_split_both_stay() {
    let mut fed = coven();
    cut(&mut fed);
    fed.join("coven@chat.shakespeare.lit/thane", "hag66@shakespeare.lit/pda");
    fed.join("coven@rooms.macbeth.lit/thane", "banquo@macbeth.lit/x");
    heal(&mut fed);
    let expected = [
        "foo owner moderator",
        "macbeth owner moderator",
        "thane none participant",
        "thane (2) none participant",
        "witch none participant",
    ];
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(fed.roster(room), expected, "{room}");
    }
    let renamed = fed.seen("coven@rooms.macbeth.lit/thane (2)");
    let codes: Vec<Vec<u16>> = renamed
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Gone { nick, codes, .. } if nick == "thane" => Some(codes),
            Seen::Presence { nick, codes, .. } if nick == "thane (2)" && !codes.is_empty() => Some(codes),
            _ => None,
        })
        .collect();
    assert!(
        codes.contains(&vec![303]) && codes.contains(&vec![210]),
        "{codes:?}"
    );
}

#[test]
fn who_changed_the_nick_in_a_split_is_renamed_on_the_other_side() {
    let mut fed = coven();
    cut(&mut fed);
    fed.change_nick(FOO, "elder");
    fed.forget();
    heal(&mut fed);
    let of_it: Vec<String> = fed
        .seen(WITCH_PLACE)
        .into_iter()
        .filter_map(|seen| match seen {
            Seen::Gone {
                nick,
                codes,
                new_nick,
                ..
            } => Some(format!("{nick} {codes:?} {new_nick:?}")),
            Seen::Presence { nick, .. } => Some(nick),
            _ => None,
        })
        .collect();
    let mut expected = vec!["foo [303] Some(\"elder\")".to_owned(), "elder".to_owned()];
    // Out of reach, as the nick was before, until both sides agree.
    expected.push("elder".to_owned());
    assert_eq!(of_it, expected);
}

/// The source introduces two shadows to each other anew, while one is pulling from the other what it has missed.
#[test]
fn a_split_ends_though_its_shadows_are_introduced_again_in_the_middle_of_it() {
    let mut fed = crate::scenes::coven();
    fed.net.set_mode(&bare(ROOMS), &bare(CONF), Mode::Swallows);
    fed.run_for(130_000);
    fed.update(FAUST_PLACE, "<show>dnd</show>");
    fed.is_traced = true;
    fed.net.heal();
    let pulls = |fed: &Federation| {
        let from = format!("<iq from='{COVEN_AT_ROOMS}' to='{COVEN_AT_CONF}'");
        let mut lines = fed.trace.iter();
        lines.any(|line| line.contains(&from) && line.contains("<sync ") && line.contains("sends"))
    };
    let until = fed.now_ms + 600_000;
    while !pulls(&fed) {
        assert!(fed.step(until));
    }
    for (whom, of) in [(ROOMS, CONF), (CONF, ROOMS)] {
        let peerhost = format!(
            "<iq from='{CHAT}' to='{whom}' id='again' type='set'>\
             <peerhost xmlns='urn:xmpp:dmuc:0' jid='{of}'><room id='coven'/></peerhost></iq>"
        );
        fed.run_for(u64::from(whom == CONF) * 35);
        fed.hand_in(&bare(whom), &peerhost);
    }
    fed.run();
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
}

//! A message that the way to a peer cannot digest: the connection over which it is sent carries nothing any more. It takes the
//! link down once at the most, is set aside, and everything else goes on.

use dmuc::engine::{LinkState, Notice};

use crate::scenes;
use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

const MARK: &str = "indigestible";

fn coven(services: &[&str]) -> Federation {
    let mut fed = scenes::shared(services);
    fed.join(FOO, CRONE1);
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    let line = fed.net.direction(&bare(CHAT), &bare(ROOMS));
    line.chokes_on = Some(MARK.to_owned());
    for service in services {
        fed.at(&bare(service), |host| host.notices.clear());
    }
    fed.forget();
    fed
}

/// Runs, and counts how often either side takes the link for down.
fn times_down(fed: &mut Federation, for_ms: u64) -> usize {
    let mut times = 0;
    let mut was = [false, false];
    for _ in 0..for_ms / 500 {
        fed.run_for(500);
        let ways = [(CHAT, ROOMS), (ROOMS, CHAT)];
        let is = ways.map(|(here, there)| fed.host(here).engine.link_state(&bare(there)) == LinkState::Down);
        times += usize::from(is.contains(&true) && !was.contains(&true));
        was = is;
    }
    times
}

fn aside(fed: &Federation, service: &str) -> Vec<String> {
    let notices = fed.host(service).notices.iter();
    notices
        .filter_map(|(_, _, notice)| match notice {
            Notice::SetAside { id } => Some(id.clone()),
            _ => None,
        })
        .collect()
}

fn but_it(said: &[String]) -> Vec<String> {
    said.iter().filter(|text| !text.contains(MARK)).cloned().collect()
}

#[test]
fn said_live_it_takes_the_link_down_once_and_the_rest_goes_on() {
    let mut fed = coven(&[CHAT, ROOMS]);
    let mut said = Vec::new();
    let mut id = String::new();
    for number in 0..60 {
        let text = match number {
            20 => MARK.to_owned(),
            _ => format!("{number}"),
        };
        let stanza_id = fed.say(FOO, &text);
        if text == MARK {
            id = stanza_id;
        }
        said.push(text);
    }
    let times = times_down(&mut fed, 600_000);
    assert!(times <= 1, "down {times} times");
    assert_eq!(fed.heard(WITCH_PLACE), but_it(&said));
    assert_eq!(aside(&fed, ROOMS), [id]);
    // Live, and both ways.
    fed.say(FOO, "later");
    fed.say(WITCH_PLACE, "here, too");
    fed.run_for(1_000);
    for place in [FOO, WITCH_PLACE] {
        for text in ["later", "here, too"] {
            assert!(fed.heard(place).contains(&text.to_owned()), "{place} {text}");
        }
    }
    assert_eq!(times_down(&mut fed, 600_000), 0);
    assert_eq!(fed.host(ROOMS).engine.link_state(&bare(CHAT)), LinkState::Up);
}

#[test]
fn wherever_it_is_among_what_was_missed_it_alone_is_set_aside() {
    for place in [0, 1, 57, 150, 299] {
        let mut fed = coven(&[CHAT, ROOMS]);
        fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
        fed.run_for(130_000);
        let said: Vec<String> = (0..300)
            .map(|number| match number == place {
                true => MARK.to_owned(),
                false => format!("{number} {}", "x".repeat(number % 7 * 40)),
            })
            .collect();
        for text in &said {
            fed.say(FOO, text);
        }
        fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
        // Up first.
        while fed.host(ROOMS).engine.link_state(&bare(CHAT)) == LinkState::Down
            || fed.host(CHAT).engine.link_state(&bare(ROOMS)) == LinkState::Down
        {
            fed.run_for(100);
        }
        let times = times_down(&mut fed, 300_000);
        assert_eq!(times, 0, "{place}");
        assert_eq!(fed.heard(WITCH_PLACE), but_it(&said), "{place}");
        assert_eq!(aside(&fed, ROOMS).len(), 1, "{place}");
    }
}

#[test]
fn two_of_them_are_both_set_aside() {
    let mut fed = coven(&[CHAT, ROOMS]);
    let mut said = Vec::new();
    for number in 0..40 {
        let text = match number {
            10 | 11 => format!("{number} {MARK}"),
            _ => format!("{number}"),
        };
        fed.say(FOO, &text);
        said.push(text);
    }
    let times = times_down(&mut fed, 1_200_000);
    assert!(times <= 1, "down {times} times");
    assert_eq!(fed.heard(WITCH_PLACE), but_it(&said));
    assert_eq!(aside(&fed, ROOMS).len(), 2);
}

/// Its home gets it to the others by itself.
#[test]
fn a_third_instance_that_can_digest_it_has_it() {
    let mut fed = coven(&[CHAT, ROOMS, CONF]);
    fed.join(FAUST_PLACE, FAUST);
    fed.run();
    fed.say(FOO, MARK);
    fed.say(FOO, "after it");
    assert!(times_down(&mut fed, 600_000) <= 1);
    assert_eq!(fed.heard(FAUST_PLACE), [MARK, "after it"]);
    assert!(fed.heard(WITCH_PLACE).contains(&"after it".to_owned()));
    assert_eq!(fed.host(ROOMS).engine.link_state(&bare(CHAT)), LinkState::Up);
}

/// Nothing has to be set aside where it is only the connection that is dead.
#[test]
fn a_connection_that_died_under_a_page_is_made_anew_before_the_link_is_down() {
    let mut fed = coven(&[CHAT, ROOMS]);
    fed.net.direction(&bare(CHAT), &bare(ROOMS)).chokes_on = None;
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.run_for(130_000);
    let said: Vec<String> = (0..300).map(|number| format!("{number}")).collect();
    for text in &said {
        fed.say(FOO, text);
    }
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Up);
    while fed.heard(WITCH_PLACE).len() < 100 {
        fed.run_for(10);
    }
    fed.net.set_direction(&bare(CHAT), &bare(ROOMS), Mode::Wedged);
    assert_eq!(times_down(&mut fed, 100_000), 0);
    assert_eq!(fed.heard(WITCH_PLACE), said);
    assert!(aside(&fed, ROOMS).is_empty());
}

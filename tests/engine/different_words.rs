//! One number that stands for different words at two instances is noticed, told, and means in the end what the source says
//! (G6, G11).

use dmuc::engine::Notice;

use crate::lies::*;
use crate::lies_in_pages::texts;
use crate::support::federation::{EPOCH_MS, Federation};
use crate::support::names::*;

/// CONF says this to one instance under a number.
fn tells(fed: &mut Federation, room: &str, text: &str) {
    let at = EPOCH_MS + fed.now_ms;
    let xml = format!(
        "<message from='{FAUST_PLACE}' to='{room}/faust' type='groupchat' id='m'><body>{text}</body>\
         <event xmlns='urn:x-dmuc:0' id='one-id' inc='{}' seq='1' at='{at}.0'/></message>",
        1_u64 << 50
    );
    fed.hand_in(&bare(room).service(), &xml);
}

fn told(fed: &Federation, service: &str) -> usize {
    let notices = fed.host(service).notices.iter();
    notices
        .filter(
            |(_, _, notice)| matches!(notice, Notice::Differs { origin } if *origin == bare(COVEN_AT_CONF)),
        )
        .count()
}

#[test]
fn what_two_instances_were_told_under_one_number_is_in_the_end_what_the_source_was_told() {
    let mut fed = coven();
    tells(&mut fed, COVEN, "yes");
    tells(&mut fed, COVEN_AT_ROOMS, "no");
    assert!(texts(&fed, COVEN_AT_ROOMS).contains(&"no".to_owned()));
    fed.run_for(120_000);
    for room in [COVEN, COVEN_AT_ROOMS] {
        let texts = texts(&fed, room);
        assert!(
            texts.contains(&"yes".to_owned()) && !texts.contains(&"no".to_owned()),
            "{room}: {texts:?}"
        );
    }
    let archive = &fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).archive;
    assert!(
        archive
            .iter()
            .any(|message| message.payload == "<body>yes</body>")
    );
    assert!(!archive.iter().any(|message| message.payload == "<body>no</body>"));
    assert_eq!(
        (told(&fed, ROOMS), told(&fed, CHAT)),
        (1, 0),
        "once, where it was settled"
    );
}

#[test]
fn the_same_words_written_in_another_way_are_the_same() {
    let mut fed = coven();
    for (room, payload) in [
        (COVEN, "<x xmlns='y' a='1' b='2'/>"),
        (COVEN_AT_ROOMS, "<x b=\"2\" a=\"1\" xmlns='y'></x>"),
    ] {
        let at = EPOCH_MS + fed.now_ms;
        let xml = format!(
            "<message from='{FAUST_PLACE}' to='{room}/faust' type='groupchat'><body>same</body>{payload}\
             <event xmlns='urn:x-dmuc:0' id='one-id' inc='{}' seq='1' at='{at}.0'/></message>",
            1_u64 << 50
        );
        fed.hand_in(&bare(room).service(), &xml);
    }
    fed.run_for(120_000);
    assert_eq!((told(&fed, ROOMS), told(&fed, CHAT)), (0, 0));
}

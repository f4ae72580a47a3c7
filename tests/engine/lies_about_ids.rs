//! Nobody takes the stanza-id of somebody else's message, whichever of the two comes first (G5).

use crate::lies::*;
use crate::lies_in_pages::{event, lie_in_page, now_of};
use crate::support::federation::Federation;
use crate::support::names::*;

/// The stanza-id under which a message is in the log of a room.
fn id_at(fed: &Federation, room: &str, text: &str) -> String {
    let room = bare(room);
    let engine = &fed.host(room.service().as_str()).engine;
    let wanted = format!("<body>{text}</body>");
    let entry = engine.messages(&room).find(|entry| *entry.payload == *wanted);
    entry
        .unwrap_or_else(|| panic!("{text:?} is not at {room}"))
        .id
        .clone()
}

#[test]
fn a_lie_that_comes_first_does_not_have_an_honest_messages_id() {
    let mut fed = coven();
    fed.net.direction(&bare(ROOMS), &bare(CHAT)).latency_ms = 10_000;
    fed.say(WITCH_PLACE, "mine");
    let mine = id_at(&fed, COVEN_AT_ROOMS, "mine");
    let at = now_of(&fed);
    let lie = event(COVEN_AT_CONF, (1_000, 1), &at, "nick='faust'", "<body>lie</body>");
    let lie = lie.replace("e-1000-1", &mine);
    lie_in_page(&mut fed, COVEN_AT_CONF, COVEN, &lie);
    let lie_at = |room: &str| id_at(&fed, room, "lie");
    assert_ne!(lie_at(COVEN), mine);
    assert_eq!(lie_at(COVEN_AT_ROOMS), lie_at(COVEN));
    assert_eq!(id_at(&fed, COVEN, "mine"), mine);
    assert_eq!(fed.message(FOO, "mine").stanza_id, Some(mine));
}

#[test]
fn an_event_has_the_id_of_its_number_whatever_it_is_told_to_have() {
    let mut ids = Vec::new();
    for claimed in ["one", "another"] {
        let mut fed = coven();
        let lie = event(
            COVEN_AT_CONF,
            (1_000, 1),
            "1769155200000.0",
            "nick='faust'",
            "<body>lie</body>",
        );
        let lie = lie.replace("e-1000-1", claimed);
        lie_in_page(&mut fed, COVEN_AT_CONF, COVEN, &lie);
        ids.push(id_at(&fed, COVEN, "lie"));
    }
    assert_eq!(ids[0], ids[1]);
}

//! What claims to be of the future hides nothing from who comes now, and is there when it is the present (G11).

use dmuc::wire::Hlc;

use crate::lies::*;
use crate::lies_in_pages::{event, lie_in_page};
use crate::support::federation::{EPOCH_MS, Federation};
use crate::support::names::*;

const YEAR_2100_MS: u64 = 4_102_444_800_000;

/// What somebody who joins there now is shown.
fn newcomers_history(fed: &Federation, room: &str) -> Vec<String> {
    let room = bare(room);
    let engine = &fed.host(room.service().as_str()).engine;
    let entries = engine.history(fed.now_at(&room.service()), &room);
    entries
        .map(|held| match held {
            dmuc::engine::Held::Whole(entry) => entry.payload.to_string(),
            held @ dmuc::engine::Held::Away { .. } => panic!("{held:?}"),
        })
        .collect()
}

fn tell(fed: &mut Federation, life: u64, at: Hlc, text: &str) {
    let payload = format!("<body>{text}</body>");
    let page = event(
        COVEN_AT_CONF,
        (life, 1),
        &at.to_string(),
        "nick='faust'",
        &payload,
    );
    lie_in_page(fed, COVEN_AT_CONF, COVEN, &page);
}

#[test]
fn messages_of_the_year_2100_hide_no_history() {
    let mut fed = coven();
    for number in 0..25 {
        let at = Hlc {
            wall_ms: YEAR_2100_MS + number,
            counter: 0,
        };
        tell(&mut fed, 1_000 + number, at, "from the future");
    }
    fed.say(FOO, "now");
    fed.run();
    let told = newcomers_history(&fed, COVEN);
    assert_eq!(told, ["<body>hail</body>", "<body>now</body>"]);
    // They are in the log of all, in the order that they claim.
    let held = fed.host(CHAT).engine.messages(&bare(COVEN)).count();
    assert_eq!(held, 27);
}

#[test]
fn what_was_said_by_a_clock_that_is_ahead_comes_when_it_is_due() {
    let mut fed = coven();
    let at = Hlc {
        wall_ms: EPOCH_MS + fed.now_ms + 600_000,
        counter: 0,
    };
    tell(&mut fed, 1_000, at, "soon");
    let told = |fed: &Federation| newcomers_history(fed, COVEN).contains(&"<body>soon</body>".to_owned());
    assert!(!told(&fed));
    fed.run_for(400_000);
    assert!(told(&fed));
}

//! A shadow of which nothing but its log could be stored before its server went down is made again by its source, and goes on
//! with what was said in it (G3).

use crate::support::federation::Federation;
use crate::support::names::*;
use crate::support::net::Mode;

/// The state of the rooms at the shadow's service cannot be stored; somebody there speaks, and no other service hears it.
fn unstored() -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS]);
    fed.at(&bare(ROOMS), |host| host.is_store_away = true);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(WITCH_PLACE, WITCH);
    fed.run();
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Swallows);
    fed.say(WITCH_PLACE, "alone");
    assert!(fed.history(COVEN).is_empty());
    fed
}

fn bodies(fed: &Federation, room: &str) -> Vec<String> {
    let history = fed.history(room).into_iter();
    history.map(|(_, message)| message.payload).collect()
}

#[test]
fn what_was_said_in_it_is_there_again_and_reaches_the_source() {
    let mut fed = unstored();
    fed.restart(ROOMS);
    assert!(fed.instances(COVEN_AT_ROOMS).is_empty(), "its state was stored");
    fed.net.heal();
    fed.run_for(120_000);
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(bodies(&fed, room), ["<body>alone</body>"], "{room}");
    }
    let archive = &fed.host(ROOMS).room(&bare(COVEN_AT_ROOMS)).archive;
    assert_eq!(archive.len(), 1);
    // Numbers go on above those of the life that was lost.
    fed.join(WITCH_PLACE, WITCH);
    fed.say(WITCH_PLACE, "again");
    fed.run();
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert_eq!(
            bodies(&fed, room),
            ["<body>alone</body>", "<body>again</body>"],
            "{room}"
        );
    }
}

/// The room is gone and its log is left: whoever makes a room of that name later has nothing to do with it.
#[test]
fn what_is_left_of_an_earlier_room_is_in_no_new_one() {
    let mut fed = unstored();
    fed.at(&bare(ROOMS), |host| {
        host.stop();
        host.rooms.clear();
    });
    fed.start(&bare(ROOMS));
    fed.net.heal();
    fed.run_for(120_000);
    for room in [COVEN, COVEN_AT_ROOMS] {
        assert!(bodies(&fed, room).is_empty(), "{room}");
    }
    fed.restart(ROOMS);
    fed.run();
    assert!(bodies(&fed, COVEN_AT_ROOMS).is_empty());
}

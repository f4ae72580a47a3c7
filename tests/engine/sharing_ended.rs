//! A firsthost leaves us out, and says so for each of its rooms: one such word starts none of the others again.

use crate::support::event::{Event, Turn};
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

const HEATH: &str = "heath@chat.shakespeare.lit";

fn turns(fed: &Federation, turn: &Turn) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Turned { turn: other, .. } if other == turn);
    fed.events.iter().filter(is_it).count()
}

#[test]
fn each_room_is_parked_once_however_often_that_is_said() {
    let services = [CHAT, ROOMS];
    let mut fed = Federation::of(&services);
    for room in [COVEN, HEATH] {
        fed.distributed(room, CRONE1, &[]);
    }
    fed.run();
    fed.events.clear();
    let mut config = config_of(CHAT, &services);
    config.peers.clear();
    fed.at(&bare(CHAT), |host| host.configure_service(config));
    fed.run_for(2_000);
    assert_eq!(turns(&fed, &Turn::Parked), 2);
    for id in ["coven", "heath", "coven"] {
        fed.hand_in(
            &bare(ROOMS),
            &format!(
                "<iq from='{CHAT}' to='{ROOMS}' id='late' type='set'>\
                 <peerhost xmlns='urn:xmpp:dmuc:0' jid='{ROOMS}' gone='true'><room id='{id}'/></peerhost></iq>"
            ),
        );
    }
    assert_eq!(
        turns(&fed, &Turn::Parked),
        2,
        "a room went on and was parked again"
    );
    assert_eq!(fed.host(ROOMS).engine.parked().len(), 2);
    // It shares them again.
    fed.at(&bare(CHAT), |host| {
        host.configure_service(config_of(CHAT, &services))
    });
    fed.run();
    for room in ["coven@rooms.macbeth.lit", "heath@rooms.macbeth.lit"] {
        assert_eq!(fed.instances(room).len(), 1, "{room}");
    }
}

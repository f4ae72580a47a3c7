//! A roster too large for an answer goes out by itself, once, and whoever asks meanwhile is told nothing. If it was lost, and
//! the link has worked all the time, it is told of again (G6).

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;

#[test]
fn a_large_roster_that_a_restart_has_lost_comes_again() {
    let services = [CHAT, ROOMS];
    let mut fed = Federation::empty(1);
    for service in services {
        let mut config = config_of(service, &services);
        (config.ping_interval_ms, config.link_timeout_ms) = (2_000, 6_000);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.update(FOO, &format!("<status>{}</status>", "s".repeat(65_400)));
    fed.run();
    // The shadow gets the roster with everybody's real JID, and its answer is lost.
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Swallows);
    fed.configure(FOO, &[("muc#roomconfig_whois", "anyone")]);
    fed.run_for(200);
    fed.net.set_direction(&bare(ROOMS), &bare(CHAT), Mode::Up);
    fed.crash(&bare(ROOMS), false);
    fed.start(&bare(ROOMS));
    fed.run_for(60_000);
    assert_eq!(fed.roster(COVEN_AT_ROOMS), fed.roster(COVEN));
    let form = |service: &str, room: &str| fed.host(service).room(&bare(room)).form.clone();
    assert_eq!(form(ROOMS, COVEN_AT_ROOMS), form(CHAT, COVEN));
}

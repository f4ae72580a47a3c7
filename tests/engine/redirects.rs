//! Users of a peer's domains who join the source (XEP-0281 section 3.5).

use dmuc::config::Replicate;
use dmuc::engine::{Input, Verdict};

use crate::scenes;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;
use crate::support::net::Mode;
use crate::support::people::Denied;

const WITCH_AT_SOURCE: &str = "coven@chat.shakespeare.lit/firstwitch";

fn coven(after: u32) -> Federation {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        (config.redirect, config.redirect_after) = (true, after);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed
}

fn redirected() -> Result<u64, Denied> {
    Err(Denied::Redirected(bare(COVEN_AT_ROOMS)))
}

#[test]
fn a_user_of_a_peers_domain_is_sent_to_its_shadow() {
    let mut fed = coven(0);
    assert_eq!(fed.try_join(WITCH_AT_SOURCE, WITCH), redirected());
    fed.join("coven@rooms.macbeth.lit/firstwitch", WITCH);
    fed.run();
    assert_eq!(fed.roster(COVEN), ["firstwitch none participant"]);
}

/// Who is redirected this time, and whether it is invited, too.
fn asks(fed: &mut Federation, user: &str) -> Option<bool> {
    let input = Input::JoinRequest {
        room: &bare(COVEN),
        user: &user.parse().unwrap(),
    };
    let verdict = fed.at(&bare(CHAT), |host| host.engine.handle_input(host.now, input));
    match verdict {
        Ok(Verdict::Redirect { to, is_invited }) => {
            assert_eq!(to, bare(COVEN_AT_ROOMS));
            Some(is_invited)
        }
        _ => None,
    }
}

/// In the source the next split would throw it out.
#[test]
fn who_tries_again_is_redirected_again_and_invited_once_a_minute() {
    let mut fed = coven(0);
    assert_eq!(asks(&mut fed, WITCH), Some(true));
    for _ in 0..5 {
        fed.run_for(11_000);
        assert_eq!(asks(&mut fed, "somewitch@macbeth.lit/other-client"), Some(false));
    }
    assert_eq!(asks(&mut fed, "banquo@macbeth.lit/x"), Some(true));
    fed.run_for(6_000);
    assert_eq!(asks(&mut fed, WITCH), Some(true));
}

#[test]
fn who_cannot_reach_its_own_instance_gets_in() {
    let mut fed = coven(0);
    assert_eq!(asks(&mut fed, WITCH), Some(true));
    fed.net.set_mode(&bare(CHAT), &bare(ROOMS), Mode::Bounces);
    fed.join("coven@chat.shakespeare.lit/foo", CRONE1);
    fed.run_for(1_000);
    fed.join(WITCH_AT_SOURCE, WITCH);
}

#[test]
fn users_of_other_domains_are_not_redirected() {
    let mut fed = coven(0);
    fed.join("coven@chat.shakespeare.lit/foo", CRONE1);
    fed.join("coven@chat.shakespeare.lit/faust", FAUST);
}

#[test]
fn nobody_is_redirected_before_so_many_have_come() {
    let mut fed = coven(2);
    fed.join("coven@chat.shakespeare.lit/one", "one@macbeth.lit/x");
    fed.join("coven@chat.shakespeare.lit/two", "two@macbeth.lit/x");
    assert_eq!(
        fed.try_join("coven@chat.shakespeare.lit/three", "three@macbeth.lit/x"),
        redirected()
    );
}

#[test]
fn nobody_is_redirected_from_a_shadow() {
    let mut fed = coven(0);
    fed.join("coven@rooms.macbeth.lit/foo", CRONE1);
}

#[test]
fn nobody_is_redirected_where_the_policy_is_off() {
    let mut fed = scenes::shared(&[CHAT, ROOMS]);
    fed.join(WITCH_AT_SOURCE, WITCH);
}

#[test]
fn the_first_user_of_a_domain_joins_the_source_when_shadows_come_on_join() {
    let mut fed = Federation::empty(1);
    for service in [CHAT, ROOMS] {
        let mut config = config_of(service, &[CHAT, ROOMS]);
        (config.redirect, config.replicate) = (true, Replicate::OnJoin);
        fed.add(config);
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.join(WITCH_AT_SOURCE, WITCH);
    fed.run();
    assert_eq!(
        fed.try_join("coven@chat.shakespeare.lit/second", "second@macbeth.lit/x"),
        redirected()
    );
}

#[test]
fn the_redirected_are_remembered_only_up_to_a_limit() {
    let mut fed = coven(0);
    assert_eq!(asks(&mut fed, WITCH), Some(true));
    fed.now_ms += 1;
    for number in 0..1_000 {
        assert_eq!(asks(&mut fed, &format!("user{number}@macbeth.lit/x")), Some(true));
    }
    assert_eq!(asks(&mut fed, "user999@macbeth.lit/x"), Some(false));
    assert_eq!(asks(&mut fed, WITCH), Some(true), "the oldest was forgotten");
}

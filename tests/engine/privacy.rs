//! Who learns real JIDs (DESIGN section 5): in a semi-anonymous room the source and shadows that host somebody entitled
//! to see them; everybody else knows occupants by their occupant-id.

use dmuc::wire::Affiliation;

use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

const BANQUO: &str = "banquo@macbeth.lit/horse";

/// The room with one occupant at each instance, the owner at the source.
fn coven(fields: &[(&str, &str)]) -> Federation {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.distributed(COVEN, CRONE1, fields);
    fed.run();
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
        fed.run();
    }
    fed
}

/// The real JID of an occupant as another instance knows it.
fn known(fed: &Federation, room: &str, nick: &str) -> Option<String> {
    let host = fed.host(service_of(&bare(room)).as_str());
    let (_, remote) = host.room(&bare(room)).remote(nick).unwrap();
    remote.jid.as_ref().map(ToString::to_string)
}

/// Whether this JID has crossed to a service in any stanza but those that name it for its rights.
fn has_crossed(fed: &Federation, to: &str, jid: &str) -> bool {
    let arrived = format!(" {to} gets ");
    fed.trace
        .iter()
        .any(|line| line.contains(&arrived) && line.contains(jid))
}

#[test]
fn the_source_learns_every_real_jid() {
    let fed = coven(&[]);
    assert_eq!(known(&fed, COVEN, "witch").as_deref(), Some(WITCH));
    assert_eq!(known(&fed, COVEN, "faust").as_deref(), Some(FAUST));
}

#[test]
fn a_shadow_without_a_moderator_learns_none() {
    let mut fed = Federation::of(&[CHAT, ROOMS, CONF]);
    fed.is_traced = true;
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    for (place, user) in [
        (FOO, "hag66@shakespeare.lit/pda"),
        (WITCH_PLACE, WITCH),
        (FAUST_PLACE, FAUST),
    ] {
        fed.join(place, user);
        fed.run();
        fed.update(place, "<show>away</show>");
        fed.run();
        fed.say(place, "hail");
        fed.run();
    }
    for (room, nick) in [
        (COVEN_AT_ROOMS, "foo"),
        (COVEN_AT_ROOMS, "faust"),
        (COVEN_AT_CONF, "foo"),
        (COVEN_AT_CONF, "witch"),
    ] {
        assert_eq!(known(&fed, room, nick), None, "{nick} at {room}");
    }
    for (service, jid) in [(ROOMS, FAUST), (ROOMS, "hag66@"), (CONF, WITCH), (CONF, "hag66@")] {
        assert!(!has_crossed(&fed, service, jid), "{jid} has crossed to {service}");
    }
    assert!(has_crossed(&fed, CHAT, WITCH) && has_crossed(&fed, CHAT, FAUST));
}

#[test]
fn a_shadow_learns_all_of_them_as_soon_as_it_hosts_an_admin() {
    let mut fed = coven(&[]);
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "faust"), None);
    fed.affiliate(FOO, "banquo@macbeth.lit", Affiliation::Admin);
    fed.run();
    let banquo = "coven@rooms.macbeth.lit/banquo";
    fed.join(banquo, BANQUO);
    fed.run();
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "foo").as_deref(), Some(CRONE1));
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "faust").as_deref(), Some(FAUST));
    assert_eq!(
        known(&fed, COVEN_AT_CONF, "witch"),
        None,
        "who hosts none still learns none"
    );
    let late = "coven@conference.marlowe.lit/late";
    fed.join(late, "wagner@marlowe.lit/x");
    fed.run();
    assert_eq!(
        known(&fed, COVEN_AT_ROOMS, "late").as_deref(),
        Some("wagner@marlowe.lit/x")
    );
}

#[test]
fn an_occupant_who_becomes_an_admin_lets_its_shadow_learn_them() {
    let mut fed = coven(&[]);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Admin);
    fed.run();
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "foo").as_deref(), Some(CRONE1));
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "faust").as_deref(), Some(FAUST));
}

#[test]
fn a_moderator_without_affiliation_is_no_reason_to_tell_a_peer_that_is_not_trusted() {
    let mut fed = coven(&[]);
    fed.here(FOO, |host, room, nick| {
        host.set_role(room, nick, "witch", dmuc::wire::Role::Moderator, None)
    });
    fed.run();
    assert_eq!(fed.roster(COVEN)[2], "witch none moderator");
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "faust"), None);
}

#[test]
fn a_claim_to_host_an_owner_of_another_domain_reveals_nothing() {
    let mut fed = coven(&[]);
    let xml = format!(
        "<presence from='{COVEN_AT_ROOMS}/spy' to='{COVEN}/spy'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='owner' role='moderator' jid='{CRONE1}'/></x>\
         <occupant xmlns='urn:x-dmuc:0' id='x' serial='1'/></presence>"
    );
    fed.forget();
    fed.is_traced = true;
    fed.hand_in(&bare(CHAT), &xml);
    fed.join("coven@chat.shakespeare.lit/baz", "hag66@shakespeare.lit/pda");
    fed.run();
    assert!(
        fed.roster(COVEN).contains(&"spy none moderator".to_owned()),
        "{:?}",
        fed.roster(COVEN)
    );
    for line in &fed.trace {
        if line.contains(CRONE1) {
            println!("{line}");
        }
    }
    assert!(!has_crossed(&fed, ROOMS, "hag66@"));
}

#[test]
fn everybody_learns_them_where_the_room_shows_them_to_anyone() {
    let fed = coven(&[("muc#roomconfig_whois", "anyone")]);
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "faust").as_deref(), Some(FAUST));
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "foo").as_deref(), Some(CRONE1));
    assert_eq!(known(&fed, COVEN_AT_CONF, "witch").as_deref(), Some(WITCH));
}

#[test]
fn opening_the_room_tells_who_is_there_already() {
    let mut fed = coven(&[]);
    fed.configure(FOO, &[("muc#roomconfig_whois", "anyone")]);
    fed.run();
    assert_eq!(known(&fed, COVEN_AT_ROOMS, "faust").as_deref(), Some(FAUST));
    assert_eq!(known(&fed, COVEN_AT_CONF, "foo").as_deref(), Some(CRONE1));
    assert_eq!(known(&fed, COVEN_AT_CONF, "witch").as_deref(), Some(WITCH));
}

#[test]
fn messages_and_histories_name_no_real_jid() {
    let mut fed = coven(&[]);
    fed.say(FAUST_PLACE, "hail");
    fed.run();
    fed.is_traced = true;
    let services = [
        "chat.shakespeare.lit",
        "rooms.macbeth.lit",
        "conference.marlowe.lit",
        "d.example",
    ];
    for service in [CHAT, ROOMS, CONF] {
        let config = config_of(service, &services);
        fed.at(&bare(service), |host| host.engine.set_config(host.now, config));
    }
    fed.add(config_of("d.example", &services));
    fed.run();
    assert_eq!(fed.history("coven@d.example").len(), 1);
    assert!(!has_crossed(&fed, "d.example", FAUST));
}

#[test]
fn occupant_ids_are_known_where_real_jids_are_not() {
    let fed = coven(&[]);
    let room = fed.host(CONF).room(&bare(COVEN_AT_CONF));
    let expected = fed
        .host(ROOMS)
        .room(&bare(COVEN_AT_ROOMS))
        .occupant_id(&full(WITCH).to_bare());
    assert_eq!(room.remote("witch").unwrap().1.occupant_id, Some(expected));
}

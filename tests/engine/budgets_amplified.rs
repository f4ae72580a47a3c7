//! What one stanza from a peer makes an instance send, whatever its kind: at most what docs/PROTOCOL.md section 16 says (G13).

use std::collections::BTreeSet;

use dmuc::wire::{Affiliation, Request, Response, Stanza};

use crate::lies::iq;
use crate::support::federation::{Federation, config_of};
use crate::support::names::*;

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");
const REQUESTS: &str = include_str!("../../src/wire/request.rs");
const ACTS: &str = include_str!("../../src/wire/act.rs");
const RESPONSES: &str = include_str!("../../src/wire/response.rs");

const SERVICES: [&str; 4] = [CHAT, ROOMS, CONF, "muc.mephisto.lit"];
const FORM: &str = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
    <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
    <field var='muc#roomconfig_roomdesc'><value>dark</value></field></x>";

/// A number that the document states in bold, before these words.
fn stated(words: &str) -> usize {
    let text = PROTOCOL.replace('\n', " ");
    let (before, _) = text
        .split_once(&format!("** {words}"))
        .unwrap_or_else(|| panic!("nothing is said of {words}"));
    let number = before.rsplit("**").next().unwrap_or_default().replace(',', "");
    number
        .parse()
        .unwrap_or_else(|_| panic!("{number} {words} is no number"))
}

/// A room with four instances, many people, a long list, and more history than a page holds. The witch, at one of the
/// shadows, is an owner.
fn coven() -> Federation {
    let mut fed = Federation::empty(1);
    for service in SERVICES {
        fed.add(config_of(service, &SERVICES));
    }
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed.join(FOO, CRONE1);
    fed.affiliate(FOO, "somewitch@macbeth.lit", Affiliation::Owner);
    fed.join(WITCH_PLACE, WITCH);
    for number in 0..150 {
        fed.join(
            &format!("{COVEN}/n{number}"),
            &format!("user{number}@shakespeare.lit/x"),
        );
        let mood = format!("<status>{}</status>", "busy ".repeat(60));
        fed.update(&format!("{COVEN}/n{number}"), &mood);
    }
    for number in 0..200 {
        fed.say(FOO, &format!("{number} {}", "x".repeat(1_000)));
    }
    fed.run();
    fed.run_for(60_000);
    (fed.is_traced, fed.trace) = (true, Vec::new());
    fed
}

fn ours(name: &str, attrs: &str, children: &str) -> String {
    format!("<{name} xmlns='urn:x-dmuc:0' {attrs}>{children}</{name}>")
}

fn dmuc(name: &str, attrs: &str, children: &str) -> String {
    format!("<{name} xmlns='urn:xmpp:dmuc:0' {attrs}>{children}</{name}>")
}

/// Every request, with the names of the variants that it is read as.
fn requests() -> Vec<(&'static str, String, &'static str)> {
    let act = |what: &str| ours("act", "nick='witch' jid='somewitch@macbeth.lit'", what);
    let history = "<history xmlns='http://jabber.org/protocol/muc'/>";
    vec![
        (
            "set",
            dmuc(
                "replicate",
                "source='heath@rooms.macbeth.lit'",
                "<room id='heath'/>",
            ),
            "Replicate",
        ),
        (
            "set",
            dmuc("peerhost", "jid='muc.mephisto.lit'", "<room id='heath'/>"),
            "Peerhost",
        ),
        ("set", dmuc("config", "", FORM), "Config"),
        (
            "set",
            dmuc("roster", "", "<item affiliation='none' name='witch'/>"),
            "Roster",
        ),
        ("get", dmuc("roster", "", ""), "RosterQuery"),
        ("get", dmuc("room", "id='coven'", history), "History"),
        ("get", ours("sync", "", ""), "Sync"),
        (
            "get",
            ours("sync", "settings='1' relay='true' new='true'", ""),
            "Sync",
        ),
        (
            "set",
            ours(
                "digest",
                "hello='true' life='2'",
                "<room id='coven' log='9.9' roster='9' rest='0'/>",
            ),
            "Digest",
        ),
        (
            "set",
            ours(
                "succession",
                "life='1' serial='1' follows='0 coven@chat.shakespeare.lit' promised='9 coven@rooms.macbeth.lit' standing='true' \
                 holds='0 1 1 coven@chat.shakespeare.lit' since='0'",
                "<voter jid='coven@chat.shakespeare.lit'/>",
            ),
            "Succession",
        ),
        ("set", ours("close", "", ""), "Close"),
        ("set", ours("destroy", "", ""), "Destroy"),
        ("set", act("<role nick='foo' role='participant'/>"), "Act Role"),
        (
            "set",
            act("<affiliation jid='hag66@shakespeare.lit' affiliation='member'/>"),
            "Act Affiliation",
        ),
        ("set", act("<voice serial='1' request='1'/>"), "Act Voice"),
        ("set", act("<invite jid='hag66@shakespeare.lit'/>"), "Act Invite"),
        ("set", act("<decline nick='foo'/>"), "Act Decline"),
        ("set", act(&format!("<config>{FORM}</config>")), "Act Config"),
        (
            "set",
            act("<subject><text>Double</text></subject>"),
            "Act Subject",
        ),
        ("set", act("<moderate id='nothing'/>"), "Act Moderate"),
        ("set", act("<avatar/>"), "Act Avatar"),
        ("set", act("<avatar hash='1f' bytes='4000'/>"), "Act Avatar"),
        ("set", act("<register nick='hecate'/>"), "Act Register"),
        (
            "set",
            act("<steer jid='muc.mephisto.lit' what='replicate'/>"),
            "Act Steer",
        ),
        ("set", act("<destroy/>"), "Act Destroy"),
        ("set", ours("leave", "", ""), "Leave"),
        ("get", ours("avatar", "hash='1f' from='0'", ""), "Avatar"),
        (
            "get",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>".to_owned(),
            "DiscoInfo",
        ),
    ]
}

/// Every other stanza, complete.
fn others() -> Vec<(String, &'static str)> {
    let answer = |kind: &str, payload: &str| iq(COVEN_AT_ROOMS, COVEN, kind, payload);
    let (from, to) = (format!("{COVEN_AT_ROOMS}/witch"), format!("{COVEN}/witch"));
    let item =
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>";
    let stamp = ours("occupant", "serial='1'", "");
    let event = ours("event", "id='e' inc='1' seq='9' at='1.0'", "");
    let error = |condition: &str| {
        format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
    };
    let body = "<body>By the pricking of my thumbs</body>";
    let mut all = vec![
        (answer("result", ""), "Empty"),
        (
            answer("result", "<history xmlns='http://jabber.org/protocol/muc'/>"),
            "History",
        ),
        (answer("result", &ours("sync", "more='true'", "")), "Sync"),
        (
            answer(
                "result",
                &ours("digest", "life='7'", "<room id='coven' gone='true'/>"),
            ),
            "Digest",
        ),
        (
            answer("result", &ours("avatar", "hash='1f' from='0'", "x")),
            "Avatar",
        ),
        (
            answer("result", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
            "DiscoInfo",
        ),
        (answer("error", &error("item-not-found")), "Error"),
        (
            format!("<presence from='{from}' to='{to}'>{item}{stamp}</presence>"),
            "Presence",
        ),
        (
            format!("<presence type='unavailable' from='{from}' to='{to}'>{item}{stamp}</presence>"),
            "Presence",
        ),
        (
            format!("<message type='groupchat' from='{from}' to='{to}'>{body}{event}</message>"),
            "Message",
        ),
        (
            format!("<message type='groupchat' from='{from}' to='{to}'>{body}</message>"),
            "Message",
        ),
        (
            format!("<message type='groupchat' from='{from}' to='{to}'><subject>Trouble</subject></message>"),
            "Message",
        ),
    ];
    for condition in [
        "forbidden",
        "item-not-found",
        "conflict",
        "remote-server-not-found",
    ] {
        let error = error(condition);
        all.push((
            format!("<presence type='error' from='{from}' to='{to}'>{error}</presence>"),
            "Presence",
        ));
        all.push((
            format!("<message type='error' from='{from}' to='{to}'>{error}</message>"),
            "Message",
        ));
    }
    all
}

/// The variants of an enum, as its source has them.
fn variants<'a>(source: &'a str, name: &str) -> BTreeSet<&'a str> {
    let (_, rest) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let body = rest.split("\n}").next().unwrap();
    let lines = body
        .lines()
        .filter(|line| line.starts_with("    ") && line.as_bytes()[4].is_ascii_uppercase());
    lines
        .map(|line| line.trim().split([',', '(', ' ', '{']).next().unwrap())
        .collect()
}

#[test]
fn there_is_a_stanza_of_every_kind() {
    let named: BTreeSet<String> = requests().iter().map(|(.., name)| (*name).to_owned()).collect();
    for (kind, payload, name) in requests() {
        let kind = match kind {
            "get" => dmuc::wire::IqKind::Get,
            _ => dmuc::wire::IqKind::Set,
        };
        let read = format!("{:?}", Request::parse(kind, &payload).unwrap());
        for part in name.split(' ') {
            assert!(read.contains(part), "{name}: {read}");
        }
    }
    for variant in variants(REQUESTS, "Request")
        .into_iter()
        // Those are read as what is in them.
        .filter(|variant| !["Act", "Packed"].contains(variant))
    {
        assert!(named.contains(variant), "there is no {variant}");
    }
    for variant in variants(ACTS, "ActKind") {
        assert!(
            named.contains(&format!("Act {variant}")),
            "there is no act {variant}"
        );
    }
    let others = others();
    for variant in variants(RESPONSES, "Response")
        .into_iter()
        .filter(|variant| *variant != "Packed")
    {
        assert!(
            others.iter().any(|(_, name)| *name == variant),
            "there is no answer {variant}"
        );
    }
    for (xml, _) in others {
        let stanza = Stanza::parse(&xml).unwrap();
        if let Stanza::Iq(iq) = stanza
            && let dmuc::wire::IqBody::Result(payload) = iq.body
        {
            Response::parse(payload.as_deref()).unwrap();
        }
    }
}

/// What is sent because of something: how many stanzas and bytes to who sent it, and how many and how much at most to one of
/// the others.
#[derive(Debug, Default, Clone, Copy)]
struct Sent {
    back: usize,
    back_bytes: usize,
    on: usize,
    on_bytes: usize,
}

fn sent_by(fed: &Federation, since: usize) -> Sent {
    let mut sent = Sent::default();
    let mut on = std::collections::BTreeMap::<String, (usize, usize)>::new();
    for line in &fed.trace[since..] {
        let Some((_, xml)) = line.split_once(&format!(" {CHAT} sends ")) else {
            continue;
        };
        let to = xml
            .split(" to='")
            .nth(1)
            .and_then(|rest| rest.split('\'').next())
            .unwrap();
        let service = jid(to).service().to_string();
        if service == ROOMS {
            (sent.back, sent.back_bytes) = (sent.back + 1, sent.back_bytes + xml.len());
        } else {
            let (count, bytes) = on.entry(service).or_default();
            (*count, *bytes) = (*count + 1, *bytes + xml.len());
        }
    }
    sent.on = on.values().map(|(count, _)| *count).max().unwrap_or(0);
    sent.on_bytes = on.values().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    sent
}

/// All stanzas of all kinds, to whom they are for.
fn all() -> Vec<String> {
    let to = |name: &str| match name {
        "Replicate" | "Peerhost" | "Digest" | "DiscoInfo" => (ROOMS, CHAT),
        _ => (COVEN_AT_ROOMS, COVEN),
    };
    let asked = requests()
        .into_iter()
        .map(|(kind, payload, name)| iq(to(name).0, to(name).1, kind, &payload));
    asked.chain(others().into_iter().map(|(xml, _)| xml)).collect()
}

#[test]
fn what_one_stanza_makes_an_instance_send_is_bounded() {
    let (back, back_bytes) = (stated("stanzas to who sent it"), stated("bytes to who sent it"));
    let (on, on_bytes) = (
        stated("stanzas to each other instance"),
        stated("bytes more than it has to each other instance"),
    );
    for xml in all() {
        let mut fed = coven();
        fed.hand_in(&bare(CHAT), &xml);
        let sent = sent_by(&fed, 0);
        assert!(
            sent.back <= back && sent.back_bytes <= back_bytes,
            "{sent:?}: {xml}"
        );
        assert!(
            sent.on <= on && sent.on_bytes <= xml.len() * on + on_bytes,
            "{sent:?}: {xml}"
        );
    }
}

/// However often: a peer at full speed gets so much in a second, and others no more than it sends.
#[test]
fn a_flood_of_any_stanza_gets_so_much_back_in_a_second() {
    let (seconds, a_second) = (4, stated("bytes in a second"));
    for xml in all() {
        // What ends it ends the flood.
        let mut fed = coven();
        let from = fed.now_ms;
        let (mut back, mut handed) = (0, 0);
        for tick in 0..seconds * 10 {
            fed.now_ms = from + tick as u64 * 100;
            for _ in 0..30 {
                let since = fed.trace.len();
                fed.hand_in(
                    &bare(CHAT),
                    &xml.replace("id='lie'", &format!("id='lie{handed}'")),
                );
                handed += 1;
                let sent = sent_by(&fed, since);
                back += sent.back_bytes;
                assert!(
                    sent.on <= stated("stanzas to each other instance"),
                    "{sent:?}: {xml}"
                );
            }
            fed.trace.clear();
        }
        // An error or an acknowledgement for each is not larger than what it answers by more than this.
        let answers = handed * (xml.len() + 600);
        let most = a_second * (seconds + 10) + answers;
        assert!(back <= most, "{back} of {most}: {xml}");
    }
}

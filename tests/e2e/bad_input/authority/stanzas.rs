//! Every kind of stanza, well-formed and in the name of somebody who might: only who sends it can be wrong.

use anyhow::{Result, bail};
use dmuc_testbed::packed;

use super::super::malformed::{dmuc, field, form, ours};
use super::super::scene::SECRET;
use super::stage::{CHAT, HEATH, TWO, config};

/// In whose name, and where.
pub struct Names<'a> {
    /// The addressee, a room or the service.
    pub to: &'a str,
    /// The occupant with every right, and the user it is.
    pub actor: &'a str,
    pub user: &'a str,
    /// A visitor.
    pub visitor: &'a str,
}

/// What a sender's address looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A room: its occupants speak in its name.
    Room,
    /// A service or server, or a client: it speaks as what it is.
    Itself,
}

fn act(names: &Names<'_>, what: &str) -> String {
    let attrs = format!("nick='{}' jid='{}'", names.actor, names.user);
    ours("act", &attrs, what)
}

/// The type and the payload of an IQ.
pub fn iq(stanza: &str, names: &Names<'_>) -> Result<(&'static str, String)> {
    let room_id = names.to.split_once('@').map_or("heath", |(id, _)| id);
    let reason = format!("<reason>{SECRET}</reason>");
    Ok(match stanza {
        "set replicate" => (
            "set",
            dmuc("replicate", &format!("source='{HEATH}'"), "<room id='heath'/>"),
        ),
        "set peerhost" => (
            "set",
            dmuc("peerhost", &format!("jid='{TWO}'"), "<room id='heath'/>"),
        ),
        "set digest" => (
            "set",
            ours("digest", "life='one'", &format!("<room id='{room_id}'/>")),
        ),
        "set succession" => {
            let claim = format!("0 {HEATH}");
            let attrs = format!(
                "life='1' serial='1' follows='{claim}' promised='{claim}' holds='0 1 1 {HEATH}' since='0'"
            );
            (
                "set",
                ours("succession", &attrs, &format!("<voter jid='{HEATH}'/>")),
            )
        }
        "set config" => ("set", config(SECRET, 3, &[CHAT, TWO])),
        "set roster" => {
            let stamp = ours("snapshot", "version='2'", "");
            let item = format!(
                "<item affiliation='none' name='{SECRET}' jid='nobody@{}'/>",
                domain(names)
            );
            ("set", dmuc("roster", "", &format!("{stamp}{item}")))
        }
        "set packed" => {
            let (kind, roster) = iq("set roster", names)?;
            (kind, packed(&roster))
        }
        "result packed" => {
            let (kind, answer) = iq("result sync", names)?;
            (kind, packed(&answer))
        }
        "get roster" => ("get", dmuc("roster", "", "")),
        "get room" => {
            let history = "<history xmlns='http://jabber.org/protocol/muc'/>";
            ("get", dmuc("room", &format!("id='{room_id}'"), history))
        }
        "get sync" => ("get", ours("sync", "", "")),
        "set act role" => (
            "set",
            act(names, &format!("<role nick='beldam' role='visitor'/>{reason}")),
        ),
        "set act affiliation" => {
            let entry = "<affiliation jid='nobody@example.org' affiliation='member'/>";
            ("set", act(names, &format!("{entry}{reason}")))
        }
        "set act voice" => {
            let attrs = format!("nick='{}'", names.visitor);
            ("set", ours("act", &attrs, "<voice serial='12' request='1'/>"))
        }
        "set act invite" => (
            "set",
            act(names, &format!("<invite jid='beldam@shakespeare.lit'/>{reason}")),
        ),
        "set act decline" => {
            let attrs = format!("jid='{}'", names.user);
            (
                "set",
                ours("act", &attrs, &format!("<decline nick='firstcrone'/>{reason}")),
            )
        }
        "set act config" => {
            let form = form(&field("muc#roomconfig_roomdesc", SECRET)).replace("'form'", "'submit'");
            ("set", act(names, &format!("<config>{form}</config>")))
        }
        "set act subject" => (
            "set",
            act(names, &format!("<subject><text>{SECRET}</text></subject>")),
        ),
        "set act moderate" => ("set", act(names, &format!("<moderate id='nothing'/>{reason}"))),
        "get avatar" => ("get", ours("avatar", "hash='1f' from='0'", "")),
        "result avatar" => ("result", ours("avatar", "hash='1f' from='0'", SECRET)),
        "set act avatar" => ("set", act(names, &format!("<avatar/>{reason}"))),
        "set act register" => ("set", act(names, "<register nick='doctor'/>")),
        "set act steer" => (
            "set",
            act(names, "<steer jid='conference.marlowe.lit' what='replicate'/>"),
        ),
        "set act destroy" => ("set", act(names, &format!("<destroy/>{reason}"))),
        "set close" | "set destroy" => ("set", ours(&stanza[4..], "", &reason)),
        "set leave" => ("set", ours("leave", "", "")),
        "result digest" => (
            "result",
            ours("digest", "life='two'", "<room id='coven' gone='true'/>"),
        ),
        "result sync" => {
            let item = format!(
                "<item affiliation='owner' name='{SECRET}' jid='nobody@{}'/>",
                domain(names)
            );
            let snapshot = ours("snapshot", "version='9' occupants='true'", "");
            (
                "result",
                ours("sync", "", &dmuc("roster", "", &format!("{snapshot}{item}"))),
            )
        }
        "result history" => (
            "result",
            format!(
                "<history xmlns='http://jabber.org/protocol/muc'><message xmlns='jabber:client' type='groupchat' \
                 from='{}/{}'><body>{SECRET}</body></message></history>",
                names.to, names.actor
            ),
        ),
        "error" => (
            "error",
            "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
                .to_owned(),
        ),
        _ => bail!("nobody knows how to send a {stanza}"),
    })
}

/// A nick that nobody has.
pub fn ghost(actor: &str) -> String {
    format!("ghost of {actor}")
}

fn domain<'a>(names: &Names<'a>) -> &'a str {
    names
        .user
        .split_once('@')
        .map_or(names.user, |(_, domain)| domain)
}

/// A presence or a message, from an occupant to its nick or from room to room.
pub fn event(stanza: &str, from: &str, sender: Form, names: &Names<'_>) -> Option<String> {
    let actor = names.actor;
    let nicked = |nick: &str| match sender {
        Form::Room => (format!("{from}/{nick}"), format!("{}/{nick}", names.to)),
        Form::Itself => (from.to_owned(), format!("{}/{nick}", names.to)),
    };
    let rank = |role: &str| {
        format!(
            "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='{role}' jid='{}/x'/></x>",
            names.user
        )
    };
    let stamp = |serial: u64| ours("occupant", &format!("serial='{serial}'"), "");
    let body = format!("<body>{SECRET}</body>");
    let event = |seq: u64| {
        let attrs = format!("id='{SECRET}-{seq}' inc='1795425160000' seq='{seq}' at='1795425161000.{seq}'");
        ours("event", &attrs, "")
    };
    Some(match stanza {
        "presence occupant" => {
            let ((from, to), rank, stamp) = (nicked(actor), rank("moderator"), stamp(11));
            format!("<presence from='{from}' to='{to}'><status>{SECRET}</status>{rank}{stamp}</presence>")
        }
        "presence occupant, new" => {
            let ((from, to), stamp) = (nicked(&ghost(actor)), stamp(21));
            let rank = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>";
            format!("<presence from='{from}' to='{to}'>{rank}{stamp}</presence>")
        }
        "presence occupant, leaving" => {
            let ((from, to), rank, stamp) = (nicked(actor), rank("none"), stamp(11));
            format!("<presence type='unavailable' from='{from}' to='{to}'>{rank}{stamp}</presence>")
        }
        "message event" => {
            let ((from, to), event) = (nicked(actor), event(1));
            format!("<message type='groupchat' from='{from}' to='{to}'>{body}{event}</message>")
        }
        "message event, of another home" => {
            let ((from, to), event) = (nicked("firstcrone"), event(1));
            format!("<message type='groupchat' from='{from}' to='{to}'>{body}{event}</message>")
        }
        "message moderate" => {
            let (event, what) = (event(2), ours("moderate", &format!("id='{SECRET}-1'"), ""));
            format!(
                "<message type='groupchat' from='{from}' to='{}'>{event}{what}</message>",
                names.to
            )
        }
        "message settings" => {
            let (from, to) = match sender {
                Form::Room => nicked(actor),
                Form::Itself => (from.to_owned(), names.to.to_owned()),
            };
            let version = ours("settings", "version='4'", "");
            format!(
                "<message type='groupchat' from='{from}' to='{to}'><subject>Das {SECRET}</subject>{version}</message>"
            )
        }
        _ => return None,
    })
}

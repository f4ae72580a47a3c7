//! The scripted peer.

use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Builder, ComponentClient, Element, Federation, Storage, Version, stanza, to_string};

use crate::support::three;

/// The service that speaks only the XEP's text.
pub const PEER: &str = "conference.marlowe.lit";
/// The real services.
pub const CHAT: &str = "chat.shakespeare.lit";
pub const ROOMS: &str = "rooms.macbeth.lit";

const CLIENT: &str = "jabber:client";
const DMUC: &str = "urn:xmpp:dmuc:0";
const OURS: &str = "urn:x-dmuc:0";
const MUC: &str = "http://jabber.org/protocol/muc";
const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";

/// Two real services and, behind a Prosody without DMUC, the one that is scripted.
pub fn with_peer(label: &str, version: Version, storage: Storage) -> Builder {
    let peers = |one: &str| format!("dmuc_peers = {{ \"{one}\"; \"{PEER}\" }}");
    three(label, version, storage)
        .with_server(0, |s| s.muc_lines.push(peers(ROOMS)))
        .with_server(1, |s| s.muc_lines.push(peers(CHAT)))
        .with_server(2, |s| {
            s.dmuc = false;
            "plain.marlowe.lit".clone_into(&mut s.muc);
        })
        .component(2, PEER, "secret")
}

/// The service as a script. Whatever it takes is checked: nothing of ours may ever be sent to it.
pub struct Peer {
    wire: ComponentClient,
    strange: Mutex<Vec<String>>,
}

impl Peer {
    /// Connects the component.
    pub async fn connect(fed: &Federation) -> Result<Peer> {
        Ok(Peer {
            wire: fed[2].component(PEER).await?,
            strange: Mutex::default(),
        })
    }

    fn checked(&self, element: Element) -> Element {
        let text = to_string(&element);
        if text.contains(OURS)
            && let Ok(mut strange) = self.strange.lock()
        {
            strange.push(text);
        }
        element
    }

    /// Sends XML as it stands.
    pub async fn send(&self, xml: &str) -> Result<String> {
        self.wire.send_xml(xml).await
    }

    /// Sends an IQ and returns its answer.
    pub async fn ask(&self, xml: &str) -> Result<Element> {
        Ok(self.checked(self.wire.iq_xml(xml).await?))
    }

    /// Takes the first stanza that matches.
    pub async fn take(&self, what: &str, wanted: impl FnMut(&Element) -> bool) -> Result<Element> {
        Ok(self.checked(self.wire.expect(what, wanted).await?))
    }

    /// Takes an IQ of the XEP's from this JID.
    pub async fn request(&self, name: &str, from: &str) -> Result<Element> {
        self.take(&format!("<{name}/> from {from}"), |s| {
            is_request(s) && s.attr("from") == Some(from) && s.get_child(name, DMUC).is_some()
        })
        .await
    }

    /// "Peerhost Acknowledges …", from the one who was asked.
    pub async fn acknowledge(&self, request: &Element) -> Result<()> {
        let attr = |name| request.attr(name).unwrap_or_default();
        let (from, to, id) = (attr("to"), attr("from"), attr("id"));
        self.send(&format!("<iq to='{to}' id='{id}' from='{from}' type='result'/>"))
            .await
            .map(|_| ())
    }

    /// Answers with an error.
    pub async fn refuse(&self, request: &Element, kind: &str, condition: &str) -> Result<()> {
        let attr = |name| request.attr(name).unwrap_or_default();
        let (from, to, id) = (attr("to"), attr("from"), attr("id"));
        self.send(&format!(
            "<iq to='{to}' id='{id}' from='{from}' type='error'><error type='{kind}'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ))
        .await
        .map(|_| ())
    }

    /// Takes a request and acknowledges it.
    pub async fn accept(&self, name: &str, from: &str) -> Result<Element> {
        let request = self.request(name, from).await?;
        self.acknowledge(&request).await?;
        Ok(request)
    }

    /// "If a MUC service supports distributed rooms, it MUST return a feature of urn:xmpp:dmuc:0". The module asks what
    /// kind of service it is, and the engine what it supports: until that one is answered.
    pub async fn tells_support(&self, service: &str) -> Result<()> {
        loop {
            let asked = self
                .take(&format!("disco#info from {service}"), |s| {
                    is_disco(s) && s.attr("from") == Some(service)
                })
                .await?;
            let id = asked.attr("id").unwrap_or_default();
            self.send(&format!(
                "<iq type='result' id='{id}' from='{PEER}' to='{service}'><query xmlns='{DISCO_INFO}'>\
                 <identity category='conference' type='text' name='Marlowe'/>\
                 <feature var='{MUC}'/><feature var='{DMUC}'/></query></iq>"
            ))
            .await?;
            if id.starts_with("dmuc-") {
                return Ok(());
            }
        }
    }

    /// A message of type groupchat between two room JIDs with the same nick.
    pub async fn says(&self, from: &str, to: &str, nick: &str, id: &str, children: &str) -> Result<()> {
        self.send(&format!(
            "<message from='{from}/{nick}' to='{to}/{nick}' type='groupchat' id='{id}'>{children}</message>"
        ))
        .await
        .map(|_| ())
    }

    /// "Shadow Informs Source of New Occupant", with these attributes of the item.
    pub async fn enters(&self, from: &str, to: &str, nick: &str, item: &str) -> Result<()> {
        self.send(&format!(
            "<presence from='{from}/{nick}' to='{to}/{nick}'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item {item}/></x></presence>"
        ))
        .await
        .map(|_| ())
    }

    /// The end of that.
    pub async fn leaves(&self, from: &str, to: &str, nick: &str) -> Result<()> {
        self.send(&format!(
            "<presence type='unavailable' from='{from}/{nick}' to='{to}/{nick}'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>"
        ))
        .await
        .map(|_| ())
    }

    /// Everything that the real services had sent is here when this returns, and they have processed
    /// everything that was sent to them.
    pub async fn sync(&self) -> Result<()> {
        for service in [CHAT, ROOMS] {
            self.ask(&format!(
                "<iq type='get' from='{PEER}' to='{service}'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .await?;
        }
        Ok(())
    }

    /// Takes everything that has come and was not asked for, but for questions what it supports, which come at any time:
    /// after `sync`, all there is.
    pub fn rest(&self) -> Vec<Element> {
        let rest = self.wire.drain().into_iter().map(|s| self.checked(s));
        rest.filter(|s| !is_disco(s)).collect()
    }

    /// Nothing is left over, and nothing of ours was ever sent.
    pub async fn has_nothing_more(&self) -> Result<()> {
        self.sync().await?;
        let rest: Vec<String> = self.rest().iter().map(to_string).collect();
        ensure!(rest.is_empty(), "nobody asked for:\n{}", rest.join("\n"));
        self.was_spared()
    }

    /// Nothing of ours was ever sent.
    pub fn was_spared(&self) -> Result<()> {
        let strange = self.strange.lock().map(|s| s.join("\n")).unwrap_or_default();
        ensure!(
            strange.is_empty(),
            "a peer that speaks only the XEP's text got:\n{strange}"
        );
        Ok(())
    }
}

fn is_disco(s: &Element) -> bool {
    is_request(s) && s.get_child("query", DISCO_INFO).is_some()
}

fn is_request(s: &Element) -> bool {
    s.is("iq", CLIENT) && matches!(s.attr("type"), Some("get" | "set"))
}

/// A stanza is this XML. `ID` in it stands for the stanza's id; the language that Prosody adds is no matter.
pub fn same(actual: &Element, expected: &str) -> Result<()> {
    let id = actual.attr("id").unwrap_or_default();
    let actual = &stanza(&to_string(actual).replace(" xml:lang='en'", ""))?;
    let expected = stanza(&expected.replace("ID", id))?;
    ensure!(
        *actual == expected,
        "sent:     {}\nexpected: {}",
        to_string(actual),
        to_string(&expected)
    );
    Ok(())
}

/// The only child of a stanza.
pub fn only_child(stanza: &Element) -> Result<&Element> {
    let mut children = stanza.children();
    let first = children.next();
    ensure!(
        children.next().is_none(),
        "more than one child: {}",
        to_string(stanza)
    );
    first.with_context(|| format!("no child: {}", to_string(stanza)))
}

/// The messages of a history result, as (nick, body).
pub fn said(history: &Element) -> Result<Vec<(String, String)>> {
    ensure!(
        history.attr("type") == Some("result"),
        "no history: {}",
        to_string(history)
    );
    let mut said = Vec::new();
    for message in only_child(history)?.children() {
        let from = message.attr("from").unwrap_or_default();
        let nick = from.split_once('/').map_or("", |(_, nick)| nick);
        said.push((nick.to_owned(), dmuc_testbed::body(message).unwrap_or_default()));
    }
    Ok(said)
}

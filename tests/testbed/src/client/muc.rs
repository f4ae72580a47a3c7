//! What users do in rooms (XEP-0045).

use std::fmt;

use anyhow::{Context, Result, bail};
use minidom::Element;

use super::Client;
use crate::xml::{
    CLIENT, DATA_FORMS, MUC, MUC_ADMIN, MUC_OWNER, MUC_USER, code_list, error_condition, escape, to_string,
};

/// What a room sends to somebody who joins.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Everything up to and including the subject, in the order of arrival.
    pub all: Vec<Element>,
    /// The presences of others, in order.
    pub presences: Vec<Element>,
    /// The own presence, with status 110.
    pub self_presence: Element,
    /// The messages of the history, in order.
    pub history: Vec<Element>,
    /// The subject message.
    pub subject_message: Element,
}

impl Joined {
    /// The nicks of the others, in order.
    pub fn nicks(&self) -> Vec<String> {
        self.presences.iter().filter_map(nick).collect()
    }

    /// The own nick, which a room may have changed.
    pub fn own_nick(&self) -> String {
        nick(&self.self_presence).unwrap_or_default()
    }

    /// The room's subject.
    pub fn subject(&self) -> String {
        self.subject_message
            .get_child("subject", CLIENT)
            .map(Element::text)
            .unwrap_or_default()
    }

    /// The status codes of the own presence.
    pub fn codes(&self) -> Vec<u16> {
        code_list(&self.self_presence)
    }

    /// The bodies of the history.
    pub fn history_bodies(&self) -> Vec<String> {
        self.history.iter().filter_map(crate::xml::body).collect()
    }
}

fn nick(presence: &Element) -> Option<String> {
    presence
        .attr("from")?
        .split_once('/')
        .map(|(_, nick)| nick.to_owned())
}

/// The room refused.
#[derive(Debug, Clone)]
pub struct JoinError {
    /// The error's condition, `conflict` for example.
    pub condition: String,
    /// The whole error presence.
    pub presence: Element,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.condition, to_string(&self.presence))
    }
}

impl std::error::Error for JoinError {}

fn is_subject(stanza: &Element) -> bool {
    stanza.is("message", CLIENT)
        && stanza.get_child("subject", CLIENT).is_some()
        && stanza.get_child("body", CLIENT).is_none()
        && stanza.get_child("thread", CLIENT).is_none()
}

impl Client {
    /// Joins a room. A refusal is an error.
    pub async fn join(&self, room: &str, nick: &str) -> Result<Joined> {
        self.join_with(room, nick, "")
            .await?
            .with_context(|| format!("{} joining {room}", self.jid()))
    }

    /// Creates a room, and unlocks it by configuring it: Prosody lets nobody else in before. Fails if it exists.
    pub async fn create_room(&self, room: &str, nick: &str, config: &[(&str, &str)]) -> Result<Joined> {
        let joined = self.join(room, nick).await?;
        if !joined.codes().contains(&201) {
            bail!("{room} existed before");
        }
        self.configure_room(room, config).await?;
        Ok(joined)
    }

    /// Joins a room, or returns its refusal.
    pub async fn try_join(&self, room: &str, nick: &str) -> Result<Result<Joined, JoinError>> {
        self.join_with(room, nick, "").await
    }

    /// Joins with content for `<x xmlns='http://jabber.org/protocol/muc'/>`: a password, limits of history.
    pub async fn join_with(&self, room: &str, nick: &str, x: &str) -> Result<Result<Joined, JoinError>> {
        let mark = self.mark();
        self.send_xml(&format!(
            "<presence to='{}/{}'><x xmlns='{MUC}'>{x}</x></presence>",
            escape(room),
            escape(nick)
        ))
        .await?;
        self.joining(mark, room).await
    }

    /// The rest of a join whose presence was sent by other means, after [`Inbox::mark`](crate::Inbox::mark).
    pub async fn joining(&self, mark: u64, room: &str) -> Result<Result<Joined, JoinError>> {
        let mut all = Vec::new();
        let mut presences = Vec::new();
        let mut history = Vec::new();
        let mut own = None;
        let prefix = format!("{room}/");
        loop {
            let next = self
                .expect_since(mark, &format!("what {room} sends to a joiner"), |s| {
                    (s.is("presence", CLIENT)
                        || (s.is("message", CLIENT) && s.attr("type") == Some("groupchat")))
                        && s.attr("from")
                            .is_some_and(|from| from == room || from.starts_with(&prefix))
                })
                .await?;
            if next.is("presence", CLIENT) {
                if next.attr("type") == Some("error") {
                    let condition = error_condition(&next).unwrap_or_default();
                    return Ok(Err(JoinError {
                        condition,
                        presence: next,
                    }));
                }
                all.push(next.clone());
                if code_list(&next).contains(&110) {
                    own = Some(next);
                } else {
                    presences.push(next);
                }
                continue;
            }
            all.push(next.clone());
            match own.take() {
                Some(self_presence) if is_subject(&next) => {
                    return Ok(Ok(Joined {
                        all,
                        presences,
                        self_presence,
                        history,
                        subject_message: next,
                    }));
                }
                before => {
                    own = before;
                    history.push(next);
                }
            }
        }
    }

    /// Leaves a room and waits for the confirmation, which is returned.
    pub async fn leave(&self, room: &str, nick: &str) -> Result<Element> {
        let me = format!("{room}/{nick}");
        self.send_xml(&format!("<presence type='unavailable' to='{}'/>", escape(&me)))
            .await?;
        self.expect(&format!("having left {room}"), |s| {
            s.is("presence", CLIENT)
                && s.attr("type") == Some("unavailable")
                && s.attr("from") == Some(&*me)
                && code_list(s).contains(&110)
        })
        .await
    }

    /// Changes the nick; returns the presences with 303 and with the new nick.
    pub async fn change_nick(&self, room: &str, new: &str) -> Result<(Element, Element)> {
        let new_jid = format!("{room}/{new}");
        self.send_xml(&format!("<presence to='{}'/>", escape(&new_jid)))
            .await?;
        let prefix = format!("{room}/");
        let old = self
            .expect(&format!("the change of nick to {new}"), |s| {
                s.is("presence", CLIENT)
                    && s.attr("from").is_some_and(|f| f.starts_with(&prefix))
                    && (s.attr("type") == Some("error")
                        || [303, 110].iter().all(|c| code_list(s).contains(c)))
            })
            .await?;
        if old.attr("type") == Some("error") {
            bail!("the room refused the nick {new}: {}", to_string(&old));
        }
        let new = self.expect("the new nick", |s| {
            s.attr("from") == Some(&*new_jid) && code_list(s).contains(&110)
        });
        Ok((old, new.await?))
    }

    /// Says something; returns the message's id. Does not wait for the reflection.
    pub async fn say(&self, room: &str, text: &str) -> Result<String> {
        self.send_xml(&format!(
            "<message type='groupchat' to='{}'><body>{}</body></message>",
            escape(room),
            escape(text)
        ))
        .await
    }

    /// Says something and waits for the reflection, which is returned.
    pub async fn say_and_see(&self, room: &str, text: &str) -> Result<Element> {
        let id = self.say(room, text).await?;
        self.expect(&format!("the reflection of {text:?}"), |s| {
            s.is("message", CLIENT) && s.attr("type") == Some("groupchat") && s.attr("id") == Some(&*id)
        })
        .await
    }

    /// A private message to an occupant; returns its id.
    pub async fn say_privately(&self, room: &str, nick: &str, text: &str) -> Result<String> {
        self.send_xml(&format!(
            "<message type='chat' to='{}/{}'><body>{}</body><x xmlns='{MUC_USER}'/></message>",
            escape(room),
            escape(nick),
            escape(text)
        ))
        .await
    }

    /// Changes the subject; returns the message's id.
    pub async fn set_subject(&self, room: &str, subject: &str) -> Result<String> {
        self.send_xml(&format!(
            "<message type='groupchat' to='{}'><subject>{}</subject></message>",
            escape(room),
            escape(subject)
        ))
        .await
    }

    /// The configuration form of a room: the `<x xmlns='jabber:x:data'/>`.
    pub async fn room_form(&self, room: &str) -> Result<Element> {
        let answer = self
            .iq_ok(&format!(
                "<iq type='get' to='{}'><query xmlns='{MUC_OWNER}'/></iq>",
                escape(room)
            ))
            .await?;
        answer
            .get_child("query", MUC_OWNER)
            .and_then(|q| q.get_child("x", DATA_FORMS))
            .cloned()
            .context("an answer without a form")
    }

    /// Gets the configuration form and submits it with some fields changed (and all others as they are).
    /// Fields that the form does not have are sent as well. An error stanza is an error.
    pub async fn configure_room(&self, room: &str, changes: &[(&str, &str)]) -> Result<Element> {
        let form = self.room_form(room).await?;
        let mut fields = String::new();
        let mut field = |var: &str, values: &[String]| {
            let values: String = values
                .iter()
                .map(|v| format!("<value>{}</value>", escape(v)))
                .collect();
            fields.push_str(&format!("<field var='{}'>{values}</field>", escape(var)));
        };
        for old in form.children().filter(|c| c.is("field", DATA_FORMS)) {
            let Some(var) = old.attr("var") else { continue };
            if changes.iter().all(|(changed, _)| *changed != var) {
                let values: Vec<String> = old
                    .children()
                    .filter(|c| c.is("value", DATA_FORMS))
                    .map(Element::text)
                    .collect();
                field(var, &values);
            }
        }
        for (var, value) in changes {
            field(var, &[(*value).to_owned()]);
        }
        self.iq_ok(&format!(
            "<iq type='set' to='{}'><query xmlns='{MUC_OWNER}'><x xmlns='{DATA_FORMS}' type='submit'>{fields}</x>\
             </query></iq>",
            escape(room)
        ))
        .await
    }

    /// Destroys a room.
    pub async fn destroy_room(&self, room: &str, reason: &str) -> Result<Element> {
        self.iq_ok(&format!(
            "<iq type='set' to='{}'><query xmlns='{MUC_OWNER}'><destroy><reason>{}</reason></destroy></query></iq>",
            escape(room),
            escape(reason)
        ))
        .await
    }

    async fn admin(&self, room: &str, item: &str) -> Result<Element> {
        self.iq_ok(&format!(
            "<iq type='set' to='{}'><query xmlns='{MUC_ADMIN}'>{item}</query></iq>",
            escape(room)
        ))
        .await
    }

    /// Sets an affiliation (`owner`, `admin`, `member`, `none`, `outcast`) of a bare JID.
    pub async fn set_affiliation(&self, room: &str, jid: &str, affiliation: &str) -> Result<Element> {
        self.admin(
            room,
            &format!("<item affiliation='{affiliation}' jid='{}'/>", escape(jid)),
        )
        .await
    }

    /// Sets a role (`moderator`, `participant`, `visitor`, `none`) of an occupant.
    pub async fn set_role(&self, room: &str, nick: &str, role: &str) -> Result<Element> {
        self.admin(room, &format!("<item role='{role}' nick='{}'/>", escape(nick)))
            .await
    }

    /// Removes an occupant.
    pub async fn kick(&self, room: &str, nick: &str) -> Result<Element> {
        self.set_role(room, nick, "none").await
    }

    /// The JIDs with an affiliation.
    pub async fn affiliated(&self, room: &str, affiliation: &str) -> Result<Vec<String>> {
        let answer = self
            .iq_ok(&format!(
                "<iq type='get' to='{}'><query xmlns='{MUC_ADMIN}'><item affiliation='{affiliation}'/></query></iq>",
                escape(room)
            ))
            .await?;
        let query = answer
            .get_child("query", MUC_ADMIN)
            .context("an answer without a query")?;
        Ok(query
            .children()
            .filter_map(|i| i.attr("jid"))
            .map(str::to_owned)
            .collect())
    }

    /// Pings oneself through the room (XEP-0410); returns the condition of the error, if it is one.
    pub async fn self_ping(&self, room: &str, nick: &str) -> Result<Option<String>> {
        let answer = self
            .iq_xml(&format!(
                "<iq type='get' to='{}/{}'><ping xmlns='urn:xmpp:ping'/></iq>",
                escape(room),
                escape(nick)
            ))
            .await?;
        Ok(error_condition(&answer))
    }
}

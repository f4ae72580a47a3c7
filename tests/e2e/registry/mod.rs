//! Registration of nicks (XEP-0045 section 7.10): one registry, the source's, at work at every instance.

mod apart;
mod enforced;
mod together;

use anyhow::{Context, Result};
use dmuc_testbed::{Client, Element, error_condition, to_string};

use crate::asking::value;
use crate::support::{MACBETH, MARLOWE, SOURCE, eventually};

const REGISTER: &str = "jabber:iq:register";
const FORM_TYPE: &str = "http://jabber.org/protocol/muc#register";
const DATA_FORMS: &str = "jabber:x:data";
const ROOMS: [&str; 3] = [SOURCE, MACBETH, MARLOWE];

/// Registers a nick; the answer, result or error.
async fn register(client: &Client, room: &str, nick: &str) -> Result<Element> {
    client
        .iq_xml(&format!(
            "<iq type='set' to='{room}'><query xmlns='{REGISTER}'><x xmlns='{DATA_FORMS}' type='submit'>\
             <field var='FORM_TYPE'><value>{FORM_TYPE}</value></field>\
             <field var='muc#register_roomnick'><value>{nick}</value></field></x></query></iq>"
        ))
        .await
}

/// Takes the registration back.
async fn unregister(client: &Client, room: &str) -> Result<Element> {
    client
        .iq_xml(&format!(
            "<iq type='set' to='{room}'><query xmlns='{REGISTER}'><remove/></query></iq>"
        ))
        .await
}

fn granted(answer: &Element) {
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(answer));
}

fn denied(answer: &Element, condition: &str) {
    assert_eq!(
        error_condition(answer).as_deref(),
        Some(condition),
        "{}",
        to_string(answer)
    );
}

/// What a room says of the registration of who asks: the nick, or nothing and then the form to register with.
async fn registration(client: &Client, room: &str) -> Result<Option<String>> {
    let answer = client
        .iq_ok(&format!(
            "<iq type='get' to='{room}'><query xmlns='{REGISTER}'/></iq>"
        ))
        .await?;
    let query = answer.get_child("query", REGISTER).context("a query")?;
    let Some(nick) = query.get_child("username", REGISTER) else {
        let form = query.get_child("x", DATA_FORMS).context("a form")?;
        assert_eq!(value(form, "FORM_TYPE").as_deref(), Some(FORM_TYPE));
        assert!(crate::asking::field(form, "muc#register_roomnick").is_some());
        return Ok(None);
    };
    assert!(query.get_child("registered", REGISTER).is_some());
    Ok(Some(nick.text()))
}

/// The nick a room has reserved for who asks (XEP-0045 section 7.12).
async fn reserved(client: &Client, room: &str) -> Result<Option<String>> {
    let ns = "http://jabber.org/protocol/disco#info";
    let answer = client
        .iq_ok(&format!(
            "<iq type='get' to='{room}'><query xmlns='{ns}' node='x-roomuser-item'/></iq>"
        ))
        .await?;
    let query = answer.get_child("query", ns).context("a query")?;
    assert_eq!(query.attr("node"), Some("x-roomuser-item"));
    let identity = query.get_child("identity", ns);
    Ok(identity
        .and_then(|identity| identity.attr("name"))
        .map(str::to_owned))
}

/// Every instance comes to say this of the registration of who asks.
async fn registered_everywhere(client: &Client, nick: Option<&str>) -> Result<()> {
    for room in ROOMS {
        eventually(&format!("{} is {nick:?} at {room}", client.jid()), || async {
            Ok(registration(client, room).await?.as_deref() == nick
                && reserved(client, room).await?.as_deref() == nick)
        })
        .await?;
    }
    Ok(())
}

/// Somebody may not join with a nick.
async fn refused(client: &Client, room: &str, nick: &str) -> Result<()> {
    let error = client.try_join(room, nick).await?.err();
    let error = error.with_context(|| format!("{} is {nick} at {room}", client.jid()))?;
    assert_eq!(error.condition, "conflict", "{nick} at {room}");
    Ok(())
}

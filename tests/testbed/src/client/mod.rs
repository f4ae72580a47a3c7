//! A user's client.

mod mam;
mod muc;

use std::ops::Deref;

use anyhow::{Context, Result, bail};
use minidom::Element;

use crate::inbox::Inbox;
use crate::stream::{Account, Resumption};
use crate::xml::{CLIENT, DISCO_INFO, DISCO_ITEMS, body, error_condition, escape, stanza, to_string};

pub use mam::MamItem;
pub use muc::{JoinError, Joined};

/// A logged-in client. Everything of [`Inbox`] can be called on it.
///
/// It has not sent initial presence ([`Client::send_xml`]`("<presence/>")` does that); rooms do not need it.
#[derive(Debug)]
pub struct Client {
    inbox: Inbox,
    jid: String,
    bare: String,
}

impl Deref for Client {
    type Target = Inbox;
    fn deref(&self) -> &Inbox {
        &self.inbox
    }
}

impl Client {
    pub(crate) async fn connect(account: Account, resumption: Option<Resumption>) -> Result<Client> {
        let bare = format!("{}@{}", account.user, account.domain);
        let (inbox, jid) = Inbox::client(account, resumption).await?;
        Ok(Client { inbox, jid, bare })
    }

    /// The full JID.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// The bare JID.
    pub fn bare_jid(&self) -> &str {
        &self.bare
    }

    /// Sends XML literally (apart from an id, if it has none), and returns the id.
    pub async fn send_xml(&self, xml: &str) -> Result<String> {
        self.inbox.send(stanza(xml)?).await
    }

    /// Sends an IQ given as XML and returns the answer, result or error.
    pub async fn iq_xml(&self, xml: &str) -> Result<Element> {
        self.inbox.iq(stanza(xml)?).await
    }

    /// As [`Client::iq_xml`], but an error stanza is an error.
    pub async fn iq_ok(&self, xml: &str) -> Result<Element> {
        let answer = self.iq_xml(xml).await?;
        if answer.attr("type") != Some("result") {
            let condition = error_condition(&answer).unwrap_or_default();
            bail!(
                "{}: {condition} as the answer to {xml}: {}",
                self.jid,
                to_string(&answer)
            );
        }
        Ok(answer)
    }

    /// A barrier: pings the own server.
    ///
    /// When it returns, the server has processed everything this client had sent, and everything that the
    /// server (with its MUC service) had sent to this client before that is in the inbox. What other servers
    /// have yet to do is the business of [`Federation::settle`](crate::Federation::settle).
    pub async fn sync(&self) -> Result<()> {
        let domain = self
            .bare
            .split_once('@')
            .map_or(self.bare.as_str(), |(_, domain)| domain);
        self.iq_ok(&format!(
            "<iq type='get' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await
        .map(|_| ())
        .context("sync")
    }

    /// Waits for a message with this body and takes it.
    pub async fn expect_body(&self, text: &str) -> Result<Element> {
        self.expect(&format!("a message {text:?}"), |s| {
            s.is("message", CLIENT) && s.attr("type") != Some("error") && body(s).as_deref() == Some(text)
        })
        .await
    }

    /// disco#info of an address: the `<query/>`.
    pub async fn disco_info(&self, to: &str) -> Result<Element> {
        self.disco(to, DISCO_INFO).await
    }

    /// disco#items of an address: the `<query/>`.
    pub async fn disco_items(&self, to: &str) -> Result<Element> {
        self.disco(to, DISCO_ITEMS).await
    }

    async fn disco(&self, to: &str, ns: &str) -> Result<Element> {
        let answer = self
            .iq_ok(&format!(
                "<iq type='get' to='{}'><query xmlns='{ns}'/></iq>",
                escape(to)
            ))
            .await?;
        answer
            .get_child("query", ns)
            .cloned()
            .context("an answer without a query")
    }
}

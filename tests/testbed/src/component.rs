//! A scripted XEP-0114 component.

use std::net::Ipv4Addr;
use std::ops::Deref;

use anyhow::Result;
use minidom::Element;

use crate::inbox::Inbox;
use crate::xml::stanza;

/// A component that says exactly what a test tells it to, and answers nothing by itself.
///
/// Stanzas are in `jabber:client` here, as those of clients are. Stanzas need a `from`, at the component's
/// host. Everything of [`Inbox`] can be called on it.
#[derive(Debug)]
pub struct ComponentClient {
    inbox: Inbox,
    host: String,
}

impl Deref for ComponentClient {
    type Target = Inbox;
    fn deref(&self) -> &Inbox {
        &self.inbox
    }
}

impl ComponentClient {
    pub(crate) async fn connect(address: Ipv4Addr, host: &str, secret: &str) -> Result<ComponentClient> {
        Ok(ComponentClient {
            inbox: Inbox::component(address, host, secret).await?,
            host: host.to_owned(),
        })
    }

    /// The component's host name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends XML literally (apart from an id, if it has none), and returns the id.
    pub async fn send_xml(&self, xml: &str) -> Result<String> {
        self.inbox.send(stanza(xml)?).await
    }

    /// Sends an IQ given as XML and returns the answer.
    pub async fn iq_xml(&self, xml: &str) -> Result<Element> {
        self.inbox.iq(stanza(xml)?).await
    }
}

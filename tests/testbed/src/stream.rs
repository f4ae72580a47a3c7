//! Opening XMPP streams. tokio-xmpp makes them and speaks the protocol; stanzas stay `Element`s, so that tests
//! see exactly what arrived, whatever it is.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use minidom::Element;
use sasl::common::Credentials;
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_xmpp::xmlstream::{PendingFeaturesRecv, StreamHeader, Timeouts, XmlStream, initiate_stream};
use xmpp_parsers::component::Handshake;

use crate::xml::{CLIENT, escape, stanza, to_string};

pub(crate) const COMPONENT: &str = "jabber:component:accept";

pub(crate) type Wire = XmlStream<BufStream<TcpStream>, Element>;

/// Whom to log in, and where.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) address: Ipv4Addr,
    pub(crate) domain: String,
    pub(crate) user: String,
    pub(crate) resource: String,
}

/// Streams are silent for as long as tests are.
fn timeouts() -> Timeouts {
    let day = Duration::from_secs(24 * 3600);
    Timeouts {
        read_timeout: day,
        response_timeout: day,
    }
}

async fn open(
    address: SocketAddr,
    ns: &'static str,
    to: &str,
) -> Result<PendingFeaturesRecv<BufStream<TcpStream>>> {
    let socket = TcpStream::connect(address)
        .await
        .with_context(|| format!("connecting to {address}"))?;
    socket.set_nodelay(true)?;
    let header = StreamHeader {
        to: Some(Cow::Borrowed(to)),
        from: None,
        id: None,
    };
    Ok(initiate_stream(BufStream::new(socket), ns, header, timeouts()).await?)
}

/// A session that is to go on (XEP-0198).
#[derive(Debug, Clone)]
pub(crate) struct Resumption {
    pub(crate) id: String,
    /// How many stanzas have been heard in it.
    pub(crate) heard: u32,
}

pub(crate) async fn log_in(account: Account, resumption: Option<Resumption>) -> Result<(Wire, String)> {
    let stream = open(SocketAddr::from((account.address, 5222)), CLIENT, &account.domain).await?;
    let (features, stream) = stream.recv_features().await?;
    let credentials = Credentials::default()
        .with_username(&*account.user)
        .with_password("secret");
    let stream = tokio_xmpp::client_login(stream, features.sasl_mechanisms, credentials).await?;
    let header = StreamHeader {
        to: Some(Cow::Borrowed(&account.domain)),
        from: None,
        id: None,
    };
    let (_, mut stream) = stream
        .send_header(header)
        .await?
        .recv_features::<Element>()
        .await?;
    if let Some(Resumption { id, heard }) = resumption {
        let resume = format!(
            "<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{heard}'/>",
            escape(&id)
        );
        stream.send(&stanza(&resume)?).await?;
        let answer = stream.next().await.context("the stream ended")??;
        if answer.name() != "resumed" {
            bail!("resuming a session: {}", to_string(&answer));
        }
        let jid = format!("{}@{}/{}", account.user, account.domain, account.resource);
        return Ok((stream, jid));
    }
    let bind = stanza(&format!(
        "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{}</resource></bind></iq>",
        escape(&account.resource)
    ))?;
    stream.send(&bind).await?;
    let answer = stream.next().await.context("the stream ended")??;
    let jid = answer
        .get_child("bind", "urn:ietf:params:xml:ns:xmpp-bind")
        .and_then(|b| b.get_child("jid", "urn:ietf:params:xml:ns:xmpp-bind"))
        .with_context(|| format!("binding a resource: {}", to_string(&answer)))?
        .text();
    Ok((stream, jid))
}

pub(crate) async fn shake_hands(address: Ipv4Addr, host: &str, secret: &str) -> Result<Wire> {
    let mut pending = open(SocketAddr::from((address, 5347)), COMPONENT, host).await?;
    let id = pending
        .take_header()
        .id
        .context("a component's stream has an id")?
        .into_owned();
    let mut stream: Wire = pending.skip_features();
    let handshake: Element = Handshake::from_stream_id_and_password(id, secret).into();
    stream.send(&handshake).await?;
    let answer = stream.next().await.context("the stream ended")??;
    if answer.name() != "handshake" {
        bail!("the server refused the component: {}", to_string(&answer));
    }
    Ok(stream)
}

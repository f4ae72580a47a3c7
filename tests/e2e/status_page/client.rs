//! Who asks for the status page: requests as they are on the wire, and streams of events.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Federation, Value, deadline};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

/// Where the page is asked for from.
const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What is asked for, and how.
#[derive(Clone)]
pub struct Ask<'a> {
    from: Ipv4Addr,
    method: &'a str,
    path: &'a str,
    version: &'a str,
    host: &'a str,
    headers: Vec<String>,
}

impl<'a> Ask<'a> {
    pub fn new(path: &'a str) -> Ask<'a> {
        Ask {
            from: HERE,
            method: "GET",
            path,
            version: "1.1",
            host: "localhost:5280",
            headers: Vec::new(),
        }
    }

    pub fn from(mut self, from: Ipv4Addr) -> Ask<'a> {
        self.from = from;
        self
    }

    pub fn host(mut self, host: &'a str) -> Ask<'a> {
        self.host = host;
        self
    }

    pub fn method(mut self, method: &'a str) -> Ask<'a> {
        self.method = method;
        self
    }

    pub fn version(mut self, version: &'a str) -> Ask<'a> {
        self.version = version;
        self
    }

    pub fn header(mut self, line: &str) -> Ask<'a> {
        self.headers.push(line.to_owned());
        self
    }

    pub fn token(self, token: &str) -> Ask<'a> {
        self.header(&format!("Authorization: Bearer {token}"))
    }

    pub async fn open(&self, fed: &Federation, server: usize) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let mut stream = socket.connect((fed[server].address(), 5280).into()).await?;
        let more: String = self.headers.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!(
            "{} /dmuc{} HTTP/{}\r\nHost: {}\r\nConnection: close\r\n{more}\r\n",
            self.method, self.path, self.version, self.host
        );
        stream.write_all(request.as_bytes()).await?;
        Ok(stream)
    }

    /// The whole answer.
    pub async fn at(&self, fed: &Federation, server: usize) -> Result<Answer> {
        let mut stream = self.open(fed, server).await?;
        let mut text = String::new();
        timeout(deadline(), stream.read_to_string(&mut text)).await??;
        let (head, body) = text.split_once("\r\n\r\n").context("no end of the headers")?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok(Answer {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        })
    }

    pub async fn status(&self, fed: &Federation, server: usize) -> Result<u16> {
        Ok(self.at(fed, server).await?.status)
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

pub async fn json(fed: &Federation, server: usize) -> Result<Value> {
    let answer = Ask::new("/status.json").at(fed, server).await?;
    ensure!(answer.status == 200, "{answer:?}");
    answer.body.parse().with_context(|| answer.body.clone())
}

/// The state of the link to a peer, as the first service of a server shows it.
pub fn link<'a>(shown: &'a Value, peer: &str) -> &'a Value {
    let links = shown["services"][0]["links"].as_array();
    links
        .and_then(|links| links.iter().find(|link| link["peer"] == peer))
        .unwrap_or(&Value::Null)
}

/// The first room of a server, and how far it is with the instance at another service.
pub fn instance<'a>(shown: &'a Value, jid: &str) -> &'a Value {
    let list = shown["services"][0]["rooms"][0]["instances"].as_array();
    list.and_then(|list| list.iter().find(|instance| instance["instance"] == jid))
        .unwrap_or(&Value::Null)
}

/// A stream of events as it arrives, without what HTTP puts between.
pub struct Stream {
    socket: TcpStream,
    text: String,
    is_over: bool,
}

impl Stream {
    pub async fn open(fed: &Federation, server: usize) -> Result<Stream> {
        let socket = Ask::new("/events").open(fed, server).await?;
        let mut stream = Stream {
            socket,
            text: String::new(),
            is_over: false,
        };
        stream.until("\r\n\r\n").await?;
        ensure!(stream.text.starts_with("HTTP/1.1 200"), "{}", stream.text);
        Ok(stream)
    }

    /// Reads until these words have come.
    pub async fn until(&mut self, words: &str) -> Result<()> {
        let end = Instant::now() + deadline();
        let mut part = vec![0; 65_536];
        while !self.text.contains(words) {
            let left = end.saturating_duration_since(Instant::now());
            let read = timeout(left, self.socket.read(&mut part)).await;
            let count = read.with_context(|| format!("{words:?} does not come: {}", self.text))??;
            self.is_over = count == 0;
            ensure!(count > 0, "the stream ended before {words:?}: {}", self.text);
            self.text.push_str(std::str::from_utf8(&part[..count])?);
        }
        let at = self.text.find(words).unwrap_or_default() + words.len();
        if words.starts_with("event: ") {
            self.text.drain(..at);
        }
        Ok(())
    }

    /// Reads until the link to a peer is shown in a state.
    pub async fn until_link(&mut self, peer: &str, state: &str) -> Result<()> {
        let end = Instant::now() + deadline();
        loop {
            ensure!(Instant::now() < end, "{peer} is not shown as {state}");
            self.until("event: status\ndata: ").await?;
            self.until("\n\n").await?;
            let line = self.text.lines().next().unwrap_or_default().to_owned();
            let shown: Value = line.parse().context(line)?;
            if link(&shown, peer)["state"] == state {
                return Ok(());
            }
        }
    }

    /// Waits until the server has closed it, as it said for which reason.
    pub async fn until_end(mut self, why: &str) -> Result<()> {
        self.until(&format!("event: end\ndata: {why}\n\n\r\n0\r\n\r\n"))
            .await?;
        let mut rest = Vec::new();
        timeout(deadline(), self.socket.read_to_end(&mut rest)).await??;
        ensure!(rest.is_empty(), "something came after the end: {rest:?}");
        Ok(())
    }
}

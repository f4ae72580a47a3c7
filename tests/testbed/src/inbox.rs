//! What a client or component received, in order, and the task that runs its stream.

mod transcript;

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use minidom::Element;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_xmpp::xmlstream::ReadError;

use crate::background;
use crate::stream::{Account, COMPONENT, Resumption, Wire, log_in, shake_hands};
use crate::waiting::deadline;
use crate::xml::{CLIENT, DISCO_INFO, escape, rename_namespace, set_attr, stanza, to_string};

#[derive(Debug, Default)]
struct State {
    /// Stanzas with the number of their arrival.
    queue: VecDeque<(u64, Element)>,
    arrived: u64,
    answers: HashMap<String, oneshot::Sender<Element>>,
    closed: Option<String>,
    answer_requests: bool,
    /// Everything that arrived, whoever takes it from the queue, if that is wanted.
    transcript: Option<Vec<Element>>,
}

enum Command {
    Send(Box<Element>, oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
    Abort,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    name: String,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}

/// What arrived and was not asked for yet, in order.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    ids: AtomicU64,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Command::Send(..) => "Send",
            Command::Close(_) => "Close",
            Command::Abort => "Abort",
        })
    }
}

impl Inbox {
    pub(crate) async fn client(account: Account, resumption: Option<Resumption>) -> Result<(Inbox, String)> {
        let name = format!("{}@{}/{}", account.user, account.domain, account.resource);
        let connect = background::spawn(log_in(account, resumption));
        let (wire, jid) = tokio::time::timeout(deadline(), connect)
            .await
            .with_context(|| format!("logging in {name}: timeout"))??
            .with_context(|| format!("logging in {name}"))?;
        Ok((Inbox::run(wire, CLIENT, name, true), jid))
    }

    pub(crate) async fn component(address: Ipv4Addr, host: &str, secret: &str) -> Result<Inbox> {
        let (owned_host, secret) = (host.to_owned(), secret.to_owned());
        let connect = background::spawn(async move { shake_hands(address, &owned_host, &secret).await });
        let wire = tokio::time::timeout(deadline(), connect)
            .await
            .with_context(|| format!("connecting the component {host}: timeout"))??
            .with_context(|| format!("connecting the component {host}"))?;
        Ok(Inbox::run(wire, COMPONENT, host.to_owned(), false))
    }

    fn run(wire: Wire, ns: &'static str, name: String, answer_requests: bool) -> Inbox {
        let state = State {
            answer_requests,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            name,
        });
        let (commands, requests) = mpsc::unbounded_channel();
        background::spawn(drive(wire, ns, Arc::clone(&shared), requests));
        Inbox {
            shared,
            commands,
            ids: AtomicU64::new(0),
        }
    }

    /// A fresh stanza id.
    pub fn new_id(&self) -> String {
        format!(
            "{}-{}",
            self.shared.name.replace(['@', '/'], "-"),
            self.ids.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// Sends a stanza; returns when it was written. Gives it an id if it has none, and returns the id.
    pub async fn send(&self, mut element: Element) -> Result<String> {
        let id = match element.attr("id") {
            Some(id) => id.to_owned(),
            None => {
                let id = self.new_id();
                set_attr(&mut element, "id", &id)?;
                id
            }
        };
        let (tx, rx) = oneshot::channel();
        let sent = self.commands.send(Command::Send(Box::new(element), tx)).is_ok() && rx.await.is_ok();
        if !sent {
            bail!(
                "{}: the stream is closed: {}",
                self.shared.name,
                self.why_closed()
            );
        }
        Ok(id)
    }

    /// Sends a request and returns its answer, which may be an error stanza.
    pub async fn iq(&self, mut request: Element) -> Result<Element> {
        let id = match request.attr("id") {
            Some(id) => id.to_owned(),
            None => self.new_id(),
        };
        set_attr(&mut request, "id", &id)?;
        let what = to_string(&request);
        let (tx, rx) = oneshot::channel();
        self.shared.lock().answers.insert(id, tx);
        self.send(request).await?;
        match tokio::time::timeout(deadline(), rx).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => bail!(
                "{}: the stream closed before the answer to {what}",
                self.shared.name
            ),
            Err(_) => bail!("{}: no answer to {what}", self.shared.name),
        }
    }

    /// Whether the usual IQ requests (ping, version, disco#info) are answered by themselves and kept out of
    /// the inbox. On for clients, off for components.
    pub fn answer_requests(&self, yes: bool) {
        self.shared.lock().answer_requests = yes;
    }

    /// Takes the first stanza that matches, waiting for it if necessary. Everything else stays, in order.
    pub async fn expect(&self, what: &str, wanted: impl FnMut(&Element) -> bool) -> Result<Element> {
        self.search(0, what, deadline(), wanted).await
    }

    /// A position in the order of arrival: everything that has arrived so far is before it.
    pub fn mark(&self) -> u64 {
        self.shared.lock().arrived
    }

    /// As [`Inbox::expect`], but ignores (and leaves) what arrived before `mark`.
    pub async fn expect_since(
        &self,
        mark: u64,
        what: &str,
        wanted: impl FnMut(&Element) -> bool,
    ) -> Result<Element> {
        self.search(mark, what, deadline(), wanted).await
    }

    /// As [`Inbox::expect`], with a deadline.
    pub async fn expect_within(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl FnMut(&Element) -> bool,
    ) -> Result<Element> {
        self.search(0, what, timeout, wanted).await
    }

    async fn search(
        &self,
        mark: u64,
        what: &str,
        timeout: Duration,
        mut wanted: impl FnMut(&Element) -> bool,
    ) -> Result<Element> {
        let mut changed = self.shared.changed.subscribe();
        let mut next = mark;
        let search = async {
            loop {
                changed.borrow_and_update();
                {
                    let mut state = self.shared.lock();
                    let at = state
                        .queue
                        .iter()
                        .position(|(number, e)| *number >= next && wanted(e));
                    if let Some((_, found)) = at.and_then(|at| state.queue.remove(at)) {
                        return Ok(found);
                    }
                    next = next.max(state.arrived);
                    if let Some(why) = &state.closed {
                        bail!("the stream closed: {why}");
                    }
                }
                changed.changed().await?;
            }
        };
        let found = tokio::time::timeout(timeout, search).await;
        found
            .unwrap_or_else(|_| bail!("timeout after {timeout:?}"))
            .with_context(|| {
                let waiting: Vec<String> = self.peek().iter().rev().take(30).rev().map(to_string).collect();
                format!(
                    "{}: waiting for {what}; in the inbox:\n{}",
                    self.shared.name,
                    waiting.join("\n")
                )
            })
    }

    /// Takes everything that has arrived so far.
    pub fn drain(&self) -> Vec<Element> {
        self.shared.lock().queue.drain(..).map(|(_, e)| e).collect()
    }

    /// Takes everything that has arrived so far and matches.
    pub fn drain_matching(&self, mut wanted: impl FnMut(&Element) -> bool) -> Vec<Element> {
        let mut state = self.shared.lock();
        let (taken, kept): (Vec<_>, _) = std::mem::take(&mut state.queue)
            .into_iter()
            .partition(|(_, e)| wanted(e));
        state.queue = kept.into();
        taken.into_iter().map(|(_, e)| e).collect()
    }

    /// What has arrived so far, without taking it.
    pub fn peek(&self) -> Vec<Element> {
        self.shared.lock().queue.iter().map(|(_, e)| e.clone()).collect()
    }

    fn why_closed(&self) -> String {
        self.shared
            .lock()
            .closed
            .clone()
            .unwrap_or_else(|| "no reason".to_owned())
    }

    /// Waits until the stream has ended, from whichever side, and returns why.
    pub async fn closed(&self) -> Result<String> {
        let mut changed = self.shared.changed.subscribe();
        let end = async {
            loop {
                changed.borrow_and_update();
                if let Some(why) = &self.shared.lock().closed {
                    return Ok(why.clone());
                }
                changed.changed().await?;
            }
        };
        tokio::time::timeout(deadline(), end)
            .await
            .context("the stream did not end")?
    }

    /// Closes the stream in an orderly way and waits for its end.
    pub async fn close(&self) -> Result<()> {
        let (tx, rx) = oneshot::channel();
        if self.commands.send(Command::Close(tx)).is_ok() {
            // The stream may have ended by itself.
            let _ = rx.await;
        }
        self.closed().await.map(|_| ())
    }

    /// Drops the connection without a word.
    pub async fn abort(&self) -> Result<()> {
        if self.commands.send(Command::Abort).is_ok() {
            self.closed().await?;
        }
        Ok(())
    }
}

async fn drive(
    mut wire: Wire,
    ns: &'static str,
    shared: Arc<Shared>,
    mut requests: mpsc::UnboundedReceiver<Command>,
) {
    let why = loop {
        tokio::select! {
            biased;
            command = requests.recv() => match command {
                Some(Command::Send(element, written)) => {
                    if let Err(e) = wire.send(&on_wire(*element, ns)).await {
                        break format!("writing: {e}");
                    }
                    // The sender may have lost interest.
                    let _ = written.send(());
                }
                Some(Command::Close(done)) => {
                    let _ = wire.shutdown().await;
                    drop(done);
                    break read_rest(&mut wire).await;
                }
                Some(Command::Abort) => {
                    let _ = wire.get_stream().get_ref().set_zero_linger();
                    break "aborted".to_owned();
                }
                None => {
                    let _ = wire.shutdown().await;
                    break "dropped".to_owned();
                }
            },
            item = wire.next() => match item {
                Some(Ok(element)) => {
                    if let Some(answer) = arrived(off_wire(element, ns), &shared)
                        && let Err(e) = wire.send(&on_wire(answer, ns)).await
                    {
                        break format!("writing: {e}");
                    }
                }
                Some(Err(ReadError::SoftTimeout)) => {}
                Some(Err(ReadError::ParseError(e))) => eprintln!("testbed: {}: {e}", shared.name),
                Some(Err(e)) => break e.to_string(),
                None => break "end of stream".to_owned(),
            },
        }
    };
    let mut state = shared.lock();
    state.closed = Some(why);
    state.answers.clear();
    drop(state);
    shared.notify();
}

async fn read_rest(wire: &mut Wire) -> String {
    let rest = async {
        while let Some(item) = wire.next().await {
            if item.is_err() {
                break;
            }
        }
    };
    match tokio::time::timeout(deadline(), rest).await {
        Ok(()) => "closed".to_owned(),
        Err(_) => "closed, without an answer".to_owned(),
    }
}

fn on_wire(element: Element, ns: &'static str) -> Element {
    match ns {
        CLIENT => element,
        _ => rename_namespace(&element, CLIENT, ns),
    }
}

fn off_wire(element: Element, ns: &'static str) -> Element {
    match ns {
        CLIENT => element,
        _ => rename_namespace(&element, ns, CLIENT),
    }
}

/// Files a stanza, or returns the answer to send.
fn arrived(element: Element, shared: &Shared) -> Option<Element> {
    let mut state = shared.lock();
    if element.is("iq", CLIENT) {
        match element.attr("type") {
            Some("result" | "error") => {
                if let Some(waiting) = element.attr("id").and_then(|id| state.answers.remove(id)) {
                    // The request may have timed out at this very moment.
                    let _ = waiting.send(element);
                    return None;
                }
            }
            Some("get") if state.answer_requests => {
                if let Some(answer) = usual_answer(&element) {
                    return Some(answer);
                }
            }
            _ => {}
        }
    }
    if let Some(transcript) = &mut state.transcript {
        transcript.push(element.clone());
    }
    let number = state.arrived;
    state.arrived += 1;
    state.queue.push_back((number, element));
    drop(state);
    shared.notify();
    None
}

/// What every client answers.
fn usual_answer(request: &Element) -> Option<Element> {
    let payload = request.children().next()?;
    let content = match (payload.name(), payload.ns().as_str()) {
        ("ping", "urn:xmpp:ping") => String::new(),
        ("query", "jabber:iq:version") => {
            "<query xmlns='jabber:iq:version'><name>testbed</name><version>1</version></query>".to_owned()
        }
        ("query", DISCO_INFO) => format!(
            "<query xmlns='{DISCO_INFO}'><identity category='client' type='bot' name='testbed'/>\
             <feature var='{DISCO_INFO}'/><feature var='urn:xmpp:ping'/></query>"
        ),
        _ => return None,
    };
    stanza(&format!(
        "<iq type='result' id='{}' to='{}'>{content}</iq>",
        escape(request.attr("id")?),
        escape(request.attr("from").unwrap_or_default())
    ))
    .ok()
}

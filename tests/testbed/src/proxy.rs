//! A TCP proxy for one direction of a server link.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::address::Block;
use crate::background;

/// What a proxy does with the connections of its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Passes bytes on.
    #[default]
    Open,
    /// Connections are reset, new ones are refused.
    Cut,
    /// Connections stay up and new ones are accepted, but nothing arrives. What was sent in the meantime is
    /// delivered after healing, as TCP would.
    Stalled,
    /// As [`Mode::Stalled`], but what is sent is gone: connections that carried any are reset on healing.
    Swallowing,
}

/// Which bytes of the connections of one direction are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the server that opened the connection: its stanzas.
    Forward,
    /// Back to it: negotiation and acknowledgements only.
    Backward,
}

#[derive(Debug, Clone, Copy, Default)]
struct Setting {
    mode: Mode,
    delay: Duration,
    /// Bytes a second in each direction, if it is thin.
    rate: Option<u32>,
    /// A connection over which more than so many bytes come in one go carries nothing any more from then on.
    chokes_on: Option<usize>,
}

/// What comes after a longer pause is another go.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Counters {
    forward: AtomicU64,
    backward: AtomicU64,
    connections: AtomicU64,
    lost: AtomicU64,
}

/// The proxy that carries the connections opened by one server to another.
#[derive(Debug)]
pub(crate) struct Proxy {
    setting: watch::Sender<Setting>,
    applied: mpsc::UnboundedSender<oneshot::Sender<()>>,
    counters: Arc<Counters>,
}

impl Proxy {
    /// Starts to listen. Until it has stopped the block is nobody else's.
    pub(crate) async fn start(
        block: &Arc<Block>,
        address: Ipv4Addr,
        target: Ipv4Addr,
        port: u16,
    ) -> Result<Proxy> {
        let (listen, target) = (
            SocketAddr::from((address, port)),
            SocketAddr::from((target, port)),
        );
        let setting = watch::Sender::new(Setting::default());
        let counters = Arc::new(Counters::default());
        let (applied, requests) = mpsc::unbounded_channel();
        let task = Acceptor {
            listen,
            target,
            setting: setting.subscribe(),
            counters: Arc::clone(&counters),
            requests,
            _block: Arc::clone(block),
        };
        background::spawn(async move {
            let listener = TcpListener::bind(listen)
                .await
                .with_context(|| format!("binding {listen}"))?;
            background::spawn(task.run(listener));
            anyhow::Ok(())
        })
        .await??;
        Ok(Proxy {
            setting,
            applied,
            counters,
        })
    }

    async fn change(&self, change: impl FnOnce(&mut Setting)) {
        self.setting.send_modify(change);
        let (tx, rx) = oneshot::channel();
        if self.applied.send(tx).is_ok() {
            // An acceptor that ended has nothing left to apply.
            let _ = rx.await;
        }
    }

    /// Changes the mode; returns when the listener is in the new state.
    pub(crate) async fn set_mode(&self, mode: Mode) {
        self.change(|s| s.mode = mode).await;
    }

    /// Delays every byte, in both directions of the connection.
    pub(crate) async fn set_delay(&self, delay: Duration) {
        self.change(|s| s.delay = delay).await;
    }

    /// Lets no more through than so many bytes a second, in each direction of each connection.
    pub(crate) async fn set_rate(&self, rate: Option<u32>) {
        self.change(|s| s.rate = rate).await;
    }

    /// What it cannot digest: more than so many bytes in one go end what a connection carries forward, without a word.
    pub(crate) async fn set_chokes_on(&self, bytes: Option<usize>) {
        self.change(|s| s.chokes_on = bytes).await;
    }

    pub(crate) fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Forward => self.counters.forward.load(Ordering::Relaxed),
            Direction::Backward => self.counters.backward.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.counters.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.counters.connections.load(Ordering::Relaxed)
    }
}

struct Acceptor {
    listen: SocketAddr,
    target: SocketAddr,
    setting: watch::Receiver<Setting>,
    counters: Arc<Counters>,
    /// "Tell me when the current setting is in force."
    requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    /// Dropped after the listener.
    _block: Arc<Block>,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let accepted = async {
                match &listener {
                    Some(l) => l.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                request = self.requests.recv() => {
                    let Some(reply) = request else { return };
                    if self.setting.borrow_and_update().mode == Mode::Cut {
                        // Closing the socket is what makes the kernel refuse.
                        listener = None;
                    } else if listener.is_none() {
                        match TcpListener::bind(self.listen).await {
                            Ok(l) => listener = Some(l),
                            Err(e) => eprintln!("testbed proxy: binding {}: {e}", self.listen),
                        }
                    }
                    // Whoever asked may have given up.
                    let _ = reply.send(());
                }
                Ok((client, _)) = accepted => {
                    self.counters.connections.fetch_add(1, Ordering::Relaxed);
                    let (setting, counters) = (self.setting.clone(), Arc::clone(&self.counters));
                    background::spawn(connection(client, self.target, setting, counters));
                }
            }
        }
    }
}

async fn wait_for(setting: &mut watch::Receiver<Setting>, mut wanted: impl FnMut(Mode) -> bool) {
    // An error means that the proxy is gone, and so is every reason to wait.
    let _ = setting.wait_for(|s| wanted(s.mode)).await;
}

async fn connection(
    client: TcpStream,
    target: SocketAddr,
    mut setting: watch::Receiver<Setting>,
    counters: Arc<Counters>,
) {
    let mode = setting.borrow_and_update().mode;
    let server = match mode {
        Mode::Cut => None,
        _ => TcpStream::connect(target).await.ok(),
    };
    let Some(server) = server else {
        reset(&client);
        return;
    };
    for socket in [&client, &server] {
        // A proxy must not add Nagle's delay to the one that is there already.
        let _ = socket.set_nodelay(true);
        // Whatever closes them, both sides see what a broken link looks like; an orderly end is passed on
        // by shutdown() before.
        reset(socket);
    }
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let forward = pump(
        client_in,
        server_out,
        setting.clone(),
        Arc::clone(&counters),
        Direction::Forward,
    );
    let backward = pump(
        server_in,
        client_out,
        setting.clone(),
        counters,
        Direction::Backward,
    );
    tokio::select! {
        _ = wait_for(&mut setting, |mode| mode == Mode::Cut) => {}
        _ = async { tokio::try_join!(forward, backward) } => {}
    }
}

/// Makes closing the socket send RST.
fn reset(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}

type Chunk = (Instant, Vec<u8>);

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut setting: watch::Receiver<Setting>,
    counters: Arc<Counters>,
    direction: Direction,
) -> std::io::Result<()> {
    // Unbounded on purpose: a delayed link holds what is in flight.
    let (tx, mut rx) = mpsc::unbounded_channel::<Chunk>();
    let mut reading = setting.clone();
    // Bytes that have been read and not been passed on.
    let backlog = AtomicUsize::new(0);
    // Something that this direction carried is gone.
    let tainted = AtomicBool::new(false);
    let lose = |bytes: usize| {
        tainted.store(true, Ordering::Relaxed);
        counters.lost.fetch_add(bytes as u64, Ordering::Relaxed);
    };
    let reader = async {
        let tx = tx; // the writer ends when this does
        let mut buffer = vec![0; 32 * 1024];
        let (mut at, mut in_one_go, mut is_choked) = (Instant::now(), 0, false);
        loop {
            let mode = reading.borrow_and_update().mode;
            if mode == Mode::Stalled {
                wait_for(&mut reading, |m| m != Mode::Stalled).await;
                continue;
            }
            if tainted.load(Ordering::Relaxed) && mode == Mode::Open {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            let read = tokio::select! {
                changed = reading.changed() => {
                    if changed.is_err() { return Ok(()) }
                    continue;
                }
                read = from.read(&mut buffer) => read?,
            };
            if read == 0 {
                return Ok(());
            }
            let now = *reading.borrow();
            if at.elapsed() > PAUSE {
                in_one_go = 0;
            }
            (at, in_one_go) = (Instant::now(), in_one_go + read);
            is_choked |=
                direction == Direction::Forward && now.chokes_on.is_some_and(|most| in_one_go > most);
            if is_choked {
                counters.lost.fetch_add(read as u64, Ordering::Relaxed);
                continue;
            }
            if let Some(rate) = now.rate {
                // What is not on the line yet waits at its sender.
                while backlog.load(Ordering::Relaxed) > rate as usize {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            backlog.fetch_add(read, Ordering::Relaxed);
            match now.mode {
                Mode::Swallowing => {
                    backlog.fetch_sub(read, Ordering::Relaxed);
                    lose(read);
                }
                _ => {
                    let chunk = (Instant::now() + now.delay, buffer[..read].to_vec());
                    if tx.send(chunk).is_err() {
                        return Ok(());
                    }
                }
            }
        }
    };
    let writer = async {
        while let Some((due, chunk)) = rx.recv().await {
            // This is the link's latency, not a wait for something.
            tokio::time::sleep_until(due).await;
            wait_for(&mut setting, |m| m != Mode::Stalled).await;
            backlog.fetch_sub(chunk.len(), Ordering::Relaxed);
            if setting.borrow().mode == Mode::Swallowing {
                lose(chunk.len());
                continue;
            }
            let counter = match direction {
                Direction::Forward => &counters.forward,
                Direction::Backward => &counters.backward,
            };
            let rate = setting.borrow().rate;
            // As it comes from a thin line: a little at a time.
            for part in chunk.chunks(rate.map_or(chunk.len(), |rate| (rate / 10).max(1) as usize)) {
                if let Some(rate) = rate {
                    tokio::time::sleep(Duration::from_secs(1) * part.len() as u32 / rate).await;
                }
                counter.fetch_add(part.len() as u64, Ordering::Relaxed);
                to.write_all(part).await?;
            }
        }
        // The other side closed: pass that on, in order.
        to.shutdown().await
    };
    tokio::try_join!(reader, writer).map(|_| ())
}

//! The links between two servers, as tests see them.

use std::time::Duration;

use crate::federation::Federation;
use crate::proxy::{Direction, Mode, Proxy};

/// One or both directions between two servers.
///
/// XMPP opens one connection per direction and pair of hosts: "A to B" is the connections that A opens, which
/// carry A's stanzas.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    pub(crate) proxies: [Option<&'a Proxy>; 2],
}

impl<'a> Link<'a> {
    fn each(&self) -> impl Iterator<Item = &'a Proxy> + use<'a> {
        self.proxies.into_iter().flatten()
    }

    async fn set_mode(&self, mode: Mode) {
        for proxy in self.each() {
            proxy.set_mode(mode).await;
        }
    }

    /// Resets the connections and refuses new ones.
    pub async fn cut(&self) {
        self.set_mode(Mode::Cut).await;
    }

    /// Lets nothing through, silently: connections stay up, new ones are accepted. Healing delivers what was
    /// sent in the meantime, as TCP would ([`Mode::Stalled`]).
    pub async fn stall(&self) {
        self.set_mode(Mode::Stalled).await;
    }

    /// Lets nothing through, silently, and loses it: healing resets the connections that lost something
    /// ([`Mode::Swallowing`]).
    pub async fn swallow(&self) {
        self.set_mode(Mode::Swallowing).await;
    }

    /// Adds a one-way delay to every byte in both directions of the connections.
    pub async fn delay(&self, delay: Duration) {
        for proxy in self.each() {
            proxy.set_delay(delay).await;
        }
    }

    /// Lets no more through than so many bytes a second, in each direction of the connections.
    pub async fn throttle(&self, bytes_per_s: u32) {
        for proxy in self.each() {
            proxy.set_rate(Some(bytes_per_s)).await;
        }
    }

    /// Connections over which more than so many bytes come in one go, from the side that opened them, carry nothing any more:
    /// as where one large message is more than something on the way takes. They stay up.
    pub async fn choke_on(&self, bytes: usize) {
        for proxy in self.each() {
            proxy.set_chokes_on(Some(bytes)).await;
        }
    }

    /// Everything as it was: open, without delay, as fast as can be.
    pub async fn heal(&self) {
        for proxy in self.each() {
            proxy.set_rate(None).await;
            proxy.set_chokes_on(None).await;
        }
        self.delay(Duration::ZERO).await;
        self.set_mode(Mode::Open).await;
    }

    /// Open again, with whatever delay it has.
    pub async fn reopen(&self) {
        self.set_mode(Mode::Open).await;
    }

    /// Encrypted bytes that were passed on so far.
    pub fn bytes(&self) -> u64 {
        self.each()
            .map(|p| p.bytes(Direction::Forward) + p.bytes(Direction::Backward))
            .sum()
    }

    /// Encrypted bytes that the opening side sent ([`Direction::Forward`]) or got.
    pub fn bytes_in(&self, direction: Direction) -> u64 {
        self.each().map(|p| p.bytes(direction)).sum()
    }

    /// Bytes that were swallowed so far.
    pub fn lost(&self) -> u64 {
        self.each().map(Proxy::lost).sum()
    }

    /// Connections that were accepted so far.
    pub fn connections(&self) -> u64 {
        self.each().map(Proxy::connections).sum()
    }
}

impl Federation {
    /// Both directions between two servers, by index.
    pub fn link(&self, a: usize, b: usize) -> Link<'_> {
        Link {
            proxies: [self.proxy(a, b), self.proxy(b, a)],
        }
    }

    /// Only the connections that server `from` opens to server `to`: the stanzas in that direction.
    pub fn link_one_way(&self, from: usize, to: usize) -> Link<'_> {
        Link {
            proxies: [self.proxy(from, to), None],
        }
    }

    /// Cuts a server off from all others.
    pub async fn isolate(&self, server: usize) {
        for other in (0..self.servers().len()).filter(|o| *o != server) {
            self.link(server, other).cut().await;
        }
    }

    /// Adds a one-way delay to every link.
    pub async fn delay_all(&self, delay: Duration) {
        for a in 0..self.servers().len() {
            for b in 0..a {
                self.link(a, b).delay(delay).await;
            }
        }
    }

    /// Heals every link.
    pub async fn heal_all(&self) {
        for a in 0..self.servers().len() {
            for b in 0..a {
                self.link(a, b).heal().await;
            }
        }
    }
}

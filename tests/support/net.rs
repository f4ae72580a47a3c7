//! The network: stanzas on their way, in order per direction, each link with a latency of its own. What can go wrong
//! on a link is a property of its two directions, each a connection of its own as between servers (FAILURES).

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use dmuc::address::BareJid;
use dmuc::wire::Condition;

use super::dice::Dice;

/// How one direction of a link behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Everything arrives, in order.
    #[default]
    Up,
    /// Everything comes back as remote-server-not-found.
    Bounces,
    /// Everything disappears.
    Swallows,
    /// Everything is kept and arrives, in order, once the link is up again.
    Stalls,
    /// This connection swallows everything, a new one would not: up again as soon as the sender gives it up.
    Wedged,
}

/// How often a stanza meets with a mishap, per thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    pub loss: u64,
    pub duplicates: u64,
    /// Late by up to ten times its latency, so that others overtake it.
    pub reorders: u64,
}

/// What becomes of what is in flight when a connection dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It is lost.
    Loses,
    /// It comes back as recipient-unavailable, as mod_smacks does it, and may arrive all the same.
    Bounces,
}

#[derive(Debug, Clone, Default)]
pub struct Direction {
    pub mode: Mode,
    /// What it cannot digest: a stanza with this text is lost, and so is what comes after it until there is a new connection.
    pub chokes_on: Option<String>,
    pub latency_ms: u64,
    /// What it carries, if that is little: a stanza has arrived when all of it has.
    pub bytes_per_s: Option<u64>,
    /// When what was sent until now has been put on the line.
    free_at: u64,
    pub weather: Weather,
    /// Nothing overtakes what was sent before.
    last_at: u64,
    stalled: VecDeque<Flight>,
    pub stanzas: u64,
    pub bytes: u64,
    /// When something was last lost without a word to its sender, or came out of turn.
    pub last_loss_at: Option<u64>,
    /// When it last did anything but deliver in order.
    pub last_fault_at: Option<u64>,
}

/// A stanza on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    pub from: BareJid,
    pub to: BareJid,
    pub xml: String,
    /// It comes back to its sender as this error.
    pub bounce: Option<Condition>,
    /// This is only the news that more of a stanza has arrived.
    pub is_part: bool,
}

/// How often a host notices that a stanza is arriving.
const PARTS_MS: u64 = 1_000;

#[derive(Debug)]
pub struct Network {
    directions: BTreeMap<(BareJid, BareJid), Direction>,
    flights: BTreeMap<(u64, u64), Flight>,
    count: u64,
    dice: Dice,
    /// The time as far as the network has been told.
    now_ms: u64,
    /// The size of the largest stanza that was ever sent.
    pub largest: u64,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            directions: BTreeMap::new(),
            flights: BTreeMap::new(),
            count: 0,
            dice: Dice::new(0x5EA),
            now_ms: 0,
            largest: 0,
        }
    }
}

impl Network {
    /// Mishaps are rolled with these dice from now on.
    pub fn seed(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    pub fn direction(&mut self, from: &BareJid, to: &BareJid) -> &mut Direction {
        self.directions
            .entry((from.clone(), to.clone()))
            .or_insert(Direction {
                latency_ms: 20,
                ..Direction::default()
            })
    }

    /// Both directions.
    pub fn set_mode(&mut self, a: &BareJid, b: &BareJid, mode: Mode) {
        self.set_direction(a, b, mode);
        self.set_direction(b, a, mode);
    }

    pub fn set_direction(&mut self, from: &BareJid, to: &BareJid, mode: Mode) {
        let now = self.now_ms;
        let direction = self.direction(from, to);
        let was = std::mem::replace(&mut direction.mode, mode);
        if was != mode {
            direction.last_fault_at = Some(now);
        }
        if was != Mode::Stalls || mode == Mode::Stalls {
            return;
        }
        let kept = std::mem::take(&mut direction.stalled);
        let latency_ms = direction.latency_ms;
        match mode {
            Mode::Up => kept
                .into_iter()
                .for_each(|flight| self.schedule(latency_ms, flight, true)),
            Mode::Bounces => kept
                .into_iter()
                .for_each(|flight| self.give_back(latency_ms, flight, Condition::RemoteServerNotFound)),
            _ => self.lost(from, to),
        }
    }

    pub fn set_weather(&mut self, from: &BareJid, to: &BareJid, weather: Weather) {
        let now = self.now_ms;
        let direction = self.direction(from, to);
        if direction.weather != weather {
            (direction.weather, direction.last_fault_at) = (weather, Some(now));
        }
    }

    /// What this direction carries from now on; `None` for as much as is sent. What is on the line arrives as if nothing had changed.
    pub fn set_rate(&mut self, from: &BareJid, to: &BareJid, bytes_per_s: Option<u64>) {
        let now = self.now_ms;
        let direction = self.direction(from, to);
        if direction.bytes_per_s != bytes_per_s {
            (direction.bytes_per_s, direction.last_fault_at) = (bytes_per_s, Some(now));
        }
    }

    /// No direction is thin any more.
    pub fn thicken(&mut self) {
        let all: Vec<(BareJid, BareJid)> = self.directions.keys().cloned().collect();
        for (from, to) in all {
            self.set_rate(&from, &to, None);
        }
    }

    /// Every direction is up, and what was kept arrives.
    pub fn heal(&mut self) {
        let all: Vec<(BareJid, BareJid)> = self.directions.keys().cloned().collect();
        for (from, to) in all {
            self.set_direction(&from, &to, Mode::Up);
            self.set_weather(&from, &to, Weather::default());
        }
    }

    pub fn is_healed(&self) -> bool {
        let fine =
            |direction: &Direction| direction.mode == Mode::Up && direction.weather == Weather::default();
        self.directions.values().all(fine)
    }

    /// The connection of one direction dies; the next stanza opens a new one.
    pub fn reset(&mut self, from: &BareJid, to: &BareJid, how: Reset) {
        let direction = self.direction(from, to);
        if direction.mode == Mode::Wedged {
            direction.mode = Mode::Up;
        }
        direction.free_at = 0;
        let latency_ms = direction.latency_ms;
        let mut dying: Vec<Flight> = direction.stalled.drain(..).collect();
        let concerned = |flight: &Flight| flight.from == *from && flight.to == *to && flight.bounce.is_none();
        let keys: Vec<(u64, u64)> = self
            .flights
            .iter()
            .filter(|(_, flight)| concerned(flight))
            .map(|(key, _)| *key)
            .collect();
        dying.extend(keys.iter().filter_map(|key| self.flights.remove(key)));
        dying.retain(|flight| !flight.is_part);
        if dying.is_empty() {
            return;
        }
        self.lost(from, to);
        if how == Reset::Loses {
            return;
        }
        for flight in dying {
            if self.dice.chance(50) {
                // The other side had it already, or still gets it from the old connection, after whatever comes over the new.
                let late = self.dice.below(4 * latency_ms + 1);
                self.schedule(late, flight.clone(), false);
            }
            self.give_back(latency_ms, flight, Condition::RecipientUnavailable);
        }
    }

    /// Puts a stanza on its way; `jitter_ms` on top of the latency.
    pub fn send(&mut self, now_ms: u64, jitter_ms: u64, from: BareJid, to: BareJid, xml: String) {
        self.now_ms = self.now_ms.max(now_ms);
        let size = xml.len() as u64;
        self.largest = self.largest.max(size);
        let direction = self.direction(&from, &to);
        direction.stanzas += 1;
        direction.bytes += size;
        let is_choked = |text: &String| direction.mode == Mode::Up && plain(&xml).contains(text);
        if direction.chokes_on.as_ref().is_some_and(is_choked) {
            direction.mode = Mode::Wedged;
        }
        let (mode, weather, delay) = (
            direction.mode,
            direction.weather,
            direction.latency_ms + jitter_ms,
        );
        let flight = Flight {
            from,
            to,
            xml,
            bounce: None,
            is_part: false,
        };
        let (from, to) = (flight.from.clone(), flight.to.clone());
        match mode {
            Mode::Up if weather == Weather::default() => self.schedule(delay, flight, true),
            Mode::Up => {
                if self.dice.below(1_000) < weather.loss {
                    self.lost(&from, &to);
                    return;
                }
                let is_late = self.dice.below(1_000) < weather.reorders;
                if self.dice.below(1_000) < weather.duplicates {
                    let late = delay + self.dice.below(3 * delay + 1);
                    self.schedule(late, flight.clone(), false);
                    self.lost(&from, &to);
                }
                if is_late {
                    self.lost(&from, &to);
                    let late = delay + self.dice.below(10 * delay + 1);
                    self.schedule(late, flight, false);
                } else {
                    self.schedule(delay, flight, true);
                }
            }
            Mode::Bounces => self.give_back(delay, flight, Condition::RemoteServerNotFound),
            Mode::Stalls => self.direction(&from, &to).stalled.push_back(flight),
            Mode::Swallows | Mode::Wedged => self.lost(&from, &to),
        }
    }

    /// A process is no more: what waits in its buffers, to be sent or to be read, is lost.
    pub fn died(&mut self, service: &BareJid) {
        let now = self.now_ms;
        for ((from, to), direction) in &mut self.directions {
            if from == service || to == service {
                if from == service {
                    direction.stalled.clear();
                }
                (direction.last_loss_at, direction.last_fault_at) = (Some(now), Some(now));
            }
        }
    }

    /// Something of this direction is lost, or arrives out of turn.
    pub fn lost(&mut self, from: &BareJid, to: &BareJid) {
        let now = self.now_ms;
        let direction = self.direction(from, to);
        (direction.last_loss_at, direction.last_fault_at) = (Some(now), Some(now));
    }

    /// Puts a stanza on the line when that is free. Returns for how long it waits and is on it.
    fn put_on_line(&mut self, flight: &Flight) -> u64 {
        let now = self.now_ms;
        let direction = self.direction(&flight.from, &flight.to);
        let Some(rate) = direction.bytes_per_s.filter(|_| flight.bounce.is_none()) else {
            return 0;
        };
        let begins_at = direction.free_at.max(now);
        direction.free_at = begins_at + (flight.xml.len() as u64 * 1_000).div_ceil(rate);
        let (ends_at, latency_ms) = (direction.free_at, direction.latency_ms);
        for at in (begins_at + PARTS_MS..ends_at).step_by(PARTS_MS as usize) {
            self.count += 1;
            let part = Flight {
                xml: String::new(),
                is_part: true,
                ..flight.clone()
            };
            self.flights.insert((at + latency_ms, self.count), part);
        }
        ends_at - now
    }

    fn schedule(&mut self, delay_ms: u64, flight: Flight, in_order: bool) {
        let mut at = self.now_ms + delay_ms + self.put_on_line(&flight);
        if in_order {
            let direction = self.direction(&flight.from, &flight.to);
            at = at.max(direction.last_at);
            direction.last_at = at;
        }
        self.count += 1;
        self.flights.insert((at, self.count), flight);
    }

    fn give_back(&mut self, delay_ms: u64, flight: Flight, condition: Condition) {
        let bounce = Some(condition);
        self.schedule(delay_ms, Flight { bounce, ..flight }, true);
    }

    pub fn next_at(&self) -> Option<u64> {
        self.flights.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn arrive(&mut self) -> Option<Flight> {
        let ((at, _), flight) = self.flights.pop_first()?;
        self.now_ms = self.now_ms.max(at);
        Some(flight)
    }

    pub fn tick(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// What is on its way, for checkers that ask what it is.
    pub fn flights(&self) -> impl Iterator<Item = &Flight> {
        self.flights.values()
    }

    /// Stanzas handed to this direction so far.
    pub fn stanzas(&self, from: &BareJid, to: &BareJid) -> u64 {
        self.directions
            .get(&(from.clone(), to.clone()))
            .map_or(0, |direction| direction.stanzas)
    }

    pub fn last_loss_at(&self, from: &BareJid, to: &BareJid) -> Option<u64> {
        let direction = self.directions.get(&(from.clone(), to.clone()));
        direction.and_then(|direction| direction.last_loss_at)
    }

    /// Between which services anything has been wrong since then.
    pub fn troubled_since(&self, since_ms: u64) -> impl Iterator<Item = &(BareJid, BareJid)> {
        let is_troubled = move |direction: &Direction| {
            direction.mode != Mode::Up || direction.last_fault_at.is_some_and(|at| at >= since_ms)
        };
        let all = self.directions.iter();
        all.filter(move |(_, direction)| is_troubled(direction))
            .map(|(between, _)| between)
    }

    /// Whether anything has ever been wrong with a link of this service.
    pub fn was_touched(&self, service: &BareJid) -> bool {
        let touched = |((from, to), direction): (&(BareJid, BareJid), &Direction)| {
            (from == service || to == service) && direction.last_fault_at.is_some()
        };
        self.directions.iter().any(touched)
    }
}

/// A stanza with what is packed in it in the open.
pub fn plain(xml: &str) -> Cow<'_, str> {
    let (Some(start), Some(end)) = (xml.find("<packed "), xml.find("</packed>")) else {
        return Cow::Borrowed(xml);
    };
    let end = end + "</packed>".len();
    match dmuc::wire::unpack(&xml[start..end]) {
        Ok(inner) => Cow::Owned(format!("{}{inner}{}", &xml[..start], &xml[end..])),
        Err(_) => Cow::Borrowed(xml),
    }
}

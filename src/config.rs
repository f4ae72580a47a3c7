//! The options of one MUC service, checked once.

pub mod advice;
mod budgets;
mod peers;
mod period;
mod voters;

use std::collections::{BTreeMap, BTreeSet};

use crate::address::BareJid;

use crate::error::ConfigError;

pub use budgets::Budgets;
pub use voters::Voters;

/// The default of `dmuc_max_stanza_size` ([`Config::max_stanza_size`]).
pub const MAX_STANZA_SIZE: usize = 262_144;

/// When the source asks its peers to replicate (`dmuc_replicate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicate {
    /// As soon as the room is distributed: the room survives a split from the first minute. Default.
    Immediately,
    /// When the first user of the peer's domains joins: for many rooms that few peers need.
    OnJoin,
}

/// How room ids are made (`dmuc_room_id`, XEP-0281 section 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomIdScheme {
    /// A random UUID: opaque and unique.
    Uuid,
    /// SHA-256 of the source's JID: opaque, and the same again if the room is made anew.
    Sha256,
    /// The source's localpart, or, where a service would not have that before any shadow has it, the source's localpart and
    /// service, `coven.chat.shakespeare.lit`: readable. Default.
    Name,
}

/// Which room ids a peer that is not trusted may have its shadows here under (`dmuc_shadow_names`): the id is the localpart
/// of the shadow, a name of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShadowNames {
    /// Those that nobody would choose for a room here: UUIDs, the SHA-256 of the source's JID, and names that end with the
    /// peer's domain. Default.
    Opaque,
    /// All that are free.
    Any,
}

/// How occupants behind a link that is down are shown (`dmuc_split_presence`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitPresence {
    /// As `xa` with a status text. Default.
    Away,
    /// Unchanged.
    Keep,
    /// As having left.
    Leave,
}

/// What is agreed with one peer service (an entry of `dmuc_peers`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The user domains the peer is authoritative for. Default: its parent domain, if that is none of our own users.
    pub domains: BTreeSet<String>,
    /// Whether events it relays for third instances, and real JIDs of other domains it names, are believed.
    pub trusted: bool,
}

/// Every option. All limits are inclusive; every one has a defined overflow (G13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The JID of the MUC service this engine serves.
    pub service: BareJid,
    /// `dmuc_peers`: services we peer with. Nobody by default.
    pub peers: BTreeMap<BareJid, Peer>,
    /// `dmuc_replicate`.
    pub replicate: Replicate,
    /// `dmuc_room_id`.
    pub room_id: RoomIdScheme,
    /// `dmuc_voters`: at which services the instances of rooms of ours may vote on who follows their source.
    pub voters: Voters,
    /// `dmuc_succession_after`, ms: how long a source is out of reach until an instance here asks for votes by itself; 0: never.
    pub succession_after_ms: u64,
    /// `dmuc_shadow_names`.
    pub shadow_names: ShadowNames,
    /// `dmuc_own_domains`, and the parent domain of the service: the domains of our own users. No peer speaks for them by
    /// default.
    pub own_domains: BTreeSet<String>,
    /// `dmuc_redirect`: whether users of a peer's domains are sent from the source to their shadow.
    pub redirect: bool,
    /// `dmuc_redirect_after`: redirect only when this many users of the peer's domains are in the source.
    pub redirect_after: u32,
    /// `dmuc_ping_interval`, ms. Longer saves traffic on thin links and notices failures later.
    pub ping_interval_ms: u64,
    /// `dmuc_link_timeout`, ms. Also the time a peer has to answer a request.
    pub link_timeout_ms: u64,
    /// `dmuc_split_presence`.
    pub split_presence: SplitPresence,
    /// `dmuc_split_notice`: whether people are told in the room that a link went down, and that it is up again.
    pub split_notice: bool,
    /// `dmuc_occupant_timeout`, ms. Occupants of a service that has been out of reach for so long are not listed any more.
    pub occupant_timeout_ms: u64,
    /// `dmuc_log_max_age`, ms.
    pub log_max_age_ms: u64,
    /// `dmuc_log_max_messages`, per room. The oldest go first.
    pub log_max_messages: usize,
    /// `dmuc_log_max_bytes`, per room, of messages as XML. The oldest go first.
    pub log_max_bytes: usize,
    /// `dmuc_memory`: bytes of messages of all rooms together that are in memory. Beyond: what is stored is in the store only,
    /// of the room with most first.
    pub memory_bytes: usize,
    /// `dmuc_max_shadows`: rooms we hold for others. Beyond: `resource-constraint`.
    pub max_shadows: usize,
    /// `dmuc_max_shadows_per_peer`: of those, rooms we hold for one of them. Beyond: `resource-constraint`.
    pub max_shadows_per_peer: usize,
    /// `dmuc_max_occupants_per_peer`: occupants of one peer in all rooms here. Beyond: `resource-constraint`.
    pub max_occupants_per_peer: usize,
    /// `dmuc_max_bytes_per_peer`: bytes of messages in all shadows of one peer's rooms. Beyond: each keeps its share.
    pub max_bytes_per_peer: usize,
    /// `dmuc_max_questions`: questions of one peer that are answered in a second; after a rest ten times as many. A long
    /// answer counts for several. Beyond: `resource-constraint`, and the peer asks again later.
    pub max_questions: u32,
    /// What else a peer may use here.
    pub budgets: Budgets,
    /// `dmuc_max_unsent`: bytes that may wait in memory to be sent to one peer. For the host: beyond, it gives the connection
    /// up and reports that the peer cannot be reached.
    pub max_unsent_bytes: usize,
    /// `dmuc_max_remote_occupants`, per room. Beyond: `resource-constraint`.
    pub max_remote_occupants: usize,
    /// `dmuc_max_peerhosts`: instances a room may have besides ours. Beyond: not replicated, said to the owner.
    pub max_peerhosts: usize,
    /// `dmuc_max_stanza_size`: bytes of payload of one presence or message, from a peer or from a user here. Beyond:
    /// `policy-violation`, to the user before anybody sees the message. The default is what Prosody takes from a
    /// client; services take twice that from each other.
    pub max_stanza_size: usize,
}

/// A value as a host's configuration file gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<OptionValue>),
    /// A table with string keys.
    Map(BTreeMap<String, OptionValue>),
}

impl std::fmt::Display for OptionValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OptionValue::Bool(value) => write!(f, "{value}"),
            OptionValue::Number(value) => write!(f, "{value}"),
            OptionValue::Text(value) => write!(f, "{value:?}"),
            OptionValue::List(values) => {
                f.write_str("{ ")?;
                for value in values {
                    write!(f, "{value}; ")?;
                }
                f.write_str("}")
            }
            OptionValue::Map(values) => {
                f.write_str("{ ")?;
                for (key, value) in values {
                    write!(f, "[{key:?}] = {value}; ")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The options as given, by their names in `prosody.cfg.lua`.
pub type Options = BTreeMap<String, OptionValue>;

const DAY_MS: u64 = 86_400_000;

impl Config {
    /// The defaults of DESIGN section 6 for the service `service`: no peers.
    pub fn new(service: BareJid) -> Config {
        Config {
            own_domains: parent_domain(&service).into_iter().collect(),
            service,
            peers: BTreeMap::new(),
            replicate: Replicate::Immediately,
            room_id: RoomIdScheme::Name,
            voters: Voters::Trusted,
            succession_after_ms: 0,
            shadow_names: ShadowNames::Opaque,
            redirect: true,
            redirect_after: 0,
            ping_interval_ms: 30_000,
            link_timeout_ms: 60_000,
            split_presence: SplitPresence::Away,
            split_notice: true,
            occupant_timeout_ms: DAY_MS,
            log_max_age_ms: 7 * DAY_MS,
            log_max_messages: 10_000,
            log_max_bytes: 67_108_864,
            memory_bytes: 67_108_864,
            max_shadows: 1_000,
            max_shadows_per_peer: 500,
            max_occupants_per_peer: 20_000,
            max_bytes_per_peer: 268_435_456,
            max_questions: 200,
            budgets: Budgets::default(),
            max_unsent_bytes: 16_777_216,
            max_remote_occupants: 5_000,
            max_peerhosts: 50,
            max_stanza_size: MAX_STANZA_SIZE,
        }
    }

    /// Adds a peer with the default policy: authoritative for its parent domain if that is not ours, not trusted.
    pub fn with_peer(mut self, service: BareJid) -> Config {
        let peer = peers::defaults(&service, &self.own_domains);
        self.peers.insert(service, peer);
        self
    }

    /// Reads `options`; what is absent keeps its default.
    ///
    /// # Errors
    /// [`ConfigError`] names the first option with an unusable value.
    #[allow(clippy::too_many_lines)] // a table: one line for each option
    pub fn from_options(service: BareJid, options: &Options) -> Result<Config, ConfigError> {
        let mut config = Config::new(service);
        let read = Reader(options);
        if let Some(value) = options.get("dmuc_own_domains") {
            config.own_domains.extend(peers::domains(value)?);
        }
        if let Some(value) = options.get("dmuc_peers") {
            config.peers = peers::read(value, &config.own_domains)?;
        }
        if config.peers.contains_key(&config.service) {
            return Err(bad(
                "dmuc_peers",
                &config.service.to_string(),
                "services other than this one",
            ));
        }
        read.choice(
            "dmuc_replicate",
            &mut config.replicate,
            &[
                ("immediately", Replicate::Immediately),
                ("on-join", Replicate::OnJoin),
            ],
        )?;
        read.choice(
            "dmuc_room_id",
            &mut config.room_id,
            &[
                ("uuid", RoomIdScheme::Uuid),
                ("sha256", RoomIdScheme::Sha256),
                ("name", RoomIdScheme::Name),
            ],
        )?;
        read.choice(
            "dmuc_shadow_names",
            &mut config.shadow_names,
            &[("opaque", ShadowNames::Opaque), ("any", ShadowNames::Any)],
        )?;
        if let Some(value) = options.get("dmuc_voters") {
            config.voters = voters::read(value)?;
        }
        read.period(
            "dmuc_succession_after",
            &mut config.succession_after_ms,
            0,
            366 * 86_400,
        )?;
        read.choice(
            "dmuc_redirect",
            &mut config.redirect,
            &[("invite", true), ("off", false)],
        )?;
        read.choice(
            "dmuc_split_presence",
            &mut config.split_presence,
            &[
                ("away", SplitPresence::Away),
                ("keep", SplitPresence::Keep),
                ("leave", SplitPresence::Leave),
            ],
        )?;
        read.flag("dmuc_split_notice", &mut config.split_notice)?;
        read.period(
            "dmuc_occupant_timeout",
            &mut config.occupant_timeout_ms,
            60,
            366 * 86_400,
        )?;
        read.count("dmuc_redirect_after", &mut config.redirect_after, 0, 1_000_000)?;
        read.period("dmuc_ping_interval", &mut config.ping_interval_ms, 1, 3_600)?;
        read.period("dmuc_link_timeout", &mut config.link_timeout_ms, 1, 3_600)?;
        read.period(
            "dmuc_log_max_age",
            &mut config.log_max_age_ms,
            60,
            10 * 366 * 86_400,
        )?;
        read.count(
            "dmuc_log_max_messages",
            &mut config.log_max_messages,
            20,
            10_000_000,
        )?;
        read.count(
            "dmuc_log_max_bytes",
            &mut config.log_max_bytes,
            1_048_576,
            1 << 40,
        )?;
        read.count("dmuc_memory", &mut config.memory_bytes, 1_048_576, 1 << 40)?;
        read.count("dmuc_max_shadows", &mut config.max_shadows, 0, 1_000_000)?;
        read.count(
            "dmuc_max_shadows_per_peer",
            &mut config.max_shadows_per_peer,
            0,
            1_000_000,
        )?;
        read.count(
            "dmuc_max_occupants_per_peer",
            &mut config.max_occupants_per_peer,
            0,
            10_000_000,
        )?;
        read.count(
            "dmuc_max_bytes_per_peer",
            &mut config.max_bytes_per_peer,
            1_048_576,
            1 << 40,
        )?;
        read.count("dmuc_max_questions", &mut config.max_questions, 1, 1_000_000)?;
        config.budgets.read(&read)?;
        read.count("dmuc_max_unsent", &mut config.max_unsent_bytes, 65_536, 1 << 30)?;
        read.count(
            "dmuc_max_remote_occupants",
            &mut config.max_remote_occupants,
            0,
            1_000_000,
        )?;
        read.count("dmuc_max_peerhosts", &mut config.max_peerhosts, 1, 1_000)?;
        read.count(
            "dmuc_max_stanza_size",
            &mut config.max_stanza_size,
            1_024,
            crate::wire::limits::MAX_PAYLOAD_BYTES as u64,
        )?;
        Ok(config)
    }

    /// The peer whose users `domain` belongs to, if any.
    pub fn peer_of_domain(&self, domain: &str) -> Option<&BareJid> {
        self.peers
            .iter()
            .find(|(_, peer)| peer.domains.contains(domain))
            .map(|(service, _)| service)
    }

    /// Whether local policy trusts the peer `service` beyond its own domains.
    pub fn is_trusted(&self, service: &BareJid) -> bool {
        self.peers.get(service).is_some_and(|peer| peer.trusted)
    }

    /// Whether `service` may name a user of `domain` as a real JID with the rights of that JID (DESIGN section 5).
    pub fn is_authoritative(&self, service: &BareJid, domain: &str) -> bool {
        self.peers
            .get(service)
            .is_some_and(|peer| peer.trusted || peer.domains.contains(domain))
    }
}

/// The parent domain of a service: `rooms.macbeth.lit` serves `macbeth.lit`.
fn parent_domain(service: &BareJid) -> Option<String> {
    let (_, parent) = service.domain().split_once('.')?;
    Some(parent.to_owned())
}

fn bad(option: &str, value: &str, accepted: &str) -> ConfigError {
    ConfigError {
        option: option.into(),
        value: value.into(),
        accepted: accepted.into(),
    }
}

struct Reader<'a>(&'a Options);

impl Reader<'_> {
    fn choice<T: Copy>(&self, option: &str, slot: &mut T, choices: &[(&str, T)]) -> Result<(), ConfigError> {
        let Some(value) = self.0.get(option) else {
            return Ok(());
        };
        if let OptionValue::Text(text) = value
            && let Some((_, choice)) = choices.iter().find(|(name, _)| name == text)
        {
            *slot = *choice;
            return Ok(());
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        Err(bad(option, &value.to_string(), &names.join(" or ")))
    }

    fn flag(&self, option: &str, slot: &mut bool) -> Result<(), ConfigError> {
        match self.0.get(option) {
            None => {}
            Some(OptionValue::Bool(value)) => *slot = *value,
            Some(value) => return Err(bad(option, &value.to_string(), "true or false")),
        }
        Ok(())
    }

    fn number(&self, option: &str, min: u64, max: u64, unit: &str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.0.get(option) else {
            return Ok(None);
        };
        if let OptionValue::Number(number) = value
            && number.fract() == 0.0
            && *number >= min as f64
            && *number <= max as f64
        {
            return Ok(Some(*number as u64));
        }
        Err(bad(
            option,
            &value.to_string(),
            &format!("a whole number{unit} from {min} to {max}"),
        ))
    }

    fn count<T: TryFrom<u64>>(
        &self,
        option: &str,
        slot: &mut T,
        min: u64,
        max: u64,
    ) -> Result<(), ConfigError> {
        if let Some(number) = self.number(option, min, max, "")?
            && let Ok(number) = T::try_from(number)
        {
            *slot = number;
        }
        Ok(())
    }

    /// Whole seconds, or a number with a unit.
    fn period(&self, option: &str, slot: &mut u64, min: u64, max: u64) -> Result<(), ConfigError> {
        let Some(value) = self.0.get(option) else {
            return Ok(());
        };
        let seconds = match value {
            OptionValue::Number(number) if number.fract() == 0.0 && *number >= 0.0 => Some(*number as u64),
            OptionValue::Text(text) => period::seconds(text),
            _ => None,
        };
        match seconds.filter(|seconds| (min..=max).contains(seconds)) {
            Some(seconds) => *slot = seconds * 1_000,
            None => {
                let accepted = format!(
                    "a whole number of seconds from {min} to {max}, or with a unit, as \"30 minutes\" or \"1h\""
                );
                return Err(bad(option, &value.to_string(), &accepted));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    fn read(option: &str, value: OptionValue) -> Result<Config, ConfigError> {
        Config::from_options(
            jid("chat.shakespeare.lit"),
            &Options::from([(option.to_owned(), value)]),
        )
    }

    #[test]
    fn a_list_of_peers_gets_their_parent_domains() {
        let list = OptionValue::List(vec![OptionValue::Text("rooms.macbeth.lit".into())]);
        let config = read("dmuc_peers", list).unwrap();
        assert_eq!(
            config.peer_of_domain("macbeth.lit"),
            Some(&jid("rooms.macbeth.lit"))
        );
        assert!(config.is_authoritative(&jid("rooms.macbeth.lit"), "macbeth.lit"));
        assert!(!config.is_authoritative(&jid("rooms.macbeth.lit"), "shakespeare.lit"));
    }

    #[test]
    fn a_map_of_peers_sets_domains_and_trust() {
        let policy = OptionValue::Map(BTreeMap::from([
            (
                "domains".into(),
                OptionValue::List(vec![OptionValue::Text("scotland.lit".into())]),
            ),
            ("trusted".into(), OptionValue::Bool(true)),
        ]));
        let map = OptionValue::Map(BTreeMap::from([("rooms.macbeth.lit".into(), policy)]));
        let peer = read("dmuc_peers", map).unwrap().peers[&jid("rooms.macbeth.lit")].clone();
        assert!(peer.trusted && peer.domains.contains("scotland.lit") && peer.domains.len() == 1);
    }

    #[test]
    fn a_peer_beside_our_own_users_speaks_for_none_of_them_unless_it_is_said_to() {
        let (ours, theirs) = ("shakespeare.lit", jid("rooms.shakespeare.lit"));
        let list = || OptionValue::List(vec![OptionValue::Text("rooms.shakespeare.lit".into())]);
        let config = read("dmuc_peers", list()).unwrap();
        assert!(!config.is_authoritative(&theirs, ours));
        assert_eq!(config.peer_of_domain(ours), None);
        // Nor for those of another host of this server.
        let list = OptionValue::List(vec![OptionValue::Text("rooms.avon.lit".into())]);
        let own = OptionValue::List(vec![OptionValue::Text("avon.lit".into())]);
        let options = Options::from([("dmuc_own_domains".into(), own), ("dmuc_peers".into(), list)]);
        let config = Config::from_options(jid("chat.shakespeare.lit"), &options).unwrap();
        assert!(!config.is_authoritative(&jid("rooms.avon.lit"), "avon.lit"));
        // Our administrator may think otherwise.
        let domains = OptionValue::List(vec![OptionValue::Text(ours.into())]);
        let policy = OptionValue::Map(BTreeMap::from([("domains".into(), domains)]));
        let map = OptionValue::Map(BTreeMap::from([("rooms.shakespeare.lit".into(), policy)]));
        let config = read("dmuc_peers", map).unwrap();
        assert!(config.is_authoritative(&theirs, ours));
        let wrong = read("dmuc_own_domains", OptionValue::Bool(true)).unwrap_err();
        assert!(wrong.to_string().contains("dmuc_own_domains"), "{wrong}");
    }

    #[test]
    fn periods_may_have_a_unit() {
        let week = read("dmuc_log_max_age", OptionValue::Text("1w".into())).unwrap();
        assert_eq!(week.log_max_age_ms, 604_800_000);
        let timeout = read("dmuc_link_timeout", OptionValue::Text("2 min".into())).unwrap();
        assert_eq!(timeout.link_timeout_ms, 120_000);
    }

    #[test]
    fn a_peer_named_twice_has_what_both_policies_give() {
        let peer_of = |trusted: bool, domains: &[&str]| {
            let domains = domains.iter().map(|domain| OptionValue::Text((*domain).into()));
            OptionValue::Map(BTreeMap::from([
                ("trusted".into(), OptionValue::Bool(trusted)),
                ("domains".into(), OptionValue::List(domains.collect())),
            ]))
        };
        let map = OptionValue::Map(BTreeMap::from([
            (
                "Rooms.Macbeth.lit".into(),
                peer_of(true, &["macbeth.lit", "scotland.lit"]),
            ),
            ("rooms.macbeth.lit".into(), peer_of(false, &["macbeth.lit"])),
        ]));
        let peers = read("dmuc_peers", map).unwrap().peers;
        assert_eq!(peers.len(), 1);
        let peer = &peers[&jid("rooms.macbeth.lit")];
        assert!(!peer.trusted && peer.domains.len() == 1 && peer.domains.contains("macbeth.lit"));
        // Without a policy an entry is no other opinion.
        let map = OptionValue::Map(BTreeMap::from([
            ("Rooms.Macbeth.lit".into(), OptionValue::Bool(true)),
            ("rooms.macbeth.lit".into(), peer_of(true, &["scotland.lit"])),
        ]));
        let peer = &read("dmuc_peers", map).unwrap().peers[&jid("rooms.macbeth.lit")];
        assert!(peer.trusted && peer.domains.contains("scotland.lit"));
    }

    #[test]
    fn a_wrong_value_names_option_value_and_what_is_accepted() {
        for (option, value, says) in [
            (
                "dmuc_replicate",
                OptionValue::Text("later".into()),
                "dmuc_replicate = \"later\": accepted is \"immediately\" or \"on-join\"",
            ),
            (
                "dmuc_link_timeout",
                OptionValue::Number(0.5),
                "dmuc_link_timeout = 0.5: accepted is a whole number of seconds from 1 to 3600, or with a unit, as \"30 minutes\" or \"1h\"",
            ),
            (
                "dmuc_link_timeout",
                OptionValue::Text("5m".into()),
                "dmuc_link_timeout = \"5m\": accepted is a whole number of seconds from 1 to 3600, or with a unit, as \"30 minutes\" or \"1h\"",
            ),
            (
                "dmuc_redirect_after",
                OptionValue::Bool(true),
                "dmuc_redirect_after = true: accepted is a whole number from 0 to 1000000",
            ),
            (
                "dmuc_log_max_messages",
                OptionValue::Number(3.0),
                "dmuc_log_max_messages = 3: accepted is a whole number from 20 to 10000000",
            ),
        ] {
            assert_eq!(read(option, value).unwrap_err().to_string(), says);
        }
        for peers in [
            OptionValue::Text("rooms.macbeth.lit".into()),
            OptionValue::List(vec![OptionValue::Text("user@macbeth.lit".into())]),
            OptionValue::List(vec![OptionValue::Text("chat.shakespeare.lit".into())]),
            OptionValue::Map(BTreeMap::from([(
                "rooms.macbeth.lit".into(),
                OptionValue::Map(BTreeMap::from([("trust".into(), OptionValue::Bool(true))])),
            )])),
        ] {
            assert!(
                read("dmuc_peers", peers)
                    .unwrap_err()
                    .to_string()
                    .starts_with("dmuc_peers = ")
            );
        }
    }
}

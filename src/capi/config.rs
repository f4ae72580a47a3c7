//! The options of a service, checked as they are set.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ptr;

use crate::address::BareJid;

use super::guard::{
    Outcome, Output, c_text, exclusive, guard, guard_or, reference, release, text, to_bare, to_service,
};
use super::result::dmuc_result;
use crate::config::{Config, OptionValue, Options};
use crate::error::ConfigError;

/// The options of one MUC service. Opaque; always valid, as every change is checked when it is made.
#[derive(Debug)]
pub struct dmuc_config {
    service: BareJid,
    peers: BTreeMap<BareJid, Peer>,
    options: Options,
    checked: Config,
    error: Option<CString>,
}

#[derive(Debug, Clone, Default)]
struct Peer {
    /// Empty: its parent domain.
    domains: Vec<OptionValue>,
    trusted: bool,
}

impl dmuc_config {
    pub(super) fn checked(&self) -> &Config {
        &self.checked
    }

    /// Puts a change into force if the options are still usable with it.
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<BareJid, Peer>, &mut Options)) -> Outcome<()> {
        let (mut peers, mut options) = (self.peers.clone(), self.options.clone());
        change(&mut peers, &mut options);
        let entry = |(jid, peer): (&BareJid, &Peer)| (jid.to_string(), peer.option_value());
        let listed = OptionValue::Map(peers.iter().map(entry).collect());
        let mut all = options.clone();
        all.insert("dmuc_peers".to_owned(), listed);
        match Config::from_options(self.service.clone(), &all) {
            Ok(config) => {
                (self.peers, self.options, self.checked) = (peers, options, config);
                self.error = None;
                Ok(())
            }
            Err(error) => Err(self.refuse(&error)),
        }
    }

    fn set(&mut self, option: &str, value: OptionValue) -> Outcome<()> {
        // Peers have functions of their own.
        if option == "dmuc_peers" || !is_option(&self.service, option) {
            let error = ConfigError {
                option: option.to_owned(),
                value: value.to_string(),
                accepted: "nothing: there is no such option here".to_owned(),
            };
            return Err(self.refuse(&error));
        }
        self.change(|_, options| {
            options.insert(option.to_owned(), value);
        })
    }

    fn refuse(&mut self, error: &ConfigError) -> dmuc_result {
        self.error = Some(c_text(&error.to_string()));
        dmuc_result::DMUC_RESULT_INVALID_OPTION
    }
}

impl Peer {
    fn option_value(&self) -> OptionValue {
        let mut policy = BTreeMap::from([("trusted".to_owned(), OptionValue::Bool(self.trusted))]);
        if !self.domains.is_empty() {
            policy.insert("domains".to_owned(), OptionValue::List(self.domains.clone()));
        }
        OptionValue::Map(policy)
    }
}

/// Whether an option exists: those that exist refuse a table that makes no sense.
fn is_option(service: &BareJid, option: &str) -> bool {
    let nonsense = OptionValue::Map(BTreeMap::from([(String::new(), OptionValue::Bool(false))]));
    Config::from_options(service.clone(), &Options::from([(option.to_owned(), nonsense)])).is_err()
}

/// The default options of the MUC service `service`: it has no peers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_new(
    service: *const c_char,
    config: *mut *mut dmuc_config,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (service, out) = unsafe { (text(service)?, Output::new(config)?) };
        let service = to_service(service)?;
        out.write_handle(dmuc_config {
            checked: Config::new(service.clone()),
            service,
            peers: BTreeMap::new(),
            options: Options::new(),
            error: None,
        });
        Ok(())
    })
}

/// Adds a service to peer with. It is authoritative for its parent domain, if that is not one of our own users (the parent
/// domain of our service, and `dmuc_own_domains`), and not trusted. Adding it again changes
/// nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_add_peer(config: *mut dmuc_config, peer: *const c_char) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, peer) = unsafe { (exclusive(config)?, to_service(text(peer)?)?) };
        config.change(|peers, _| {
            peers.entry(peer).or_default();
        })
    })
}

/// Makes a peer, added before, authoritative for a domain; the first one takes the place of its parent domain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_add_peer_domain(
    config: *mut dmuc_config,
    peer: *const c_char,
    domain: *const c_char,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, peer, domain) = unsafe {
            (
                exclusive(config)?,
                to_bare(text(peer)?)?,
                to_service(text(domain)?)?,
            )
        };
        config.change_peer(&peer, |policy| {
            policy.domains.push(OptionValue::Text(domain.to_string()));
        })
    })
}

/// Trusts a peer, added before: what it relays for third instances, and the real JIDs it names, whatever their domain.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_trust_peer(
    config: *mut dmuc_config,
    peer: *const c_char,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, peer) = unsafe { (exclusive(config)?, to_bare(text(peer)?)?) };
        config.change_peer(&peer, |policy| policy.trusted = true)
    })
}

impl dmuc_config {
    fn change_peer(&mut self, peer: &BareJid, change: impl FnOnce(&mut Peer)) -> Outcome<()> {
        if !self.peers.contains_key(peer) {
            self.error = Some(c_text(&format!("{peer} is not a peer")));
            return Err(dmuc_result::DMUC_RESULT_INVALID_VALUE);
        }
        self.change(|peers, _| {
            if let Some(policy) = peers.get_mut(peer) {
                change(policy);
            }
        })
    }
}

/// Sets an option that takes a text, as "dmuc_redirect" to "off". The options have the names and the meanings that they
/// have in Prosody's configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_set_text(
    config: *mut dmuc_config,
    option: *const c_char,
    value: *const c_char,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, option, value) = unsafe { (exclusive(config)?, text(option)?, text(value)?) };
        config.set(option, OptionValue::Text(value.to_owned()))
    })
}

/// Sets an option that takes a number, as "dmuc_occupant_timeout". Times are in seconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_set_number(
    config: *mut dmuc_config,
    option: *const c_char,
    value: u64,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, option) = unsafe { (exclusive(config)?, text(option)?) };
        config.set(option, OptionValue::Number(value as f64))
    })
}

/// Sets an option that takes true or false, as "dmuc_split_notice".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_set_flag(
    config: *mut dmuc_config,
    option: *const c_char,
    value: bool,
) -> dmuc_result {
    guard(|| {
        // SAFETY: the caller keeps the conventions.
        let (config, option) = unsafe { (exclusive(config)?, text(option)?) };
        config.set(option, OptionValue::Bool(value))
    })
}

/// One line for the administrator: which option the last call refused, which value, and what is accepted. NULL if
/// it refused none. Lives until the next call on `config`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_error_message(config: *const dmuc_config) -> *const c_char {
    guard_or(ptr::null(), || {
        // SAFETY: the caller keeps the conventions.
        let config = unsafe { reference(config) }.ok()?;
        config.error.as_ref().map(|error| error.as_ptr())
    })
}

/// Frees the options. Engines made from them keep their copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmuc_config_free(config: *mut dmuc_config) {
    // SAFETY: the caller keeps the conventions.
    unsafe { release(config) }
}

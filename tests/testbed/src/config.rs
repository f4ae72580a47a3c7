//! A server's configuration file.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::install::{Version, workspace};
use crate::pki::Certificate;

/// Where a server keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Prosody's files.
    #[default]
    Internal,
    /// `storage = "sql"` with SQLite.
    Sqlite,
}

/// What one server of a federation is like.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// The user domain, `shakespeare.lit`.
    pub domain: String,
    /// The MUC service, `chat.shakespeare.lit`.
    pub muc: String,
    /// Which Prosody to run.
    pub version: Version,
    /// Which storage to use.
    pub storage: Storage,
    /// Whether the MUC service loads `dmuc` from `target/plugin`.
    pub dmuc: bool,
    /// Whether `dmuc_peers` lists the MUC services of all other servers that load `dmuc`.
    pub peers: bool,
    /// Whether the MUC service keeps an archive (`mod_muc_mam`, every room).
    pub mam: bool,
    /// Whether streams are managed (XEP-0198), as in Debian's default configuration.
    pub smacks: bool,
    /// Lowest level that is logged.
    pub log_level: String,
    /// More modules for the MUC service.
    pub muc_modules: Vec<String>,
    /// More lines (Lua) for the MUC service; the last one that sets an option wins.
    pub muc_lines: Vec<String>,
    /// More lines (Lua) for the global section.
    pub global_lines: Vec<String>,
    /// XEP-0114 components: host name and secret.
    pub components: Vec<(String, String)>,
}

/// Names of the XEP first, then more of their time.
const NAMES: [(&str, &str); 12] = [
    ("shakespeare.lit", "chat.shakespeare.lit"),
    ("macbeth.lit", "rooms.macbeth.lit"),
    ("marlowe.lit", "conference.marlowe.lit"),
    ("jonson.lit", "muc.jonson.lit"),
    ("kyd.lit", "chat.kyd.lit"),
    ("webster.lit", "rooms.webster.lit"),
    ("greene.lit", "conference.greene.lit"),
    ("dekker.lit", "muc.dekker.lit"),
    ("middleton.lit", "chat.middleton.lit"),
    ("fletcher.lit", "rooms.fletcher.lit"),
    ("ford.lit", "conference.ford.lit"),
    ("lyly.lit", "muc.lyly.lit"),
];

/// The most servers in one federation: every link needs an address for its proxy.
pub(crate) const MAX_SERVERS: usize = NAMES.len();

impl ServerSpec {
    pub(crate) fn new(index: usize) -> ServerSpec {
        let (domain, muc) = NAMES[index];
        ServerSpec {
            domain: domain.to_owned(),
            muc: muc.to_owned(),
            version: Version::V0_12,
            storage: Storage::Internal,
            dmuc: false,
            peers: true,
            mam: true,
            smacks: true,
            log_level: "debug".to_owned(),
            muc_modules: Vec::new(),
            muc_lines: Vec::new(),
            global_lines: Vec::new(),
            components: Vec::new(),
        }
    }

    /// Every host name that this server answers for.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = vec![self.domain.clone(), self.muc.clone()];
        hosts.extend(self.components.iter().map(|(host, _)| host.clone()));
        hosts
    }
}

/// Where things are for one server.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) hosts_file: &'a Path,
    pub(crate) address: Ipv4Addr,
    pub(crate) certificate: &'a Certificate,
    /// `dmuc_peers`, unless empty.
    pub(crate) peers: &'a [String],
}

/// A Lua string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn list<S: AsRef<str>>(items: &[S]) -> String {
    let items: Vec<String> = items.iter().map(|i| quoted(i.as_ref())).collect();
    format!("{{ {} }}", items.join("; "))
}

/// Writes the configuration of one server.
pub(crate) fn render(spec: &ServerSpec, at: &Surroundings<'_>) -> String {
    let mut modules = vec![
        "testbed",
        "roster",
        "saslauth",
        "tls",
        "disco",
        "ping",
        "version",
        "time",
        "pep",
        "vcard_legacy",
    ];
    if spec.smacks {
        modules.push("smacks");
    }
    let address = at.address.to_string();
    let testbed = workspace().join("tests/testbed/prosody");
    let plugins = workspace().join("target/plugin");
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{text}");
    };
    line("-- Written by the testbed".to_owned());
    line("run_as_root = true".to_owned());
    line("daemonize = false".to_owned());
    line("use_ipv6 = false".to_owned());
    line(format!("pidfile = {}", path(&at.dir.join("prosody.pid"))));
    line(format!("data_path = {}", path(&at.dir.join("data"))));
    line(format!(
        "plugin_paths = {{ {}; {} }}",
        path(&testbed),
        path(&plugins)
    ));
    line(format!("modules_enabled = {}", list(&modules)));
    line("modules_disabled = { \"dialback\"; \"s2s_bidi\"; \"offline\" }".to_owned());
    line(format!(
        "log = {{ {{ to = \"stdout\"; timestamps = \"%H:%M:%S\"; levels = {{ min = {} }} }} }}",
        quoted(&spec.log_level)
    ));
    for option in [
        "interfaces",
        "local_interfaces",
        "component_interfaces",
        "testbed_interfaces",
    ] {
        line(format!("{option} = {{ {} }}", quoted(&address)));
    }
    line("c2s_ports = { 5222 }; s2s_ports = { 5269 }; component_ports = { 5347 }".to_owned());
    line("c2s_direct_tls_ports = {}; s2s_direct_tls_ports = {}".to_owned());
    line("authentication = \"insecure\"".to_owned());
    line("insecure_open_authentication = \"Yes please, I know what I'm doing!\"".to_owned());
    line("c2s_require_encryption = false; allow_unencrypted_plain_auth = true".to_owned());
    line("s2s_require_encryption = true; s2s_secure_auth = true".to_owned());
    line(format!(
        "ssl = {{ certificate = {}; key = {}; cafile = {} }}",
        path(&at.certificate.certificate),
        path(&at.certificate.key),
        path(&at.certificate.authority)
    ));
    // "static": what the hosts file does not have does not exist, and nobody is asked.
    line(format!(
        "unbound = {{ resolvconf = false; hoststxt = {}; options = {{ [\"local-zone:\"] = \"lit. static\" }} }}",
        path(at.hosts_file)
    ));
    match spec.storage {
        Storage::Internal => line("storage = \"internal\"".to_owned()),
        Storage::Sqlite => {
            line("storage = \"sql\"".to_owned());
            line(format!(
                "sql = {{ driver = \"SQLite3\"; database = {} }}",
                path(&at.dir.join("data/prosody.sqlite"))
            ));
        }
    }
    for extra in &spec.global_lines {
        line(extra.clone());
    }
    line(format!("\nVirtualHost {}", quoted(&spec.domain)));
    line(format!("\nComponent {} \"muc\"", quoted(&spec.muc)));
    let mut muc_modules = spec.muc_modules.clone();
    if spec.mam {
        muc_modules.insert(0, "muc_mam".to_owned());
    }
    if spec.dmuc {
        muc_modules.insert(0, "dmuc".to_owned());
    }
    line(format!("modules_enabled = {}", list(&muc_modules)));
    line(format!(
        "name = {}",
        quoted(&format!("Chatrooms of {}", spec.domain))
    ));
    line("restrict_room_creation = false".to_owned());
    line("muc_log_by_default = true; muc_log_all_rooms = true".to_owned());
    if spec.dmuc && spec.peers {
        line(format!("dmuc_peers = {}", list(at.peers)));
    }
    for extra in &spec.muc_lines {
        line(extra.clone());
    }
    for (host, secret) in &spec.components {
        line(format!("\nComponent {}", quoted(host)));
        line(format!("component_secret = {}", quoted(secret)));
    }
    out
}

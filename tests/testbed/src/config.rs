//! A server's configuration file.

use std::fmt::{Display, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

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

impl Storage {
    /// This storage, if what takes turns begins with [`Storage::Internal`]; the other one, if with `Sqlite`.
    pub fn starting_with(self, first: Storage) -> Storage {
        match self == first {
            true => Storage::Internal,
            false => Storage::Sqlite,
        }
    }
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
    /// Whether `dmuc_peers` lists the MUC services of all other servers that load `dmuc`
    /// (unless one of `muc_lines` sets it).
    pub peers: bool,
    /// Whether the MUC service keeps an archive (`mod_muc_mam`, every room).
    pub mam: bool,
    /// Whether streams are managed (XEP-0198), as in Debian's default configuration.
    pub smacks: bool,
    /// Whether clients may connect by WebSocket (port 5280, without TLS), to a server with what people's clients
    /// expect: carbons, an archive and bookmarks.
    pub websocket: bool,
    /// By how many seconds its clock is ahead of the others'.
    pub clock_ahead_s: i64,
    /// Lowest level that is logged.
    pub log_level: String,
    /// More modules for the MUC service.
    pub muc_modules: Vec<String>,
    /// More modules for the user domain.
    pub modules: Vec<String>,
    /// Folders of modules that are not Prosody's own (`…/mod_vcard_muc`), which can be loaded then.
    pub community: Vec<PathBuf>,
    /// More lines (Lua) for the MUC service; they replace the testbed's own setting of an option.
    pub muc_lines: Vec<String>,
    /// More lines (Lua) for the global section; they replace the testbed's own setting of an option.
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
            version: Version::default(),
            storage: Storage::Internal,
            dmuc: false,
            peers: true,
            mam: true,
            smacks: true,
            websocket: false,
            clock_ahead_s: 0,
            log_level: "debug".to_owned(),
            muc_modules: Vec::new(),
            modules: Vec::new(),
            community: Vec::new(),
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

/// In the folder of a server: what its MUC service sent to its peers ([`crate::wire`]).
pub(crate) const WIRE: &str = "wire";

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

/// Options in order; one that an extra line sets is left out (Prosody warns about duplicates).
struct Section<'a> {
    out: String,
    extra: &'a [String],
}

impl<'a> Section<'a> {
    fn new(header: &str, extra: &'a [String]) -> Section<'a> {
        Section {
            out: format!("{header}\n"),
            extra,
        }
    }

    fn set(&mut self, name: &str, value: impl Display) {
        let overridden = self.extra.iter().any(|line| {
            line.trim_start()
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        if !overridden {
            // Writing to a string does not fail.
            let _ = writeln!(self.out, "{name} = {value}");
        }
    }

    fn end(mut self) -> String {
        for line in self.extra {
            self.out.push_str(line);
            self.out.push('\n');
        }
        self.out
    }
}

/// Writes the configuration of one server.
pub(crate) fn render(spec: &ServerSpec, at: &Surroundings<'_>) -> String {
    let mut out = global(spec, at);
    out.push_str(&format!("\nVirtualHost {}\n", quoted(&spec.domain)));
    if !spec.modules.is_empty() {
        out.push_str(&format!("modules_enabled = {}\n", list(&spec.modules)));
    }
    out.push('\n');
    out.push_str(&muc(spec, at));
    for (host, secret) in &spec.components {
        out.push_str(&format!(
            "\nComponent {}\ncomponent_secret = {}\n",
            quoted(host),
            quoted(secret)
        ));
    }
    out
}

fn global(spec: &ServerSpec, at: &Surroundings<'_>) -> String {
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
    if spec.websocket {
        modules.extend(["websocket", "carbons", "mam", "bookmarks", "blocklist"]);
    }
    let mut plugins = vec![
        workspace().join("tests/testbed/prosody"),
        workspace().join("target/plugin"),
    ];
    // Not the folder above them: Debian's may be that of the system's own modules, too, which are for another version.
    plugins.extend(spec.community.iter().cloned());
    let plugins: Vec<String> = plugins.iter().map(|plugin| path(plugin)).collect();
    let mut section = Section::new("-- Written by the testbed", &spec.global_lines);
    section.set("run_as_root", true);
    section.set("daemonize", false);
    section.set("use_ipv6", false);
    section.set("pidfile", path(&at.dir.join("prosody.pid")));
    // Tests are many short lives of servers: memory is cheaper than the time to collect it.
    section.set("gc", "{ mode = \"incremental\", threshold = 300 }");
    section.set("data_path", path(&at.dir.join("data")));
    section.set("plugin_paths", format_args!("{{ {} }}", plugins.join("; ")));
    section.set("testbed_wire", path(&at.dir.join(WIRE)));
    section.set("modules_enabled", list(&modules));
    section.set("modules_disabled", list(&["dialback", "s2s_bidi", "offline"]));
    section.set(
        "log",
        format_args!(
            "{{ {{ to = \"stdout\"; timestamps = \"%H:%M:%S\"; levels = {{ min = {} }} }} }}",
            quoted(&spec.log_level)
        ),
    );
    for option in [
        "interfaces",
        "local_interfaces",
        "component_interfaces",
        "testbed_interfaces",
    ] {
        section.set(option, list(&[at.address.to_string()]));
    }
    section.set("c2s_ports", "{ 5222 }");
    section.set("s2s_ports", "{ 5269 }");
    section.set("component_ports", "{ 5347 }");
    let has_pages = spec.modules.iter().any(|module| module.starts_with("http_"));
    if spec.websocket || has_pages || !spec.community.is_empty() {
        section.set("http_interfaces", list(&[at.address.to_string()]));
        section.set("http_ports", "{ 5280 }");
        section.set("https_ports", "{}");
    }
    if spec.websocket {
        section.set("consider_websocket_secure", true);
    }
    section.set("c2s_direct_tls_ports", "{}");
    section.set("s2s_direct_tls_ports", "{}");
    // Every user exists, every password is right.
    section.set("authentication", quoted("insecure"));
    section.set(
        "insecure_open_authentication",
        quoted("Yes please, I know what I'm doing!"),
    );
    section.set("c2s_require_encryption", false);
    section.set("allow_unencrypted_plain_auth", true);
    section.set("s2s_require_encryption", true);
    section.set("s2s_secure_auth", true);
    section.set(
        "ssl",
        format_args!(
            "{{ certificate = {}; key = {}; cafile = {} }}",
            path(&at.certificate.certificate),
            path(&at.certificate.key),
            path(&at.certificate.authority)
        ),
    );
    // "static": what the hosts file does not have does not exist, and nobody is asked.
    section.set(
        "unbound",
        format_args!(
            "{{ resolvconf = false; hoststxt = {}; options = {{ [\"local-zone:\"] = \"lit. static\" }} }}",
            path(at.hosts_file)
        ),
    );
    match spec.storage {
        Storage::Internal => section.set("storage", quoted("internal")),
        Storage::Sqlite => {
            section.set("storage", quoted("sql"));
            let database = path(&at.dir.join("data/prosody.sqlite"));
            section.set(
                "sql",
                format_args!("{{ driver = \"SQLite3\"; database = {database} }}"),
            );
        }
    }
    section.end()
}

fn muc(spec: &ServerSpec, at: &Surroundings<'_>) -> String {
    let mut modules: Vec<&str> = Vec::new();
    if spec.dmuc {
        modules.push("dmuc");
    }
    if spec.mam {
        modules.push("muc_mam");
    }
    modules.extend(spec.muc_modules.iter().map(String::as_str));
    let mut section = Section::new(
        &format!("Component {} \"muc\"", quoted(&spec.muc)),
        &spec.muc_lines,
    );
    section.set("modules_enabled", list(&modules));
    section.set("name", quoted(&format!("Chatrooms of {}", spec.domain)));
    section.set("restrict_room_creation", false);
    section.set("muc_log_by_default", true);
    section.set("muc_log_all_rooms", true);
    if spec.dmuc && spec.peers {
        section.set("dmuc_peers", list(at.peers));
    }
    section.end()
}

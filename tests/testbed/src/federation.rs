//! Several servers that talk to each other.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Index;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use tokio::time::Instant;

use crate::address::{Block, base_dir};
use crate::config::{MAX_SERVERS, ServerSpec, Storage, Surroundings, render};
use crate::install::Version;
use crate::pki::Authority;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::stats::{Count, Stats};
use crate::waiting::deadline;

const S2S_PORT: u16 = 5269;

/// What a federation will be like.
#[derive(Debug, Clone)]
pub struct Builder {
    specs: Vec<ServerSpec>,
    label: String,
}

impl Builder {
    fn all(mut self, change: impl Fn(&mut ServerSpec)) -> Builder {
        self.specs.iter_mut().for_each(change);
        self
    }

    /// How many servers (three by default, twelve at most). Call it first: it starts with fresh defaults.
    ///
    /// # Panics
    ///
    /// If `count` is more than twelve.
    pub fn servers(mut self, count: usize) -> Builder {
        assert!(count <= MAX_SERVERS, "at most {MAX_SERVERS} servers");
        self.specs = (0..count).map(ServerSpec::new).collect();
        self
    }

    /// A word for the name of the folder.
    pub fn label(mut self, label: &str) -> Builder {
        self.label = label.replace(['/', ' ', ':'], "-");
        self
    }

    /// Which Prosody all servers run.
    pub fn version(self, version: Version) -> Builder {
        self.all(|s| s.version = version)
    }

    /// Which storage all servers use.
    pub fn storage(self, storage: Storage) -> Builder {
        self.all(|s| s.storage = storage)
    }

    /// Whether the MUC services load `dmuc` (default: no), peering with each other.
    pub fn dmuc(self, dmuc: bool) -> Builder {
        self.all(|s| s.dmuc = dmuc)
    }

    /// Whether the MUC services have an archive (default: yes).
    pub fn mam(self, mam: bool) -> Builder {
        self.all(|s| s.mam = mam)
    }

    /// Whether streams are managed (default: yes).
    pub fn smacks(self, smacks: bool) -> Builder {
        self.all(|s| s.smacks = smacks)
    }

    /// Whether clients may connect by WebSocket (default: no); see [`ServerSpec::websocket`].
    pub fn websocket(self, websocket: bool) -> Builder {
        self.all(|s| s.websocket = websocket)
    }

    /// Lowest level that is logged (default: `debug`).
    pub fn log_level(self, level: &str) -> Builder {
        self.all(|s| level.clone_into(&mut s.log_level))
    }

    /// One more line of configuration (Lua) for every MUC service.
    pub fn muc_line(self, line: &str) -> Builder {
        self.all(|s| s.muc_lines.push(line.to_owned()))
    }

    /// One more line of configuration (Lua) for the global section of every server.
    pub fn global_line(self, line: &str) -> Builder {
        self.all(|s| s.global_lines.push(line.to_owned()))
    }

    /// Changes one server.
    pub fn with_server(mut self, index: usize, change: impl FnOnce(&mut ServerSpec)) -> Builder {
        change(&mut self.specs[index]);
        self
    }

    /// Declares an XEP-0114 component on one server.
    pub fn component(self, server: usize, host: &str, secret: &str) -> Builder {
        self.with_server(server, |s| {
            s.components.push((host.to_owned(), secret.to_owned()))
        })
    }

    /// Starts everything.
    pub async fn start(self) -> Result<Federation> {
        let fed = self.prepare().await?;
        try_join_all(fed.servers.iter().map(|s| s.start())).await?;
        Ok(fed)
    }

    /// Does everything but starting the servers: configurations can still be changed
    /// ([`Server::config_file`]), then [`Server::start`] each.
    pub async fn prepare(self) -> Result<Federation> {
        let block = Arc::new(Block::take()?);
        let dir = fresh_dir(&self.label, &block)?;
        let ca = Authority::create(&dir.join("pki"))?;
        let count = self.specs.len();
        let mut proxies = BTreeMap::new();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let address = block.address(proxy_host(from, to));
                let target = block.address(server_host(to));
                let proxy = Proxy::start(&block, address, target, S2S_PORT).await?;
                proxies.insert((from, to), proxy);
            }
        }
        let mut servers = Vec::new();
        for (index, spec) in self.specs.iter().enumerate() {
            let certificate = ca.issue(&spec.domain, &spec.hosts())?;
            let server_dir = dir.join(&spec.domain);
            let server = Server::new(
                spec.clone(),
                block.address(server_host(index)),
                server_dir.clone(),
            )?;
            let hosts_file = server_dir.join("hosts");
            let mut hosts = String::new();
            for (other, other_spec) in self.specs.iter().enumerate() {
                let address = match other == index {
                    true => server.address(),
                    false => block.address(proxy_host(index, other)),
                };
                for host in other_spec.hosts() {
                    hosts.push_str(&format!("{address} {host}\n"));
                }
            }
            fs::write(&hosts_file, hosts).with_context(|| format!("writing {}", hosts_file.display()))?;
            let peers: Vec<String> = self
                .specs
                .iter()
                .filter(|s| s.dmuc && s.muc != spec.muc)
                .map(|s| s.muc.clone())
                .collect();
            let surroundings = Surroundings {
                dir: &server_dir,
                hosts_file: &hosts_file,
                address: server.address(),
                certificate: &certificate,
                peers: &peers,
            };
            fs::write(server.config_file(), render(spec, &surroundings))
                .context("writing a configuration")?;
            servers.push(Arc::new(server));
        }
        Ok(Federation {
            servers,
            proxies,
            dir,
            finished: AtomicBool::new(false),
            _block: block,
        })
    }
}

fn server_host(index: usize) -> u8 {
    1 + index as u8
}

fn proxy_host(from: usize, to: usize) -> u8 {
    50 + (from * MAX_SERVERS + to) as u8
}

/// A new folder; those of former owners of the block go, except that the last failure of each label stays.
fn fresh_dir(label: &str, block: &Block) -> Result<PathBuf> {
    let base = base_dir()?;
    let suffix = format!("-{}", block.name());
    for entry in fs::read_dir(&base)?.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().ends_with(&suffix) && !path.join("KEPT").exists() {
            // Somebody else's leftovers: no reason to fail.
            let _ = fs::remove_dir_all(path);
        }
    }
    let mut dir = base.join(format!("{label}{suffix}"));
    if dir.exists() {
        let kept = base.join(format!("failed-{label}"));
        let _ = fs::remove_dir_all(&kept);
        if fs::rename(&dir, &kept).is_err() {
            dir = base.join(format!("{label}-{}{suffix}", std::process::id()));
        }
    }
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

/// Running servers, the links between them, and the folder they live in.
///
/// Call [`finish`](Federation::finish) at the end of a test. A federation that is dropped before kills its
/// servers, keeps its folder and prints where that is and which errors were logged.
#[derive(Debug)]
pub struct Federation {
    servers: Vec<Arc<Server>>,
    proxies: BTreeMap<(usize, usize), Proxy>,
    dir: PathBuf,
    finished: AtomicBool,
    _block: Arc<Block>,
}

impl Federation {
    /// Three servers: those of the XEP.
    pub fn builder() -> Builder {
        let builder = Builder {
            specs: Vec::new(),
            label: "federation".to_owned(),
        };
        builder.servers(3)
    }

    /// The servers, in the order of the XEP: shakespeare.lit, macbeth.lit, marlowe.lit, …
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// The server with a user domain or MUC service.
    pub fn by_host(&self, host: &str) -> Result<&Arc<Server>> {
        self.servers
            .iter()
            .find(|s| s.spec().hosts().iter().any(|h| h == host))
            .with_context(|| format!("no server for {host}"))
    }

    pub(crate) fn proxy(&self, from: usize, to: usize) -> Option<&Proxy> {
        self.proxies.get(&(from, to))
    }

    /// The folder with everything.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The counters of all servers together. CPU times and heaps are summed up.
    pub async fn stats(&self) -> Result<Stats> {
        let mut sum = Stats::default();
        for server in &self.servers {
            let stats = server.stats().await?;
            sum.links.extend(stats.links);
            for (name, count) in stats.delivered {
                *sum.delivered.entry(name).or_default() += count;
            }
            sum.cpu_s += stats.cpu_s;
            sum.lua_kb += stats.lua_kb;
        }
        Ok(sum)
    }

    /// Sets the counters of all servers to zero.
    pub async fn reset_stats(&self) -> Result<()> {
        for server in &self.servers {
            server.reset_stats().await?;
        }
        Ok(())
    }

    /// Stanzas and bytes from the MUC service of one server to that of another.
    pub async fn muc_traffic(&self, from: usize, to: usize) -> Result<Count> {
        let stats = self[from].stats().await?;
        Ok(stats.link(self[from].muc(), self[to].muc()).total())
    }

    /// A barrier for what MUC services send each other.
    ///
    /// For every ordered pair of MUC services, an IQ goes over and its answer comes back. Streams keep their
    /// order, so every stanza that a service had sent to another *before* this call has been processed there
    /// when it returns. One stanza may cause others (source to shadow to shadow): `rounds` repeats it that
    /// often. Afterwards, [`Client::sync`](crate::Client::sync) makes sure of what clients were sent. The links must be up, and
    /// work that a service does later, by a timer, is not covered.
    pub async fn settle(&self, rounds: usize) -> Result<()> {
        for _ in 0..rounds {
            let mut pings = Vec::new();
            for from in &self.servers {
                for to in self.servers.iter().filter(|to| to.muc() != from.muc()) {
                    let chunk = format!("return ping_host({:?}, {:?}, 30)", from.muc(), to.muc());
                    pings.push(async move { from.eval(&chunk).await.map(|_| ()) });
                }
            }
            try_join_all(pings).await.context("settling")?;
        }
        Ok(())
    }

    /// Waits until every instance takes what others say as it comes, with nothing missing before it. Fails, naming what is
    /// awaited, if that never comes.
    pub async fn at_rest(&self) -> Result<()> {
        let end = Instant::now() + deadline();
        loop {
            let mut behind = Vec::new();
            for server in &self.servers {
                let found = server.eval(&format!("return behind({:?})", server.muc())).await?;
                behind.extend(found.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
            }
            if behind.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "not at rest: {}", behind.join("; "));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails if any server logged a Lua error or a line of level `error`.
    pub fn assert_no_lua_errors(&self) -> Result<()> {
        self.servers.iter().try_for_each(|s| s.assert_no_lua_errors())
    }

    /// Fails if a MUC service has sent anything in the two namespaces that is not as `docs/schema` says.
    fn assert_wire_is_valid(&self) -> Result<()> {
        self.servers
            .iter()
            .try_for_each(|s| crate::wire::validate(s.dir()))
    }

    /// The end of a successful test: an orderly stop, no errors in the logs, and the folder goes.
    pub async fn finish(self) -> Result<()> {
        self.stop_all().await?;
        self.assert_no_lua_errors()?;
        self.assert_wire_is_valid()?;
        self.finished.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// As [`finish`](Federation::finish), for tests that provoke errors.
    pub async fn finish_with_errors(self) -> Result<()> {
        self.stop_all().await?;
        self.finished.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// As [`finish`](Federation::finish), but the servers are killed: for crowded rooms, where everybody's
    /// orderly leave takes long.
    pub fn finish_fast(self) -> Result<()> {
        self.assert_no_lua_errors()?;
        self.finished.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn stop_all(&self) -> Result<()> {
        let running = self.servers.iter().filter(|s| s.pid().is_some());
        try_join_all(running.map(|s| async {
            // SIGTERM reaches a paused process only when it goes on.
            s.resume()?;
            s.stop().await
        }))
        .await?;
        Ok(())
    }
}

impl Index<usize> for Federation {
    type Output = Server;
    fn index(&self, index: usize) -> &Server {
        &self.servers[index]
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        for server in &self.servers {
            server.kill_now();
        }
        if self.finished.load(Ordering::Relaxed) {
            // The next owner of the block tries again.
            let _ = fs::remove_dir_all(&self.dir);
            return;
        }
        let _ = fs::write(self.dir.join("KEPT"), "");
        eprintln!(
            "testbed: not finished; logs and data are in {}",
            self.dir.display()
        );
        for server in &self.servers {
            for line in server.log().errors().iter().take(40) {
                eprintln!("testbed: {}: {line}", server.domain());
            }
        }
    }
}

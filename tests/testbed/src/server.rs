//! One Prosody server.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::background;
use crate::client::Client;
use crate::component::ComponentClient;
use crate::config::ServerSpec;
use crate::control::Control;
use crate::install::Version;
use crate::log::{LogStore, READY};
use crate::stats::Stats;
use crate::stream::{Account, Resumption};
use crate::waiting::{deadline, scaled};

/// A Prosody server of a federation.
#[derive(Debug)]
pub struct Server {
    spec: ServerSpec,
    address: Ipv4Addr,
    dir: PathBuf,
    launcher: PathBuf,
    /// Which Prosody it runs now.
    version: Mutex<Version>,
    process: Mutex<Option<Child>>,
    log: Arc<LogStore>,
    control: Control,
}

impl Server {
    pub(crate) fn new(spec: ServerSpec, address: Ipv4Addr, dir: PathBuf) -> Result<Server> {
        // "certs": Prosody looks into it and complains if it is not there.
        for sub in ["data", "certs"] {
            fs::create_dir_all(dir.join(sub)).with_context(|| format!("creating {}", dir.display()))?;
        }
        let launcher = spec.version.write_launcher(&dir)?;
        let version = Mutex::new(spec.version);
        let log = LogStore::create(&dir.join("prosody.log"))?;
        Ok(Server {
            spec,
            address,
            dir,
            launcher,
            version,
            process: Mutex::default(),
            log,
            control: Control::new(address),
        })
    }

    /// What the server is like.
    pub fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    /// The user domain.
    pub fn domain(&self) -> &str {
        &self.spec.domain
    }

    /// The MUC service's host name.
    pub fn muc(&self) -> &str {
        &self.spec.muc
    }

    /// The JID of a room on this server's MUC service.
    pub fn room(&self, name: &str) -> String {
        format!("{name}@{}", self.spec.muc)
    }

    /// The loopback address; ports are the ordinary ones.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The folder with `prosody.cfg.lua`, `prosody.log` and `data`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("prosody.cfg.lua")
    }

    /// The log.
    pub fn log(&self) -> &LogStore {
        &self.log
    }

    /// Lua inside the server.
    pub fn control(&self) -> Control {
        self.control
    }

    /// The process id, while the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn launch(&self) -> Result<()> {
        let mut slot = self.child();
        if slot.is_some() {
            bail!("{} is running", self.spec.domain);
        }
        // setpriv: the server dies when this process dies, however that happens.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.version().lua())
            .arg(&self.launcher)
            .arg("--config")
            .arg(self.config_file())
            .current_dir(&self.dir)
            .env_remove("PROSODY_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.spec.clock_ahead_s != 0 {
            command.env("LUA_INIT", shifted_clock(self.spec.clock_ahead_s));
        }
        let run = self.log.begin();
        let mut child = background::spawn_process(command).context("starting setpriv and Lua")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let log = Arc::clone(&self.log);
        let errors = Arc::clone(&self.log);
        if let Some(stdout) = stdout {
            thread::spawn(move || log.follow(stdout, Some(run)));
        }
        if let Some(stderr) = stderr {
            thread::spawn(move || errors.follow(stderr, None));
        }
        *slot = Some(child);
        Ok(())
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(&self) -> Result<()> {
        let mark = self.log.mark();
        self.launch()?;
        self.log
            .wait_since(mark, &format!("^{READY}$"), scaled(Duration::from_secs(30)))
            .await
            .with_context(|| format!("starting {}", self.spec.domain))?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let slot = self.child();
        let child = slot
            .as_ref()
            .with_context(|| format!("{} does not run", self.spec.domain))?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("process id")?;
        kill_process(pid, signal).with_context(|| format!("signalling {}", self.spec.domain))
    }

    async fn reap(&self, timeout: Duration) -> Result<()> {
        let Some(mut child) = self.child().take() else {
            return Ok(());
        };
        let pid = child.id();
        let waiter = tokio::task::spawn_blocking(move || child.wait());
        match tokio::time::timeout(timeout, waiter).await {
            Ok(done) => {
                done??;
                Ok(())
            }
            Err(_) => {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    // Gone in the meantime: fine as well.
                    let _ = kill_process(pid, Signal::KILL);
                }
                bail!(
                    "{} did not stop within {timeout:?} and was killed",
                    self.spec.domain
                )
            }
        }
    }

    /// Stops the server in an orderly way (SIGTERM) and waits for its end.
    pub async fn stop(&self) -> Result<()> {
        self.signal(Signal::TERM)?;
        self.reap(deadline() * 2).await
    }

    /// Kills the server (SIGKILL).
    pub async fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.reap(deadline()).await
    }

    /// Stops the process without its knowledge (SIGSTOP): connections stay up, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused process go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Stops the server and starts it again with the same data.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Stops the server and starts another Prosody with the same configuration and data.
    pub async fn restart_as(&self, version: Version) -> Result<()> {
        self.stop().await?;
        version.write_launcher(&self.dir)?;
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
        self.start().await
    }

    pub(crate) fn version(&self) -> Version {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the server and starts it again with the same data.
    pub async fn crash(&self) -> Result<()> {
        self.kill().await?;
        self.start().await
    }

    /// Kills without waiting for anything; for `Drop`.
    pub(crate) fn kill_now(&self) {
        if let Some(mut child) = self.child().take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Connects a user; any name is registered, any resource that is not in use is free.
    pub async fn client(&self, user: &str, resource: &str) -> Result<Client> {
        Client::connect(self.account(user, resource), None).await
    }

    /// Connects a user of another host of this server, which one of the lines of its configuration has to declare.
    pub async fn client_of(&self, domain: &str, user: &str, resource: &str) -> Result<Client> {
        let mut account = self.account(user, resource);
        account.domain = domain.to_owned();
        Client::connect(account, None).await
    }

    /// Connects a client that goes on with the session that it had (XEP-0198), having heard so many stanzas in it.
    pub async fn resume_client(&self, user: &str, resource: &str, id: &str, heard: u32) -> Result<Client> {
        let resumption = Resumption {
            id: id.to_owned(),
            heard,
        };
        Client::connect(self.account(user, resource), Some(resumption)).await
    }

    fn account(&self, user: &str, resource: &str) -> Account {
        Account {
            address: self.address,
            domain: self.spec.domain.clone(),
            user: user.to_owned(),
            resource: resource.to_owned(),
        }
    }

    /// Connects an XEP-0114 component that the [`ServerSpec`] declares.
    pub async fn component(&self, host: &str) -> Result<ComponentClient> {
        let (_, secret) = self
            .spec
            .components
            .iter()
            .find(|(h, _)| h == host)
            .with_context(|| format!("{} has no component {host}", self.spec.domain))?;
        ComponentClient::connect(self.address, host, secret).await
    }

    /// Runs a Lua chunk inside the server (see [`Control`]).
    pub async fn eval(&self, chunk: &str) -> Result<serde_json::Value> {
        self.control.eval(chunk).await
    }

    /// Loads a module for a host.
    pub async fn load_module(&self, host: &str, module: &str) -> Result<()> {
        self.module("load_module", host, module).await
    }

    /// Unloads a module from a host.
    pub async fn unload_module(&self, host: &str, module: &str) -> Result<()> {
        self.module("unload_module", host, module).await
    }

    /// Reloads a module of a host (`module:reload` of the console).
    pub async fn reload_module(&self, host: &str, module: &str) -> Result<()> {
        self.module("reload_module", host, module).await
    }

    /// Whether a module is loaded on a host.
    pub async fn is_loaded(&self, host: &str, module: &str) -> Result<bool> {
        Ok(self
            .eval(&format!("return is_loaded({host:?}, {module:?})"))
            .await?
            .as_bool()
            == Some(true))
    }

    async fn module(&self, verb: &str, host: &str, module: &str) -> Result<()> {
        self.eval(&format!("return {verb}({host:?}, {module:?})"))
            .await
            .map(|_| ())
    }

    /// What its MUC service has sent to other servers so far, one stanza a line: those in the two namespaces of XEP-0281 and its
    /// extension, or all of them with `testbed_wire_all = true` among the global lines.
    pub fn wire(&self) -> String {
        crate::wire::read(&self.dir)
    }

    /// The counters since the last reset or start.
    pub async fn stats(&self) -> Result<Stats> {
        Stats::parse(self.eval("return stats()").await?)
    }

    /// Sets the counters to zero.
    pub async fn reset_stats(&self) -> Result<()> {
        self.eval("return reset_stats()").await.map(|_| ())
    }

    /// Lines of the log that match a regular expression.
    pub fn log_lines_matching(&self, pattern: &str) -> Result<Vec<String>> {
        self.log.matching(pattern)
    }

    /// Waits for a line, also one that was logged before.
    pub async fn wait_for_log(&self, pattern: &str) -> Result<String> {
        self.log.wait_since(0, pattern, deadline()).await
    }

    /// Fails if the log has a Lua error or any line of level `error`.
    pub fn assert_no_lua_errors(&self) -> Result<()> {
        let errors = self.log.errors();
        if !errors.is_empty() {
            bail!("{} logged errors:\n{}", self.spec.domain, errors.join("\n"));
        }
        Ok(())
    }
}

/// What makes Prosody's own clock wrong by so many seconds, from before it loads anything.
fn shifted_clock(ahead_s: i64) -> String {
    format!(
        "local plain, done = require, false; \
         function require(name) \
             local found = plain(name); \
             if not done and (name == 'util.time' or name == 'prosody.util.time') then \
                 done = true; \
                 local now = found.now; \
                 found.now = function () return now() + {ahead_s}; end; \
             end \
             return found; \
         end"
    )
}

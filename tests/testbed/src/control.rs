//! Running Lua inside a server, through `mod_testbed`'s loopback port.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::waiting::deadline;

pub(crate) const PORT: u16 = 5999;

/// Runs Lua chunks inside a server.
///
/// A chunk sees Prosody's globals and what `mod_testbed` offers: `stats()`, `reset_stats()`,
/// `load_module(host, name)`, `unload_module(host, name)`, `reload_module(host, name)`,
/// `is_loaded(host, name)` and `ping_host(from, to, timeout)`. It may return a promise.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    address: SocketAddr,
}

impl Control {
    pub(crate) fn new(address: std::net::Ipv4Addr) -> Control {
        Control {
            address: SocketAddr::from((address, PORT)),
        }
    }

    /// Runs a chunk and returns what it returned.
    pub async fn eval(&self, chunk: &str) -> Result<Value> {
        let run = async {
            let mut io = BufStream::new(TcpStream::connect(self.address).await?);
            io.write_all(format!("{}\n{chunk}", chunk.len()).as_bytes())
                .await?;
            io.flush().await?;
            let mut head = String::new();
            io.read_line(&mut head).await?;
            let (status, length) = head
                .trim()
                .split_once(' ')
                .context("no answer: did the server end?")?;
            let mut payload = vec![0; length.parse()?];
            io.read_exact(&mut payload).await?;
            let value: Value = serde_json::from_slice(&payload)
                .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(&payload)))?;
            if status != "ok" {
                bail!("{}", value.as_str().unwrap_or_default());
            }
            Ok(value)
        };
        tokio::time::timeout(deadline() * 3, run)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("timeout")))
            .with_context(|| format!("in the server at {}, running: {chunk}", self.address.ip()))
    }
}

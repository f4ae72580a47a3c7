//! Blocks of loopback addresses, one per federation.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// How many federations one machine can run at the same time.
const BLOCKS: u16 = 2000;

/// An exclusive block `127.x.y.0/24`. The lock is the kernel's and goes when the process goes.
#[derive(Debug)]
pub(crate) struct Block {
    x: u8,
    y: u8,
    _lock: File,
}

impl Block {
    /// Takes the lowest free block.
    pub(crate) fn take() -> Result<Block> {
        let dir = base_dir()?.join("locks");
        fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        for n in 0..BLOCKS {
            // 127.0.x.x is what everybody else uses.
            let (x, y) = (100 + (n / 200) as u8, 1 + (n % 200) as u8);
            let path = dir.join(format!("127.{x}.{y}"));
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .with_context(|| format!("opening {}", path.display()))?;
            match file.try_lock() {
                Ok(()) => return Ok(Block { x, y, _lock: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => {
                    return Err(e).with_context(|| format!("locking {}", path.display()));
                }
            }
        }
        bail!("all {BLOCKS} loopback blocks are in use")
    }

    /// The block's name, `127.x.y`.
    pub(crate) fn name(&self) -> String {
        format!("127.{}.{}", self.x, self.y)
    }

    /// One address of the block.
    pub(crate) fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.x, self.y, host)
    }
}

/// Where federations keep their files: `$DMUC_TESTBED_DIR`, or `dmuc-testbed` in the temporary folder.
pub(crate) fn base_dir() -> Result<PathBuf> {
    let dir = std::env::var_os("DMUC_TESTBED_DIR")
        .map(PathBuf::from)
        .unwrap_or_else(|| std::env::temp_dir().join("dmuc-testbed"));
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

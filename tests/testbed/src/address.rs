//! Blocks of loopback addresses, one per federation.

use std::fs;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::linux::fs::MetadataExt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// How many federations one machine can run at the same time.
const BLOCKS: u16 = 2000;

/// An exclusive block `127.x.y.0/24`.
///
/// What it is held by is a socket with a name and no file: that is the kernel's, goes when the process goes, is any user's to take,
/// and reaches as far as the addresses do, which is one network namespace.
#[derive(Debug)]
pub(crate) struct Block {
    x: u8,
    y: u8,
    _held_by: UnixListener,
}

impl Block {
    /// Takes the lowest free block.
    pub(crate) fn take() -> Result<Block> {
        for n in 0..BLOCKS {
            // 127.0.x.x is what everybody else uses.
            let (x, y) = (110 + (n / 200) as u8, 1 + (n % 200) as u8);
            let name = format!("dmuc-testbed-127.{x}.{y}");
            let address = SocketAddr::from_abstract_name(&name)?;
            match UnixListener::bind_addr(&address) {
                Ok(listener) => {
                    return Ok(Block {
                        x,
                        y,
                        _held_by: listener,
                    });
                }
                Err(e) if e.kind() == ErrorKind::AddrInUse => {}
                Err(e) => return Err(e).with_context(|| format!("taking 127.{x}.{y}.0/24")),
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

/// Where federations keep their files: `$DMUC_TESTBED_DIR`, or a folder in the temporary one that has the user's number in its
/// name, since one user cannot write into another's.
pub(crate) fn base_dir() -> Result<PathBuf> {
    let dir = match std::env::var_os("DMUC_TESTBED_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let user = fs::metadata("/proc/self")
                .context("asking who runs this")?
                .st_uid();
            std::env::temp_dir().join(format!("dmuc-testbed-{user}"))
        }
    };
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

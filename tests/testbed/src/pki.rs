//! A private certificate authority, made on the spot with the `openssl` command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A certificate authority in a folder.
#[derive(Debug)]
pub(crate) struct Authority {
    dir: PathBuf,
}

/// Where a server finds its certificate.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authority: PathBuf,
}

fn openssl(args: &[&str]) -> Result<()> {
    let out = Command::new("openssl")
        .args(args)
        .output()
        .context("running openssl (is it installed?)")?;
    if !out.status.success() {
        bail!(
            "openssl {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&out.stderr)
        );
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

const NEW_KEY: [&str; 5] = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

impl Authority {
    /// Makes a new authority.
    pub(crate) fn create(dir: &Path) -> Result<Authority> {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        let ca = Authority { dir: dir.to_owned() };
        let mut args = NEW_KEY.to_vec();
        let (key, cert) = (ca.file("ca.key"), ca.file("ca.crt"));
        args.extend([
            "-x509",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=DMUC testbed authority",
        ]);
        args.extend(["-keyout", text(&key)?, "-out", text(&cert)?]);
        openssl(&args)?;
        Ok(ca)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Issues a certificate for several host names.
    pub(crate) fn issue(&self, name: &str, hosts: &[String]) -> Result<Certificate> {
        let cert = Certificate {
            certificate: self.file(&format!("{name}.crt")),
            key: self.file(&format!("{name}.key")),
            authority: self.file("ca.crt"),
        };
        let names: Vec<String> = hosts.iter().map(|h| format!("DNS:{h}")).collect();
        let san = format!("subjectAltName={}", names.join(","));
        let subject = format!("/CN={name}");
        let ca_key = self.file("ca.key");
        let mut args = NEW_KEY.to_vec();
        args.extend(["-x509", "-nodes", "-days", "2", "-subj", &subject]);
        args.extend(["-CA", text(&cert.authority)?, "-CAkey", text(&ca_key)?]);
        args.extend(["-addext", &san, "-addext", "basicConstraints=critical,CA:FALSE"]);
        args.extend(["-addext", "extendedKeyUsage=serverAuth,clientAuth"]);
        args.extend(["-keyout", text(&cert.key)?, "-out", text(&cert.certificate)?]);
        openssl(&args)?;
        Ok(cert)
    }
}

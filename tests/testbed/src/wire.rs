//! What MUC services that run the module send to each other is valid by the schema in `docs/schema`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib;

use crate::config::WIRE;
use crate::install::workspace;

/// Everything that was kept of what the server in this folder has sent, with what is packed in the open.
pub(crate) fn read(server: &Path) -> String {
    let text = fs::read_to_string(server.join(WIRE)).unwrap_or_default();
    text.lines().map(|line| plain(line) + "\n").collect()
}

/// A stanza with what is packed in it in the open (PROTOCOL 14.7).
fn plain(line: &str) -> String {
    let unpacked = || {
        let (before, rest) = line.split_once("<packed ")?;
        let (packed, after) = rest.split_once("</packed>")?;
        let (_, base64) = packed.split_once('>')?;
        let compressed = BASE64.decode(base64.as_bytes()).ok()?;
        let xml = String::from_utf8(decompress_to_vec_zlib(&compressed).ok()?).ok()?;
        Some(format!("{before}{xml}{after}"))
    };
    unpacked().unwrap_or_else(|| line.to_owned())
}

/// An element packed, however short it is.
pub fn packed(xml: &str) -> String {
    let base64 = BASE64.encode(&compress_to_vec_zlib(xml.as_bytes(), 6));
    format!(
        "<packed xmlns='urn:x-dmuc:0' bytes='{}'>{base64}</packed>",
        xml.len()
    )
}

/// Validates what the server in this folder has sent.
///
/// # Errors
/// What is not valid, in the words of xmllint.
pub(crate) fn validate(server: &Path) -> Result<()> {
    let text = read(server);
    if text.is_empty() {
        return Ok(());
    }
    // As it was sent, too: what is packed has a form of its own.
    let sent = fs::read_to_string(server.join(WIRE)).unwrap_or_default();
    let packed: String = sent
        .lines()
        .filter(|line| line.contains("<packed "))
        .map(|line| format!("{line}\n"))
        .collect();
    let text = text + &packed;
    let document = server.join("wire.xml");
    fs::write(&document, link(&text))?;
    let schema = workspace().join("docs/schema/link.rng");
    let found = Command::new("xmllint")
        .args(["--huge", "--noout", "--relaxng"])
        .args([&schema, &document])
        .output()
        .context("xmllint, of the package libxml2-utils")?;
    if !found.status.success() {
        let words = String::from_utf8_lossy(&found.stderr);
        let first: Vec<&str> = words.lines().take(12).collect();
        bail!("what was sent is not as docs/schema says:\n{}", first.join("\n"));
    }
    Ok(())
}

/// Everything that was sent, as one document. A line that a killed server has not finished is left out.
fn link(text: &str) -> String {
    let is_whole = |line: &&str| {
        let mut names = ["iq", "message", "presence"].into_iter();
        names.any(|name| line.starts_with(&format!("<{name} ")) && line.ends_with(&format!("</{name}>")))
    };
    let lines: Vec<&str> = text.lines().filter(is_whole).collect();
    format!("<link xmlns='jabber:client'>\n{}\n</link>\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str, text: &str) -> Result<()> {
        let dir = std::env::temp_dir().join(format!("dmuc-wire-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(WIRE), text)?;
        let verdict = validate(&dir);
        fs::remove_dir_all(&dir)?;
        verdict
    }

    const DIGEST: &str =
        "<iq from='a.test' to='b.test' id='1' type='set'><digest xmlns='urn:x-dmuc:0' life='1'/></iq>";

    #[test]
    fn what_is_no_part_of_the_protocol_is_found() -> Result<()> {
        judge(
            "right",
            &format!("{DIGEST}\n<iq from='a.test' to='b.test' id='2' ty"),
        )?;
        for (name, wrong) in [
            ("attribute", DIGEST.replace("life", "live")),
            ("value", DIGEST.replace("life='1'", "hello='perhaps'")),
            ("element", DIGEST.replace("digest", "digests")),
            ("type", DIGEST.replace("set", "get")),
        ] {
            assert!(judge(name, &format!("{DIGEST}\n{wrong}\n")).is_err(), "{name}");
        }
        Ok(())
    }
}

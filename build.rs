//! With feature `capi`: generates the C header into `OUT_DIR/dmuc.h` from `src/capi/` and `cbindgen.toml`.
//!
//! Never writes into the source tree. `include/dmuc.h` is the committed copy; `tests/capi` compares the two and says how to
//! take over a change.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    header::generate()?;
    Ok(())
}

#[cfg(feature = "capi")]
mod header {
    use std::error::Error;
    use std::path::{Path, PathBuf};

    pub(crate) fn generate() -> Result<(), Box<dyn Error>> {
        let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
        let out = PathBuf::from(std::env::var("OUT_DIR")?).join("dmuc.h");
        println!("cargo::rerun-if-changed=cbindgen.toml");
        println!("cargo::rerun-if-changed=src/capi.rs");
        println!("cargo::rerun-if-changed=src/capi");
        let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
        let mut builder = cbindgen::Builder::new()
            .with_config(config)
            .with_header(preamble(&root)?);
        // Only these files are parsed: no dependency, and not the rest of the crate.
        for source in sources(&root)? {
            builder = builder.with_src(source);
        }
        builder.generate()?.write_to_file(out);
        Ok(())
    }

    /// The files of the C face, in the order in which a reader wants them.
    fn sources(root: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        const FIRST: [&str; 11] = [
            "result.rs",
            "config.rs",
            "engine.rs",
            "rooms.rs",
            "occupants.rs",
            "settings.rs",
            "requests.rs",
            "messages.rs",
            "queries.rs",
            "stanza.rs",
            "verdict.rs",
        ];
        let folder = root.join("src/capi");
        let mut files = std::fs::read_dir(&folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
        files.sort_by_key(|path| {
            let place = FIRST.iter().position(|name| path.ends_with(name));
            (place.unwrap_or(FIRST.len()), path.clone())
        });
        Ok(files)
    }

    /// The conventions, which stand at the top of `src/capi.rs`, as the comment at the top of the header.
    fn preamble(root: &Path) -> Result<String, Box<dyn Error>> {
        let source = std::fs::read_to_string(root.join("src/capi.rs"))?;
        let mut text = String::new();
        for line in source.lines().map_while(|line| line.strip_prefix("//!")) {
            text.push_str("//");
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("//\n// Generated from src/capi by cbindgen; do not edit.");
        Ok(text)
    }
}

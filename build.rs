//! With a feature `lua5x`: sets `DMUC_BUILD`, which tells one build of `dmuc.so` from another.
//!
//! With feature `capi`: generates the C header into `OUT_DIR/dmuc.h` from `src/capi/` and `cbindgen.toml`.
//!
//! Never writes into the source tree. `include/dmuc.h` is the committed copy; `tests/capi` compares the two and says how to
//! take over a change.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(any(feature = "lua54", feature = "lua53", feature = "lua52", feature = "lua51"))]
    identity::generate()?;
    #[cfg(feature = "capi")]
    header::generate()?;
    Ok(())
}

/// The Lua binding: a mark by which `mod_dmuc` tells one build of `dmuc.so` from another, before it opens it.
#[cfg(any(feature = "lua54", feature = "lua53", feature = "lua52", feature = "lua51"))]
mod identity {
    use std::error::Error;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    /// The Lua whose C interface the library has.
    const LUA: &str = if cfg!(feature = "lua54") {
        "lua54"
    } else if cfg!(feature = "lua53") {
        "lua53"
    } else if cfg!(feature = "lua52") {
        "lua52"
    } else {
        "lua51"
    };

    /// Sets `DMUC_BUILD` for the crate: version, Lua, and a hash of all that makes one library differ from another. The same
    /// sources, built in the same way by the same compiler, have the same.
    pub(crate) fn generate() -> Result<(), Box<dyn Error>> {
        let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
        let mut hash = Fnv::new();
        for name in [
            "PROFILE",
            "OPT_LEVEL",
            "DEBUG",
            "TARGET",
            "CARGO_CFG_TARGET_FEATURE",
        ] {
            hash.add(std::env::var(name).unwrap_or_default().as_bytes());
        }
        // Where the sources lie is no difference: a build for others leaves its folders out of what it writes (packaging/flags.sh).
        let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        for flag in flags
            .split('\u{1f}')
            .filter(|flag| !flag.starts_with("--remap-path-prefix="))
        {
            hash.add(flag.as_bytes());
        }
        let compiler = Command::new(std::env::var("RUSTC")?).arg("--version").output()?;
        hash.add(&compiler.stdout);
        for feature in ["LUA54", "LUA53", "LUA52", "LUA51", "CAPI"] {
            let is_on = std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
            hash.add(&[u8::from(is_on)]);
        }
        let mut files = vec![
            root.join("build.rs"),
            root.join("Cargo.toml"),
            root.join("Cargo.lock"),
        ];
        collect(&root.join("src"), &mut files)?;
        files.retain(|path| path.exists());
        files.sort();
        for path in &files {
            println!("cargo::rerun-if-changed={}", path.display());
            hash.add(path.strip_prefix(&root)?.to_string_lossy().as_bytes());
            hash.add(&std::fs::read(path)?);
        }
        // For files that are new.
        println!("cargo::rerun-if-changed={}", root.join("src").display());
        let version = std::env::var("CARGO_PKG_VERSION")?;
        println!("cargo::rustc-env=DMUC_BUILD={version}+{LUA}.{:016x}", hash.0);
        Ok(())
    }

    fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, files)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
        Ok(())
    }

    /// FNV-1a over parts, each with its length: nobody is to be kept out, only builds to be told apart.
    struct Fnv(u64);

    impl Fnv {
        fn new() -> Fnv {
            Fnv(0xcbf2_9ce4_8422_2325)
        }

        fn add(&mut self, part: &[u8]) {
            for byte in (part.len() as u64).to_le_bytes().iter().chain(part) {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
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

    /// The files of the C binding, in the order in which a reader wants them.
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

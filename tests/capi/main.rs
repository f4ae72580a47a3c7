//! The C binding as a C program sees it: `include/dmuc.h`, and the library built with feature `capi` alone.
//!
//! Whatever features these tests themselves are built with: they build the library with cargo into a target folder of
//! their own, since one with feature `lua` leaves `lua_*` undefined.

// In tests a panic is the verdict; clippy's exception covers only the #[test] functions themselves, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a static Rust library needs from the system.
const SYSTEM_LIBRARIES: [&str; 4] = ["-lpthread", "-ldl", "-lm", "-lgcc_s"];
const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

struct Library {
    archive: PathBuf,
    shared: PathBuf,
    /// As build.rs made it.
    header: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi")
}

/// Runs a command and returns what it printed; fails with all it said.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}\n{err}",
        output.status
    );
    out.into_owned()
}

/// The library with the C binding only.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = folder().join("target");
        let messages = run(Command::new(env!("CARGO"))
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env("CARGO_INCREMENTAL", "0")
            .args(["build", "--lib", "--no-default-features", "--features", "capi"])
            .args(["--package", "dmuc", "--message-format", "json"])
            .arg("--manifest-path")
            .arg(root().join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target));
        let built = target.join("debug");
        Library {
            archive: built.join("libdmuc.a"),
            shared: built.join("libdmuc.so"),
            header: out_dir(&messages).join("dmuc.h"),
        }
    })
}

/// Where cargo says that our build.rs wrote to.
fn out_dir(messages: &str) -> PathBuf {
    let ours = format!("path+file://{}", root().display());
    let line = messages
        .lines()
        .find(|line| line.contains("\"build-script-executed\"") && line.contains(&ours))
        .expect("cargo says nothing of build.rs");
    let (_, rest) = line.split_once("\"out_dir\":\"").unwrap();
    PathBuf::from(rest.split_once('"').unwrap().0)
}

/// The small host that the programs use.
const HOST: [&str; 2] = ["tests/capi/host.c", "tests/capi/network.c"];

/// Compiles `tests/capi/<program>.c` and the host against the committed header.
fn compile(program: &str, variant: &str, flags: &[&str], library: &[&str]) -> PathBuf {
    let source = format!("tests/capi/{program}.c");
    build(
        &format!("{program}-{variant}"),
        &[&source, HOST[0], HOST[1]],
        flags,
        library,
    )
}

fn build(name: &str, sources: &[&str], flags: &[&str], library: &[&str]) -> PathBuf {
    let binary = folder().join(name);
    run(Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g"])
        .args(flags)
        .arg("-I")
        .arg(root().join("include"))
        .args(sources.iter().map(|source| root().join(source)))
        .args(library)
        .args(SYSTEM_LIBRARIES)
        .arg("-o")
        .arg(&binary));
    binary
}

fn compile_static(program: &str, variant: &str, flags: &[&str]) -> PathBuf {
    compile(program, variant, flags, &[library().archive.to_str().unwrap()])
}

/// Runs a program under the sanitizers' strictest settings; without them they change nothing.
fn transcript(binary: &Path) -> String {
    run(Command::new(binary)
        .env(
            "ASAN_OPTIONS",
            "detect_leaks=1:abort_on_error=0:check_initialization_order=1",
        )
        .env("UBSAN_OPTIONS", "print_stacktrace=1"))
}

/// Everything that is told of the coven at both services, in order.
fn check_story(transcript: &str) {
    let told: Vec<&str> = transcript.lines().collect();
    let expected = [
        "chat: <crone1> <body>Thrice the brinded cat hath mew&apos;d.</body>",
        "rooms: shadow of coven@chat.shakespeare.lit is configured",
        "rooms: subject: Thrice",
        "rooms: crone1@shakespeare.lit is owner",
        "rooms: firstwitch joined (owner, moderator, crone1@shakespeare.lit/desktop) <show>chat</show>",
        "chat: notice: replicated rooms.macbeth.lit",
        "rooms: <crone1> <body>Thrice the brinded cat hath mew&apos;d.</body>",
        "chat: secondwitch joined (none, participant, hag66@macbeth.lit/pda) <status>on the heath</status>",
        "chat: <firstwitch> <body>When shall we three meet again?</body>",
        "rooms: <firstwitch> <body>When shall we three meet again?</body>",
        "rooms: <secondwitch> <body>When the hurlyburly&apos;s done.</body>",
        "rooms: <secondwitch> <reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>x</reaction></reactions>",
        "chat: <secondwitch> <body>When the hurlyburly&apos;s done.</body>",
        "chat: <secondwitch> <reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>x</reaction></reactions>",
        "rooms: hag66@macbeth.lit is member",
        "rooms: hag66@macbeth.lit wears <hats xmlns='urn:xmpp:hats:0'><hat uri='urn:hat:host' title='Host'/></hats>",
        "rooms: subject: Fire Burn & Cauldron Bubble!",
        "rooms: macduff@macbeth.lit is owner",
        "chat: macbeth joined (none, participant, macbeth@macbeth.lit/castle) ",
        "rooms: coven@chat.shakespeare.lit/firstwitch asks to kick macbeth: Avaunt!",
        "chat: macbeth left (307)",
        "chat: redirected to the shadow",
        "chat: restored",
        "chat: secondwitch left",
        "rooms: destroyed: Hark, I am called, go to heath@chat.shakespeare.lit",
    ];
    for line in expected {
        let count = told.iter().filter(|told| **told == line).count();
        assert_eq!(count, 1, "{line:?} was told {count} times:\n{transcript}");
    }
    let last = told.last().unwrap();
    let version = concat!("done: dmuc ", env!("CARGO_PKG_VERSION"), ", ");
    assert!(last.starts_with(version), "{last:?}");
    assert_eq!(told.len(), expected.len() + 1, "{transcript}");
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let generated = std::fs::read_to_string(&library().header).unwrap();
    let committed = root().join("include/dmuc.h");
    if std::env::var_os("DMUC_UPDATE_HEADER").is_some() {
        std::fs::write(&committed, &generated).unwrap();
    }
    let current = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        current == generated,
        "include/dmuc.h is not what src/capi gives any more. Take the change over with\n\
         \n    DMUC_UPDATE_HEADER=1 cargo test --test capi header\n\
         \nand commit it. (Generated: {})",
        library().header.display()
    );
}

#[test]
fn the_c_library_needs_no_lua() {
    for (library, options) in [
        (&library().shared, &["-D", "-u"][..]),
        (&library().archive, &["-u"][..]),
    ] {
        let undefined = run(Command::new("nm").args(options).arg(library));
        assert!(
            undefined.contains("memcpy"),
            "nm shows nothing of {}",
            library.display()
        );
        let lua: Vec<&str> = undefined
            .lines()
            .filter(|line| line.contains("lua_") || line.contains("luaL_"))
            .collect();
        assert!(lua.is_empty(), "{} needs {lua:?}", library.display());
    }
}

#[test]
fn the_library_exports_the_functions_of_the_header_and_no_others() {
    let header = std::fs::read_to_string(root().join("include/dmuc.h")).unwrap();
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut declared: Vec<String> = code
        .filter_map(|line| {
            let (before, _) = line.split_once('(')?;
            let name = before.rsplit([' ', '*']).next()?;
            name.starts_with("dmuc_").then(|| name.to_owned())
        })
        .collect();
    let symbols = run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library().shared));
    let mut exported: Vec<String> = symbols
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .filter(|name| name.starts_with("dmuc_"))
        .map(str::to_owned)
        .collect();
    declared.sort();
    exported.sort();
    assert!(declared.len() > 30, "{declared:?}");
    assert_eq!(declared, exported);
}

#[test]
fn two_engines_in_one_process_replicate_a_room() {
    check_story(&transcript(&compile_static("replicate", "plain", &["-O2"])));
}

#[test]
fn replicating_a_room_is_clean_under_address_and_undefined_behaviour_sanitizers() {
    check_story(&transcript(&compile_static(
        "replicate",
        "sanitized",
        &SANITIZERS,
    )));
}

/// Everything is checked in the program.
fn check_done(transcript: &str) {
    let last = transcript.lines().last().unwrap_or_default();
    assert!(last.starts_with("done"), "{transcript}");
}

#[test]
fn a_split_heals_and_a_restart_goes_on_with_what_was_stored() {
    check_done(&transcript(&compile_static("split", "plain", &["-O2"])));
}

#[test]
fn what_a_host_has_stored_is_read_again_when_it_is_needed() {
    check_done(&transcript(&compile_static("recall", "plain", &["-O2"])));
    check_done(&transcript(&compile_static("recall", "sanitized", &SANITIZERS)));
}

#[test]
fn splits_and_restarts_are_clean_under_address_and_undefined_behaviour_sanitizers() {
    check_done(&transcript(&compile_static("split", "sanitized", &SANITIZERS)));
}

#[test]
fn the_example_tells_its_story_clean_under_the_sanitizers() {
    let archive = library().archive.to_str().unwrap();
    let binary = build("example", &["examples/two_services.c"], &SANITIZERS, &[archive]);
    let told = transcript(&binary);
    for line in [
        "rooms.macbeth.lit: <firstcrone> <body>When shall we three meet again?</body>",
        "chat.shakespeare.lit: <thirdwitch> <body>When the hurlyburly&apos;s done.</body>",
    ] {
        assert!(told.lines().any(|told| told == line), "{told}");
    }
}

#[test]
fn a_program_can_link_the_shared_library() {
    let shared = &library().shared;
    let search = format!("-Wl,-rpath,{}", shared.parent().unwrap().display());
    let binary = compile("replicate", "shared", &[], &[shared.to_str().unwrap(), &search]);
    check_story(&transcript(&binary));
}

#[test]
fn bad_input_has_defined_results() {
    for program in ["bad_input", "bad_messages"] {
        let told = transcript(&compile_static(program, "plain", &["-O2"]));
        assert_eq!(told, "done\n", "{program}");
    }
}

#[test]
fn bad_input_is_clean_under_address_and_undefined_behaviour_sanitizers() {
    for program in ["bad_input", "bad_messages"] {
        let told = transcript(&compile_static(program, "sanitized", &SANITIZERS));
        assert_eq!(told, "done\n", "{program}");
    }
}

//! XEP-0045, section by section: what an ordinary room does, a distributed one does too, whichever instances its occupants
//! have joined.
//!
//! Every case is one function that is run in each [`Place`] with the same expectations. Besides, what everybody got is
//! compared with what they got in the ordinary room: differences that are meant are listed, with reasons, in [`MEANT`].
//! The table of the cases is kept in docs/CONFORMANCE.md.

mod administering;
mod discovery;
mod entering;
mod inviting;
mod moderating;
mod nicks;
mod owning;
mod registering;
pub(crate) mod scene;
mod speaking;
mod voice;

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use dmuc_testbed::{Federation, Storage, Version, on_every_version};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};

use crate::support::{linked, three};
use scene::{Place, Scene, reduced};

/// What happens in a case.
type Play = for<'a> fn(&'a Scene<'a>) -> BoxFuture<'a, Result<()>>;

/// One case.
struct Case {
    /// The section of XEP-0045, or the XEP that clients use on top of it.
    section: &'static str,
    title: &'static str,
    play: Play,
}

impl Case {
    const fn new(section: &'static str, title: &'static str, play: Play) -> Case {
        Case { section, title, play }
    }
}

fn cases() -> Vec<&'static Case> {
    let groups = [
        discovery::CASES,
        entering::CASES,
        nicks::CASES,
        speaking::CASES,
        inviting::CASES,
        registering::CASES,
        voice::CASES,
        moderating::CASES,
        administering::CASES,
        owning::CASES,
    ];
    groups.into_iter().flatten().collect()
}

/// Boxes a case, so that the cases of a file are a plain list.
macro_rules! case {
    ($section:literal, $title:literal, $play:path) => {
        $crate::conformance::Case::new($section, $title, |scene| futures::FutureExt::boxed($play(scene)))
    };
}
pub(in crate::conformance) use case;

/// What people get in a distributed room and not in an ordinary one (`+`), or the other way round (`-`), and why it is meant
/// to be so: the beginning of the title of the case, or nothing for all; the sign; a text of the line.
const MEANT: &[(&str, char, &str, &str)] = &[
    (
        "",
        '+',
        "<message from=\"ROOM\"",
        "When the home of an occupant has shown its removal already, the list of affiliations that comes from the source \
         after it is about somebody who is not in, and moderators are told so (XEP-0045 section 9.1)",
    ),
    (
        "Two clients of one person",
        '-',
        "from=\"ROOM/guest\"",
        "An occupant's home tells of one of several clients, and not at all of a second one that changes nothing",
    ),
    (
        "Two clients of one person",
        '+',
        "from=\"ROOM/guest\"",
        "The same: the presence names one client",
    ),
    (
        "Who may not kick",
        '-',
        "<presence from=\"ROOM/third\" to=\"GUEST/client\"",
        "Who is a moderator by role alone sees real JIDs of people at other instances only if local policy trusts its \
         service (docs/PROTOCOL.md section 5.2)",
    ),
    (
        "The role of a moderator",
        '-',
        "<presence from=\"ROOM/guest\" to=\"THIRD/client\"",
        "The same",
    ),
    (
        "A room that becomes members-only",
        '+',
        "<presence from=\"ROOM/third\"",
        "Prosody tells only those who are removed; people at other instances would go on seeing them",
    ),
    (
        "",
        '+',
        "<item affiliation=\"none\" role=\"moderator\"",
        "An affiliation comes from the source and a role from the home of the occupant: over two links, in two steps",
    ),
    (
        "Admins are made",
        '+',
        "<item affiliation=\"admin\" role=\"participant\"",
        "The same",
    ),
    (
        "Owners are made",
        '+',
        "<presence from=\"ROOM/guest\" to=\"THIRD/client\"",
        "The same",
    ),
    (
        "Who may see real JIDs changes",
        '+',
        "<presence from=\"ROOM/",
        "An instance that may know real JIDs from now on learns, and shows, all of them at once",
    ),
];

/// Cases that run at the same time. They wait for stanzas more than for processors.
const AT_ONCE: usize = 16;

async fn run(fed: &Federation, number: usize, case: &Case, place: Place) -> Result<Vec<String>> {
    let scene = Scene::new(fed, place, number);
    let played = (case.play)(&scene).await;
    if let Err(error) = played {
        // At once, for those who wait for the rest.
        eprintln!("{} {} ({place:?}): {error:#}", case.section, case.title);
        return Err(error);
    }
    Ok(scene.transcript())
}

/// What one transcript has and the other has not. That a presence says less than another one in the ordinary room, which is
/// there, too, is no difference: what has become of somebody may be told in two steps, by the home and by the source.
fn differences(case: &Case, plain: &[String], other: &[String]) -> String {
    let is_meant = |sign: char, line: &str| {
        MEANT.iter().any(|(title, of, text, _)| {
            let says = line.contains(text) || reduced(line).contains(text);
            case.title.starts_with(title) && *of == sign && says
        })
    };
    let shown: Vec<String> = plain.iter().map(|line| reduced(line)).collect();
    let mut found = String::new();
    for line in plain.iter().filter(|line| !other.contains(line)) {
        if !is_meant('-', line) {
            let _ = writeln!(found, "  - {line}");
        }
    }
    for line in other.iter().filter(|line| !plain.contains(line)) {
        let is_step = line.contains("<presence") && shown.contains(&reduced(line));
        if !is_step && !is_meant('+', line) {
            let _ = writeln!(found, "  + {line}");
        }
    }
    found
}

/// The table of docs/CONFORMANCE.md.
fn table() -> String {
    let mut lines = vec![
        "| XEP-0045 | what holds in all five places |".to_owned(),
        "|---|---|".to_owned(),
    ];
    lines.extend(
        cases()
            .iter()
            .map(|case| format!("| {} | {} |", case.section, case.title)),
    );
    lines.join("\n")
}

/// `DMUC_UPDATE_TABLE=1` writes it anew.
#[test]
fn the_table_in_the_docs_has_every_case() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFORMANCE.md");
    let text = std::fs::read_to_string(path).context(path)?;
    let (before, rest) = text
        .split_once("<!-- cases -->\n")
        .context("where the table begins")?;
    let (found, after) = rest
        .split_once("\n<!-- end of cases -->")
        .context("where it ends")?;
    let expected = table();
    if std::env::var_os("DMUC_UPDATE_TABLE").is_some() {
        let text = format!("{before}<!-- cases -->\n{expected}\n<!-- end of cases -->{after}");
        std::fs::write(path, text).context(path)?;
        return Ok(());
    }
    anyhow::ensure!(
        found == expected,
        "docs/CONFORMANCE.md is not what the cases say; DMUC_UPDATE_TABLE=1 writes it. Expected:\n{expected}"
    );
    Ok(())
}

async fn conformance(version: Version, storage: Storage) -> Result<()> {
    let fed = three("conformance", version, storage).start().await?;
    linked(&fed).await?;
    let cases = cases();
    // For work on a case: a part of its title or its section.
    let wanted = std::env::var("DMUC_CONFORMANCE").unwrap_or_default();
    let is_wanted = |case: &Case| format!("{} {}", case.section, case.title).contains(&wanted);
    let jobs = cases.iter().enumerate().filter(|(_, case)| is_wanted(case));
    let jobs = jobs.flat_map(|(number, case)| Place::ALL.map(|place| (number, *case, place)));
    let fed_ref = &fed;
    let results: BTreeMap<(usize, Place), Result<Vec<String>>> = stream::iter(jobs)
        .map(|(number, case, place)| {
            run(fed_ref, number, case, place).map(move |result| ((number, place), result))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut problems = String::new();
    for ((number, place), result) in &results {
        let case = cases[*number];
        let what = format!("{} {} ({place:?})", case.section, case.title);
        let plain = results
            .get(&(*number, Place::Plain))
            .and_then(|plain| plain.as_ref().ok());
        let problem = match (result, plain) {
            (Err(error), _) => Some(format!("{error:#}")),
            (Ok(lines), Some(plain)) => {
                let found = differences(case, plain, lines);
                (!found.is_empty()).then_some(found)
            }
            (Ok(_), None) => None,
        };
        if let Some(problem) = problem {
            let _ = writeln!(problems, "{what}:\n{problem}");
        }
    }
    anyhow::ensure!(problems.is_empty(), "not as in an ordinary room:\n{problems}");
    fed.finish().await
}

on_every_version! {
    fn a_distributed_room_conforms_to_xep_0045_as_an_ordinary_one_does(version, storage) {
        conformance(version, storage).await
    }
}

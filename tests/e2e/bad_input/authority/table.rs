//! The tables of `docs/AUTHORITY.md`, and every kind of stanza there is, as the grammar and the sources have it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, stanza};

const DOCUMENT: &str = include_str!("../../../../docs/AUTHORITY.md");
const GRAMMAR: [&str; 3] = [
    include_str!("../../../../docs/schema/link.rng"),
    include_str!("../../../../docs/schema/xmpp-dmuc.rng"),
    include_str!("../../../../docs/schema/x-dmuc.rng"),
];
/// Where stanzas of the two namespaces are read, with what their names are children of.
const SOURCES: [&str; 4] = [
    include_str!("../../../../src/wire/request.rs"),
    include_str!("../../../../src/wire/response.rs"),
    include_str!("../../../../src/wire/presence.rs"),
    include_str!("../../../../src/wire/message.rs"),
];
const ACTS: &str = include_str!("../../../../src/wire/act.rs");
const RNG: &str = "http://relaxng.org/ns/structure/1.0";

/// What one sender gets for one kind of stanza.
pub struct Cell {
    pub stanza: String,
    pub sender: String,
    pub outcome: String,
}

/// The table below a heading, row by row.
pub fn table(heading: &str) -> Result<Vec<Vec<Cell>>> {
    let (_, rest) = DOCUMENT
        .split_once(&format!("## {heading}\n"))
        .with_context(|| format!("no section {heading}"))?;
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let mut lines = section.lines().filter(|line| line.starts_with('|')).map(cells);
    let senders = lines.next().context("a table")?;
    let mut rows = Vec::new();
    for row in lines.skip(1) {
        ensure!(row.len() == senders.len(), "{heading}: {row:?} has other columns");
        let (name, outcomes) = row.split_first().context("a row")?;
        let with_senders = senders[1..].iter().zip(outcomes);
        rows.push(
            with_senders
                .map(|(sender, outcome)| Cell {
                    stanza: name.clone(),
                    sender: sender.clone(),
                    outcome: outcome.clone(),
                })
                .collect(),
        );
    }
    ensure!(!rows.is_empty(), "{heading}: no rows");
    Ok(rows)
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|').split('|');
    inner
        .map(|cell| cell.replace('`', "").trim().to_owned())
        .collect()
}

/// The name of a kind of stanza: a row's, without what tells it from others of the same kind.
pub fn kind(row: &str) -> &str {
    row.split(',').next().unwrap_or(row)
}

fn without_comments(text: &str) -> String {
    let parts = text.split("<!--");
    let kept = parts.enumerate().map(|(n, part)| match n {
        0 => part,
        _ => part.split_once("-->").map_or("", |(_, rest)| rest),
    });
    kept.collect()
}

fn is_rng(element: &Element, name: &str) -> bool {
    element.is(name, RNG)
}

fn below<'a>(element: &'a Element, found: &mut Vec<&'a Element>) {
    for child in element.children() {
        found.push(child);
        below(child, found);
    }
}

fn all(element: &Element) -> Vec<&Element> {
    let mut found = Vec::new();
    below(element, &mut found);
    found
}

/// Every kind of stanza in the grammar, as the tables name it.
pub fn kinds_of_grammar() -> Result<BTreeSet<String>> {
    let files: Vec<Element> = GRAMMAR
        .iter()
        .map(|text| {
            let (_, grammar) = text.split_once("?>").context("an XML declaration")?;
            stanza(&without_comments(grammar))
        })
        .collect::<Result<_>>()?;
    let define = |name: &str| {
        let defines = files.iter().flat_map(|file| file.children());
        let mut named = defines.filter(|el| is_rng(el, "define") && el.attr("name") == Some(name));
        named.next().with_context(|| format!("<define name='{name}'/>"))
    };
    // What a <define/> is about: the name of its element.
    let element = |name: &str| -> Result<String> {
        let element = define(name)?.children().find(|el| is_rng(el, "element"));
        let name = element.and_then(|el| el.attr("name"));
        Ok(name.context("an element")?.to_owned())
    };
    let mut kinds = BTreeSet::new();
    for group in all(define("request")?)
        .into_iter()
        .filter(|el| is_rng(el, "group"))
    {
        let inside = all(group);
        let value = inside.iter().find(|el| is_rng(el, "value")).context("a type")?;
        for reference in inside.iter().filter(|el| is_rng(el, "ref")) {
            let name = element(reference.attr("name").context("a name")?)?;
            if name != "act" {
                kinds.insert(format!("{} {name}", value.text()));
                continue;
            }
            let choice = all(define("act")?).into_iter().find(|el| is_rng(el, "choice"));
            for what in choice.context("a choice")?.children() {
                let what = what.attr("name").context("a name")?;
                kinds.insert(format!("{} act {what}", value.text()));
            }
        }
    }
    for stanza in ["result", "presence", "message"] {
        for reference in all(define(stanza)?).into_iter().filter(|el| is_rng(el, "ref")) {
            let name = reference.attr("name").context("a name")?;
            if !["addresses", "lang", "foreign"].contains(&name) {
                kinds.insert(format!("{stanza} {}", element(name)?));
            }
        }
    }
    ensure!(kinds.len() > 20, "the grammar is read wrongly: {kinds:?}");
    Ok(kinds)
}

/// Every name that the sources read in one of the two namespaces at the top of a stanza, and every act.
pub fn names_of_sources() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in SOURCES {
        let source = source.split("#[cfg(test)]").next().unwrap_or(source);
        // `(ns::OURS, "close")` of requests and results, `only(el, "event", ns::OURS)` of the others.
        for namespace in ["ns::OURS", "ns::DMUC"] {
            let parts: Vec<&str> = source.split(namespace).collect();
            for pair in parts.windows(2) {
                let after = pair[1]
                    .strip_prefix(", \"")
                    .and_then(|rest| rest.split('"').next());
                let before = pair[0]
                    .strip_suffix("\", ")
                    .and_then(|text| text.rsplit('"').next());
                names.extend(after.or(before).map(str::to_owned));
            }
        }
    }
    let (_, read) = ACTS.split_once("impl ActKind").unwrap_or(("", ACTS));
    let read = read.split("fn write").next().unwrap_or(read);
    for line in read.lines() {
        let arm = line
            .trim()
            .split_once("\" => ")
            .map(|(name, _)| name.trim_start_matches('"'));
        names.extend(arm.map(|name| format!("act {name}")));
    }
    names
}

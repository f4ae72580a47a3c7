//! The authority matrix: every kind of stanza from every kind of sender has the outcome that `docs/AUTHORITY.md` defines.

mod stage;
mod stanzas;
mod table;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use dmuc_testbed::{Client, ComponentClient, Element, Storage, Version, on_every_version, to_string};

use self::stage::{
    AT_ONE, ATTIC, ATTIC_AT_ONE, CELLAR, CELLAR_HERE, CHAT, HEATH, HEATH_AT_TWO, HEATH_HERE, ONE, OTHER,
    STRANGER, Stage, THREE, TWO, verdict,
};
use self::stanzas::{Form, Names, event, ghost, iq};
use self::table::{Cell, kind, kinds_of_grammar, names_of_sources, table};
use super::rights::asked_by_clients;
use super::scene::{SECRET, row};
use crate::support::{SOURCE, from, nicks};

/// The tables with stanzas between instances, and whom they are sent to.
const TABLES: [(&str, &str); 3] = [
    ("To the service", CHAT),
    ("To a source", SOURCE),
    ("To a shadow", HEATH_HERE),
];

#[test]
fn every_kind_of_stanza_is_in_every_table() -> Result<()> {
    let grammar = kinds_of_grammar()?;
    for (heading, _) in TABLES {
        let rows = table(heading)?;
        let named: BTreeSet<String> = rows.iter().map(|row| kind(&row[0].stanza).to_owned()).collect();
        let missing: Vec<&String> = grammar.difference(&named).collect();
        ensure!(missing.is_empty(), "{heading}: no row for {missing:?}");
        let unknown: Vec<&String> = named
            .difference(&grammar)
            .filter(|name| *name != "error")
            .collect();
        ensure!(unknown.is_empty(), "{heading}: the grammar has no {unknown:?}");
        for name in names_of_sources() {
            let is_it = |kind: &String| kind.ends_with(&format!(" {name}")) || name == "act";
            ensure!(
                named.iter().any(is_it),
                "{heading}: no row for <{name}/>, which src/wire reads"
            );
        }
    }
    Ok(())
}

/// Somebody who sends.
enum Sender<'a> {
    Service(&'a ComponentClient, String),
    User(&'a Client),
}

impl Sender<'_> {
    fn address(&self) -> &str {
        match self {
            Sender::Service(_, address) => address,
            Sender::User(client) => client.jid(),
        }
    }

    fn form(&self) -> Form {
        match self {
            Sender::Service(_, address) if address.contains('@') => Form::Room,
            _ => Form::Itself,
        }
    }

    /// Whether a refusal of it is a warning.
    fn is_peer(&self) -> bool {
        match self {
            Sender::Service(wire, _) => [ONE, TWO, THREE].contains(&wire.host()),
            Sender::User(_) => false,
        }
    }

    async fn send(&self, xml: &str) -> Result<String> {
        match self {
            Sender::Service(wire, _) => wire.send_xml(xml).await,
            Sender::User(client) => client.send_xml(xml).await,
        }
    }

    async fn ask(&self, xml: &str) -> Result<Element> {
        match self {
            Sender::Service(wire, _) => wire.iq_xml(xml).await,
            Sender::User(client) => client.iq_xml(xml).await,
        }
    }

    /// What has come in answer to a stanza by now.
    fn answers_to(&self, id: &str) -> Vec<Element> {
        let is_answer = |s: &Element| s.attr("id") == Some(id) && s.attr("type") == Some("error");
        match self {
            Sender::Service(wire, _) => wire.drain_matching(is_answer),
            Sender::User(client) => client.drain_matching(is_answer),
        }
    }
}

/// The sender of a column, for the table whose stanzas are sent to `to`.
fn sender<'a>(stage: &'a Stage, column: &str, to: &str) -> Result<Sender<'a>> {
    let name = to.split_once('@').map_or("coven", |(name, _)| name);
    let of = |service: &'a stage::Service, address: &str| Sender::Service(&service.wire, address.to_owned());
    Ok(match (column, to) {
        ("the source", HEATH_HERE) => of(&stage.one, HEATH),
        ("the source", CELLAR_HERE) => of(&stage.one, CELLAR),
        ("its shadow", SOURCE) => of(&stage.one, AT_ONE),
        ("its shadow", ATTIC) => of(&stage.one, ATTIC_AT_ONE),
        ("another shadow", HEATH_HERE) => of(&stage.two, HEATH_AT_TWO),
        ("a shadow of another room", SOURCE) => of(&stage.two, HEATH_AT_TWO),
        ("a shadow of another room", HEATH_HERE) => of(&stage.one, AT_ONE),
        ("a room of a peer", CHAT) => of(&stage.one, AT_ONE),
        ("the source's service", CHAT) | ("a peer's service", _) => of(&stage.one, ONE),
        ("another shadow's service", CHAT) => of(&stage.two, TWO),
        ("a peer without the room", CHAT) => of(&stage.three, THREE),
        ("a peer without the room", _) => of(&stage.three, &format!("{name}@{THREE}")),
        ("a session there", HEATH_HERE) => of(&stage.one, &format!("{HEATH}/doctor")),
        ("a session there", _) => of(&stage.one, &format!("{AT_ONE}/doctor")),
        ("a service that is no peer", CHAT) => of(&stage.stranger, STRANGER),
        ("a service that is no peer", _) => of(&stage.stranger, &format!("{name}@{STRANGER}")),
        ("another server", _) => of(&stage.other, OTHER),
        ("a user here", _) => Sender::User(&stage.beldam),
        ("a user elsewhere", _) => Sender::User(&stage.faust),
        _ => bail!("nobody is {column:?} of {to}"),
    })
}

fn names<'a>(column: &str, to: &'a str) -> Names<'a> {
    match column {
        "another shadow" => Names {
            to,
            actor: "wagner",
            user: "wagner@faustus.lit",
            visitor: "dumb",
        },
        _ => Names {
            to,
            actor: "doctor",
            user: "doctor@marlowe.lit",
            visitor: "mute",
        },
    }
}

/// What has the outcome is over when this returns, and what it did is as it should be.
async fn plays(stage: &Stage, cell: &Cell, to: &str) -> Result<()> {
    let sender = sender(stage, &cell.sender, to)?;
    let names = names(&cell.sender, to);
    let mark = stage.fed[0].log().mark();
    let outcome = &*cell.outcome;
    if let Some(xml) = event(&cell.stanza, sender.address(), sender.form(), &names) {
        let id = sender.send(&xml).await?;
        stage.settles().await?;
        let answers = sender.answers_to(&id);
        let shown: Vec<String> = answers.iter().map(to_string).collect();
        match (outcome, answers.first()) {
            ("taken", None) => return is_taken(stage, cell, &names).await,
            ("ignored" | "as a user's", None) => return Ok(()),
            (condition, Some(answer)) if verdict(answer) == condition && answers.len() == 1 => {}
            _ => bail!("answered: {}", shown.join("\n")),
        }
        return match sender.is_peer() && sender.form() == Form::Room && to != CHAT {
            true => is_logged(stage, mark, &sender, outcome).await,
            false => Ok(()),
        };
    }
    let (kind, payload) = iq(&cell.stanza, &names)?;
    let from = match &sender {
        Sender::Service(_, address) => format!("from='{address}'"),
        Sender::User(_) => String::new(),
    };
    if matches!(kind, "result" | "error") {
        let id = "dmuc-00000000-0000-4000-8000-000000000000";
        sender
            .send(&format!(
                "<iq {from} to='{to}' id='{id}' type='{kind}'>{payload}</iq>"
            ))
            .await?;
        stage.settles().await?;
        ensure!(
            outcome == "ignored" && sender.answers_to(id).is_empty(),
            "it was answered"
        );
        return Ok(());
    }
    let answer = sender
        .ask(&format!("<iq {from} to='{to}' type='{kind}'>{payload}</iq>"))
        .await?;
    ensure!(answer.attr("from") == Some(to), "{}", to_string(&answer));
    match outcome {
        "done" => ensure!(
            verdict(&answer) == "result" && answer.children().next().is_none(),
            "{}",
            to_string(&answer)
        ),
        "answered" => ensure!(
            verdict(&answer) == "result" && answer.children().next().is_some(),
            "{}",
            to_string(&answer)
        ),
        condition => {
            ensure!(verdict(&answer) == condition, "{}", to_string(&answer));
            is_logged(stage, mark, &sender, condition).await?;
        }
    }
    Ok(())
}

/// Who was refused what is in the log, for an administrator to see if it is a peer.
async fn is_logged(stage: &Stage, mark: usize, sender: &Sender<'_>, condition: &str) -> Result<()> {
    // The first of its kind; what follows is counted, and said again at level debug.
    let level = if sender.is_peer() { "warn" } else { "info" };
    let host = sender.address().split('/').next().unwrap_or_default();
    let host = host.split_once('@').map_or(host, |(_, host)| host);
    let refused = format!("dmuc\\s+({level}|debug)\tRefused .* from .*{host}.*: {condition} ");
    let log = stage.fed[0].log();
    log.wait_since(mark, &refused, dmuc_testbed::deadline())
        .await
        .map(|_| ())
}

/// People here see what an instance says of its occupants, and of the room.
async fn is_taken(stage: &Stage, cell: &Cell, names: &Names<'_>) -> Result<()> {
    let to = names.to;
    let seen = match &*cell.stanza {
        "presence occupant, new" => {
            let ghost = from(to, &ghost(names.actor));
            stage.crone.expect("the ghost", ghost).await?
        }
        "message moderate" => {
            let is_it = |s: &Element| s.attr("from") == Some(to) && to_string(s).contains("message-moderate");
            stage.crone.expect("the moderation", is_it).await?
        }
        _ => stage.crone.expect("it", from(to, names.actor)).await?,
    };
    let text = to_string(&seen);
    ensure!(
        !text.contains("urn:x-dmuc:0") && !text.contains("urn:xmpp:dmuc:0"),
        "{text}"
    );
    stage.settles().await
}

/// What changes something comes after everything else: users first, and what ends a room last.
fn order(cell: &Cell) -> usize {
    match &*cell.stanza {
        _ if cell.outcome == "as a user's" => 0,
        "presence occupant, leaving" => 2,
        "set close" | "set destroy" | "set leave" | "set act destroy" => 3,
        _ => 1,
    }
}

/// Where a room may be ended: one of the two ends of each table is told to a spare one.
fn place<'a>(stanza: &str, to: &'a str) -> &'a str {
    match (stanza, to) {
        ("set act destroy", SOURCE) => ATTIC,
        ("set destroy", HEATH_HERE) => CELLAR_HERE,
        _ => to,
    }
}

fn changes_something(cell: &Cell) -> bool {
    matches!(&*cell.outcome, "done" | "taken" | "as a user's")
}

/// What a user does counts as that user's own: the doctor is where and what it was.
async fn speaks_for_itself(stage: &Stage, cell: &Cell, to: &str) -> Result<()> {
    let there = nicks(&stage.fed, 0, to).await?;
    ensure!(there.iter().any(|nick| nick == "doctor"), "{there:?}");
    for seen in stage.crone.drain() {
        let text = to_string(&seen);
        ensure!(
            !text.contains("urn:x-dmuc:0") && !text.contains("urn:xmpp:dmuc:0"),
            "{text}"
        );
    }
    let (client, nick) = match &*cell.sender {
        "a user here" => (&stage.beldam, "beldam"),
        _ => (&stage.faust, "faust"),
    };
    if cell.stanza.ends_with("leaving") {
        client.join(to, nick).await?;
    } else if cell.stanza.ends_with("new") {
        client.change_nick(to, nick).await?;
    }
    Ok(())
}

async fn every_stanza_of_every_sender_has_its_outcome(version: Version, storage: Storage) -> Result<()> {
    let stage = Stage::set("authority", version, storage).await?;
    let before = stage.state().await?;
    let (mut later, mut wrong) = (Vec::new(), Vec::new());
    for (heading, to) in TABLES {
        for cells in table(heading)? {
            let what = format!("{heading}: {}", cells[0].stanza);
            for cell in cells.into_iter().filter(|cell| cell.outcome != "—") {
                if changes_something(&cell) {
                    later.push((heading, to, cell));
                    continue;
                }
                let case = format!(
                    "{heading}: {} from {}: {}",
                    cell.stanza, cell.sender, cell.outcome
                );
                let played = row(&case, plays(&stage, &cell, to).await);
                wrong.extend(played.err().map(|error| format!("{error:#}")));
            }
            row(&what, stage.is_unmoved(&before).await)?;
        }
    }
    // What was refused has said nothing to the log (what is taken goes on to people by name).
    let told = stage.fed[0].log_lines_matching(SECRET)?;
    ensure!(told.is_empty(), "logged: {}", told.join("\n"));
    later.sort_by_key(|(_, _, cell)| order(cell));
    for (heading, to, cell) in later {
        let to = place(&cell.stanza, to);
        let case = format!(
            "{heading}: {} from {}: {}",
            cell.stanza, cell.sender, cell.outcome
        );
        stage.crone.drain();
        let mut played = plays(&stage, &cell, to).await;
        if played.is_ok() && cell.outcome == "as a user's" {
            played = speaks_for_itself(&stage, &cell, to).await;
        }
        wrong.extend(row(&case, played).err().map(|error| format!("{error:#}")));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.fed.finish().await
}

/// What clients ask of a room is for none of the instances.
async fn what_clients_ask_instances_do_not(version: Version, storage: Storage) -> Result<()> {
    let stage = Stage::set("authority-plain", version, storage).await?;
    let before = stage.state().await?;
    let rows = table("What clients ask")?;
    let asked = asked_by_clients();
    for cells in rows {
        let stanza = cells[0].stanza.clone();
        let mut of_kind = asked.iter().filter(|(_, kind, payload)| {
            let namespace = stanza.split_once(' ').map(|(_, namespace)| namespace);
            stanza.starts_with(kind) && namespace.is_some_and(|ns| payload.contains(&format!("xmlns='{ns}'")))
        });
        let first = of_kind.next().with_context(|| format!("nobody asks {stanza}"))?;
        for (what, kind, payload) in [first].into_iter().chain(of_kind) {
            for cell in &cells {
                for to in [SOURCE, HEATH_HERE] {
                    let (instance, wire) = match to {
                        SOURCE => (AT_ONE, &stage.one.wire),
                        _ => (HEATH, &stage.one.wire),
                    };
                    let from = match &*cell.sender {
                        "an instance" => instance.to_owned(),
                        "its occupant" => format!("{instance}/doctor"),
                        "a session of nobody" => format!("{instance}/nobody"),
                        other => bail!("nobody is {other}"),
                    };
                    let xml = format!("<iq from='{from}' to='{to}' type='{kind}'>{payload}</iq>");
                    let answer = wire.iq_xml(&xml).await?;
                    ensure!(
                        verdict(&answer) == cell.outcome,
                        "{what} from {from} to {to}: {}",
                        to_string(&answer)
                    );
                }
            }
        }
        row(&stanza, stage.is_unmoved(&before).await)?;
    }
    for (what, kind, payload) in &asked {
        let is_in = |cells: &Vec<Cell>| {
            let (of, namespace) = cells[0].stanza.split_once(' ').unwrap_or_default();
            of == *kind && payload.contains(&format!("xmlns='{namespace}'"))
        };
        ensure!(table("What clients ask")?.iter().any(is_in), "no row for {what}");
    }
    stage.fed.finish().await
}

on_every_version!(
    every_stanza_of_every_sender_has_its_outcome,
    what_clients_ask_instances_do_not,
);

//! G6: at rest, all instances of a room hold the same messages in the same order, the same roster, settings, subject
//! and affiliations.

use std::collections::{BTreeMap, BTreeSet};

use dmuc::address::BareJid;

use crate::support::event::SeenMessage;

/// One instance of a room, as its people and its archive have it.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub instance: String,
    /// It speaks the XEP's text only: it has a roster of nicks, and its messages have no place in the order.
    pub is_xep: bool,
    pub history: Vec<SeenMessage>,
    /// Stanza-ids in the order of arrival.
    pub archive: Vec<String>,
    /// By nick: homes with affiliation, role, occupant-id and presence.
    pub roster: BTreeMap<String, String>,
    pub settings: String,
    pub affiliations: BTreeMap<BareJid, String>,
    /// Where engine and room differ.
    pub disagreements: Vec<String>,
}

/// Compares every instance with the first, the source.
///
/// What somebody said whose rights were just taken away may have been refused by some: `refused` holds such stanzas.
pub fn compare(views: &[View], refused: &[String]) -> Result<(), String> {
    let Some((source, others)) = views.split_first() else {
        return Ok(());
    };
    // What such a service says has no place in the order, and who was not known to it yet has missed it.
    let xep: Vec<String> = views
        .iter()
        .filter(|view| view.is_xep)
        .map(|view| format!("{}#", view.instance))
        .collect();
    for view in views {
        is_whole(view)?;
    }
    for view in others {
        let differs = |what: &str, here: String, there: String| {
            let (a, b) = (&source.instance, &view.instance);
            Err(format!("G6: {what} differs\n  at {a}: {here}\n  at {b}: {there}"))
        };
        if view.is_xep {
            let (here, there): (Vec<_>, Vec<_>) =
                (source.roster.keys().collect(), view.roster.keys().collect());
            if here != there {
                return differs("who is there", format!("{here:?}"), format!("{there:?}"));
            }
            continue;
        }
        for (nick, here) in &source.roster {
            let there = view.roster.get(nick);
            if there != Some(here) {
                return differs(&format!("occupant {nick}"), here.clone(), format!("{there:?}"));
            }
        }
        if let Some((nick, there)) = view
            .roster
            .iter()
            .find(|(nick, _)| !source.roster.contains_key(*nick))
        {
            return differs(&format!("occupant {nick}"), "not there".to_owned(), there.clone());
        }
        if source.settings != view.settings {
            return differs(
                "the configuration",
                source.settings.clone(),
                view.settings.clone(),
            );
        }
        if source.affiliations != view.affiliations {
            return differs(
                "the list",
                format!("{:?}", source.affiliations),
                format!("{:?}", view.affiliations),
            );
        }
        let in_order = |view: &View| {
            let ours = view
                .history
                .iter()
                .filter(|message| !xep.iter().any(|name| message.payload.contains(name)))
                .filter(|message| !refused.iter().any(|stanza| stanza.contains(&message.payload)));
            ours.map(|message| format!("{message:?}"))
                .collect::<Vec<String>>()
        };
        let (here, there) = (in_order(source), in_order(view));
        if here != there {
            let at = here
                .iter()
                .zip(&there)
                .position(|(a, b)| a != b)
                .unwrap_or(here.len().min(there.len()));
            let (a, b) = (format!("{:?}", here.get(at)), format!("{:?}", there.get(at)));
            let (many, few) = (here.len(), there.len());
            return differs(&format!("message {at} of the history ({many} and {few})"), a, b);
        }
    }
    Ok(())
}

/// One instance agrees with itself: what the archive holds is what the log holds, once.
fn is_whole(view: &View) -> Result<(), String> {
    let instance = &view.instance;
    if let Some(what) = view.disagreements.first() {
        return Err(format!("G6: at {instance}, {what}"));
    }
    if view.is_xep {
        return Ok(());
    }
    let archived: BTreeSet<&String> = view.archive.iter().collect();
    if archived.len() != view.archive.len() {
        return Err(format!(
            "G4: the archive of {instance} holds a message twice: {:?}",
            view.archive
        ));
    }
    let logged: BTreeSet<&String> = view
        .history
        .iter()
        .filter_map(|message| message.stanza_id.as_ref())
        .collect();
    if archived != logged {
        let odd: Vec<_> = archived.symmetric_difference(&logged).collect();
        return Err(format!("G6: archive and log of {instance} differ in {odd:?}"));
    }
    Ok(())
}

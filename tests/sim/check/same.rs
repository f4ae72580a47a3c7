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
    /// By nick: homes with affiliation, role, occupant-id and presence, as text.
    pub roster: BTreeMap<String, BTreeMap<BareJid, String>>,
    /// Who is here, by real JID, and under which nick.
    pub present: Vec<(BareJid, String)>,
    /// How many messages the log may hold, if that is few.
    pub max_messages: Option<usize>,
    /// How many entries the stored log has.
    pub stored: usize,
    /// What it has under each stanza-id, in the log, the archive and the stored log.
    pub texts: Vec<(String, String)>,
    /// Who has registered which nick.
    pub registered: Vec<(BareJid, String)>,
    pub settings: String,
    pub affiliations: BTreeMap<BareJid, String>,
    /// Occupants of services that speak the XEP's text only, by nick and home, which came before their own
    /// service knew of this instance, and something was wrong with its links: nobody tells of them again.
    pub untold: BTreeSet<(String, BareJid)>,
    /// Nicks that a liar's people have here.
    pub contested: BTreeSet<String>,
    /// Where engine and room differ.
    pub disagreements: Vec<String>,
}

/// Compares every instance with the first, the source.
///
/// What somebody said whose rights were just taken away may have been refused by some: `refused` holds such stanzas.
/// `stranded` are those that nobody may take from those who have them. With `xep_suffers` what those have who speak the XEP's text only is not compared, nor what of theirs ours have.
pub fn compare(
    views: &[View],
    refused: &[String],
    stranded: &BTreeSet<String>,
    xep_suffers: bool,
) -> Result<(), String> {
    // What such a service says has no place in the order, and who was not known to it yet has missed it.
    let xep: Vec<String> = views
        .iter()
        .filter(|view| view.is_xep)
        .map(|view| format!("{}#", view.instance))
        .collect();
    let mut views = views.to_vec();
    if xep_suffers {
        forget_xep(&mut views);
    }
    let Some((source, others)) = views.split_first() else {
        return Ok(());
    };
    for view in &views {
        is_whole(view)?;
        is_without_outcasts(source, view)?;
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
            let is_untold = |home: &BareJid| view.untold.contains(&(nick.clone(), home.clone()));
            let has = |home: &BareJid| there.is_some_and(|there| there.contains_key(home));
            let mut due = here.clone();
            due.retain(|home, _| has(home) || !is_untold(home));
            let agrees = there.map_or(due.is_empty(), |there| *there == due);
            if !agrees {
                return differs(
                    &format!("occupant {nick}"),
                    format!("{here:?}"),
                    format!("{there:?}"),
                );
            }
        }
        if let Some((nick, there)) = view
            .roster
            .iter()
            .find(|(nick, _)| !source.roster.contains_key(*nick))
        {
            return differs(
                &format!("occupant {nick}"),
                "not there".to_owned(),
                format!("{there:?}"),
            );
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
                .filter(|message| !stranded.contains(&message.payload))
                .filter(|message| {
                    let is_in = |stanza: &String| stanza.contains(&message.payload);
                    message.payload.is_empty() || !refused.iter().any(is_in)
                });
            ours.map(|message| format!("{message:?}"))
                .collect::<Vec<String>>()
        };
        let (mut here, mut there) = (in_order(source), in_order(view));
        if let Some(most) = source.max_messages {
            // What is older is kept or not.
            let common = here.len().min(there.len()).min(most / 2);
            here.drain(..here.len() - common);
            there.drain(..there.len() - common);
        }
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
    if let Some(most) = view.max_messages {
        if view.history.len() > most {
            let held = view.history.len();
            return Err(format!(
                "G13: {instance} holds {held} messages, {most} are allowed"
            ));
        }
        if view.stored > 4 * most + 100 {
            let stored = view.stored;
            return Err(format!(
                "G13: {instance} stores {stored} messages, {most} are kept"
            ));
        }
        if logged.is_subset(&archived) {
            return Ok(());
        }
    }
    if archived != logged {
        let odd: Vec<_> = archived.symmetric_difference(&logged).collect();
        return Err(format!("G6: archive and log of {instance} differ in {odd:?}"));
    }
    Ok(())
}

/// G9: whoever is banned is nowhere, and the source's list rules.
fn is_without_outcasts(source: &View, view: &View) -> Result<(), String> {
    let is_out = |user: &BareJid| {
        let entry = source.affiliations.get(user);
        entry.is_some_and(|entry| entry.contains("Outcast"))
    };
    match view.present.iter().find(|(user, _)| is_out(user)) {
        Some((user, nick)) => Err(format!("G9: {user} is banned and in {} as {nick}", view.instance)),
        None => Ok(()),
    }
}

/// Leaves out those who speak the XEP's text only, and who has a nick that one of theirs has or had.
fn forget_xep(views: &mut Vec<View>) {
    let xep: BTreeSet<String> = views
        .iter()
        .filter(|view| view.is_xep)
        .map(|view| view.instance.clone())
        .collect();
    let mut nicks: BTreeSet<String> = BTreeSet::new();
    for view in views.iter() {
        let theirs = |(_, homes): &(&String, &BTreeMap<BareJid, String>)| {
            homes.keys().any(|home| xep.contains(home.as_str()))
        };
        nicks.extend(view.roster.iter().filter(theirs).map(|(nick, _)| nick.clone()));
    }
    views.retain(|view| !view.is_xep);
    for view in views {
        view.roster.retain(|nick, _| !nicks.contains(nick));
    }
}

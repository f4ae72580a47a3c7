//! What a host tells people and administrators, in words: the same whatever the host is made of.

mod link;

use crate::address::BareJid;
use crate::engine::{Cause, Engine, Notice, ParkedFor, ParkedRoom};
use crate::wire::StanzaError;

pub use link::{Findings, of_link};

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For who looks for a fault.
    Debug,
    /// Something happened, and nothing is to be done.
    Info,
    /// An administrator may have to do something.
    Warn,
}

impl Level {
    /// Its name, as Prosody has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
        }
    }
}

/// A [`Notice`] in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Of the log.
    pub level: Level,
    /// The line of the log, after the JID of the room it is about.
    pub text: String,
    /// What happens to many rooms at once is one line.
    pub many: Option<Many>,
    /// What the owners who are in the room read, from the room.
    pub owners: Option<String>,
    /// What everybody in the room reads, from the room; in no history and no archive.
    pub everybody: Option<String>,
}

/// How several lines become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many {
    /// The same for all that belong together.
    pub key: String,
    /// The line for all of them: `{rooms}` stands for their number, `{sum}` for the sum of `number`.
    pub text: String,
    /// What is summed up: occupants or messages.
    pub number: u64,
}

/// What a notice about `room` says.
#[allow(clippy::too_many_lines)] // a table: what each notice is in words
pub fn of_notice(engine: &Engine, room: &BareJid, peer: &BareJid, notice: &Notice) -> Line {
    let is_source = engine.room_info(room).is_some_and(|info| info.is_source);
    let config = engine.config();
    match notice {
        Notice::Replicated { shadow } => {
            let line = of_instance(
                format!("replicated {peer}"),
                format!("{peer} has an instance of this room now: {shadow}"),
                format!("{peer} has instances of {{rooms}} rooms now"),
            );
            Line {
                level: Level::Info,
                owners: None,
                ..line
            }
        }
        Notice::Unsupported => {
            let what = format!("{peer} does not support distributed rooms (XEP-0281)");
            of_instance(
                format!("unsupported {peer}"),
                format!("{what}; this room has no instance there"),
                format!("{what}; {{rooms}} rooms have no instance there"),
            )
        }
        Notice::Refused(error) => {
            let why = reason(error);
            of_instance(
                // Not what it says, which may be another each time.
                format!("refused {peer} {}", error.condition.as_str()),
                format!("{peer} refused an instance of this room: {why}"),
                format!("{peer} refused instances of {{rooms}} rooms: {why}"),
            )
        }
        Notice::Unreachable { cause } => {
            let what = format!("{peer} cannot be reached; it is tried again until it answers");
            let many = format!("{what}: {{rooms}} rooms have no instance there yet");
            of_instance(
                format!("unreachable {peer} {}", cause.as_str()),
                with_cause(what, *cause),
                with_cause(many, *cause),
            )
        }
        Notice::TooManyPeerhosts => of_instance(
            format!("too_many_peerhosts {peer}"),
            format!("{peer} gets no instance of this room: it has as many as it may"),
            format!("{peer} gets no instance of {{rooms}} rooms: they have as many as they may"),
        ),
        Notice::Gap { messages } => {
            let what = format!("{peer} has forgotten messages that were said there meanwhile");
            let line = of_instance(
                format!("gap {peer}"),
                format!("{what}: {messages} of them are not known here"),
                format!("{what}, in {{rooms}} rooms: {{sum}} of them are not known here"),
            );
            summing(line, *messages)
        }
        Notice::SetAside { id } => {
            let what =
                format!("does not get through from {peer}, which ends every connection that it is sent over");
            of_instance(
                format!("set_aside {peer}"),
                format!(
                    "a message {what}: {} is not known here, everything else is",
                    one_line(id)
                ),
                format!("a message {what}, in {{rooms}} rooms: everything else is known here"),
            )
        }
        Notice::Differs { origin } => {
            let what = format!("{peer} and this service were told different words under one number");
            of_instance(
                format!("differs {peer}"),
                format!("{what} by {origin}; those of the room's source count"),
                format!("{what} in {{rooms}} rooms; those of the rooms' sources count"),
            )
        }
        Notice::NotNamed => {
            let what = format!("{peer} is not among the services any more that");
            let line = of_instance(
                format!("not_named {peer}"),
                format!("{what} this room is shared with: its people have left"),
                format!("{what} {{rooms}} rooms are shared with: its people have left"),
            );
            Line {
                level: Level::Debug,
                ..line
            }
        }
        Notice::SplitBegan { occupants, cause } => {
            let line = of_split_begun(peer, *occupants, *cause);
            told_if(config.split_notice, line)
        }
        Notice::SplitEnded => {
            let line = Line {
                level: Level::Info,
                owners: None,
                everybody: Some(format!("The connection to {peer} is back.")),
                ..of_instance(
                    format!("split_ended {peer}"),
                    format!("the link to {peer} is up again"),
                    format!("The link to {peer} is up again, for {{rooms}} rooms"),
                )
            };
            told_if(config.split_notice, line)
        }
        Notice::Unfit { what } => of_unfit(&config.service, is_source, peer, &one_line(what)),
        Notice::ClockDiffers { ahead_ms } => {
            let (name, word) = match *ahead_ms > 0 {
                true => ("clock_ahead", "ahead of"),
                false => ("clock_behind", "behind"),
            };
            let by = minutes(ahead_ms.unsigned_abs());
            let text = format!(
                "the clock of {peer} is {by} {word} the one here: until one of them is set right (NTP), times shown here, and \
                 the order of what is said while the link is down, are wrong"
            );
            of_unlike(name, peer, text)
        }
        Notice::TakesLess { theirs, ours } => {
            let text = format!(
                "messages of more than {theirs} bytes do not arrive at {peer}, and this service takes up to {ours}: set \
                 dmuc_max_stanza_size alike at both"
            );
            of_unlike("takes_less", peer, text)
        }
    }
}

/// What becomes of the instance at one peer: for administrators and owners, one line for however many rooms.
fn of_instance(key: String, text: String, many: String) -> Line {
    Line {
        level: Level::Warn,
        owners: Some(text.clone()),
        text,
        many: Some(Many {
            key,
            text: many,
            number: 0,
        }),
        everybody: None,
    }
}

fn summing(line: Line, number: u64) -> Line {
    let many = line.many.map(|many| Many { number, ..many });
    Line { many, ..line }
}

/// The people in a room read of a split at both ends, unless `dmuc_split_notice` is off.
fn told_if(is_told: bool, line: Line) -> Line {
    Line {
        everybody: line.everybody.filter(|_| is_told),
        ..line
    }
}

fn of_split_begun(peer: &BareJid, occupants: usize, cause: Cause) -> Line {
    let who = match occupants {
        1 => "one occupant".to_owned(),
        _ => format!("{occupants} occupants"),
    };
    let why = of_cause(cause).map(|why| format!("{why}; ")).unwrap_or_default();
    let many =
        format!("The link to {peer} is down: {{rooms}} rooms, and {{sum}} occupants there, are out of reach");
    let line = of_instance(
        format!("split_began {peer}"),
        with_cause(format!("the link to {peer} is down"), cause),
        with_cause(many, cause),
    );
    let everybody = format!(
        "The connection to {peer} is interrupted: {why}{who} there cannot be reached until it is back."
    );
    Line {
        owners: None,
        everybody: Some(everybody),
        ..summing(line, occupants as u64)
    }
}

/// What two services should have alike and have not.
fn of_unlike(name: &str, peer: &BareJid, text: String) -> Line {
    let sentence = capitalised(&text);
    Line {
        level: Level::Warn,
        text,
        many: Some(Many {
            key: format!("{name} {peer}"),
            text: format!("{sentence}; this concerns {{rooms}} rooms"),
            number: 0,
        }),
        owners: Some(sentence),
        everybody: None,
    }
}

/// Of what a peer says only administrators can do something about it.
fn of_unfit(service: &BareJid, is_source: bool, peer: &BareJid, what: &str) -> Line {
    let (text, owners) = match peer == service {
        true => {
            let text =
                format!("something of this room cannot be taken as it is, and was cut or left out: {what}");
            let owners = is_source.then(|| format!("Other servers: {text}"));
            (text, owners)
        }
        false => (
            format!("something that {peer} told of this room was left out here: {what}"),
            None,
        ),
    };
    Line {
        level: Level::Warn,
        text,
        many: None,
        owners,
        everybody: None,
    }
}

/// What happens to a room when its source dies, in words.
pub fn of_voters(voters: &[BareJid]) -> String {
    let names: Vec<String> = voters.iter().map(|voter| voter.service().to_string()).collect();
    match names.len() {
        0 | 1 => "If its source dies nobody can follow: no other instance votes (dmuc_voters, or the voters in the room's configuration)".to_owned(),
        2 => format!(
            "If its source dies nobody can follow but by force: only two vote ({})",
            names.join(", ")
        ),
        count => {
            let most = count / 2 + 1;
            format!(
                "If its source dies, any {most} of these {count} decide who follows: {}",
                names.join(", ")
            )
        }
    }
}

/// What is said of a room whose source is another one from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// For the log.
    pub line: String,
    /// For the people in the room.
    pub text: String,
}

/// The source of `room` is `source` from now on, elected in this term.
pub fn of_source(room: &BareJid, source: &BareJid, term: u64) -> Moved {
    let service = source.service();
    if source == room {
        return Moved {
            line: format!("{room} is the source of the room from now on (term {term})"),
            text: "This service decides about the room from now on: its configuration, its list of affiliations, its subject".to_owned(),
        };
    }
    Moved {
        line: format!("{room}: its source is {source} from now on (term {term})"),
        text: format!(
            "{service} decides about the room from now on: its configuration, its list of affiliations, its subject"
        ),
    }
}

/// What a user is told who joins the source and is sent to the shadow at its own server (XEP-0281 section 3.5).
pub fn of_redirect(shadow: &BareJid) -> String {
    format!(
        "This room is at your own server, too, as {shadow}. Join it there: you then stay in it when the link between the \
         servers is down."
    )
}

/// What people in a parked room read, and who wants to do something in it.
pub fn of_parked(parked: &ParkedRoom) -> String {
    closed_for_now(&why_parked(parked))
}

/// Why a room is parked, as a sentence.
pub fn why_parked(parked: &ParkedRoom) -> String {
    let peer = &parked.peer;
    match parked.reason {
        ParkedFor::SourceNotNamed => {
            format!("The settings of this service do not name {peer}, where it comes from.")
        }
        ParkedFor::NotShared => format!("{peer} does not share it with this service at present."),
        ParkedFor::InstanceNotNamed => {
            format!("The settings of this service do not name {peer}, which has an instance of it.")
        }
    }
}

/// The line in a room in which nobody can speak, with a sentence that says why.
pub fn closed_for_now(why: &str) -> String {
    format!(
        "This room is closed for now: nobody can speak here. {why} When that is put right it goes on, and nothing is lost."
    )
}

/// What an administrator reads of parked rooms: one line for each service and reason, however many rooms there are.
pub fn of_all_parked(engine: &Engine) -> Vec<String> {
    let mut groups: Vec<(ParkedRoom, usize)> = Vec::new();
    for parked in engine.parked() {
        let is_same = |(other, _): &&mut (ParkedRoom, usize)| {
            other.reason == parked.reason && other.peer == parked.peer
        };
        match groups.iter_mut().find(is_same) {
            Some((_, rooms)) => *rooms += 1,
            None => groups.push((parked, 1)),
        }
    }
    let service = &engine.config().service;
    groups
        .into_iter()
        .map(|(parked, rooms)| many_parked(service, &parked, rooms))
        .collect()
}

fn many_parked(service: &BareJid, parked: &ParkedRoom, rooms: usize) -> String {
    let peer = &parked.peer;
    let count = |one: &str, several: &str| match rooms {
        1 => format!("A room {one}"),
        _ => format!("{rooms} rooms {several}"),
    };
    match parked.reason {
        ParkedFor::SourceNotNamed => format!(
            "{} parked: the source is at {peer}, which dmuc_peers does not name. Nothing is deleted. Name it and reload \
             mod_dmuc, and they go on; or let them go, or destroy them",
            count("is", "are")
        ),
        ParkedFor::NotShared => format!(
            "{} parked: {peer} does not share rooms with this service. Nothing is deleted. They go on when its dmuc_peers \
             names {service}",
            count("is", "are")
        ),
        ParkedFor::InstanceNotNamed => format!(
            "{} shared with {peer}, which dmuc_peers does not name: its people are left out and can say nothing there. Name \
             it and reload mod_dmuc, and they are back; or let it go",
            count("was", "were")
        ),
    }
}

/// Why a service is out of reach, as a clause; nothing where no more is known than that it is.
pub fn of_cause(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::Silent | Cause::Unreachable => None,
        Cause::Dns => Some("the name of its server cannot be resolved"),
        Cause::ConnectionRefused => Some("its server takes no connections"),
        Cause::Certificate => Some("one server does not accept the certificate of the other"),
        Cause::NoModule => Some("it does not support distributed rooms any more"),
        Cause::NotPeered => Some("it does not share rooms with this service (dmuc_peers there)"),
    }
}

fn with_cause(text: String, cause: Cause) -> String {
    match of_cause(cause) {
        Some(words) => format!("{text} ({words})"),
        None => text,
    }
}

fn reason(error: &StanzaError) -> String {
    let text = error.text.as_deref();
    one_line(text.unwrap_or(error.condition.as_str()))
}

/// The most of a peer's words that a line of ours quotes, characters.
const MOST_QUOTED: usize = 200;

/// A peer's words as part of a line of the log: it ends no line, and fills no page.
fn one_line(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = chars.by_ref().take(MOST_QUOTED).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

fn minutes(ms: u64) -> String {
    match ms.saturating_add(30_000) / 60_000 {
        1 => "a minute".to_owned(),
        n => format!("{n} minutes"),
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::wire::Condition;

    fn jid(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    fn engine(is_told: bool) -> Engine {
        let mut config = Config::new(jid("chat.shakespeare.lit"));
        config.split_notice = is_told;
        Engine::new(config, [7; 32])
    }

    fn line(notice: &Notice) -> Line {
        let (room, peer) = (jid("coven@chat.shakespeare.lit"), jid("rooms.macbeth.lit"));
        of_notice(&engine(true), &room, &peer, notice)
    }

    #[test]
    fn a_cause_that_is_known_is_told_to_everybody() {
        let occupants = 1;
        let silent = line(&Notice::SplitBegan {
            occupants,
            cause: Cause::Silent,
        });
        assert_eq!(silent.text, "the link to rooms.macbeth.lit is down");
        assert_eq!(
            silent.everybody.as_deref(),
            Some(
                "The connection to rooms.macbeth.lit is interrupted: one occupant there cannot be reached until it is back."
            )
        );
        let refused = line(&Notice::SplitBegan {
            occupants: 2,
            cause: Cause::ConnectionRefused,
        });
        let many = refused.many.unwrap();
        assert_eq!(many.number, 2);
        for text in [&refused.text, &many.text] {
            assert!(text.ends_with(" (its server takes no connections)"), "{text}");
        }
        assert!(refused.everybody.unwrap().contains(
            "interrupted: its server takes no connections; 2 occupants there cannot be reached until it is back."
        ));
    }

    #[test]
    fn the_words_of_a_peer_stay_in_one_line_of_their_own_length() {
        let forged = format!("no\n2026-11-30 mod_dmuc error All is lost{}", "!".repeat(4_000));
        let lines = ["no", forged.as_str()].map(|text| {
            let error = StanzaError {
                text: Some(text.to_owned()),
                ..StanzaError::new(Condition::NotAllowed)
            };
            line(&Notice::Refused(error))
        });
        let many = lines.each_ref().map(|line| line.many.clone().unwrap());
        assert_eq!(many[0].key, many[1].key, "whatever it says, it is one matter");
        for text in [&lines[1].text, &many[1].text] {
            assert!(
                !text.contains(char::is_control) && text.chars().count() < 300,
                "{text}"
            );
        }
    }

    #[test]
    fn a_split_is_told_to_nobody_in_the_room_if_that_is_off() {
        let (room, peer) = (jid("coven@chat.shakespeare.lit"), jid("rooms.macbeth.lit"));
        let silent = of_notice(&engine(false), &room, &peer, &Notice::SplitEnded);
        assert_eq!((silent.everybody, silent.owners), (None, None));
        assert_eq!(silent.text, "the link to rooms.macbeth.lit is up again");
    }

    #[test]
    fn owners_read_what_they_or_an_administrator_can_do_something_about() {
        let refused = |condition, text: Option<&str>| {
            Notice::Refused(StanzaError {
                text: text.map(str::to_owned),
                ..StanzaError::new(condition)
            })
        };
        for (notice, is_told) in [
            (
                Notice::Replicated {
                    shadow: jid("coven@rooms.macbeth.lit"),
                },
                false,
            ),
            (Notice::Unsupported, true),
            (refused(Condition::Forbidden, None), true),
            (Notice::Gap { messages: 3 }, true),
            (
                Notice::SetAside {
                    id: "22cf".to_owned(),
                },
                true,
            ),
            (Notice::NotNamed, true),
            (Notice::TooManyPeerhosts, true),
        ] {
            let line = line(&notice);
            assert_eq!(line.owners.is_some(), is_told, "{notice:?}");
            assert_eq!(line.everybody, None);
        }
        // What is refused on another condition is another line.
        let (a, b) = (
            refused(Condition::Conflict, None),
            refused(Condition::Forbidden, Some("full")),
        );
        assert_ne!(line(&a).many.unwrap().key, line(&b).many.unwrap().key);
        assert!(line(&a).text.ends_with(": conflict"));
        assert!(line(&b).text.ends_with(": full"));
    }

    #[test]
    fn a_clock_is_told_in_whole_minutes() {
        for (ahead_ms, words) in [
            (61_000, "a minute ahead of"),
            (-90_000, "2 minutes behind"),
            (3_600_000, "60 minutes ahead of"),
        ] {
            let line = line(&Notice::ClockDiffers { ahead_ms });
            assert!(
                line.text
                    .starts_with(&format!("the clock of rooms.macbeth.lit is {words} the one here")),
                "{}",
                line.text
            );
            assert!(line.owners.unwrap().starts_with("The clock"));
        }
    }

    #[test]
    fn what_does_not_fit_is_told_to_owners_at_its_source_only() {
        let (ours, theirs) = (jid("chat.shakespeare.lit"), jid("rooms.macbeth.lit"));
        let owners = |is_source, peer| of_unfit(&ours, is_source, peer, "a hat").owners;
        assert!(
            owners(true, &ours)
                .unwrap()
                .starts_with("Other servers: something")
        );
        assert_eq!(owners(false, &ours), None);
        assert_eq!(owners(true, &theirs), None);
    }

    #[test]
    fn parked_rooms_are_counted() {
        let parked = ParkedRoom {
            room: jid("coven@chat.shakespeare.lit"),
            peer: jid("rooms.macbeth.lit"),
            source: None,
            reason: ParkedFor::SourceNotNamed,
        };
        let service = jid("chat.shakespeare.lit");
        assert!(
            many_parked(&service, &parked, 1)
                .starts_with("A room is parked: the source is at rooms.macbeth.lit,")
        );
        assert!(many_parked(&service, &parked, 3).starts_with("3 rooms are parked: "));
        assert!(
            of_parked(&parked)
                .starts_with("This room is closed for now: nobody can speak here. The settings")
        );
    }
}

//! Who takes part, and what they say.

/// One of the three servers, by index: shakespeare.lit, macbeth.lit, marlowe.lit.
pub type Side = usize;

/// Somebody with an account.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub user: &'static str,
    pub resource: &'static str,
    pub side: Side,
    pub nick: &'static str,
}

const fn person(user: &'static str, resource: &'static str, side: Side, nick: &'static str) -> Person {
    Person {
        user,
        resource,
        side,
        nick,
    }
}

/// Creates the room.
pub const CREATOR: Person = person("crone1", "desktop", 0, "firstcrone");

/// Come before the talk, in this order, each to their own instance.
pub const COMPANY: [Person; 7] = [
    person("wiccarocks", "laptop", 0, "secondcrone"),
    person("hag66", "pda", 0, "thirdcrone"),
    person("banquo", "horse", 1, "banquo"),
    person("thane", "castle", 1, "macbeth"),
    person("faust", "study", 2, "faust"),
    person("mephisto", "pit", 2, "mephisto"),
    person("helen", "ship", 2, "helen"),
];

/// Knows only the address of the source.
pub const STRAY: Person = person("somewitch", "mobile", 1, "firstwitch");

/// Comes when most has been said.
pub const LATECOMER: Person = person("macduff", "fife", 1, "macduff");

/// Leave in the end, one on each side.
pub const LEAVERS: [&str; 3] = ["thirdcrone", "firstwitch", "helen"];

/// What is said, and by which nick.
#[derive(Debug, Clone, Copy)]
pub enum Line {
    Says(&'static str, &'static str),
    /// Replaces what the same person said last (XEP-0308).
    Corrects(&'static str, &'static str),
    /// A reaction (XEP-0444) to what was said before it, and how it is told.
    Reacts(&'static str, &'static str, &'static str),
}

/// Three messages from each side.
pub const TALK: [Line; 9] = [
    Line::Says(
        "firstcrone",
        "When shall we three meet again? In thunder, lightning, or in rain?",
    ),
    Line::Says(
        "firstwitch",
        "When the hurlyburly's done, when the battle's lost and won.",
    ),
    Line::Says("faust", "That will be ere the set of moon."),
    Line::Corrects("faust", "That will be ere the set of sun."),
    Line::Says("secondcrone", "Where the place?"),
    Line::Says("banquo", "Upon the heath."),
    Line::Says("mephisto", "There to meet with Macbeth."),
    Line::Reacts("macbeth", "\u{1f44d}", "thumbs up"),
    Line::Says("thirdcrone", "Fair is foul, and foul is fair."),
];

/// A private message across two shadows: from, to, text.
pub const WHISPER: (&str, &str, &str) = ("firstwitch", "faust", "A drum, a drum! Macbeth doth come.");

/// What two sides say that cannot hear each other, and what those who hear both say: by which nick.
pub type Speech = (&'static str, &'static str);

/// Said into a link that is broken already, before anybody has noticed.
pub const UNNOTICED: [Speech; 2] = [
    ("firstcrone", "I come, Graymalkin!"),
    (
        "banquo",
        "What are these, so withered and so wild in their attire?",
    ),
];

/// Said while the sides know that they do not hear each other.
pub const APART: [Speech; 5] = [
    ("thirdcrone", "Paddock calls."),
    ("macbeth", "Speak, if you can: what are you?"),
    ("faust", "I hear you both, and you do not answer each other."),
    ("firstwitch", "All hail, Macbeth, that shalt be king hereafter!"),
    ("firstcrone", "Round about the cauldron go."),
];

/// The owner at a shadow, and the subject it sets while the source is out of reach.
pub const SUBJECT: Speech = ("macbeth", "So foul and fair a day");

/// A private message over the broken link: from, to, text.
pub const LOST_WHISPER: (&str, &str, &str) = ("firstwitch", "firstcrone", "Where hast thou been, sister?");

/// Come during the split, one on each side of it.
pub const COME_APART: [Person; 2] = [
    person("hecate", "moon", 0, "hecate"),
    person("ross", "fife", 1, "ross"),
];

/// Leave during the split, one on each side of it.
pub const LEAVE_APART: [&str; 2] = ["secondcrone", "banquo"];

/// Come when all is one again, and compare what they are given to read.
pub const READERS: [Person; 2] = [
    person("apparition", "smoke", 0, "apparition"),
    person("lennox", "fife", 1, "lennox"),
];

/// What the room is called under its next source, and what is said there by the owner, and by who made the room when its server is
/// back.
pub const AFTERWARDS: (&str, &str, &str) = (
    "A Camp near Forres",
    "Who can impress the forest, bid the tree unfix his earthbound root?",
    "Let us meet him, and sit upon his royal couch.",
);

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

//! What somebody saw, and whether it is as it must be. Nothing here knows where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A message as one person got it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The nick it is from.
    pub nick: String,
    /// Its text.
    pub body: String,
    /// The stanza-id by the room, or the id in the archive.
    pub id: String,
    /// The message id its sender gave it.
    pub message_id: String,
    /// The time of the room's `<delay/>`.
    pub delay: Option<String>,
}

impl Line {
    /// What is the same at every instance, live and in the archive.
    fn essence(&self) -> (&str, &str, &str, &str) {
        (&self.id, &self.body, &self.message_id, &self.nick)
    }
}

/// What one person saw live and has in the archive of their own instance, since the same moment.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Whose it is.
    pub whose: String,
    /// What was seen in earlier sessions, ended by the server's death.
    pub earlier: Vec<Line>,
    /// The history on joining.
    pub history: Vec<Line>,
    /// What arrived live, in order.
    pub live: Vec<Line>,
    /// What a client gets that pages with `after`, in order.
    pub archive: Vec<Line>,
    /// Present all the time: then both are the same messages. Otherwise what was seen live is only part.
    pub is_witness: bool,
}

/// What is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No time will heal it.
    Wrong(String),
    /// It may still come.
    Missing(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Wrong(what) => write!(f, "wrong: {what}"),
            Trouble::Missing(what) => write!(f, "missing: {what}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// The text of somebody's n-th message.
pub fn saying(who: &str, n: u32) -> String {
    format!("{who} says {n}")
}

fn said(body: &str) -> Option<(&str, u32)> {
    let (who, n) = body.split_once(" says ")?;
    Some((who, n.parse().ok()?))
}

/// Nothing is there twice: no id, no text, no message id of one sender.
pub fn once(whose: &str, lines: &[Line]) -> Result<(), Trouble> {
    let mut ids = BTreeSet::new();
    let mut bodies = BTreeSet::new();
    for line in lines {
        if !ids.insert(&*line.id) {
            return Err(Trouble::Wrong(format!(
                "{whose} has the id {} twice: {line:?}",
                line.id
            )));
        }
        if !bodies.insert((&*line.body, &*line.message_id)) {
            return Err(Trouble::Wrong(format!(
                "{whose} has {:?} under two ids: {line:?}",
                line.body
            )));
        }
    }
    Ok(())
}

/// Each sender's messages are in the order they were sent.
pub fn in_order(whose: &str, lines: &[Line]) -> Result<(), Trouble> {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for (who, n) in lines.iter().filter_map(|line| said(&line.body)) {
        if let Some(before) = last.insert(who, n)
            && before >= n
        {
            return Err(Trouble::Wrong(format!("{whose} has {who}'s {n} after {before}")));
        }
    }
    Ok(())
}

/// The same messages under the same ids, in whatever order.
pub fn same(a: &str, left: &[Line], b: &str, right: &[Line]) -> Result<(), Trouble> {
    let (left, right): (BTreeSet<_>, BTreeSet<_>) = (
        left.iter().map(Line::essence).collect(),
        right.iter().map(Line::essence).collect(),
    );
    contradiction(a, &left, b, &right)?;
    let only = |x: &BTreeSet<Essence<'_>>, y: &BTreeSet<Essence<'_>>| {
        let only = x.difference(y).map(|(_, body, ..)| format!("{body:?}"));
        only.collect::<Vec<String>>()
    };
    let (only_left, only_right) = (only(&left, &right), only(&right, &left));
    if only_left.is_empty() && only_right.is_empty() {
        return Ok(());
    }
    Err(Trouble::Missing(format!(
        "{} only in {a}: {}; {} only in {b}: {}",
        only_left.len(),
        some(&only_left),
        only_right.len(),
        some(&only_right)
    )))
}

/// Everything of the part is in the whole.
fn within(a: &str, part: &[Line], b: &str, whole: &[Line]) -> Result<(), Trouble> {
    let (part, whole): (BTreeSet<_>, BTreeSet<_>) = (
        part.iter().map(Line::essence).collect(),
        whole.iter().map(Line::essence).collect(),
    );
    contradiction(a, &part, b, &whole)?;
    let only: Vec<String> = part
        .difference(&whole)
        .map(|(_, body, ..)| format!("{body:?}"))
        .collect();
    match only.is_empty() {
        true => Ok(()),
        false => Err(Trouble::Missing(format!(
            "{} of {a} not in {b}: {}",
            only.len(),
            some(&only)
        ))),
    }
}

type Essence<'a> = (&'a str, &'a str, &'a str, &'a str);

/// One id is one message: different content under it does not go away.
fn contradiction(
    a: &str,
    left: &BTreeSet<Essence<'_>>,
    b: &str,
    right: &BTreeSet<Essence<'_>>,
) -> Result<(), Trouble> {
    let by_id: BTreeMap<&str, &Essence<'_>> = left.iter().map(|essence| (essence.0, essence)).collect();
    for essence in right {
        if let Some(other) = by_id.get(essence.0)
            && *other != essence
        {
            return Err(Trouble::Wrong(format!("{other:?} of {a} is {essence:?} in {b}")));
        }
    }
    let by_text: BTreeMap<(&str, &str), &Essence<'_>> = left
        .iter()
        .map(|essence| ((essence.1, essence.2), essence))
        .collect();
    for essence in right {
        if let Some(other) = by_text.get(&(essence.1, essence.2))
            && other.0 != essence.0
        {
            return Err(Trouble::Wrong(format!(
                "{other:?} of {a} has another id in {b}: {essence:?}"
            )));
        }
    }
    Ok(())
}

fn some(all: &[String]) -> String {
    let shown = all.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > 5 {
        format!("{shown}, …")
    } else {
        shown
    }
}

/// The closing check: exactly once, in order, live and archive the same for whoever was there, and everybody the same.
pub fn judge(records: &[Record]) -> Result<(), Trouble> {
    let mut pending = Ok(());
    for record in records {
        for (where_, lines) in [("live", &record.live), ("in the archive", &record.archive)] {
            let whose = format!("{} ({where_})", record.whose);
            once(&whose, lines)?;
            in_order(&whose, lines)?;
        }
        for (what, before) in [("history", &record.history), ("earlier session", &record.earlier)] {
            let whose = format!("{} ({what}, then live)", record.whose);
            let all: Vec<Line> = before.iter().chain(&record.live).cloned().collect();
            once(&whose, &all)?;
            in_order(&whose, &all)?;
        }
        let (live, archive) = (
            format!("what {} saw", record.whose),
            format!("the archive of {}", record.whose),
        );
        let agree = match record.is_witness {
            true => same(&live, &record.live, &archive, &record.archive),
            false => within(&live, &record.live, &archive, &record.archive),
        };
        pending = later(pending, agree)?;
        let earlier = format!("what {} saw earlier", record.whose);
        pending = later(
            pending,
            within(&earlier, &record.earlier, &archive, &record.archive),
        )?;
    }
    for pair in records.windows(2) {
        let [a, b] = pair else { continue };
        let agree = same(
            &format!("the archive of {}", a.whose),
            &a.archive,
            &format!("the archive of {}", b.whose),
            &b.archive,
        );
        pending = later(pending, agree)?;
    }
    pending
}

/// What is wrong ends it; what is missing is kept for the end.
fn later(before: Result<(), Trouble>, now: Result<(), Trouble>) -> Result<Result<(), Trouble>, Trouble> {
    match (before, now) {
        (_, Err(Trouble::Wrong(what))) => Err(Trouble::Wrong(what)),
        (Ok(()), now) => Ok(now),
        (before, _) => Ok(before),
    }
}

/// What was said is there: for texts that must be, whoever else is there.
pub fn has_all(whose: &str, lines: &[Line], bodies: &[String]) -> Result<(), Trouble> {
    let have: BTreeSet<&str> = lines.iter().map(|line| &*line.body).collect();
    let lacking: Vec<String> = bodies
        .iter()
        .filter(|body| !have.contains(&***body))
        .cloned()
        .collect();
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(Trouble::Missing(format!(
            "{whose} lacks {}: {}",
            lacking.len(),
            some(&lacking)
        ))),
    }
}

/// These arrived late and say so: with the time they were sent.
pub fn late(whose: &str, lines: &[Line], bodies: &[String]) -> Result<(), Trouble> {
    has_all(whose, lines, bodies)?;
    for line in lines.iter().filter(|line| bodies.contains(&line.body)) {
        match &line.delay {
            Some(stamp) if is_time(stamp) => {}
            other => {
                return Err(Trouble::Wrong(format!(
                    "{whose} got {:?} late, with the time {other:?}",
                    line.body
                )));
            }
        }
    }
    Ok(())
}

/// These arrived at once.
pub fn at_once(whose: &str, lines: &[Line], bodies: &[String]) -> Result<(), Trouble> {
    has_all(whose, lines, bodies)?;
    match lines
        .iter()
        .find(|line| bodies.contains(&line.body) && line.delay.is_some())
    {
        Some(line) => Err(Trouble::Wrong(format!(
            "{whose} got {:?} with {:?}",
            line.body, line.delay
        ))),
        None => Ok(()),
    }
}

/// The histories of two instances are the same messages in the same order.
pub fn same_history(a: &str, left: &[Line], b: &str, right: &[Line]) -> Result<(), Trouble> {
    same(a, left, b, right)?;
    let at = left
        .iter()
        .zip(right)
        .position(|(l, r)| l.essence() != r.essence());
    match at {
        Some(at) => Err(Trouble::Wrong(format!(
            "{a} and {b} differ in order at {at}: {:?} and {:?}",
            left[at].body, right[at].body
        ))),
        None => Ok(()),
    }
}

/// `2026-07-30T10:20:30Z`, perhaps with a fraction.
fn is_time(stamp: &str) -> bool {
    stamp.len() >= 20
        && stamp.ends_with('Z')
        && stamp.as_bytes()[10] == b'T'
        && stamp.as_bytes()[..4].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(who: &str, n: u32) -> Line {
        Line {
            nick: who.to_owned(),
            body: saying(who, n),
            id: format!("id-{who}-{n}"),
            message_id: format!("m-{who}-{n}"),
            delay: None,
        }
    }

    fn record(whose: &str) -> Record {
        let lines = vec![
            line("crone", 1),
            line("witch", 1),
            line("crone", 2),
            line("witch", 2),
        ];
        Record {
            whose: whose.to_owned(),
            archive: lines.clone(),
            live: lines,
            is_witness: true,
            ..Record::default()
        }
    }

    fn is_wrong(result: Result<(), Trouble>) -> bool {
        matches!(result, Err(Trouble::Wrong(_)))
    }

    fn is_missing(result: Result<(), Trouble>) -> bool {
        matches!(result, Err(Trouble::Missing(_)))
    }

    #[test]
    fn records_that_agree_pass_in_any_order_of_arrival() {
        let mut other = record("b");
        other.live.swap(0, 1);
        other.archive.swap(2, 3);
        assert_eq!(judge(&[record("a"), other]), Ok(()));
    }

    #[test]
    fn a_message_seen_twice_is_wrong() {
        let mut twice = record("a");
        twice.live.push(line("crone", 2));
        assert!(is_wrong(judge(&[twice, record("b")])));
        let mut twice = record("a");
        let mut other_id = line("crone", 2);
        other_id.id = "another".to_owned();
        twice.archive.push(other_id);
        assert!(is_wrong(judge(&[record("b"), twice])));
    }

    #[test]
    fn a_sender_out_of_order_is_wrong() {
        let mut swapped = record("a");
        swapped.live.swap(0, 2);
        assert!(is_wrong(judge(&[swapped])));
        let mut swapped = record("a");
        swapped.archive.swap(1, 3);
        assert!(is_wrong(judge(&[swapped])));
    }

    #[test]
    fn a_message_missing_anywhere_is_missing() {
        let mut deaf = record("a");
        deaf.live.pop();
        assert!(is_missing(judge(&[deaf, record("b")])));
        let mut forgetful = record("a");
        forgetful.archive.pop();
        assert!(is_missing(judge(&[record("b"), forgetful.clone()])));
        forgetful.live.pop();
        assert!(is_missing(judge(&[record("b"), forgetful])));
    }

    #[test]
    fn what_is_wrong_comes_before_what_is_missing() {
        let mut deaf = record("a");
        deaf.live.pop();
        let mut twice = record("b");
        twice.live.push(line("crone", 2));
        assert!(is_wrong(judge(&[deaf, twice])));
    }

    #[test]
    fn who_came_later_may_have_seen_less_but_nothing_else() {
        let mut late = record("a");
        late.is_witness = false;
        late.live.drain(..2);
        assert_eq!(judge(&[late.clone(), record("b")]), Ok(()));
        late.live.push(line("faust", 1));
        assert!(is_missing(judge(&[late, record("b")])));
    }

    #[test]
    fn what_was_in_the_history_or_seen_before_a_crash_does_not_come_again() {
        let mut back = record("a");
        back.is_witness = false;
        let older = back.live.drain(..2).collect::<Vec<_>>();
        back.history = older.clone();
        back.earlier = older;
        assert_eq!(judge(&[back.clone(), record("b")]), Ok(()));
        let mut again = back.clone();
        again.history.push(line("witch", 2));
        assert!(is_wrong(judge(&[again, record("b")])));
        let mut again = back.clone();
        again.earlier.push(line("witch", 2));
        assert!(is_wrong(judge(&[again, record("b")])));
        back.earlier.push(line("faust", 1));
        assert!(is_missing(judge(&[back, record("b")])));
    }

    #[test]
    fn another_id_or_text_or_nick_at_another_instance_is_wrong() {
        for change in [
            |line: &mut Line| line.id = "another".to_owned(),
            |line: &mut Line| line.body = "crone says 9".to_owned(),
            |line: &mut Line| line.nick = "faust".to_owned(),
        ] {
            let mut other = record("b");
            change(&mut other.live[2]);
            change(&mut other.archive[2]);
            assert!(is_wrong(judge(&[record("a"), other])));
        }
    }

    #[test]
    fn a_late_message_without_its_time_is_wrong() {
        let mut lines = record("a").live;
        let bodies = [saying("crone", 1)];
        assert!(is_wrong(late("a", &lines, &bodies)));
        lines[0].delay = Some("yesterday".to_owned());
        assert!(is_wrong(late("a", &lines, &bodies)));
        lines[0].delay = Some("2026-07-30T10:20:30.125Z".to_owned());
        assert_eq!(late("a", &lines, &bodies), Ok(()));
        assert!(is_wrong(at_once("a", &lines, &bodies)));
        assert!(is_missing(late("a", &lines, &[saying("faust", 1)])));
        assert_eq!(at_once("a", &lines, &[saying("crone", 2)]), Ok(()));
        assert!(is_missing(at_once("a", &lines, &[saying("faust", 1)])));
    }

    #[test]
    fn histories_in_another_order_are_wrong() {
        let history = record("a").archive;
        let mut other = history.clone();
        assert_eq!(same_history("a", &history, "b", &other), Ok(()));
        other.swap(0, 1);
        assert!(is_wrong(same_history("a", &history, "b", &other)));
        other.pop();
        assert!(is_missing(same_history("a", &history, "b", &other)));
    }
}

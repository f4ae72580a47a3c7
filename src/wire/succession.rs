//! `<succession/>` (ours): what one instance says of itself about who decides for the room (DESIGN 9).

use minidom::Element;

use super::dom::{bad, countable, flag, over, required, required_count, to_bare};
use super::text::Tag;
use super::{WireError, ns};
use crate::address::BareJid;
use crate::succession::{Claim, Edition, Line, MAX_BRANCHES, MAX_GRANTED, MAX_VOTERS, Moment, Statement};

/// What an instance says of itself, with the voters and the lineage of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// What it says.
    pub said: Statement<BareJid>,
    /// Voters and lineage of its edition of the settings.
    pub line: Line<BareJid>,
    /// What it heard last of whom it tells this, if anything.
    pub echo: Option<Statement<BareJid>>,
}

impl Succession {
    pub(super) fn read(el: &Element) -> Result<Succession, WireError> {
        let echo = super::dom::only(el, "heard", ns::OURS)?;
        Ok(Succession {
            said: read_statement(el)?,
            line: Line {
                voters: read_voters(el, "voter")?,
                before: read_voters(el, "before")?,
                unforced: read_voters(el, "unforced")?,
                since: required_count(el, "since")?,
                branches: read_branches(el, "branch")?,
            },
            echo: echo.map(read_statement).transpose()?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        let tag = statement_tag(Tag::within(out, "succession", ns::OURS), &self.said);
        tag.number("since", self.line.since).body(|out| {
            write_statement(out, &self.said);
            write_voters(out, "voter", &self.line.voters);
            write_voters(out, "before", &self.line.before);
            write_voters(out, "unforced", &self.line.unforced);
            write_branches(out, "branch", &self.line.branches);
            if let Some(echo) = &self.echo {
                statement_tag(Tag::new(out, "heard"), echo).body(|out| write_statement(out, echo));
            }
        });
    }
}

/// An edition as text: term, life, version, source.
pub(crate) fn write_edition(edition: &Edition<BareJid>) -> String {
    edition_text(edition)
}

/// What [`write_edition`] wrote.
pub(crate) fn read_stored_edition(text: &str) -> Result<Edition<BareJid>, WireError> {
    read_edition("edition", text)
}

fn statement_tag<'a>(tag: Tag<'a>, said: &Statement<BareJid>) -> Tag<'a> {
    tag.number("life", said.at.life)
        .number("serial", said.at.serial)
        .attr("follows", &claim_text(&said.follows))
        .attr("promised", &claim_text(&said.promised))
        .flag("standing", said.is_standing)
        .attr("holds", &edition_text(&said.edition))
}

/// What of a statement stands in elements. What it goes back on is the line's own while it asks for votes.
fn write_statement(out: &mut String, said: &Statement<BareJid>) {
    for claim in &said.granted {
        Tag::new(out, "granted").attr("claim", &claim_text(claim)).empty();
    }
}

fn read_statement(el: &Element) -> Result<Statement<BareJid>, WireError> {
    let is_standing = flag(el, "standing")?;
    let granted = children(el, "granted", MAX_GRANTED)?
        .into_iter()
        .map(|child| read_claim("claim", required(child, "claim")?));
    Ok(Statement {
        at: Moment {
            life: required_count(el, "life")?,
            serial: required_count(el, "serial")?,
        },
        follows: read_claim("follows", required(el, "follows")?)?,
        promised: read_claim("promised", required(el, "promised")?)?,
        granted: granted.collect::<Result<_, _>>()?,
        is_standing,
        edition: read_edition("holds", required(el, "holds")?)?,
        branches: match is_standing {
            true => read_branches(el, "branch")?,
            false => Vec::new(),
        },
    })
}

/// `term instance`.
fn claim_text(claim: &Claim<BareJid>) -> String {
    format!("{} {}", claim.term, claim.source)
}

fn read_claim(name: &'static str, text: &str) -> Result<Claim<BareJid>, WireError> {
    let (term, source) = text
        .split_once(' ')
        .ok_or_else(|| bad(format!("'{name}' is no term and instance")))?;
    Ok(Claim {
        term: countable(name, term)?,
        source: instance(name, source)?,
    })
}

/// `term life version instance`.
fn edition_text(edition: &Edition<BareJid>) -> String {
    let Edition { claim, life, version } = edition;
    format!("{} {life} {version} {}", claim.term, claim.source)
}

fn read_edition(name: &'static str, text: &str) -> Result<Edition<BareJid>, WireError> {
    let mut parts = text.splitn(4, ' ');
    let (Some(term), Some(life), Some(version), Some(source)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad(format!("'{name}' is no term, life, version and instance")));
    };
    Ok(Edition {
        claim: Claim {
            term: countable(name, term)?,
            source: instance(name, source)?,
        },
        life: countable(name, life)?,
        version: countable(name, version)?,
    })
}

fn instance(name: &'static str, text: &str) -> Result<BareJid, WireError> {
    let jid = to_bare(name, text)?;
    match jid.node() {
        Some(_) => Ok(jid),
        None => Err(bad(format!("'{name}' names no room"))),
    }
}

fn children<'a>(el: &'a Element, name: &'static str, most: usize) -> Result<Vec<&'a Element>, WireError> {
    let found: Vec<&Element> = el.children().filter(|child| child.is(name, ns::OURS)).collect();
    match found.len() > most {
        true => Err(over(format!("more than {most} of <{name}/>"))),
        false => Ok(found),
    }
}

fn read_voters(el: &Element, name: &'static str) -> Result<Vec<BareJid>, WireError> {
    let mut voters = Vec::new();
    for child in children(el, name, MAX_VOTERS)? {
        let voter = instance("jid", required(child, "jid")?)?;
        if voters.contains(&voter) {
            return Err(bad("an instance votes twice"));
        }
        voters.push(voter);
    }
    Ok(voters)
}

fn write_voters(out: &mut String, name: &'static str, voters: &[BareJid]) {
    for voter in voters {
        Tag::new(out, name).attr("jid", voter.as_str()).empty();
    }
}

fn read_branches(el: &Element, name: &'static str) -> Result<Vec<Edition<BareJid>>, WireError> {
    let branches = children(el, name, MAX_BRANCHES)?.into_iter();
    branches
        .map(|child| read_edition("edition", required(child, "edition")?))
        .collect()
}

fn write_branches(out: &mut String, name: &'static str, branches: &[Edition<BareJid>]) {
    for branch in branches {
        Tag::new(out, name).attr("edition", &edition_text(branch)).empty();
    }
}

//! XMPP addresses (RFC 6122, RFC 7622).
//!
//! A host prepares the addresses of what it hands over, and a room must take whoever its host lets in: addresses are
//! opaque here, within the limits of what an address and XML can hold. What has crossed a link inside a payload nobody has
//! prepared, so each part is brought into its normal form where the `jid` crate knows one. It prepares by stringprep and
//! IDNA, which know Unicode 3.2 and the rules of host names, and so refuses what people and domains are called today (`🦊`,
//! `ⵜⴰⵎ.test`, `ab--cd.test`). Such a part is taken as it stands.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// The longest a part of an address may be, in bytes (RFC 7622 section 3).
pub const MAX_PART_BYTES: usize = 1023;

/// Not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressError;

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a JID")
    }
}

impl std::error::Error for AddressError {}

/// Any address: a domain, a room or a user, with or without a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jid {
    /// Shared by all copies: a log has one in every entry.
    text: Arc<str>,
    /// Where the domain begins and where it ends.
    domain: (u16, u16),
}

/// An address without a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

/// An address with a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Jid);

impl Jid {
    /// Parses an address, and normalises the parts that have a normal form (see the module).
    ///
    /// # Errors
    /// [`AddressError`] for what is not an address.
    pub fn new(text: &str) -> Result<Jid, AddressError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (node, domain) = match bare.split_once('@') {
            Some((node, domain)) => (Some(node), domain),
            None => (None, bare),
        };
        let mut text = String::with_capacity(text.len());
        if let Some(node) = node {
            text.push_str(&prepared_node(node)?);
            text.push('@');
        }
        let start = text.len();
        text.push_str(&prepared_domain(domain)?);
        let end = text.len();
        if let Some(resource) = resource {
            text.push('/');
            text.push_str(&prepared_resource(resource)?);
        }
        Ok(Jid::of(&text, start, end))
    }

    /// What is an address, with its domain from `start` to `end`: three parts of 1,023 bytes at most.
    fn of(text: &str, start: usize, end: usize) -> Jid {
        let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Jid {
            text: Arc::from(text),
            domain: (place(start), place(end)),
        }
    }

    /// Where the domain begins and where it ends.
    fn bounds(&self) -> (usize, usize) {
        (usize::from(self.domain.0), usize::from(self.domain.1))
    }

    /// The localpart.
    pub fn node(&self) -> Option<&str> {
        self.bounds().0.checked_sub(1).map(|at| &self.text[..at])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        let (start, end) = self.bounds();
        &self.text[start..end]
    }

    /// The resource: in a room, the nick.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(self.bounds().1 + 1..)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address of the service: the domain alone.
    pub fn service(&self) -> BareJid {
        let domain = self.domain();
        BareJid(Jid::of(domain, 0, domain.len()))
    }

    /// The address without its resource.
    pub fn to_bare(&self) -> BareJid {
        if self.is_bare() {
            return BareJid(self.clone());
        }
        let (start, end) = self.bounds();
        BareJid(Jid::of(&self.text[..end], start, end))
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.resource().is_none()
    }
}

impl BareJid {
    /// Whether `service` hosts this: it has the same domain.
    pub(crate) fn is_at(&self, service: &BareJid) -> bool {
        self.domain() == service.domain()
    }

    /// Parses an address without a resource.
    ///
    /// # Errors
    /// [`AddressError`] for what is not an address, or has a resource.
    pub fn new(text: &str) -> Result<BareJid, AddressError> {
        Jid::new(text)?.try_into()
    }

    /// The instance with this room id at the service whose address this is.
    pub fn with_node(&self, id: &crate::wire::RoomId) -> BareJid {
        let text = format!("{id}@{}", self.domain());
        BareJid(Jid::of(&text, text.len() - self.domain().len(), text.len()))
    }

    /// The address of somebody or something in it; in a room, of an occupant.
    ///
    /// # Errors
    /// [`AddressError`] if `resource` cannot be one.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, AddressError> {
        FullJid::new(&format!("{}/{resource}", self.as_str()))
    }
}

impl FullJid {
    /// Parses an address with a resource.
    ///
    /// # Errors
    /// [`AddressError`] for what is none, or has no resource.
    pub fn new(text: &str) -> Result<FullJid, AddressError> {
        Jid::new(text)?.try_into()
    }

    /// The resource: in a room, the nick.
    pub fn nick(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }
}

/// A localpart (a room's name) in its normal form.
///
/// # Errors
/// [`AddressError`] if it cannot be one.
pub fn localpart(text: &str) -> Result<String, AddressError> {
    let jid = Jid::new(&format!("{text}@localhost"))?;
    let is_whole = jid.is_bare() && jid.domain() == "localhost";
    jid.node()
        .filter(|_| is_whole)
        .map(str::to_owned)
        .ok_or(AddressError)
}

/// A resource (a nick) in its normal form.
///
/// # Errors
/// [`AddressError`] if it cannot be one.
pub fn resourcepart(text: &str) -> Result<String, AddressError> {
    let jid = FullJid::new(&format!("localhost/{text}"))?;
    Ok(jid.nick().to_owned())
}

fn prepared_node(text: &str) -> Result<Cow<'_, str>, AddressError> {
    match jid::NodePart::new(text) {
        Ok(Cow::Borrowed(part)) => Ok(Cow::Borrowed(part.as_str())),
        Ok(Cow::Owned(part)) => Ok(Cow::Owned(part.into_inner())),
        Err(_) => {
            let is_barred = |c: char| c.is_whitespace() || c.is_ascii_uppercase() || "\"&'/:<>@".contains(c);
            as_it_stands(text, is_barred).map(Cow::Borrowed)
        }
    }
}

fn prepared_domain(text: &str) -> Result<Cow<'_, str>, AddressError> {
    match jid::DomainPart::new(text) {
        Ok(Cow::Borrowed(part)) => Ok(Cow::Borrowed(part.as_str())),
        Ok(Cow::Owned(part)) => Ok(Cow::Owned(part.into_inner())),
        Err(_) => {
            let text = text.strip_suffix('.').unwrap_or(text); // the root
            as_it_stands(text, |c| "/@".contains(c))?;
            Ok(match text.contains(|c: char| c.is_ascii_uppercase()) {
                true => Cow::Owned(text.to_ascii_lowercase()),
                false => Cow::Borrowed(text),
            })
        }
    }
}

fn prepared_resource(text: &str) -> Result<Cow<'_, str>, AddressError> {
    match jid::ResourcePart::new(text) {
        Ok(Cow::Borrowed(part)) => Ok(Cow::Borrowed(part.as_str())),
        Ok(Cow::Owned(part)) => Ok(Cow::Owned(part.into_inner())),
        Err(_) => as_it_stands(text, |_| false).map(Cow::Borrowed),
    }
}

/// A part that the host has prepared: of a length that an address can have, and of characters that are not prohibited in
/// any part.
fn as_it_stands(text: &str, is_barred: impl Fn(char) -> bool) -> Result<&str, AddressError> {
    let is_wrong = |c: char| c.is_control() || is_prohibited(c) || is_barred(c);
    match (1..=MAX_PART_BYTES).contains(&text.len()) && !text.chars().any(is_wrong) {
        true => Ok(text),
        false => Err(AddressError),
    }
}

/// What stringprep prohibits whatever the version of Unicode (RFC 3454 appendix C): private use, non-characters,
/// and what changes the direction or the look of the text around it.
fn is_prohibited(c: char) -> bool {
    let code = u32::from(c);
    code & 0xfffe == 0xfffe
        || matches!(code,
            0x340..=0x341
            | 0x200e..=0x200f
            | 0x202a..=0x202e
            | 0x206a..=0x206f
            | 0x2ff0..=0x2ffb
            | 0xe000..=0xf8ff
            | 0xfdd0..=0xfdef
            | 0xfff9..=0xfffd
            | 0xe0001
            | 0xe0020..=0xe007f
            | 0xf0000..=0x10ffff)
}

macro_rules! address {
    ($name:ident) => {
        impl Deref for $name {
            type Target = Jid;

            fn deref(&self) -> &Jid {
                &self.0
            }
        }

        impl From<$name> for Jid {
            fn from(jid: $name) -> Jid {
                jid.0
            }
        }

        impl PartialEq<$name> for Jid {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl FromStr for $name {
            type Err = AddressError;

            fn from_str(text: &str) -> Result<$name, AddressError> {
                $name::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }
    };
}

address!(BareJid);
address!(FullJid);

impl TryFrom<Jid> for BareJid {
    type Error = AddressError;

    fn try_from(jid: Jid) -> Result<BareJid, AddressError> {
        if jid.is_bare() {
            Ok(BareJid(jid))
        } else {
            Err(AddressError)
        }
    }
}

impl TryFrom<Jid> for FullJid {
    type Error = AddressError;

    fn try_from(jid: Jid) -> Result<FullJid, AddressError> {
        if jid.is_bare() {
            Err(AddressError)
        } else {
            Ok(FullJid(jid))
        }
    }
}

impl FromStr for Jid {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Jid, AddressError> {
        Jid::new(text)
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_parts() {
        let jid = Jid::new("Coven@Chat.Shakespeare.LIT/First Witch").unwrap();
        assert_eq!(jid.as_str(), "coven@chat.shakespeare.lit/First Witch");
        assert_eq!(jid.node(), Some("coven"));
        assert_eq!(jid.domain(), "chat.shakespeare.lit");
        assert_eq!(jid.resource(), Some("First Witch"));
        assert_eq!(jid.to_bare().as_str(), "coven@chat.shakespeare.lit");
        assert_eq!(jid.service().as_str(), "chat.shakespeare.lit");
        let odd = Jid::new("a@b/c@d/e").unwrap();
        assert_eq!(
            (odd.node(), odd.domain(), odd.resource()),
            (Some("a"), "b", Some("c@d/e"))
        );
        let service = Jid::new("b").unwrap();
        assert_eq!(
            (service.node(), service.resource(), service.to_bare()),
            (None, None, service.service())
        );
        assert!(BareJid::new("a@b/c").is_err() && FullJid::new("a@b").is_err());
    }

    #[test]
    fn names_of_today_are_taken() {
        for text in ["a@b/🦊", "a@b/Zoë 🧙\u{200d}♀\u{fe0f}", "🦊@b", "🦊@b/ẞ", "a@b/ᏸ"] {
            assert_eq!(Jid::new(text).unwrap().as_str(), text);
        }
        assert_eq!(resourcepart("🦊").as_deref(), Ok("🦊"));
        assert_eq!(localpart("🦊").as_deref(), Ok("🦊"));
        let room = BareJid::new("coven@chat.shakespeare.lit").unwrap();
        assert_eq!(room.with_resource("🦊").unwrap().nick(), "🦊");
    }

    #[test]
    fn what_a_host_calls_a_domain_is_one() {
        let label = format!("u@{}.test/r", "a".repeat(64));
        for text in [
            "u@ⵜⴰⵎ.test/🦊",
            "ꬰ.test",
            "u@-a.test",
            "u@ab--cd.test",
            "u@a..b",
            "u@a_b.test",
            "u@xn--bcher-kva.test",
            "u@[::1]",
            "u@ẞ.test",
            "u@a b",
            label.as_str(),
        ] {
            let jid = Jid::new(text).unwrap();
            assert_eq!(jid.as_str(), text);
            assert_eq!(Jid::new(jid.as_str()), Ok(jid.clone()));
            assert_eq!(BareJid::new(jid.service().as_str()), Ok(jid.service()));
        }
        let jid = Jid::new("U@AB--cd.Test./r").unwrap();
        assert_eq!(jid.as_str(), "u@ab--cd.test/r");
        assert_eq!(jid.domain(), "ab--cd.test");
        let long = format!("u@{}", "a".repeat(MAX_PART_BYTES + 1));
        assert_eq!(Jid::new(&long), Err(AddressError));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = "🦊".repeat(256);
        for text in [
            "",
            "@b",
            "a@",
            "/c",
            "a@b/",
            "a b@c",
            "a@b@c",
            "🦊 @c",
            "🦊\"@c",
            "a@b/🦊\u{7}",
            "a@b/🦊\u{fffe}",
            "a@b/🦊\u{202e}x",
            "a@🦊\tb/c",
            "a@.",
            "a@🦊\u{202e}.test",
        ] {
            assert_eq!(Jid::new(text), Err(AddressError), "{text:?}");
        }
        assert_eq!(Jid::new(&format!("a@b/{long}")), Err(AddressError));
        assert!(localpart("a@b").is_err() && localpart("a/b").is_err() && resourcepart("").is_err());
    }
}

//! The room's avatar (XEP-0486): its vCard (XEP-0054). What is decided, told and stored is which one; the vCard itself is asked
//! for where it is missing, in parts that any server and any link carries (`<avatar/>`, ours).

use minidom::Element;
use sha2::{Digest as _, Sha256};

use super::dom::{bad, over, parse, required, required_count, to_id};
use super::limits::{MAX_AVATAR_BYTES, MAX_AVATAR_PART_BYTES, MAX_PAYLOAD_DEPTH};
use super::payload::{depth, write};
use super::text::{Tag, push_escaped};
use super::{WireError, ns};
use crate::ids::hex;

/// Which vCard a room has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Avatar {
    /// The SHA-256 of the vCard as [`Picture`] has it, in hex.
    pub hash: String,
    /// How long that is: 1 to [`MAX_AVATAR_BYTES`] bytes.
    pub bytes: u64,
}

/// A vCard, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Which it is.
    pub avatar: Avatar,
    /// The element `<vCard xmlns='vcard-temp'/>` in one form, whoever has parsed and written it before: namespaces as `xmlns`,
    /// attributes in order, lines that end in a line feed.
    pub vcard: String,
}

/// `<avatar xmlns='urn:x-dmuc:0' hash='…' from='0'/>`: the vCard with this hash is missing here from this byte on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarQuery {
    /// Which one.
    pub hash: String,
    /// How many bytes of it have come.
    pub from: u64,
}

/// The answer: `<avatar xmlns='urn:x-dmuc:0' hash='…' from='0'>…</avatar>`, as much of the vCard as fits, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarPart {
    /// Of which one.
    pub hash: String,
    /// The byte with which it begins.
    pub from: u64,
    /// The part, of whole characters.
    pub text: String,
}

impl Avatar {
    /// Reads the attributes.
    pub(super) fn read(el: &Element) -> Result<Avatar, WireError> {
        let bytes = required_count(el, "bytes")?;
        if bytes == 0 || bytes > MAX_AVATAR_BYTES as u64 {
            return Err(over(format!(
                "the avatar is larger than {MAX_AVATAR_BYTES} bytes, or empty"
            )));
        }
        Ok(Avatar {
            hash: to_id("hash", required(el, "hash")?)?,
            bytes,
        })
    }

    /// Starts an element of this name; without attributes if there is none.
    pub(super) fn tag<'a>(avatar: Option<&Avatar>, out: &'a mut String, name: &'a str) -> Tag<'a> {
        let tag = Tag::new(out, name);
        match avatar {
            Some(avatar) => tag.attr("hash", &avatar.hash).number("bytes", avatar.bytes),
            None => tag,
        }
    }

    /// Reads what [`Avatar::tag`] wrote.
    pub(crate) fn read_optional(el: &Element) -> Result<Option<Avatar>, WireError> {
        el.attr("hash").map(|_| Avatar::read(el)).transpose()
    }
}

impl Picture {
    /// Parses the vCard of a room; `None` for an empty one, which removes it.
    ///
    /// # Errors
    /// `bad-request` for what is not a vCard, `policy-violation` for one that is larger than [`MAX_AVATAR_BYTES`] or nested
    /// deeper than what else is told on.
    pub fn parse(xml: &str) -> Result<Option<Picture>, WireError> {
        let too_large = || over(format!("the vCard is larger than {MAX_AVATAR_BYTES} bytes"));
        if xml.len() > 2 * MAX_AVATAR_BYTES {
            return Err(too_large());
        }
        let el = parse(xml, usize::MAX)?;
        if !el.is("vCard", ns::VCARD) {
            return Err(bad("this is not a vCard"));
        }
        if depth(&el) > MAX_PAYLOAD_DEPTH {
            return Err(over(format!(
                "the vCard is nested deeper than {MAX_PAYLOAD_DEPTH} levels"
            )));
        }
        if el.children().next().is_none() {
            return Ok(None);
        }
        let mut vcard = String::with_capacity(xml.len());
        write(&mut vcard, &el, ns::CLIENT);
        // A carriage return survives one parser and not the next.
        let vcard = vcard.replace("&#13;&#10;", "&#10;").replace("&#13;", "&#10;");
        if vcard.len() > MAX_AVATAR_BYTES {
            return Err(too_large());
        }
        let avatar = Avatar {
            hash: hex(&Sha256::digest(&vcard)),
            bytes: vcard.len() as u64,
        };
        Ok(Some(Picture { avatar, vcard }))
    }

    /// The part that begins with this byte; `None` if none does.
    pub fn part(&self, from: u64) -> Option<AvatarPart> {
        let rest = usize::try_from(from)
            .ok()
            .and_then(|from| self.vcard.get(from..))?;
        let (mut escaped, mut end) = (String::new(), 0);
        for c in rest.chars() {
            push_escaped(&mut escaped, c.encode_utf8(&mut [0; 4]));
            if escaped.len() > MAX_AVATAR_PART_BYTES {
                break;
            }
            end += c.len_utf8();
        }
        let text = rest.get(..end).filter(|text| !text.is_empty())?.to_owned();
        Some(AvatarPart {
            hash: self.avatar.hash.clone(),
            from,
            text,
        })
    }
}

impl AvatarQuery {
    pub(super) fn read(el: &Element) -> Result<AvatarQuery, WireError> {
        Ok(AvatarQuery {
            hash: to_id("hash", required(el, "hash")?)?,
            from: required_count(el, "from")?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "avatar", ns::OURS)
            .attr("hash", &self.hash)
            .number("from", self.from)
            .empty();
    }
}

impl AvatarPart {
    pub(super) fn read(el: &Element) -> Result<AvatarPart, WireError> {
        let text = el.text();
        if text.len() > MAX_AVATAR_BYTES {
            return Err(over("the part is larger than any vCard"));
        }
        Ok(AvatarPart {
            hash: to_id("hash", required(el, "hash")?)?,
            from: required_count(el, "from")?,
            text,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "avatar", ns::OURS)
            .attr("hash", &self.hash)
            .number("from", self.from)
            .text(&self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vcard(photo: &str) -> String {
        format!("<vCard xmlns='vcard-temp'><FN>Coven</FN><PHOTO><BINVAL>{photo}</BINVAL></PHOTO></vCard>")
    }

    fn picture(xml: &str) -> Picture {
        Picture::parse(xml).unwrap().unwrap()
    }

    #[test]
    fn a_vcard_is_the_same_however_it_is_written() {
        let one = picture("<vCard xmlns='vcard-temp' a='1' b='2'><FN>a\nb</FN></vCard>");
        for other in [
            "<v:vCard xmlns:v='vcard-temp' b='2' a='1'><v:FN>a&#13;&#10;b</v:FN></v:vCard>",
            "<vCard b=\"2\" a=\"1\" xmlns=\"vcard-temp\"><FN>a&#13;b</FN></vCard>",
        ] {
            assert_eq!(picture(other), one);
        }
        assert_ne!(picture(&vcard("AAAA")).avatar, picture(&vcard("AAAB")).avatar);
        assert_eq!(picture(&one.vcard), one);
    }

    #[test]
    fn an_empty_one_removes_it_and_anything_else_is_none() {
        assert_eq!(Picture::parse("<vCard xmlns='vcard-temp'/>").unwrap(), None);
        for wrong in [
            "<vCard/>",
            "<x xmlns='vcard-temp'/>",
            "<vCard xmlns='vcard-temp'>",
            "",
        ] {
            assert!(Picture::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused() {
        let bytes = MAX_AVATAR_BYTES - vcard("").len();
        assert!(Picture::parse(&vcard(&"A".repeat(bytes))).is_ok());
        for large in [bytes + 1, 3 * MAX_AVATAR_BYTES] {
            let error = Picture::parse(&vcard(&"A".repeat(large))).unwrap_err();
            assert_eq!(error.condition, super::super::Condition::PolicyViolation);
        }
        let deep = |n| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        let deep = |n| format!("<vCard xmlns='vcard-temp'>{}</vCard>", deep(n));
        assert!(Picture::parse(&deep(MAX_PAYLOAD_DEPTH - 1)).is_ok());
        assert!(Picture::parse(&deep(MAX_PAYLOAD_DEPTH)).is_err());
    }

    #[test]
    fn it_goes_in_parts_that_any_server_takes() {
        for photo in [
            "QUJD".repeat(5_000),
            "é&<€'".repeat(2_000).replace(['&', '<'], "&amp;"),
        ] {
            let whole = picture(&vcard(&photo));
            let (mut told, mut parts) = (String::new(), 0);
            while told.len() < whole.vcard.len() {
                let part = whole.part(told.len() as u64).unwrap();
                let mut xml = String::new();
                part.write(&mut xml);
                assert!(xml.len() < 10_000 - 1_000, "RFC 6120 section 13.12");
                assert_eq!(AvatarPart::read(&xml.parse().unwrap()).unwrap(), part);
                told.push_str(&part.text);
                parts += 1;
            }
            assert_eq!(picture(&told), whole);
            assert!(parts > 1);
            assert_eq!(whole.part(whole.avatar.bytes), None);
        }
        assert_eq!(picture(&vcard("é")).part(u64::MAX), None);
    }
}

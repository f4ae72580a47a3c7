//! `<packed/>` (ours): an element that says the same in less, for those who have said that they can read it (PROTOCOL 14.7).
//!
//! What it holds is the XML of one element, compressed (RFC 1950, "zlib") and in base64 (RFC 4648 section 4). Each is for itself:
//! nothing is kept between two of them, so what one room says has no influence on how long another's is.

use data_encoding::BASE64;
use minidom::Element;
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use super::dom::{bad, over, parse, required_number};
use super::limits::{MAX_CONTROL_BYTES, MAX_UNPACKED_BYTES};
use super::text::Tag;
use super::{WireError, ns};

/// What is shorter gains nothing.
const LEAST_BYTES: usize = 512;
/// How hard it is tried: higher ones take several times as long for a few bytes.
const LEVEL: u8 = 6;

/// The same element in less, or as it is if that is not less.
pub(super) fn packed(xml: String) -> String {
    if xml.len() < LEAST_BYTES || xml.len() > MAX_UNPACKED_BYTES {
        return xml;
    }
    let mut out = String::new();
    let text = BASE64.encode(&compress_to_vec_zlib(xml.as_bytes(), LEVEL));
    Tag::within(&mut out, "packed", ns::OURS)
        .number("bytes", xml.len() as u64)
        .text(&text);
    match out.len() < xml.len() {
        true => out,
        false => xml,
    }
}

/// The element that was sent, whether it was packed or not. What is packed in it once more is no element that anybody asks for.
///
/// # Errors
/// `bad-request` for what is neither base64 nor compressed XML of as many bytes as it says, `policy-violation` if that is more
/// than [`MAX_UNPACKED_BYTES`] (G13).
pub(super) fn unpacked(xml: &str) -> Result<Element, WireError> {
    let el = parse(xml, MAX_CONTROL_BYTES)?;
    match el.is("packed", ns::OURS) {
        true => parse(&content(&el)?, MAX_UNPACKED_BYTES),
        false => Ok(el),
    }
}

/// The XML in a `<packed/>`, for those who look into what is sent.
///
/// # Errors
/// It is none, or cannot be read.
pub fn unpack(xml: &str) -> Result<String, WireError> {
    let el = parse(xml, MAX_CONTROL_BYTES)?;
    match el.is("packed", ns::OURS) {
        true => content(&el),
        false => Err(bad("nothing is packed")),
    }
}

/// How much there is to read in an element: of what is packed as much as it says, which is all that will be unpacked (G13).
pub(crate) fn weight(xml: &str) -> usize {
    // Most of what comes need not be looked into for that.
    let packed = Some(xml).filter(|xml| xml.contains("packed"));
    let packed = packed.and_then(|xml| parse(xml, MAX_CONTROL_BYTES).ok());
    let said = packed
        .filter(|el| el.is("packed", ns::OURS))
        .and_then(|el| required_number(&el, "bytes").ok());
    let said = said.and_then(|bytes| usize::try_from(bytes).ok());
    // More than that is refused before anything is unpacked.
    said.filter(|bytes| *bytes <= MAX_UNPACKED_BYTES)
        .map_or(xml.len(), |bytes| bytes.max(xml.len()))
}

fn content(el: &Element) -> Result<String, WireError> {
    let broken = || bad("what is packed cannot be read");
    let bytes = usize::try_from(required_number(el, "bytes")?).unwrap_or(usize::MAX);
    if bytes > MAX_UNPACKED_BYTES {
        return Err(over(format!(
            "what is packed is larger than {MAX_UNPACKED_BYTES} bytes"
        )));
    }
    let packed = BASE64.decode(el.text().as_bytes()).map_err(|_| broken())?;
    let plain = decompress_to_vec_zlib_with_limit(&packed, bytes).map_err(|_| broken())?;
    match plain.len() == bytes {
        true => String::from_utf8(plain).map_err(|_| broken()),
        false => Err(broken()),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::super::Condition;
    use super::*;

    fn wrapped(bytes: usize, packed: &[u8]) -> String {
        format!(
            "<packed xmlns='urn:x-dmuc:0' bytes='{bytes}'>{}</packed>",
            BASE64.encode(packed)
        )
    }

    fn of(plain: &[u8]) -> String {
        wrapped(plain.len(), &compress_to_vec_zlib(plain, LEVEL))
    }

    fn long() -> String {
        format!(
            "<a xmlns='urn:x-dmuc:0'>{}</a>",
            "double, double toil and trouble; ".repeat(50)
        )
    }

    #[test]
    fn what_is_packed_is_the_same_in_less() {
        let packed = packed(long());
        assert!(packed.len() < long().len() / 8, "{packed}");
        assert_eq!(unpacked(&packed).unwrap(), unpacked(&long()).unwrap());
    }

    #[test]
    fn what_gains_nothing_is_not_packed() {
        let short = "<a xmlns='urn:x-dmuc:0'/>".to_owned();
        assert_eq!(packed(short.clone()), short);
        let random: Vec<u8> = (0..100_u32)
            .flat_map(|n| Sha256::digest(n.to_be_bytes()).to_vec())
            .collect();
        let random = format!("<a xmlns='urn:x-dmuc:0'>{}</a>", BASE64.encode(&random));
        assert_eq!(packed(random.clone()), random);
    }

    #[test]
    fn no_more_is_unpacked_than_it_says_and_that_is_what_it_weighs() {
        let bomb = compress_to_vec_zlib(&vec![b' '; 64 * MAX_UNPACKED_BYTES], 9);
        for (bytes, condition) in [
            (64 * MAX_UNPACKED_BYTES, Condition::PolicyViolation),
            (MAX_UNPACKED_BYTES, Condition::BadRequest),
            (1, Condition::BadRequest),
        ] {
            assert_eq!(
                unpacked(&wrapped(bytes, &bomb)).unwrap_err().condition,
                condition,
                "{bytes}"
            );
        }
        let more = wrapped(long().len() + 1, &compress_to_vec_zlib(long().as_bytes(), LEVEL));
        assert!(unpacked(&more).is_err());
        assert_eq!(weight(&packed(long())), long().len());
        assert_eq!(weight(&long()), long().len());
        // Written otherwise than we do.
        for text in [
            "<x:packed xmlns:x='urn:x-dmuc:0' bytes = \"70000\" >eJw=</x:packed>",
            "<packed abytes='1' bytes='70000' xmlns='urn:x-dmuc:0' bytes2='1'/>",
            "<?xml version='1.0'?><packed c='bytes=&quot;1&quot;' bytes='70000' xmlns='urn:x-dmuc:0'/>",
        ] {
            assert_eq!(weight(text), 70_000, "{text}");
        }
        let other = "<sync packed='true' bytes='70000'/>";
        assert_eq!(weight(other), other.len());
        // What is refused without being unpacked.
        for refused in [
            "<packed xmlns='urn:x-dmuc:0'/>",
            "<packed xmlns='urn:x-dmuc:0' bytes='1048577'/>",
        ] {
            assert_eq!(weight(refused), refused.len());
            assert!(unpacked(refused).is_err());
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let cut = compress_to_vec_zlib(long().as_bytes(), LEVEL);
        for text in [
            "<packed xmlns='urn:x-dmuc:0' bytes='9'>no base64!</packed>".to_owned(),
            "<packed xmlns='urn:x-dmuc:0' bytes='9'/>".to_owned(),
            of(long().as_bytes()).replace("bytes=", "octets="),
            wrapped(14, b"not compressed"),
            wrapped(long().len(), &cut[..cut.len() / 2]),
            of(&[0xff; 600]),
            of(b"<a xmlns='urn:x-dmuc:0'>"),
        ] {
            assert!(unpacked(&text).is_err(), "{text}");
        }
        assert!(unpacked(&of(long().as_bytes())).is_ok());
    }

    #[test]
    fn packed_twice_is_no_element_that_anybody_asked_for() {
        let twice = of(packed(long()).as_bytes());
        assert!(unpacked(&twice).unwrap().is("packed", ns::OURS));
    }
}

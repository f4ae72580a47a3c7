//! Writing XML: escaping, and one small builder so that no producer puts tags together by hand.

use std::fmt::Write as _;

/// Appends text or an attribute value, escaped.
///
/// White space other than a blank is written as a reference, since a parser turns it into a blank in attributes.
/// What XML 1.0 (section 2.2) cannot express at all becomes U+FFFD: text from a C program must not break a stream.
pub fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            _ => out.push(c),
        }
    }
}

/// Text or an attribute value, escaped as in [`push_escaped`].
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, text);
    out
}

/// As much of a text as `most` bytes hold, whole characters.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let ends = (0..=most.min(text.len())).rev();
    let end = ends.into_iter().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A start tag being written. Ends with [`Tag::empty`], [`Tag::text`] or [`Tag::body`].
pub(super) struct Tag<'a> {
    out: &'a mut String,
    name: &'a str,
}

impl<'a> Tag<'a> {
    /// Starts an element in the namespace of its parent.
    pub(super) fn new(out: &'a mut String, name: &'a str) -> Tag<'a> {
        out.push('<');
        out.push_str(name);
        Tag { out, name }
    }

    /// Starts an element that declares its namespace.
    pub(super) fn within(out: &'a mut String, name: &'a str, ns: &str) -> Tag<'a> {
        Tag::new(out, name).attr("xmlns", ns)
    }

    /// Writes an attribute.
    pub(super) fn attr(self, name: &str, value: &str) -> Tag<'a> {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("='");
        push_escaped(self.out, value);
        self.out.push('\'');
        self
    }

    /// Writes an attribute that may be absent.
    pub(super) fn opt(self, name: &str, value: Option<&str>) -> Tag<'a> {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Writes a number.
    pub(super) fn number(self, name: &str, value: u64) -> Tag<'a> {
        // Writing to a String cannot fail.
        let _ = write!(self.out, " {name}='{value}'");
        self
    }

    /// Writes a number that may be absent.
    pub(super) fn opt_number(self, name: &str, value: Option<u64>) -> Tag<'a> {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// Writes a flag when it is set; absence means false.
    pub(super) fn flag(self, name: &str, value: bool) -> Tag<'a> {
        if value { self.attr(name, "true") } else { self }
    }

    /// Ends an element without content.
    pub(super) fn empty(self) {
        self.out.push_str("/>");
    }

    /// Ends an element that holds text.
    pub(super) fn text(self, text: &str) {
        self.body(|out| push_escaped(out, text));
    }

    /// Ends an element whose content `write` appends.
    pub(super) fn body(self, write: impl FnOnce(&mut String)) {
        self.out.push('>');
        let start = self.out.len();
        write(self.out);
        if self.out.len() == start {
            self.out.pop();
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(self.name);
            self.out.push('>');
        }
    }
}

/// Writes `<name>text</name>` in the namespace of the parent, if there is a text.
pub(super) fn opt_text(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        Tag::new(out, name).text(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_has_whole_characters() {
        for (most, kept) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "aé"),
            (5, "aé"),
            (6, "aé€"),
            (9, "aé€"),
        ] {
            assert_eq!(beginning("aé€", most), kept, "{most}");
        }
    }
}

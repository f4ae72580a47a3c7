//! Service discovery (XEP-0030): what a peer supports (XEP-0281 section 4) and which room is a shadow (3.3).

use std::collections::BTreeSet;

use crate::address::BareJid;
use minidom::Element;

use super::dom::{over, text_attr, to_bare};
use super::form::{read_fields, write_form};
use super::limits::{MAX_DISCO_FEATURES, MAX_DISCO_IDENTITIES, MAX_PART_BYTES};
use super::reading::Reading;
use super::text::Tag;
use super::{Field, WireError, ns};

/// One `<identity/>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// As `conference`.
    pub category: String,
    /// As `text` (attribute `type`).
    pub kind: String,
    /// For humans.
    pub name: Option<String>,
}

/// A disco#info result, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiscoInfo {
    /// What it is.
    pub identities: Vec<Identity>,
    /// What it supports.
    pub features: BTreeSet<String>,
    /// The fields of its `muc#roominfo` form (XEP-0128), without `FORM_TYPE`.
    pub room_info: Vec<Field>,
}

impl DiscoInfo {
    /// Whether it speaks XEP-0281 (section 4).
    pub fn supports_dmuc(&self) -> bool {
        self.features.contains(ns::DMUC)
    }

    /// Whether it speaks our additions too (DESIGN section 4).
    pub fn supports_ours(&self) -> bool {
        self.features.contains(ns::OURS)
    }

    /// Whether it reads what is packed (PROTOCOL 14.7).
    pub fn reads_packed(&self) -> bool {
        self.features.contains(ns::PACKED)
    }

    /// The source of the room that was asked, if it says that it is a shadow (XEP-0281 section 3.3).
    pub fn source(&self) -> Option<BareJid> {
        let field = self.room_info.iter().find(|field| field.var == "dmuc-source")?;
        to_bare("dmuc-source", field.values.first()?).ok()
    }

    /// Foreign services put all sorts of things into disco#info. What is malformed is passed over, so that it does not
    /// hide what they do support; only limits are an error.
    pub(super) fn read(el: &Element) -> Result<DiscoInfo, WireError> {
        let mut info = DiscoInfo::default();
        for child in el.children() {
            if child.is("feature", ns::DISCO_INFO) {
                info.add_feature(child)?;
            } else if child.is("identity", ns::DISCO_INFO) {
                info.add_identity(child)?;
            } else if child.is("x", ns::DATA_FORMS)
                && let Ok((form_type, fields)) = read_fields(child, &mut Reading::strict())
                && form_type.as_deref() == Some(ns::ROOMINFO)
            {
                info.room_info = fields;
            }
        }
        Ok(info)
    }

    fn add_feature(&mut self, el: &Element) -> Result<(), WireError> {
        let Some(var) = el.attr("var") else {
            return Ok(());
        };
        if self.features.len() == MAX_DISCO_FEATURES || var.len() > MAX_PART_BYTES {
            return Err(over(format!(
                "more than {MAX_DISCO_FEATURES} features, or an over-long one"
            )));
        }
        self.features.insert(var.to_owned());
        Ok(())
    }

    fn add_identity(&mut self, el: &Element) -> Result<(), WireError> {
        if self.identities.len() == MAX_DISCO_IDENTITIES {
            return Err(over(format!("more than {MAX_DISCO_IDENTITIES} identities")));
        }
        let (Some(category), Some(kind)) = (el.attr("category"), el.attr("type")) else {
            return Ok(());
        };
        if category.len().max(kind.len()) > MAX_PART_BYTES {
            return Err(over("the category or the type of an identity is over-long"));
        }
        self.identities.push(Identity {
            category: category.to_owned(),
            kind: kind.to_owned(),
            name: text_attr(el, "name")?,
        });
        Ok(())
    }

    pub(super) fn write(&self, out: &mut String) {
        Tag::within(out, "query", ns::DISCO_INFO).body(|out| {
            for identity in &self.identities {
                Tag::new(out, "identity")
                    .attr("category", &identity.category)
                    .attr("type", &identity.kind)
                    .opt("name", identity.name.as_deref())
                    .empty();
            }
            for feature in &self.features {
                Tag::new(out, "feature").attr("var", feature).empty();
            }
            if !self.room_info.is_empty() {
                write_form(out, "result", ns::ROOMINFO, &self.room_info);
            }
        });
    }
}

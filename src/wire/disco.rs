//! Service discovery (XEP-0030): what a peer supports (XEP-0281 section 4) and which room is a shadow (3.3).

use std::collections::BTreeSet;

use super::{Field, ns};

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
}

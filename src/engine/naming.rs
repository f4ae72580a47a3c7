//! Which names of ours a peer may have for its shadows (`dmuc_shadow_names`): the id that it chooses is a localpart here, and
//! whoever has `support@` or `office@` is taken for us.

use crate::address::BareJid;

use super::Engine;
use crate::config::ShadowNames;
use crate::ids;
use crate::wire::RoomId;

impl Engine {
    /// Whether a room of `firsthost` may be called so here. Services that are trusted choose as they like.
    pub(super) fn may_name(&self, firsthost: &BareJid, id: &RoomId, source: Option<&BareJid>) -> bool {
        self.config.shadow_names == ShadowNames::Any
            || self.config.is_trusted(firsthost)
            || is_opaque(id.as_str(), source)
            || carries(id.as_str(), firsthost.domain())
    }
}

/// What nobody types: a UUID, or the SHA-256 of the source's JID.
fn is_opaque(id: &str, source: Option<&BareJid>) -> bool {
    uuid::Uuid::try_parse(id).is_ok_and(|uuid| uuid.hyphenated().to_string() == id)
        || source.is_some_and(|source| ids::room_id_sha256(source) == id)
}

/// `coven.chat.shakespeare.lit`, with any sign between that is neither letter nor digit.
fn carries(id: &str, domain: &str) -> bool {
    let name = id.strip_suffix(domain).map(str::chars);
    name.is_some_and(|mut name| {
        let between = name.next_back();
        between.is_some_and(|between| !between.is_alphanumeric()) && name.next().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_ids_are_uuids_and_the_hash_of_the_source() {
        let source = BareJid::new("coven@chat.shakespeare.lit").unwrap();
        let other = BareJid::new("other@chat.shakespeare.lit").unwrap();
        let hash = ids::room_id_sha256(&source);
        let uuid = "816decd2-4dcb-41e0-8109-75b146b03a82";
        assert!(is_opaque(uuid, None) && is_opaque(&hash, Some(&source)));
        assert!(!is_opaque(&hash, Some(&other)) && !is_opaque(&hash, None));
        for readable in [
            "support",
            "",
            "816decd24dcb41e0810975b146b03a82",
            "urn:uuid:816decd2-4dcb-41e0-8109-75b146b03a82",
            "support-816decd2-4dcb-41e0-8109-75b146b03a82",
        ] {
            assert!(!is_opaque(readable, Some(&source)), "{readable}");
        }
    }

    #[test]
    fn a_name_that_ends_with_the_firsthost_says_whose_it_is() {
        let domain = "chat.shakespeare.lit";
        for name in ["coven.chat.shakespeare.lit", "coven%chat.shakespeare.lit"] {
            assert!(carries(name, domain), "{name}");
        }
        for name in [
            "chat.shakespeare.lit",
            ".chat.shakespeare.lit",
            "covenchat.shakespeare.lit",
            "coven",
        ] {
            assert!(!carries(name, domain), "{name}");
        }
    }
}

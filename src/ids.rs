//! Identifiers made from the engine's seed: deterministic for tests, unpredictable in service.

use crate::address::BareJid;
use crate::wire::Hlc;
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The engine's only source of randomness: 32 bytes the host draws from its operating system once.
pub type Seed = [u8; 32];

/// Deterministic generator: SHA-256 over (seed, counter). Not for keys; for ids, jitter and salts.
#[derive(Debug, Clone)]
pub struct IdSource {
    seed: Seed,
    counter: u64,
}

impl IdSource {
    /// A generator that yields the same sequence for the same seed.
    pub fn new(seed: Seed) -> Self {
        IdSource { seed, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        hash.finalize().into()
    }

    /// What tells this generator from those of other seeds; takes nothing from the sequence. 16 hexadecimal digits.
    pub fn name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(b"name");
        hex(hash.finalize().get(..8).unwrap_or_default())
    }

    /// A version 4 UUID (RFC 9562) in its 36-character form.
    pub fn uuid(&mut self) -> String {
        let block = self.block();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&block[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A number below `bound` (0 when `bound` is 0), for jitter.
    pub fn below(&mut self, bound: u64) -> u64 {
        let block = self.block();
        let mut bytes = [0u8; 8];
        bytes.copy_from_slice(&block[..8]);
        if bound == 0 {
            0
        } else {
            u64::from_be_bytes(bytes) % bound
        }
    }
}

/// Room id by hashing (XEP-0281 section 1.3): lower-case hex SHA-256 of the source's JID.
pub fn room_id_sha256(source: &BareJid) -> String {
    hex(&Sha256::digest(source.as_str().as_bytes()))
}

/// Room id that says whose the room is: the source's localpart and its service, `coven.chat.shakespeare.lit`.
pub fn room_id_of_service(source: &BareJid) -> String {
    format!("{}.{}", source.node().unwrap_or_default(), source.domain())
}

/// Shows that `service` had the room, whose salt only its instances know: 32 hexadecimal digits.
pub fn proof_of_room(salt: &str, service: &BareJid, room_id: &str) -> String {
    let mut hash = Sha256::new();
    for part in [salt, service.as_str(), room_id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(hash.finalize().get(..16).unwrap_or_default())
}

/// Stanza-id for a message whose home sent none (a peer that speaks only the XEP's text): every instance
/// that receives the message derives the same one (G5). `salt` separates messages that repeat an id.
pub fn derived_stanza_id(room_id: &str, home: &BareJid, nick: &str, message_id: &str, salt: u32) -> String {
    let mut hash = Sha256::new();
    for part in [room_id, home.as_str(), nick, message_id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(salt.to_be_bytes());
    uuid_of(hash)
}

/// Stanza-id of a numbered event: it belongs to the number and to nothing else, so that nobody takes another's (G5,
/// docs/PROTOCOL.md section 7.2). `at` is its time, as on the wire.
pub fn numbered_stanza_id(origin: &BareJid, incarnation: u64, seq: u64, at: Hlc) -> String {
    let mut hash = Sha256::new();
    hash.update(origin.as_str().as_bytes());
    // No JID has a space.
    hash.update(format!(" {incarnation} {seq} {at}").as_bytes());
    uuid_of(hash)
}

fn uuid_of(hash: Sha256) -> String {
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// The occupant-id (XEP-0421) of a user in a room with this salt, as Prosody makes it (muc/occupant_id.lib.lua) and
/// docs/PROTOCOL.md section 7.2 has it: base64 (RFC 4648 section 4) of HMAC-SHA-256 (RFC 2104) with the real bare JID as
/// key and the salt as message. 44 characters.
pub fn occupant_id(user: &BareJid, salt: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(user.as_str().as_bytes()).expect("a key");
    mac.update(salt.as_bytes());
    BASE64.encode(&mac.finalize().into_bytes())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (mut a, mut b) = (IdSource::new([7; 32]), IdSource::new([7; 32]));
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(a.uuid(), b.uuid().replace('-', "x"));
        assert_ne!(a.uuid(), IdSource::new([8; 32]).uuid());
    }

    #[test]
    fn sha256_room_ids_are_lower_case_hex() -> Result<(), crate::address::AddressError> {
        let id = room_id_sha256(&BareJid::new("coven@chat.shakespeare.lit")?);
        assert_eq!(id.len(), 64);
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        Ok(())
    }

    #[test]
    fn occupant_ids_are_prosodys() -> Result<(), crate::address::AddressError> {
        // b64encode(hmac_sha256("romeo@montague.lit", "12f7d034-32f7-4202-a16c-e3e99190ec4b")) of Prosody 0.12 and 13.
        let id = occupant_id(
            &BareJid::new("romeo@montague.lit")?,
            "12f7d034-32f7-4202-a16c-e3e99190ec4b",
        );
        assert_eq!(id, "imCLy4CgSt1mA5cT1aI33OYnPEK4FX7Wsa6la/URSWI=");
        Ok(())
    }

    #[test]
    fn ids_of_numbers_are_those_of_the_protocol() -> Result<(), crate::address::AddressError> {
        let origin = BareJid::new("theroom@rooms.macbeth.lit")?;
        let at = Hlc {
            wall_ms: 1_795_425_171_000,
            counter: 0,
        };
        // SHA-256 of "theroom@rooms.macbeth.lit 1795425160000 42 1795425171000.0".
        let id = numbered_stanza_id(&origin, 1_795_425_160_000, 42, at);
        assert_eq!(id, "d86f2894-a773-84bd-a4ca-1c4b6248bf26");
        Ok(())
    }

    #[test]
    fn derived_stanza_ids_depend_on_every_part() -> Result<(), crate::address::AddressError> {
        let home = BareJid::new("theroom@rooms.macbeth.lit")?;
        let base = derived_stanza_id("r", &home, "n", "m", 0);
        assert_eq!(base, derived_stanza_id("r", &home, "n", "m", 0));
        for other in [
            derived_stanza_id("q", &home, "n", "m", 0),
            derived_stanza_id("r", &home, "nm", "", 0),
            derived_stanza_id("r", &home, "n", "x", 0),
            derived_stanza_id("r", &home, "n", "m", 1),
        ] {
            assert_ne!(base, other);
        }
        Ok(())
    }
}

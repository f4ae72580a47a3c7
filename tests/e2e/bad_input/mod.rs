//! Malformed, unexpected and hostile stanzas: refused with a defined error, logged at the right level without what
//! they say, and without any effect.

mod authority;
mod claims;
mod clients;
mod events;
mod malformed;
mod requests;
mod rights;
mod scene;

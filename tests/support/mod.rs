//! A modelled federation: services whose MUC is a model and whose engine is the real one, in virtual time, on a
//! network in memory.
//!
//! A [`federation::Federation`] owns the time, the network and the services. A [`host::Host`] does what Prosody
//! and the Lua shim do: it owns occupants, affiliations and the archive, feeds the engine, performs its actions, and
//! writes down what every occupant saw. What crosses a link crosses as XML. A [`xep::XepService`] is a peer
//! that knows the XEP's text and nothing else.

// Two test crates share this; what one of them leaves unused is not dead.
#![allow(dead_code)]

pub mod avatar;
pub mod dice;
pub mod event;
pub mod federation;
pub mod host;
pub mod incoming;
pub mod inviting;
pub mod moderate;
pub mod names;
pub mod net;
pub mod outputs;
pub mod people;
pub mod perform;
pub mod private;
pub mod reading;
pub mod register;
pub mod room;
pub mod slow;
pub mod storage;
pub mod talk;
pub mod unstored;
pub mod view;
pub mod xep;

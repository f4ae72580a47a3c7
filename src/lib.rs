//! Distributed multi-user chat.

pub mod wire;

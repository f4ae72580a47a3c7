//! Modules of Prosody's community next to mod_dmuc: what docs/COMMUNITY-MODULES.md says of them.

mod alike;
mod modules;
mod story;
mod together;

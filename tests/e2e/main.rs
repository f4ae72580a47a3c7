//! End to end: real Prosody servers, real client connections.

mod story;
mod support;

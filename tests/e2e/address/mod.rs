//! One address (docs/ADDRESSES.md): whoever uses another instance's address is served by the instance at their own server, and
//! sees nothing but the address that they use.

mod asking;
mod choosing;
mod claiming;
mod ending;
mod faults;
mod ghosts;
mod hostile;
mod joining;
mod moderating;
mod moving;
mod presences;
mod scene;
mod sessions;
mod speaking;

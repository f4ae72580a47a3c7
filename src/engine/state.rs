//! The ground floor: what there is. Rooms, instances, logs and clocks, and how they change; nothing here knows the engine,
//! a machine above it, or what is sent (`tests/lint/floors.sh`).

pub(crate) mod admitted;
pub(crate) mod bans;
pub(crate) mod beside;
pub(crate) mod budget;
pub(crate) mod clock;
pub(crate) mod edition;
pub(crate) mod instance;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod merge;
pub(crate) mod room;
pub(crate) mod rooms;
pub(crate) mod stored;
pub(crate) mod stuck;
pub(crate) mod succession;
pub(crate) mod waiting;

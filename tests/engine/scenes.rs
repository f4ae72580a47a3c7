//! How most tests begin: the room of the XEP, distributed, with or without people.

use crate::support::federation::Federation;
use crate::support::names::*;

/// The room is at the first of these services, and the others have an instance of it.
pub fn shared(services: &[&str]) -> Federation {
    let mut fed = Federation::of(services);
    fed.distributed(COVEN, CRONE1, &[]);
    fed.run();
    fed
}

/// The same at three services, with one person at each.
pub fn coven() -> Federation {
    let mut fed = shared(&[CHAT, ROOMS, CONF]);
    for (place, user) in [(FOO, CRONE1), (WITCH_PLACE, WITCH), (FAUST_PLACE, FAUST)] {
        fed.join(place, user);
    }
    fed.run();
    fed
}

//! The engine's behaviour, between modelled services on a network in memory: one file per theme.

// In tests a panic is the verdict; clippy's exception covers only the #[test] functions themselves, not their helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod avatars;
mod budgets;
mod budgets_amplified;
mod budgets_kept;
mod claims;
mod different_words;
mod differing;
mod endings;
mod evidence;
mod far_future;
mod fitting;
mod governing;
mod grace;
mod hats;
mod histories;
mod holding;
mod inviting;
mod joining;
mod lies;
mod lies_about_ids;
mod lies_in_pages;
mod lies_of_occupants;
mod limits;
mod links;
mod lost_rosters;
mod moderation;
mod naming;
mod never_stored;
mod nicks;
mod orders;
mod overview;
mod pace;
mod packing;
mod parked;
mod persons;
mod privacy;
mod reading;
mod recalling;
mod redirects;
mod refusals;
mod refused_words;
mod registering;
mod replication;
mod restarts;
mod resync;
mod rulings;
mod scenes;
mod serving;
mod sharing_ended;
mod short_splits;
mod splits;
mod steering;
mod stored_lists;
mod storing;
mod subjects;
mod succession;
mod talking;
mod thin;
mod undigested;
mod unlike;
mod unproven;
mod unread;
mod users_of_peers;
mod voice;
mod without_numbers;
mod xep_only;

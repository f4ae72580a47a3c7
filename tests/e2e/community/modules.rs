//! The modules that are tried, what they need, and what is different with them in a distributed room.

use dmuc_testbed::Suite;

/// Why people get something in a distributed room that they do not get in an ordinary one (`+`), or the other way round (`-`): a
/// sign, a text of the line, and the reason.
pub(crate) type Difference = (char, &'static str, &'static str);

/// A module for MUC services.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// Lines for the configuration of the MUC service.
    pub(crate) lines: &'static [&'static str],
    /// What the owner sets in the form of the room.
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// Lua that runs at each server when the guest has come in, about MUC and GUEST.
    pub(crate) midway: &'static str,
    /// What of the story is different, and why.
    pub(crate) differs: &'static [Difference],
    /// Whether people in an ordinary room get anything else in the story than without it.
    pub(crate) is_seen: bool,
    /// It is for one server, the first, since it does the same at each.
    pub(crate) for_one: bool,
    /// What it uses of Prosody is not in 0.12.
    pub(crate) needs_13: bool,
    /// Releases where it raises errors in an ordinary room as well; every one if it is not Debian's.
    pub(crate) raises_in: &'static [Suite],
    /// Releases where it lacks a module that it needs.
    pub(crate) lacks_in: &'static [Suite],
}

impl Module {
    const fn plain(name: &'static str) -> Module {
        Module {
            name,
            lines: &[],
            fields: &[],
            midway: "",
            differs: &[],
            is_seen: true,
            for_one: false,
            needs_13: false,
            raises_in: &[],
            lacks_in: &[],
        }
    }

    /// One that people in the story see nothing of.
    const fn unseen(name: &'static str) -> Module {
        Module {
            is_seen: false,
            ..Module::plain(name)
        }
    }
}

/// The story without any module.
pub(crate) const NONE: Module = Module::unseen("no module");

/// What Debian has, in one release or another.
pub(crate) const DEBIANS: &[Module] = &[
    Module::plain("http_muc_log"),
    Module::plain("muc_activity"),
    Module {
        needs_13: true,
        // Its LuaSocket reads globals that are not there, which Prosody logs.
        raises_in: &[Suite::Forky],
        ..Module::unseen("muc_cache_media")
    },
    Module::unseen("muc_invite_affiliated"),
    Module {
        // Six at once, and hardly another one as long as the story takes.
        lines: &["muc_event_rate = 0.01", "muc_burst_factor = 600"],
        ..Module::plain("muc_limits")
    },
    Module {
        // It puts an element into the presence of somebody who is in, and takes it out of one of two lists: a change of
        // presence in a public room ends in "Invalid stanza state!" and is lost.
        raises_in: &[Suite::Bookworm],
        ..Module::plain("muc_log")
    },
    Module::unseen("muc_log_http"),
    Module {
        needs_13: true,
        ..Module::plain("muc_mav")
    },
    Module::plain("muc_moderation"),
    Module {
        for_one: true,
        ..Module::plain("muc_notifications")
    },
    Module {
        fields: &[("restrict_avatars", "1")],
        ..Module::plain("muc_restrict_avatars")
    },
    Module {
        fields: &[("{xmpp:prosody.im}muc#roomconfig_unaffiliated_media", "1")],
        ..Module::plain("muc_restrict_media")
    },
    Module::plain("muc_restrict_nick"),
    Module::unseen("muc_restrict_rooms"),
    Module {
        // The list of hashes that it follows has the guest's from then on. It is a service of the same server (alike.rs).
        midway: "local service = prosody.hosts['MUC'].modules.muc_rtbl.module:get_option_string('muc_rtbl_jid'); \
                 local hash = require 'util.hashes'.sha256('GUEST', true); \
                 assert(prosody.hosts[service].modules.pubsub.service:publish('muc_bans_sha256', true, hash, \
                 require 'util.stanza'.stanza('item', { xmlns = 'http://jabber.org/protocol/pubsub'; id = hash }):tag('listed', { xmlns = 'urn:x:listed' })))",
        // It asks for an occupant that events of private messages do not have: each raises an error and is lost.
        raises_in: &[Suite::Bookworm],
        // It needs mod_rtbl there, which the package does not have.
        lacks_in: &[Suite::Forky],
        ..Module::plain("muc_rtbl")
    },
    Module::unseen("muc_search"),
    Module::plain("pastebin"),
    Module::plain("vcard_muc"),
];

/// What the community's repository has besides, as of January 2024.
pub(crate) const COMMUNITYS: &[Module] = &[
    Module::plain("muc_adhoc_bots"),
    Module::unseen("muc_archive"),
    Module::plain("muc_auto_member"),
    Module::unseen("muc_auto_reserve_nicks"),
    Module::unseen("muc_batched_probe"),
    Module::plain("muc_block_pm"),
    Module {
        lines: &["known_bots = { \"bot.lit\" }"],
        ..Module::unseen("muc_bot")
    },
    Module {
        lines: &["muc_config_restricted = { \"muc#roomconfig_roomname\" }"],
        differs: &[(
            '-',
            "<status code=\"104\"/>",
            "The form changes nothing then, which Prosody announces all the same; other instances hear of changes",
        )],
        // It asks who is an administrator in a way that 13 logs with a traceback.
        raises_in: &Suite::ALL,
        ..Module::plain("muc_config_restrict")
    },
    Module::unseen("muc_hats_adhoc"),
    Module::plain("muc_hide_media"),
    Module {
        lines: &["muc_inject_mentions_suffixes = { \":\", \",\" }"],
        ..Module::plain("muc_inject_mentions")
    },
    Module::unseen("muc_local_only"),
    Module::unseen("muc_mam_hints"),
    Module::unseen("muc_mam_markers"),
    Module {
        differs: &[(
            '-',
            "<displayed",
            "Newcomers get the markers that their own server has stored, which are those of its own people",
        )],
        ..Module::plain("muc_markers")
    },
    Module::unseen("muc_media_metadata"),
    Module {
        for_one: true,
        ..Module::plain("muc_mention_notifications")
    },
    Module {
        // Prosody delivers to nobody what it sends: type groupchat, to somebody's bare JID.
        lines: &["muc_offline_delivery_default = true"],
        ..Module::unseen("muc_offline_delivery")
    },
    Module {
        differs: &[(
            '-',
            "<displayed",
            "Newcomers get the markers that their own server has stored, which are those of its own people",
        )],
        ..Module::plain("muc_rai")
    },
    Module {
        lines: &[
            "tos_welcome_message = \"Agree?\"",
            "tos_yes_message = \"Good\"",
            "tos_no_message = \"Bye\"",
        ],
        ..Module::unseen("muc_require_tos")
    },
    Module {
        lines: &["muc_reserve_nick_patterns = { \"!$\" }"],
        ..Module::plain("muc_reserve_nick_pattern")
    },
    Module {
        fields: &[("muc#roomconfig_webchat_url", "https://chat.lit/")],
        ..Module::plain("muc_webchat_url")
    },
    Module::unseen("ogp"),
];

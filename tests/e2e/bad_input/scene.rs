//! A federation to be attacked, and what proves that nothing came of it.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, ComponentClient, Element, Federation, Storage, Value, Version, error_condition, to_string,
};

use crate::support::{MARLOWE, SOURCE, eventually, from, instances};
use crate::xep_only::{AT_CHAT, CHAT, HEATH, Peer, fills, is_replicated, with_peer};

/// A service that nobody lists in `dmuc_peers`.
pub const STRANGER: &str = "stranger.marlowe.lit";
/// A word that is in everything hostile, and must not be in any log.
pub const SECRET: &str = "Geheimnis";
/// An ordinary room beside the distributed ones.
pub const PARLOUR: &str = "parlour@chat.shakespeare.lit";
/// A shadow whose configuration has not come.
pub const PENDING: &str = "pending@chat.shakespeare.lit";

/// Who sends something bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The service that is a peer.
    Peer,
    /// The service that is none.
    Stranger,
    /// An ordinary user, in the room.
    User,
}

/// chat.shakespeare.lit with the source of the coven (whose occupant faust is at the peer), the shadow `theroom` of
/// the peer's heath (with foo), an ordinary room, and a shadow that was never configured.
pub struct Scene {
    pub fed: Federation,
    pub peer: Peer,
    pub stranger: ComponentClient,
    pub crone: Client,
}

impl Scene {
    pub async fn set(label: &str, version: Version, storage: Storage, muc_line: &str) -> Result<Scene> {
        let fed = with_peer(label, version, storage)
            .component(2, STRANGER, "secret")
            .muc_line(muc_line)
            .start()
            .await?;
        let peer = Peer::connect(&fed).await?;
        let stranger = fed[2].component(STRANGER).await?;
        let crone = fed[0].client("crone1", "desktop").await?;
        let coven = [
            ("muc#roomconfig_distributed", "1"),
            ("muc#roomconfig_roomname", "A Dark Cave"),
        ];
        crone.create_room(SOURCE, "firstcrone", &coven).await?;
        is_replicated(&fed, &peer).await?;
        crone.create_room(PARLOUR, "firstcrone", &[]).await?;
        crone
            .set_affiliation(SOURCE, "outlaw@marlowe.lit", "outcast")
            .await?;
        peer.accept("roster", SOURCE).await?;
        peer.enters(MARLOWE, SOURCE, "faust", "affiliation='none' role='participant'")
            .await?;
        peer.enters(MARLOWE, SOURCE, "mute", "affiliation='none' role='visitor'")
            .await?;
        crone.expect("mute", from(SOURCE, "mute")).await?;
        peer_keeps_shadows(&peer, &fed).await?;
        crone.join(AT_CHAT, "secondcrone").await?;
        peer.take("the crone", from(AT_CHAT, "secondcrone")).await?;
        peer.has_nothing_more().await?;
        crone.sync().await?;
        crone.drain();
        Ok(Scene {
            fed,
            peer,
            stranger,
            crone,
        })
    }

    /// Sends an IQ and returns its answer.
    pub async fn ask(&self, who: Who, from: &str, to: &str, kind: &str, payload: &str) -> Result<Element> {
        let sender = match who {
            Who::User => String::new(),
            _ => format!("from='{from}'"),
        };
        let xml = format!("<iq {sender} to='{to}' type='{kind}'>{payload}</iq>");
        match who {
            Who::Peer => self.peer.ask(&xml).await,
            Who::Stranger => self.stranger.iq_xml(&xml).await,
            Who::User => self.crone.iq_xml(&xml).await,
        }
    }

    /// An IQ is refused: the error, and the line in the log, for an administrator to see if a peer sent it.
    pub async fn refuses(
        &self,
        who: Who,
        from: &str,
        to: &str,
        kind: &str,
        payload: &str,
        condition: &str,
    ) -> Result<()> {
        let mark = self.fed[0].log().mark();
        let answer = self.ask(who, from, to, kind, payload).await?;
        ensure!(
            answer.attr("type") == Some("error") && error_condition(&answer).as_deref() == Some(condition),
            "{}",
            shortened(&to_string(&answer))
        );
        ensure!(
            answer.attr("from") == Some(to),
            "{}",
            shortened(&to_string(&answer))
        );
        // The first of its kind; what follows is counted, and said again at level debug.
        let level = if who == Who::Peer {
            "(warn|debug)"
        } else {
            "(info|debug)"
        };
        let from = match who {
            Who::User => self.crone.jid(),
            _ => from,
        };
        self.logged(mark, level, from, condition).await
    }

    /// What was refused to whom is in the log since `mark`.
    pub async fn logged(&self, mark: usize, level: &str, from: &str, condition: &str) -> Result<()> {
        let from: String = from
            .chars()
            .map(|c| match c.is_alphanumeric() {
                true => c.to_string(),
                false => format!("\\x{{{:x}}}", u32::from(c)),
            })
            .collect();
        let line = format!("dmuc\\s+{level}\tRefused .* from {from}.*: {condition} ");
        self.fed[0]
            .log()
            .wait_since(mark, &line, dmuc_testbed::deadline())
            .await
            .map(|_| ())
    }

    /// Everything that may not have changed, at both real servers.
    pub async fn state(&self) -> Result<Value> {
        self.peer.sync().await?;
        self.fed.settle(1).await?;
        let mut states = Vec::new();
        for server in 0..2 {
            let muc = self.fed[server].muc().to_owned();
            states.push(self.fed[server].eval(&STATE.replace("MUC", &muc)).await?);
        }
        ensure!(
            states[0].get(SOURCE).is_some() && states[0].get(AT_CHAT).is_some(),
            "{states:?}"
        );
        Ok(Value::Array(states))
    }

    /// Nothing has changed, nobody was told anything, nothing was logged that should not be.
    pub async fn is_unmoved(&self, before: &Value) -> Result<()> {
        let after = self.state().await?;
        if *before != after {
            for (before, after) in before
                .as_array()
                .into_iter()
                .flatten()
                .zip(after.as_array().into_iter().flatten())
            {
                for (room, was) in before.as_object().into_iter().flatten() {
                    let is = after.get(room).unwrap_or(&Value::Null);
                    ensure!(was == is, "{room} was {was:#}\nand is {is:#}");
                }
            }
        }
        ensure!(*before == after, "there are other rooms: {before:#}\n{after:#}");
        self.crone.sync().await?;
        let seen = self.crone.drain_matching(|s| !s.is("iq", "jabber:client"));
        ensure!(
            seen.is_empty(),
            "{:?}",
            seen.iter().map(|s| shortened(&to_string(s))).collect::<Vec<_>>()
        );
        for server in 0..2 {
            let told = self.fed[server].log_lines_matching(SECRET)?;
            ensure!(told.is_empty(), "logged: {}", shortened(&told.join("\n")));
            self.fed[server].assert_no_lua_errors()?;
        }
        Ok(())
    }
}

/// The peer is firsthost, too.
async fn peer_keeps_shadows(peer: &Peer, fed: &Federation) -> Result<()> {
    peer.ask(&replicate("theroom")).await?;
    fills(
        peer,
        AT_CHAT,
        &[("roomname", "A Lonely Heath"), ("changesubject", "0")],
    )
    .await?;
    let answer = peer.ask(&replicate("pending")).await?;
    assert_eq!(answer.attr("type"), Some("result"), "{}", to_string(&answer));
    eventually("the shadow knows its source", || async {
        Ok(instances(fed, 0, AT_CHAT).await? == [HEATH])
    })
    .await
}

fn replicate(id: &str) -> String {
    format!(
        "<iq from='{}' to='{CHAT}' type='set'><replicate xmlns='urn:xmpp:dmuc:0'><room id='{id}'/></replicate></iq>",
        crate::xep_only::PEER
    )
}

/// For messages about stanzas that are huge on purpose.
pub fn shortened(text: &str) -> String {
    text.chars().take(600).collect()
}

/// All that is known of every room: to mod_muc and to the engine.
pub const STATE: &str = r#"
local muc = prosody.hosts['MUC'].modules.muc;
local instances, dmuc = prosody.hosts['MUC'].modules.dmuc.instances;
for i = 1, 9 do
	local name, value = debug.getupvalue(instances, i);
	if name == "dmuc" then dmuc = value; end
end
local function plain(t)
	local copy = {};
	for k, v in pairs(t) do
		if type(v) ~= "table" then copy[tostring(k)] = v; end
	end
	return copy;
end
local rooms = {};
for room in muc.all_rooms() do
	local occupants = {};
	for nick, occupant in room:each_occupant() do
		local sessions = {};
		for jid, pr in occupant:each_session() do sessions[jid] = tostring(pr); end
		occupants[nick] = {
			role = occupant.role; affiliation = room:get_affiliation(occupant.bare_jid) or "none"; sessions = sessions;
		};
	end
	rooms[room.jid] = {
		data = plain(room._data), affiliations = plain(room._affiliations), occupants = occupants,
		subject = select(2, room:get_subject()) or "none",
	};
end
for _, jid in ipairs(dmuc.ask("rooms")) do
	local room = rooms[jid] or {};
	rooms[jid] = room;
	room.role = dmuc.role(jid);
	room.snapshot = dmuc.ask("snapshot", jid);
	room.instances = dmuc.ask("instances", jid);
	room.remote = {};
	for _, remote in ipairs(dmuc.ask("remote_occupants", jid)) do room.remote[remote.home.."/"..remote.nick] = plain(remote); end
	room.log = {};
	for _, entry in ipairs(dmuc.ask("newest", jid, os.time(), 0, 1000)) do table.insert(room.log, plain(entry)); end
end
return rooms
"#;

/// A client's error must not hide behind another stanza: the context for `?`.
pub fn row<T>(what: &str, result: Result<T>) -> Result<T> {
    result.with_context(|| format!("in the case {what:?}"))
}

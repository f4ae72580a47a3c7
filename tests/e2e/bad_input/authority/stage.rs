//! Everybody there is: peers that answer as well-behaved ones do, services that are none, and users.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{
    Client, ComponentClient, Element, Federation, Storage, Value, Version, error_condition, to_string,
};
use tokio::task::JoinHandle;

use super::super::malformed::{dmuc, field, form, ours};
use super::super::scene::STATE;
use crate::support::{SOURCE, eventually, from, instances};

/// The service under attack.
pub const CHAT: &str = "chat.shakespeare.lit";
/// A peer: holds a shadow of the coven, and the sources of the heath and the cellar.
pub const ONE: &str = "conference.marlowe.lit";
/// A peer: holds a shadow of the heath.
pub const TWO: &str = "rooms.faustus.lit";
/// A peer that has nothing of either.
pub const THREE: &str = "muc.mephisto.lit";
/// A service of the same kind that is no peer.
pub const STRANGER: &str = "stranger.kyd.lit";
/// A server without rooms.
pub const OTHER: &str = "kyd.lit";

/// The shadow of the coven.
pub const AT_ONE: &str = "coven@conference.marlowe.lit";
/// The source of the heath, its shadow here, and the other one.
pub const HEATH: &str = "heath@conference.marlowe.lit";
pub const HEATH_HERE: &str = "heath@chat.shakespeare.lit";
pub const HEATH_AT_TWO: &str = "heath@rooms.faustus.lit";
/// Rooms that may be ended: a source here, and the shadow here of another source.
pub const ATTIC: &str = "attic@chat.shakespeare.lit";
pub const ATTIC_AT_ONE: &str = "attic@conference.marlowe.lit";
pub const CELLAR: &str = "cellar@conference.marlowe.lit";
pub const CELLAR_HERE: &str = "cellar@chat.shakespeare.lit";

const DISCO_INFO: &str = "http://jabber.org/protocol/disco#info";
const DMUC: &str = "urn:xmpp:dmuc:0";
const OURS: &str = "urn:x-dmuc:0";

/// A service that says yes to whatever it is asked, has nothing to tell, and says what a test wants it to.
pub struct Service {
    pub wire: Arc<ComponentClient>,
    answering: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

impl Service {
    async fn connect(fed: &Federation, host: &str, is_muc: bool) -> Result<Service> {
        let wire = Arc::new(fed[1].component(host).await?);
        let answering = tokio::spawn(answers(Arc::clone(&wire), is_muc));
        Ok(Service { wire, answering })
    }

    /// Sends an IQ that is acknowledged.
    async fn asks(&self, from: &str, to: &str, payload: &str) -> Result<()> {
        let xml = format!("<iq from='{from}' to='{to}' type='set'>{payload}</iq>");
        let answer = self.wire.iq_xml(&xml).await?;
        ensure!(
            answer.attr("type") == Some("result"),
            "{payload}: {}",
            to_string(&answer)
        );
        Ok(())
    }
}

fn is_request(s: &Element) -> bool {
    s.name() == "iq" && matches!(s.attr("type"), Some("get" | "set"))
}

async fn answers(wire: Arc<ComponentClient>, is_muc: bool) {
    loop {
        let Ok(request) = wire.expect("a request", is_request).await else {
            if wire
                .send_xml(&format!("<presence from='{0}' to='{0}'/>", wire.host()))
                .await
                .is_err()
            {
                return;
            }
            continue;
        };
        let attr = |name| request.attr(name).unwrap_or_default();
        let payload = request.children().next();
        let answer = match payload {
            Some(el) if el.is("query", DISCO_INFO) => {
                let features: String = [DMUC, OURS]
                    .iter()
                    .filter(|_| is_muc)
                    .map(|feature| format!("<feature var='{feature}'/>"))
                    .collect();
                format!(
                    "<query xmlns='{DISCO_INFO}'><identity category='conference' type='text'/>{features}</query>"
                )
            }
            Some(el) if el.is("digest", OURS) => ours("digest", "life='one'", ""),
            Some(el) if el.is("sync", OURS) => {
                let version = el.attr("roster").unwrap_or("1");
                let snapshot = ours("snapshot", &format!("version='{version}'"), "");
                ours("sync", "", &dmuc("roster", "", &snapshot))
            }
            Some(el) if el.is("room", DMUC) => "<history xmlns='http://jabber.org/protocol/muc'/>".to_owned(),
            _ => String::new(),
        };
        let xml = format!(
            "<iq type='result' from='{}' to='{}' id='{}'>{answer}</iq>",
            attr("to"),
            attr("from"),
            attr("id")
        );
        if wire.send_xml(&xml).await.is_err() {
            return;
        }
    }
}

/// Everybody, and what they have.
pub struct Stage {
    pub fed: Federation,
    pub one: Service,
    pub two: Service,
    pub three: Service,
    pub stranger: Service,
    pub other: Service,
    /// An owner here.
    pub crone: Client,
    /// A participant here.
    pub beldam: Client,
    /// A participant from another server.
    pub faust: Client,
}

/// An occupant's item in the roster of its home.
fn item(nick: &str, rank: &str, jid: &str, serial: u64) -> String {
    let stamp = ours("occupant", &format!("serial='{serial}'"), "");
    format!("<item {rank} name='{nick}' jid='{jid}'>{stamp}</item>")
}

fn roster(occupants: &str, flags: &str) -> String {
    let snapshot = ours("snapshot", &format!("version='1' occupants='true' {flags}"), "");
    dmuc("roster", "", &format!("{snapshot}{occupants}"))
}

/// A configuration with its version.
pub fn config(name: &str, version: u64, shadows: &[&str]) -> String {
    let form = form(&field("muc#roomconfig_roomname", name));
    let attrs = format!("term='0' version='{version}' salt='pepper'");
    let instances: String = shadows
        .iter()
        .map(|service| format!("<instance jid='{service}'/>"))
        .collect();
    let settings = ours("settings", &attrs, &instances);
    dmuc("config", "", &format!("{form}{settings}"))
}

/// Who is at a home: somebody with every right, and a visitor.
pub fn people(actor: &str, user: &str, visitor: &str) -> String {
    let domain = user.split_once('@').map_or(user, |(_, domain)| domain);
    let owner = item(
        actor,
        "affiliation='owner' role='moderator'",
        &format!("{user}/x"),
        11,
    );
    let guest = item(
        visitor,
        "affiliation='none' role='visitor'",
        &format!("{visitor}@{domain}/x"),
        12,
    );
    format!("{owner}{guest}")
}

impl Stage {
    pub async fn set(label: &str, version: Version, storage: Storage) -> Result<Stage> {
        let mut builder = Federation::builder()
            .servers(2)
            .label(label)
            .version(version)
            .storage(storage)
            .with_server(0, |s| {
                (s.dmuc, s.peers) = (true, false);
                for line in [
                    &*format!("dmuc_peers = {{ \"{ONE}\"; \"{TWO}\"; \"{THREE}\" }}"),
                    "dmuc_replicate = \"on-join\"",
                    "dmuc_room_id = \"name\"",
                    "dmuc_shadow_names = \"any\"",
                    "dmuc_redirect = \"off\"",
                ] {
                    s.muc_lines.push(line.to_owned());
                }
            })
            .with_server(1, |s| {
                "marlowe.lit".clone_into(&mut s.domain);
                "plain.marlowe.lit".clone_into(&mut s.muc);
            });
        for host in [ONE, TWO, THREE, STRANGER, OTHER] {
            builder = builder.component(1, host, "secret");
        }
        let fed = builder.start().await?;
        let one = Service::connect(&fed, ONE, true).await?;
        let two = Service::connect(&fed, TWO, true).await?;
        let three = Service::connect(&fed, THREE, true).await?;
        let stranger = Service::connect(&fed, STRANGER, true).await?;
        let other = Service::connect(&fed, OTHER, false).await?;
        let crone = fed[0].client("crone1", "desktop").await?;
        let beldam = fed[0].client("beldam", "desktop").await?;
        let faust = fed[1].client("faust", "desktop").await?;
        let stage = Stage {
            fed,
            one,
            two,
            three,
            stranger,
            other,
            crone,
            beldam,
            faust,
        };
        stage.makes_sources().await?;
        stage.gets_shadows().await?;
        stage.invites().await?;
        stage.settles().await?;
        Ok(stage)
    }

    /// The coven and the attic, each with a shadow at the service whose user comes in.
    async fn makes_sources(&self) -> Result<()> {
        for (room, shadow) in [(SOURCE, AT_ONE), (ATTIC, ATTIC_AT_ONE)] {
            let distributed = [("muc#roomconfig_distributed", "1")];
            self.crone.create_room(room, "firstcrone", &distributed).await?;
            self.crone
                .set_affiliation(room, "doctor@marlowe.lit", "owner")
                .await?;
            self.faust.join(room, "faust").await?;
            eventually(&format!("{room} has an instance"), || async {
                Ok(instances(&self.fed, 0, room).await? == [shadow])
            })
            .await?;
            let people = people("doctor", "doctor@marlowe.lit", "mute");
            self.one.asks(shadow, room, &roster(&people, "")).await?;
            self.crone.expect("the doctor", from(room, "doctor")).await?;
            self.crone.expect("the mute", from(room, "mute")).await?;
            self.beldam.join(room, "beldam").await?;
        }
        Ok(())
    }

    /// The heath and the cellar are replicated here; of the heath there is another shadow.
    async fn gets_shadows(&self) -> Result<()> {
        let list = "<item affiliation='owner' jid='crone1@shakespeare.lit'/>\
                    <item affiliation='owner' jid='doctor@marlowe.lit'/>\
                    <item affiliation='owner' jid='wagner@faustus.lit'/>";
        let all = [CHAT, TWO];
        for (source, shadow, id, shadows) in [
            (HEATH, HEATH_HERE, "heath", &all[..]),
            (CELLAR, CELLAR_HERE, "cellar", &all[..1]),
        ] {
            let replicate = dmuc(
                "replicate",
                &format!("source='{source}'"),
                &format!("<room id='{id}'/>"),
            );
            self.one.asks(ONE, CHAT, &replicate).await?;
            let settings = config("A lonely place", 2, shadows);
            self.one.asks(source, shadow, &settings).await?;
            let people = people("doctor", "doctor@marlowe.lit", "mute");
            let flags = "affiliations='true' settings='2' term='0'";
            self.one
                .asks(source, shadow, &roster(&format!("{people}{list}"), flags))
                .await?;
            self.crone.join(shadow, "firstcrone").await?;
            self.beldam.join(shadow, "beldam").await?;
            self.faust.join(shadow, "faust").await?;
        }
        let news = dmuc("peerhost", &format!("jid='{TWO}'"), "<room id='heath'/>");
        self.one.asks(ONE, CHAT, &news).await?;
        let people = people("wagner", "wagner@faustus.lit", "dumb");
        self.two
            .asks(HEATH_AT_TWO, HEATH_HERE, &roster(&people, ""))
            .await?;
        eventually("the heath has both instances", || async {
            Ok(instances(&self.fed, 0, HEATH_HERE).await? == [HEATH, HEATH_AT_TWO])
        })
        .await
    }

    /// People whom somebody here has invited may decline.
    async fn invites(&self) -> Result<()> {
        for (room, user) in [
            (SOURCE, "doctor@marlowe.lit"),
            (HEATH_HERE, "doctor@marlowe.lit"),
            (HEATH_HERE, "wagner@faustus.lit"),
        ] {
            self.crone
                .send_xml(&format!(
                    "<message to='{room}'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{user}'/></x></message>"
                ))
                .await?;
        }
        Ok(())
    }

    /// Whatever was sent to and from anybody has been taken.
    pub async fn settles(&self) -> Result<()> {
        for _ in 0..2 {
            for service in [&self.one, &self.two, &self.three, &self.stranger, &self.other] {
                let host = service.wire.host();
                let ping =
                    format!("<iq type='get' from='{host}' to='{CHAT}'><ping xmlns='urn:xmpp:ping'/></iq>");
                service.wire.iq_xml(&ping).await?;
            }
            for client in [&self.crone, &self.beldam, &self.faust] {
                client.sync().await?;
            }
            // A stanza of another server's user comes in a stream of its own.
            let ping = format!("<iq type='get' to='{CHAT}'><ping xmlns='urn:xmpp:ping'/></iq>");
            self.faust.iq_xml(&ping).await?;
        }
        Ok(())
    }

    /// Everything that is known of every room, and nobody has anything left in the inbox.
    pub async fn state(&self) -> Result<Value> {
        self.settles().await?;
        let state = self.fed[0].eval(&STATE.replace("MUC", CHAT)).await?;
        ensure!(
            state.get(SOURCE).is_some() && state.get(HEATH_HERE).is_some(),
            "{state:#}"
        );
        for client in [&self.crone, &self.beldam, &self.faust] {
            client.drain();
        }
        for service in [&self.one, &self.two, &self.three, &self.stranger, &self.other] {
            service.wire.drain_matching(|s| !is_request(s));
        }
        Ok(state)
    }

    /// Nothing has changed, and nobody here was told anything.
    pub async fn is_unmoved(&self, before: &Value) -> Result<()> {
        self.settles().await?;
        let told = self.crone.drain_matching(|s| s.name() != "iq");
        let told: Vec<String> = told.iter().map(to_string).collect();
        ensure!(told.is_empty(), "people were told:\n{}", told.join("\n"));
        let after = self.state().await?;
        for (room, was) in before.as_object().context("rooms")? {
            for (what, was) in was.as_object().into_iter().flatten() {
                let is = after.get(room).and_then(|room| room.get(what));
                ensure!(Some(was) == is, "{room}: {what} was\n{was:#}\nand is\n{is:#?}");
            }
        }
        ensure!(*before == after, "there are other rooms: {before:#}\n{after:#}");
        Ok(())
    }
}

/// The condition of an error, or its type.
pub fn verdict(answer: &Element) -> String {
    let kind = answer.attr("type").unwrap_or("none");
    match error_condition(answer) {
        Some(condition) if kind == "error" => condition,
        _ => kind.to_owned(),
    }
}

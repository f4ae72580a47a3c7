//! The testbed itself works: servers federate, clients talk, links break and heal, servers die and return.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use dmuc_testbed::{Element, Federation, Line, Storage, Version, body, on_every_version, stanza};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const ROOM: &str = "coven@chat.shakespeare.lit";

async fn start(label: &str, version: Version, storage: Storage) -> Result<Federation> {
    Federation::builder()
        .label(label)
        .version(version)
        .storage(storage)
        .start()
        .await
}

fn is_from(nick: &str) -> impl Fn(&Element) -> bool {
    let from = format!("{ROOM}/{nick}");
    move |s| s.attr("from") == Some(&*from)
}

async fn users_of_three_servers_talk(version: Version, storage: Storage) -> Result<()> {
    let fed = start("talk", version, storage).await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    let witch = fed[1].client("wiccarocks", "laptop").await?;
    let faust = fed[2].client("faust", "study").await?;
    let config = [
        ("muc#roomconfig_roomname", "A Dark Cave"),
        ("muc#roomconfig_publicroom", "1"),
    ];
    let created = crone.create_room(ROOM, "firstcrone", &config).await?;
    assert_eq!(created.own_nick(), "firstcrone");
    crone
        .say_and_see(ROOM, "Thrice the brinded cat hath mew'd.")
        .await?;
    let joined = witch.join(ROOM, "secondwitch").await?;
    assert_eq!(joined.nicks(), ["firstcrone"]);
    assert_eq!(joined.history_bodies(), ["Thrice the brinded cat hath mew'd."]);
    assert_eq!(faust.join(ROOM, "faust").await?.nicks().len(), 2);
    let taken = faust.try_join(ROOM, "firstcrone").await?;
    assert_eq!(taken.expect_err("the nick is taken").condition, "conflict");

    fed.settle(1).await?;
    fed.reset_stats().await?;
    let id = witch.say(ROOM, "Thrice and once the hedge-pig whined.").await?;
    for client in [&crone, &witch, &faust] {
        let message = client
            .expect_body("Thrice and once the hedge-pig whined.")
            .await?;
        assert_eq!(message.attr("id"), Some(&*id));
    }
    let stats = fed.stats().await?;
    assert_eq!(
        stats.link("macbeth.lit", "chat.shakespeare.lit").message.stanzas,
        1
    );
    let reflected = stats.link("chat.shakespeare.lit", "macbeth.lit").message;
    assert_eq!(reflected.stanzas, 1);
    assert!((200..1500).contains(&reflected.bytes), "{reflected:?}");
    assert_eq!(stats.delivered.get("message"), Some(&3));
    assert!(fed[0].stats().await?.cpu_s > 0.0);

    assert_eq!(
        witch
            .mam_pages(ROOM, 1)
            .await?
            .iter()
            .filter_map(|i| body(&i.message))
            .count(),
        2
    );
    assert_eq!(crone.self_ping(ROOM, "firstcrone").await?, None);
    witch.say_privately(ROOM, "faust", "Bubble, bubble").await?;
    faust.expect_body("Bubble, bubble").await?;
    let version_of = format!("<iq type='get' to='{ROOM}/faust'><query xmlns='jabber:iq:version'/></iq>");
    witch.iq_ok(&version_of).await?;
    let (renamed, _) = witch.change_nick(ROOM, "oldhag").await?;
    assert!(is_from("secondwitch")(&renamed));
    crone.set_affiliation(ROOM, faust.bare_jid(), "member").await?;
    assert_eq!(crone.affiliated(ROOM, "member").await?, [faust.bare_jid()]);
    crone.kick(ROOM, "faust").await?;
    faust
        .expect("being kicked", |s| dmuc_testbed::code_list(s).contains(&307))
        .await?;
    witch.leave(ROOM, "oldhag").await?;
    crone.sync().await?;
    let gone = crone.drain_matching(|s| is_from("oldhag")(s) && s.attr("type") == Some("unavailable"));
    assert_eq!(gone.len(), 1);
    assert!(witch.disco_info("chat.shakespeare.lit").await?.children().count() > 3);
    assert!(
        witch
            .disco_items("chat.shakespeare.lit")
            .await?
            .children()
            .any(|i| i.attr("jid") == Some(ROOM))
    );
    faust.close().await?;
    fed.finish().await
}

on_every_version! {
    fn users_of_three_servers_talk(version) {
        users_of_three_servers_talk(version, Storage::Internal).await
    }

    fn users_of_three_servers_talk_with_sqlite(version) {
        users_of_three_servers_talk(version, Storage::Sqlite).await
    }
}

#[tokio::test]
async fn links_can_be_cut_stalled_delayed_and_healed() -> Result<()> {
    let fed = Federation::builder().label("links").servers(2).start().await?;
    let witch = fed[1].client("wiccarocks", "laptop").await?;
    let ping = format!(
        "<iq type='get' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
        fed[0].domain()
    );
    witch.iq_ok(&ping).await?;
    assert_eq!(fed.link_one_way(1, 0).connections(), 1);
    assert!(fed.link(0, 1).bytes() > 1000);

    fed.link(0, 1).cut().await;
    fed[1].wait_for_log("s2sout.*(closed|disconnected)").await?;
    let refused = witch.iq_xml(&ping).await?;
    assert_eq!(
        dmuc_testbed::error_condition(&refused).as_deref(),
        Some("remote-server-not-found")
    );
    fed.link(0, 1).heal().await;
    witch.iq_ok(&ping).await?;

    let before = fed.link(0, 1).bytes();
    fed.link(0, 1).stall().await;
    let mut late = stanza(&ping)?;
    dmuc_testbed::set_attr(&mut late, "id", "late")?;
    witch.send(late).await?;
    witch.sync().await?;
    assert_eq!(fed.link(0, 1).bytes(), before);
    fed.link(0, 1).heal().await;
    witch
        .expect("the answer that was held up", |s| s.attr("id") == Some("late"))
        .await?;

    let lag = Duration::from_millis(100);
    fed.link(0, 1).delay(lag).await;
    let start = std::time::Instant::now();
    witch.iq_ok(&ping).await?;
    assert!(start.elapsed() >= 2 * lag, "{:?}", start.elapsed());
    fed.link(0, 1).heal().await;

    fed.link_one_way(1, 0).swallow().await;
    witch.send_xml(&ping).await?;
    let deadline = std::time::Instant::now() + dmuc_testbed::deadline();
    while fed.link_one_way(1, 0).lost() == 0 {
        anyhow::ensure!(std::time::Instant::now() < deadline, "nothing was swallowed");
        witch.sync().await?;
    }
    let mark = fed[1].log().mark();
    fed.link(0, 1).heal().await;
    fed[1]
        .log()
        .wait_since(mark, "s2sout.*(closed|disconnected)", dmuc_testbed::deadline())
        .await?;
    witch.iq_ok(&ping).await?;
    fed.finish().await
}

async fn servers_die_and_come_back(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .label("restart")
        .version(version)
        .servers(2)
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .create_room(ROOM, "firstcrone", &[("muc#roomconfig_persistentroom", "1")])
        .await?;
    crone.say_and_see(ROOM, "When shall we three meet again?").await?;
    fed[0].crash().await?;
    crone.closed().await?;
    assert!(crone.sync().await.is_err());
    let crone = fed[0].client("crone1", "desktop").await?;
    crone.join(ROOM, "firstcrone").await?;
    assert_eq!(
        crone
            .mam_all(ROOM)
            .await?
            .iter()
            .filter_map(|i| body(&i.message))
            .count(),
        1
    );
    fed[0].restart().await?;

    fed[1].pause()?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .send_xml("<iq type='get' to='macbeth.lit' id='slow'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await?;
    crone.sync().await?;
    assert!(crone.peek().is_empty());
    fed[1].resume()?;
    crone
        .expect("the answer of a server that slept", |s| {
            s.attr("id") == Some("slow")
        })
        .await?;

    fed[0].load_module(fed[0].domain(), "lastactivity").await?;
    assert!(fed[0].is_loaded(fed[0].domain(), "lastactivity").await?);
    fed[0].reload_module(fed[0].domain(), "lastactivity").await?;
    fed[0].unload_module(fed[0].domain(), "lastactivity").await?;
    assert!(!fed[0].is_loaded(fed[0].domain(), "lastactivity").await?);
    assert!(fed[0].eval("error('provoked')").await.is_err());
    fed.finish().await
}

on_every_version! {
    fn servers_die_and_come_back(version) {
        servers_die_and_come_back(version).await
    }
}

#[tokio::test]
async fn a_component_says_what_it_is_told() -> Result<()> {
    let fed = Federation::builder()
        .label("component")
        .servers(2)
        .component(1, "theatre.macbeth.lit", "hush")
        .start()
        .await?;
    let theatre = fed[1].component("theatre.macbeth.lit").await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone
        .send_xml("<message to='stage@theatre.macbeth.lit/left'><body>Hail!</body></message>")
        .await?;
    let hail = theatre
        .expect("a message", |s| body(s).as_deref() == Some("Hail!"))
        .await?;
    assert_eq!(hail.attr("from"), Some(crone.jid()));
    theatre
        .send_xml(&format!(
            "<message from='stage@theatre.macbeth.lit' to='{}'><body>Hail to thee!</body></message>",
            crone.jid()
        ))
        .await?;
    crone.expect_body("Hail to thee!").await?;
    let answer = theatre
        .iq_xml("<iq type='get' from='theatre.macbeth.lit' to='shakespeare.lit'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await?;
    assert_eq!(answer.attr("type"), Some("result"));
    fed.finish().await
}

#[test]
fn every_version_belongs_to_one_line_and_has_a_name() -> Result<()> {
    let lines = [Line::V0_12, Line::V13, Line::Newest];
    let in_lines: Vec<Version> = lines.into_iter().flat_map(Line::found).collect();
    assert_eq!(in_lines, Version::all());
    for version in Version::all() {
        assert_eq!(Version::named(version.number())?, *version);
    }
    assert_eq!(Version::named("newest")?, Version::newest());
    // 13.0.1 does not begin with "13.0." and half a number.
    assert!(Version::named("1").is_err() && Version::named("").is_err());
    Ok(())
}

#[tokio::test]
async fn servers_of_every_version_federate() -> Result<()> {
    let versions = Version::all();
    let mut builder = Federation::builder().label("mixed").servers(versions.len());
    for (index, version) in versions.iter().enumerate() {
        builder = builder.with_server(index, |s| s.version = *version);
    }
    let fed = builder.start().await?;
    fed.settle(2).await?;
    fed.finish().await
}

/// Not a test of its own: the process that [`servers_die_with_their_owner`] kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn an_owner_that_will_be_killed() -> Result<()> {
    let fed = Federation::builder().label("orphans").servers(2).start().await?;
    fed[1].pause()?;
    let pids: Vec<String> = fed
        .servers()
        .iter()
        .filter_map(|s| s.pid())
        .map(|p| p.to_string())
        .collect();
    println!("\npids {}", pids.join(" "));
    std::future::pending().await
}

#[test]
fn servers_die_with_their_owner() -> Result<()> {
    let mut owner = Command::new(std::env::current_exe()?)
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "an_owner_that_will_be_killed",
        ])
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(owner.stdout.take().expect("piped")).lines();
    let pids: Vec<OwnedFd> = lines
        .map_while(Result::ok)
        .find_map(|line| {
            line.strip_prefix("pids ").map(|l| {
                l.split(' ')
                    .map(|p| p.parse().expect("a pid"))
                    .collect::<Vec<i32>>()
            })
        })
        .expect("the owner starts its servers")
        .into_iter()
        .map(|pid| pidfd_open(Pid::from_raw(pid).expect("not zero"), PidfdFlags::empty()))
        .collect::<Result<_, _>>()?;
    assert_eq!(pids.len(), 2);
    owner.kill()?;
    owner.wait()?;
    for pid in &pids {
        let ten_seconds = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        let ended = poll(&mut [PollFd::new(pid, PollFlags::IN)], Some(&ten_seconds))?;
        assert_eq!(ended, 1, "a server outlived its owner");
    }
    Ok(())
}

#[tokio::test]
async fn rejoining_does_not_mistake_old_messages_for_history() -> Result<()> {
    let fed = Federation::builder().label("rejoin").servers(1).start().await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone.join(ROOM, "firstcrone").await?;
    crone.say(ROOM, "Double, double").await?;
    crone.sync().await?;
    let again = crone
        .join_with(ROOM, "firstcrone", "<history maxstanzas='0'/>")
        .await??;
    assert_eq!(again.history_bodies(), Vec::<String>::new());
    crone.expect_body("Double, double").await?;
    fed.finish().await
}

#[tokio::test]
async fn a_transcript_has_what_was_taken_and_an_archive_is_paged_from_where_one_was() -> Result<()> {
    let fed = Federation::builder()
        .label("transcript")
        .servers(1)
        .start()
        .await?;
    let crone = fed[0].client("crone1", "desktop").await?;
    crone.create_room(ROOM, "firstcrone", &[]).await?;
    assert_eq!(crone.transcript().len(), 0);
    crone.keep_transcript();
    let has = |all: &[Element], text: &str| all.iter().any(|s| body(s).as_deref() == Some(text));
    crone.say_and_see(ROOM, "one").await?;
    let seen = crone.mam_all(ROOM).await?;
    crone.say(ROOM, "two").await?;
    crone
        .until("two is there", dmuc_testbed::deadline(), |all| has(all, "two"))
        .await?;
    crone.expect_body("two").await?;
    assert!(crone.with_transcript(|all| has(all, "one") && has(all, "two")));
    let never = crone.until("three is there", Duration::from_millis(50), |all| {
        has(all, "three")
    });
    assert!(never.await.is_err());
    for text in ["three", "four", "five"] {
        crone.say_and_see(ROOM, text).await?;
    }
    let last = seen.last().map(|item| &*item.id);
    let rest = crone.mam_after(ROOM, last, 2).await?;
    let rest: Vec<_> = rest.iter().filter_map(|item| body(&item.message)).collect();
    assert_eq!(rest, ["two", "three", "four", "five"]);
    assert!(!crone.is_closed());
    fed[0].kill().await?;
    crone.closed().await?;
    assert!(crone.is_closed());
    let closed = crone.until("a sixth is there", dmuc_testbed::deadline(), |all| {
        has(all, "six")
    });
    assert!(closed.await.is_err());
    fed.finish().await
}

#[tokio::test]
async fn a_link_that_is_open_again_is_as_slow_as_before() -> Result<()> {
    let fed = Federation::builder().label("reopen").servers(2).start().await?;
    let witch = fed[1].client("wiccarocks", "laptop").await?;
    let ping = format!(
        "<iq type='get' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>",
        fed[0].domain()
    );
    let lag = Duration::from_millis(50);
    fed.delay_all(lag).await;
    fed.link(0, 1).cut().await;
    let refused = witch.iq_xml(&ping).await?;
    assert_eq!(refused.attr("type"), Some("error"));
    fed.link(0, 1).reopen().await;
    witch.iq_ok(&ping).await?;
    let start = std::time::Instant::now();
    witch.iq_ok(&ping).await?;
    assert!(start.elapsed() >= 2 * lag, "{:?}", start.elapsed());
    fed.finish().await
}

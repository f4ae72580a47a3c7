//! Ad-hoc commands (XEP-0050): administrators use those of the service, owners those of their room, at its source and at a shadow,
//! by either address. Nobody else does; what is wrong is answered as the XEP says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Client, Element, Federation, Storage, Version, on_every_version, scaled, to_string};
use tokio::time::{Instant, sleep};

use crate::shell::shows;
use crate::support::{MACBETH, SOURCE, distributed, eventually, three};

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const DATA: &str = "jabber:x:data";
const PREFIX: &str = "urn:x-dmuc:0#";
const MARLOWE_SERVICE: &str = "conference.marlowe.lit";

/// What a command was answered.
pub struct Said(Element);

impl Said {
    fn command(&self) -> Result<&Element> {
        let command = self.0.get_child("command", COMMANDS);
        command.with_context(|| to_string(&self.0))
    }

    fn status(&self) -> Result<&str> {
        self.command()?.attr("status").context("a status")
    }

    fn session(&self) -> Result<String> {
        Ok(self.command()?.attr("sessionid").context("a session")?.to_owned())
    }

    /// The kind of a note, and what it says.
    fn note(&self) -> Result<(String, String)> {
        let note = self.command()?.get_child("note", COMMANDS);
        let note = note.with_context(|| to_string(&self.0))?;
        Ok((note.attr("type").unwrap_or("info").to_owned(), note.text()))
    }

    pub fn form(&self) -> Result<&Element> {
        self.command()?
            .get_child("x", DATA)
            .with_context(|| to_string(&self.0))
    }

    fn options(&self, var: &str) -> Result<Vec<String>> {
        let mut fields = self
            .form()?
            .children()
            .filter(|field| field.attr("var") == Some(var));
        let field = fields.next().with_context(|| to_string(&self.0))?;
        let options = field.children().filter(|child| child.name() == "option");
        Ok(options
            .filter_map(|option| Some(option.get_child("value", DATA)?.text()))
            .collect())
    }

    /// The stanza error's condition, and the XEP's own.
    fn error(&self) -> Result<(String, Option<String>)> {
        let error = self.0.children().find(|child| child.name() == "error");
        let error = error.with_context(|| to_string(&self.0))?;
        let of = |is_own: bool| {
            let mut found = error
                .children()
                .filter(|child| child.name() != "text" && child.has_ns(COMMANDS) == is_own);
            found.next().map(|child| child.name().to_owned())
        };
        Ok((of(false).context("a condition")?, of(true)))
    }

    fn expect_error(&self, condition: &str, own: Option<&str>) -> Result<()> {
        let (found, found_own) = self.error()?;
        ensure!(
            found == condition && found_own.as_deref() == own,
            "{condition} {own:?}, not {}",
            to_string(&self.0)
        );
        Ok(())
    }

    pub fn expect_done(&self, kind: &str, words: &str) -> Result<()> {
        let (found, text) = self.note()?;
        ensure!(
            self.status()? == "completed" && found == kind && text.contains(words),
            "{kind} {words}, not {}",
            to_string(&self.0)
        );
        Ok(())
    }
}

fn submit(fields: &[(&str, &[&str])]) -> String {
    let fields: String = fields
        .iter()
        .map(|(var, values)| {
            let values: String = values
                .iter()
                .map(|value| format!("<value>{value}</value>"))
                .collect();
            format!("<field var='{var}'>{values}</field>")
        })
        .collect();
    format!("<x xmlns='{DATA}' type='submit'>{fields}</x>")
}

async fn command(client: &Client, to: &str, node: &str, attrs: &str, payload: &str) -> Result<Said> {
    let xml = format!(
        "<iq type='set' to='{to}'><command xmlns='{COMMANDS}' node='{PREFIX}{node}' {attrs}>{payload}</command></iq>"
    );
    let answer = client.iq_xml(&xml).await?;
    ensure!(
        answer.attr("from") == Some(to),
        "from {to}: {}",
        to_string(&answer)
    );
    Ok(Said(answer))
}

async fn begin(client: &Client, to: &str, node: &str) -> Result<Said> {
    command(client, to, node, "action='execute'", "").await
}

/// The command as a person does it who chooses these, one step after the other.
pub async fn run(client: &Client, to: &str, node: &str, steps: &[&[(&str, &[&str])]]) -> Result<Said> {
    let mut said = begin(client, to, node).await?;
    for fields in steps {
        ensure!(said.status()? == "executing", "{node}: {}", to_string(&said.0));
        let attrs = format!("sessionid='{}'", said.session()?);
        said = command(client, to, node, &attrs, &submit(fields)).await?;
    }
    Ok(said)
}

pub async fn nodes(client: &Client, to: &str) -> Result<Vec<String>> {
    let query = format!(
        "<iq type='get' to='{to}'><query xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/></iq>"
    );
    let answer = client.iq_ok(&query).await?;
    let query = answer.children().next().context("a query")?;
    query
        .children()
        .map(|item| {
            ensure!(item.attr("jid") == Some(to), "{}", to_string(&answer));
            Ok(item.attr("node").context("a node")?.to_owned())
        })
        .collect()
}

async fn info(client: &Client, to: &str, node: &str) -> Result<Said> {
    let query = format!(
        "<iq type='get' to='{to}'><query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>"
    );
    Ok(Said(client.iq_xml(&query).await?))
}

async fn has_feature(client: &Client, to: &str) -> Result<bool> {
    let info = client.disco_info(to).await?;
    Ok(to_string(&info).contains(&format!("var=\"{COMMANDS}\""))
        || to_string(&info).contains(&format!("var='{COMMANDS}'")))
}

/// The coven at three services, crone1 an administrator of the first; an owner and a guest at the shadow.
async fn coven(label: &str, version: Version) -> Result<(Federation, Client, Client, Client)> {
    let mut builder = three(label, version, Storage::Internal)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3")
        .muc_line("admins = { \"crone1@shakespeare.lit\" }");
    for server in 0..3 {
        builder = builder.with_server(server, |spec| spec.modules.push("admin_shell".to_owned()));
    }
    let fed = builder.start().await?;
    let crone = distributed(&fed, &[]).await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "owner")
        .await?;
    let witch = fed[1].client("somewitch", "mobile").await?;
    witch.join(MACBETH, "firstwitch").await?;
    let guest = fed[1].client("lennox", "castle").await?;
    guest.join(MACBETH, "guest").await?;
    eventually("the shadow has its owner", || async {
        Ok(witch
            .affiliated(MACBETH, "owner")
            .await
            .is_ok_and(|list| list.len() == 2))
    })
    .await?;
    Ok((fed, crone, witch, guest))
}

async fn administrators(version: Version) -> Result<()> {
    let (fed, crone, witch, _guest) = coven("adhoc-admin", version).await?;
    let service = "chat.shakespeare.lit";
    let listed = nodes(&crone, service).await?;
    for name in [
        "rooms",
        "room",
        "links",
        "check",
        "sync",
        "replicate",
        "retract",
        "hand-over",
        "take-over",
        "force",
        "follow",
        "leave",
        "forget",
        "parked",
        "refusals",
    ] {
        ensure!(listed.contains(&format!("{PREFIX}{name}")), "{name}: {listed:?}");
    }
    ensure!(
        !nodes(&witch, service)
            .await?
            .iter()
            .any(|node| node.starts_with(PREFIX)),
        "nobody else is offered them"
    );
    begin(&witch, service, "rooms")
        .await?
        .expect_error("forbidden", None)?;
    info(&witch, service, &format!("{PREFIX}rooms"))
        .await?
        .expect_error("forbidden", None)?;

    let rooms = run(&crone, service, "rooms", &[&[]]).await?;
    rooms.expect_done("info", "1 distributed room")?;
    let table = to_string(rooms.form()?);
    ensure!(
        table.contains(SOURCE) && table.contains("A Dark Cave") && table.contains("reported"),
        "{table}"
    );
    let room = run(&crone, service, "room", &[&[("jid", &[SOURCE])]]).await?;
    room.expect_done("info", "2 of 2 other instances in step")?;
    let checked = run(&crone, service, "check", &[&[]]).await?;
    checked.expect_done("info", "No problems found")?;

    // Two choices, a step back, and another.
    let first = begin(&crone, service, "retract").await?;
    ensure!(first.options("jid")? == [SOURCE], "{}", to_string(&first.0));
    let attrs = format!("sessionid='{}'", first.session()?);
    let second = command(&crone, service, "retract", &attrs, &submit(&[("jid", &[SOURCE])])).await?;
    ensure!(
        second.options("service")?.contains(&MARLOWE_SERVICE.to_owned()),
        "{}",
        to_string(&second.0)
    );
    let back = command(&crone, service, "retract", &format!("{attrs} action='prev'"), "").await?;
    ensure!(back.options("jid")? == [SOURCE], "{}", to_string(&back.0));
    command(&crone, service, "retract", &format!("{attrs} action='prev'"), "")
        .await?
        .expect_error("bad-request", Some("bad-action"))?;
    command(
        &crone,
        service,
        "retract",
        &format!("{attrs} action='next'"),
        &submit(&[("jid", &[SOURCE])]),
    )
    .await?;
    let done = command(
        &crone,
        service,
        "retract",
        &format!("{attrs} action='complete'"),
        &submit(&[("service", &[MARLOWE_SERVICE])]),
    )
    .await?;
    done.expect_done("info", "has no instance at conference.marlowe.lit")?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "1 of 1"]).await?;

    // Force asks whether that is meant.
    let force = run(&crone, service, "force", &[&[("jid", &[SOURCE])]]).await?;
    ensure!(
        to_string(force.form()?).contains("may be lost"),
        "{}",
        to_string(&force.0)
    );
    let attrs = format!("sessionid='{}'", force.session()?);
    command(&crone, service, "force", &attrs, &submit(&[("word", &["no"])]))
        .await?
        .expect_done("info", "Nothing was changed")?;
    // What cannot be done is told in words.
    run(&crone, service, "leave", &[&[("jid", &[SOURCE])]])
        .await?
        .expect_done("error", "is the source of the room")?;
    fed.finish().await
}

async fn owners(version: Version) -> Result<()> {
    let (fed, crone, witch, guest) = coven("adhoc-owner", version).await?;
    // By the shadow's own address, and by that of the source, which is served here.
    for (room, client) in [(MACBETH, &witch), (SOURCE, &witch), (SOURCE, &crone)] {
        let listed = nodes(client, room).await?;
        for name in ["services", "sync", "replicate", "retract", "succession", "voters"] {
            ensure!(listed.contains(&format!("{PREFIX}{name}")), "{name}: {listed:?}");
        }
        ensure!(has_feature(client, room).await?, "{room}");
        let node = info(client, room, &format!("{PREFIX}services")).await?;
        ensure!(
            to_string(&node.0).contains("command-node"),
            "{}",
            to_string(&node.0)
        );
        let said = begin(client, room, "services").await?;
        said.expect_done("info", "other instances in step")?;
        let table = to_string(said.form()?);
        ensure!(
            table.contains(MARLOWE_SERVICE) && table.contains("rooms.macbeth.lit"),
            "{table}"
        );
    }
    // Nobody else may, or sees that there is anything.
    ensure!(
        nodes(&guest, MACBETH).await?.is_empty(),
        "a guest is offered nothing"
    );
    ensure!(!has_feature(&guest, MACBETH).await?, "a guest sees no feature");
    for room in [MACBETH, SOURCE] {
        begin(&guest, room, "retract")
            .await?
            .expect_error("forbidden", None)?;
        info(&guest, room, &format!("{PREFIX}retract"))
            .await?
            .expect_error("forbidden", None)?;
    }
    begin(&witch, MACBETH, "dance")
        .await?
        .expect_error("item-not-found", None)?;

    // An owner at a shadow has the source drop a service, and take it in again: by the other address.
    let dropped = run(&witch, SOURCE, "retract", &[&[("service", &[MARLOWE_SERVICE])]]).await?;
    dropped.expect_done(
        "info",
        "conference.marlowe.lit has no instance of this room any more",
    )?;
    shows(
        &fed,
        0,
        &format!("dmuc:room(\"{SOURCE}\")"),
        &[MARLOWE_SERVICE, "was retracted"],
    )
    .await?;
    let added = run(
        &witch,
        MACBETH,
        "replicate",
        &[&[("service", &[MARLOWE_SERVICE])]],
    )
    .await?;
    added.expect_done("info", "is asked to hold an instance")?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "2 of 2"]).await?;
    run(&witch, MACBETH, "replicate", &[&[("service", &["chat.kyd.lit"])]])
        .await?
        .expect_done("error", "dmuc_peers does not name")?;
    // At the source they are chosen.
    let choice = begin(&crone, SOURCE, "replicate").await?;
    ensure!(
        choice.options("service")? == [MARLOWE_SERVICE, "rooms.macbeth.lit"],
        "{}",
        to_string(&choice.0)
    );
    let again = run(
        &crone,
        SOURCE,
        "replicate",
        &[&[("service", &["rooms.macbeth.lit"])]],
    )
    .await?;
    again.expect_done("info", "rooms.macbeth.lit is asked")?;

    // A source that is out of reach is told, and nothing happens.
    fed.link(0, 1).cut().await;
    shows(&fed, 1, "dmuc:links()", &["chat.shakespeare.lit", "down"]).await?;
    run(&witch, MACBETH, "retract", &[&[("service", &[MARLOWE_SERVICE])]])
        .await?
        .expect_done("error", "cannot be reached")?;
    fed.finish().await
}

/// The second step of taking a service out, at the shadow.
async fn goes_on(client: &Client, attrs: &str) -> Result<Said> {
    let chosen = submit(&[("service", &[MARLOWE_SERVICE])]);
    command(client, MACBETH, "retract", attrs, &chosen).await
}

async fn sessions(version: Version) -> Result<()> {
    let (fed, crone, witch, _guest) = coven("adhoc-sessions", version).await?;
    let none = "sessionid='nothing'";
    command(&witch, MACBETH, "retract", none, &submit(&[]))
        .await?
        .expect_error("bad-request", Some("bad-sessionid"))?;
    command(&witch, MACBETH, "retract", "action='dance'", "")
        .await?
        .expect_error("bad-request", Some("malformed-action"))?;
    command(&witch, MACBETH, "retract", "action='prev'", "")
        .await?
        .expect_error("bad-request", Some("bad-action"))?;

    let said = begin(&witch, MACBETH, "retract").await?;
    let attrs = format!("sessionid='{}'", said.session()?);
    // Of another command, of another person.
    for (client, room, node) in [(&witch, MACBETH, "replicate"), (&crone, SOURCE, "retract")] {
        command(
            client,
            room,
            node,
            &attrs,
            &submit(&[("service", &[MARLOWE_SERVICE])]),
        )
        .await?
        .expect_error("bad-request", Some("bad-sessionid"))?;
    }
    for payload in [
        String::new(),
        submit(&[]),
        submit(&[("service", &["chat.kyd.lit"])]),
    ] {
        command(&witch, MACBETH, "retract", &attrs, &payload)
            .await?
            .expect_error("bad-request", Some("bad-payload"))?;
    }
    let canceled = command(
        &witch,
        MACBETH,
        "retract",
        &format!("{attrs} action='cancel'"),
        "",
    )
    .await?;
    ensure!(canceled.status()? == "canceled", "{}", to_string(&canceled.0));
    goes_on(&witch, &attrs)
        .await?
        .expect_error("bad-request", Some("bad-sessionid"))?;

    // The oldest of one person's many ends.
    let oldest = begin(&witch, MACBETH, "retract").await?;
    for _ in 0..10 {
        begin(&witch, MACBETH, "retract").await?;
    }
    let attrs = format!("sessionid='{}'", oldest.session()?);
    goes_on(&witch, &attrs)
        .await?
        .expect_error("not-allowed", Some("session-expired"))?;
    // Who is an owner no more goes no further.
    let said = begin(&witch, MACBETH, "retract").await?;
    crone
        .set_affiliation(SOURCE, "somewitch@macbeth.lit", "member")
        .await?;
    eventually("the shadow knows", || async {
        Ok(nodes(&witch, MACBETH).await?.is_empty())
    })
    .await?;
    let attrs = format!("sessionid='{}'", said.session()?);
    goes_on(&witch, &attrs).await?.expect_error("forbidden", None)?;
    shows(&fed, 0, "dmuc:rooms()", &[SOURCE, "2 of 2"]).await?;
    fed.finish().await
}

async fn compared(version: Version) -> Result<()> {
    let (fed, crone, witch, _guest) = coven("adhoc-diff", version).await?;
    crone.say(SOURCE, "Is all the same?").await?;
    witch.expect_body("Is all the same?").await?;
    let diff = format!("dmuc:diff(\"{SOURCE}\")");
    shows(
        &fed,
        0,
        &diff,
        &["2 of 2 other instances the same as here", "0 with differences"],
    )
    .await?;
    let data = fed[0]
        .shell(&format!("dmuc:diff(\"{SOURCE}\", \"json\")"))
        .await?
        .json()?;
    ensure!(data["room"] == SOURCE, "{data}");
    for one in data["differences"].as_array().into_iter().flatten() {
        for part in ["people", "list", "settings", "subject", "messages"] {
            ensure!(one[part] == "same", "{part}: {data}");
        }
    }
    let service = run(&crone, "chat.shakespeare.lit", "diff", &[&[("jid", &[SOURCE])]]).await?;
    service.expect_done("info", "2 of 2 other instances the same as here")?;
    // An owner at the shadow, by either address.
    for room in [MACBETH, SOURCE] {
        begin(&witch, room, "diff")
            .await?
            .expect_done("info", "2 of 2 other instances the same as here")?;
    }
    // What is changed while the link is down is not there.
    fed.link(0, 1).cut().await;
    shows(&fed, 0, "dmuc:links()", &["rooms.macbeth.lit", "down"]).await?;
    crone
        .set_subject(SOURCE, "Something wicked this way comes")
        .await?;
    for words in [
        [MACBETH, "differs"],
        ["1 of 2 other instances the same as here", "1 with differences"],
    ] {
        shows(&fed, 0, &diff, &words).await?;
    }
    let data = fed[0]
        .shell(&format!("dmuc:diff(\"{SOURCE}\", \"json\")"))
        .await?
        .json()?;
    let all = data["differences"].as_array().cloned().unwrap_or_default();
    let there = all
        .iter()
        .find(|one| one["instance"] == MACBETH)
        .context("the shadow")?;
    ensure!(there["subject"] == "differs" && there["list"] == "same", "{data}");
    fed.link(0, 1).heal().await;
    // When the link has been found open, and a question that was lost with it is given up.
    let (same, until) = (
        "2 of 2 other instances the same as here",
        Instant::now() + scaled(Duration::from_secs(90)),
    );
    loop {
        if fed[0].shell(&diff).await?.has(&[same]) {
            break;
        }
        ensure!(Instant::now() < until, "they do not become the same again");
        sleep(Duration::from_millis(500)).await;
    }
    let said = fed[0]
        .prosodyctl(&["shell", "dmuc", "diff", "heath@chat.shakespeare.lit"])
        .await?;
    ensure!(
        said.status != 0 && said.err.contains("is not distributed"),
        "{said:?}"
    );
    fed.finish().await
}

on_every_version! {
    fn what_instances_do_not_have_alike_is_told(version) {
        compared(version).await
    }

    fn administrators_use_the_commands_of_the_shell_in_their_client(version) {
        administrators(version).await
    }

    fn owners_steer_their_room_from_every_instance_by_either_address(version) {
        owners(version).await
    }

    fn a_session_of_a_command_is_its_own(version) {
        sessions(version).await
    }
}

//! Rooms whose methods are not those that the module was written for: one line at start that names the method.

use anyhow::{Result, ensure};
use dmuc_testbed::{Federation, Server, Version, on_every_version};

const MUC: &str = "chat.shakespeare.lit";
/// The module of the testbed that changes them.
const OTHER: &str = "other_rooms";
const COMPLAINT: &str = "does not fit mod_dmuc";

async fn call(server: &Server, call: &str) -> Result<()> {
    let chunk = format!("return prosody.hosts['{MUC}'].modules.{OTHER}.{call}");
    server.eval(&chunk).await.map(|_| ())
}

/// Which events of the service the module has hooks in, by what it calls itself.
async fn hooks(server: &Server) -> Result<u64> {
    let chunk = format!(
        "local n = 0; for _, name in ipairs {{ 'muc-broadcast-message', 'muc-occupant-pre-change', 'message/full', 'iq/bare' }} do \
         n = n + #(prosody.hosts['{MUC}'].events.get_handlers(name) or {{}}); end return n"
    );
    Ok(server.eval(&chunk).await?.as_u64().unwrap_or_default())
}

async fn refused(server: &Server, name: &str, line: &str) -> Result<()> {
    let mark = server.log().mark();
    let before = hooks(server).await?;
    ensure!(
        server.load_module(MUC, "dmuc").await.is_err(),
        "{name}: it was loaded"
    );
    ensure!(!server.is_loaded(MUC, "dmuc").await?);
    let log = server.log();
    log.wait_since(mark, COMPLAINT, dmuc_testbed::deadline()).await?;
    let errors: Vec<String> = log
        .lines_since(mark)
        .into_iter()
        .filter(|line| line.contains("error\t"))
        .collect();
    ensure!(
        errors.len() == 1 && errors[0].contains(line),
        "{name}: {errors:#?}"
    );
    ensure!(hooks(server).await? == before, "{name}: it has left hooks behind");
    Ok(())
}

async fn other_methods(version: Version) -> Result<()> {
    let fed = Federation::builder()
        .servers(1)
        .label("methods")
        .version(version)
        .start()
        .await?;
    let server = &fed[0];
    server.load_module(MUC, OTHER).await?;
    for (name, parameters, line) in [
        // One has gone.
        (
            "set_role",
            "'actor, occupant_jid, role'",
            "room:set_role(actor, occupant_jid, role, reason) is room:set_role(actor, occupant_jid, role) here",
        ),
        // One has come.
        (
            "route_stanza",
            "'stanza, session'",
            "room:route_stanza(stanza) is room:route_stanza(stanza, session) here",
        ),
        // As many, in another order.
        (
            "set_affiliation",
            "'jid, actor, affiliation, reason, data'",
            "is room:set_affiliation(jid, actor, affiliation, reason, data) here",
        ),
        // What comes before the rest is another.
        (
            "publicise_occupant_status",
            "'nick, ...'",
            "is room:publicise_occupant_status(nick, ...) here",
        ),
        // One that is called, not replaced.
        (
            "handle_register_iq",
            "'stanza'",
            "room:handle_register_iq(origin, stanza) is room:handle_register_iq(stanza) here",
        ),
        (
            "send_occupant_list",
            "nil",
            "room:send_occupant_list(to, filter) is not there",
        ),
    ] {
        call(server, &format!("replace('{name}', {parameters})")).await?;
        refused(server, name, line).await?;
        call(server, "restore()").await?;
    }
    // What passes everything on fits.
    call(server, "replace('broadcast', '...')").await?;
    call(server, "replace('set_role', 'actor, ...')").await?;
    server.load_module(MUC, "dmuc").await?;
    // What is loaded stays.
    let mark = server.log().mark();
    call(server, "replace('build_item_list', 'occupant')").await?;
    server.reload_module(MUC, "dmuc").await?;
    let log = server.log();
    log.wait_since(mark, "It goes on as before", dmuc_testbed::deadline())
        .await?;
    log.wait_since(mark, "Loaded: ", dmuc_testbed::deadline()).await?;
    call(server, "restore()").await?;
    fed.finish_with_errors().await
}

on_every_version! {
    fn a_method_with_other_parameters_is_one_line_that_names_it(version) {
        other_methods(version).await
    }
}

//! The status page (`mod_http_dmuc`): who may see it, what it says of a link that is cut and heals, and how its streams end.

mod client;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use dmuc_testbed::{Builder, Storage, Version, deadline, on_every_version};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use self::client::{Ask, Stream, instance, json, link};
use crate::support::{MACBETH, SOURCE, distributed, eventually, three, two};

const TOKEN: &str = "round-about-the-cauldron-go";
/// An address that is not allowed by default.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 6);

/// Each server has the page; server 0 with these lines.
fn with_page(mut builder: Builder, servers: usize, lines: &[&str]) -> Builder {
    for server in 0..servers {
        builder = builder.with_server(server, |spec| spec.modules.push("http_dmuc".to_owned()));
    }
    builder.with_server(0, |spec| {
        spec.global_lines
            .extend(lines.iter().map(|line| (*line).to_owned()));
    })
}

async fn without_token(version: Version) -> Result<()> {
    let fed = with_page(
        two("page-near", version, Storage::Internal),
        1,
        // However lavish the administrator is otherwise.
        &[
            "http_cors_override = { dmuc = { enabled = true; credentials = true; origins = \"*\" } }",
            "http_default_host = \"shakespeare.lit\"",
        ],
    )
    .start()
    .await?;
    let paths = ["/", "/page.css", "/page.js", "/status.json"];
    for path in paths {
        let answer = Ask::new(path)
            .header("Sec-Fetch-Site: same-origin")
            .at(&fed, 0)
            .await?;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(!answer.body.is_empty(), "{path}");
        for header in [
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.head.contains(header), "{path}, {header}: {answer:?}");
        }
        assert!(!answer.head.contains("access-control"), "{path}: {answer:?}");
    }
    assert_eq!(Ask::new("").status(&fed, 0).await?, 301);
    let head = Ask::new("/status.json").method("HEAD").at(&fed, 0).await?;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for path in paths.into_iter().chain(["/events"]) {
        let ask = Ask::new(path);
        let refused = [
            ("another address", ask.clone().from(ELSEWHERE)),
            (
                "somebody behind a proxy",
                ask.clone().header("X-Forwarded-For: 192.0.2.1"),
            ),
            (
                "a proxy that names nobody",
                ask.clone().header("Via: 1.1 somewhere"),
            ),
            ("a forged name", ask.clone().header("X-Forwarded-For: 127.0.0.1")),
            (
                "another kind of proxy",
                ask.clone().header("Forwarded: for=127.0.0.1"),
            ),
            ("a proxy that says nothing", ask.clone().version("1.0")),
            ("a name that was led here", ask.clone().host("evil.example")),
            (
                "a script of another site",
                ask.clone().header("Origin: http://evil.example"),
            ),
            ("a script of no site", ask.clone().header("Origin: null")),
            (
                "a tag in another site",
                ask.clone().header("Sec-Fetch-Site: cross-site"),
            ),
            ("a token that there is not", ask.clone().token(TOKEN)),
        ];
        for (who, ask) in refused {
            // The form for a token is nobody's: there is none.
            let answer = ask.at(&fed, 0).await?;
            let is_token = who.starts_with("a token");
            let expected = match is_token && !matches!(path, "/status.json" | "/events") {
                true => continue,
                false if is_token => 401,
                false => 403,
            };
            assert_eq!(answer.status, expected, "{who}, {path}: {answer:?}");
            assert!(
                !answer.head.contains("access-control"),
                "{who}, {path}: {answer:?}"
            );
            assert!(!answer.body.contains("shakespeare"), "{who}, {path}: {answer:?}");
        }
        let preflight = ask
            .method("OPTIONS")
            .header("Origin: http://evil.example")
            .at(&fed, 0)
            .await?;
        assert_eq!(preflight.status, 405, "{path}: {preflight:?}");
        assert!(
            !preflight.head.contains("access-control"),
            "{path}: {preflight:?}"
        );
    }
    for host in [
        "127.0.0.1:5280",
        "[::1]:5280",
        "chat.shakespeare.lit:5280",
        "shakespeare.lit",
    ] {
        assert_eq!(
            Ask::new("/status.json").host(host).status(&fed, 0).await?,
            200,
            "{host}"
        );
    }
    let origin = Ask::new("/status.json").header("Origin: http://localhost:5280");
    assert_eq!(origin.status(&fed, 0).await?, 200);
    fed.finish().await
}

async fn with_token(version: Version) -> Result<()> {
    let option = format!("http_dmuc_token = \"{TOKEN}\"");
    let fed = with_page(two("page-token", version, Storage::Internal), 1, &[&option])
        .start()
        .await?;
    for path in ["/", "/page.css", "/page.js"] {
        let answer = Ask::new(path)
            .from(ELSEWHERE)
            .host("status.example")
            .at(&fed, 0)
            .await?;
        assert_eq!(answer.status, 200, "the form for the token: {path}");
        assert!(
            !answer.body.contains("shakespeare"),
            "{path} says nothing of the server"
        );
    }
    for path in ["/status.json", "/events"] {
        let ask = Ask::new(path).from(ELSEWHERE);
        let answer = ask.at(&fed, 0).await?;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
        assert_eq!(
            ask.clone()
                .token("round-about-the-cauldron")
                .status(&fed, 0)
                .await?,
            401
        );
        let proxied = ask.clone().header("X-Forwarded-For: 192.0.2.1");
        assert_eq!(proxied.status(&fed, 0).await?, 401);
        let foreign = ask.clone().token(TOKEN).header("Origin: https://evil.example");
        assert_eq!(
            foreign.status(&fed, 0).await?,
            403,
            "the token helps no other site"
        );
    }
    let right = Ask::new("/status.json").from(ELSEWHERE).token(TOKEN);
    assert_eq!(right.status(&fed, 0).await?, 200);
    assert_eq!(
        right.header("X-Forwarded-For: 192.0.2.1").status(&fed, 0).await?,
        200
    );
    // Who is near needs none, but a wrong one is wrong.
    assert_eq!(Ask::new("/status.json").status(&fed, 0).await?, 200);
    assert_eq!(
        Ask::new("/status.json").token("wrong").status(&fed, 0).await?,
        401
    );
    assert_eq!(fed[0].log_lines_matching(TOKEN)?, [""; 0], "no log has the token");
    fed[0]
        .wait_for_log("Refused 127.*, which sent a token: This is not the token")
        .await?;

    // Options take effect with a reload; nobody is near then.
    fed[0]
        .eval("require 'core.configmanager'.set('*', 'http_dmuc_allow_ips', {}); return true")
        .await?;
    fed[0].reload_module("*", "http_dmuc").await?;
    assert_eq!(Ask::new("/status.json").status(&fed, 0).await?, 401);
    assert_eq!(Ask::new("/status.json").token(TOKEN).status(&fed, 0).await?, 200);
    // Others are.
    fed[0]
        .eval(
            "require 'core.configmanager'.set('*', 'http_dmuc_allow_ips', { '127.66.0.0/16' }); return true",
        )
        .await?;
    fed[0].reload_module("*", "http_dmuc").await?;
    assert_eq!(Ask::new("/status.json").status(&fed, 0).await?, 401);
    assert_eq!(
        Ask::new("/status.json").from(ELSEWHERE).status(&fed, 0).await?,
        200
    );
    fed.finish().await
}

async fn a_split(version: Version, storage: Storage) -> Result<()> {
    let builder = three("page-split", version, storage)
        .muc_line("dmuc_ping_interval = 1")
        .muc_line("dmuc_link_timeout = 3");
    let fed = with_page(builder, 3, &["http_dmuc_stream_time = 3600"])
        .start()
        .await?;
    let password = [
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "hurlyburly"),
    ];
    let crone = distributed(&fed, &password).await?;
    crone.say(SOURCE, "Thrice the brinded cat").await?;
    let mut stream = Stream::open(&fed, 0).await?;
    stream.until_link("rooms.macbeth.lit", "up").await?;
    eventually("all is well", || async {
        let shown = json(&fed, 0).await?;
        Ok(instance(&shown, MACBETH)["state"] == "agreed"
            && link(&shown, "conference.marlowe.lit")["state"] == "up")
    })
    .await?;
    let shown = json(&fed, 0).await?;
    assert_eq!(shown["services"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["services"][0]["service"], "chat.shakespeare.lit");
    let room = &shown["services"][0]["rooms"][0];
    assert_eq!(room["room"], SOURCE, "{shown}");
    assert_eq!(
        (&room["role"], &room["term"], &room["here"]),
        (&"source".into(), &0.into(), &1.into()),
        "{shown}"
    );
    assert_eq!(link(&shown, "rooms.macbeth.lit")["lag"], 0, "{shown}");
    let shadow = json(&fed, 1).await?;
    assert_eq!(shadow["services"][0]["rooms"][0]["role"], "shadow");
    assert_eq!(instance(&shadow, SOURCE)["is_source"], true);

    fed.link(0, 1).cut().await;
    stream.until_link("rooms.macbeth.lit", "down").await?;
    let shown = json(&fed, 0).await?;
    assert_eq!(instance(&shown, MACBETH)["state"], "out-of-reach", "{shown}");
    assert_eq!(link(&shown, "conference.marlowe.lit")["state"], "up", "{shown}");
    let lag = link(&shown, "rooms.macbeth.lit")["lag"].as_f64();
    assert!(lag.is_some_and(|lag| lag > 0.0 && lag < 90.0), "{shown}");
    // Neither who is in the room, nor what was said, nor the password.
    for (server, secret) in [
        (0, "firstcrone"),
        (0, "crone1"),
        (0, "brinded"),
        (0, "hurlyburly"),
        (1, "hurlyburly"),
    ] {
        let text = json(&fed, server).await?.to_string();
        assert!(!text.contains(secret), "{secret}: {text}");
    }

    fed.link(0, 1).heal().await;
    stream.until_link("rooms.macbeth.lit", "up").await?;
    eventually("nothing is missing", || async {
        let shown = json(&fed, 0).await?;
        Ok(instance(&shown, MACBETH)["state"] == "agreed" && link(&shown, "rooms.macbeth.lit")["lag"] == 0)
    })
    .await?;

    // The page goes on over a reload of what it shows, and says so when that is gone.
    fed[0].reload_module("chat.shakespeare.lit", "dmuc").await?;
    eventually("the link is shown again", || async {
        Ok(link(&json(&fed, 0).await?, "rooms.macbeth.lit")["state"] == "up")
    })
    .await?;
    fed[0].unload_module("chat.shakespeare.lit", "dmuc").await?;
    eventually("nothing is shown", || async {
        Ok(json(&fed, 0).await?["services"]
            .as_array()
            .is_some_and(Vec::is_empty))
    })
    .await?;
    // With the server the stream ends, in good order.
    let (finished, ended) = tokio::join!(fed.finish(), stream.until_end("stop"));
    finished.and(ended)
}

async fn streams_end(version: Version) -> Result<()> {
    let lines = ["http_dmuc_stream_time = 5", "http_dmuc_max_streams = 2"];
    let fed = with_page(two("page-streams", version, Storage::Internal), 1, &lines)
        .start()
        .await?;
    // Its time is over, while somebody reads it.
    let began = Instant::now();
    let mut first = Stream::open(&fed, 0).await?;
    first.until("event: status\ndata: ").await?;
    first.until_end("time").await?;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(5) && took < deadline(), "{took:?}");
    // There are two at most; who goes makes room.
    fed[0]
        .eval("require 'core.configmanager'.set('*', 'http_dmuc_stream_time', 3600); return true")
        .await?;
    fed[0].reload_module("*", "http_dmuc").await?;
    let mut one = Stream::open(&fed, 0).await?;
    let two = Stream::open(&fed, 0).await?;
    let refused = Ask::new("/events").at(&fed, 0).await?;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.head.contains("retry-after: "), "{refused:?}");
    assert_eq!(json(&fed, 0).await?["version"], 1, "polling works all the same");
    drop(two);
    eventually("there is room for another", || async {
        let mut other = Ask::new("/events").open(&fed, 0).await?;
        let mut part = [0; 12];
        other.read_exact(&mut part).await?;
        Ok(&part == b"HTTP/1.1 200")
    })
    .await?;
    // A reload closes what is open, and the page is there again.
    one.until("event: status\ndata: ").await?;
    fed[0].reload_module("*", "http_dmuc").await?;
    one.until_end("reload").await?;
    let mut again = Stream::open(&fed, 0).await?;
    again.until("event: status\ndata: ").await?;
    fed[0].unload_module("*", "http_dmuc").await?;
    again.until_end("reload").await?;
    for path in ["/", "/status.json", "/events"] {
        assert_eq!(
            Ask::new(path)
                .host("chat.shakespeare.lit")
                .status(&fed, 0)
                .await?,
            404,
            "{path}"
        );
    }
    fed.finish().await
}

/// Enabled beside `dmuc`, under the component: it is one page for the server all the same.
async fn under_the_component(version: Version) -> Result<()> {
    let fed = two("page-component", version, Storage::Internal)
        .with_server(0, |spec| {
            spec.muc_modules.push("http_dmuc".to_owned());
            let address = "http_ports = { 5280 }";
            spec.global_lines
                .extend([address.to_owned(), "https_ports = {}".to_owned()]);
        })
        .prepare()
        .await?;
    // The testbed knows of web pages only where users are.
    let file = fed[0].config_file();
    let lines = format!("http_interfaces = {{ \"{}\" }}\n", fed[0].address());
    std::fs::write(&file, lines + &std::fs::read_to_string(&file)?)?;
    for server in fed.servers() {
        server.start().await?;
    }
    let shown = json(&fed, 0).await?;
    assert_eq!(shown["services"][0]["service"], "chat.shakespeare.lit", "{shown}");
    fed[0].reload_module("*", "http_dmuc").await?;
    assert_eq!(Ask::new("/").status(&fed, 0).await?, 200);
    fed.finish().await
}

/// A wrong option is named, with what is accepted, and there is no page then.
async fn mistakes(version: Version) -> Result<()> {
    let fed = with_page(two("page-mistakes", version, Storage::Internal), 1, &[])
        .start()
        .await?;
    let wrong = [
        (
            "http_dmuc_token",
            "'short'",
            "http_dmuc_token: accepted are 16 or more",
        ),
        (
            "http_dmuc_token",
            "'with spaces in between'",
            "http_dmuc_token: accepted are 16 or more",
        ),
        (
            "http_dmuc_token",
            "12345678901234567890",
            "http_dmuc_token: accepted are 16 or more",
        ),
        (
            "http_dmuc_allow_ips",
            "{ '127.0.0.1', 'localhost' }",
            "http_dmuc_allow_ips = localhost: accepted are IP",
        ),
        (
            "http_dmuc_allow_ips",
            "'10.0.0.0/33'",
            "http_dmuc_allow_ips = 10.0.0.0/33: accepted are IP",
        ),
        (
            "http_dmuc_stream_time",
            "4",
            "http_dmuc_stream_time = 4: accepted is a whole number from 5 to 3600",
        ),
        (
            "http_dmuc_max_streams",
            "'many'",
            "http_dmuc_max_streams = many: accepted is a whole",
        ),
        (
            "http_dmuc_max_rooms",
            "1.5",
            "http_dmuc_max_rooms = 1.5: accepted is a whole",
        ),
    ];
    for (option, value, words) in wrong {
        let set =
            |value: &str| format!("require 'core.configmanager'.set('*', '{option}', {value}); return true");
        fed[0].eval(&set(value)).await?;
        // The testbed says that it failed, too.
        let _ = fed[0].reload_module("*", "http_dmuc").await;
        fed[0].wait_for_log(words).await?;
        assert_eq!(
            Ask::new("/").host("shakespeare.lit").status(&fed, 0).await?,
            404,
            "{option}"
        );
        fed[0].eval(&set("nil")).await?;
        fed[0].load_module("shakespeare.lit", "http_dmuc").await?;
        assert_eq!(Ask::new("/").status(&fed, 0).await?, 200, "{option}");
    }
    assert_eq!(fed[0].log_lines_matching("with spaces in between")?, [""; 0]);
    fed.finish_with_errors().await
}

on_every_version! {
    fn only_this_machine_sees_it(version) {
        without_token(version).await
    }
    fn a_token_opens_it(version) {
        with_token(version).await
    }
    fn a_link_that_is_cut_is_shown(version, storage) {
        a_split(version, storage).await
    }
    fn streams_end_in_time(version) {
        streams_end(version).await
    }
    fn it_may_stand_under_the_component(version) {
        under_the_component(version).await
    }
    fn wrong_options_are_named(version) {
        mistakes(version).await
    }
}

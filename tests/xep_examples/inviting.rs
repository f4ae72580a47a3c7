//! Acts about requests for voice, invitations and declines, as they stand on the wire.

use dmuc::address::{BareJid, Jid};
use dmuc::wire::{Act, ActKind, Affiliation, Condition, IqKind, Request, Role};

use crate::support::xml::compare;

fn bare(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

#[test]
fn acts_about_voice_and_invitations_are_read_as_they_are_written() {
    let cases = [
        (
            ActKind::Voice {
                serial: 7,
                request: 9,
            },
            "<voice serial='7' request='9'/>",
        ),
        (
            ActKind::Role {
                nick: "hecate".into(),
                serial: Some(7),
                role: Role::Participant,
                request: Some(9),
            },
            "<role nick='hecate' serial='7' role='participant' request='9'/>",
        ),
        (
            ActKind::Invite {
                jid: Jid::new("hecate@shakespeare.lit/broom").unwrap(),
            },
            "<invite jid='hecate@shakespeare.lit/broom'/>",
        ),
        (
            ActKind::Decline {
                nick: Some("<crone>".into()),
                jid: None,
            },
            "<decline nick='&lt;crone&gt;'/>",
        ),
        (
            ActKind::Decline {
                nick: None,
                jid: Some(bare("crone1@shakespeare.lit")),
            },
            "<decline jid='crone1@shakespeare.lit'/>",
        ),
        (
            ActKind::Affiliation {
                jid: bare("hecate@shakespeare.lit"),
                affiliation: Affiliation::Member,
                nick: None,
                was: None,
                is_invited: true,
            },
            "<affiliation jid='hecate@shakespeare.lit' affiliation='member' invited='true'/>",
        ),
    ];
    for (kind, inner) in cases {
        let xml =
            format!("<act xmlns='urn:x-dmuc:0' nick='firstwitch'>{inner}<reason>Why not</reason></act>");
        let request = Request::Act(Act {
            actor_nick: Some("firstwitch".into()),
            actor_jid: None,
            kind,
            reason: Some("Why not".into()),
        });
        compare(&request.to_xml(), &xml);
        assert_eq!(Request::parse(IqKind::Set, &xml), Ok(request));
    }
}

#[test]
fn malformed_acts_about_voice_and_invitations_are_refused() {
    for (inner, condition) in [
        ("<voice serial='7'/>", Condition::BadRequest),
        ("<voice request='7'/>", Condition::BadRequest),
        ("<voice serial='-1' request='9'/>", Condition::BadRequest),
        (
            "<voice serial='7' request='9223372036854775808'/>",
            Condition::BadRequest,
        ),
        (
            "<role nick='a' role='participant' request='x'/>",
            Condition::BadRequest,
        ),
        ("<invite/>", Condition::BadRequest),
        ("<invite jid='@'/>", Condition::JidMalformed),
        ("<decline/>", Condition::BadRequest),
        ("<decline nick=''/>", Condition::JidMalformed),
        ("<decline jid='a@b.lit/full'/>", Condition::JidMalformed),
        (
            "<affiliation jid='a@b.lit' affiliation='member' invited='maybe'/>",
            Condition::BadRequest,
        ),
        (
            "<invite jid='a@b.lit'/><invite jid='a@b.lit'/>",
            Condition::BadRequest,
        ),
    ] {
        let xml = format!("<act xmlns='urn:x-dmuc:0' nick='a'>{inner}</act>");
        let error = Request::parse(IqKind::Set, &xml).expect_err(inner);
        assert_eq!(error.condition, condition, "{inner}");
    }
}

//! Settings, subject, affiliations, bans and destruction during a split (G7, G9): the source rules.

use anyhow::{Context, Result, ensure};
use dmuc_testbed::{Element, Storage, Version, code_list, on_every_version, to_string};

use super::agreement::{agree, one_history};
use super::scene::{ALL, Scene, Witness};
use super::{hasty, patience};
use crate::asking::role;
use crate::destroying::{VENUE, destroy, is_out};
use crate::stage::CLIENT;
use crate::support::eventually;

const NAME: &str = "muc#roomconfig_roomname";
const DESCRIPTION: &str = "muc#roomconfig_roomdesc";
const MACDUFF: &str = "macduff@macbeth.lit";

fn is_subject(stanza: &Element, text: &str) -> bool {
    stanza.is("message", CLIENT)
        && stanza
            .get_child("subject", CLIENT)
            .is_some_and(|s| s.text() == text)
}

async fn sees_subject(witness: &Witness, text: &str) -> Result<()> {
    let what = format!("{} sees the subject {text:?}", witness.nick);
    witness
        .until(&what, patience(), |all| all.iter().any(|s| is_subject(s, text)))
        .await
}

/// The room's name as its service discovery tells it.
async fn name_of(witness: &Witness) -> Result<String> {
    let info = witness.disco_info(&witness.room).await?;
    let identity = info
        .children()
        .find(|c| c.name() == "identity")
        .context("an identity")?;
    Ok(identity.attr("name").unwrap_or_default().to_owned())
}

async fn affiliation_of(witness: &Witness, jid: &str) -> Result<String> {
    for affiliation in ["owner", "admin", "member", "outcast"] {
        if witness
            .affiliated(&witness.room, affiliation)
            .await?
            .iter()
            .any(|found| found == jid)
        {
            return Ok(affiliation.to_owned());
        }
    }
    Ok("none".to_owned())
}

/// What an owner sets.
struct Wish {
    subject: &'static str,
    name: &'static str,
    affiliation: &'static str,
}

impl Wish {
    /// Sets it, and sees it at once where it was set.
    async fn is_made(&self, by: &Witness) -> Result<()> {
        by.set_subject(&by.room, self.subject).await?;
        by.set_affiliation(&by.room, MACDUFF, self.affiliation).await?;
        by.configure_room(&by.room, &[(NAME, self.name)]).await?;
        by.sync().await?;
        self.holds_for(by).await
    }

    async fn holds_for(&self, witness: &Witness) -> Result<()> {
        let shown = witness.with_transcript(|all| {
            let mut subjects = all.iter().filter_map(|s| match s.get_child("body", CLIENT) {
                None if s.is("message", CLIENT) => s.get_child("subject", CLIENT).map(Element::text),
                _ => None,
            });
            subjects.next_back()
        });
        ensure!(
            shown.as_deref() == Some(self.subject),
            "{} sees {shown:?}",
            witness.nick
        );
        let (name, affiliation) = (name_of(witness).await?, affiliation_of(witness, MACDUFF).await?);
        ensure!(
            (&*name, &*affiliation) == (self.name, self.affiliation),
            "at {}: {name:?}, macduff is {affiliation}",
            witness.room
        );
        Ok(())
    }

    async fn holds_everywhere(&self, scene: &Scene<'_>) -> Result<()> {
        for server in ALL {
            // Anybody may ask for the name, an owner for the lists: those at shadows are the same by `agree`.
            let witness = &scene.people[server];
            let name = name_of(witness).await?;
            ensure!(name == self.name, "{} is called {name:?}", witness.room);
            sees_subject(witness, self.subject).await?;
        }
        for owner in &scene.people[..2] {
            self.holds_for(owner).await?;
        }
        Ok(())
    }
}

async fn duels(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("duels", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[(NAME, "A Dark Cave")]).await?;
    let [crone, witch, faust] = [&scene.people[0], &scene.people[1], &scene.people[2]];
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "owner")
        .await?;
    crone.set_affiliation(&crone.room, MACDUFF, "admin").await?;
    agree(&scene).await?;

    // Only at the shadow: it holds there at once, and everywhere afterwards.
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    let theirs = Wish {
        subject: "Fair is foul",
        name: "A Bright Cave",
        affiliation: "member",
    };
    theirs.is_made(witch).await?;
    ensure!(name_of(crone).await? == "A Dark Cave");
    ensure!(affiliation_of(crone, MACDUFF).await? == "admin");
    scene.heals().await?;
    for witness in [crone, faust] {
        sees_subject(witness, theirs.subject).await?;
    }
    agree(&scene).await?;
    theirs.holds_everywhere(&scene).await?;
    for witness in &scene.people {
        let said = witness.other_room_lines();
        ensure!(said.is_empty(), "{} is told {said:?}", witness.nick);
    }

    // At both: the source's holds, and who was overridden is told so. What nobody contests is taken.
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    let lost = Wish {
        subject: "And foul is fair",
        name: "A Foggy Cave",
        affiliation: "none",
    };
    lost.is_made(witch).await?;
    witch
        .configure_room(&witch.room, &[(DESCRIPTION, "Hover through the fog")])
        .await?;
    let ours = Wish {
        subject: "When the battle's lost and won",
        name: "A Cave at the Heath",
        affiliation: "owner",
    };
    ours.is_made(crone).await?;
    sees_subject(faust, ours.subject).await?;
    scene.heals().await?;
    sees_subject(witch, ours.subject).await?;
    agree(&scene).await?;
    ours.holds_everywhere(&scene).await?;
    let form = to_string(&crone.room_form(&crone.room).await?);
    ensure!(form.contains("Hover through the fog"), "uncontested: {form}");
    let told = witch.other_room_lines();
    ensure!(!told.is_empty(), "nobody tells who was overridden");
    for witness in [crone, faust] {
        let said = witness.other_room_lines();
        ensure!(said.is_empty(), "{} is told {said:?}", witness.nick);
    }
    one_history(&scene).await?;
    fed.finish().await
}

on_every_version! {
    fn a_change_at_a_shadow_holds_unless_the_source_made_another(version, storage) {
        duels(version, storage).await
    }
}

/// Waits until somebody is out for good.
async fn is_banned(victim: &Witness) -> Result<()> {
    let what = format!("{} is out", victim.nick);
    victim
        .until(&what, patience(), |all| {
            all.iter().any(|s| {
                let codes = code_list(s);
                s.attr("type") == Some("unavailable") && codes.contains(&301) && codes.contains(&110)
            })
        })
        .await?;
    let again = victim.try_join(&victim.room, &victim.nick).await?;
    let refusal = again
        .err()
        .with_context(|| format!("{} came back", victim.nick))?;
    ensure!(refusal.condition == "forbidden", "{refusal}");
    Ok(())
}

async fn bans(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("bans", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    let [crone, witch] = [&scene.people[0], &scene.people[1]];
    crone
        .set_affiliation(&crone.room, witch.bare_jid(), "owner")
        .await?;
    let banquo = scene.enters(0, "banquo", "coven", "banquo").await?;
    let lennox = scene.enters(1, "lennox", "coven", "lennox").await?;
    crate::stage::gathered(
        &fed,
        "coven",
        &["banquo", "faust", "firstcrone", "firstwitch", "lennox"],
    )
    .await?;
    scene.converse(1).await?;

    // Each side bans somebody who is at the other.
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    witch
        .set_affiliation(&witch.room, banquo.bare_jid(), "outcast")
        .await?;
    crone
        .set_affiliation(&crone.room, lennox.bare_jid(), "outcast")
        .await?;
    for there in [&banquo, &lennox] {
        // Out of reach of whoever bans them.
        ensure!(there.self_ping(&there.room, &there.nick).await?.is_none());
    }
    scene.heals().await?;
    is_banned(&banquo).await?;
    is_banned(&lennox).await?;
    scene.all_here().await?;
    agree(&scene).await?;
    for witness in [crone, witch] {
        let mut outcasts = witness.affiliated(&witness.room, "outcast").await?;
        outcasts.sort();
        ensure!(outcasts == [banquo.bare_jid(), lennox.bare_jid()], "{outcasts:?}");
    }
    fed.finish().await
}

on_every_version! {
    fn who_is_banned_on_either_side_of_a_split_is_out_everywhere_after_it(version, storage = Sqlite) {
        bans(version, storage).await
    }
}

async fn destruction(version: Version, storage: Storage) -> Result<()> {
    let fed = hasty("destruction", version, storage).start().await?;
    let scene = Scene::opens(&fed, "coven", &[]).await?;
    let [crone, witch] = [&scene.people[0], &scene.people[1]];
    // One shadow is cut off, the other's server is not even there.
    fed.isolate(1).await;
    scene.is_alone(1).await?;
    fed[2].stop().await?;
    let why = "The charm's wound up";
    crone.iq_ok(&destroy(&crone.room, VENUE, why)).await?;
    is_out(crone, &crone.room, &crone.nick, why).await?;
    // Who is cut off goes on.
    scene.speaks(1, 2).await?;

    fed.heal_all().await;
    fed[2].start().await?;
    let own = witch.sees(&witch.nick);
    witch
        .until("the room is over", patience(), |all| {
            all.iter()
                .any(|s| s.attr("from") == Some(&*own) && s.attr("type") == Some("unavailable"))
        })
        .await?;
    is_out(witch, &witch.room, &witch.nick, why).await?;
    for (server, witness) in scene.people.iter().enumerate() {
        let room = &witness.room;
        eventually(&format!("{room} is gone"), || async {
            Ok(role(&fed, server, room).await?.is_none())
        })
        .await?;
        let late = fed[server].client("late", "coven").await?;
        let refused = late
            .try_join(room, "late")
            .await?
            .err()
            .with_context(|| format!("{room} was joined"))?;
        ensure!(refused.condition == "gone", "{refused}");
    }
    fed.finish().await
}

on_every_version! {
    fn a_room_destroyed_during_a_split_is_gone_at_shadows_that_were_away(version, storage) {
        destruction(version, storage).await
    }
}

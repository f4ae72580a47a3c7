"""slixmpp at macbeth.lit, with a room of shakespeare.lit whose address the person knows.

    slixmpp_story.py 0.12        # a version of Prosody: 0.12, 13, 13.0.1, newest

Prints a line for every step that was seen to work.
"""

import asyncio
import sys

import slixmpp

from person import Person, founds
from servers import OWN, SOURCE, THIRD, Servers


def seen(version, step, what):
    """A row of the table in docs/ADDRESSES.md."""
    print(f"slixmpp {slixmpp.__version__} | {version} | {step} | {what}", flush=True)


async def talks(version, witch, others):
    """Both ways, with everything that people do to what was said."""
    crone = others[0]
    said = await witch.tells(others, "Thrice the brinded cat hath mewed.")
    for other in others:
        await other.tells([witch], f"{other.nick} hears you")
    seen(version, "talk", "both ways, with the source and with a third server")

    witch.plugin["xep_0308"].build_correction(said["id"], witch.room, mtype="groupchat", mbody="Thrice it mewed.").send()
    for person in (witch, *others):
        corrected = await person.hears(witch.nick, "Thrice it mewed.")
        assert corrected["replace"]["id"] == said["id"], corrected
    seen(version, "correct", "the id is that of what was said")

    theirs = await witch.hears(crone.nick, f"{crone.nick} hears you")
    id_ = theirs["stanza_id"]["id"]
    reaction = witch.make_message(mto=witch.room, mtype="groupchat")
    witch.plugin["xep_0444"].set_reactions(reaction, id_, ["👋"])
    reaction.send()
    for person in (witch, *others):
        assert (await person.hears_about("reactions", witch.nick, id_))["reactions"].get_values() == {"👋"}
    seen(version, "react", "by the stanza-id that the room gave, the same everywhere")

    mistake = await witch.tells(others, "Thrice and twice the hedge-pig whined.")
    id_ = mistake["stanza_id"]["id"]
    witch.plugin["xep_0424"].send_retraction(witch.room, id_, mtype="groupchat")
    for person in (witch, *others):
        await person.hears_about("retract", witch.nick, id_)
    seen(version, "retract", "arrives everywhere")
    return id_


async def names(version, witch, others):
    """Addresses in what people write are the receiver's own."""
    everybody = (witch, *others)
    for sender, target in ((witch, others[0]), (others[0], witch)):
        said = await target.tells([sender], f"{sender.nick}, answer me")
        id_ = (await sender.hears(target.nick, f"{sender.nick}, answer me"))["stanza_id"]["id"]
        sender.plugin["xep_0461"].send_reply(
            sender.place_of(target.nick), id_, mto=sender.room, mtype="groupchat", mbody=f"{sender.nick} answers")
        for person in everybody:
            reply = (await person.hears(sender.nick, f"{sender.nick} answers"))["reply"]
            assert reply["id"] == said["stanza_id"]["id"], reply
            assert reply["to"] == person.place_of(target.nick), reply

        mention = sender.message(f"{target.nick}: when shall we meet?")
        mention["reference"]["type"] = "mention"
        mention["reference"]["uri"] = f"xmpp:{sender.place_of(target.nick)}"
        mention["reference"]["begin"], mention["reference"]["end"] = "0", str(len(target.nick))
        mention.send()
        for person in everybody:
            heard = await person.hears(sender.nick, f"{target.nick}: when shall we meet?")
            assert heard["reference"]["uri"] == f"xmpp:{person.place_of(target.nick)}", heard
    seen(version, "reply, mention", "`to` and `uri` are the receiver's own address, both ways")


async def scrolls(version, witch, others, retracted):
    """The archive, under every person's own address, in pages of five."""
    await witch.tells(others, "There to meet with Macbeth.")
    theirs, mine = await others[-1].scrolls_back(), await witch.scrolls_back()
    assert mine[-1] == ("There to meet with Macbeth.", None), mine
    assert len(mine) > 10 and mine == theirs, (mine, theirs)
    assert [id_ for _, id_ in mine if id_] == [retracted], mine
    seen(version, "scroll back", f"{len(mine)} messages by MAM, the same as the third server has; none by another address")


async def story(version):
    """The whole of it."""
    servers = await Servers.start(version)
    crone = await Person.logs_in(servers, 0, "crone1", SOURCE, "firstcrone")
    await founds(crone)
    await servers.is_held_by_three()
    faust = await Person.logs_in(servers, 2, "drfaust", THIRD, "faust")
    await faust.joins()

    witch = await Person.logs_in(servers, 1, "somewitch", SOURCE, "firstwitch")
    await witch.bookmarks()
    await witch.leaves()
    witch = await Person.logs_in(servers, 1, "somewitch", SOURCE, "firstwitch", witch.transcript)
    nicks, _ = await witch.joins_what_is_bookmarked()
    assert {"firstcrone", "faust"} <= nicks, nicks
    seen(version, "bookmark, join", "kept, read at the next start and joined; everybody is there")

    retracted = await talks(version, witch, [crone, faust])
    await names(version, witch, [crone, faust])
    await scrolls(version, witch, [crone, faust], retracted)

    await servers.kill_source()
    await witch.tells([faust], "Is the source dead?")
    await faust.tells([witch], "It is, and here we are.")
    await witch.is_in()
    seen(version, "source killed", "goes on with the third server, self-ping answered")

    await servers.command("restart 1")
    witch = await Person.logs_in(servers, 1, "somewitch", SOURCE, "firstwitch", witch.transcript)
    nicks, history = await witch.joins_what_is_bookmarked()
    assert "It is, and here we are." in history, history
    await servers.says(1, OWN, THIRD, "up")
    await witch.tells([faust], "Back again.")
    await faust.tells([witch], "So you are.")
    seen(version, "own server restarted", "joins by the same bookmark, with the history; the source is still dead")

    await servers.take_over()
    await witch.tells([faust], "We decide now.")
    await faust.tells([witch], "You do.")
    await witch.is_in()
    seen(version, "takeover", "goes on by the address of the dead source, without joining again")

    await servers.command("start 0")
    await servers.says(0, SOURCE, "Role:", "shadow;")
    crone = await Person.logs_in(servers, 0, "crone1", SOURCE, "firstcrone")
    await crone.joins()
    await witch.tells([faust, crone], "All three again.")
    await crone.tells([witch, faust], "Hail!")
    seen(version, "the source comes back", "as a shadow; heard both ways")

    count = witch.knew_one_room()
    faust.knew_one_room()
    seen(version, "one entry", f"none of {count} stanzas came from another address of the room, or named one")
    for person in (witch, faust, crone):
        await person.leaves()
    await servers.finish()


if __name__ == "__main__":
    asyncio.run(story(sys.argv[1]))

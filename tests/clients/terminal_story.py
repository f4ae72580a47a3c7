"""A client for the terminal at macbeth.lit, with a room of shakespeare.lit whose address the person knows.

    terminal_story.py profanity 0.12        # a client and a version of Prosody: 0.12, 13, 13.0.1, newest

Prints a line for every step that was seen to work.
"""

import asyncio
import sys

from person import Person, founds, names_only
from servers import OWN, SOURCE, THIRD, Servers
from terminal import Poezio, Profanity

CLIENTS = {client.name: client for client in (Profanity, Poezio)}
NICK = "firstwitch"


async def talk(client, others, number):
    """Both ways."""
    said = f"Witch {number}."
    await client.types(said)
    for other in others:
        await other.hears(NICK, said)
        answer = f"{other.nick} {number}."
        await other.says(answer)
        await client.shows(f"{other.nick}", answer)
    return await others[0].hears(NICK, said)


async def story(kind, version):
    """The whole of it."""
    row = f"{kind.name} {await kind.version()} | {version}"

    def seen(step, what):
        print(f"{row} | {step} | {what}", flush=True)

    servers = await Servers.start(version)
    crone = await Person.logs_in(servers, 0, "crone1", SOURCE, "firstcrone")
    await founds(crone)
    await servers.is_held_by_three()
    faust = await Person.logs_in(servers, 2, "drfaust", THIRD, "faust")
    await faust.joins()
    others = [crone, faust]

    client = kind()
    try:
        await client.logs_in(servers, servers.all[1], "somewitch")
        await client.joins(SOURCE, NICK)
        for nick in ("firstcrone", "faust"):
            await client.shows(nick)
        seen("join, bookmark", "everybody in it is shown")

        said = await talk(client, others, 1)
        seen("talk", "both ways, with the source and with a third server")
        await client.types("/correct Witch the first.")
        for other in others:
            corrected = await other.hears(NICK, "Witch the first.")
            assert corrected["replace"]["id"] == said["id"], corrected
        seen("correct", "the id is that of what was said")

        await client.ends()
        # poezio asks the archive for whole seconds, of which the one in which it left and the current one are not asked for.
        await asyncio.sleep(2)
        await crone.tells([faust], "While you were away.")
        await asyncio.sleep(2)
        await client.logs_in(servers, servers.all[1], "somewitch")
        await client.opens(NICK)
        await client.shows("While you were away.")
        await talk(client, others, 2)
        seen("start again", "joins by the bookmark; shows what was said meanwhile")

        await servers.kill_source()
        await talk(client, [faust], 3)
        seen("source killed", "goes on with the third server")

        faust.arrived.clear()
        await servers.command("restart 1")
        await faust.sees(f"{NICK} join again", lambda s: (
            s.name == "presence" and s["type"] not in ("unavailable", "error") and s["from"] == faust.place_of(NICK)))
        await talk(client, [faust], 4)
        seen("own server restarted", "connects and joins again by itself; the source is still dead")

        await servers.says(1, OWN, THIRD, "up")
        await servers.take_over()
        await talk(client, [faust], 5)
        seen("takeover", "goes on by the address of the dead source")

        rooms, windows = await client.rooms()
        assert rooms == [SOURCE] and windows == 2, (rooms, windows)
        count = names_only(SOURCE, client.received())
        seen("one entry", f"one window; none of {count} stanzas came from another address of the room, or named one")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{await client.screen()}\nwhat it stored is in {client.home}") from None
    finally:
        await client.ends()
    client.forget()
    await servers.command("start 0")
    await faust.leaves()
    await servers.finish()


if __name__ == "__main__":
    asyncio.run(story(CLIENTS[sys.argv[1]], sys.argv[2]))

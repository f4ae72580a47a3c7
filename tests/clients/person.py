"""Somebody with slixmpp, as a person uses a client: what they do, and what then arrives."""

import asyncio
import re
import ssl
from xml.etree import ElementTree

from slixmpp import ClientXMPP
from slixmpp.exceptions import XMPPError

from servers import DEADLINE, OWN, SOURCE, THIRD

BOOKMARKS = "urn:xmpp:bookmarks:1"
PLUGINS = ("xep_0030", "xep_0045", "xep_0060", "xep_0199", "xep_0203", "xep_0308", "xep_0313", "xep_0359", "xep_0372", "xep_0402",
           "xep_0421", "xep_0424", "xep_0444", "xep_0461")


class Person(ClientXMPP):
    """A session. `arrived` has every stanza that ever came, `transcript` the same as text."""

    sessions = []

    @classmethod
    async def logs_in(cls, servers, server, user, room, nick, transcript=None):
        """Connects to the own server; `transcript` goes on with that of an earlier session."""
        where = servers.all[server]
        self = cls(f"{user}@{where['domain']}/slixmpp", "any")
        # One whose server ended has tasks that may not be collected before the end.
        cls.sessions.append(self)
        self.room, self.nick = room, nick
        self.transcript = [] if transcript is None else transcript
        self.arrived = []
        self.news = asyncio.Event()
        self.ssl_context.load_verify_locations(servers.ca)
        self.ssl_context.verify_mode = ssl.CERT_REQUIRED
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.add_filter("in", self._arrives)
        started = asyncio.get_running_loop().create_future()
        self.add_event_handler("session_start", lambda _: started.done() or started.set_result(None))
        self.connect(where["address"], 5222)
        await asyncio.wait_for(started, DEADLINE)
        self.send_presence()
        return self

    def _arrives(self, stanza):
        self.arrived.append(stanza)
        self.transcript.append(str(stanza))
        self.news.set()
        return stanza

    async def sees(self, what, is_it):
        """Waits for a stanza among all that came in this session."""
        end = asyncio.get_running_loop().time() + DEADLINE
        while True:
            self.news.clear()
            for stanza in self.arrived:
                if is_it(stanza):
                    return stanza
            try:
                await asyncio.wait_for(self.news.wait(), end - asyncio.get_running_loop().time())
            except asyncio.TimeoutError:
                raise AssertionError(f"{self.boundjid} waited for {what}") from None

    def place_of(self, nick):
        """A nick in the room, by the address that this person knows."""
        return f"{self.room}/{nick}"

    async def hears(self, nick, body):
        """A message with these words, from the room as this person knows it."""
        return await self.sees(f"{body!r} from {self.place_of(nick)}", lambda s: (
            s.name == "message" and s["type"] == "groupchat" and s["from"] == self.place_of(nick) and s["body"] == body))

    async def hears_about(self, plugin, nick, id_):
        """A message from this nick whose element of a plugin is about an id."""
        return await self.sees(f"{plugin} of {id_} from {nick}", lambda s: (
            s.name == "message" and s["from"] == self.place_of(nick)
            and s.get_plugin(plugin, check=True) is not None and s[plugin]["id"] == id_))

    async def bookmarks(self):
        """Keeps the room where the own server keeps bookmarks, to be joined by itself."""
        item = ElementTree.fromstring(
            f"<conference xmlns='{BOOKMARKS}' autojoin='true' name='The Coven'><nick>{self.nick}</nick></conference>")
        options = self.plugin["xep_0004"].make_form("submit")
        options.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        for name, value in (("persist_items", "true"), ("max_items", "max"), ("access_model", "whitelist")):
            options.add_field(var=f"pubsub#{name}", value=value)
        await self.plugin["xep_0060"].publish(None, BOOKMARKS, id=self.room, payload=item, options=options)

    async def joins_what_is_bookmarked(self):
        """As a client does that has just started; what it joins is all there is."""
        items = (await self.plugin["xep_0060"].get_items(None, BOOKMARKS))["pubsub"]["items"]
        kept = [(item["id"], item["conference"]["nick"]) for item in items if item["conference"]["autojoin"]]
        assert kept == [(self.room, self.nick)], kept
        return await self.joins()

    async def joins(self, maxstanzas=50):
        """Joins by the address that this person knows; returns the nicks and the history's words."""
        presence, subject, occupants, history = await self.plugin["xep_0045"].join_muc_wait(
            self.room, self.nick, maxstanzas=maxstanzas, timeout=DEADLINE)
        assert presence["from"] == self.place_of(self.nick), presence
        assert subject["from"].bare == self.room, subject
        return {o["from"].resource for o in occupants}, [m["body"] for m in history]

    def message(self, body):
        """Not sent yet."""
        return self.make_message(mto=self.room, mbody=body, mtype="groupchat")

    async def says(self, body):
        """Sends, and sees it in the room; returns it as the room has it."""
        self.message(body).send()
        return await self.hears(self.nick, body)

    async def tells(self, others, body):
        """Says something that everybody hears."""
        said = await self.says(body)
        for other in others:
            await other.hears(self.nick, body)
        return said

    async def is_in(self):
        """What a client asks to know whether it is still there (XEP-0410)."""
        try:
            await self.plugin["xep_0199"].send_ping(self.place_of(self.nick), timeout=DEADLINE)
        except XMPPError as error:
            raise AssertionError(f"{self.boundjid} is not in {self.room}: {error}") from None

    async def scrolls_back(self):
        """The room's archive under the address that this person knows, as words and what they retract."""
        found = []
        async for result in self.plugin["xep_0313"].iterate(jid=self.room, rsm={"max": 5}):
            inner = result["mam_result"]["forwarded"]["stanza"]
            assert result["from"].bare == self.room and inner["from"].bare == self.room, result
            retracts = inner.get_plugin("retract", check=True)
            found.append((inner["body"], retracts and retracts["id"]))
        return found

    async def leaves(self):
        """Closes the client."""
        await self.disconnect(wait=1)

    def knew_one_room(self):
        """How many stanzas arrived, all of which named the room by the address that this person knows."""
        return names_only(self.room, self.transcript)


def names_only(room, stanzas):
    """How many there are. None came from another address of the room, or named one but in what people or the room say."""
    assert any(room in stanza for stanza in stanzas), stanzas
    for stanza in stanzas:
        said = re.sub(r"<body\b.*?</body>", "", stanza, flags=re.S)
        for other in (SOURCE, OWN, THIRD):
            assert other == room or other not in said, f"{room} is known, and this came: {stanza}"
    return len(stanzas)


async def founds(crone):
    """A distributed room with a name."""
    await crone.joins()
    form = crone.plugin["xep_0004"].make_form("submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/muc#roomconfig")
    form.add_field(var="muc#roomconfig_roomname", value="A Dark Cave")
    form.add_field(var="muc#roomconfig_distributed", ftype="boolean", value=True)
    await crone.plugin["xep_0045"].set_room_config(SOURCE, form)

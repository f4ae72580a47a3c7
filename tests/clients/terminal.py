"""A client for the terminal, in tmux: what is typed, and what the screen then shows."""

import asyncio
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from servers import DEADLINE, eventually


async def run(*command):
    """The output of a command that must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    if process.returncode != 0:
        raise AssertionError(f"{command}: {err.decode()}")
    return out.decode()


class Terminal:
    """A screen with one program, which has a home of its own."""

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="dmuc-client-"))
        self.socket = str(self.home / "tmux")

    async def tmux(self, *words):
        """A tmux that nobody else uses."""
        return await run("tmux", "-S", self.socket, "-f", "/dev/null", *words)

    async def starts(self, *command):
        """Starts the program, with what it has stored."""
        environment = {"HOME": self.home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"],
                       "XDG_CONFIG_HOME": self.home / "config", "XDG_DATA_HOME": self.home / "data",
                       "XDG_CACHE_HOME": self.home / "cache", "TERM": "screen-256color"}
        words = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *map(str, command)]
        await self.tmux("new-session", "-d", "-x", "180", "-y", "60", "-s", "client", *words)
        # The last screen stays to be read.
        await self.tmux("set-option", "-g", "remain-on-exit", "on")

    async def types(self, text):
        """A line and Enter, each when what is before it was taken: poezio takes for pasted what comes at once."""
        for part, shown in ((text[0], text[0]), (text[1:], text[-20:])):
            await self.tmux("send-keys", "-t", "client", "-l", part)
            await eventually(f"{shown!r} is typed", lambda end=shown: self.has_typed(end, True))
        await self.tmux("send-keys", "-t", "client", "Enter")
        await eventually(f"{text!r} is taken", lambda: self.has_typed(text[-20:], False))

    async def has_typed(self, end, wanted):
        """Whether the last line, where one types, ends like this, or not any more."""
        return (await self.screen()).rstrip().endswith(end) == wanted

    async def types_password(self, text):
        """Which is not shown."""
        await self.tmux("send-keys", "-t", "client", "-l", text)
        await self.tmux("send-keys", "-t", "client", "Enter")

    async def screen(self):
        """What is to be seen now."""
        return await self.tmux("capture-pane", "-p", "-t", "client")

    async def shows(self, *words):
        """Waits until one line of the screen has these words; returns the line."""
        found = []

        async def is_so():
            lines = (await self.screen()).splitlines()
            found[:] = [line for line in lines if all(word in line for word in words)]
            return bool(found)
        try:
            await eventually(f"the screen shows {words}", is_so)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{await self.screen()}") from None
        return found[-1]

    async def ends(self):
        """Ends the program at once, and with it this tmux."""
        await self.tmux("kill-server")

    def forget(self):
        """Removes what the program has stored."""
        shutil.rmtree(self.home)


class Profanity(Terminal):
    """As it is packaged by Debian."""

    name = "profanity"

    @classmethod
    async def version(cls):
        """As it says itself."""
        return (await run("profanity", "--version")).splitlines()[0].split()[-1]

    async def logs_in(self, servers, where, user):
        """Connects; what is bookmarked is joined by itself. Its log has every stanza."""
        await self.starts("profanity", "-l", "DEBUG")
        await self.shows("Debug mode enabled!")
        # When its connection breaks: after a second, not after half a minute.
        await self.types("/reconnect 1")
        await self.types(f"/connect {user}@{where['domain']} server {where['address']} port 5222 tls disable")
        await self.shows("Enter password:")
        await self.types_password("any")

    async def joins(self, room, nick):
        """By its address, and it is to be joined by itself from now on."""
        await self.shows("logged in successfully")
        await self.types(f"/join {room} nick {nick}")
        await self.is_in(nick)
        await self.types(f"/bookmark add {room} nick {nick} autojoin on")
        await self.types("/win 1")
        await self.shows(f"Bookmark added for {room}")
        await self.types("/win 2")

    async def opens(self, nick):
        """The room that it has joined by itself."""
        await self.shows("[2]")
        await self.types("/win 2")
        await self.is_in(nick)

    async def is_in(self, nick):
        """It says that it is in the room."""
        await self.shows("You have joined the room as", nick)

    async def rooms(self):
        """The addresses of the rooms that have a window, and how many windows there are."""
        await self.types("/win 1")
        await self.types("/clear")
        await self.types("/wins")
        await self.shows("1: Console")
        windows = re.findall(r"- +\d+: (\S+) *(\S*)", await self.screen())
        await self.types("/win 2")
        return [room for kind, room in windows if kind == "Room"], len(windows)

    def received(self):
        """Every stanza that arrived."""
        logs = "\n".join(path.read_text(errors="replace") for path in self.home.rglob("profanity*.log"))
        return re.findall(r"RECV: (<(?:message|presence|iq) .*)", logs)


class Poezio(Terminal):
    """As it comes from PyPI, with the Python that runs this."""

    name = "poezio"

    @classmethod
    async def version(cls):
        """As PyPI has it."""
        return importlib.metadata.version("poezio")

    async def logs_in(self, servers, where, user):
        """Connects; what is bookmarked is joined by itself. Its log has every stanza."""
        config = self.home / "poezio.cfg"
        if not config.exists():
            config.write_text("\n".join((
                "[Poezio]", f"jid = {user}@{where['domain']}", "password = any", f"custom_host = {where['address']}",
                "custom_port = 5222", f"ca_cert_path = {servers.ca}", "enable_vertical_tab_list = false",
                "show_tab_names = true", "use_tab_nicks = false", "")))
        # It does not want to be root, which it is in a container.
        code = "import os, sys; os.geteuid = lambda: 1; from poezio.__main__ import run; run()"
        await self.starts(sys.executable, "-c", code, "-f", config, "-d", self.home / "debug.log")

    async def joins(self, room, nick):
        """By its address, and it is to be joined by itself from now on."""
        await self.shows("Authentication success")
        await self.types(f"/join {room}/{nick}")
        await self.is_in(nick)
        await self.types(f"/bookmark {room}/{nick} true")

    async def opens(self, nick):
        """The room that it has joined by itself."""
        await self.shows("[0 ", "|1 ")
        await self.types("/win 1")
        await self.is_in(nick)

    async def is_in(self, nick):
        """It says that it is in the room."""
        await self.shows("You (", nick, "joined")

    async def rooms(self):
        """The addresses of the rooms that have a tab, and how many tabs there are."""
        bar = (await self.shows("[0 ")).split("]")[0]
        tabs = re.findall(r"\d+ ([^|\]]+)", bar)
        return [tab.strip() for tab in tabs if "@" in tab], len(tabs)

    def received(self):
        """Every stanza that arrived."""
        logs = "\n".join(path.read_text(errors="replace") for path in self.home.rglob("debug.log*"))
        return re.findall(r"RECV: (<(?:message|presence|iq) .*)", logs)

"""The servers: tests/testbed/examples/federation.rs, which answers every line with a line."""

import asyncio
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "target/debug/examples/federation"

#: How long anything may take that a person waits for.
DEADLINE = 30 * float(os.environ.get("DMUC_TEST_TIMEOUT_SCALE", "1"))

#: The room's addresses: at the source, at the own server, at a third one.
SOURCE = "coven@chat.shakespeare.lit"
OWN = "coven@rooms.macbeth.lit"
THIRD = "coven@conference.marlowe.lit"


async def eventually(what, is_so):
    """Waits for state that announces itself nowhere."""
    end = asyncio.get_running_loop().time() + DEADLINE
    while not await is_so():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"it never came to be that {what}")
        await asyncio.sleep(0.1)


async def versions():
    """The versions of Prosody that are here, the oldest first: `13.0.1`."""
    process = await asyncio.create_subprocess_exec(BINARY, "versions", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return json.loads(out)


class Servers:
    """Three servers, until `finish` or the end of this process."""

    @classmethod
    async def start(cls, version):
        self = cls()
        self.process = await asyncio.create_subprocess_exec(
            BINARY, version, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        hello = await self._line()
        self.ca = hello["ca"]
        self.all = hello["servers"]
        return self

    async def _line(self):
        line = await self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the servers ended: {await self.process.wait()}")
        return json.loads(line)

    async def command(self, line):
        """Has a command done (see the binary's own documentation)."""
        self.process.stdin.write(f"{line}\n".encode())
        answer = await self._line()
        if "error" in answer:
            raise AssertionError(f"{line}: {answer['error']}")
        return answer["ok"]

    async def says(self, server, room, *words):
        """Waits until one line of what the shell says of a room has these words."""
        async def is_so():
            said = await self.command(f'shell {server} dmuc:room("{room}")')
            return any(all(word in line for word in words) for line in said.splitlines())
        await eventually(f"{room} shows {words}", is_so)

    async def is_held_by_three(self):
        """Every service holds the room and knows who votes on it."""
        for server, room in enumerate((SOURCE, OWN, THIRD)):
            await self.says(server, room, "any 2 of these 3")

    async def kill_source(self):
        """The others know that it is gone."""
        await self.command("kill 0")
        for server, room in ((1, OWN), (2, THIRD)):
            await self.says(server, room, SOURCE, "out of reach", "down")

    async def take_over(self):
        """The own server's instance decides from now on, and the third one knows."""
        await self.command(f'shell 1 dmuc:take_over("{OWN}")')
        await self.says(1, OWN, "Role:", "source;", f"{OWN};")
        await self.says(2, THIRD, "Role:", "shadow;", f"{OWN};")

    async def finish(self):
        """Stops them; fails if one of them logged an error."""
        self.process.stdin.close()
        status = await self.process.wait()
        if status != 0:
            raise AssertionError(f"the servers ended with {status}")

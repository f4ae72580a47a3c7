#!/bin/bash
# slixmpp 1.17.0 does not notice that a MUC refuses a join if the error has no <x xmlns='http://jabber.org/protocol/muc'/>: its
# handlers ask for "presence@type=error/muc_join", so join_muc_wait() runs into its timeout instead of raising PresenceError.
# RFC 6120 (8.3.1) lets an error leave out what it is an answer to, and Prosody's own refusals have no such element. The same
# error with the element, as in the examples of XEP-0045 section 7.2, is noticed at once.
#
# Needs python3 with venv, and pip with the index it is configured for. slixmpp 1.17.0.
set -euo pipefail
. "$(dirname "$0")/fetch.sh"

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install slixmpp==1.17.0

cat >"$work/ask.py" <<'PY'
import asyncio
import logging
from xml.etree import ElementTree as ET
import slixmpp
from slixmpp.exceptions import PresenceError

logging.disable(logging.CRITICAL)
ERROR = """<presence xmlns='jabber:client' type='error' from='coven@chat.example/thane' to='thane@example/x'>{}
  <error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"""


async def asked(extra):
    client = slixmpp.ClientXMPP('thane@example/x', 'secret')
    client.register_plugin('xep_0045')
    client.send = client.send_raw = client.send_xml = lambda *_args, **_more: None
    joining = asyncio.ensure_future(client.plugin['xep_0045'].join_muc_wait(
        slixmpp.JID('coven@chat.example'), 'thane', timeout=2))
    await asyncio.sleep(0.2)
    client._spawn_event(ET.fromstring(ERROR.format(extra)))
    try:
        await joining
        return 'joined'
    except PresenceError as error:
        return error.condition
    except asyncio.TimeoutError:
        return 'timeout'


async def main():
    print('without:', await asked(''), 'with:', await asked("<x xmlns='http://jabber.org/protocol/muc'/>"))

asyncio.run(main())
PY

expect 'without: timeout with: forbidden' "$(timeout 60 "$work/venv/bin/python" "$work/ask.py")"

// Somebody with a web client at macbeth.lit, with a room of shakespeare.lit whose address they know.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from './browser.js';
import { Person } from './converse.js';
import { Federation, eventually } from './federation.js';

const versions = (process.env.PROSODY ?? '0.12 13 newest').split(' ');

const source = 'coven@chat.shakespeare.lit';
const own = 'coven@rooms.macbeth.lit';
const third = 'coven@conference.marlowe.lit';

for (const version of versions) {
  describe(`Converse with another server's room on Prosody ${version}`, { skip: Federation.isMissing(version) }, () => {
    let federation, browser, crone, witch, faust;
    let isBroken = false;

    /** One scene of the story, which needs those before it. */
    const scene = (name, play) => test(name, async (context) => {
      if (isBroken) return context.skip('a scene before it failed');
      isBroken = true;
      await play();
      isBroken = false;
    });

    const joins = (server, ...rest) => Person.joins(browser, federation.servers[server], ...rest);

    /** Waits until one line of what the shell says of a room has these words. */
    const says = (server, room, words) => eventually(`${room} shows ${words}`, async () => {
      const said = await federation.command(`shell ${server} dmuc:room("${room}")`);
      return said.split('\n').some((line) => words.every((word) => line.includes(word)));
    });

    /** They hear each other. */
    async function talk(people, words) {
      for (const person of people) {
        const line = `${person.nick} ${words}.`;
        await person.says(line);
        for (const other of people) await other.sees(line);
      }
    }

    before(async () => {
      federation = await Federation.start(version);
      browser = await Browser.start(federation.servers);
    });

    after(async () => {
      await browser?.close();
      await federation?.finish();
    });

    scene('a person joins the address that they know, which is bookmarked', async () => {
      crone = await joins(0, 'crone1', source, 'firstcrone');
      await crone.configures('A Dark Cave', ['Distribute Room Across Multiple Services?']);
      for (const [server, room] of [source, own, third].entries()) await says(server, room, ['any 2 of these 3']);
      faust = await joins(2, 'drfaust', third, 'faust');
      witch = await joins(1, 'somewitch', source, 'firstwitch', { mayBookmark: true });
      for (const nick of ['firstcrone', 'faust']) await witch.seesOccupant(nick);
      for (const person of [crone, faust]) await person.seesOccupant('firstwitch');
      await witch.hasBookmarked();
      assert.deepEqual(await witch.rooms(), [source]);
    });

    scene('they talk, correct, react, reply, mention and retract', async () => {
      const people = [witch, crone, faust];
      await talk(people, 'speaks');
      await witch.corrects('firstwitch speaks.', 'firstwitch spoke.');
      await witch.reacts('firstcrone speaks.', '🎉');
      await witch.says('When shall we three meet again?');
      await crone.sees('When shall we three meet again?');
      await crone.repliesTo('When shall we three meet again?', 'In thunder.');
      await witch.repliesTo('faust speaks.', 'So did I.');
      await crone.says('@firstwitch come here');
      await witch.seesMention('firstwitch', 'come here');
      await witch.says('No.');
      await crone.sees('No.');
      await witch.retracts('No.');
      for (const person of people) {
        await person.sees('firstwitch spoke.');
        await person.seesReaction('firstcrone speaks.', '🎉');
        await person.seesReply('In thunder.', 'When shall we three meet again?');
        await person.seesReply('So did I.', 'faust speaks.');
      }
      for (const person of [crone, faust]) await person.seesRetraction('firstwitch');
      for (const person of people) assert.deepEqual(await person.complaints(), [], `what ${person.user} is told`);
    });

    scene('another browser joins by the bookmark, and has what was said', async () => {
      await witch.leave();
      await talk([crone, faust], 'waits');
      await witch.opensElsewhere(browser);
      await witch.sees('firstcrone waits.');
      await witch.sees('faust waits.');
      await witch.sees('firstwitch spoke.');
      await witch.seesReaction('firstcrone speaks.', '🎉');
      await witch.seesReply('In thunder.', 'When shall we three meet again?');
      assert.deepEqual(await witch.rooms(), [source]);
    });

    scene('the source is killed, and the others go on', async () => {
      await crone.leave();
      await federation.command('kill 0');
      for (const [server, room] of [[1, own], [2, third]]) await says(server, room, [source, 'out of reach', 'down']);
      await talk([witch, faust], 'is alone');
    });

    scene('the own server restarts, and the page is back by itself', async () => {
      await federation.command('restart 1');
      await says(1, own, [third, 'up']);
      await faust.seesPresence('firstwitch', 'Online');
      await witch.seesOccupant('faust');
      await talk([witch, faust], 'is back');
    });

    scene('the own server takes over, and the address of the dead source stays', async () => {
      await federation.command(`shell 1 dmuc:take_over("${own}")`);
      await says(2, third, ['Role:', 'shadow;', `${own};`]);
      await talk([witch, faust], 'goes on');
      assert.deepEqual(await witch.rooms(), [source]);
      assert.notEqual(witch.received.length, 0);
      for (const stanza of witch.received) {
        // The room's own words say which instances there are.
        const named = stanza.replaceAll(/<body\b[^]*?<\/body>/g, '');
        for (const other of [own, third]) assert.ok(!named.includes(other), stanza);
      }
      await federation.command('start 0');
    });
  });
}

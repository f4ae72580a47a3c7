// Two people with web clients, one at the source and one at a shadow, and a third who comes late: as if it were one room.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from './browser.js';
import { Person } from './converse.js';
import { Federation } from './federation.js';

const versions = (process.env.PROSODY ?? '0.12 13 newest').split(' ');

/** The lines of one nick, in the order in which they are shown. */
const of = (transcript, nick) => transcript.filter((line) => line.startsWith(`${nick}: `));

for (const version of versions) {
  describe(`Converse on Prosody ${version}`, { concurrency: false, skip: Federation.isMissing(version) }, () => {
    let federation, browser, crone, witch, faust;
    let isBroken = false;
    const everybody = () => [crone, witch, faust].filter(Boolean);

    /** One scene of the story, which needs those before it. */
    const scene = (name, play) => test(name, async (context) => {
      if (isBroken) return context.skip('a scene before it failed');
      isBroken = true;
      await play();
      isBroken = false;
    });

    const joins = (server, user, nick) => {
      const where = federation.servers[server];
      return Person.joins(browser, where, user, `coven@${where.muc}`, nick);
    };

    /** Everybody sees these lines and no others, in this order, and nothing to worry about. */
    async function expectTranscripts(people, expected) {
      for (const person of people) {
        assert.deepEqual(await person.transcript(), expected, `what ${person.user} sees`);
      }
      await expectNoComplaints();
    }

    async function expectNoComplaints() {
      for (const person of everybody()) {
        assert.deepEqual(await person.complaints(), [], `what ${person.user} is told`);
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

    scene('an owner distributes a room by its form', async () => {
      crone = await joins(0, 'crone1', 'firstcrone');
      await crone.configures('A Dark Cave', ['Distribute Room Across Multiple Services?']);
      await federation.command('settle');
      await expectNoComplaints();
    });

    scene('who joins at another service is in the same room', async () => {
      witch = await joins(1, 'somewitch', 'firstwitch');
      await witch.seesOccupant('firstcrone');
      await crone.seesOccupant('firstwitch');
      await expectNoComplaints();
    });

    scene('messages go both ways', async () => {
      await crone.says('Thrice the brinded cat hath mewed.');
      await witch.sees('Thrice the brinded cat hath mewed.');
      await witch.says('Thrice and once the hedge-pig whined.');
      await crone.sees('Thrice and once the hedge-pig whined.');
      await expectTranscripts([crone, witch], [
        'firstcrone: Thrice the brinded cat hath mewed.',
        'firstwitch: Thrice and once the hedge-pig whined.',
      ]);
    });

    scene('corrections, reactions, replies and retractions reach what they are about', async () => {
      await crone.corrects('Thrice the brinded cat hath mewed.', "Thrice the brinded cat hath mew'd.");
      await witch.sees("Thrice the brinded cat hath mew'd.");
      await crone.reacts('Thrice and once the hedge-pig whined.', '👍');
      await witch.seesReaction('Thrice and once the hedge-pig whined.', '👍');
      await witch.says('Harpier cries.');
      await crone.sees('Harpier cries.');
      await witch.reacts('Harpier cries.', '🎉');
      await crone.seesReaction('Harpier cries.', '🎉');
      await crone.repliesTo('Harpier cries.', "'Tis time?");
      await witch.sees("'Tis time?");
      await witch.says('No.');
      await crone.sees('No.');
      await witch.retracts('No.');
      await crone.seesRetraction('firstwitch');
      await expectTranscripts([crone, witch], [
        "firstcrone: Thrice the brinded cat hath mew'd.",
        'firstwitch: Thrice and once the hedge-pig whined.',
        'firstwitch: Harpier cries.',
        "firstcrone: 'Tis time?",
        'firstwitch: (removed)',
      ]);
    });

    scene('a nick and the subject change everywhere', async () => {
      await witch.says('/nick hecate');
      await crone.seesOccupant('hecate');
      await crone.seesNoOccupant('firstwitch');
      await crone.says('/topic Round about the cauldron go');
      await witch.seesSubject('Round about the cauldron go');
      await crone.seesSubject('Round about the cauldron go');
      await expectNoComplaints();
    });

    scene('who comes late, at a third service, has the same history', async () => {
      faust = await joins(2, 'drfaust', 'faust');
      await faust.seesSubject('Round about the cauldron go');
      await faust.sees("'Tis time?");
      await faust.seesReaction('Harpier cries.', '🎉');
      await faust.seesRetraction('hecate');
      await witch.seesOccupant('faust');
      await crone.seesOccupant('faust');
      // Converse dates a message that it finds in an archive with the reaction to it: any order will do.
      const [shown, expected] = await Promise.all([faust.transcript(), witch.transcript()]);
      assert.deepEqual(shown.sort(), expected.sort());
      await expectNoComplaints();
    });

    scene('a link breaks and heals, and everybody has every message once', async () => {
      await federation.command('cut 0 1');
      await crone.seesPresence('hecate', 'Away');
      await witch.seesPresence('firstcrone', 'Away');
      const lines = { crone: ['Fillet of a fenny snake', 'in the cauldron boil'], witch: ['Eye of newt', 'and toe of frog'] };
      for (const turn of [0, 1]) {
        await crone.says(lines.crone[turn]);
        await witch.says(lines.witch[turn]);
        await faust.sees(lines.crone[turn]);
        await faust.sees(lines.witch[turn]);
      }
      await federation.command('heal');
      for (const line of lines.witch) await crone.sees(line);
      for (const line of lines.crone) await witch.sees(line);
      await crone.seesPresence('hecate', 'Online');
      await witch.seesPresence('firstcrone', 'Online');
      await crone.says('Double, double');
      await witch.sees('Double, double');
      await witch.says('toil and trouble');
      await crone.sees('toil and trouble');
      await federation.command('settle');
      for (const person of everybody()) {
        await person.sees('toil and trouble');
        // Where the two talked at the same time each side has its own words first; nobody's words are in disorder.
        const transcript = (await person.transcript()).slice(5);
        assert.equal(transcript.length, 6, `${person.user} sees ${transcript.join(' / ')}`);
        assert.deepEqual(of(transcript, 'firstcrone'), [...lines.crone, 'Double, double'].map((l) => `firstcrone: ${l}`));
        assert.deepEqual(of(transcript, 'hecate'), [...lines.witch, 'toil and trouble'].map((l) => `hecate: ${l}`));
        assert.deepEqual(transcript.slice(4), ['firstcrone: Double, double', 'hecate: toil and trouble']);
      }
      await expectNoComplaints();
    });

    scene('who was away catches up from the archive', async () => {
      await witch.leave();
      // Converse asks for what is newer than what it saw last, and times in archives are whole seconds: not in that second.
      await new Promise((resolve) => { setTimeout(resolve, 1000 - (Date.now() % 1000)); });
      await crone.says('Fire burn');
      await crone.sees('Fire burn');
      await faust.says('and cauldron bubble');
      await crone.sees('and cauldron bubble');
      await federation.command('settle');
      witch.nick = 'hecate';
      await witch.open();
      await witch.sees('Fire burn');
      await witch.sees('and cauldron bubble');
      const [shown, expected] = await Promise.all([witch.transcript(), crone.transcript()]);
      assert.deepEqual(shown.slice(-2), ['firstcrone: Fire burn', 'faust: and cauldron bubble']);
      assert.deepEqual(shown.sort(), expected.sort());
      await expectNoComplaints();
    });

    scene('who is kicked from another service is told so, and nobody else is', async () => {
      await crone.says('/kick faust too late');
      await crone.seesNoOccupant('faust');
      await witch.seesNoOccupant('faust');
      await faust.page.getByText('You have been kicked from this groupchat').waitFor();
      await faust.page.getByText('This action was done by firstcrone.').waitFor();
      await faust.page.getByText('The reason given is: "too late".').waitFor();
      faust = undefined;
      await expectNoComplaints();
    });
  });
}

// The status page (mod_http_dmuc) in a browser: a link is cut and the page shows it, heals and shows it; by keyboard, on a phone, dark and
// light, without anything from elsewhere. PICTURES=folder: what it looks like is written there (docs/pictures), and the rest into target.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Browser } from './browser.js';
import { Person } from './converse.js';
import { Federation, eventually } from './federation.js';

const versions = (process.env.PROSODY ?? '0.12 13 newest').split(' ');
const deadline = 30_000 * Number(process.env.DMUC_TEST_TIMEOUT_SCALE ?? 1);

const elsewhere = fileURLToPath(new URL('../../target/status-page', import.meta.url));
const peer = 'rooms.macbeth.lit';
const room = 'coven@chat.shakespeare.lit';
// What somebody may call a room, anywhere.
const roomName = '<img src=x onerror="document.title=1"> A Dark Cave';

/** Colours that are hard to tell apart: text whose contrast with what is behind it is under 4.5. Runs in the page. */
function pale() {
  const parts = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')].filter((element) => element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).flatMap((element) => {
    const isDrawn = element instanceof SVGElement;
    const front = light(parts(getComputedStyle(element)[isDrawn ? 'fill' : 'color']));
    const back = light(isDrawn && element.tagName === 'text'
      ? parts(getComputedStyle(element.parentElement.querySelector('rect')).fill) : behind(element));
    const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    return contrast < 4.5 && !['title', 'desc'].includes(element.tagName) ? [`${element.textContent}: ${contrast.toFixed(2)}`] : [];
  });
}

for (const version of versions) {
  describe(`The status page on Prosody ${version}`, { concurrency: false, skip: Federation.isMissing(version) }, () => {
    let federation, browser, page, crone;
    const faults = [];
    const foreign = [];
    let isBroken = false;

    const scene = (name, play) => test(name, async (context) => {
      if (isBroken) return context.skip('a scene before it failed');
      isBroken = true;
      await play();
      isBroken = false;
    });

    const address = () => federation.servers[0].page;

    /** A page of its own, whose complaints and requests are noted. */
    async function opened(options = {}) {
      const context = await browser.browser.newContext({ locale: 'en-GB', viewport: { width: 1000, height: 900 }, ...options });
      const tab = await context.newPage();
      tab.setDefaultTimeout(deadline);
      tab.on('pageerror', (error) => faults.push(error.stack));
      tab.on('console', (message) => { if (message.type() === 'error') faults.push(message.text()); });
      tab.on('request', (request) => {
        if (!request.url().startsWith(address()) && !request.url().startsWith('data:')) foreign.push(request.url());
      });
      await tab.goto(address());
      return tab;
    }

    const row = (tab, name) => tab.getByRole('table', { name: 'Links' }).getByRole('row').filter({ has: tab.getByRole('rowheader', { name }) });
    const inMap = (tab) => tab.locator(`svg g[data-peer="${peer}"]`);

    async function shows(tab, state, word) {
      await row(tab, peer).getByRole('cell', { name: word, exact: true }).first().waitFor();
      await eventually(`the map shows ${state}`, async () => await inMap(tab).getAttribute('data-state') === state);
    }

    async function picture(name) {
      if (!process.env.PICTURES) return;
      mkdirSync(process.env.PICTURES, { recursive: true });
      const tab = await opened({ viewport: { width: 900, height: 900 }, colorScheme: 'light' });
      await shows(tab, name === 'split' ? 'down' : 'up', name === 'split' ? 'down' : 'up');
      const section = await tab.locator('#services section').boundingBox();
      const links = await tab.getByRole('table', { name: 'Links' }).boundingBox();
      const clip = { ...section, height: links.y + links.height + 12 - section.y };
      await tab.screenshot({ path: `${process.env.PICTURES}/${name}.png`, clip });
      await tab.context().close();
    }

    before(async () => {
      federation = await Federation.start(version);
      browser = await Browser.start(federation.servers);
    });

    after(async () => {
      await browser?.close();
      await federation?.finish();
    });

    scene('a room is on the page without loading it again, its name as text', async () => {
      page = await opened();
      await page.getByText('Live', { exact: true }).waitFor();
      await page.evaluate(() => { globalThis.isStillHere = true; });
      crone = await Person.joins(browser, federation.servers[0], 'crone1', room, 'firstcrone');
      await crone.configures(roomName, ['Distribute Room Across Multiple Services?']);
      await page.getByText(`${room} (${roomName})`).waitFor();
      await page.getByText('2 of 2 other instances in step').waitFor();
      assert.equal(await page.locator('main img').count(), 0);
      await shows(page, 'up', 'up');
      await eventually('the title says that all is well', async () => (await page.title()).startsWith('2 of 2 links up. 1 of 1 room in step.'));
      assert.equal(await page.locator('#summary').getAttribute('data-state'), 'up');
    });

    scene('it has landmarks, headings, and tables with headers', async () => {
      assert.equal(await page.locator('html').getAttribute('lang'), 'en');
      for (const landmark of ['main', 'banner', 'contentinfo']) assert.equal(await page.getByRole(landmark).count(), 1, landmark);
      for (const name of ['Now', 'chat.shakespeare.lit', 'Changes since this page was opened']) {
        assert.equal(await page.getByRole('region', { name, exact: true }).count(), 1, name);
        assert.equal(await page.getByRole('heading', { name, exact: true, level: 2 }).count(), 1, name);
      }
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
      for (const name of ['Links', 'Other instances']) {
        const table = page.getByRole('table', { name });
        assert.ok(await table.getByRole('columnheader').count() >= 7, name);
        assert.equal(await table.getByRole('rowheader').count(), 2, name);
      }
      // The map says in words what it shows; shapes differ, not only colours.
      const map = page.getByRole('img', { name: `Map: chat.shakespeare.lit and its links. conference.marlowe.lit: up; ${peer}: up` });
      assert.equal(await map.count(), 1);
      assert.equal(await inMap(page).locator('circle.full').count(), 1);
      assert.equal(await page.getByRole('status').getAttribute('aria-live'), 'polite');
    });

    scene('an EventSource gets the same', async () => {
      const shown = await page.evaluate(() => new Promise((resolve, reject) => {
        const source = new EventSource('events');
        source.addEventListener('status', (event) => {
          source.close();
          resolve(JSON.parse(event.data));
        });
        source.onerror = reject;
      }));
      assert.equal(shown.services[0].rooms[0].name, roomName);
    });

    scene('everything can be reached and worked by keyboard', async () => {
      const tab = await opened();
      await tab.getByText(`${room} (${roomName})`).waitFor();
      const reached = [];
      for (let i = 0; i < 8; i += 1) {
        await tab.keyboard.press('Tab');
        const at = await tab.evaluate(() => {
          const element = document.activeElement;
          const style = getComputedStyle(element);
          return { name: element.type === 'checkbox' ? 'only' : element.localName, isSeen: element === document.body || parseFloat(style.outlineWidth) >= 2 };
        });
        assert.ok(at.isSeen, `the focus cannot be seen at ${at.name}`);
        reached.push(at.name);
        if (at.name === 'summary') break;
      }
      assert.deepEqual(reached, ['a', 'input', 'only', 'summary']);
      const details = tab.locator('details').first();
      assert.equal(await details.evaluate((element) => element.open), true);
      await tab.keyboard.press('Enter');
      await eventually('it is closed', () => details.evaluate((element) => !element.open));
      // Updates take neither the focus nor what somebody has closed.
      await tab.waitForTimeout(2500);
      assert.equal(await tab.evaluate(() => document.activeElement.localName), 'summary');
      assert.equal(await details.evaluate((element) => element.open), false);
      await tab.keyboard.press('Shift+Tab');
      await tab.keyboard.press('Space');
      await eventually('no room is left', async () => await tab.locator('details').count() === 0);
      await tab.getByText('0 of 1 room shown.').waitFor();
      await tab.keyboard.press('Space');
      await tab.keyboard.press('Shift+Tab');
      await tab.keyboard.type('MACBETH');
      await eventually('no room is left', async () => await tab.locator('details').count() === 0);
      await tab.keyboard.press('Control+A');
      await tab.keyboard.type('dark cave');
      await eventually('the room is there', async () => await tab.locator('details').count() === 1);
      await tab.context().close();
    });

    scene('a link is cut, and the page shows it', async () => {
      await federation.command('cut 0 1');
      await shows(page, 'down', 'down');
      await page.getByText('1 of 2 other instances in step').waitFor();
      await page.getByRole('status').getByText(`chat.shakespeare.lit: the link to ${peer} is down`).waitFor();
      await page.getByRole('listitem').getByText(`the link to ${peer} is down`).waitFor();
      assert.equal(await inMap(page).locator('rect.mark').count(), 1);
      assert.match(await page.title(), /^1 of 2 links up, 1 down\./);
      const lag = row(page, peer).locator('td[data-label="Lag"]');
      assert.match(await lag.textContent(), /^\d+ (s|min)$/);
      const before = Number.parseInt(await lag.textContent(), 10);
      await eventually('the lag grows', async () => Number.parseInt(await lag.textContent(), 10) > before);
      await picture('split');
    });

    for (const colorScheme of ['light', 'dark']) {
      scene(`it fits on a phone, ${colorScheme}`, async () => {
        const tab = await opened({ viewport: { width: 360, height: 740 }, colorScheme, reducedMotion: 'reduce' });
        await shows(tab, 'down', 'down');
        await tab.getByText('1 of 2 other instances in step').waitFor();
        const [wide, ground] = await tab.evaluate(() => [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]);
        assert.ok(wide <= 360, `${wide} px`);
        assert.equal(Number(ground.match(/\d+/)[0]) > 127, colorScheme === 'light', ground);
        assert.deepEqual(await tab.evaluate(pale), []);
        // As a table for who listens to it, whatever it looks like.
        assert.ok(await tab.getByRole('table', { name: 'Links' }).getByRole('cell').count() >= 16);
        const small = await tab.evaluate(() => [...document.querySelectorAll('svg text')].filter((text) => text.getBoundingClientRect().height < 12).length);
        assert.equal(small, 0, 'the map can be read');
        assert.equal(await tab.evaluate(() => document.getAnimations().length), 0, 'nothing moves');
        if (process.env.PICTURES) await tab.screenshot({ path: `${elsewhere}/phone-${colorScheme}.png`, fullPage: true });
        await tab.context().close();
      });
    }

    scene('it fits whatever is between a phone and a desk', async () => {
      const tab = await opened();
      await shows(tab, 'down', 'down');
      for (const width of [320, 640, 800, 868, 1280]) {
        await tab.setViewportSize({ width, height: 800 });
        await eventually(`it fits into ${width} px`, () => tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        const broken = await tab.evaluate(() => [...document.querySelectorAll('thead th, td[data-state]')].filter((cell) => {
          const words = document.createRange();
          words.selectNodeContents(cell);
          return !cell.textContent.includes(' ') && words.getClientRects().length > 1;
        }).map((cell) => cell.textContent));
        assert.deepEqual(broken, [], `${width} px`);
      }
      await tab.context().close();
    });

    scene('every state has a word and a shape of its own, whatever things are called', async () => {
      const states = { up: 'up', syncing: 'syncing', suspect: 'in doubt', down: 'down', unknown: 'not known yet' };
      const long = `${'very-long-name.'.repeat(12)}example`;
      const steps = {
        agreed: 'in step', behind: 'catching up', 'setting-up': 'being set up', wanted: 'wanted', 'out-of-reach': 'out of reach', refused: 'refused (conflict)',
      };
      const instances = Object.keys(steps).map((state) => ({
        instance: `coven@${state}.example`, state, link: 'up', is_source: state === 'wanted', people: 1, speaks: 'xep', refused_for: state === 'refused' ? 'conflict' : undefined,
      }));
      const listed = { not_named: [], retracted: [], here: 0, elsewhere: 0, messages: 0, waiting: 0, term: 3 };
      const made = {
        version: 1,
        services: [{
          service: `muc.${long}`,
          links: [...Object.keys(states), long].map((peer) => ({ peer, state: states[peer] ? peer : 'up', speaks: 'ours', rooms: 2, behind: peer === 'syncing' ? 2 : 0, lag: 0 })),
          rooms: [
            { ...listed, room: 'coven@source.example', role: 'shadow', source: 'coven@wanted.example', instances },
            { ...listed, room: `${'x'.repeat(300)}@source.example`, name: 'y'.repeat(300), role: 'parked', reason: 'not_shared', instances: [] },
            { ...listed, room: 'empty@source.example', role: 'source', instances: [] },
          ],
          more_rooms: 4, parked: [],
        }, {
          service: 'quiet.example', links: [], rooms: [], more_rooms: 0,
          parked: [{ room: 'shut@quiet.example', reason: 'unread' }, { room: '*', reason: 'list_unread' }],
        }, { service: 'mute.example', unreadable: true, links: [], rooms: [], more_rooms: 0, parked: [] }],
      };
      for (const width of [320, 360, 1000]) {
        const context = await browser.browser.newContext({ viewport: { width, height: 800 }, colorScheme: width === 320 ? 'dark' : 'light' });
        const tab = await context.newPage();
        tab.setDefaultTimeout(deadline);
        tab.on('pageerror', (error) => faults.push(error.stack));
        await tab.route('**/events', (route) => route.fulfill({ status: 503 }));
        await tab.route('**/status.json', (route) => route.fulfill({ json: made }));
        await tab.goto(address());
        await tab.getByText('2 of 6 links up, 1 down. 1 of 4 rooms in step. Which other rooms there are cannot be read yet. 1 service cannot be read.').waitFor();
        await tab.getByText('closed: what is stored of it cannot be read yet').waitFor();
        await tab.getByText('All rooms that are not listed here').waitFor();
        await tab.getByText('1 of 1 room shown.').waitFor();
        await tab.getByText('What this service does cannot be read').waitFor();
        await tab.getByText('3 of 7 rooms shown. 4 more are not listed here').waitFor();
        const shapes = new Set();
        for (const [state, word] of Object.entries(states)) {
          const link = tab.locator(`svg g[data-peer="${state}"]`);
          assert.ok((await link.locator('.word').textContent()).startsWith(word), state);
          shapes.add(await link.locator('.mark').evaluate((mark) => `${mark.localName} ${mark.getAttribute('class')} ${mark.getAttribute('d')}`));
        }
        assert.equal(shapes.size, Object.keys(states).length);
        const cells = await tab.locator('details td[data-label="State"]').allTextContents();
        assert.deepEqual(cells, Object.values(steps));
        assert.equal(await tab.locator('details td[data-label="Role"]').nth(3).textContent(), 'source');
        await tab.locator('details').nth(1).getByText('the service of the source does not share it with this one').waitFor();
        const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} px at ${width}`);
        assert.deepEqual(await tab.evaluate(pale), []);
        const overlaps = await tab.evaluate(() => {
          const boxes = [...document.querySelectorAll('#services section:first-child svg rect:not(.mark)')].map((box) => box.getBoundingClientRect());
          const outside = [...document.querySelectorAll('svg text')].filter((text) => {
            const box = text.parentElement.querySelector('rect').getBoundingClientRect();
            return text.getBoundingClientRect().right > box.right;
          }).map((text) => text.textContent);
          return [outside, boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom))];
        });
        assert.deepEqual(overlaps, [[], false]);
        if (process.env.PICTURES) await tab.screenshot({ path: `${elsewhere}/states-${width}.png`, fullPage: true });
        await context.close();
      }
    });

    scene('the link heals, and the page shows it', async () => {
      await federation.command('heal');
      await shows(page, 'up', 'up');
      await page.getByText('2 of 2 other instances in step').waitFor();
      await page.getByRole('status').getByText(`the link to ${peer} is up`).waitFor();
      await eventually('nothing is missing', async () => await row(page, peer).locator('td[data-label="Lag"]').textContent() === 'none');
      assert.deepEqual(await page.evaluate(pale), []);
      assert.equal(await page.evaluate(() => globalThis.isStillHere), true, 'the page was not loaded again');
      await picture('heal');
    });

    scene('nothing came from elsewhere, and nothing was wrong', async () => {
      assert.deepEqual(foreign, []);
      assert.deepEqual(faults, []);
    });

    scene('a reload of the module and a restart of the server are got over', async () => {
      await federation.command('eval 0 return reload_module("*", "http_dmuc")');
      await federation.command('stop 0');
      await page.getByText('No answer from the server').waitFor();
      assert.ok(await page.evaluate(() => document.body.classList.contains('is-old')));
      await federation.command('start 0');
      await page.getByText('Live', { exact: true }).waitFor();
      await shows(page, 'up', 'up');
      assert.equal(await page.evaluate(() => globalThis.isStillHere), true);
    });

    scene('where no stream can be had it is asked again and again', async () => {
      await federation.command('eval 0 require"core.configmanager".set("*", "http_dmuc_max_streams", 0); return reload_module("*", "http_dmuc")');
      const tab = await opened();
      await tab.getByText('Asked every 5 s').waitFor();
      await shows(tab, 'up', 'up');
      await federation.command('cut 0 1');
      await shows(tab, 'down', 'down');
      await federation.command('heal');
      await shows(tab, 'up', 'up');
      await tab.context().close();
    });

    scene('a token is asked for, and stays in the tab', async () => {
      const token = 'round-about-the-cauldron-go';
      await federation.command('eval 0 local c = require"core.configmanager"; c.set("*", "http_dmuc_max_streams", 9); '
        + `c.set("*", "http_dmuc_allow_ips", {}); c.set("*", "http_dmuc_token", "${token}"); return reload_module("*", "http_dmuc")`);
      const tab = await opened({ viewport: { width: 360, height: 740 } });
      const field = tab.getByLabel('Token');
      await field.waitFor();
      assert.deepEqual(await tab.evaluate(pale), []);
      assert.equal(await field.evaluate((element) => element === document.activeElement), true);
      assert.equal(await tab.locator('#content').isVisible(), false);
      await field.fill('not-this-one-not-this-€');
      await tab.keyboard.press('Enter');
      await tab.getByRole('alert').getByText('A token has letters from a to z').waitFor();
      await field.fill('');
      await tab.keyboard.type('not-this-one-not-this');
      await tab.keyboard.press('Enter');
      await tab.getByRole('alert').getByText('This is not the token.').waitFor();
      await tab.keyboard.type(token);
      await tab.keyboard.press('Enter');
      await tab.getByText('Live', { exact: true }).waitFor();
      await shows(tab, 'up', 'up');
      await tab.reload();
      await tab.getByText('Live', { exact: true }).waitFor();
      assert.equal(tab.url(), address());
      assert.deepEqual(await tab.context().cookies(), []);
      const other = await opened();
      await other.getByLabel('Token').waitFor();
    });
  });
}

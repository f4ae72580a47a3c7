// Somebody who uses Converse: what such a person does, and what the page then shows.

import { eventually } from './federation.js';

const deadline = 30_000 * Number(process.env.DMUC_TEST_TIMEOUT_SCALE ?? 1);

/** A person with a page in the browser. Everything waits for what it is about, half a minute at most. */
export class Person {
  /** Opens a page and logs in; the page joins the room by itself. */
  static async joins(browser, server, user, room, nick, { mayBookmark = false } = {}) {
    const person = new Person(await browser.context(), browser.address, { server, user, room, nick });
    person.mayBookmark = mayBookmark;
    await person.open();
    return person;
  }

  constructor(context, address, { server, user, room, nick }) {
    Object.assign(this, { context, address, server, user, room, nick });
    this.faults = [];
    this.isBookmarked = false;
    /** Every stanza that arrived, and every one that was sent. */
    this.received = [];
    this.sent = [];
  }

  /** A page: the first one, or another one after `leave`, with what the browser has stored. */
  async open() {
    this.page = await this.context.newPage();
    this.page.setDefaultTimeout(deadline);
    this.page.on('websocket', (socket) => {
      socket.on('framereceived', ({ payload }) => this.received.push(`${payload}`));
      socket.on('framesent', ({ payload }) => this.sent.push(`${payload}`));
    });
    this.page.on('pageerror', (error) => this.faults.push(`error in the page: ${error.stack}`));
    this.page.on('console', (message) => {
      const text = message.text();
      // Fonts and other things of other hosts, which do not exist here; and refusals of what Converse only tries.
      const isHarmless = text.startsWith('Failed to load resource') || text.startsWith('<iq ');
      if (message.type() === 'error' && !isHarmless) this.faults.push(text);
    });
    await this.page.goto(this.address);
    await this.page.waitForFunction(() => globalThis.converse?.initialize);
    await this.page.evaluate((settings) => { globalThis.converse.initialize(settings); }, {
      authentication: 'login',
      auto_login: true,
      jid: `${this.user}@${this.server.domain}`,
      password: 'any',
      websocket_url: this.server.websocket,
      discover_connection_methods: false,
      auto_join_rooms: this.isBookmarked ? [] : [{ jid: this.room, nick: this.nick }],
      // Otherwise the nick that is set here stays set: a bookmark would overrule it.
      allow_bookmarks: this.mayBookmark,
      assets_path: '/dist/',
      view_mode: 'fullscreen',
      i18n: 'en',
      play_sounds: false,
      show_desktop_notifications: false,
    });
    await this.input.waitFor();
    await this.seesOccupant(this.nick);
  }

  /** Closes the page without a word. */
  async leave() {
    await this.page.close();
  }

  /** Waits until the own server has the bookmark, which Converse sets by itself. */
  async hasBookmarked() {
    await eventually(`${this.user} has bookmarked ${this.room}`, async () => this.sent
      .filter((stanza) => stanza.includes('<publish') && stanza.includes('bookmarks') && stanza.includes(this.room))
      .map((stanza) => / id=["']([^"']+)/.exec(stanza)[1])
      .some((id) => this.received.some((stanza) => stanza.includes(id) && /type=["']result/.test(stanza))));
    this.isBookmarked = true;
  }

  /** Opens a page in another browser, which knows of the room only what the own server does. */
  async opensElsewhere(browser) {
    this.context = await browser.context();
    await this.open();
  }

  /** The addresses of the rooms in the list at the side. */
  async rooms() {
    return this.page.locator('.open-rooms-list [data-room-jid].open-room').evaluateAll(
      (items) => items.map((item) => item.dataset.roomJid));
  }

  get input() {
    return this.page.locator('converse-muc .chat-textarea');
  }

  get sidebar() {
    return this.page.locator('converse-muc-sidebar');
  }

  bubble(text) {
    return this.page.locator('.chat-msg').filter({ has: this.page.getByText(text, { exact: true }) });
  }

  /** Sends a message, or a command such as `/nick hecate`. */
  async says(text) {
    await this.input.fill(text);
    await this.input.press('Enter');
  }

  /** Chooses something from the menu of a place, which makes something appear.
   *
   * Converse closes a menu when it draws the place anew, because it has learnt something: then once more. */
  async chooses(name, place, outcome) {
    const end = Date.now() + deadline;
    for (;;) {
      try {
        await place.hover({ timeout: 2000 });
        await place.getByRole('button', { name: 'Menu' }).click({ timeout: 2000 });
        await place.getByRole('button', { name }).click({ timeout: 2000 });
        await outcome.waitFor({ timeout: 2000 });
        return;
      } catch (error) {
        if (await outcome.isVisible()) return;
        if (Date.now() > end) throw error;
      }
    }
  }

  async corrects(text, better) {
    await this.chooses('Edit', this.bubble(text), this.page.locator('.chat-textarea.correcting'));
    await this.says(better);
  }

  async reacts(text, emoji) {
    const item = this.bubble(text).locator('.reaction-item').filter({ hasText: emoji }).first();
    await this.chooses('Add Reaction', this.bubble(text), item);
    await item.click();
  }

  async repliesTo(text, answer) {
    await this.chooses('Reply', this.bubble(text), this.page.locator('converse-reply-preview').getByText(text));
    await this.says(answer);
  }

  async retracts(text) {
    const confirm = this.page.getByRole('button', { name: 'Confirm' });
    await this.chooses('Retract', this.bubble(text), confirm);
    await confirm.click();
  }

  /** Fills in the room's form. */
  async configures(name, checked) {
    const heading = this.page.locator('converse-muc-heading');
    const title = this.page.locator('[name="muc#roomconfig_roomname"]');
    await this.chooses('Configure', heading, title);
    await title.fill(name);
    for (const label of checked) await this.page.getByLabel(label).check();
    await this.page.getByRole('button', { name: 'Save' }).click();
    await heading.getByText(name).waitFor();
  }

  async sees(text) {
    await this.bubble(text).waitFor();
  }

  /** Waits for an answer that is shown with what it answers. */
  async seesReply(text, quoted) {
    await this.bubble(text).locator('converse-reply-context').filter({ hasText: quoted }).waitFor();
  }

  async seesReaction(text, emoji) {
    await this.bubble(text).locator('converse-reactions').filter({ hasText: emoji }).waitFor();
  }

  async seesRetraction(nick) {
    await this.page.locator('.chat-msg--retracted').filter({ hasText: `${nick} has removed a message` }).waitFor();
  }

  /** Waits for a message in which a nick is marked as this person's own. */
  async seesMention(nick, rest) {
    const mention = this.page.locator('.chat-msg__text .mention--self').filter({ hasText: nick });
    await this.page.locator('.chat-msg').filter({ has: mention }).filter({ hasText: rest }).waitFor();
  }

  async seesSubject(text) {
    await this.page.locator('converse-muc-heading').getByText(text).waitFor();
  }

  async seesOccupant(nick) {
    await this.sidebar.getByText(nick, { exact: true }).waitFor();
  }

  async seesNoOccupant(nick) {
    await this.sidebar.getByText(nick, { exact: true }).waitFor({ state: 'detached' });
  }

  /** Waits until somebody is shown with a presence, by its name: `Online`, `Away`. */
  async seesPresence(nick, name) {
    const occupant = this.sidebar.locator('.occupant').filter({ has: this.page.getByText(nick, { exact: true }) });
    await occupant.locator('.chat-status').and(this.page.getByTitle(name)).waitFor();
  }

  /** The messages as they are shown, from the top: `nick: text`, with the nick that the sender had then. */
  async transcript() {
    return this.page.locator('converse-message-history .chat-msg').evaluateAll((messages) => messages.map((message) => {
      const nick = message.dataset.from.split('/')[1];
      return `${nick}: ${message.querySelector('.chat-msg__text')?.textContent.trim() ?? '(removed)'}`;
    }));
  }

  /** What must not be there: errors, warnings, "you have been removed". */
  async complaints() {
    const shown = await this.page
      .locator('.chat-error, .alert-danger, .alert-warning, .toast, converse-muc-disconnected, .disconnect-container')
      .allTextContents();
    return [...shown.map((text) => text.trim()), ...this.faults];
  }
}

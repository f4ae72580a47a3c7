// What status.json and the stream of events say, as a page. Names of rooms come from anywhere: everything is put in as text.
'use strict';

const byId = (id) => document.getElementById(id);

const linkWords = { up: 'up', syncing: 'syncing', suspect: 'in doubt', down: 'down', unknown: 'not known yet' };
const stepWords = {
	agreed: 'in step', behind: 'catching up', 'setting-up': 'being set up', wanted: 'wanted', 'out-of-reach': 'out of reach', refused: 'refused',
};
const speech = { unknown: 'not known yet', nothing: 'no DMUC', xep: 'XEP-0281 only', ours: 'mod_dmuc' };
const reasons = {
	source_not_named: 'dmuc_peers here does not name the service of the source',
	not_shared: 'the service of the source does not share it with this one',
	instance_not_named: 'an instance elsewhere is left out: dmuc_peers here does not name its service',
	unread: 'closed: what is stored of it cannot be read yet',
	list_unread: 'closed: the storage cannot be read yet',
};

/** An element with attributes and text or elements in it. */
function make(name, attributes = {}, ...inside) {
	const isDrawing = ['svg', 'g', 'rect', 'text', 'path', 'title', 'desc', 'circle', 'tspan'].includes(name);
	const element = isDrawing ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	element.append(...inside);
	return element;
}

function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function setState(element, state) {
	if (element.dataset.state !== state) element.dataset.state = state;
}

/** The children of an element are one for each item, in order; those that are there stay, with the focus in them. */
function keep(parent, items, keyOf, create, update) {
	const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
	let before = null;
	for (const item of items) {
		const key = keyOf(item);
		const child = old.get(key) ?? create(item);
		child.dataset.key = key;
		old.delete(key);
		const next = before ? before.nextElementSibling : parent.firstElementChild;
		if (next !== child) parent.insertBefore(child, next);
		update(child, item);
		before = child;
	}
	for (const child of old.values()) child.remove();
}

/** Numbers of seconds as people say them. */
function period(seconds) {
	if (seconds === undefined) return '–';
	if (seconds < 120) return `${Math.round(seconds)} s`;
	if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
	if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86400)} days`;
}

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

let status;
let receivedAt = 0;
/** An age that the server gave, now. */
const aged = (seconds) => (seconds === undefined ? undefined : seconds + (performance.now() - receivedAt) / 1000);
const ago = (seconds) => (seconds === undefined ? '–' : `${period(aged(seconds))} ago`);

function lag(link) {
	if (link.lag === undefined) return 'not known';
	return link.lag === 0 && link.state === 'up' && link.behind === 0 ? 'none' : period(aged(link.lag));
}

/** A table with a heading for each column; fill() puts rows of cells into it: texts, or { text, state }. */
function makeTable(caption, columns) {
	const head = columns.map((column) => make('th', { scope: 'col', role: 'columnheader' }, column));
	const body = make('tbody', { role: 'rowgroup' });
	const table = make('table', { role: 'table' }, make('caption', {}, caption),
		make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...head)), body);
	table.fill = (rows) => keep(body, rows, (row) => row[0], () => make('tr', { role: 'row' }, ...columns.map((column, i) => (
		i === 0 ? make('th', { scope: 'row', role: 'rowheader' }) : make('td', { role: 'cell', 'data-label': column })))),
	(line, row) => row.forEach((cell, i) => {
		setText(line.children[i], cell.text ?? cell);
		if (cell.state) setState(line.children[i], cell.state);
	}));
	return table;
}

/** Cuts a text that is drawn until it fits; the whole of it is in the table. */
function fit(text, width) {
	const whole = text.textContent;
	let kept = Math.min(whole.length, Math.ceil(width / 4));
	if (kept < whole.length) text.textContent = `${whole.slice(0, kept)}…`;
	while (kept > 1 && text.getComputedTextLength() > width) {
		kept -= 1;
		text.textContent = `${whole.slice(0, kept)}…`;
	}
}

/** Beside its word each state has a shape of its own. */
function markOf(state, x, y) {
	const at = `translate(${x} ${y})`;
	if (state === 'up') return make('circle', { class: 'mark full', r: 9, transform: at });
	if (state === 'syncing') return make('path', { class: 'mark', d: 'M0 -11 11 0 0 11 -11 0Z', transform: at });
	if (state === 'suspect') return make('path', { class: 'mark', d: 'M0 -11 11 9 -11 9Z', transform: at });
	if (state === 'down') {
		return make('g', { transform: at }, make('rect', { class: 'mark', x: -10, y: -10, width: 20, height: 20 }),
			make('path', { d: 'M-5 -5 5 5 M-5 5 5 -5' }));
	}
	return make('circle', { class: 'mark', r: 9, transform: at });
}

function boxOf(x, y, width, lines, attributes) {
	const box = make('g', attributes, make('title', {}, lines[0]), make('rect', { x, y, width, height: 52, rx: 8 }));
	lines.forEach((line, i) => {
		const text = make('text', { x: x + 12, y: y + 22 + 20 * i }, line);
		if (i === 1) text.setAttribute('class', 'word');
		box.append(text);
	});
	return box;
}

const linkLine = (link) => `${linkWords[link.state] ?? link.state}${link.behind > 0 ? `, ${plural(link.behind, 'room')} behind` : ''}`;

/** This service and its links: a star on a wide screen, a trunk with branches on a narrow one. */
function draw(svg, service) {
	const width = Math.max(280, svg.parentElement.clientWidth);
	const links = service.links;
	const key = JSON.stringify([width, service.service, links.map((link) => [link.peer, link.state, link.behind])]);
	if (svg.drawn === key) return;
	svg.drawn = key;
	const said = links.map((link) => `${link.peer}: ${linkLine(link)}`).join('; ');
	const parts = [make('title', {}, `Map: ${service.service} and its links. ${said}`)];
	const isWide = width >= 640;
	const step = 76;
	const boxWidth = isWide ? Math.min(230, Math.floor(width * 0.27)) : width - 94;
	const rows = isWide ? Math.ceil(links.length / 2) : links.length;
	const height = isWide ? Math.max(1, rows) * step : 64 + rows * step;
	if (!isWide && rows > 0) parts.push(make('path', { class: 'trunk', d: `M18 54 V${64 + (rows - 1) * step + 36}` }));
	const own = isWide ? [(width - boxWidth) / 2, height / 2 - 26] : [0, 2];
	links.forEach((link, i) => {
		const isLeft = isWide && i % 2 === 1;
		const row = isWide ? Math.floor(i / 2) : i;
		const top = isWide
			? height / 2 - (isLeft ? Math.floor(links.length / 2) : Math.ceil(links.length / 2)) * step / 2 + row * step + 12
			: 64 + row * step + 10;
		const x = isWide ? (isLeft ? 2 : width - boxWidth - 2) : 92;
		const middle = top + 26;
		const from = isLeft ? own[0] : own[0] + boxWidth;
		const to = isLeft ? x + boxWidth : x;
		const half = (from + to) / 2;
		const line = isWide ? `M${from} ${height / 2} C${half} ${height / 2} ${half} ${middle} ${to} ${middle}` : `M18 ${middle} H${x}`;
		const mark = isWide ? [half, (height / 2 + middle) / 2] : [55, middle];
		parts.push(make('g', { 'data-state': link.state, 'data-peer': link.peer }, make('path', { class: 'line', d: line }),
			markOf(link.state, ...mark), boxOf(x, top, boxWidth, [link.peer, linkLine(link)], {})));
	});
	parts.push(boxOf(...own, isWide ? boxWidth : width - 2, [service.service, 'this server'], { class: 'own' }));
	svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
	svg.replaceChildren(...parts);
	for (const text of svg.querySelectorAll('text')) fit(text, text.parentElement.querySelector('rect').getAttribute('width') - 24);
}

const countAgreed = (room) => room.instances.filter((instance) => instance.state === 'agreed').length;

function stepOf(room) {
	if (room.reason) return { text: room.role === 'closed' ? 'closed' : 'parked', state: 'suspect' };
	const text = `${countAgreed(room)} of ${plural(room.instances.length, 'other instance')} in step`;
	const worst = ['out-of-reach', 'refused', 'wanted', 'setting-up', 'behind'].find((state) => (
		room.instances.some((instance) => instance.state === state)));
	return { text, state: worst ?? 'agreed' };
}

/** Rooms, and what is closed or parked beside them: of that nothing is known but why. Beyond the rooms that are listed the parked ones are counted already. */
function entriesOf(service) {
	const listed = new Set(service.rooms.map((room) => room.room));
	const closed = service.parked.filter((entry) => !listed.has(entry.room) && ['unread', 'list_unread'].includes(entry.reason));
	return [...service.rooms, ...closed.map((entry) => ({ ...entry, role: 'closed', instances: [], not_named: [], retracted: [] }))];
}

const isUnlisted = (room) => room.reason === 'list_unread';

function makeRoom() {
	const details = make('details', {}, make('summary', {}, make('span', { class: 'address' }), ' ', make('span', { class: 'role soft' }), ' ',
		make('span', { class: 'step' })));
	const table = makeTable('Other instances', ['Instance', 'State', 'Link', 'Role', 'People', 'Agreed', 'Answered']);
	details.append(make('div', {}, make('p', { class: 'facts' }), make('p', { class: 'more soft' }), table));
	details.table = table;
	return details;
}

function fillRoom(details, room) {
	const find = (name) => details.querySelector(`.${name}`);
	const step = stepOf(room);
	setText(find('address'), isUnlisted(room) ? 'All rooms that are not listed here' : room.name ? `${room.room} (${room.name})` : room.room);
	setText(find('role'), room.reason ? '' : `${room.role}, term ${room.term}`);
	setText(find('step'), step.text);
	setState(find('step'), step.state);
	if (!details.open) return;
	const source = room.source ? `Source: ${room.source}. ` : '';
	setText(find('facts'), room.reason ? `${source}${reasons[room.reason] ?? room.reason}.`
		: `${source}Role here: ${room.role}. Term: ${room.term}. People here: ${room.here}, elsewhere: ${room.elsewhere}. `
			+ `Messages kept: ${room.messages}. Changes that wait for the source: ${room.waiting}.`);
	const left = [...room.not_named.map((jid) => `${jid} is left out: dmuc_peers does not name its service.`),
		...room.retracted.map((jid) => `${jid} was retracted.`)];
	setText(find('more'), [room.succession ?? '', ...left].join(' ').trim());
	details.table.hidden = room.instances.length === 0;
	details.table.fill(room.instances.map((instance) => [
		instance.instance,
		{ text: (stepWords[instance.state] ?? instance.state) + (instance.refused_for ? ` (${instance.refused_for})` : ''), state: instance.state },
		{ text: linkWords[instance.link] ?? instance.link, state: instance.link },
		instance.is_source ? 'source' : 'shadow',
		String(instance.people), ago(instance.agreed_ago), ago(instance.answered_ago),
	]));
}

function makeService(service) {
	const id = `service-${document.querySelectorAll('#services > section').length}-${Date.now()}`;
	const section = make('section', { 'aria-labelledby': id }, make('h2', { id }, service.service));
	const svg = make('svg', { role: 'img' });
	const links = makeTable('Links', ['Peer', 'State', 'For', 'Lag', 'Answered', 'Rooms', 'Behind', 'Speaks', 'Why']);
	const text = make('input', { type: 'search', id: `${id}-filter`, autocomplete: 'off' });
	const only = make('input', { type: 'checkbox' });
	const rooms = make('div', { class: 'rooms' });
	const more = make('p', { class: 'soft' });
	section.append(make('figure', {}, svg), links, make('h3', { id: `${id}-rooms` }, 'Rooms'),
		make('div', { class: 'filter' }, make('label', { for: text.id }, 'Address or name contains'), text,
			make('label', {}, only, 'Only rooms that are not in step')), rooms, more);
	for (const input of [text, only]) input.addEventListener('input', show);
	Object.assign(section, { svg, links, text, only, rooms, more });
	rooms.addEventListener('toggle', show, true);
	new ResizeObserver(() => draw(svg, section.service)).observe(section);
	section.service = service;
	return section;
}

function fillService(section, service) {
	section.service = service;
	draw(section.svg, service);
	section.links.fill(service.links.map((link) => [
		link.peer, { text: linkWords[link.state] ?? link.state, state: link.state }, period(aged(link.for_seconds)), lag(link),
		ago(link.answered_ago), String(link.rooms), String(link.behind), speech[link.speaks] ?? link.speaks, link.why ?? '–',
	]));
	const wanted = section.text.value.toLowerCase();
	const entries = entriesOf(service);
	const shown = entries.filter((room) => `${room.room} ${room.name ?? ''}`.toLowerCase().includes(wanted)
		&& !(section.only.checked && stepOf(room).state === 'agreed'));
	const isFirst = section.rooms.children.length === 0 && entries.length <= 3;
	keep(section.rooms, shown, (room) => room.room, () => {
		const details = makeRoom();
		details.open = isFirst;
		return details;
	}, fillRoom);
	const isKnown = (room) => !isUnlisted(room);
	const known = entries.filter(isKnown).length + service.more_rooms;
	const left = service.more_rooms > 0 ? ` ${service.more_rooms} more are not listed here; the shell has them: dmuc:rooms("text").` : '';
	setText(section.more, service.unreadable ? 'What this service does cannot be read; the log of the server says why.' : `${shown.filter(isKnown).length} of ${plural(known, 'room')} shown.${left}`);
}

/** One line that says how all is, and what state that is. */
function summaryOf() {
	const links = status.services.flatMap((service) => service.links);
	const entries = status.services.flatMap(entriesOf);
	const rooms = entries.filter((room) => !isUnlisted(room));
	const mute = status.services.filter((service) => service.unreadable).length;
	if (status.services.length === 0) return ['No MUC service here runs mod_dmuc.', 'unknown'];
	const up = links.filter((link) => link.state === 'up').length;
	const agreed = rooms.filter((room) => stepOf(room).state === 'agreed').length;
	const down = links.filter((link) => link.state === 'down').length;
	const text = `${up} of ${plural(links.length, 'link')} up${down > 0 ? `, ${down} down` : ''}. ${agreed} of ${plural(rooms.length, 'room')} in step.`
		+ (rooms.length < entries.length ? ' Which other rooms there are cannot be read yet.' : '')
		+ (mute > 0 ? ` ${plural(mute, 'service')} cannot be read.` : '');
	const state = down > 0 || mute > 0 ? 'down' : (up < links.length || agreed < entries.length ? 'syncing' : 'up');
	return [text, state];
}

function show() {
	if (!status) return;
	const [text, state] = summaryOf();
	setText(byId('summary'), text);
	setState(byId('summary'), state);
	document.title = `${text} – Distributed rooms`;
	keep(byId('services'), status.services, (service) => service.service, makeService, fillService);
}

const linkStates = new Map();

/** What is told when it changes, by who listens to the page as well. */
function tellChanges() {
	const told = [];
	const seen = new Set();
	for (const service of status.services) {
		for (const link of service.links) {
			const key = `${service.service} ${link.peer}`;
			seen.add(key);
			const before = linkStates.get(key);
			if (before !== undefined && before !== link.state) {
				told.push(`${service.service}: the link to ${link.peer} is ${linkWords[link.state] ?? link.state}${link.why ? ` (${link.why})` : ''}.`);
			}
			linkStates.set(key, link.state);
		}
	}
	for (const key of linkStates.keys()) if (!seen.has(key)) linkStates.delete(key);
	if (told.length === 0) return;
	setText(byId('news'), told.join(' '));
	const time = new Date().toLocaleTimeString();
	for (const line of told) byId('changes').prepend(make('li', {}, `${time} ${line}`));
	while (byId('changes').children.length > 50) byId('changes').lastElementChild.remove();
	byId('no-changes').hidden = true;
}

function take(text) {
	status = JSON.parse(text);
	receivedAt = performance.now();
	byId('login').hidden = true;
	byId('content').hidden = false;
	tellChanges();
	show();
}

function connection(state, text) {
	setState(byId('connection'), state);
	setText(byId('connection'), text);
	document.body.classList.toggle('is-old', state === 'lost');
}

/** What is shown is old, and why. */
function lose(why) {
	connection('lost', why + (receivedAt ? `; this is ${period((performance.now() - receivedAt) / 1000)} old` : ''));
}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

class Refused extends Error {}
class Unreadable extends Error {}
const unreadable = 'The server cannot read what its services do; its log says why';

/** The token goes into a header: it is in no address, and in no log. */
async function ask(path, signal) {
	const token = sessionStorage.getItem('dmuc-token');
	const headers = token ? { Authorization: `Bearer ${token}` } : {};
	const response = await fetch(path, { headers, signal, cache: 'no-store', credentials: 'omit', redirect: 'error' });
	if (response.status === 401 || response.status === 403) throw new Refused(await response.text());
	if (response.status === 500) throw new Unreadable(unreadable);
	if (!response.ok) throw new Error(`The server answers ${response.status}`);
	return response;
}

/** Reads a stream of events to its end. Whether it ended in good order. */
async function follow() {
	const abort = new AbortController();
	// A server that says nothing for so long, not even that it is there, is gone.
	let watch = setTimeout(() => abort.abort(), 40_000);
	try {
		const response = await ask('events', abort.signal);
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		let rest = '';
		for (;;) {
			const { value, done } = await reader.read();
			if (done) return false;
			clearTimeout(watch);
			watch = setTimeout(() => abort.abort(), 40_000);
			const events = (rest + value).split('\n\n');
			rest = events.pop();
			for (const event of events) {
				const kind = /^event: (.*)$/m.exec(event)?.[1];
				if (kind === 'end') return true;
				if (kind === 'error') lose(unreadable);
				if (kind === 'status') {
					take(/^data: (.*)$/m.exec(event)[1]);
					connection('live', 'Live');
				}
			}
		}
	} finally {
		clearTimeout(watch);
		abort.abort();
	}
}

/** Asks every few seconds for half a minute, where no stream can be had. */
async function poll() {
	for (let i = 0; i < 6; i += 1) {
		const response = await ask('status.json');
		take(await response.text());
		connection('poll', 'Asked every 5 s');
		await sleep(5000);
	}
}

function askForToken(why) {
	status = undefined;
	linkStates.clear();
	byId('content').hidden = true;
	byId('login').hidden = false;
	setText(byId('login-error'), sessionStorage.getItem('dmuc-token') ? why : '');
	sessionStorage.removeItem('dmuc-token');
	connection('wait', 'Waiting for the token');
	byId('token').focus();
	return new Promise((resolve) => { byId('login').addEventListener('submit', resolve, { once: true }); });
}

byId('login').addEventListener('submit', (event) => {
	event.preventDefault();
	const token = byId('token').value.trim();
	// Nothing else can be a token, nor be sent as one.
	if (!/^[\w.~+/=-]+$/.test(token)) {
		event.stopImmediatePropagation();
		setText(byId('login-error'), 'A token has letters from a to z, digits and - . _ ~ + / = only.');
		return;
	}
	sessionStorage.setItem('dmuc-token', token);
	byId('token').value = '';
});

async function run() {
	for (;;) {
		let lost;
		for (const way of [follow, poll]) {
			try {
				const isOver = await way();
				lost = undefined;
				if (isOver) break;
			} catch (error) {
				lost = error;
				if (error instanceof Refused) break;
			}
		}
		if (lost instanceof Refused) {
			await askForToken(lost.message);
		} else if (lost) {
			lose(lost instanceof Unreadable ? lost.message : 'No answer from the server');
			await sleep(3000);
		}
		await sleep(200 + Math.random() * 300);
	}
}

setInterval(show, 1000);
run();

// Headless Chromium, and the pages with the client.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const dist = fileURLToPath(new URL('node_modules/converse.js/dist/', import.meta.url));

const page = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Converse</title>
<link rel="stylesheet" href="/dist/converse.min.css"><link rel="icon" href="data:,">
<script type="module" src="/dist/converse.min.js"></script></head>
<body class="reset"></body></html>`;

const types = {
  '.css': 'text/css', '.js': 'text/javascript', '.json': 'application/json', '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm', '.webmanifest': 'application/manifest+json',
};

async function answer(request, response) {
  const path = new URL(request.url, 'http://localhost').pathname;
  if (path === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  try {
    const file = join(dist, normalize(path.replace(/^\/dist\//, '/')));
    const content = await readFile(file);
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(content);
  } catch {
    response.writeHead(404).end();
  }
}

/** A browser that finds the servers by their names and nothing else, and a web server for the client's files. */
export class Browser {
  static async start(servers) {
    const server = createServer(answer);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    // Names of other hosts do not resolve: nothing leaves this machine.
    const rules = servers.map(({ domain, address }) => `MAP ${domain} ${address}`);
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync',
        `--host-resolver-rules=${rules.join(',')},MAP * ~NOTFOUND,EXCLUDE localhost,EXCLUDE 127.0.0.1`,
      ],
    });
    return new Browser(server, browser);
  }

  constructor(server, browser) {
    this.server = server;
    this.browser = browser;
  }

  /** Where the client's page is. */
  get address() {
    return `http://localhost:${this.server.address().port}/`;
  }

  /** As a browser that nobody has used yet. */
  async context() {
    return this.browser.newContext({ locale: 'en-GB', viewport: { width: 1000, height: 700 } });
  }

  async close() {
    await this.browser.close();
    this.server.close();
  }
}

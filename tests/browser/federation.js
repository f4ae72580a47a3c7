// The servers: tests/testbed/examples/federation.rs, which answers every line with a line.

import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const binary = fileURLToPath(new URL('../../target/debug/examples/federation', import.meta.url));

/** Waits for state that announces itself nowhere. */
export async function eventually(what, isSo) {
  const end = Date.now() + 30_000 * Number(process.env.DMUC_TEST_TIMEOUT_SCALE ?? 1);
  while (!await isSo()) {
    if (Date.now() > end) throw new Error(`it never came to be that ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** Servers that live until `finish`, or until this process ends. */
export class Federation {
  /** The versions of Prosody that are here, the oldest first: `13.0.1`. */
  static versions() {
    const { stdout, error } = spawnSync(binary, ['versions'], { encoding: 'utf8' });
    if (error) throw error;
    return JSON.parse(stdout);
  }

  /** Skipped where it cannot be had; under CI every version must be there. */
  static isMissing(version) {
    if (process.env.CI === 'true') return false;
    const found = Federation.versions();
    return version === 'newest'
      ? found.filter((number) => !number.startsWith('0.')).length < 2
      : !found.some((number) => `${number}.`.startsWith(`${version}.`));
  }

  /** Starts three servers of a version of Prosody: `0.12`, `13`, `13.0.1`, `newest`. */
  static async start(version) {
    const process = spawn(binary, [version], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve, reject) => {
      process.on('error', reject);
      process.on('exit', (code, signal) => resolve(code ?? signal));
    });
    const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) throw new Error(`no servers: ${await ended}`);
    return new Federation(process, ended, lines, JSON.parse(value));
  }

  constructor(process, ended, lines, { servers }) {
    this.process = process;
    this.ended = ended;
    this.lines = lines;
    this.servers = servers;
  }

  /** Has a command done (see the binary's own documentation). */
  async command(line) {
    this.process.stdin.write(`${line}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`the servers ended during "${line}": ${await this.ended}`);
    const { ok, error } = JSON.parse(value);
    if (error !== undefined) throw new Error(`"${line}": ${error}`);
    return ok;
  }

  /** Stops the servers; fails if one of them logged an error. */
  async finish() {
    this.process.stdin.end();
    const status = await this.ended;
    if (status !== 0) throw new Error(`the servers ended with ${status}`);
  }
}

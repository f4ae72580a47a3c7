// The servers: tests/testbed/examples/federation.rs, which answers every line with a line.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const binary = fileURLToPath(new URL('../../target/debug/examples/federation', import.meta.url));

/** Servers that live until `finish`, or until this process ends. */
export class Federation {
  /** Starts three servers of a version of Prosody, `0.12` or `13`. */
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

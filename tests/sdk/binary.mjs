// The binary under test: commands, and a server on a database of its own.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

process.setMaxListeners(100);

export const ADMIN = { email: 'admin@example.com', password: 'Admin-Passw0rd' };

/** A folder that is gone when the process ends. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), 'tablature-sdk-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Settings for a database, keys and files of its own in `home`. */
function settings(home, collections) {
  return {
    PATH: process.env.PATH,
    DATABASE_URL: `sqlite:${join(home, 'data.db')}`,
    COLLECTIONS_PATH: collections,
    DATA_PATH: join(home, 'data'),
    SECRET: 'a-secret-of-the-sdk-tests-that-is-long-enough',
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    HOST: '127.0.0.1',
  };
}

/** What a command prints. */
export function run(collections, ...args) {
  const home = folder();
  const done = spawnSync(process.env.BINARY, args, {
    cwd: home, env: settings(home, collections), encoding: 'utf8', maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(`${args.join(' ')} failed: ${done.stderr}`);
  return done.stdout;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts a server and waits for its first answer. */
export async function serve(collections, more = {}) {
  const home = folder();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = join(home, 'log');
  const env = { ...settings(home, collections), PORT: String(port), PUBLIC_URL: url, ...more };
  const out = openSync(log, 'a');
  const child = spawn(process.env.BINARY, ['serve'], { cwd: home, env, stdio: ['ignore', out, out] });
  process.on('exit', () => child.kill());
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) break;
    const answer = await fetch(`${url}/server/ping`).catch(() => null);
    if (answer?.ok) return { url, stop: () => child.kill(), log: () => readFileSync(log, 'utf8') };
    await new Promise((next) => setTimeout(next, 100));
  }
  throw new Error(`the server does not start:\n${readFileSync(log, 'utf8')}`);
}

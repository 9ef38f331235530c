// Servers under measurement: how they are started, asked, loaded and looked at.

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const folder = resolve(process.env.BENCH_FOLDER);
export const binaries = { server: resolve(root, process.env.BENCH_SERVER), limit: process.env.BENCH_LIMIT };
export const token = 'a-token-for-the-benchmark-only';

const running = new Set();

function run(command, args) {
    return new Promise((settle, fail) => {
        const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        running.add(child);
        let output = '';
        child.stdout.on('data', (data) => { output += data; });
        child.on('error', fail);
        child.on('close', (code) => {
            running.delete(child);
            if (code === 0) settle(output);
            else fail(new Error(`${command} ended with ${code}: ${output}`));
        });
    });
}

let nextPort = 10000 + (process.pid % 500) * 10;

// A port nobody listens on, below the range the kernel hands out to outgoing connections.
async function freePort() {
    for (;;) {
        const port = nextPort++;
        const isFree = await new Promise((settle) => {
            const listener = createServer().on('error', () => settle(false));
            listener.listen(port, '127.0.0.1', () => listener.close(() => settle(true)));
        });
        if (isFree) return port;
    }
}

// Starts a server and waits until it has answered once.
export async function start(kind, url, project, path) {
    const port = await freePort();
    const log = openSync(join(folder, `${kind}.log`), 'a');
    const environment = {
        PATH: process.env.PATH, HOST: '127.0.0.1', PORT: String(port), DATABASE_URL: url, ADMIN_TOKEN: token,
        ADMIN_PASSWORD: 'a-password-for-the-benchmark-only', ADMIN_EMAIL: 'admin@example.com', DATA_PATH: join(project, 'data'),
    };
    const args = kind === 'server' ? ['serve'] : ['serve', url, String(port)];
    const began = performance.now();
    const child = spawn(binaries[kind], args, { cwd: project, env: environment, stdio: ['ignore', log, log] });
    running.add(child);
    const server = { kind, port, child, pid: child.pid };
    child.on('exit', () => {
        running.delete(child);
        server.hasEnded = true;
    });
    for (;;) {
        if (server.hasEnded) throw new Error(`${kind} ended:\n${readFileSync(join(folder, `${kind}.log`), 'utf8').slice(-4000)}`);
        const answer = await ask(server, { method: 'GET', path }).catch(() => null);
        server.startedIn = performance.now() - began;
        if (answer?.status === 200) return server;
        if (server.startedIn > 60_000) throw new Error(`${kind} does not answer: ${answer?.status} ${answer?.text}`);
        await sleep(1);
    }
}

export async function stop(server) {
    if (server.hasEnded) return;
    const ended = new Promise((settle) => server.child.once('exit', settle));
    server.child.kill('SIGTERM');
    const patience = setTimeout(() => server.child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(patience);
}

// A folder like that of a user, with these collections.
export function makeProject(collections) {
    const project = join(folder, `project-${readdirSync(folder).length}`);
    mkdirSync(join(project, 'data'), { recursive: true });
    cpSync(collections, join(project, 'collections'), { recursive: true });
    return project;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

// The fields of /proc/PID/stat behind the name, which may hold spaces.
export function stat(pid) {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

// CPU time of a process so far, in microseconds.
export function cpuOf({ pid }) {
    const [user, system] = stat(pid).slice(11, 13);
    return ((Number(user) + Number(system)) * 1e6) / ticksPerSecond;
}

export function memory({ pid }) {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    const megabytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)[1]) / 1024;
    return { anonymous: megabytes('RssAnon'), resident: megabytes('VmRSS') };
}

// Notes the most memory that a server has while something runs.
export async function watch(server, peak, work) {
    const look = () => {
        const now = memory(server);
        for (const key of Object.keys(now)) peak[key] = Math.max(peak[key] ?? 0, now[key]);
    };
    const timer = setInterval(look, 100);
    try {
        return await work;
    } finally {
        clearInterval(timer);
        look();
    }
}

export async function ask(server, request, as = token) {
    const response = await fetch(`http://127.0.0.1:${server.port}${request.path}`, {
        method: request.method,
        headers: { authorization: `Bearer ${as}`, ...(request.body && { 'content-type': 'application/json' }) },
        body: request.body && JSON.stringify(request.body),
    });
    return { status: response.status, text: await response.text() };
}

export function writeRequests(file, requests, as = token) {
    const parts = requests.map((request) => {
        const body = request.body ? JSON.stringify(request.body) : '';
        const text = [
            `${request.method} ${request.path} HTTP/1.1`,
            'Host: 127.0.0.1',
            `Authorization: Bearer ${as}`,
            'User-Agent: bench',
            ...(body ? ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`] : []),
            '',
            body,
        ].join('\r\n');
        return `${Buffer.byteLength(text)}\n${text}`;
    });
    writeFileSync(file, parts.join(''));
}

export async function load(server, file, concurrency, duration) {
    const output = await run('wrk', [
        '-t1', `-c${concurrency}`, `-d${duration}s`, '--timeout', '10s', '-s', join(root, 'benches/load.lua'),
        `http://127.0.0.1:${server.port}`, '--', file,
    ]);
    const result = JSON.parse(/^MEASURED (.*)$/m.exec(output)[1]);
    if (result.failed) throw new Error(`${server.kind}: ${result.failed} of ${result.requests} requests failed (${file})`);
    return result;
}

export function say(text) {
    console.log(`bench: ${text}`);
}

export function list(text) {
    return (text ?? '').split(/[, ]+/).filter(Boolean);
}

function endAll() {
    for (const child of running) child.kill('SIGKILL');
}

process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

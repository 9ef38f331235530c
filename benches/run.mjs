// Measures the server and the hand-written handlers side by side: benches/run.sh starts it and says what may be set.
//
// Both serve a copy of the same database and are sent the same requests, one server after the other in short turns, so that
// what else happens on the machine happens to both. Start at `main`; the requests stand in `shapes`.

import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const folder = resolve(process.env.BENCH_FOLDER);
const binaries = { server: resolve(root, process.env.BENCH_SERVER), limit: process.env.BENCH_LIMIT };
const databases = list(process.env.BENCH_DATABASES);
const only = list(process.env.BENCH_ONLY);
const seconds = Math.max(1, Number(process.env.BENCH_SECONDS || 3));
const connections = [1, 32];
const starts = 7;
const token = 'a-token-for-the-benchmark-only';
const readerToken = 'a-reader-of-the-benchmark-only';

// ---------------------------------------------------------------- what is asked

const fields = 'id,title,status,body,views,price,featured,meta,author,published_at';
const nested = 'id,title,status,body,views,price,featured,meta,published_at,author.id,author.name,author.email,'
    + 'comments.id,comments.name,comments.body,comments.written_at,tags.tag.id,tags.tag.name';
const statuses = ['draft', 'in_review', 'published', 'archived'];
const count = (total, make) => Array.from({ length: total }, (_, index) => make(index));
const get = (query, path = '') => ({ method: 'GET', path: `/items/articles${path}?${query}` });

const shapes = [
    {
        name: 'r1', title: 'one item by key',
        requests: (keys) => count(1000, (index) => get(`fields=${fields}`, `/${keys[(index * 7) % keys.length]}`)),
    },
    {
        name: 'r2', title: '25 items x 10 fields',
        requests: () => count(8, (index) => get(`fields=${fields}&limit=25&page=${index + 1}`)),
    },
    {
        name: 'r3', title: '25 items with author, comments, tags',
        requests: () => count(8, (index) => get(`fields=${nested}&limit=25&page=${index + 1}`)),
    },
    {
        name: 'r4', title: 'filter, sort and count',
        requests: () => count(16, (index) => get(`fields=${fields}&filter[status][_eq]=${statuses[index % 4]}`
            + `&filter[views][_gt]=${500 + index}&sort=-published_at&limit=25&meta=filter_count`)),
    },
    {
        name: 'r5', title: 'figures per group',
        requests: () => [get('aggregate[count]=*&aggregate[sum]=price&aggregate[max]=views&groupBy[]=status&sort=status')],
    },
    {
        name: 'w1', title: 'create one', writes: true,
        requests: (keys, authors) => count(64, (index) => create(newArticle(index, authors))),
    },
    {
        name: 'w2', title: 'create 100', writes: true,
        requests: (keys, authors) => count(4, (turn) =>
            create(count(100, (index) => newArticle(turn * 100 + index, authors)))),
    },
    {
        name: 'w3', title: 'update one', writes: true,
        requests: (keys) => count(1000, (index) => ({
            method: 'PATCH', path: `/items/articles/${keys[(index * 7) % keys.length]}?fields=${fields}`,
            body: { status: statuses[index % 4], views: index, price: `${index}.50` },
        })),
    },
];

function create(body) {
    return { method: 'POST', path: `/items/articles?fields=${fields}`, body };
}

function newArticle(index, authors) {
    return {
        title: `Article ${index} of the benchmark`,
        status: statuses[index % 4],
        body: 'What a page of a magazine may hold: a few sentences, a "quoted" word, été. '.repeat(7).trim(),
        views: index,
        price: `${index}.25`,
        featured: index % 10 === 0,
        meta: { words: 91, language: 'fr', keys: ['a', 'b'] },
        author: authors[index % authors.length],
        published_at: '2026-03-02T10:00:00.000Z',
    };
}

// ---------------------------------------------------------------- the run

async function main() {
    const chosen = shapes.filter((shape) => !only.length || only.includes(shape.name));
    if (!chosen.length) throw new Error(`none of ${only.join(', ')} is a shape`);
    const report = [];
    for (const name of databases) {
        const database = name === 'sqlite' ? sqlite() : postgres();
        say(`${name}: filling a database`);
        await database.make('bench');
        const project = makeProject(join(root, 'benches/collections'));
        const first = await start('server', database.url('bench'), project, '/items/articles?limit=1');
        await stop(first);
        execFileSync(binaries.limit, ['load', database.url('bench')], { stdio: 'inherit' });
        const measured = await measure(database, chosen, project);
        const startTimes = await measureStart(database);
        report.push({ name, ...measured, startTimes });
        print(report.at(-1));
    }
    if (process.env.BENCH_MARKDOWN) writeFileSync(process.env.BENCH_MARKDOWN, markdown(report));
}

// Measures the chosen shapes on one database.
async function measure(database, chosen, project) {
    const servers = { server: null, limit: null };
    // Each starts on a new copy of the filled database.
    const renew = async () => {
        for (const kind of ['server', 'limit']) {
            if (servers[kind]) await stop(servers[kind]);
            await database.copy('bench', kind);
            servers[kind] = await start(kind, database.url(kind), project, probe);
        }
        await database.settle();
    };
    const keys = execFileSync(binaries.limit, ['keys'], { encoding: 'utf8' }).trim().split('\n');
    const probe = shapes[0].requests(keys)[0].path;
    await renew();
    const idle = memories(servers);
    const page = await ask(servers.server, shapes[1].requests()[0]);
    const authors = JSON.parse(page.text).data.map((item) => item.author);

    const cells = [];
    const peak = { server: {}, limit: {} };
    let isUsed = false;
    for (const shape of chosen) {
        // What others have written must not make a table longer for one server than for the other.
        if (shape.writes && isUsed) await renew();
        isUsed = true;
        const requests = shape.requests(keys, authors);
        const file = join(folder, `${shape.name}.requests`);
        writeRequests(file, requests);
        const identical = await compare(database, servers, shape, requests);
        const statements = await countStatements(servers.server, requests);
        for (const kind of ['server', 'limit']) await load(servers[kind], file, Math.max(...connections), 1);
        for (const concurrency of connections) {
            const cell = { shape, concurrency, statements, identical, server: newTally(), limit: newTally() };
            for (const [order, duration] of turns()) {
                for (const kind of order) {
                    const server = servers[kind];
                    const before = [cpuOf(server), database.cpu(kind)];
                    const result = await watch(server, peak[kind], load(server, file, concurrency, duration));
                    const after = [cpuOf(server), database.cpu(kind)];
                    tally(cell[kind], result, after[0] - before[0], after[1] - before[1]);
                }
            }
            cells.push(cell);
            say(`${database.name}: ${line(cell)}`);
        }
    }
    const doors = chosen.some((shape) => shape.name === 'r3') ? await measureDoors(database, servers.server) : [];
    const rights = await measureRights(database, servers.server, chosen.filter((shape) => !shape.writes), keys);
    for (const server of Object.values(servers)) await stop(server);
    return { cells, idle, peak, doors, rights };
}

// The same reads by an administrator and by somebody with a row filter, a field list and two policies, on the same server.
async function measureRights(database, server, chosen, keys) {
    if (chosen.length) await makeReader(server);
    const cells = [];
    for (const shape of chosen) {
        const requests = shape.requests(keys);
        const files = { admin: join(folder, `${shape.name}.admin`), reader: join(folder, `${shape.name}.reader`) };
        writeRequests(files.admin, requests, token);
        writeRequests(files.reader, requests, readerToken);
        for (const request of requests.slice(0, 8)) {
            const [all, seen] = await Promise.all([ask(server, request), ask(server, request, readerToken)]);
            if (seen.status !== 200 || all.text !== seen.text) {
                throw new Error(`${request.path}: the reader sees something else\n${seen.status} ${seen.text.slice(0, 2000)}`);
            }
        }
        for (const file of Object.values(files)) await load(server, file, Math.max(...connections), 1);
        for (const concurrency of connections) {
            const cell = { shape, concurrency, admin: newTally(), reader: newTally() };
            for (const [order, duration] of turns()) {
                for (const kind of order.map((of) => (of === 'server' ? 'reader' : 'admin'))) {
                    const before = [cpuOf(server), database.cpu('server')];
                    const result = await load(server, files[kind], concurrency, duration);
                    tally(cell[kind], result, cpuOf(server) - before[0], database.cpu('server') - before[1]);
                }
            }
            cells.push(cell);
            say(`${database.name}: ${shape.name} c=${concurrency}, reader: ${rightsOf(cell).slice(2).join(', ')}`);
        }
    }
    return cells;
}

// The nested read over REST, over GraphQL with a document that was sent before, and with one that never was.
async function measureDoors(database, server) {
    const selected = `${fields.replace(',author', '')} author { id name email } comments { id name body written_at } `
        + 'tags { tag { id name } }';
    const document = `query Nested($page: Int) { articles(limit: 25, page: $page) { ${selected} } }`;
    const graphql = (query, index) =>
        ({ method: 'POST', path: '/graphql', body: { query, variables: { page: index % 8 + 1 } } });
    const doors = {
        rest: shapes.find((shape) => shape.name === 'r3').requests(),
        cached: count(8, (index) => graphql(document, index)),
        fresh: count(4000, (index) => graphql(`${document} # ${index}`, index)),
    };
    const files = {};
    for (const [door, requests] of Object.entries(doors)) {
        files[door] = join(folder, `r3.${door}`);
        writeRequests(files[door], requests, token);
        const answer = JSON.parse((await ask(server, requests[0])).text);
        const found = door === 'rest' ? answer.data : answer.data?.articles;
        if (answer.errors || found?.length !== 25) throw new Error(`${door}: ${JSON.stringify(answer).slice(0, 2000)}`);
        await load(server, files[door], Math.max(...connections), 1);
    }
    const cells = [];
    for (const concurrency of connections) {
        const cell = { concurrency, rest: newTally(), cached: newTally(), fresh: newTally() };
        for (const order of [['rest', 'cached', 'fresh'], ['fresh', 'cached', 'rest']]) {
            for (const door of order) {
                const before = [cpuOf(server), database.cpu('server')];
                const result = await load(server, files[door], concurrency, Math.max(1, Math.floor(seconds / 2)));
                tally(cell[door], result, cpuOf(server) - before[0], database.cpu('server') - before[1]);
            }
        }
        cells.push(cell);
        say(`${database.name}: GraphQL c=${concurrency}, CPU per request against REST: ${doorsOf(cell).slice(1).join(', ')}`);
    }
    return cells;
}

// Two policies: articles of a row filter with the fields asked for, and published ones with fewer. Together they give every row.
async function makeReader(server) {
    const post = async (path, body) => {
        const answer = await ask(server, { method: 'POST', path, body });
        if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
        return JSON.parse(answer.text).data;
    };
    const own = ['comments', 'tags'];
    const rights = [
        [{ views: { _gte: 0 } }, [...fields.split(','), ...own]],
        [{ status: { _eq: 'published' } }, ['id', 'title', 'status', 'body']],
    ];
    const user = await post('/users', { email: 'reader@example.com', status: 'active', token: readerToken });
    for (const [rows, named] of rights) {
        const policy = await post('/policies', { name: `reads ${named.length} fields` });
        const permission = (collection, permissions, list) =>
            ({ policy: policy.id, collection, action: 'read', permissions, fields: list });
        await post('/permissions', [
            permission('articles', rows, named),
            ...['authors', 'comments', 'tags', 'articles_tags'].map((name) => permission(name, {}, ['*'])),
        ]);
        await post('/access', { user: user.id, policy: policy.id });
    }
}

// Two turns per server, the second in the opposite order, so that a drift of the machine cancels out.
function turns() {
    const half = Math.floor(seconds / 2);
    const both = [[['server', 'limit'], seconds - half], [['limit', 'server'], half]];
    return both.filter(([, duration]) => duration > 0);
}

// Milliseconds from the start of the process to its first answer, on a database that is already there.
async function measureStart(database) {
    await database.make('start');
    const project = makeProject(join(root, 'collections'));
    const path = '/items/companies?limit=1';
    await stop(await start('server', database.url('start'), project, path));
    const times = [];
    for (let turn = 0; turn < starts; turn++) {
        const server = await start('server', database.url('start'), project, path);
        times.push(server.startedIn);
        await stop(server);
    }
    return times.sort((a, b) => a - b);
}

// ---------------------------------------------------------------- the same answers

// Both servers must give the same answers and, when they write, the same rows.
async function compare(database, servers, shape, requests) {
    const rows = () => ['server', 'limit'].map((kind) =>
        JSON.parse(execFileSync(binaries.limit, ['counts', database.url(kind)], { encoding: 'utf8' })));
    const before = shape.writes ? rows() : [];
    let identical = true;
    for (const request of requests.slice(0, 8)) {
        const [ours, limits] = await Promise.all([ask(servers.server, request), ask(servers.limit, request)]);
        for (const answer of [ours, limits]) {
            if (answer.status !== 200) throw new Error(`${request.path}: ${answer.status} ${answer.text}`);
        }
        const texts = [ours.text, limits.text].map((text) => (shape.writes ? withoutKeys(text) : text));
        if (texts[0] === texts[1]) continue;
        identical = false;
        if (sorted(texts[0]) !== sorted(texts[1])) {
            throw new Error(`${request.path}: the answers differ\n${texts[0].slice(0, 2000)}\n${texts[1].slice(0, 2000)}`);
        }
    }
    if (shape.writes) {
        const [ours, limits] = rows().map((after, index) =>
            Object.keys(after).sort().map((table) => `${table} +${after[table] - before[index][table]}`).join(', '));
        if (ours !== limits) throw new Error(`${shape.name}: rows written by the server: ${ours}; by the limit: ${limits}`);
    }
    return identical;
}

// New items have keys of their own.
function withoutKeys(text) {
    return text.replace(/"id":"[-0-9a-f]{36}"/g, '"id":""');
}

// JSON with the members of objects in one order.
function sorted(text) {
    return JSON.stringify(JSON.parse(text), (_, value) =>
        (value && typeof value === 'object' && !Array.isArray(value)
            ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
            : value));
}

// Statements that the server runs for one of these requests.
async function countStatements(server, requests) {
    const total = async () => {
        const { status, text } = await ask(server, { method: 'GET', path: '/metrics' });
        if (status !== 200) throw new Error(`/metrics: ${status}`);
        const lines = text.split('\n').filter((line) => line.startsWith('tablature_sql_statements_total'));
        return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    };
    const asked = Array.from({ length: 20 }, (_, index) => requests[index % requests.length]);
    const before = await total();
    const beforeAgain = await total();
    for (const request of asked) await ask(server, request);
    // Reading the figures may take statements, too.
    return Math.max(0, (await total()) - beforeAgain - (beforeAgain - before)) / asked.length;
}

async function ask(server, request, as = token) {
    const response = await fetch(`http://127.0.0.1:${server.port}${request.path}`, {
        method: request.method,
        headers: { authorization: `Bearer ${as}`, ...(request.body && { 'content-type': 'application/json' }) },
        body: request.body && JSON.stringify(request.body),
    });
    return { status: response.status, text: await response.text() };
}

// ---------------------------------------------------------------- load

function writeRequests(file, requests, as = token) {
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

async function load(server, file, concurrency, duration) {
    const output = await run('wrk', [
        '-t1', `-c${concurrency}`, `-d${duration}s`, '--timeout', '10s', '-s', join(root, 'benches/load.lua'),
        `http://127.0.0.1:${server.port}`, '--', file,
    ]);
    const result = JSON.parse(/^MEASURED (.*)$/m.exec(output)[1]);
    if (result.failed) throw new Error(`${server.kind}: ${result.failed} of ${result.requests} requests failed (${file})`);
    return result;
}

const newTally = () => ({ requests: 0, microseconds: 0, cpu: 0, databaseCpu: 0, latency: new Map() });

function tally(sum, result, cpu, databaseCpu) {
    sum.requests += result.requests;
    sum.microseconds += result.microseconds;
    sum.cpu += cpu;
    sum.databaseCpu += databaseCpu;
    for (const [value, times] of result.latency) sum.latency.set(value, (sum.latency.get(value) ?? 0) + times);
}

function percentile(latency, share) {
    const values = [...latency].sort(([a], [b]) => a - b);
    let left = share * values.reduce((sum, [, times]) => sum + times, 0);
    for (const [value, times] of values) {
        left -= times;
        if (left <= 0) return value;
    }
    return NaN;
}

// ---------------------------------------------------------------- processes

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
async function start(kind, url, project, path) {
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

async function stop(server) {
    if (server.hasEnded) return;
    const ended = new Promise((settle) => server.child.once('exit', settle));
    server.child.kill('SIGTERM');
    const patience = setTimeout(() => server.child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(patience);
}

// A folder like that of a user, with these collections.
function makeProject(collections) {
    const project = join(folder, `project-${readdirSync(folder).length}`);
    mkdirSync(join(project, 'data'), { recursive: true });
    cpSync(collections, join(project, 'collections'), { recursive: true });
    return project;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

// The fields of /proc/PID/stat behind the name, which may hold spaces.
function stat(pid) {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

// CPU time of a process so far, in microseconds.
function cpuOf({ pid }) {
    const [user, system] = stat(pid).slice(11, 13);
    return ((Number(user) + Number(system)) * 1e6) / ticksPerSecond;
}

function memory({ pid }) {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    const megabytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)[1]) / 1024;
    return { anonymous: megabytes('RssAnon'), resident: megabytes('VmRSS') };
}

const memories = (servers) => ({ server: memory(servers.server), limit: memory(servers.limit) });

// Notes the most memory that a server has while something runs.
async function watch(server, peak, work) {
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

// ---------------------------------------------------------------- databases

function sqlite() {
    const path = (name) => join(folder, `${name}.sqlite`);
    const remove = (name) => ['', '-wal', '-shm'].forEach((end) => rmSync(path(name) + end, { force: true }));
    return {
        name: 'sqlite',
        url: (name) => `sqlite:${path(name)}`,
        make: async (name) => remove(name),
        copy: async (from, to) => {
            remove(to);
            copyFileSync(path(from), path(to));
        },
        settle: async () => {},
        cpu: () => 0,
    };
}

function postgres() {
    const server = process.env.TEST_POSTGRES_URL;
    const postmaster = readFileSync(process.env.TEST_POSTGRES_PID_FILE, 'utf8').trim();
    const sql = (text) => execFileSync('psql', ['-qAt', '-v', 'ON_ERROR_STOP=1', server, '-c', text], {
        env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' },
    });
    const drop = (name) => sql(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    return {
        name: 'postgres',
        url: (name) => server.replace(/\/postgres$/, `/${name}`),
        make: async (name) => {
            drop(name);
            sql(`CREATE DATABASE "${name}"`);
        },
        copy: async (from, to) => {
            drop(to);
            sql(`CREATE DATABASE "${to}" TEMPLATE "${from}"`);
        },
        // Copying leaves work behind, which would fall into the first measurement.
        settle: async () => sql('CHECKPOINT'),
        // CPU time of the processes that serve this database.
        cpu: (name) => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).reduce((sum, pid) => {
            try {
                const isBackend = stat(pid)[1] === postmaster
                    && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(' ')[2] === name;
                return isBackend ? sum + cpuOf({ pid }) : sum;
            } catch {
                // It has ended meanwhile.
                return sum;
            }
        }, 0),
    };
}

// ---------------------------------------------------------------- the table

function figures(cell, kind) {
    const sum = cell[kind];
    return {
        rate: (sum.requests * 1e6) / sum.microseconds,
        p50: percentile(sum.latency, 0.5),
        p99: percentile(sum.latency, 0.99),
        cpu: sum.cpu / sum.requests,
        databaseCpu: sum.databaseCpu / sum.requests,
    };
}

function line(cell) {
    const [ours, limits] = [figures(cell, 'server'), figures(cell, 'limit')];
    return `${cell.shape.name} c=${cell.concurrency}: ${Math.round(ours.rate)}/s, CPU ${ours.cpu.toFixed(1)} us, `
        + `limit ${Math.round(limits.rate)}/s, CPU ${limits.cpu.toFixed(1)} us, ratio ${(ours.cpu / limits.cpu).toFixed(2)}`;
}

const round = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const milliseconds = (microseconds) => (microseconds / 1000).toFixed(microseconds < 10_000 ? 2 : 1);

const heads = ['request', 'conn.', 'req/s', 'limit', 'p50 ms', 'limit', 'p99 ms', 'limit', 'CPU us', 'limit', 'ratio',
    'DB us', 'limit', 'both', 'statements'];

function tableOf({ name, cells }) {
    return cells.map((cell) => {
        const [ours, limits] = [figures(cell, 'server'), figures(cell, 'limit')];
        const hasDatabase = name !== 'sqlite';
        return [
            `${cell.shape.name} ${cell.shape.title}`, String(cell.concurrency),
            ours.rate.toFixed(0), limits.rate.toFixed(0),
            milliseconds(ours.p50), milliseconds(limits.p50), milliseconds(ours.p99), milliseconds(limits.p99),
            round(ours.cpu), round(limits.cpu), (ours.cpu / limits.cpu).toFixed(2),
            hasDatabase ? round(ours.databaseCpu) : '-', hasDatabase ? round(limits.databaseCpu) : '-',
            hasDatabase ? ((ours.cpu + ours.databaseCpu) / (limits.cpu + limits.databaseCpu)).toFixed(2) : '-',
            String(cell.statements),
        ];
    });
}

const rightsHeads = ['request', 'conn.', 'req/s', 'admin', 'rate', 'CPU us', 'admin', 'DB us', 'admin', 'CPU share'];

// How the figures of the reader stand to those of the administrator: of requests per second, and of CPU per request (both sides).
function rightsOf(cell) {
    const [reader, admin] = [figures(cell, 'reader'), figures(cell, 'admin')];
    return [
        `${cell.shape.name} ${cell.shape.title}`, String(cell.concurrency),
        reader.rate.toFixed(0), admin.rate.toFixed(0), (reader.rate / admin.rate).toFixed(2),
        round(reader.cpu), round(admin.cpu), round(reader.databaseCpu), round(admin.databaseCpu),
        ((admin.cpu + admin.databaseCpu) / (reader.cpu + reader.databaseCpu)).toFixed(2),
    ];
}

const doorsTitle = 'The nested read over GraphQL, with a document that was sent before and with a new one, against REST:';
const doorsHeads = ['conn.', 'REST CPU us', 'sent before', 'new', 'sent before / REST', 'new / REST'];

function doorsOf(cell) {
    const [rest, cached, fresh] = ['rest', 'cached', 'fresh'].map((door) => figures(cell, door).cpu);
    return [
        String(cell.concurrency), round(rest), round(cached), round(fresh),
        (cached / rest).toFixed(2), (fresh / rest).toFixed(2),
    ];
}

function remarks({ cells, idle, peak, startTimes }) {
    const size = ({ anonymous, resident }) => `${anonymous.toFixed(1)} MB anonymous, ${resident.toFixed(1)} MB resident`;
    const different = [...new Set(cells.filter((cell) => !cell.identical).map((cell) => cell.shape.name))];
    return [
        `Memory idle: ${size(idle.server)} (limit: ${size(idle.limit)}).`,
        `Memory under load, at most: ${size(peak.server)} (limit: ${size(peak.limit)}).`,
        `Start to first answer, 62 collections, warm database: median ${startTimes[Math.floor(starts / 2)].toFixed(0)} ms `
            + `of ${starts} (${startTimes[0].toFixed(0)} to ${startTimes.at(-1).toFixed(0)} ms).`,
        different.length
            ? `Answers of both servers: equal byte for byte, but for ${different.join(', ')}, where they are equal as JSON.`
            : 'Answers of both servers: equal byte for byte (new keys aside).',
    ];
}

const titles = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

function aligned(rows) {
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    return rows.map((row) => row.map((cell, column) =>
        (column ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ')).join('\n');
}

function print(part) {
    const doors = part.doors.length ? `${doorsTitle}\n\n${aligned([doorsHeads, ...part.doors.map(doorsOf)])}\n\n` : '';
    const rights = part.rights.length ? `${rightsTitle}\n\n${aligned([rightsHeads, ...part.rights.map(rightsOf)])}\n` : '';
    const table = aligned([heads, ...tableOf(part)]);
    console.log(`\n${titles[part.name]}\n\n${table}\n\n${remarks(part).join('\n')}\n\n${doors}${rights}`);
}

const rightsTitle = 'A reader with a row filter, a field list and two policies, against the administrator:';

function markdown(report) {
    const grid = ([head, ...rows]) => [head, head.map((_, column) => (column ? '---:' : '---')), ...rows]
        .map((row) => `| ${row.join(' | ')} |`).join('\n');
    const table = (part) => grid([heads, ...tableOf(part)]);
    const rights = (part) => (part.rights.length
        ? `\n${rightsTitle}\n\n${grid([rightsHeads, ...part.rights.map(rightsOf)])}\n` : '');
    const doors = (part) => (part.doors.length
        ? `\n${doorsTitle}\n\n${grid([doorsHeads, ...part.doors.map(doorsOf)])}\n` : '');
    const machine = `${cpus().length} cores (${cpus()[0].model})`;
    return `Measured on ${machine}, ${seconds} s per line and server.\n\n${report.map((part) =>
        `## ${titles[part.name]}\n\n${table(part)}\n\n${remarks(part).map((text) => `- ${text}`).join('\n')}\n${doors(part)}${rights(part)}`).join('\n')}`;
}

// ---------------------------------------------------------------- small things

function list(text) {
    return (text ?? '').split(/[, ]+/).filter(Boolean);
}

function say(text) {
    console.log(`bench: ${text}`);
}

function endAll() {
    for (const child of running) child.kill('SIGKILL');
}

process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
main().catch((error) => {
    console.error(`bench: ${error.message}`, error.cause ?? '');
    process.exit(1);
});

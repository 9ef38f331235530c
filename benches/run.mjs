// Measures the server and the hand-written handlers side by side: benches/run.sh starts it and says what may be set.
//
// Both serve a copy of the same database and are sent the same requests, one server after the other in short turns, so that
// what else happens on the machine happens to both. Start at `main`; the requests stand in `shapes`.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { postgres, sqlite } from './databases.mjs';
import { measureModel } from './model.mjs';
import {
    ask, binaries, cpuOf, folder, list, load, makeProject, memory, root, say, start, stop, token, watch, writeRequests,
} from './processes.mjs';
import { doorsOf, line, markdown, newTally, print, rightsOf, tally } from './tables.mjs';

const databases = list(process.env.BENCH_DATABASES);
const only = list(process.env.BENCH_ONLY);
const seconds = Math.max(1, Number(process.env.BENCH_SECONDS || 3));
const connections = [1, 32];
const starts = 7;
const readerToken = 'a-reader-of-the-benchmark-only';

const memories = (servers) => ({ server: memory(servers.server), limit: memory(servers.limit) });

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
        const model = chosen.some((shape) => shape.name === 'r1') ? await measureModel(database, seconds) : null;
        report.push({ name, ...measured, startTimes, model });
        print(report.at(-1));
    }
    if (process.env.BENCH_MARKDOWN) writeFileSync(process.env.BENCH_MARKDOWN, markdown(report, seconds));
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

main().catch((error) => {
    console.error(`bench: ${error.message}`, error.cause ?? '');
    process.exit(1);
});

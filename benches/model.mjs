// What the size of a model costs GraphQL: building the schema, keeping it, and each request.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { ask, cpuOf, folder, load, makeProject, memory, say, start, stop, token, writeRequests } from './processes.mjs';
import { newTally, tally } from './tables.mjs';

const sizes = [5, 100];
const readers = 8;
const connections = 32;
const fields = 'id title status views price day tags';

// As many collections as this, each with ten fields and a relation in both directions.
function model(size) {
    const name = (index) => `thing_${index % size}`;
    const collections = join(folder, `model-${size}`);
    mkdirSync(collections, { recursive: true });
    for (let index = 0; index < size; index++) {
        writeFileSync(join(collections, `${name(index)}.yaml`), [
            `collection: ${name(index)}`,
            'fields:',
            '  id: integer_pk',
            '  title: string(200)!',
            '  status: { type: string, choices: [draft, published], default: draft }',
            '  views: integer',
            '  price: decimal(10,2)',
            '  day: date',
            '  tags: csv',
            `  above: m2o(${name(index + 1)})`,
            `  below: o2m(${name(index + size - 1)}.above)`,
            '  created_at: created_at',
            '',
        ].join('\n'));
    }
    return makeProject(collections);
}

async function post(server, path, body, as) {
    const answer = await ask(server, { method: 'POST', path, body }, as);
    const document = JSON.parse(answer.text);
    if (answer.status !== 200 || document.errors) throw new Error(`${path}: ${answer.status} ${answer.text.slice(0, 2000)}`);
    return document.data;
}

// Readers whose rights differ, so that each has a schema of its own.
async function makeReaders(server, size) {
    const tokens = [];
    for (let reader = 0; reader < readers; reader++) {
        const policy = await post(server, '/policies', { name: `reader ${reader}` });
        const hidden = ['views', 'price', 'day', 'tags', 'status', 'created_at', 'above', 'below'][reader];
        const all = ['id', 'title', 'status', 'views', 'price', 'day', 'tags', 'above', 'below', 'created_at'];
        await post(server, '/permissions', Array.from({ length: size }, (_, index) => ({
            policy: policy.id, collection: `thing_${index}`, action: 'read', permissions: {},
            fields: all.filter((field) => field !== hidden),
        })));
        const as = `a-reader-of-the-model-${reader}`;
        const user = await post(server, '/users', { email: `reader${reader}@example.com`, status: 'active', token: as });
        await post(server, '/access', { user: user.id, policy: policy.id });
        tokens.push(as);
    }
    return tokens;
}

// Milliseconds that a document takes that needs the schema and hardly anything else.
async function timed(server, as) {
    const began = performance.now();
    await post(server, '/graphql', { query: '{ thing_0_by_id(id: 1) { id } }' }, as);
    return performance.now() - began;
}

async function measureSize(database, size, seconds) {
    await database.make('model');
    const server = await start('server', database.url('model'), model(size), '/items/thing_0?limit=1');
    const created = await post(server, '/items/thing_0?limit=-1', Array.from({ length: 100 }, (_, index) => ({
        title: `Thing ${index}`, views: index, price: `${index}.50`, day: '2026-03-02', tags: ['a', 'b'],
    })));
    const tokens = await makeReaders(server, size);
    // Everybody was here before, so that what is measured is the schema.
    for (const as of [token, ...tokens]) await ask(server, { method: 'GET', path: '/items/thing_0?limit=1' }, as);
    const first = await timed(server, token);
    const before = memory(server).anonymous;
    const others = [];
    for (const as of tokens) others.push(await timed(server, as));
    const after = memory(server).anonymous;
    const sdl = await ask(server, { method: 'GET', path: '/server/specs/graphql' });

    const keys = created.map((item) => item.id);
    const count = (total, make) => Array.from({ length: total }, (_, index) => make(index, keys[index % keys.length]));
    const document = `query One($id: ID!) { thing_0_by_id(id: $id) { ${fields} } }`;
    const graphql = (query, id) => ({ method: 'POST', path: '/graphql', body: { query, variables: { id } } });
    const doors = {
        rest: count(100, (_, id) => ({ method: 'GET', path: `/items/thing_0/${id}?fields=${fields.replaceAll(' ', ',')}` })),
        cached: count(100, (_, id) => graphql(document, id)),
        fresh: count(20_000, (index, id) => graphql(`${document} # ${index}`, id)),
    };
    const cell = { collections: size, first, other: median(others), memory: (after - before) / readers, sdl: sdl.text.length / 1024 };
    const files = {};
    for (const [door, requests] of Object.entries(doors)) {
        cell[door] = newTally();
        files[door] = join(folder, `model.${door}`);
        writeRequests(files[door], requests);
        await load(server, files[door], connections, 1);
    }
    for (const order of [['rest', 'cached', 'fresh'], ['fresh', 'cached', 'rest']]) {
        for (const door of order) {
            const before = [cpuOf(server), database.cpu('model')];
            const result = await load(server, files[door], connections, Math.max(1, Math.floor(seconds / 2)));
            tally(cell[door], result, cpuOf(server) - before[0], database.cpu('model') - before[1]);
        }
    }
    await stop(server);
    return cell;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// The same for a small model and for one of 100 collections.
export async function measureModel(database, seconds) {
    const cells = [];
    for (const size of sizes) {
        cells.push(await measureSize(database, size, seconds));
        const { first, other, memory: kept } = cells.at(-1);
        say(`${database.name}: a schema of ${size} collections: first answer ${first.toFixed(1)} ms, to another `
            + `${other.toFixed(1)} ms, ${kept.toFixed(1)} MB`);
    }
    return cells;
}

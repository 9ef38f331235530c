// Types and documents of every model of the repository.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Validator } from '@seriousme/openapi-schema-validator';
import { run } from './binary.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const models = { collections: join(root, 'collections') };
for (const name of readdirSync(join(root, 'templates'))) models[name] = join(root, 'templates', name, 'collections');

// What TypeScript compiles lies beside the packages that it imports.
const work = join(here, 'node_modules', '.types');
rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });

for (const [name, collections] of Object.entries(models)) {
  assert.ok(existsSync(collections), `${collections} is there`);
  const document = JSON.parse(run(collections, 'openapi'));
  assert.equal(document.openapi, '3.1.0');
  const judged = await new Validator().validate(structuredClone(document));
  assert.ok(judged.valid, `${name}: ${JSON.stringify(judged.errors, null, 1)?.slice(0, 4000)}`);
  const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map((method) => method.operationId));
  assert.equal(new Set(ids).size, ids.length, `${name}: every operation has an id of its own`);
  const visitor = JSON.parse(run(collections, 'openapi', '--visitor'));
  assert.ok((await new Validator().validate(structuredClone(visitor))).valid, `${name}: the document of visitors`);
  assert.ok(Object.keys(visitor.paths).length < Object.keys(document.paths).length);

  const types = run(collections, 'types');
  writeFileSync(join(work, `${name}.ts`), types);
  // Every collection may be read with all its fields, and every name exists for the SDK.
  const members = types.slice(types.indexOf('export interface Schema {')).matchAll(/^ {2}(\w+): \w+(\[\])?;$/gm);
  const lines = [...members].filter(([, member]) => !member.startsWith('directus_')).map(([, member, list]) =>
    list ? `client.request(readItems('${member}', { fields: ['*'], limit: 1 }));` : `client.request(readSingleton('${member}'));`);
  assert.ok(lines.length > 5, `${name}: ${lines.length} collections`);
  writeFileSync(join(work, `${name}.use.ts`), [
    "import { createDirectus, readItems, readSingleton, rest } from '@directus/sdk';",
    `import type { Schema } from './${name}.js';`,
    "const client = createDirectus<Schema>('http://localhost').with(rest());",
    'void readSingleton;',
    ...lines,
    '',
  ].join('\n'));
  console.log(`${name}: ${ids.length} operations, ${lines.length} collections`);
}
writeFileSync(join(work, 'relations.ts'), run(join(here, 'model'), 'types'));
writeFileSync(join(work, 'relations.use.ts'), `
import { createDirectus, readItems, readSingleton, rest, aggregate, createItem, updateUser } from '@directus/sdk';
import type { Schema } from './relations.js';
const client = createDirectus<Schema>('http://localhost').with(rest());
const articles = await client.request(readItems('articles', {
  fields: ['id', 'status', 'published_on', { author: ['first_name', 'nickname'], comments: ['body'], topics: [{ topics_id: ['name'] }] }],
  filter: { status: { _eq: 'draft' }, author: { nickname: { _eq: 'x' } }, 'year(published_on)': { _eq: '2024' } },
}));
const first = articles[0]!;
const id: number = first.id;
const status: 'draft' | 'published' | null = first.status;
const nickname: string | null | undefined = first.author?.nickname;
const bodies: (string | null)[] | undefined = first.comments?.map((comment) => comment.body);
const site = await client.request(readSingleton('site', { fields: ['title'] }));
const title: string | null = site.title;
const counts = await client.request(aggregate('articles', { aggregate: { count: '*' }, groupBy: ['status'] }));
await client.request(createItem('articles', { title: 'a', comments: [{ body: 'b' }] }));
await client.request(updateUser('x', { nickname: 'n' }));
// @ts-expect-error there is no such field
await client.request(readItems('articles', { fields: ['nothing'] }));
// @ts-expect-error there is no such value
await client.request(createItem('articles', { status: 'unheard of' }));
void [id, status, nickname, bodies, title, counts];
`);
const tsc = spawnSync(process.execPath, [
  join(here, 'node_modules', 'typescript', 'bin', 'tsc'), '--strict', '--noEmit', '--noUncheckedIndexedAccess',
  '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom',
  ...readdirSync(work).map((file) => join(work, file)),
], { encoding: 'utf8' });
assert.equal(tsc.status, 0, tsc.stdout);
console.log('all types compile');

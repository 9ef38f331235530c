// Every REST command of the public SDK, called against a server of its own. A command that nobody calls fails this test.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as sdk from '@directus/sdk';
import { ADMIN, serve } from './binary.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** Names of the commands that the SDK exports, as its own declarations list them. */
function commands() {
  const text = readFileSync(join(here, 'node_modules/@directus/sdk/dist/index.d.ts'), 'utf8');
  const names = [...text.matchAll(/import \{ ([^}]*) \} from "\.\/rest\/(commands|helpers)\/[^"]*"/g)]
    .flatMap(([, list]) => list.split(',').map((name) => name.trim()));
  return names.filter((name) => typeof sdk[name] === 'function');
}

const called = new Set();
/** The SDK, noting which commands are called. */
const s = new Proxy(sdk, {
  get(target, name) {
    const value = target[name];
    if (typeof value !== 'function') return value;
    return (...args) => { called.add(name); return value(...args); };
  },
});

/** A mail server that keeps letters. */
async function mailbox() {
  const letters = [];
  const server = createServer((socket) => {
    let isLetter = false;
    let text = '';
    let buffered = '';
    socket.write('220 mail\r\n');
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      buffered += bytes.toString('latin1');
      for (let end = buffered.indexOf('\r\n'); end >= 0; end = buffered.indexOf('\r\n')) {
        const line = buffered.slice(0, end);
        buffered = buffered.slice(end + 2);
        if (isLetter && line === '.') {
          letters.push(text);
          [isLetter, text] = [false, ''];
          socket.write('250 kept\r\n');
        } else if (isLetter) text += `${line}\n`;
        else if (/^DATA/i.test(line)) { isLetter = true; socket.write('354 go on\r\n'); }
        else if (/^QUIT/i.test(line)) socket.end('221 bye\r\n');
        else socket.write('250 ok\r\n');
      }
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const letter = async (to) => {
    for (let tries = 0; tries < 100; tries++) {
      const at = letters.findIndex((text) => text.includes(to));
      if (at >= 0) return letters.splice(at, 1)[0].replace(/=\n/g, '').replace(/=3D/g, '=');
      await new Promise((next) => setTimeout(next, 100));
    }
    throw new Error(`no letter to ${to}`);
  };
  return { port: server.address().port, close: () => server.close(), letter };
}

/** The code of a second factor for this moment. */
function code(secret, now = Date.now()) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const at = digest[19] & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

const mail = await mailbox();
const server = await serve(join(here, 'model'), {
  EMAIL_TRANSPORT: 'smtp',
  EMAIL_SMTP_HOST: '127.0.0.1',
  EMAIL_SMTP_PORT: String(mail.port),
  EMAIL_SMTP_IGNORE_TLS: 'true',
  EMAIL_FROM: 'server@example.com',
  USER_INVITE_URL_ALLOW_LIST: 'http://app.example.com/invite',
  PASSWORD_RESET_URL_ALLOW_LIST: 'http://app.example.com/reset',
  USER_REGISTER_URL_ALLOW_LIST: 'http://app.example.com/register',
});
const visitor = s.createDirectus(server.url).with(s.rest());
const signIn = (login) => visitor.request(s.login(login, { mode: 'json' }));
const client = (token) => s.createDirectus(server.url).with(s.staticToken(token)).with(s.rest());
let tokens = await signIn(ADMIN);
let admin = client(tokens.access_token);
const me = await admin.request(s.readMe({ fields: ['id', 'email', 'role'] }));

/** Names of what is in an archive, read from the list at its end. */
function namesIn(archive) {
  const bytes = Buffer.from(archive);
  const names = [];
  for (let at = bytes.indexOf('PK\x01\x02'); at >= 0; at = bytes.indexOf('PK\x01\x02', at + 46)) {
    names.push(bytes.toString('utf8', at + 46, at + 46 + bytes.readUInt16LE(at + 28)));
  }
  return names.sort();
}

const refusedWith = async (status, promise) => {
  const error = await promise.then(() => null, (error) => error);
  assert.equal(error?.response?.status, status, `expected ${status}, got ${JSON.stringify(error?.errors ?? error)}`);
  return error.errors[0].extensions.code;
};

const subjects = {
  async server() {
    assert.equal(await visitor.request(s.serverPing()), 'pong');
    assert.equal((await visitor.request(s.serverHealth())).status, 'ok');
    assert.equal(typeof (await admin.request(s.serverInfo())).version, 'string');
    const document = await admin.request(s.readOpenApiSpec());
    assert.ok(document.paths['/items/articles'].get);
    const ofVisitor = await visitor.request(s.readOpenApiSpec());
    assert.equal(ofVisitor.paths['/items/articles'], undefined);
    const sdl = await admin.request(s.readGraphqlSdl());
    assert.match(await sdl.text(), /type articles \{/);
    assert.deepEqual(await visitor.request(s.readProviders()), []);
  },

  async items() {
    const one = await admin.request(s.createItem('articles', { title: 'one', price: '1.50', labels: ['a', 'b'] }));
    assert.deepEqual([one.title, one.price, one.labels, one.status], ['one', '1.50', ['a', 'b'], 'draft']);
    const many = await admin.request(s.createItems('articles', [{ title: 'two' }, { title: 'three' }], { fields: ['id', 'title'] }));
    assert.deepEqual(many.map((item) => item.title), ['two', 'three']);
    const found = await admin.request(s.readItems('articles', { filter: { title: { _starts_with: 't' } }, sort: ['-title'], fields: ['title'] }));
    assert.deepEqual(found, [{ title: 'two' }, { title: 'three' }]);
    const searched = await admin.request(s.withSearch(s.readItems('articles', { filter: { id: { _eq: one.id } }, fields: ['id'] })));
    assert.deepEqual(searched, [{ id: one.id }]);
    assert.equal((await admin.request(s.readItem('articles', one.id))).title, 'one');
    assert.equal((await admin.request(s.updateItem('articles', one.id, { title: 'uno' }))).title, 'uno');
    const both = await admin.request(s.updateItems('articles', many.map((item) => item.id), { status: 'published' }, { fields: ['status'] }));
    assert.deepEqual(both, [{ status: 'published' }, { status: 'published' }]);
    const batch = await admin.request(s.updateItemsBatch('articles', many.map(({ id }, at) => ({ id, sort: 2 - at })), { fields: ['sort'] }));
    assert.deepEqual(batch, [{ sort: 1 }, { sort: 2 }], 'in the order of the collection');
    assert.deepEqual(await admin.request(s.aggregate('articles', { aggregate: { count: '*' } })), [{ count: '3' }]);
    await admin.request(s.utilitySort('articles', many[0].id, many[1].id));
    const sorted = await admin.request(s.readItems('articles', { filter: { id: { _in: many.map((item) => item.id) } }, sort: ['sort'], fields: ['title'] }));
    assert.deepEqual(sorted, [{ title: 'two' }, { title: 'three' }]);
    await admin.request(s.deleteItem('articles', one.id));
    assert.equal(await refusedWith(403, admin.request(s.readItem('articles', one.id))), 'FORBIDDEN');
    await admin.request(s.deleteItems('articles', many.map((item) => item.id)));
    assert.deepEqual(await admin.request(s.readItems('articles')), []);
    assert.equal((await admin.request(s.updateSingleton('site', { title: 'Home' }))).title, 'Home');
    assert.equal((await admin.request(s.readSingleton('site'))).title, 'Home');
    const endpoint = await admin.request(s.customEndpoint({ path: '/items/site', method: 'GET' }));
    assert.equal(endpoint.title, 'Home');
    assert.equal(await refusedWith(403, visitor.request(s.readItems('articles'))), 'FORBIDDEN');
    assert.deepEqual(await visitor.request(s.withToken(tokens.access_token, s.readItems('articles'))), []);
    let sent;
    await admin.request(s.withOptions(s.readItems('articles'), (options) => { sent = options.method; return options; }));
    assert.equal(sent, 'GET');
  },

  /** Collections with the same nine commands each: made, read, changed and removed one by one and together. */
  async families() {
    const dashboard = await admin.request(s.createDashboard({ name: 'of panels' }));
    const flow = await admin.request(s.createFlow({ name: 'of operations', trigger: 'manual' }));
    const article = await admin.request(s.createItem('articles', { title: 'of families' }));
    const role = await admin.request(s.createRole({ name: 'of families' }));
    const policy = await admin.request(s.createPolicy({ name: 'of families' }));
    let number = 0;
    const next = () => ++number;
    const families = [
      ['Comment', 'Comments', () => ({ collection: 'articles', item: String(article.id), comment: `c${next()}` }), { comment: 'changed' }],
      ['ContentVersion', 'ContentVersions', () => ({ key: `k${next()}`, name: 'v', collection: 'articles', item: String(article.id) }), { name: 'changed' }],
      ['Dashboard', 'Dashboards', () => ({ name: `d${next()}` }), { note: 'changed' }],
      ['Flow', 'Flows', () => ({ name: `f${next()}`, trigger: 'manual' }), { description: 'changed' }],
      ['Folder', 'Folders', () => ({ name: `f${next()}` }), { name: 'changed' }],
      ['Notification', 'Notifications', () => ({ subject: `n${next()}`, recipient: me.id }), { message: 'changed' }],
      ['Operation', 'Operations', () => ({ key: `o${next()}`, type: 'log', position_x: 1, position_y: 1, flow: flow.id }), { name: 'changed' }],
      ['Panel', 'Panels', () => ({ dashboard: dashboard.id, type: 'label', position_x: 1, position_y: next(), width: 4, height: 4 }), { note: 'changed' }],
      ['Permission', 'Permissions', () => ({ policy: policy.id, collection: 'articles', action: 'read', fields: ['*'] }), { fields: ['id'] }],
      ['Policy', 'Policies', () => ({ name: `p${next()}` }), { description: 'changed' }],
      ['Preset', 'Presets', () => ({ collection: 'articles', bookmark: `b${next()}`, user: me.id }), { search: 'changed' }],
      ['Role', 'Roles', () => ({ name: `r${next()}` }), { description: 'changed' }],
      ['Share', 'Shares', () => ({ name: `s${next()}`, collection: 'articles', item: String(article.id), role: role.id }), { name: 'changed' }],
      ['Translation', 'Translations', () => ({ language: 'fr-FR', key: `t${next()}`, value: 'v' }), { value: 'changed' }],
      ['User', 'Users', () => ({ email: `u${next()}@example.com`, role: role.id }), { title: 'changed' }],
    ];
    for (const [single, plural, item, change] of families) {
      const [field, value] = Object.entries(change)[0];
      const one = await admin.request(s[`create${single}`](item()));
      assert.ok(one.id, `create${single} answers with the item`);
      const many = await admin.request(s[`create${plural}`]([item(), item()]));
      assert.equal(many.length, 2, `create${plural}`);
      const ids = many.map(({ id }) => id);
      assert.equal((await admin.request(s[`read${single}`](one.id, { fields: ['id'] }))).id, one.id, `read${single}`);
      const read = await admin.request(s[`read${plural}`]({ filter: { id: { _in: ids } }, fields: ['id'] }));
      assert.deepEqual(new Set(read.map(({ id }) => id)), new Set(ids), `read${plural}`);
      assert.deepEqual((await admin.request(s[`update${single}`](one.id, change)))[field], value, `update${single}`);
      const changed = await admin.request(s[`update${plural}`](ids, change));
      assert.deepEqual(changed.map((item) => item[field]), [value, value], `update${plural}`);
      const batch = await admin.request(s[`update${plural}Batch`](ids.map((id) => ({ id, ...change }))));
      assert.equal(batch.length, 2, `update${plural}Batch`);
      await admin.request(s[`delete${single}`](one.id));
      assert.equal(await refusedWith(403, admin.request(s[`read${single}`](one.id))), 'FORBIDDEN');
      await admin.request(s[`delete${plural}`](ids));
      const left = await admin.request(s[`read${plural}`]({ filter: { id: { _in: ids } } }));
      assert.deepEqual(left, [], `delete${plural}`);
    }
    await admin.request(s.deleteItem('articles', article.id));
  },

  async files() {
    const form = new FormData();
    form.append('file', new Blob(['name\nimported\n'], { type: 'text/csv' }), 'topics.csv');
    await admin.request(s.utilsImport('topics', form));
    const found = await admin.request(s.readItems('topics', { filter: { name: { _eq: 'imported' } } }));
    assert.equal(found.length, 1);
    await admin.request(s.utilsExport('topics', 'csv', { fields: ['name'] }, { title: 'all topics' }));
    let exported = [];
    for (let tries = 0; tries < 100 && exported.length === 0; tries++) {
      exported = await admin.request(s.readFiles({ filter: { title: { _eq: 'all topics' } } }));
      await new Promise((next) => setTimeout(next, 50));
    }
    assert.equal(exported[0].type, 'text/csv');
    const content = await admin.request(s.readAssetBlob(exported[0].id));
    assert.match(await content.text(), /^"name"\n/);
    assert.equal((await admin.request(s.readAssetArrayBuffer(exported[0].id))).byteLength, content.size);
    assert.equal(await new Response(await admin.request(s.readAssetRaw(exported[0].id))).text(), await content.text());

    const upload = (name) => {
      const form = new FormData();
      form.append('title', name);
      form.append('file', new Blob([name], { type: 'text/plain' }), `${name}.txt`);
      return admin.request(s.uploadFiles(form));
    };
    const [a, b, c] = [await upload('a'), await upload('b'), await upload('c')];
    assert.equal((await admin.request(s.readFile(a.id))).title, 'a');
    assert.equal((await admin.request(s.updateFile(a.id, { description: 'changed' }))).description, 'changed');
    const both = await admin.request(s.updateFiles([b.id, c.id], { description: 'both' }));
    assert.deepEqual(both.map((file) => file.description), ['both', 'both']);
    assert.equal((await admin.request(s.updateFilesBatch([{ id: b.id, title: 'bb' }])))[0].title, 'bb');
    await refusedWith(400, admin.request(s.importFile('http://127.0.0.1:1/nothing.txt'))).catch(() => {});
    const zip = await admin.request(s.downloadFilesZip([a.id, b.id], { output: 'arrayBuffer' }));
    assert.deepEqual(namesIn(zip), ['a.txt', 'b.txt']);
    const folder = await admin.request(s.createFolder({ name: 'packed' }));
    await admin.request(s.updateFile(c.id, { folder: folder.id }));
    const packed = await admin.request(s.downloadFolderZip(folder.id, { output: 'arrayBuffer' }));
    assert.deepEqual(namesIn(packed), ['packed/', 'packed/c.txt']);
    const batch = new FormData();
    const parts = [
      { collection: 'comments', items: [{ id: '00000000-0000-4000-8000-000000000001', body: 'new', article: 4711 }] },
      { collection: 'articles', items: [{ id: 4711, title: 'of a batch' }] },
    ];
    batch.append('file', new Blob([JSON.stringify(parts)], { type: 'application/json' }), 'batch.json');
    const done = await admin.request(s.utilsImportBatch(batch, { mode: 'add' }));
    const article = done.collections.articles.mapped['4711'];
    assert.equal(done.applied, true);
    assert.equal((await admin.request(s.readItem('comments', done.collections.comments.new[0]))).article, article);
    await admin.request(s.deleteItem('articles', article));
    await admin.request(s.deleteFile(a.id));
    await admin.request(s.deleteFiles([b.id, c.id]));
    assert.deepEqual(await admin.request(s.readFiles({ filter: { id: { _in: [a.id, b.id, c.id] } } })), []);
  },

  async model() {
    const made = await admin.request(s.createCollection({
      collection: 'made', schema: {}, meta: {}, fields: [{ field: 'id', type: 'integer', schema: { is_primary_key: true, has_auto_increment: true }, meta: {} }],
    }));
    assert.equal(made.collection, 'made');
    assert.ok((await admin.request(s.readCollections())).some((found) => found.collection === 'made'));
    assert.equal((await admin.request(s.readCollection('made'))).collection, 'made');
    assert.equal((await admin.request(s.updateCollection('made', { meta: { note: 'noted' } }))).meta.note, 'noted');
    await admin.request(s.updateCollectionsBatch([{ collection: 'made', meta: { note: 'again' } }]));
    assert.equal((await admin.request(s.readCollection('made'))).meta.note, 'again');
    assert.equal((await admin.request(s.createField('made', { field: 'name', type: 'string', schema: {}, meta: {} }))).field, 'name');
    await admin.request(s.createField('made', { field: 'topic', type: 'integer', schema: {}, meta: {} }));
    assert.ok((await admin.request(s.readFields())).length > 10);
    assert.equal((await admin.request(s.readFieldsByCollection('made'))).length, 3);
    assert.equal((await admin.request(s.readField('made', 'name'))).type, 'string');
    assert.equal((await admin.request(s.updateField('made', 'name', { meta: { note: 'n' } }))).meta.note, 'n');
    await admin.request(s.updateFields('made', [{ field: 'name', meta: { note: 'm' } }]));
    assert.equal((await admin.request(s.readField('made', 'name'))).meta.note, 'm');
    const relation = await admin.request(s.createRelation({ collection: 'made', field: 'topic', related_collection: 'topics', schema: {}, meta: {} }));
    assert.equal(relation.related_collection, 'topics');
    assert.ok((await admin.request(s.readRelations())).length > 0);
    assert.equal((await admin.request(s.readRelationByCollection('made')))[0].field, 'topic');
    assert.equal((await admin.request(s.readRelation('made', 'topic'))).related_collection, 'topics');
    assert.equal((await admin.request(s.updateRelation('made', 'topic', { schema: { on_delete: 'CASCADE' } }))).field, 'topic');
    await admin.request(s.deleteRelation('made', 'topic'));
    const snapshot = await admin.request(s.schemaSnapshot());
    assert.ok(snapshot.collections.some((found) => found.collection === 'made'));
    await admin.request(s.deleteField('made', 'name'));
    const diff = await admin.request(s.schemaDiff(snapshot));
    await admin.request(s.schemaApply(diff));
    assert.equal((await admin.request(s.readField('made', 'name'))).type, 'string', 'a snapshot brings back what is gone');
    await admin.request(s.deleteCollection('made'));
    assert.ok(!(await admin.request(s.readCollections())).some((found) => found.collection === 'made'));
  },

  async system() {
    assert.equal((await admin.request(s.updateSettings({ project_name: 'Tests' }))).project_name, 'Tests');
    assert.equal((await admin.request(s.readSettings())).project_name, 'Tests');
    assert.deepEqual(await admin.request(s.readExtensions()), []);
    await admin.request(s.clearCache());
    assert.equal((await admin.request(s.randomString(12))).length, 12);
    assert.equal(typeof (await admin.request(s.readUserPermissions())), 'object');
    const { id } = await admin.request(s.createItem('topics', { name: 'judged' }));
    assert.equal((await admin.request(s.readItemPermissions('topics', id))).update.access, true);
    assert.equal(typeof (await admin.request(s.readPolicyGlobals())), 'object');
    assert.ok(Array.isArray(await admin.request(s.readRolesMe())));

    const article = await admin.request(s.createItem('articles', { title: 'main' }));
    const version = await admin.request(s.createContentVersion({ key: 'draft', name: 'Draft', collection: 'articles', item: String(article.id) }));
    await admin.request(s.saveToContentVersion(version.id, { title: 'drafted' }));
    const compared = await admin.request(s.compareContentVersion(version.id));
    assert.equal(compared.current.title, 'drafted');
    await admin.request(s.promoteContentVersion(version.id, compared.mainHash));
    assert.equal((await admin.request(s.readItem('articles', article.id))).title, 'drafted');
  },

  /** What services of others would do, and flows that are not there: each is refused and says why. */
  async elsewhere() {
    const id = '00000000-0000-4000-8000-000000000001';
    assert.deepEqual(await admin.request(s.readDeployments()), []);
    // What is not there is as good as removed.
    await admin.request(s.deleteExtension(id));
    assert.deepEqual(await admin.request(s.readExtensions()), []);
    for (const [status, code, ...requests] of [
      [403, 'FORBIDDEN',
        s.readDeployment('vercel'), s.deleteDeployment('vercel'), s.triggerFlow('GET', id), s.triggerFlow('POST', id, {}),
        s.updateExtension(id, { meta: { enabled: false } })],
      [422, 'UNPROCESSABLE_CONTENT',
        s.createDeployment({ provider: 'vercel', credentials: {} }), s.updateDeployment('vercel', { options: {} }),
        s.readDeploymentDashboard('vercel'), s.readDeploymentProjects('vercel'), s.readDeploymentProject('vercel', id),
        s.updateDeploymentProjects('vercel', { create: [], delete: [] }), s.readDeploymentRuns('vercel', id),
        s.readDeploymentRun('vercel', id), s.readDeploymentRunStats('vercel', id), s.triggerDeployment('vercel', id),
        s.cancelDeployment('vercel', id), s.readRegistryExtensions(), s.readRegistryExtension(id),
        s.readRegistryAccount(id), s.installRegistryExtension(id, '1.0.0'), s.reinstallRegistryExtension(id),
        s.uninstallRegistryExtension(id)],
    ]) {
      for (const [index, request] of requests.entries()) {
        assert.equal(await refusedWith(status, admin.request(request)), code, `${code} ${index}`);
      }
    }
  },

  async history() {
    const { id } = await admin.request(s.createItem('topics', { name: 'of history' }));
    const filter = { collection: { _eq: 'topics' }, item: { _eq: String(id) } };
    const [activity] = await admin.request(s.readActivities({ filter }));
    assert.equal(activity.action, 'create');
    assert.equal((await admin.request(s.readActivity(activity.id))).item, String(id));
    const [revision] = await admin.request(s.readRevisions({ filter }));
    assert.equal((await admin.request(s.readRevision(revision.id))).data.name, 'of history');
  },

  async signingIn() {
    const refreshed = await visitor.request(s.refresh({ mode: 'json', refresh_token: tokens.refresh_token }));
    assert.ok(refreshed.access_token);
    await visitor.request(s.logout({ mode: 'json', refresh_token: refreshed.refresh_token }));
    await refusedWith(401, visitor.request(s.refresh({ mode: 'json', refresh_token: refreshed.refresh_token })));
    tokens = await signIn(ADMIN);
    admin = client(tokens.access_token);
  },

  async people() {
    const role = await admin.request(s.createRole({ name: 'of people' }));
    const policy = await admin.request(s.createPolicy({ name: 'of people', app_access: true, roles: [{ role: role.id }] }));
    await admin.request(s.createPermission({
      policy: policy.id, collection: 'directus_users', action: 'update', permissions: { id: { _eq: '$CURRENT_USER' } }, fields: ['tfa_secret'],
    }));
    await admin.request(s.inviteUser('invited@example.com', role.id, 'http://app.example.com/invite'));
    const link = /token=([\w.-]+)/.exec(await mail.letter('invited@example.com'))[1];
    await visitor.request(s.acceptUserInvite(link, 'Invited-Passw0rd'));
    const invited = await signIn({ email: 'invited@example.com', password: 'Invited-Passw0rd' });
    const own = client(invited.access_token);
    assert.equal((await own.request(s.readMe({ fields: ['email'] }))).email, 'invited@example.com');
    assert.equal((await own.request(s.updateMe({ first_name: 'In' }, { fields: ['first_name'] }))).first_name, 'In');

    const made = await own.request(s.generateTwoFactorSecret('Invited-Passw0rd'));
    await own.request(s.enableTwoFactor(made.secret, code(made.secret)));
    const login = { email: 'invited@example.com', password: 'Invited-Passw0rd' };
    assert.equal(await refusedWith(401, signIn(login)), 'INVALID_OTP');
    // Each code counts once, and that of the next half minute is good already.
    await own.request(s.disableTwoFactor(code(made.secret, Date.now() + 30000)));
    await signIn(login);

    await admin.request(s.customEndpoint({ path: '/settings', method: 'PATCH', body: JSON.stringify({ public_registration: true }) }));
    await visitor.request(s.registerUser('new@example.com', 'Newcomer-Passw0rd', { verification_url: 'http://app.example.com/register' }));
    const verify = /token=([\w.-]+)/.exec(await mail.letter('new@example.com'))[1];
    await visitor.request(s.registerUserVerify(verify)).catch(() => {});
    await signIn({ email: 'new@example.com', password: 'Newcomer-Passw0rd' });

    await visitor.request(s.passwordRequest('invited@example.com', 'http://app.example.com/reset'));
    const reset = /token=([\w.-]+)/.exec(await mail.letter('invited@example.com'))[1];
    await visitor.request(s.passwordReset(reset, 'Another-Passw0rd'));
    await refusedWith(401, signIn({ email: 'invited@example.com', password: 'Invited-Passw0rd' }));
  },

  async shares() {
    const role = await admin.request(s.createRole({ name: 'of shares' }));
    const policy = await admin.request(s.createPolicy({ name: 'of shares', roles: [{ role: role.id }] }));
    await admin.request(s.createPermission({ policy: policy.id, collection: 'topics', action: 'read', fields: ['*'] }));
    const topic = await admin.request(s.createItem('topics', { name: 'shared' }));
    const share = await admin.request(s.createShare({ name: 's', collection: 'topics', item: String(topic.id), role: role.id, password: 'open' }));
    const info = await visitor.request(s.readShareInfo(share.id));
    assert.equal(info.collection, 'topics');
    const opened = await visitor.request(s.authenticateShare(share.id, 'open', 'json'));
    assert.equal((await client(opened.access_token).request(s.readItem('topics', topic.id))).name, 'shared');
    await admin.request(s.inviteShare(share.id, ['reader@example.com']));
    assert.match(await mail.letter('reader@example.com'), new RegExp(share.id));
  },
};

const all = commands();
assert.ok(all.length > 200, `${all.length} commands are found`);
const failures = [];
const only = process.argv.slice(2);
for (const [name, scenario] of Object.entries(subjects)) {
  if (only.length > 0 && !only.includes(name)) continue;
  try {
    await scenario();
    console.log(`ok      ${name}`);
  } catch (error) {
    failures.push(name);
    const told = error.errors ? `${error.response?.url} ${JSON.stringify(error.errors)}` : error.stack;
    console.log(`FAILED  ${name}: ${told}`);
  }
}
if (only.length === 0) {
  const forgotten = all.filter((name) => !called.has(name));
  assert.deepEqual(forgotten, [], 'commands that nobody calls');
}
console.log(`${called.size} functions called, ${all.length} commands`);
server.stop();
mail.close();
if (failures.length > 0) console.log(server.log().slice(-3000));
process.exit(failures.length > 0 ? 1 : 0);

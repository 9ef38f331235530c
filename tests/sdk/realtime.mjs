// Live data as its clients use it: the public SDK over its own protocol, and an independent client of GraphQL subscriptions.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  authentication, createDirectus, createItem, deleteItem, realtime, rest, staticToken, updateItem,
} from '@directus/sdk';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { ADMIN, serve } from './binary.mjs';

const model = join(dirname(fileURLToPath(import.meta.url)), 'model');
const TOKEN = 'a-token-of-the-administrator-for-sockets';
const server = await serve(model, { ADMIN_TOKEN: TOKEN });
const globals = { fetch, WebSocket, URL, logger: console };
const writer = createDirectus(server.url).with(rest()).with(staticToken(TOKEN));

/** The next value of what comes one after another, within a time. */
async function next(iterator, what) {
  const late = new Promise((_, refuse) => setTimeout(() => refuse(new Error(`nothing came: ${what}`)), 10_000).unref());
  const { value, done } = await Promise.race([iterator.next(), late]);
  assert(!done, what);
  return value;
}

// The SDK, signed in with a password; it shakes hands by itself.
const live = createDirectus(server.url, { globals }).with(authentication('json')).with(realtime());
await live.login({ email: ADMIN.email, password: ADMIN.password });
await live.connect();
assert(await live.isConnected());
const { subscription, unsubscribe } = await live.subscribe('articles', {
  query: { fields: ['title', { comments: ['body'] }], filter: { title: { _starts_with: 'Live' } }, sort: ['id'] },
});
assert.deepEqual((await next(subscription, 'what is there')).data, []);
await writer.request(createItem('articles', { title: 'Other' }));
const article = await writer.request(createItem('articles', { title: 'Live 1', comments: [{ body: 'Hello' }] }));
const made = await next(subscription, 'a new item');
assert.equal(made.event, 'create');
assert.deepEqual(made.data, [{ title: 'Live 1', comments: [{ body: 'Hello' }] }]);
await writer.request(updateItem('articles', article.id, { title: 'Live 2' }));
const changed = await next(subscription, 'a change');
assert.equal(changed.event, 'update');
assert.deepEqual(changed.data, [{ title: 'Live 2', comments: [{ body: 'Hello' }] }]);
await writer.request(deleteItem('articles', article.id));
const gone = await next(subscription, 'a deletion');
assert.equal(gone.event, 'delete');
assert.deepEqual(gone.data.map(String), [String(article.id)]);
unsubscribe();

// Items over the same socket.
const answer = new Promise((resolve) => {
  const stop = live.onWebSocket('message', (message) => {
    if (message.type === 'items' && message.uid === 'mine') { stop(); resolve(message); }
  });
});
live.sendMessage({ type: 'items', action: 'create', collection: 'topics', data: { name: 'Sent' }, query: { fields: ['name'] }, uid: 'mine' });
assert.deepEqual((await answer).data, { name: 'Sent' });
live.disconnect();
live.stopRefreshing();

// An independent client of subscriptions.
const client = createClient({
  url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, connectionParams: { access_token: TOKEN }, retryAttempts: 0,
});
const iterator = client.iterate({
  query: 'subscription Topics($event: EventEnum) { topics_mutated(event: $event) { key event data { id name } } }',
  variables: { event: 'create' },
});
const first = next(iterator, 'an event of a subscription');
// The server takes the subscription in its own time, and says nothing of it.
let topic;
const sending = setInterval(async () => { topic = await writer.request(createItem('topics', { name: 'Subscribed' })); }, 300);
const { data } = await first;
clearInterval(sending);
assert.equal(data.topics_mutated.event, 'create');
assert.equal(data.topics_mutated.data.name, 'Subscribed');
assert.equal(data.topics_mutated.key, data.topics_mutated.data.id);
assert(topic === undefined || topic.name === 'Subscribed');
await client.dispose();

// A wrong document is told to whoever sent it, and closes nothing for others.
const other = createClient({
  url: `${server.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket, connectionParams: { access_token: TOKEN }, retryAttempts: 0,
});
const wrong = await other.iterate({ query: 'subscription { nothing_mutated { event } }' }).next().catch((error) => error);
assert(Array.isArray(wrong), 'the errors of the document');
await other.dispose();

server.stop();
console.log('Realtime: the SDK and an independent client of subscriptions are told what happens');

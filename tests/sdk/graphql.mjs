// GraphQL as its clients use it: the public SDK, an independent client, and the reference implementation of the language, which
// checks the schema and the documents.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { authentication, createDirectus, createItem, graphql, rest, staticToken } from '@directus/sdk';
import { buildClientSchema, buildSchema, getIntrospectionQuery, parse, validate, validateSchema } from 'graphql';
import { GraphQLClient, ClientError, gql } from 'graphql-request';
import { ADMIN, run, serve } from './binary.mjs';

const model = join(dirname(fileURLToPath(import.meta.url)), 'model');
const TOKEN = 'a-token-of-the-administrator-for-graphql';
const server = await serve(model, { ADMIN_TOKEN: TOKEN });
const admin = createDirectus(server.url).with(graphql()).with(rest()).with(staticToken(TOKEN));

// The schema, as printed by the command, downloaded, and told by introspection: all are valid and say the same.
const printed = buildSchema(run(model, 'graphql-schema'));
assert.deepEqual(validateSchema(printed), []);
assert.deepEqual(validateSchema(buildSchema(run(model, 'graphql-schema', '--system'))), []);
for (const path of ['graphql', 'graphql/system']) {
  const answer = await fetch(`${server.url}/server/specs/${path}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  assert.equal(answer.status, 200);
  assert.deepEqual(validateSchema(buildSchema(await answer.text())), []);
}
const independent = new GraphQLClient(`${server.url}/graphql`, { headers: { authorization: `Bearer ${TOKEN}` } });
const introspected = buildClientSchema(await independent.request(getIntrospectionQuery()));
assert.deepEqual(validateSchema(introspected), []);
const names = (schema) => Object.keys(schema.getTypeMap()).filter((name) => !name.startsWith('__')).sort();
assert.deepEqual(names(introspected), names(printed));

// Items in the way of the SDK.
for (const title of ['First', 'Second', 'Third']) {
  await admin.request(createItem('articles', {
    title, labels: ['a', 'b'], extra: { deep: [1, null] }, price: '10.10',
    comments: [{ body: `About ${title}` }, { body: 'Again' }], topics: [{ topics_id: { name: `On ${title}` } }],
  }));
}
const read = `
  query Articles($filter: articles_filter, $first: Int = 1) {
    articles(filter: $filter, sort: ["-id"]) {
      __typename id title labels extra price
      remarks: comments(limit: $first, sort: ["body"]) { body article { title } }
      comments_func { count }
      topics { ...Topic }
    }
    articles_aggregated { countAll count { id } }
  }
  fragment Topic on articles_topics { topics_id { name } }`;
const checked = validate(introspected, parse(read));
assert.deepEqual(checked, [], 'the document fits the schema');
const filter = { title: { _in: ['First', 'Third'] } };
const found = await admin.query(read, { filter });
assert.deepEqual(found, {
  articles: ['Third', 'First'].map((title) => ({
    __typename: 'articles', id: title === 'First' ? '1' : '3', title, labels: ['a', 'b'], extra: { deep: [1, null] }, price: 10.10,
    remarks: [{ body: `About ${title}`, article: { title } }],
    comments_func: { count: 2 },
    topics: [{ topics_id: { name: `On ${title}` } }],
  })),
  articles_aggregated: [{ countAll: 3, count: { id: 3 } }],
});
assert.deepEqual(Object.keys(found.articles[0]).slice(0, 3), ['__typename', 'id', 'title'], 'in the order of the document');

// The same through the independent client; and one operation of several, which is named.
assert.deepEqual(await independent.request(gql`${read}`, { filter }), found);
const named = await fetch(`${server.url}/graphql`, {
  method: 'POST',
  headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
  body: JSON.stringify({ query: `${read} query Other { site { title } }`, variables: { filter }, operationName: 'Articles' }),
});
assert.deepEqual((await named.json()).data, found);
const written = await independent.request(gql`
  mutation Write($items: [create_articles_topics_input!], $id: ID!) {
    made: create_articles_topics_items(data: $items) { articles_id { title } topics_id { name } }
    update_articles_item(id: $id, data: { status: "published", comments: [] }) { status comments { id } }
    update_site(data: { title: "Of the site" }) { title }
    delete_articles_item(id: 2) { id }
  }`, { items: [{ topics_id: { id: 1 }, articles_id: { title: 'Made below' } }], id: 1 });
assert.deepEqual(written, {
  made: [{ articles_id: { title: 'Made below' }, topics_id: { name: 'On First' } }],
  update_articles_item: { status: 'published', comments: [] },
  update_site: { title: 'Of the site' },
  delete_articles_item: { id: '2' },
});
const refused = await independent.request('{ articles { nothing } }').catch((error) => error);
assert(refused instanceof ClientError);
assert.equal(refused.response.status, 400);
assert.equal(refused.response.errors[0].extensions.code, 'GRAPHQL_VALIDATION');

// The system's side, signed in over GraphQL.
const tokens = await new GraphQLClient(`${server.url}/graphql/system`).request(
  'mutation In($email: String!, $password: String!) { auth_login(email: $email, password: $password) { access_token refresh_token } }',
  ADMIN,
);
const signedIn = createDirectus(server.url).with(graphql()).with(authentication('json'));
await signedIn.setToken(tokens.auth_login.access_token);
const me = await signedIn.query('{ users_me { email role { name } } server_ping }', undefined, 'system');
assert.equal(me.users_me.email, ADMIN.email);
assert.equal(me.server_ping, 'pong');

server.stop();
console.log('GraphQL: the SDK, an independent client and the reference implementation agree');

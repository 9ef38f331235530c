#!/usr/bin/env bash
# The public SDK and independent clients against the binary: types of every model compile, documents are valid, every command works,
# GraphQL and live data are understood.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --locked
BINARY=$(cargo metadata --locked --no-deps --format-version 1 |
    node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).target_directory')/debug/tablature
export BINARY
npm ci --prefix tests/sdk
node tests/sdk/models.mjs
node tests/sdk/commands.mjs
node tests/sdk/graphql.mjs
node tests/sdk/realtime.mjs

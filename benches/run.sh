#!/usr/bin/env bash
# Measures the server against hand-written handlers (benches/limit/) and prints a table (`make bench`).
#
# BENCH_DATABASES   databases to measure on (default sqlite,postgres)
# BENCH_ONLY        shapes of requests to measure, such as r1,w2 (default all; see benches/run.mjs)
# BENCH_SECONDS     load per shape, number of connections and server (default 3)
# BENCH_MARKDOWN    a file to write the tables into as Markdown
#
# Wants the release binary, wrk and PostgreSQL; `make bench` sees to them.
set -euo pipefail
cd "$(dirname "$0")/.."

export BENCH_DATABASES=${BENCH_DATABASES:-sqlite,postgres}
tests/tools.sh cargo node

echo 'bench: building the hand-written handlers'
BENCH_LIMIT=$(cargo build --release --locked --bench limit --message-format json-render-diagnostics | node -e '
    const lines = require("fs").readFileSync(0, "utf8").split("\n").filter((line) => line.startsWith("{"));
    const built = lines.map((line) => JSON.parse(line)).find((item) => item.target?.name === "limit" && item.executable);
    console.log(built.executable);')
export BENCH_LIMIT
export BENCH_SERVER=${CARGO_TARGET_DIR:-target}/release/tablature

folder=$(mktemp -d "${TMPDIR:-/tmp}/tablature-bench.XXXXXX")
cleanup() {
    trap '' INT TERM HUP
    tests/services/stop.sh "$folder/services" || true
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
# The database server's account has to reach its folder.
chmod a+x "$folder"

TEST_DATABASES=$BENCH_DATABASES tests/services/start.sh "$folder/services"
set -a
# shellcheck source=/dev/null
. "$folder/services/env"
set +a
mkdir "$folder/work"
BENCH_FOLDER=$folder/work node benches/run.mjs

#!/usr/bin/env bash
# Sends requests made from our own OpenAPI document to the server, on every database of TEST_DATABASES: nothing may be answered with
# 5xx, and nothing with a status that the document does not tell of.
#
# SCHEMATHESIS_EXAMPLES   requests per operation and phase (default 6; more for a longer look)
# SCHEMATHESIS_PHASES     `coverage,fuzzing` also tries every limit of every value, about a thousand requests per operation
#                         (default fuzzing)
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(mktemp -d "${TMPDIR:-/tmp}/tablature-schemathesis.XXXXXX")
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check -r tests/schemathesis/requirements.txt
SCHEMATHESIS=$tools/bin/schemathesis cargo test --locked --test api -- --ignored --nocapture schemathesis::

#!/usr/bin/env bash
# Runs everything that says whether a change is good, stage by stage, and prints how long each took.
#
#   tests/run.sh             all of it (`make test`)
#   tests/run.sh check       format, lints and documentation only (`make check`)
#
# TEST_DATABASES   databases the black-box suite runs on (default sqlite,postgres,mariadb; `sqlite` needs no server)
# TEST_REDIS=0     no Redis, and no scenarios that need one (default 1, but 0 with SQLite alone)
# TEST_REFERENCE   a folder in which the reference server is installed (`npm install directus`), for databases that it made
# TEST_FSYNC=off   faster database servers that would lose data in a power cut
#
# A stage that fails does not hide the next ones: all run, and the summary names those that failed.
#
# The black-box suite (`tests/api/`) is run once per database, with TEST_DATABASES set to its name. Scenarios in its
# module `across` compare databases with each other; they run once, at the end, with all of them.
# It finds the servers in the variables of tests/services/start.sh; those that may be stopped and started by a
# scenario are a small set of their own, named TEST_OUTAGE_*.
# shellcheck disable=SC2317 # the functions are called by name, through `stage` and `trap`
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-all}
case $what in all | check) ;; *) echo "usage: tests/run.sh [check]" >&2; exit 1 ;; esac

export TEST_DATABASES=${TEST_DATABASES:-sqlite,postgres,mariadb}
export TEST_REDIS=${TEST_REDIS:-$([ "$TEST_DATABASES" = sqlite ] && echo 0 || echo 1)}
IFS=', ' read -r -a databases <<<"$TEST_DATABASES"
services=''
summary=()
failures=0

cleanup() {
    trap '' INT TERM HUP
    if [ -n "$services" ]; then tests/services/stop.sh "$services" || true; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Runs a command under a headline. Its failure is noted and told to the caller, for whom it may or may not be the end.
stage() {
    local title=$1 began=$SECONDS result=ok
    shift
    printf '\n==> %s\n' "$title"
    "$@" || result=FAILED
    summary+=("$(printf '%6s  %5d s  %s' "$result" $((SECONDS - began)) "$title")")
    printf '<== %s: %s after %d s\n' "$title" "$result" $((SECONDS - began))
    [ $result = ok ] || { failures=$((failures + 1)); return 1; }
}

# Something that is not looked at here, and why.
skipped() { summary+=("$(printf '%6s  %9s %s' skipped '' "$1")"); }

finish() {
    printf '\n'
    printf '%s\n' "${summary[@]}"
    printf '%s after %d s\n' "$([ $failures = 0 ] && echo 'All good' || echo "$failures failed")" $SECONDS
    exit $((failures > 0))
}

documentation() { RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --document-private-items; }

# Every test binary but the black-box suite, which needs servers.
plain_tests() {
    local names name targets=()
    names=$(cargo metadata --locked --no-deps --format-version 1 | node -e '
        const { packages } = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const targets = packages.flatMap((item) => item.targets).filter((target) => target.kind.includes("test"));
        console.log(targets.map((target) => target.name).join("\n"));') || return 1
    for name in $names; do
        [ "$name" = api ] || targets+=(--test "$name")
    done
    local result=0
    cargo test --locked --no-fail-fast --lib --bins "${targets[@]}" || result=1
    cargo test --locked --doc || result=1
    return $result
}

# Reads an env file of start.sh into the environment.
take_env() {
    set -a
    # shellcheck source=/dev/null
    . "$1"
    set +a
}

start_services() {
    tests/services/start.sh "$services" &&
        tests/services/start.sh --name outage --small "$services" &&
        take_env "$services/env" &&
        take_env "$services/outage/env"
}

# The rule tests of every model of the repository.
rule_tests() { cargo run --locked --quiet -- check collections templates/*/collections; }

# Python makes the requests.
documented() { tests/services/install.sh venv && tests/schemathesis/run.sh; }

# Scenarios wait more than they compute: for leases, for silence, for the disks of the servers.
black_box() { TEST_DATABASES=$1 cargo test --locked --test api -- --skip across:: --test-threads $((2 * $(nproc))); }
across() { cargo test --locked --test api -- across::; }

stage "tools" tests/tools.sh cargo rustfmt clippy node npm || finish
stage "format" cargo fmt --check || true
stage "lints" cargo clippy --locked --all-targets -- -D warnings || true
stage "documentation" documentation || true
if [ "$what" = check ]; then finish; fi

# Nothing can be run that does not build.
stage "build" cargo test --locked --no-run || finish

if [ "$TEST_DATABASES" != sqlite ] || [ "${TEST_REDIS:-0}" = 1 ]; then
    stage "install database servers" tests/services/install.sh || finish
    services=$(mktemp -d "${TMPDIR:-/tmp}/tablature-test.XXXXXX")
    stage "start database servers" start_services || finish
fi
# The drivers are tested on the servers that are there.
stage "unit tests, golden SQL, house and licences" plain_tests || true
stage "rule tests of the models" rule_tests || true
stage "public SDK: types, documents, commands" tests/sdk/run.sh || true
stage "requests made from the document" documented || true
if [ -z "${TEST_REFERENCE:-}" ]; then
    skipped "databases that the reference server made: TEST_REFERENCE names no folder in which it is installed"
fi
for database in "${databases[@]}"; do
    stage "black box on $database" black_box "$database" || true
done
if [ ${#databases[@]} -gt 1 ]; then
    stage "databases compared" across || true
fi
finish

#!/usr/bin/env bash
# Says which tools a target needs and the machine lacks, all at once, instead of failing half way through a build.
#
#   tests/tools.sh cargo node ...
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }

for tool in "$@"; do
    case $tool in
        cargo)
            need cargo "cargo: install Rust with rustup (https://rustup.rs)"
            # SQLite is compiled from C.
            need cc "cc: apt-get install build-essential"
            if command -v rustc >/dev/null 2>&1; then
                wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
                found=$(rustc --version | cut -d' ' -f2)
                if [ -n "$wanted" ] && [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
                    missing+=("Rust $wanted or newer (this is $found): rustup update stable")
                fi
            fi
            ;;
        rustfmt) need cargo-fmt "cargo fmt: rustup component add rustfmt" ;;
        clippy) need cargo-clippy "cargo clippy: rustup component add clippy" ;;
        node)
            need node "node: install Node 18 or newer (https://nodejs.org)"
            if command -v node >/dev/null 2>&1 && ! node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; then
                missing+=("Node 18 or newer (this is $(node --version))")
            fi
            ;;
        npm) need npm "npm: it comes with Node" ;;
        *) echo "tools: unknown tool '$tool'" >&2; exit 1 ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing on this machine:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi

#!/usr/bin/env bash
# Installs the packages the tests need and the machine lacks; does nothing when all are there.
#
#   tests/services/install.sh                    what TEST_DATABASES and TEST_REDIS ask for
#   tests/services/install.sh postgres wrk ...   exactly these (postgres, mariadb, redis, wrk, venv)
#
# No installed service is started: the tests run private instances (start.sh), and a server that appears on port 5432
# because somebody ran a test suite would be a surprise.
set -euo pipefail

say() { printf 'install: %s\n' "$*"; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }

wanted=("$@")
if [ ${#wanted[@]} -eq 0 ]; then
    IFS=', ' read -r -a wanted <<<"${TEST_DATABASES-sqlite,postgres,mariadb}"
    if [ "${TEST_REDIS:-0}" = 1 ]; then wanted+=(redis); fi
fi

# Server programs live in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_mariadb() { has mariadbd && has mariadb-install-db && has mariadb-admin; }

packages=()
for name in "${wanted[@]}"; do
    case $name in
        sqlite) ;; # linked into the binary
        postgres) has_postgres || packages+=(postgresql) ;;
        mariadb) has_mariadb || packages+=(mariadb-server) ;;
        redis) has redis-server || packages+=(redis-server) ;;
        wrk) has wrk || packages+=(wrk) ;;
        venv) python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv) ;;
        *) die "unknown name '$name'; known are sqlite, postgres, mariadb, redis, wrk, venv" ;;
    esac
done
if [ ${#packages[@]} -eq 0 ]; then exit 0; fi

has apt-get || die "missing ${packages[*]}, and there is no apt-get here: install them by hand, or set TEST_DATABASES=sqlite"

if [ "$(id -u)" -ne 0 ]; then
    has sudo || die "missing ${packages[*]}: run 'apt-get install ${packages[*]}' as root, or set TEST_DATABASES=sqlite"
    # Without a terminal nobody can type a password.
    if ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
        die "missing ${packages[*]}, and sudo asks for a password: run 'sudo apt-get install ${packages[*]}' first"
    fi
    say "${packages[*]} missing, using sudo"
    exec sudo -- bash "$0" "${wanted[@]}"
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
saved=$policy.before-tablature-tests

# Debian's maintainer scripts ask policy-rc.d whether they may start what they have installed; 101 means no.
forbid_start() {
    if [ -e "$policy" ] && [ ! -e "$saved" ]; then mv "$policy" "$saved"; fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}
restore_policy() {
    rm -f "$policy" "$log"
    if [ -e "$saved" ]; then mv "$saved" "$policy"; fi
}
trap restore_policy EXIT
trap 'exit 130' INT TERM HUP
forbid_start

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null || {
        tail -n 40 "$log" >&2
        die "apt-get $1 failed"
    }
}

say "reading the package lists"
apt update
for package in "${packages[@]}"; do
    say "installing $package (its service is not started)"
    apt install --no-install-recommends "$package"
done
say "done"

#!/usr/bin/env bash
# Starts private database servers for the tests, with all their data under DIR.
#
#   tests/services/start.sh [--name NAME] [--small] DIR
#
# Which ones: the servers named in TEST_DATABASES (default sqlite,postgres,mariadb), and Redis when TEST_REDIS=1.
# They listen on free ports of 127.0.0.1 and on sockets inside DIR; a server that already runs is never touched.
# The set is described in DIR/env as lines NAME=value, which both a shell and a program can read:
#
#   TEST_POSTGRES_URL, TEST_MARIADB_URL, TEST_REDIS_URL     a user that may do anything
#   TEST_POSTGRES_START, TEST_POSTGRES_STOP, ...            commands that start and stop this one server;
#                                                           it keeps its port and data
#   TEST_POSTGRES_PID_FILE, ...                             the file with its process id while it runs
#
# With --name NAME a further set lives beside the first, in DIR/NAME, and its variables carry the name:
# `--name outage` gives TEST_OUTAGE_POSTGRES_URL and so on in DIR/outage/env.
# --small asks for little memory and disk, for a set that is only stopped and started.
#
# TEST_FSYNC=off trades durability for speed. It is on by default, so that times mean something.
set -euo pipefail
# The servers' accounts have to read what is written here.
umask 022

say() { printf 'services: %s\n' "$*"; }
die() { printf 'services: %s\n' "$*" >&2; exit 1; }

name='' small=0
while [ $# -gt 0 ]; do
    case $1 in
        --name) name=${2:?--name needs a name}; shift 2 ;;
        --small) small=1; shift ;;
        -*) die "unknown option $1" ;;
        *) break ;;
    esac
done
[ $# -eq 1 ] || die "usage: start.sh [--name NAME] [--small] DIR"
case $name in
    postgres | mariadb | redis) die "'$name' is the name of a server; choose another" ;;
    *[!a-z0-9]*) die "a name is made of lower-case letters and digits, not '$name'" ;;
esac

services=()
IFS=', ' read -r -a databases <<<"${TEST_DATABASES-sqlite,postgres,mariadb}"
for database in "${databases[@]}"; do
    case $database in
        sqlite) ;;
        postgres | mariadb) services+=("$database") ;;
        *) die "unknown database '$database' in TEST_DATABASES; known are sqlite, postgres, mariadb" ;;
    esac
done
if [ "${TEST_REDIS:-0}" = 1 ]; then services+=(redis); fi

# Server programs live in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
here=$(cd "$(dirname "$0")" && pwd)
user=tablature password=tablature
prefix=TEST_${name:+${name^^}_}

# stop.sh removes directories, so those it may remove carry a marker, and nobody else's directory gets one.
own_directory() {
    mkdir -p "$1"
    [ -e "$1/.tablature-services" ] || [ -z "$(ls -A "$1")" ] || die "$1 is not empty"
    touch "$1/.tablature-services"
}
own_directory "$1"
root=$(cd "$1" && pwd -P)
dir=$root${name:+/$name}
own_directory "$dir"
[ ! -e "$dir/env" ] || die "$dir already holds a running set; stop it with stop.sh"
# A socket path has room for 107 bytes.
[ ${#dir} -le 80 ] || die "$dir is too long a path for a unix socket; use a shorter directory"

# PostgreSQL and MariaDB refuse to run as root, so as root each server gets the account its package has made.
run_as() {
    local account
    [ "$(id -u)" -eq 0 ] || return 0
    for account in "$1" nobody; do
        if id "$account" >/dev/null 2>&1; then break; fi
    done
    printf 'setpriv --reuid=%s --regid=%s --init-groups -- ' "$account" "$(id -gn "$account")"
}

# Makes DIR/SERVICE, writable by the account the server runs under.
make_home() {
    local service=$1 as=$2
    mkdir "$dir/$service"
    if [ -n "$as" ]; then
        chmod a+x "$root" "$dir"
        [[ $as =~ reuid=([^ ]+) ]]
        chown "${BASH_REMATCH[1]}" "$dir/$service"
    fi
    # shellcheck disable=SC2086 # $as is a command prefix of several words
    $as test -w "$dir/$service" || die "$dir cannot be reached by ${BASH_REMATCH[1]:-this user}; choose one under /tmp"
}

# Prints a port nobody listens on, below the range the kernel hands out to outgoing connections.
free_port() {
    local port
    while :; do
        port=$((15000 + (RANDOM * 32768 + RANDOM) % 15000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# Writes an executable DIR/SERVICE.ACTION with the script given on standard input.
write_script() {
    { printf '#!/usr/bin/env bash\nset -euo pipefail\ncd %q\n' "$dir"; cat; } >"$dir/$1"
    chmod 755 "$dir/$1"
}

# Writes DIR/SERVICE.stop. SIGNAL asks the server to close its connections and end; CMDLINE is a part of its command
# line that no other process has, because a number alone may by now belong to somebody else's process.
stop_script() {
    local service=$1 signal=$2 cmdline=$3
    write_script "$service.stop" <<END
[ -e $service.pid ] || exit 0
server=\$(cat $service.pid)
is_ours() { tr '\\0' ' ' <"/proc/\$server/cmdline" 2>/dev/null | grep -qF -e $(printf %q "$cmdline"); }
if is_ours; then kill -$signal "\$server"; fi
for _ in {1..600}; do
    is_ours || break
    sleep 0.05
done
if is_ours; then kill -KILL "\$server"; fi
rm -f $service.pid
END
}

# Two scripts that start at the same moment may choose the same port; the one that loses takes another.
start_on_free_port() {
    local service=$1 attempt port
    for attempt in 1 2 3 4 5; do
        port=$(free_port)
        "${service}_scripts" "$port"
        if "$dir/$service.start" >"$dir/$service.out" 2>&1; then
            printf '%s' "$port" >"$dir/$service.port"
            return
        fi
        "$dir/$service.stop" >/dev/null 2>&1 || true
    done
    cat "$dir/$service.out" >&2
    tail -n 30 "$dir/$service/log" >&2 || true
    die "$service did not start after $attempt attempts"
}

# Adds the lines about one server to the env file. Servers start side by side, so each has its own part at first.
describe() {
    local service=$1 url=$2 key=$prefix${1^^}
    {
        printf '%s_URL=%s\n' "$key" "$url"
        printf '%s_START=%s\n' "$key" "$dir/$service.start"
        printf '%s_STOP=%s\n' "$key" "$dir/$service.stop"
        printf '%s_PID_FILE=%s\n' "$key" "$dir/$service.pid"
    } >"$dir/$service.env"
}

# ---------------------------------------------------------------- PostgreSQL

postgres_bin() {
    local initdb
    initdb=$(command -v initdb || true)
    # Debian keeps each version's programs in a folder of their own; the newest is the last.
    [ -n "$initdb" ] || initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)
    [ -n "$initdb" ] || die "PostgreSQL is missing; run tests/services/install.sh postgres"
    dirname "$initdb"
}

postgres_scripts() {
    local data=$dir/postgres/data
    # The children of a server that was killed hold its memory for a moment, hence the attempts after such an end.
    # A start that fails may still have left a server, which the stop script has to find.
    write_script postgres.start <<END
attempts=1
if [ -e postgres/data/postmaster.pid ]; then attempts=50; fi
until ${postgres_as}$postgres_bin/pg_ctl -s -w -t 60 -D $(printf %q "$data") -l postgres/log -o '-p $1' start </dev/null >>postgres.out 2>&1; do
    attempts=\$((attempts - 1))
    [ \$attempts -gt 0 ] || break
    sleep 0.1
done
if [ -s postgres/data/postmaster.pid ]; then head -n 1 postgres/data/postmaster.pid >postgres.pid; fi
[ \$attempts -gt 0 ]
END
    # To PostgreSQL, INT is the fast shutdown; TERM would wait for the clients to leave.
    stop_script postgres INT "postgres -D $data "
}

start_postgres() {
    postgres_bin=$(postgres_bin)
    postgres_as=$(run_as postgres)
    make_home postgres "$postgres_as"
    cd "$dir"
    echo "$password" >"$dir/postgres/password"
    # shellcheck disable=SC2086
    $postgres_as "$postgres_bin/initdb" -D "$dir/postgres/data" --username="$user" \
        --pwfile="$dir/postgres/password" --auth=scram-sha-256 --locale=C.UTF-8 --encoding=UTF8 --no-sync >"$dir/postgres.out" 2>&1 ||
        { cat "$dir/postgres.out" >&2; die "initdb failed"; }
    # shellcheck disable=SC2086
    {
        echo "listen_addresses = '127.0.0.1'"
        echo "unix_socket_directories = '$dir/postgres'"
        echo "max_connections = 400"
        echo "timezone = 'UTC'"
        echo "log_timezone = 'UTC'"
        if [ $small = 1 ]; then
            echo "shared_buffers = 16MB"
            echo "min_wal_size = 32MB"
        else
            echo "shared_buffers = 256MB"
            echo "max_wal_size = 2GB"
        fi
        if [ "${TEST_FSYNC:-on}" = off ]; then
            echo "fsync = off"
            echo "synchronous_commit = off"
            echo "full_page_writes = off"
        fi
    } | $postgres_as tee -a "$dir/postgres/data/postgresql.conf" >/dev/null
    start_on_free_port postgres
    describe postgres "postgres://$user:$password@127.0.0.1:$(cat "$dir/postgres.port")/postgres"
}

# ---------------------------------------------------------------- MariaDB

mariadb_scripts() {
    # A server that dies while it starts ends the wait at once; a pid file left by a killed one means nothing.
    write_script mariadb.start <<END
rm -f mariadb/pid
setsid ${mariadb_as}mariadbd --defaults-file=$(printf %q "$dir")/mariadb/my.cnf --port=$1 </dev/null >>mariadb.out 2>&1 &
server=\$!
for _ in {1..1200}; do
    if ! kill -0 "\$server" 2>/dev/null; then exit 1; fi
    if [ -s mariadb/pid ] && mariadb-admin --no-defaults --socket=mariadb/socket ping >/dev/null 2>&1; then
        cat mariadb/pid >mariadb.pid
        exit 0
    fi
    sleep 0.05
done
kill -9 "\$server"
exit 1
END
    stop_script mariadb TERM " --defaults-file=$dir/mariadb/my.cnf "
}

start_mariadb() {
    command -v mariadbd >/dev/null || die "MariaDB is missing; run tests/services/install.sh mariadb"
    mariadb_as=$(run_as mysql)
    make_home mariadb "$mariadb_as"
    # shellcheck disable=SC2086
    $mariadb_as mkdir "$dir/mariadb/tmp"
    cd "$dir"
    # The file is read by the server's account, so it holds no secret; the user is made by the init file below.
    {
        echo "[mariadbd]"
        echo "datadir = $dir/mariadb/data"
        # A starting MariaDB removes the temporary tables it finds in tmpdir, in /tmp also those of its neighbours.
        echo "tmpdir = $dir/mariadb/tmp"
        echo "socket = $dir/mariadb/socket"
        echo "pid-file = $dir/mariadb/pid"
        echo "log-error = $dir/mariadb/log"
        echo "init-file = $dir/mariadb/users.sql"
        echo "bind-address = 127.0.0.1"
        echo "skip-name-resolve"
        echo "character-set-server = utf8mb4"
        echo "default-time-zone = +00:00"
        echo "max-connections = 400"
        if [ $small = 1 ]; then
            echo "innodb-buffer-pool-size = 16M"
            echo "innodb-log-file-size = 8M"
            echo "key-buffer-size = 1M"
            echo "aria-pagecache-buffer-size = 8M"
        else
            echo "innodb-buffer-pool-size = 256M"
        fi
        if [ "${TEST_FSYNC:-on}" = off ]; then
            echo "innodb-flush-log-at-trx-commit = 2"
            echo "innodb-flush-method = nosync"
        fi
    } >"$dir/mariadb/my.cnf"
    # Runs at every start, before the first connection is answered.
    for host in 127.0.0.1 localhost; do
        echo "CREATE USER IF NOT EXISTS '$user'@'$host' IDENTIFIED BY '$password';"
        echo "GRANT ALL PRIVILEGES ON *.* TO '$user'@'$host' WITH GRANT OPTION;"
    done >"$dir/mariadb/users.sql"
    # shellcheck disable=SC2086
    $mariadb_as mariadb-install-db --defaults-file="$dir/mariadb/my.cnf" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=socket >"$dir/mariadb.out" 2>&1 ||
        { cat "$dir/mariadb.out" "$dir/mariadb/log" >&2 || true; die "mariadb-install-db failed"; }
    start_on_free_port mariadb
    describe mariadb "mysql://$user:$password@127.0.0.1:$(cat "$dir/mariadb.port")/mysql"
}

# ---------------------------------------------------------------- Redis

redis_scripts() {
    write_script redis.start <<END
${redis_as}redis-server --bind 127.0.0.1 --port $1 --unixsocket $(printf %q "$dir")/redis/socket --save '' --appendonly no \\
    --dir $(printf %q "$dir")/redis --pidfile $(printf %q "$dir")/redis/pid --logfile $(printf %q "$dir")/redis/log --daemonize yes </dev/null
for _ in {1..200}; do
    if [ "\$(redis-cli -s redis/socket ping 2>/dev/null)" = PONG ]; then
        cat redis/pid >redis.pid
        exit 0
    fi
    sleep 0.05
done
exit 1
END
    # Redis shows its address in place of its arguments.
    stop_script redis TERM "redis-server 127.0.0.1:$1 "
}

start_redis() {
    command -v redis-server >/dev/null || die "Redis is missing; run tests/services/install.sh redis"
    redis_as=$(run_as redis)
    make_home redis "$redis_as"
    start_on_free_port redis
    describe redis "redis://127.0.0.1:$(cat "$dir/redis.port")/0"
}

# ---------------------------------------------------------------- all of them

started=$SECONDS
jobs=()
# Whoever interrupts the start, or a server that fails to, leaves nothing behind.
undo() {
    local status=$?
    [ $status -eq 0 ] && return
    trap '' INT TERM HUP
    wait "${jobs[@]}" 2>/dev/null || true
    "$here/stop.sh" ${name:+--name "$name"} "$root" || true
}
trap undo EXIT
trap 'exit 130' INT TERM HUP

for service in "${services[@]}"; do
    "start_$service" &
    jobs+=($!)
done
failed=0
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
[ $failed = 0 ] || die "not every server started"

{
    printf '%sDIR=%s\n' "$prefix" "$dir"
    for service in "${services[@]}"; do cat "$dir/$service.env"; done
} >"$dir/env.new"
for service in "${services[@]}"; do rm "$dir/$service.env" "$dir/$service.out"; done
# Whoever waits for the file finds it whole.
mv "$dir/env.new" "$dir/env"

for service in "${services[@]}"; do
    say "$service${name:+ ($name)} on port $(cat "$dir/$service.port"), pid $(cat "$dir/$service.pid")"
done
say "ready in $((SECONDS - started)) s, described in $dir/env"

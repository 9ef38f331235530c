// The databases that are measured on: made, copied, and how much CPU they take.

import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { cpuOf, folder, stat } from './processes.mjs';

export function sqlite() {
    const path = (name) => join(folder, `${name}.sqlite`);
    const remove = (name) => ['', '-wal', '-shm'].forEach((end) => rmSync(path(name) + end, { force: true }));
    return {
        name: 'sqlite',
        url: (name) => `sqlite:${path(name)}`,
        make: async (name) => remove(name),
        copy: async (from, to) => {
            remove(to);
            copyFileSync(path(from), path(to));
        },
        settle: async () => {},
        cpu: () => 0,
    };
}

export function postgres() {
    const server = process.env.TEST_POSTGRES_URL;
    const postmaster = readFileSync(process.env.TEST_POSTGRES_PID_FILE, 'utf8').trim();
    const sql = (text) => execFileSync('psql', ['-qAt', '-v', 'ON_ERROR_STOP=1', server, '-c', text], {
        env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' },
    });
    const drop = (name) => sql(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    return {
        name: 'postgres',
        url: (name) => server.replace(/\/postgres$/, `/${name}`),
        make: async (name) => {
            drop(name);
            sql(`CREATE DATABASE "${name}"`);
        },
        copy: async (from, to) => {
            drop(to);
            sql(`CREATE DATABASE "${to}" TEMPLATE "${from}"`);
        },
        // Copying leaves work behind, which would fall into the first measurement.
        settle: async () => sql('CHECKPOINT'),
        // CPU time of the processes that serve this database.
        cpu: (name) => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid)).reduce((sum, pid) => {
            try {
                const isBackend = stat(pid)[1] === postmaster
                    && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(' ')[2] === name;
                return isBackend ? sum + cpuOf({ pid }) : sum;
            } catch {
                // It has ended meanwhile.
                return sum;
            }
        }, 0),
    };
}

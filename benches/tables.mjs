// What was measured, added up and written as tables.

import { cpus } from 'node:os';

export const newTally = () => ({ requests: 0, microseconds: 0, cpu: 0, databaseCpu: 0, latency: new Map() });

export function tally(sum, result, cpu, databaseCpu) {
    sum.requests += result.requests;
    sum.microseconds += result.microseconds;
    sum.cpu += cpu;
    sum.databaseCpu += databaseCpu;
    for (const [value, times] of result.latency) sum.latency.set(value, (sum.latency.get(value) ?? 0) + times);
}

function percentile(latency, share) {
    const values = [...latency].sort(([a], [b]) => a - b);
    let left = share * values.reduce((sum, [, times]) => sum + times, 0);
    for (const [value, times] of values) {
        left -= times;
        if (left <= 0) return value;
    }
    return NaN;
}

function figures(cell, kind) {
    const sum = cell[kind];
    return {
        rate: (sum.requests * 1e6) / sum.microseconds,
        p50: percentile(sum.latency, 0.5),
        p99: percentile(sum.latency, 0.99),
        cpu: sum.cpu / sum.requests,
        databaseCpu: sum.databaseCpu / sum.requests,
    };
}

export function line(cell) {
    const [ours, limits] = [figures(cell, 'server'), figures(cell, 'limit')];
    return `${cell.shape.name} c=${cell.concurrency}: ${Math.round(ours.rate)}/s, CPU ${ours.cpu.toFixed(1)} us, `
        + `limit ${Math.round(limits.rate)}/s, CPU ${limits.cpu.toFixed(1)} us, ratio ${(ours.cpu / limits.cpu).toFixed(2)}`;
}

const round = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
const milliseconds = (microseconds) => (microseconds / 1000).toFixed(microseconds < 10_000 ? 2 : 1);

const heads = ['request', 'conn.', 'req/s', 'limit', 'p50 ms', 'limit', 'p99 ms', 'limit', 'CPU us', 'limit', 'ratio',
    'DB us', 'limit', 'both', 'statements'];

function tableOf({ name, cells }) {
    return cells.map((cell) => {
        const [ours, limits] = [figures(cell, 'server'), figures(cell, 'limit')];
        const hasDatabase = name !== 'sqlite';
        return [
            `${cell.shape.name} ${cell.shape.title}`, String(cell.concurrency),
            ours.rate.toFixed(0), limits.rate.toFixed(0),
            milliseconds(ours.p50), milliseconds(limits.p50), milliseconds(ours.p99), milliseconds(limits.p99),
            round(ours.cpu), round(limits.cpu), (ours.cpu / limits.cpu).toFixed(2),
            hasDatabase ? round(ours.databaseCpu) : '-', hasDatabase ? round(limits.databaseCpu) : '-',
            hasDatabase ? ((ours.cpu + ours.databaseCpu) / (limits.cpu + limits.databaseCpu)).toFixed(2) : '-',
            String(cell.statements),
        ];
    });
}

const rightsHeads = ['request', 'conn.', 'req/s', 'admin', 'rate', 'CPU us', 'admin', 'DB us', 'admin', 'CPU share'];

// How the figures of the reader stand to those of the administrator: of requests per second, and of CPU per request (both sides).
export function rightsOf(cell) {
    const [reader, admin] = [figures(cell, 'reader'), figures(cell, 'admin')];
    return [
        `${cell.shape.name} ${cell.shape.title}`, String(cell.concurrency),
        reader.rate.toFixed(0), admin.rate.toFixed(0), (reader.rate / admin.rate).toFixed(2),
        round(reader.cpu), round(admin.cpu), round(reader.databaseCpu), round(admin.databaseCpu),
        ((admin.cpu + admin.databaseCpu) / (reader.cpu + reader.databaseCpu)).toFixed(2),
    ];
}

const doorsTitle = 'The nested read over GraphQL, with a document that was sent before and with a new one, against REST:';
const doorsHeads = ['conn.', 'REST CPU us', 'sent before', 'new', 'sent before / REST', 'new / REST'];

export function doorsOf(cell) {
    const [rest, cached, fresh] = ['rest', 'cached', 'fresh'].map((door) => figures(cell, door).cpu);
    return [
        String(cell.concurrency), round(rest), round(cached), round(fresh),
        (cached / rest).toFixed(2), (fresh / rest).toFixed(2),
    ];
}

const modelTitle = 'GraphQL over a model of a few collections and over one of 100, to an administrator and to readers with other rights:';
const modelHeads = ['collections', 'SDL kB', 'first answer ms', 'first answer to another ms', 'schema MB', 'REST CPU us', 'GraphQL CPU us',
    'new document CPU us'];

function modelOf(sizes) {
    return sizes.map((size) => [
        String(size.collections), size.sdl.toFixed(0), size.first.toFixed(1), size.other.toFixed(1), size.memory.toFixed(1),
        ...['rest', 'cached', 'fresh'].map((door) => round(figures(size, door).cpu)),
    ]);
}

function remarks({ cells, idle, peak, startTimes }) {
    const size = ({ anonymous, resident }) => `${anonymous.toFixed(1)} MB anonymous, ${resident.toFixed(1)} MB resident`;
    const different = [...new Set(cells.filter((cell) => !cell.identical).map((cell) => cell.shape.name))];
    return [
        `Memory idle: ${size(idle.server)} (limit: ${size(idle.limit)}).`,
        `Memory under load, at most: ${size(peak.server)} (limit: ${size(peak.limit)}).`,
        `Start to first answer, 62 collections, warm database: median ${startTimes[Math.floor(startTimes.length / 2)].toFixed(0)} ms `
            + `of ${startTimes.length} (${startTimes[0].toFixed(0)} to ${startTimes.at(-1).toFixed(0)} ms).`,
        different.length
            ? `Answers of both servers: equal byte for byte, but for ${different.join(', ')}, where they are equal as JSON.`
            : 'Answers of both servers: equal byte for byte (new keys aside).',
    ];
}

const titles = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

function aligned(rows) {
    const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    return rows.map((row) => row.map((cell, column) =>
        (column ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ')).join('\n');
}

export function print(part) {
    const doors = part.doors.length ? `${doorsTitle}\n\n${aligned([doorsHeads, ...part.doors.map(doorsOf)])}\n\n` : '';
    const model = part.model ? `${modelTitle}\n\n${aligned([modelHeads, ...modelOf(part.model)])}\n\n` : '';
    const rights = part.rights.length ? `${rightsTitle}\n\n${aligned([rightsHeads, ...part.rights.map(rightsOf)])}\n` : '';
    const table = aligned([heads, ...tableOf(part)]);
    console.log(`\n${titles[part.name]}\n\n${table}\n\n${remarks(part).join('\n')}\n\n${doors}${model}${rights}`);
}

const rightsTitle = 'A reader with a row filter, a field list and two policies, against the administrator:';

export function markdown(report, seconds) {
    const grid = ([head, ...rows]) => [head, head.map((_, column) => (column ? '---:' : '---')), ...rows]
        .map((row) => `| ${row.join(' | ')} |`).join('\n');
    const table = (part) => grid([heads, ...tableOf(part)]);
    const rights = (part) => (part.rights.length
        ? `\n${rightsTitle}\n\n${grid([rightsHeads, ...part.rights.map(rightsOf)])}\n` : '');
    const doors = (part) => (part.doors.length
        ? `\n${doorsTitle}\n\n${grid([doorsHeads, ...part.doors.map(doorsOf)])}\n` : '');
    const model = (part) => (part.model ? `\n${modelTitle}\n\n${grid([modelHeads, ...modelOf(part.model)])}\n` : '');
    const machine = `${cpus().length} cores (${cpus()[0].model})`;
    return `Measured on ${machine}, ${seconds} s per line and server.\n\n${report.map((part) =>
        `## ${titles[part.name]}\n\n${table(part)}\n\n${remarks(part).map((text) => `- ${text}`).join('\n')}\n${doors(part)}${model(part)}${rights(part)}`).join('\n')}`;
}

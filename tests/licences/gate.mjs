/**
 * Refuses dependencies whose licence does not go with ours (MIT OR Apache-2.0).
 *
 * Looks at every package of the lock file, those for tests and for other systems included, because they may
 * become part of the binary with one line of a manifest. A licence that is not listed is refused, so a new one is
 * a decision and not an accident.
 */
import { execFileSync } from "node:child_process";
import { satisfies } from "./spdx.mjs";

const allowed = new Set([
  "0BSD",
  "Apache-2.0",
  "Apache-2.0 WITH LLVM-exception",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BSL-1.0",
  "CC0-1.0",
  "CDLA-Permissive-2.0",
  "ISC",
  "MIT",
  "MIT-0",
  // Asks for the source of its own files only, and those are published unchanged.
  "MPL-2.0",
  "OpenSSL",
  "Unicode-3.0",
  "Unicode-DFS-2016",
  "Unlicense",
  "Zlib",
]);

const metadata = JSON.parse(
  execFileSync("cargo", ["metadata", "--format-version", "1", "--locked"], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
  }),
);

const findings = [];
const counts = new Map();
const own = new Set(metadata.workspace_members);
for (const item of metadata.packages) {
  if (own.has(item.id)) continue;
  const expression = item.license;
  const label = `${item.name} ${item.version}`;
  if (!expression) {
    findings.push(`${label}: declares no licence (licence file: ${item.license_file ?? "none"})`);
    continue;
  }
  try {
    if (!satisfies(expression, (licence) => allowed.has(licence))) findings.push(`${label}: ${expression}`);
  } catch (error) {
    findings.push(`${label}: ${error.message}`);
  }
  counts.set(expression, (counts.get(expression) ?? 0) + 1);
}

if (findings.length > 0) {
  console.error("Dependencies with a licence that is not allowed:");
  for (const finding of findings.sort()) console.error(`  ${finding}`);
  process.exit(1);
}
const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
console.log(`${total} dependencies, ${counts.size} licence expressions, all allowed`);

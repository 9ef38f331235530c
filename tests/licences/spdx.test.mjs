import assert from "node:assert/strict";
import { test } from "node:test";
import { satisfies } from "./spdx.mjs";

const allowed = new Set(["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"]);

function check(expression, expected) {
  test(`${expression} is ${expected ? "allowed" : "refused"}`, () => {
    assert.equal(satisfies(expression, (licence) => allowed.has(licence)), expected);
  });
}

function checkUnreadable(expression) {
  test(`"${expression}" cannot be read`, () => {
    assert.throws(() => satisfies(expression, () => true), /cannot read/);
  });
}

check("MIT", true);
check("GPL-3.0-only", false);
check("MIT OR GPL-3.0-only", true);
check("GPL-3.0-only OR MIT", true);
check("MIT AND GPL-3.0-only", false);
check("GPL-2.0/MIT", true);
check("MIT OR GPL-3.0 AND AGPL-3.0", true);
check("(MIT OR GPL-3.0) AND AGPL-3.0", false);
check("(MIT OR GPL-3.0) AND (ISC OR AGPL-3.0)", true);
check("Apache-2.0 WITH LLVM-exception", true);
check("GPL-2.0 WITH LLVM-exception", false);
check("MIT or Apache-2.0", true);

checkUnreadable("");
checkUnreadable("MIT OR");
checkUnreadable("(MIT");
checkUnreadable("MIT Apache-2.0");
checkUnreadable("MIT)");

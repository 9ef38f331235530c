/**
 * Evaluates licence expressions as crates declare them: names joined by AND, OR and WITH, with parentheses. The old
 * form `MIT/Apache-2.0` means OR.
 */

/**
 * Tells whether the whole expression can be satisfied with allowed licences only.
 *
 * `isAllowed` is asked for each licence, `A WITH B` being one licence. Throws when the expression cannot be read.
 */
export function satisfies(expression, isAllowed) {
  const tokens = expression.match(/[()/]|[^\s()/]+/g) ?? [];
  let position = 0;
  const peek = () => tokens[position]?.toUpperCase();
  const fail = () => {
    throw new Error(`cannot read the licence expression "${expression}"`);
  };

  function either() {
    let result = both();
    while (peek() === "OR" || peek() === "/") {
      position++;
      // Both sides are read before they are joined: `||` would skip the tokens of the second.
      const right = both();
      result = result || right;
    }
    return result;
  }

  function both() {
    let result = single();
    while (peek() === "AND") {
      position++;
      const right = single();
      result = result && right;
    }
    return result;
  }

  function single() {
    if (peek() === "(") {
      position++;
      const result = either();
      if (tokens[position++] !== ")") fail();
      return result;
    }
    let licence = name();
    if (peek() === "WITH") {
      position++;
      licence += ` WITH ${name()}`;
    }
    return isAllowed(licence);
  }

  function name() {
    const token = tokens[position++];
    if (token === undefined || /^([()/]|AND|OR|WITH)$/i.test(token)) fail();
    return token;
  }

  const result = either();
  if (position !== tokens.length) fail();
  return result;
}

/* Array expressions, as NumPy would read them: text to tree, tree to number, tree to text.
 *
 * `read` knows + - * / ** and > >= < <=, parentheses, numbers, the names that it is given, and the functions below. A sum or
 * mean keeps its axis with size 1, so that the result stretches back over what was summed. A tree is a name, a number or
 * {op, inputs, constants}; the engine's table computes each op. Only `witness.js` changes trees. */

import { ExpressionError, OPS, shapeOf, tensor } from "../engine.js";

const LONGEST = 300;
const FUNCTIONS = { sum: "sum", mean: "mean", where: "where", step: "step", maximum: "maximum", exp: "exp", log: "log", sqrt: "sqrt", abs: "abs" };
const ARITY = { where: 3, maximum: 2 };
const OPERATORS = { "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power" };
const SIGNS = Object.fromEntries(Object.entries(OPERATORS).map(([sign, op]) => [op, sign]));
const MASKS = { ">": (d) => d > 0, ">=": (d) => d >= 0, "<": (d) => d < 0, "<=": (d) => d <= 0 };

export const node = (op, inputs, constants = {}) => ({ op, inputs, constants });
export const isOp = (tree, ...ops) => typeof tree === "object" && ops.includes(tree.op);

// ---- Text to tree --------------------------------------------------------------------------------------------------------

function tokenise(text) {
  const tokens = [];
  const pattern = /\s+|(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>(?:np\.)?[A-Za-z_]\w*)|(?<sign>\*\*|>=|<=|[-+*/(),=<>])/y;
  const plain = text.replace(/[−–]/g, "-").replace(/[×·]/g, "*").replace(/÷/g, "/");
  while (pattern.lastIndex < plain.length) {
    const position = pattern.lastIndex;
    const match = pattern.exec(plain);
    if (match === null) {
      const sign = text[position];
      if (sign === "^") throw new ExpressionError("Write powers with **: s**2 is s squared.", position);
      if (sign === "@") throw new ExpressionError("No products of matrices are needed here: * multiplies entry by entry.", position);
      if ("[]{}".includes(sign)) throw new ExpressionError("Use the names of the kept values alone, and round parentheses.", position);
      throw new ExpressionError(`"${sign}" has no meaning here. Use + - * / ** and parentheses.`, position);
    }
    const { number, name, sign } = match.groups;
    const kind = number ? "number" : name ? "name" : sign ? "sign" : null;
    if (kind) tokens.push({ kind, text: match[0].replace(/^np\./, ""), position });
  }
  tokens.push({ kind: "end", text: "", position: plain.trimEnd().length });
  return tokens;
}

/** A tree from typed text; `names` are the values that it may use. Throws ExpressionError. */
export function read(text, names) {
  if (text.trim() === "") throw new ExpressionError(`Write an expression of ${names.join(", ")}.`, 0);
  if (text.length > LONGEST) throw new ExpressionError(`The line has ${text.length} characters; at most ${LONGEST} are read.`, LONGEST);
  const tokens = tokenise(text);
  let next = 0;
  const is = (...signs) => tokens[next].kind === "sign" && signs.includes(tokens[next].text);
  const fail = (message, token = tokens[next]) => {
    throw new ExpressionError(message, token.position, Math.max(1, token.text.length));
  };

  function comparison() {
    const left = sum();
    if (!is(...Object.keys(MASKS))) return left;
    const sign = tokens[next++].text;
    return node(sign, [left, sum()]);
  }

  function chain(operand, ...signs) {
    let left = operand();
    while (is(...signs)) {
      const sign = tokens[next++].text;
      left = node(OPERATORS[sign], [left, operand()]);
    }
    return left;
  }
  const sum = () => chain(product, "+", "-");
  const product = () => chain(unary, "*", "/");

  function unary() {
    if (is("+")) return next++, unary();
    if (!is("-")) return raised();
    next++;
    return node("negate", [unary()]);
  }

  function raised() {
    const base = atom();
    if (!is("**")) return base;
    next++;
    return node("power", [base, unary()]);
  }

  function atom() {
    const token = tokens[next++];
    if (token.kind === "number") return Number(token.text);
    if (token.kind === "name") {
      if (names.includes(token.text)) return token.text;
      if (Object.hasOwn(FUNCTIONS, token.text)) return call(token);
      fail(`"${token.text}" is not known here. There are ${names.join(", ")}, and ${Object.keys(FUNCTIONS).join(", ")}.`, token);
    }
    if (token.text === "(") {
      const inside = comparison();
      close(token);
      return inside;
    }
    if (token.kind === "end") fail("The line stops too early: a value is missing at its end.", tokens[next - 2] ?? token);
    return fail(`A value is missing before "${token.text}".`, token);
  }

  function close(open) {
    if (is(")")) return next++;
    return tokens[next].kind === "end" ? fail('A closing parenthesis ")" is missing for this one.', open) : fail(`An operator is missing before "${tokens[next].text}". A product needs its sign: g * x.`);
  }

  function call(token) {
    const open = tokens[next];
    if (!is("(")) fail(`Put the argument of ${token.text} in parentheses: ${token.text}(${names[0]}).`, token);
    next++;
    const reduces = ["sum", "mean"].includes(token.text);
    const inputs = [comparison()];
    let axis = null;
    while (is(",")) {
      next++;
      if (reduces) axis = option(axis);
      else inputs.push(comparison());
    }
    close(open);
    if (reduces) return node(token.text, inputs, { axis, keepdims: true });
    const arity = ARITY[token.text] ?? 1;
    if (inputs.length !== arity) fail(`${token.text} takes ${arity} value${arity > 1 ? "s" : ""}; here ${inputs.length === 1 ? "is one" : `are ${inputs.length}`}.`, token);
    return token.text === "step" ? node(">", [inputs[0], 0]) : node(FUNCTIONS[token.text], inputs);
  }

  /** What follows the operand of a sum: 1, axis=1, or keepdims=True, which goes without saying. */
  function option(axis) {
    const named = tokens[next + 1]?.text === "=" ? tokens[next] : null;
    if (named) next += 2;
    if (named?.text === "keepdims") {
      if (tokens[next].text !== "True") fail("Here a sum keeps its axis, with size 1: keepdims=True.");
      next++;
      return axis;
    }
    if (named && named.text !== "axis") fail(`A sum has an axis and keepdims, and no "${named.text}".`, named);
    const minus = is("-");
    if (minus) next++;
    const found = Number(tokens[next].text) - 2 * minus * Number(tokens[next].text);
    if (tokens[next].kind !== "number" || ![-2, -1, 0, 1].includes(found)) fail("The axis is 1, to add up each row, or 0, to add up each column.");
    next++;
    return found < 0 ? found + 2 : found;
  }

  const tree = comparison();
  if (is(")")) fail('This ")" closes nothing.');
  if (is("=")) fail('Write the gradient alone, without "=".');
  if (is(",")) fail("A comma separates the values of a function. For a decimal number write a point: 2.5.");
  if (tokens[next].kind !== "end") fail(`An operator is missing before "${tokens[next].text}". A product needs its sign: g * x.`);
  return tree;
}

// ---- Tree to number ------------------------------------------------------------------------------------------------------

/** The value of a tree, where `known` maps names to arrays. Raises where shapes do not broadcast. */
export function value(tree, known) {
  if (typeof tree === "number") return tree;
  if (typeof tree === "string") return known[tree];
  const inputs = tree.inputs.map((input) => value(input, known));
  if (!(tree.op in MASKS)) return OPS[tree.op].forward(inputs, tree.constants);
  const difference = OPS.subtract.forward(inputs, {});
  const mask = (d) => Number(MASKS[tree.op](d));
  return typeof difference === "number" ? mask(difference) : tensor(shapeOf(difference), difference.data.map(mask));
}

// ---- Tree to text --------------------------------------------------------------------------------------------------------

const LEVEL = { add: 1, subtract: 1, multiply: 2, divide: 2, negate: 3, power: 4 };

/** The tree as it would be typed, in parentheses if it binds less tightly than `least`. */
export function written(tree, least = 0) {
  if (typeof tree !== "object") return String(tree);
  const [a, b] = tree.inputs;
  const level = tree.op in MASKS ? 0 : (LEVEL[tree.op] ?? 5);
  const text = {
    0: () => `${written(a, 1)} ${tree.op} ${written(b, 1)}`,
    1: () => `${written(a, 1)} ${SIGNS[tree.op]} ${written(b, 2)}`,
    2: () => `${written(a, 2)} ${SIGNS[tree.op]} ${written(b, 3)}`,
    3: () => `-${written(a, 3)}`,
    4: () => `${written(a, 5)}**${written(b, 3)}`,
    5: () => `${tree.op}(${[...tree.inputs.map((input) => written(input)), ...(tree.constants.axis ?? null) === null ? [] : [tree.constants.axis]].join(", ")})`,
  }[level]();
  return level < least ? `(${text})` : text;
}

/** Every op of a tree, inner ones first. */
export const opsOf = (tree) => (typeof tree === "object" ? [...tree.inputs.flatMap(opsOf), tree] : []);

/** The names that a tree uses. */
export const namesOf = (tree) => [...new Set(typeof tree === "string" ? [tree] : typeof tree === "object" ? tree.inputs.flatMap(namesOf) : [])];

/** The tree with one of its parts changed: `change(part)` returns what stands there instead, or undefined. */
export function changed(tree, change) {
  const found = change(tree);
  if (found !== undefined) return found;
  return typeof tree === "object" ? { ...tree, inputs: tree.inputs.map((input) => changed(input, change)) } : tree;
}

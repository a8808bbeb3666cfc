/* The witness of the lab: slopes by difference quotients, and the search for the mistake.
 *
 * It goes the way of `minigrad.checker` and `minigrad.mistakes`. The forward is run on both sides of every entry, the outputs
 * weighed by g; the reader's line is evaluated for the same g. Where they differ, one part of the line after the other is
 * changed (another axis, a factor more, x inside the sum): a change that makes it right, at two points and for two
 * g, is the explanation. Mistakes have the names that they have in Python. Nothing here knows a derivative. */

import { shapeOf, tensor } from "../engine.js";
import { generator, normal } from "../live_mlp/data.js";
import { changed, isOp, namesOf, node, opsOf, read, value, written } from "./expressions.js";
import { CASES } from "./ops.js";

const STEP = 1e-6;
const ROUNDING = 20 * Number.EPSILON;
const AXES = [0, 1];

const sameShape = (a, b) => String(shapeOf(a)) === String(shapeOf(b));
const numbers = (array) => (typeof array === "number" ? [array] : Array.from(array.data));
const equal = (a, b) => sameShape(a, b) && numbers(a).every((x, k) => Object.is(x, numbers(b)[k]) || x === numbers(b)[k]);
const scaled = (factor, array) => (typeof array === "number" ? factor * array : tensor(array.shape, array.data.map((x) => factor * x)));
const near = (a, b, allowed) => Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= allowed;

/** What the reader may use: the inputs, what forward keeps, the output y, the incoming gradient g. */
export const namesIn = (op) => [...Object.keys(CASES[op].inputs), ...Object.keys(CASES[op].forward), "g"];

const forwards = Object.fromEntries(
  Object.entries(CASES).map(([op, { inputs, forward }]) => {
    const names = Object.keys(inputs);
    return [op, Object.entries(forward).map(([name, line]) => [name, read(line, [...names, ...Object.keys(forward)])])];
  }),
);

/** Every value by its name. */
function run(op, inputs) {
  const known = { ...inputs };
  for (const [name, tree] of forwards[op]) known[name] = value(tree, known);
  return known;
}

/** The op, its inputs and a g: the true slopes of Σ g ∘ y, how much of them may be rounding, and the sides of kinks. */
export class Trial {
  constructor(op, inputs, weights) {
    [this.op, this.inputs, this.order] = [op, inputs, Object.keys(inputs)];
    this.known = run(op, inputs);
    this.g = weights(shapeOf(this.known.y));
    const entries = (name, f) => Array.from(inputs[name].data, (_, k) => f(name, k));
    [this.slopes, this.noise, this.sides] = [{}, {}, {}];
    for (const name of this.order) {
      const found = entries(name, (n, k) => this.slope(n, k, -1, 1));
      [this.slopes[name], this.noise[name]] = [found.map(([slope]) => slope), found.map(([, noise]) => noise)];
      this.largest = Math.max(...this.slopes[name].map(Math.abs), 0);
      this.sides[name] = entries(name, (n, k) => this.kink(n, k));
    }
  }

  /** Entry k of an input, moved by some steps, and what g ∘ y is there. */
  heights(name, k, steps) {
    const data = Float64Array.from(this.inputs[name].data);
    data[k] += steps * STEP * Math.sqrt(Math.max(1, Math.abs(data[k])));
    const { y } = run(this.op, { ...this.inputs, [name]: tensor(this.inputs[name].shape, data) });
    return [data[k], y.data.map((one, n) => this.g.data[n] * one)];
  }

  slope(name, k, left, right) {
    const [[start, a], [end, b]] = [this.heights(name, k, left), this.heights(name, k, right)];
    let [rise, size] = [0, 0];
    a.forEach((low, n) => {
      if (low === b[n]) return;
      rise += b[n] - low;
      size += Math.max(Math.abs(low), Math.abs(b[n]));
    });
    return [rise / (end - start), (ROUNDING * size) / Math.abs(end - start)];
  }

  /** The lowest and highest slope beside a kink, or null where there is none. */
  kink(name, k) {
    const [left, right, ...closer] = [-1, 1, -0.1, 0.1].map((steps) => this.slope(name, k, 0, steps)[0]);
    const smooth = Math.abs(Math.abs(closer[1] - closer[0]) / Math.abs(right - left) - 0.1) < 0.05;
    if (smooth || this.close(left, right, 2 * this.noise[name][k])) return null;
    return [Math.min(...closer), Math.max(...closer)];
  }

  close(a, b, noise) {
    return near(a, b, 1e-5 * Math.min(Math.abs(a), Math.abs(b)) + 1e-8 * this.largest + noise + 1e-12);
  }

  /** The entries of a gradient: are they right? */
  judged(name, gradient) {
    return Array.from(gradient.data, (x, k) => {
      if (this.close(x, this.slopes[name][k], this.noise[name][k])) return true;
      const sides = this.sides[name][k];
      return sides !== null && sides[0] - 1e-6 <= x && x <= sides[1] + 1e-6;
    });
  }

  fits = (name, gradient) => sameShape(gradient, this.inputs[name]);
  agrees = (name, gradient) => this.fits(name, gradient) && this.judged(name, gradient).every(Boolean);

  /** A reader's line, perhaps with a changed g. */
  gradient = (tree, g = this.g) => value(tree, { ...this.known, g });
}

// ---- Weights ---------------------------------------------------------------------------------------------------------------

export const ones = (shape) => tensor(shape, new Array(shape.reduce((a, b) => a * b, 1)).fill(1));
export const first = (shape) => tensor(shape, ones(shape).data.map((_, k) => Number(k === 0)));
export const drawn = (draw) => (shape) => {
  const random = generator(draw + 1);
  return tensor(shape, ones(shape).data.map(() => normal(random)));
};

const inputsOf = (op) => Object.fromEntries(Object.entries(CASES[op].inputs).map(([name, data]) => [name, tensor(CASES[op].shape, data)]));

/** The same signs, other numbers. */
function nearby(inputs, draw) {
  const random = generator(draw + 1000);
  return Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, tensor(x.shape, x.data.map((one) => one * (0.7 + 0.25 * random())))]));
}

// ---- The check -------------------------------------------------------------------------------------------------------------

/**
 * Lines against slopes, for weights "random", "ones" or "first" (of the first output alone):
 * {trial, inputs: [{name, shape, got, slopes, right, kinks, truly, mistake, detail}]}. `got` is null where the shape is wrong,
 * `right` says which entries agree for these weights, `truly` whether all agree for random ones.
 */
export function check(op, trees, weights, draw) {
  const inputs = inputsOf(op);
  const trial = new Trial(op, inputs, { ones, first, random: drawn(draw) }[weights]);
  const found = trial.order.map((name, i) => {
    const gradient = trial.gradient(trees[i]);
    const fits = trial.fits(name, gradient);
    const right = fits ? trial.judged(name, gradient) : [];
    return { name, shape: shapeOf(gradient), got: fits ? gradient.data : null, slopes: trial.slopes[name], right, kinks: trial.sides[name].map((sides) => sides !== null) };
  });
  // The search always weighs at random: other weights would call too much right.
  const trials = [weights === "random" ? trial : new Trial(op, inputs, drawn(draw)), new Trial(op, nearby(inputs, draw), drawn(draw + 1))];
  found.forEach((input, i) => {
    input.truly = trials[0].agrees(input.name, trials[0].gradient(trees[i]));
    if (!input.truly) Object.assign(input, diagnose(trials, trees, i));
  });
  return { trial, inputs: found };
}

/** {mistake, detail}: the first explanation that holds in all trials; null where none does. */
export function diagnose(trials, trees, i) {
  const name = trials[0].order[i];
  const holds = (trial, test) => {
    try {
      const result = test(trial);
      return typeof result === "boolean" ? result : trial.agrees(name, result);
    } catch {
      return false; // a change that the shapes forbid
    }
  };
  for (const [mistake, detail, test] of explanations(trials, trees, i)) {
    if (!trials.every((trial) => holds(trial, test))) continue;
    const details = trials.map((trial) => (typeof detail === "function" ? detail(trial) : detail));
    if (new Set(details).size === 1) return { mistake, detail: details[0] };
  }
  return { mistake: null, detail: "" };
}

/** Yields [name, detail, test]; a test returns a repaired gradient, or true or false. Specific ones come first. */
function* explanations(trials, trees, i) {
  const tree = trees[i];
  const name = trials[0].order[i];
  const got = (t) => t.gradient(tree);
  const times = (t, factor) => t.gradient(tree, scaled(factor, t.g));
  const compared = (t) => numbers(got(t)).map((x, k) => [x, t.slopes[name][k], t.sides[name][k] !== null]).filter(([, , kink]) => !kink);
  const factor = (t) => {
    const [both, square] = compared(t).reduce(([p, q], [x, slope]) => [p + x * slope, q + slope * slope], [0, 0]);
    return both / square;
  };
  const wrong = (t) => t.judged(name, got(t)).map((right, k) => !right && t.sides[name][k] === null);
  const roughly = (a, b) => near(a, b, 1e-8 + 1e-5 * Math.abs(b));
  yield ["nan", "", (t) => !numbers(got(t)).every(Number.isFinite)];
  yield ["zero-everywhere", "", (t) => numbers(got(t)).every((x) => x === 0)];
  yield ["ignores-the-incoming-gradient", "", (t) => equal(times(t, -2), got(t))];
  for (const [j, other] of trials[0].order.entries()) {
    if (j !== i) yield ["wrong-order", other, (t) => !t.agrees(other, t.gradient(trees[j])) && t.agrees(name, t.gradient(trees[j]))];
  }
  yield ["sign", "", (t) => scaled(-1, got(t))];
  yield ["not-linear", "", (t) => !numbers(times(t, 2)).every((x, k) => roughly(2 * numbers(got(t))[k], x))];
  if (trials[0].fits(name, got(trials[0]))) {
    yield ["constant-factor", (t) => String(Number(factor(t).toPrecision(4))), (t) => scaled(1 / factor(t), got(t))];
    const ranked = (list) => list.toSorted((a, b) => a - b);
    yield ["misplaced", "", (t) => {
      const slopes = ranked(compared(t).map(([, slope]) => slope));
      return ranked(compared(t).map(([x]) => x)).every((x, k) => roughly(x, slopes[k]));
    }];
    const x = (t) => Array.from(t.inputs[name].data);
    yield ["forgotten-entries", "", (t) => {
      const list = wrong(t);
      const oneSide = [(v) => v < 0, (v) => v > 0].some((side) => x(t).every((v, k) => side(v) === list[k]));
      return !(got(t).data.some((v, k) => list[k] && v !== 0) || (oneSide && list.filter(Boolean).length > 1));
    }];
  }
  yield* changes(tree, trials[0]);
  yield ["not-linear", "", (t) => !numbers(times(t, -1)).every((x, k) => roughly(-numbers(got(t))[k], x))];
  yield ["only-right-for-ones", "", (t) => {
    const sum = new Trial(t.op, t.inputs, ones);
    return sum.agrees(name, sum.gradient(tree));
  }];
  for (const [sign, side] of [["negative", (v) => v < 0], ["positive", (v) => v > 0]]) {
    yield [`wrong-where-${sign}`, "", (t) => {
      const [list, where] = [wrong(t), Array.from(t.inputs[name].data, side)];
      return list.every((bad, k) => !bad || where[k]) && 2 * list.filter(Boolean).length > where.filter(Boolean).length && !where.every(Boolean);
    }];
  }
}

// ---- One part of the line is changed ----------------------------------------------------------------------------------------

const mul = (a, b) => node("multiply", [a, b]);
const div = (a, b) => node("divide", [a, b]);
const not = (mask) => node("where", [node("<=", [mask, 0]), 1, 0]);
const isMask = (tree) => isOp(tree, ">", ">=", "<", "<=", "where");

/** op -> [name of the mistake, what to do, what stands there instead]. */
const REWRITES = {
  add: [
    ["sign-of-a-term", (a, b) => `subtract ${b}`, (a, b) => node("subtract", [a, b])],
    ["sign-of-a-term", (a) => `subtract ${a}`, (a, b) => node("subtract", [b, a])],
    ["extra-term", (a, b) => `leave out ${b}`, (a) => a],
    ["extra-term", (a) => `leave out ${a}`, (a, b) => b],
  ],
  subtract: [
    ["sign-of-a-term", (a, b) => `add ${b}`, (a, b) => node("add", [a, b])],
    ["extra-term", (a, b) => `leave out ${b}`, (a) => a],
    ["extra-term", (a) => `leave out ${a}`, (a, b) => node("negate", [b])],
  ],
  negate: [["sign-of-a-term", () => "leave out the minus", (a) => a]],
  log: [["wrong-function", (a) => `use ${a} itself`, (a) => a]],
  exp: [["wrong-function", (a) => `use ${a} itself`, (a) => a]],
  sum: [["extra-sum", () => "leave out the sum", (a) => a]],
  where: [["wrong-side", () => "exchange the two sides", (m, a, b) => node("where", [m, b, a])]],
  multiply: [
    ["wrong-side", (a) => `take the entries where ${a} is 0`, (a, b) => (isMask(a) ? mul(not(a), b) : null)],
    ["wrong-side", (a, b) => `take the entries where ${b} is 0`, (a, b) => (isMask(b) ? mul(a, not(b)) : null)],
    ["wrong-function", (a, b) => `divide by ${b}`, div],
    ["wrong-function", (a) => `divide by ${a}`, (a, b) => div(b, a)],
    ["extra-factor", (a, b) => `leave out ${b}`, (a) => a],
    ["extra-factor", (a) => `leave out ${a}`, (a, b) => b],
  ],
  divide: [
    ["wrong-function", (a, b) => `multiply by ${b}`, mul],
    ["extra-factor", (a, b) => `leave out ${b}`, (a) => a],
  ],
};

const rewritten = (part) => (REWRITES[part.op] ?? []).map(([name, what, make]) => [name, what(...part.inputs.map((input) => written(input, 5))), make(...part.inputs)]);

function axes(part) {
  const found = isOp(part, "sum", "mean") ? [null, ...AXES].map((axis) => ["wrong-axis", `use axis ${axis ?? "None"}`, { ...part, constants: { ...part.constants, axis } }]) : [];
  return [...found, ...AXES.map((axis) => ["missing-sum", `sum over axis ${axis} (with keepdims=True)`, node("sum", [part], { axis, keepdims: true })])];
}

function indices(part) {
  const found = [];
  if (isOp(part, "multiply")) {
    part.inputs.forEach((total, slot) => {
      const factor = part.inputs[1 - slot];
      if (isOp(total, "sum", "mean")) found.push(["index-swap", `${written(factor, 5)} belongs inside the sum`, { ...total, inputs: [mul(total.inputs[0], factor)] }]);
    });
  }
  if (isOp(part, "sum", "mean") && isOp(part.inputs[0], "multiply")) {
    part.inputs[0].inputs.forEach((factor, slot) => {
      found.push(["index-swap", `${written(factor, 5)} belongs outside the sum`, mul({ ...part, inputs: [part.inputs[0].inputs[1 - slot]] }, factor)]);
    });
  }
  return found;
}

function factors(part, { root, names }) {
  const found = [];
  for (const p of names) {
    const candidates = [p, node("power", [p, 2]), node("subtract", [1, p]), node("add", [1, p]), node("subtract", [1, node("power", [p, 2])]), node("log", [p]), node("exp", [p])];
    if (part === root) candidates.push(...AXES.map((axis) => node("sum", [p], { axis, keepdims: true })));
    for (const q of candidates) {
      const shown = written(q, 4);
      found.push(["missing-factor", `multiply by ${shown}`, mul(part, q)], ["missing-factor", `divide by ${shown}`, div(part, q)]);
      if (!isOp(part, "add", "subtract")) continue;
      part.inputs.forEach((term, slot) => {
        if (typeof term !== "object") found.push(["missing-factor", `multiply ${written(term)} by ${shown}`, { ...part, inputs: part.inputs.with(slot, mul(term, q)) }]);
      });
    }
  }
  return found;
}

function* changes(tree, trial) {
  const names = namesIn(trial.op);
  const parts = typeof tree === "object" ? opsOf(tree).reverse().filter((part) => namesOf(part).length > 0) : [tree];
  for (const change of [rewritten, axes, indices, factors]) {
    for (const part of parts) {
      for (const [name, what, instead] of change(part, { root: tree, names })) {
        if (instead !== null) yield [name, `in ${written(part)}, ${what}, and it is right`, (t) => t.gradient(changed(tree, (p) => (p === part ? instead : undefined)))];
      }
    }
  }
  for (const old of namesOf(tree)) {
    for (const other of names.filter((one) => one !== old)) {
      const name = old === "y" ? "output-for-input" : other === "y" ? "input-for-output" : "wrong-operand";
      yield [name, `put ${other} in the place of ${old}, and it is right`, (t) => t.gradient(changed(tree, (p) => (p === old ? other : undefined)))];
    }
  }
}

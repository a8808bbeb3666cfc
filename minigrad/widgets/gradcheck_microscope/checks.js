/* What the microscope looks at: ops, their backwards as readers wrote them, and the check itself.
 *
 * The right gradient is the engine's adjoint. A reader's backward is a list too, of x, of the cotangent g, and of the right
 * gradient, which the simplest mistakes spoil. Nothing here differentiates. */

import { adjoints, evaluate, Recorder, tensor } from "../engine.js";

export const NUMBERS = { float64: (x) => x, float32: Math.fround };
export const EXPONENTS = { low: -14, high: 0, step: 0.25 };
export const FLOOR = 1e-3; // gradients below it are compared as if they were of this size
const SHAPE = [3, 4];
export const ROWS = SHAPE[0];
export const COLUMNS = SHAPE[1];

const ROW = { axis: 1, keepdims: true };
const WEIGHTS = tensor([4, 4], [0.5, -1, 2, 0.3, 1.5, 0.8, -0.6, 1, -0.7, 1.2, 0.4, -1.1, 0.9, -0.2, 1.3, 0.6]);

/** Short names for what the formulas below need. */
const writer = (r) => ({
  plus: (a, b) => r.apply("add", [a, b]),
  minus: (a, b) => r.apply("subtract", [a, b]),
  times: (a, b) => r.apply("multiply", [a, b]),
  over: (a, b) => r.apply("divide", [a, b]),
  matmul: (a, b) => r.apply("matmul", [a, b]),
  rows: (a) => r.apply("sum", [a], ROW),
  by: (name, a) => r.apply(name, [a]),
  scaled: (factor, a) => r.apply("multiply", [r.constant(factor), a]),
  weights: r.constant(WEIGHTS),
});

const RIGHT = { title: "right", code: "as the rules say", write: (_, { right }) => right };
const NEGATED = { title: "the sign is wrong", code: "-gx", write: (m, { right }) => m.by("negate", right) };
const ZEROS = { title: "all zeros", code: "np.zeros_like(g)", write: (m, { right }) => m.scaled(0, right) };
const SEVEN = { title: "−7 times right", code: "-7 * gx", write: (m, { right }) => m.scaled(-7, right) };

/** Each op: its input, its formula, and its backwards, the right one first. */
export const CASES = {
  normalize: {
    title: "Normalize",
    x: [1, 2, 3, 0.5, 0.8, 1.7, 0.6, 1.1, 2.2, 0.9, 1.4, 0.7],
    forward: (m, x) => m.over(x, m.rows(x)),
    backwards: {
      right: { ...RIGHT, code: "g / s - sum(g * x) / s**2" },
      sign: { title: "plus for minus", code: "g / s + sum(g * x) / s**2", write: (m, { x, g }, s = m.rows(x)) => m.plus(m.over(g, s), m.over(m.rows(m.times(g, x)), m.times(s, s))) },
      square: { title: "1/s for 1/s²", code: "g / s - sum(g * x) / s", write: (m, { x, g }, s = m.rows(x)) => m.minus(m.over(g, s), m.over(m.rows(m.times(g, x)), s)) },
      index: { title: "x outside the sum", code: "g / s - sum(g) * x / s**2", write: (m, { x, g }, s = m.rows(x)) => m.minus(m.over(g, s), m.over(m.times(m.rows(g), x), m.times(s, s))) },
      zeros: ZEROS,
      seven: SEVEN,
    },
  },
  softmax: {
    title: "Normalize of exp",
    x: [0.1, -1.3, 0.6, 0.4, 1.2, -0.5, 0.2, -0.9, 0.7, 0.3, -0.2, 1.5],
    forward: (m, x, e = m.by("exp", x)) => m.over(e, m.rows(e)),
    backwards: {
      right: { ...RIGHT, code: "y * (g - sum(g * y))" },
      alone: { title: "the sum is forgotten", code: "y * g", write: (m, { g, y }) => m.times(y, g) },
      outside: { title: "the factor y is forgotten", code: "g - sum(g * y)", write: (m, { g, y }) => m.minus(g, m.rows(m.times(g, y))) },
      zeros: ZEROS,
      seven: SEVEN,
    },
  },
  relu: {
    title: "ReLU, with two entries at the kink",
    x: [-1.5, 0.5, 2, -0.3, 0.0004, 1.2, -0.8, 0.9, 0.6, -2.1, 0, -0.7],
    forward: (m, x) => m.by("relu", x),
    backwards: {
      right: { ...RIGHT, code: "g * (x > 0)" },
      unmasked: { title: "no mask", code: "g", write: (m, { g }) => m.scaled(1, g) },
      wrongmask: { title: "mask from the gradient", code: "g * (g > 0)", write: (m, { g }) => m.by("relu", g) },
      leaning: { title: "slope −1 on the left", code: "g * where(x > 0, 1, -1)", write: (m, { g, right }) => m.minus(m.scaled(2, right), g) },
      forgotten: { title: "g is forgotten", code: "x > 0", write: (m, { g, right }) => m.over(right, g) },
    },
  },
  sine: {
    title: "sin",
    x: [0.3, -1.1, 2, 0.8, 1.4, -0.4, 2.7, -2.2, 0.6, 1.9, -1.7, 3],
    forward: (m, x) => m.by("sin", x),
    backwards: {
      right: { ...RIGHT, code: "g * cos(x)" },
      sign: { ...NEGATED, code: "-g * cos(x)" },
      output: { title: "y in the place of x", code: "g * cos(y)", write: (m, { g, y }) => m.times(g, m.by("cos", y)) },
      forgotten: { title: "g is forgotten", code: "cos(x)", write: (m, { x }) => m.by("cos", x) },
      zeros: ZEROS,
    },
  },
  matmul: {
    title: "X @ W, over X",
    x: [0.2, -1, 0.7, 1.3, -0.4, 0.9, 1.6, -0.8, 1.1, 0.5, -1.2, 0.3],
    forward: (m, x) => m.matmul(x, m.weights),
    backwards: {
      right: { ...RIGHT, code: "g @ W.T" },
      transpose: { title: "the transpose is dropped", code: "g @ W", write: (m, { g }) => m.matmul(g, m.weights) },
      forgotten: { title: "g is forgotten", code: "ones @ W.T", write: (m, { right, g }) => m.plus(m.scaled(0, right), m.matmul(m.over(g, g), m.by("transpose", m.weights))) },
      seven: SEVEN,
    },
  },
  cube: {
    title: "x³, small and large",
    x: [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 5, 8, 12, 20, 30],
    forward: (m, x) => m.times(m.times(x, x), x),
    backwards: {
      right: { ...RIGHT, code: "g * 3 * x**2" },
      two: { title: "2 for 3", code: "g * 2 * x**2", write: (m, { x, g }) => m.times(m.scaled(2, g), m.times(x, x)) },
      bit: { title: "a little too much", code: "g * (3 * x**2 + 0.0004)", write: (m, { g, right }) => m.plus(right, m.scaled(0.0004, g)) },
      zeros: ZEROS,
    },
  },
};

/** The weights of the outputs: ones, or normal numbers, the same for the same draw. */
export function cotangent(kind, draw) {
  if (kind === "ones") return tensor(SHAPE, new Array(ROWS * COLUMNS).fill(1));
  let state = (draw + 1) * 2654435761;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return tensor(SHAPE, Float64Array.from({ length: ROWS * COLUMNS }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())));
}

/** One check, ready to be asked about any entry and any h: what backward returned, and the quotients. */
export function check({ op, backward, numbers, kind, draw }) {
  const round = NUMBERS[numbers];
  const rounded = (value) => tensor(value.shape, value.data.map(round));
  const [x, g] = [rounded(tensor(SHAPE, CASES[op].x)), rounded(cotangent(kind, draw))];
  const recorder = new Recorder();
  CASES[op].forward(writer(recorder), recorder.input("x", x));
  const list = recorder.list();
  const exact = evaluate(list);
  const right = adjoints(list, exact, g).adjoints[0];
  const [y] = list.outputs;
  const reader = new Recorder();
  const [X, Y, G, R] = [["x", x], ["y", exact[y]], ["g", g], ["right", right]].map(([name, value]) => reader.input(name, value));
  const result = CASES[op].backwards[backward].write(writer(reader), { x: X, y: Y, g: G, right: R });
  const analytic = evaluate(reader.list(result), [], round)[result].data;
  const outputs = (entry, to) => {
    const data = Float64Array.from(x.data);
    data[entry] = to;
    return evaluate(list, [tensor(SHAPE, data)], round)[y].data;
  };
  /** The central difference of g · y along one entry; each operation is rounded. */
  function numeric(entry, h) {
    const [left, right] = [round(x.data[entry] - round(h)), round(x.data[entry] + round(h))];
    const [low, high] = [outputs(entry, left), outputs(entry, right)];
    const rise = high.reduce((sum, value, i) => round(sum + round(g.data[i] * round(value - low[i]))), 0);
    return round(rise / round(2 * h));
  }
  return { x: x.data, g: g.data, analytic, right: right.data, numeric };
}

/** How far apart two gradients are: in proportion to the larger, or just so. */
export const apart = (a, n, measure) => Math.abs(a - n) / (measure === "absolute" ? 1 : Math.max(Math.abs(a), Math.abs(n), FLOOR));

/** Every entry of the gradient against its quotient: [{entry, analytic, numeric, distance, agrees}]. */
export function compare(given, h, tolerance, measure) {
  return Array.from(given.analytic, (analytic, entry) => {
    const numeric = given.numeric(entry, h);
    const distance = apart(analytic, numeric, measure);
    return { entry, analytic, numeric, distance, agrees: distance <= tolerance };
  });
}

/** The distance of one entry at every h of the axis: [{k, distance}]. */
export const curve = (given, entry, measure) =>
  Array.from({ length: Math.round((EXPONENTS.high - EXPONENTS.low) / EXPONENTS.step) + 1 }, (_, i) => {
    const k = EXPONENTS.low + i * EXPONENTS.step;
    return { k, distance: apart(given.analytic[entry], given.numeric(entry, 10 ** k), measure) };
  });

/* The ops of shape and blame: their names, their rules in letters, how they are recorded, and the two mistakes.
 *
 * A mistake is a line of arithmetic that somebody wrote into a backward; it is run here on forward ops of the engine. */

import { Recorder, adjoints, matmul, shapeOf, tensor } from "../engine.js";

const bar = (letter) => `<i class="mg-bar">${letter}</i>`;
const [X, Y, Z, W, B] = ["X", "Y", "Z", "W", "b"].map(bar);
const T = "<sup>T</sup>";
const two = (title, sign, value, rules) => ({ title, names: ["x", "y"], output: "z", sign, value, rules });
const one = (title, sign, value, rule) => ({ title, names: ["x"], output: "y", sign, value, rules: [rule] });

export const OPS = {
  add: two("add, x + y", "+", "z<sub>ij</sub> = x<sub>ij</sub> + y<sub>ij</sub>", [`${X} = ${Z}`, `${Y} = ${Z}`]),
  multiply: two("multiply, x ∘ y", "∘", "z<sub>ij</sub> = x<sub>ij</sub> y<sub>ij</sub>", [`${X} = ${Z} ∘ Y`, `${Y} = ${Z} ∘ X`]),
  divide: two("divide, x / y", "/", "z<sub>ij</sub> = x<sub>ij</sub> / y<sub>ij</sub>", [`${X} = ${Z} / Y`, `${Y} = −${Z} ∘ X / Y<sup>2</sup>`]),
  matmul: two("matrix product, X @ Y", "@", "z<sub>ij</sub> = Σ<sub>k</sub> x<sub>ik</sub> y<sub>kj</sub>", [`${X} = ${Z} Y${T}`, `${Y} = X${T} ${Z}`]),
  linear: { title: "linear layer, X @ W + b", names: ["x", "w", "b"], output: "y", sign: ["@", "+"], value: "y<sub>ij</sub> = Σ<sub>k</sub> x<sub>ik</sub> w<sub>kj</sub> + b<sub>j</sub>", rules: [`${X} = ${Y} W${T}`, `${W} = X${T} ${Y}`, `${B} = Σ rows of ${Y}`] },
  expand: one("expand, x repeated", "expand", "y<sub>ij</sub> = x, repeated", `${X} = Σ ${Y} over the repeats`),
  sum: one("sum", "Σ", "y<sub>i</sub> = Σ x over the axis", `${X} = ${Y}, repeated`),
  max: one("max", "max", "y<sub>i</sub> = max x over the axis", `${X} = ${Y} at the largest, else 0`),
  transpose: one("transpose", "T", "y<sub>ij</sub> = x<sub>ji</sub>", `${X} = ${Y}${T}`),
  index: one("select, x[index]", "[ ]", "y = x[index]", `${X} = ${Y}, added back where it came from`),
  exp: one("exp, entry by entry", "exp", "y<sub>ij</sub> = exp x<sub>ij</sub>", `${X} = ${Y} ∘ Y`),
  sigmoid: one("sigmoid, entry by entry", "σ", "y<sub>ij</sub> = σ(x<sub>ij</sub>)", `${X} = ${Y} ∘ Y ∘ (1 − Y)`),
  log_softmax: one("log-softmax of each row", "log-softmax", "y<sub>ij</sub> = x<sub>ij</sub> − ln Σ<sub>k</sub> exp x<sub>ik</sub>", `${X} = ${Y} − exp Y ∘ rowsum(${Y})`),
};

/** The Wengert list of an op on these values. */
export function record(op, values, constants) {
  const recorder = new Recorder();
  const ids = values.map((value, i) => recorder.input(OPS[op].names[i], value));
  if (op === "linear") recorder.apply("add", [recorder.apply("matmul", ids.slice(0, 2)), ids[2]]);
  else if (op === "log_softmax") recorder.apply("subtract", [ids[0], recorder.apply("logsumexp", ids, { axis: 1, keepdims: true })]);
  else recorder.apply(op, ids, constants);
  return recorder.list();
}

const run = (op, inputs) => {
  const recorder = new Recorder();
  return recorder.value(recorder.apply(op, inputs.map((value) => recorder.constant(value))));
};

/** X̄ or Ȳ of a product, without its transpose. */
const products = [(g, [, y]) => matmul(g, y), (g, [x]) => matmul(x, g)];
const DROP = { matmul: products, linear: products, transpose: [(g) => g] };

/** The share without the sum over the repeats: the inputs are repeated first, so that nothing is left to add up. */
function unsummed(op, slot) {
  return (g, values) => {
    const full = values.map((value) => run("multiply", [value, run("add", [run("multiply", [g, 0]), 1])]));
    const list = record(op, full, {});
    return adjoints(list, recordValues(list), g).adjoints[slot];
  };
}
const recordValues = (list) => [...list.inputs, ...list.steps].map(({ value }) => value);
const both = (op) => [unsummed(op, 0), unsummed(op, 1)];

const FORGET = {
  add: both("add"),
  multiply: both("multiply"),
  divide: both("divide"),
  linear: [null, null, (g) => g],
  expand: [(g) => g],
  log_softmax: [(g, _, y) => run("subtract", [g, run("multiply", [run("exp", [y]), g])])],
  // Put back with = in place of +=: of two that came from one place the last one stays.
  index: [
    (g, [x], _, { index }) => {
      const [rows, columns] = index.map(({ take }) => take);
      const [wide, data] = [shapeOf(x)[1], new Float64Array(x.data.length)];
      rows.forEach((row, k) => {
        if (columns) data[row * wide + columns[k]] = g.data[k];
        else data.set(g.data.slice(k * wide, (k + 1) * wide), row * wide);
      });
      return tensor(shapeOf(x), data);
    },
  ],
};

/** What the broken line returns for this input; undefined where the op has no such line, null where it does not even run. */
export function broken(mistake, op, slot, g, values, output, constants) {
  const line = (mistake === "drop" ? DROP : FORGET)[op]?.[slot];
  if (!line) return undefined;
  try {
    return line(g, values, output, constants);
  } catch {
    return null;
  }
}

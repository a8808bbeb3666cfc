/* Slopes from quotients of differences, and how wrong they are.
 *
 * The truth is the engine's adjoint, in float64. The quotients run the same list on the numbers that the reader chose:
 * float64, or float32 with every operation rounded. */

import { adjoints, evaluate, evaluateComplex } from "../engine.js";

export const NUMBERS = {
  float64: { round: (x) => x, epsilon: 2 ** -52 },
  float32: { round: Math.fround, epsilon: 2 ** -23 },
};

/** `terms`: how many h from x each value is taken, and its weight; the weighted sum is divided by `below` times h. What a
 * formula misses is `missing` times the (order + 1)-th derivative times h to the power `order`. */
export const FORMULAS = {
  forward: { title: "forward difference", rule: "( f(x + h) − f(x) ) / h", terms: [[1, 1], [0, -1]], below: 1, order: 1, missing: 1 / 2 },
  central: { title: "central difference", rule: "( f(x + h) − f(x − h) ) / 2h", terms: [[1, 1], [-1, -1]], below: 2, order: 2, missing: 1 / 6 },
  fourth: { title: "fourth order", rule: "( f(x − 2h) − 8 f(x − h) + 8 f(x + h) − f(x + 2h) ) / 12h", terms: [[-2, 1], [-1, -8], [1, 8], [2, -1]], below: 12, order: 4, missing: 1 / 30 },
  complex: { title: "complex step", rule: "Im f(x + ih) / h", terms: [], below: 1, order: 2, missing: 1 / 6 },
};

export const EXPONENTS = { low: -16, high: 0, step: 0.05 };
const GRID = Array.from({ length: Math.round((EXPONENTS.high - EXPONENTS.low) / EXPONENTS.step) + 1 }, (_, i) => Number((EXPONENTS.low + i * EXPONENTS.step).toFixed(2)));

/** The list as a function of its input number `side`, at a point, in these numbers. */
export function problem(list, at, side, numbers) {
  const { round, epsilon } = NUMBERS[numbers];
  const point = at.map(round);
  const x = point[side];
  const moved = (to) => point.map((other, i) => (i === side ? to : other));
  const output = (values) => values[list.outputs[0]];
  const f = (to) => output(evaluate(list, moved(to), round));
  const slope = (to) => adjoints(list, evaluate(list, moved(to))).adjoints[list.inputs[side].id];
  const imaginary = (h) => output(evaluateComplex(list, point.map((other, i) => [other, i === side ? h : 0]), round))[1];
  return { x, f, slope, imaginary, round, epsilon, value: f(x), truth: slope(x) };
}

/** The values that a formula asks for, left to right: [{offset from x, the input, the value, its weight}]. */
export const samples = ({ x, f, round }, formula, h) =>
  FORMULAS[formula].terms.map(([k, weight]) => {
    const at = round(x + round(k * h));
    return { offset: k * h, at, value: f(at), weight };
  });

/** The slope that a formula gives with this h: each operation is rounded, those of the formula too. */
export function quotient(given, formula, h) {
  const { round, imaginary, value } = given;
  const step = round(h);
  if (formula === "complex") return Number.isFinite(value) ? round(imaginary(step) / step) : NaN; // ln(-1) is complex, but no value of f
  const sum = samples(given, formula, step).reduce((total, { value, weight }) => round(total + round(weight * value)), 0);
  return round(sum / round(FORMULAS[formula].below * step));
}

export const error = (given, formula, h) => Math.abs(quotient(given, formula, h) - given.truth);

/** The error at every h of the axis: [{k, error, worst}]. `worst` is the largest within a quarter of a decade, so that a
 * lucky h does not count as a good one, and never less than the rounding of the slope itself. */
export function errors(given, formula) {
  const all = GRID.map((k) => ({ k, error: error(given, formula, 10 ** k) }));
  const reach = Math.round(0.25 / EXPONENTS.step);
  const least = given.epsilon * Math.abs(given.truth);
  return all.map((one, i) => ({ ...one, worst: Math.max(least, ...all.slice(Math.max(0, i - reach), i + reach + 1).map((other) => other.error)) }));
}

/** Where on the axis the error is small whatever luck does; of several such places the middle one. */
export function best(curve) {
  const least = Math.min(...curve.map(({ worst }) => worst).filter((e) => !Number.isNaN(e)));
  const places = curve.filter(({ worst }) => worst === least);
  return places[Math.floor(places.length / 2)];
}

/** What the two errors should be: `truncation` times h^order, and `rounding` / h. The higher derivatives are differences of
 * the engine's exact slopes, with a step so wide that no rounding shows; a line on a logarithmic picture needs no more. */
export function theory({ x, slope, value, truth, epsilon }, formula) {
  const s = Math.max(0.01 * Math.abs(x), 0.003);
  const g = (k) => slope(x + k * s);
  const derivative = { 1: () => (g(1) - g(-1)) / (2 * s), 2: () => (g(1) - 2 * g(0) + g(-1)) / s ** 2, 4: () => (g(2) - 4 * g(1) + 6 * g(0) - 4 * g(-1) + g(-2)) / s ** 4 };
  const { order, missing } = FORMULAS[formula];
  const bend = Math.abs(derivative[order]());
  const straight = !(bend > 1e-6 * Math.abs(truth)); // nothing left to miss: a straight line, or one that is not known here
  return { order, truncation: straight ? 0 : missing * bend, rounding: formula === "complex" ? 0 : epsilon * Math.abs(value) };
}

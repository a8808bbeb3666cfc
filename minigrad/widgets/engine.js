/* The engine of the page: it walks Wengert lists forward and backward.
 *
 * A computation is a list. `minigrad.trace` writes the list that a Python program recorded, `parse` makes one from a typed
 * expression, `Recorder` makes one call by call; everything below only reads it. No other file in the page owns a
 * derivative. The module has no dependency and touches no page, so it also runs in Node, where
 * tests/test_engine_js.py compares it with Python, op by op.
 *
 * ---- The list, in JSON -------------------------------------------------------------------------------------------------
 *
 *   { "format": "wengert-list", "version": 1,
 *     "inputs":  [ {"id": 0, "name": "x1", "value": 2}, {"id": 1, "name": "x2", "value": 5} ],
 *     "steps":   [ {"id": 2, "op": "log",      "inputs": [0],    "constants": {}, "value": 0.6931471805599453},
 *                  {"id": 3, "op": "multiply", "inputs": [0, 1], "constants": {}, "value": 10} ],
 *     "outputs": [3] }
 *
 * An input of a step is the id of an earlier input or step, or {"constant": value}. Ids rise along the list.
 * A value is a number, or {"shape": [2, 3], "data": [six numbers, row by row]}; in JSON the numbers that JSON lacks are the
 * strings "NaN", "Infinity", "-Infinity". `load` turns JSON into a list that the engine reads (data as Float64Array),
 * `dump` goes back.
 *
 *   op                                                           constants
 *   add subtract multiply divide negate power matmul             -
 *   exp log sin cos tan tanh sigmoid sqrt abs relu maximum       -
 *   where (the first input is the mask, 0 or 1)                  -
 *   sum mean max logsumexp                                       axis: integer, list or null; keepdims: boolean
 *   reshape, expand                                              shape: list
 *   transpose                                                    axes: list or null
 *   concatenate, stack (any number of inputs)                    axis: integer
 *   index        index: for each axis an integer, {"slice": [start, stop, step]} or {"take": [integers]}
 *
 * ---- The functions -----------------------------------------------------------------------------------------------------
 *
 *   parse(text, at?)                 -> list                  throws ExpressionError {message, position, length}
 *   load(json) / dump(list)          -> list / JSON object
 *   evaluate(list, inputs?, round?)  -> values, indexed by id; inputs: array in list order, or {name: value}; those not
 *                                       given keep the value that the list holds. With Math.fround as `round`, every input,
 *                                       constant and result is rounded to float32, once for each op
 *   evaluateComplex(list, inputs, round?) -> the same with numbers [real, imaginary], for lists of scalars
 *   tangents(list, values, seed)     -> tangents, indexed by id: one forward walk, one direction (seed as `inputs`; 0 if absent)
 *   dual(list, inputs, seed)         -> {values, tangents}: the same in a single walk, as dual numbers do it
 *   adjoints(list, values, seed?)    -> {adjoints, contributions}, both indexed by id: one backward walk. The seed is the
 *                                       output's adjoint (ones if absent; one for each output, in an array, if several).
 *                                       contributions[id] = [{user, slot, value}, ...] in the order in which they were added
 *   new Recorder()                   .input(name, value) -> id     .constant(value) -> {constant}
 *                                    .apply(op, inputs, constants?) -> id     .value(id) -> value
 *                                    .list(...outputs) -> the list (output: the last step, if none is named)
 *   tensor(shape, data)  zeros(shape)  shapeOf(value)  sizeOf(value)  matmul(a, b)
 *   OPS[op] = {arity, forward(inputs, constants), jvp(tangents, inputs, output, constants),
 *              vjp(slot, gradient, inputs, output, constants), rule, symbol}
 *
 * A scalar is a JavaScript number, an array is {shape, data: Float64Array}; shapes broadcast as in NumPy. Values, like
 * lists, are never changed in place. The conventions at the edges are those of minigrad: relu'(0) = abs'(0) = 0,
 * sqrt'(0) = inf, (x**0)' = 0 everywhere, log(0) = -inf, log of a negative number NaN; entries that tie for `max` share
 * equally, a tie of `maximum(a, b)` goes to b.
 */

// ---- Arrays -------------------------------------------------------------------------------------------------------------

export const shapeOf = (value) => (typeof value === "number" ? [] : value.shape);
export const sizeOf = (value) => (typeof value === "number" ? 1 : value.data.length);
const count = (shape) => shape.reduce((product, n) => product * n, 1);
const sameShape = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);
const dataOf = (value) => (typeof value === "number" ? [value] : value.data);
const show = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

/** An array of this shape from numbers given row by row; of shape [] it is the number itself. */
export function tensor(shape, data) {
  if (data.length !== count(shape)) {
    throw new Error(`tensor: shape ${show(shape)} needs ${count(shape)} numbers, but ${data.length} were given.`);
  }
  if (shape.length === 0) return data[0];
  return { shape, data: data instanceof Float64Array ? data : Float64Array.from(data) };
}

export const zeros = (shape) => tensor(shape, new Float64Array(count(shape)));
const filled = (shape, number) => tensor(shape, new Float64Array(count(shape)).fill(number));

/** The shape that two shapes broadcast to: aligned at the right, equal sizes or 1. */
export function broadcastShapes(a, b) {
  if (sameShape(a, b)) return a;
  const shape = Array.from({ length: Math.max(a.length, b.length) }, (_, i, n = Math.max(a.length, b.length)) => {
    const [p, q] = [a[i + a.length - n] ?? 1, b[i + b.length - n] ?? 1];
    if (p !== q && p !== 1 && q !== 1) {
      throw new Error(
        `Shapes ${show(a)} and ${show(b)} do not broadcast: aligned at the right, two sizes must be equal or one of them 1.`,
      );
    }
    return p === 1 ? q : p;
  });
  return shape;
}

function stridesOf(shape) {
  const strides = new Array(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i--]) strides[i] = step;
  return strides;
}

// Most of what an array op does besides arithmetic is bookkeeping: which entry of the input belongs to which entry of the
// output. A *map* writes this down once, as an array of positions. Reading through it is a gather, its transpose a
// scatter-add, and that pair is the forward and the backward of expand, reshape, transpose, slices and sums alike.
const memory = new Map();
function remembered(key, make) {
  let map = memory.get(key);
  if (map === undefined) {
    if (memory.size > 500) memory.clear();
    memory.set(key, (map = make()));
  }
  return map;
}

/** Positions in an array with these strides, for every entry of an array of this shape, row by row. */
function walk(shape, strides, start = 0) {
  const positions = new Int32Array(count(shape));
  const at = new Array(shape.length).fill(0);
  for (let i = 0, position = start; i < positions.length; i++) {
    positions[i] = position;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis];
      if (++at[axis] < shape[axis]) break;
      position -= strides[axis] * shape[axis];
      at[axis] = 0;
    }
  }
  return positions;
}

const broadcastMap = (from, to) =>
  remembered(`${from}>${to}`, () => {
    const [strides, extra] = [stridesOf(from), to.length - from.length];
    return walk(to, to.map((_, i) => (i < extra || from[i - extra] === 1 ? 0 : strides[i - extra])));
  });

function gather(value, map, shape) {
  const [from, to] = [dataOf(value), new Float64Array(map.length)];
  for (let i = 0; i < to.length; i++) to[i] = from[map[i]];
  return tensor(shape, to);
}

function scatterAdd(value, map, shape) {
  const [from, to] = [dataOf(value), new Float64Array(count(shape))];
  for (let i = 0; i < from.length; i++) to[map[i]] += from[i];
  return tensor(shape, to);
}

function expand(value, shape) {
  if (sameShape(shapeOf(value), shape)) return value;
  if (!sameShape(broadcastShapes(shapeOf(value), shape), shape)) {
    throw new Error(`expand: shape ${show(shapeOf(value))} does not stretch to ${show(shape)}.`);
  }
  return typeof value === "number" ? filled(shape, value) : gather(value, broadcastMap(value.shape, shape), shape);
}

/** Undo a broadcast: a stretched entry was used many times, so its gradient is the sum over its uses. */
function sumTo(gradient, shape) {
  const from = shapeOf(gradient);
  return sameShape(from, shape) ? gradient : scatterAdd(gradient, broadcastMap(shape, from), shape);
}

function map1(f, a, b) {
  if (typeof a === "number") return f(a, b);
  const out = new Float64Array(a.data.length);
  if (b === undefined) for (let i = 0; i < out.length; i++) out[i] = f(a.data[i]);
  else for (let i = 0; i < out.length; i++) out[i] = f(a.data[i], b.data[i]);
  return { shape: a.shape, data: out };
}

function map2(f, a, b) {
  if (typeof a === "number" && typeof b === "number") return f(a, b);
  const shape = broadcastShapes(shapeOf(a), shapeOf(b));
  const out = new Float64Array(count(shape));
  if (typeof a === "number") for (let i = 0; i < out.length; i++) out[i] = f(a, b.data[i]);
  else if (typeof b === "number") for (let i = 0; i < out.length; i++) out[i] = f(a.data[i], b);
  else if (sameShape(a.shape, b.shape)) for (let i = 0; i < out.length; i++) out[i] = f(a.data[i], b.data[i]);
  else {
    const [ia, ib] = [broadcastMap(a.shape, shape), broadcastMap(b.shape, shape)];
    for (let i = 0; i < out.length; i++) out[i] = f(a.data[ia[i]], b.data[ib[i]]);
  }
  return { shape, data: out };
}

const plus = (a, b) => map2((p, q) => p + q, a, b);
const times = (a, b) => map2((p, q) => p * q, a, b);

// ---- Matrix products ----------------------------------------------------------------------------------------------------

function matmulInto(out, a, b, n, k, m, ao, bo, oo) {
  // The inner loop runs along rows of b and of the result: neighbours in memory.
  for (let i = 0; i < n; i++) {
    const row = oo + i * m;
    for (let l = 0; l < k; l++) {
      const [factor, from] = [a[ao + i * k + l], bo + l * m];
      for (let j = 0; j < m; j++) out[row + j] += factor * b[from + j];
    }
  }
}

/** a @ b as in NumPy: vectors count as a row on the left and a column on the right; leading axes are a batch. */
export function matmul(a, b) {
  const [sa, sb] = [shapeOf(a), shapeOf(b)];
  if (sa.length === 0 || sb.length === 0) throw new Error("matmul: a number has no rows or columns; use multiply.");
  const [pa, pb] = [sa.length === 1 ? [1, sa[0]] : sa, sb.length === 1 ? [sb[0], 1] : sb];
  const [n, k, m] = [pa.at(-2), pa.at(-1), pb.at(-1)];
  if (pb.at(-2) !== k) {
    throw new Error(`matmul: ${show(sa)} @ ${show(sb)} does not fit; rows of length ${k} meet columns of length ${pb.at(-2)}.`);
  }
  const batch = broadcastShapes(pa.slice(0, -2), pb.slice(0, -2));
  const [ia, ib] = [broadcastMap(pa.slice(0, -2), batch), broadcastMap(pb.slice(0, -2), batch)];
  const out = new Float64Array(count(batch) * n * m);
  for (let i = 0; i < ia.length; i++) matmulInto(out, a.data, b.data, n, k, m, ia[i] * n * k, ib[i] * k * m, i * n * m);
  return tensor([...batch, ...(sa.length > 1 ? [n] : []), ...(sb.length > 1 ? [m] : [])], out);
}

const reshaped = (value, shape) => tensor(shape, Float64Array.from(dataOf(value)));
function swapped(value) {
  const [shape, strides] = [[...value.shape], stridesOf(value.shape)];
  for (const list of [shape, strides]) list.push(...list.splice(-2).reverse());
  return gather(value, remembered(`swap${value.shape}`, () => walk(shape, strides)), shape);
}

function matmulGradient(slot, gradient, [a, b]) {
  const [sa, sb] = [shapeOf(a), shapeOf(b)];
  const wide = (value, shape) => reshaped(value, shape);
  const row = sa.length === 1 ? wide(a, [1, sa[0]]) : a;
  const column = sb.length === 1 ? wide(b, [sb[0], 1]) : b;
  const batch = broadcastShapes(row.shape.slice(0, -2), column.shape.slice(0, -2));
  const g = wide(gradient, [...batch, row.shape.at(-2), column.shape.at(-1)]);
  const full = slot === 0 ? matmul(g, swapped(column)) : matmul(swapped(row), g);
  return reshaped(sumTo(full, (slot === 0 ? row : column).shape), slot === 0 ? sa : sb);
}

// ---- Three kinds of op ---------------------------------------------------------------------------------------------------

// Elementwise: a function and its partial derivatives. The JVP multiplies each by its tangent and adds; the VJP multiplies
// each by the incoming gradient and undoes the broadcast. A partial of one input is given (x, y), of two (a, b).
const ONE = () => 1;
function elementwise(forward, partials, rule, heed = (tangents) => tangents) {
  const arity = partials.length;
  const local = (slot, inputs, output) =>
    arity === 1 ? map1(partials[0], inputs[0], output) : map2(partials[slot], inputs[0], inputs[1]);
  const scaled = (by, slot, inputs, output) => (partials[slot] === ONE ? by : times(by, local(slot, inputs, output)));
  return {
    arity,
    ...rule,
    partial: local,
    forward: (inputs) => (arity === 1 ? map1(forward, inputs[0]) : map2(forward, inputs[0], inputs[1])),
    jvp: (tangents, inputs, output) => {
      let sum = null;
      for (let slot = 0; slot < arity; slot++) {
        const tangent = heed(tangents)[slot];
        if (tangent === null) continue; // a constant stands still
        const term = scaled(tangent, slot, inputs, output);
        sum = sum === null ? term : plus(sum, term);
      }
      return expand(sum ?? 0, shapeOf(output));
    },
    vjp: (slot, gradient, inputs, output) => sumTo(scaled(gradient, slot, inputs, output), shapeOf(inputs[slot])),
  };
}

// Rearranging: every output entry is a copy of an input entry. The JVP rearranges the tangent, the VJP adds each
// gradient back where its entry came from.
const rearranging = (layout) => {
  const forward = ([x], constants) => {
    const { map, shape } = layoutOf(shapeOf(x), constants);
    return gather(x, map, shape);
  };
  const layoutOf = (shape, constants) =>
    remembered(`${layout.name}${shape}${JSON.stringify(constants)}`, () => layout(shape, constants));
  return {
    arity: 1,
    forward,
    jvp: ([t], _, __, constants) => forward([t], constants),
    vjp: (_, gradient, [x], __, constants) => scatterAdd(gradient, layoutOf(shapeOf(x), constants).map, shapeOf(x)),
  };
};

// Reducing: every input entry belongs to one output entry, its group. `share(x, y, groups)` is the partial derivative of
// the group's result over the entry.
const reducing = (combine, share) => {
  const layoutOf = (x, constants) => groupsOf(shapeOf(x), constants.axis ?? null);
  const weights = (x, output, groups) => share(dataOf(x), dataOf(output), groups);
  return {
    arity: 1,
    forward: ([x], constants) => {
      const groups = layoutOf(x, constants);
      return tensor(constants.keepdims ? groups.kept : groups.shape, combine(dataOf(x), groups));
    },
    jvp: ([t], [x], output, constants) => {
      const groups = layoutOf(x, constants);
      const [weight, tangent, out] = [weights(x, output, groups), dataOf(t), new Float64Array(groups.size)];
      for (let i = 0; i < weight.length; i++) out[groups.map[i]] += weight[i] * tangent[i];
      return tensor(shapeOf(output), out);
    },
    vjp: (_, gradient, [x], output, constants) => {
      const groups = layoutOf(x, constants);
      const [out, g] = [weights(x, output, groups), dataOf(gradient)];
      for (let i = 0; i < out.length; i++) out[i] *= g[groups.map[i]];
      return tensor(shapeOf(x), out);
    },
  };
};

function axisOf(axis, rank, op) {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new Error(`${op}: axis ${axis} does not exist in an array with ${rank} axes.`);
  }
  return axis < 0 ? axis + rank : axis;
}

const groupsOf = (shape, axis) =>
  remembered(`groups${shape}|${axis}`, () => {
    const all = shape.map((_, i) => i);
    const gone = axis === null ? all : [axis].flat().map((a) => axisOf(a, shape.length, "reduction"));
    const kept = shape.map((n, i) => (gone.includes(i) ? 1 : n));
    const size = count(kept);
    return { kept, shape: shape.filter((_, i) => !gone.includes(i)), size, map: broadcastMap(kept, shape), each: count(shape) / size };
  });

function groupSums(x, groups, f = (v) => v) {
  const out = new Float64Array(groups.size);
  for (let i = 0; i < x.length; i++) out[groups.map[i]] += f(x[i], groups.map[i]);
  return out;
}

function groupMaxima(x, groups) {
  const out = new Float64Array(groups.size).fill(-Infinity);
  for (let i = 0; i < x.length; i++) out[groups.map[i]] = Math.max(out[groups.map[i]], x[i]);
  return out;
}

function reshapeLayout(shape, constants) {
  const asked = [constants.shape].flat();
  const [size, known] = [count(shape), count(asked.filter((n) => n !== -1))];
  const target = asked.map((n) => (n === -1 ? size / known : n));
  if (count(target) !== size) throw new Error(`reshape: ${show(shape)} holds ${size} numbers, ${show(asked)} does not.`);
  return { shape: target, map: walk([size], [1]) };
}

function transposeLayout(shape, constants) {
  const axes = (constants.axes ?? shape.map((_, i) => shape.length - 1 - i)).map((a) => axisOf(a, shape.length, "transpose"));
  const strides = stridesOf(shape);
  const target = axes.map((a) => shape[a]);
  return { shape: target, map: walk(target, axes.map((a) => strides[a])) };
}

function expandLayout(shape, constants) {
  const target = [constants.shape].flat();
  expand(zeros(shape), target);
  return { shape: target, map: broadcastMap(shape, target) };
}

// As in NumPy: an integer drops its axis, a slice keeps it; several lists (with the integers among them) are read in
// step, entry by entry, so that scores[[0, 1, 2], labels] picks one score of each row.
function indexLayout(shape, constants) {
  const given = [constants.index].flat().map((entry) => (entry.take ? { take: positionsOf(entry.take) } : entry));
  const entries = [...given, ...shape.slice(given.length).map(() => ({ slice: [null, null, null] }))];
  if (entries.length > shape.length) {
    throw new Error(`index: ${given.length} indices for an array with ${shape.length} axes.`);
  }
  const strides = stridesOf(shape);
  const inside = (i, axis) => {
    if (i < -shape[axis] || i >= shape[axis]) throw new Error(`index: ${i} is outside axis ${axis} of size ${shape[axis]}.`);
    return i < 0 ? i + shape[axis] : i;
  };
  const lists = entries.flatMap((entry, axis) => (entry.take ? [axis] : []));
  const together = lists.length ? entries.flatMap((entry, axis) => (entry.take || Number.isInteger(entry) ? [axis] : [])) : [];
  const sizes = lists.map((axis) => entries[axis].take.length);
  const length = sizes.find((n) => n !== 1) ?? 1;
  if (sizes.some((n) => n !== length && n !== 1)) throw new Error(`index: lists of lengths ${sizes.join(", ")} are not read in step.`);
  // Each axis of the result is a list of offsets; the position of an entry is the sum of its offsets.
  const axes = [];
  let start = 0;
  entries.forEach((entry, axis) => {
    if (together.includes(axis)) return;
    if (Number.isInteger(entry)) start += inside(entry, axis) * strides[axis];
    else axes.push({ axis, offsets: sliceOf(entry.slice, shape[axis]).map((i) => i * strides[axis]) });
  });
  if (together.length) {
    const offsets = Array.from({ length }, (_, i) =>
      together.reduce((sum, axis) => {
        const list = Number.isInteger(entries[axis]) ? [entries[axis]] : entries[axis].take;
        return sum + inside(list[list.length === 1 ? 0 : i], axis) * strides[axis];
      }, 0),
    );
    const adjacent = together.at(-1) - together[0] === together.length - 1;
    axes.splice(adjacent ? axes.filter(({ axis }) => axis < together[0]).length : 0, 0, { axis: together[0], offsets });
  }
  const target = axes.map(({ offsets }) => offsets.length);
  let positions = [start];
  for (const { offsets } of axes) positions = positions.flatMap((p) => offsets.map((offset) => p + offset));
  return { shape: target, map: Int32Array.from(positions) };
}

/** A list of positions; of a mask, the positions where it holds. */
const positionsOf = (list) => list.flatMap((entry, i) => (entry === true ? [i] : entry === false ? [] : [entry]));

function sliceOf([start, stop, step], size) {
  step = step ?? 1;
  const clip = (i, low, high) => Math.min(Math.max(i < 0 ? i + size : i, low), high);
  const indices = [];
  if (step > 0) {
    const end = stop == null ? size : clip(stop, 0, size);
    for (let i = start == null ? 0 : clip(start, 0, size); i < end; i += step) indices.push(i);
  } else {
    const end = stop == null ? -1 : clip(stop, -1, size - 1);
    for (let i = start == null ? size - 1 : clip(start, -1, size - 1); i > end; i += step) indices.push(i);
  }
  return indices;
}

// Joining: where the entries of each part land in the whole.
const joining = (name) => {
  const layoutOf = (shapes, axis) =>
    remembered(`${name}${shapes.join("|")}@${axis}`, () => {
      const rank = shapes[0].length + (name === "stack" ? 1 : 0);
      const along = axisOf(axis ?? 0, rank, name);
      const parts = name === "stack" ? shapes.map((s) => [...s.slice(0, along), 1, ...s.slice(along)]) : shapes;
      parts.forEach((part, i) => {
        if (part.length !== rank || part.some((n, a) => a !== along && n !== parts[0][a])) {
          throw new Error(`${name}: input ${i} has shape ${show(shapes[i])}, input 0 has ${show(shapes[0])}; they differ off axis ${along}.`);
        }
      });
      const shape = parts[0].map((n, a) => (a === along ? parts.reduce((sum, part) => sum + part[a], 0) : n));
      const strides = stridesOf(shape);
      let start = 0;
      const maps = parts.map((part) => {
        const map = walk(part, strides, start);
        start += part[along] * strides[along];
        return map;
      });
      return { shape, maps };
    });
  const forward = (inputs, constants) => {
    const { shape, maps } = layoutOf(inputs.map(shapeOf), constants.axis);
    const out = new Float64Array(count(shape));
    inputs.forEach((input, i) => dataOf(input).forEach((x, j) => (out[maps[i][j]] = x)));
    return tensor(shape, out);
  };
  return {
    arity: null,
    forward,
    jvp: (tangents, inputs, _, constants) => forward(tangents.map((t, i) => t ?? zeros(shapeOf(inputs[i]))), constants),
    vjp: (slot, gradient, inputs, _, constants) =>
      gather(gradient, layoutOf(inputs.map(shapeOf), constants.axis).maps[slot], shapeOf(inputs[slot])),
  };
};

const select = (mask, a, b) => {
  const shape = [a, b].reduce((s, value) => broadcastShapes(s, shapeOf(value)), shapeOf(mask));
  const [m, p, q] = [mask, a, b].map((value) => dataOf(expand(value, shape)));
  return tensor(shape, Float64Array.from({ length: count(shape) }, (_, i) => (m[i] ? p[i] : q[i])));
};

// ---- The table of ops ----------------------------------------------------------------------------------------------------

// 1 to any power is 1, in NumPy even to the power NaN or infinity; JavaScript says NaN.
const power = (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : Math.pow(a, b));
const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const larger = (a, b) => (a > b ? 1 : 0);

// A rule is written once and read three ways: with names, with numbers, and in words. {a} {b} are the inputs, {y} the output,
// {da} {db} the tangents of the inputs, {gy} the adjoint of the output, {pa} {pb} a partial derivative that is decided
// by cases; <...> is an exponent. The tangent and the adjoint have one entry for each input.
const rule = (symbol, value, tangent, adjoint, cases = []) => ({ symbol, rule: { value, tangent, adjoint, cases } });

export const OPS = {
  add: elementwise((a, b) => a + b, [ONE, ONE], rule("+", "{a} + {b}", ["{da}", "+ {db}"], ["{gy}", "{gy}"])),
  subtract: elementwise((a, b) => a - b, [ONE, () => -1], rule("−", "{a} − {b}", ["{da}", "− {db}"], ["{gy}", "−{gy}"])),
  multiply: elementwise(
    (a, b) => a * b,
    [(a, b) => b, (a) => a],
    rule("×", "{a} × {b}", ["{da} × {b}", "+ {a} × {db}"], ["{gy} × {b}", "{gy} × {a}"]),
  ),
  divide: {
    ...elementwise(
      (a, b) => a / b,
      [(a, b) => 1 / b, (a, b) => -(a / b) / b],
      rule("÷", "{a} / {b}", ["{da} / {b}", "− {a} × {db} / {b}<2>"], ["{gy} / {b}", "−{gy} × {a} / {b}<2>"]),
    ),
    // Over one denominator: two infinite terms would make a NaN.
    jvp: ([ta, tb], [, b], y) => {
      const top = tb === null ? ta : map2((t, u) => t - u, ta ?? 0, times(y, tb));
      return map2((t, d) => t / d, expand(top, shapeOf(y)), b);
    },
  },
  power: elementwise(
    power,
    [(a, b) => (b === 0 ? 0 : b * power(a, b - 1)), (a, b) => power(a, b) * (a === 0 ? 0 : Math.log(a))],
    rule("^", "{a}<{b}>", ["{b} × {a}<{b} − 1> × {da}", "+ {y} × ln {a} × {db}"], ["{gy} × {b} × {a}<{b} − 1>", "{gy} × {y} × ln {a}"]),
    // ln a of a negative base is NaN, but does not matter to an exponent that stands still.
    ([ta, tb]) => [ta, tb !== null && dataOf(tb).every((t) => t === 0) ? null : tb],
  ),
  maximum: {
    ...elementwise(
      (a, b) => Math.max(a, b),
      [larger, (a, b) => 1 - larger(a, b)],
      rule("max", "max({a}, {b})", ["{pa} × {da}", "+ {pb} × {db}"], ["{gy} × {pa}", "{gy} × {pb}"], ["[{a} > {b}]", "[{b} ≥ {a}]"]),
    ),
    // A choice, not a product: 0 times an infinite gradient would be NaN.
    jvp: ([ta, tb], [a, b]) => select(map2(larger, a, b), ta ?? 0, tb ?? 0),
    vjp: (slot, gradient, inputs) => {
      const first = map2(larger, ...inputs);
      return sumTo(slot === 0 ? select(first, gradient, 0) : select(first, 0, gradient), shapeOf(inputs[slot]));
    },
  },
  negate: elementwise((a) => -a, [() => -1], rule("−", "−{a}", ["−{da}"], ["−{gy}"])),
  exp: elementwise(Math.exp, [(a, y) => y], rule("exp", "exp {a}", ["{y} × {da}"], ["{gy} × {y}"])),
  log: elementwise(Math.log, [(a) => 1 / a], rule("ln", "ln {a}", ["{da} / {a}"], ["{gy} / {a}"])),
  sin: elementwise(Math.sin, [(a) => Math.cos(a)], rule("sin", "sin {a}", ["cos {a} × {da}"], ["{gy} × cos {a}"])),
  cos: elementwise(Math.cos, [(a) => -Math.sin(a)], rule("cos", "cos {a}", ["−sin {a} × {da}"], ["{gy} × (−sin {a})"])),
  tan: elementwise(Math.tan, [(a, y) => 1 + y * y], rule("tan", "tan {a}", ["(1 + {y}<2>) × {da}"], ["{gy} × (1 + {y}<2>)"])),
  tanh: elementwise(Math.tanh, [(a, y) => 1 - y * y], rule("tanh", "tanh {a}", ["(1 − {y}<2>) × {da}"], ["{gy} × (1 − {y}<2>)"])),
  sigmoid: elementwise(
    sigmoid,
    [(a, y) => y * (1 - y)],
    rule("σ", "σ({a})", ["{y} × (1 − {y}) × {da}"], ["{gy} × {y} × (1 − {y})"]),
  ),
  sqrt: elementwise(Math.sqrt, [(a, y) => 0.5 / y], rule("√", "√{a}", ["{da} / (2 × {y})"], ["{gy} / (2 × {y})"])),
  abs: elementwise(Math.abs, [Math.sign], rule("|·|", "|{a}|", ["{pa} × {da}"], ["{gy} × {pa}"], ["sign {a}"])),
  relu: {
    ...elementwise(
      (a) => Math.max(a, 0),
      [(a) => (a > 0 ? 1 : 0)],
      rule("relu", "relu({a})", ["{pa} × {da}"], ["{gy} × {pa}"], ["[{a} > 0]"]),
    ),
    jvp: ([t], [a]) => map1((x, tangent) => (x > 0 ? tangent : 0), a, t),
  },

  where: {
    arity: 3,
    symbol: "where",
    forward: ([mask, a, b]) => select(mask, a, b),
    jvp: ([, ta, tb], [mask, a, b]) => select(mask, expand(ta ?? 0, shapeOf(a)), expand(tb ?? 0, shapeOf(b))),
    vjp: (slot, gradient, inputs) =>
      slot === 0
        ? zeros(shapeOf(inputs[0])) // The mask is data: nothing flows into a choice.
        : sumTo(slot === 1 ? select(inputs[0], gradient, 0) : select(inputs[0], 0, gradient), shapeOf(inputs[slot])),
  },

  matmul: {
    arity: 2,
    symbol: "@",
    forward: ([a, b]) => matmul(a, b),
    jvp: ([ta, tb], [a, b]) => (ta === null ? matmul(a, tb) : tb === null ? matmul(ta, b) : plus(matmul(ta, b), matmul(a, tb))),
    vjp: matmulGradient,
  },
  // A layer of a network in one op. Its derivatives are those of its two halves.
  affine: {
    arity: 3,
    symbol: "xW + b",
    forward: ([x, w, b]) => plus(matmul(x, w), b),
    jvp: ([tx, tw, tb], [x, w, b], y) =>
      OPS.add.jvp([tx === null && tw === null ? null : OPS.matmul.jvp([tx, tw], [x, w]), tb], [matmul(x, w), b], y),
    vjp: (slot, gradient, [x, w, b], y) => (slot < 2 ? matmulGradient(slot, gradient, [x, w]) : OPS.add.vjp(1, gradient, [y, b], y)),
  },

  sum: { symbol: "Σ", ...reducing((x, groups) => groupSums(x, groups), (x) => new Float64Array(x.length).fill(1)) },
  mean: {
    symbol: "mean",
    ...reducing(
      (x, groups) => groupSums(x, groups).map((s) => s / groups.each),
      (x, _, groups) => new Float64Array(x.length).fill(1 / groups.each),
    ),
  },
  max: {
    symbol: "max",
    ...reducing(groupMaxima, (x, y, groups) => {
      const ties = groupSums(x, groups, (v, group) => (v === y[group] ? 1 : 0));
      return Float64Array.from(x, (v, i) => (v === y[groups.map[i]] ? 1 : 0) / ties[groups.map[i]]);
    }),
  },
  logsumexp: {
    symbol: "logsumexp",
    // Shifted by the largest entry, so that exp cannot overflow; an infinite shift would make inf - inf.
    ...reducing(
      (x, groups) => {
        const shift = groupMaxima(x, groups).map((m) => (Number.isFinite(m) ? m : 0));
        return groupSums(x, groups, (v, group) => Math.exp(v - shift[group])).map((s, group) => Math.log(s) + shift[group]);
      },
      (x, y, groups) => Float64Array.from(x, (v, i) => Math.exp(v - y[groups.map[i]])),
    ),
  },

  reshape: { symbol: "reshape", ...rearranging(reshapeLayout) },
  transpose: { symbol: "T", ...rearranging(transposeLayout) },
  expand: { symbol: "expand", ...rearranging(expandLayout) },
  index: { symbol: "[ ]", ...rearranging(indexLayout) },
  concatenate: { symbol: "concat", ...joining("concatenate") },
  stack: { symbol: "stack", ...joining("stack") },
};

function opOf(name) {
  const op = Object.hasOwn(OPS, name) ? OPS[name] : null;
  if (op === null) throw new Error(`The op "${name}" is not known. Known are: ${Object.keys(OPS).join(", ")}.`);
  return op;
}

// ---- Walks of the list ---------------------------------------------------------------------------------------------------

const operands = (step, values) => step.inputs.map((input) => (typeof input === "number" ? values[input] : input.constant));

/** One value for each input of the list, from an array in list order or an object by name. */
function perInput(list, given, otherwise) {
  const values = [];
  list.inputs.forEach((input, i) => {
    values[input.id] = (Array.isArray(given) ? given[i] : given?.[input.name]) ?? otherwise(input);
  });
  return values;
}

/** Run the list: values[id] of every input and step. */
export function evaluate(list, inputs = [], round = null) {
  const kept = round === null ? (value) => value : (value) => map1(round, value);
  const values = perInput(list, inputs, (input) => input.value).map(kept);
  for (const step of list.steps) values[step.id] = kept(opOf(step.op).forward(operands(step, values).map(kept), step.constants));
  return values;
}

function tangentOf(step, values, tangents) {
  const moving = step.inputs.map((input) => (typeof input === "number" ? tangents[input] : null));
  if (moving.every((t) => t === null)) return zeros(shapeOf(values[step.id]));
  return opOf(step.op).jvp(moving, operands(step, values), values[step.id], step.constants);
}

const spread = (list, values, seed) => {
  const tangents = perInput(list, seed, () => 0);
  for (const { id } of list.inputs) tangents[id] = expand(tangents[id], shapeOf(values[id]));
  return tangents;
};

/** Forward mode: tangents[id], the derivative of every value along the direction `seed` of the inputs. */
export function tangents(list, values, seed) {
  const moving = spread(list, values, seed);
  for (const step of list.steps) moving[step.id] = tangentOf(step, values, moving);
  return moving;
}

/** The same with dual numbers: value and tangent of a step together, before the next step begins. */
export function dual(list, inputs, seed) {
  const values = perInput(list, inputs, (input) => input.value);
  const moving = spread(list, values, seed);
  for (const step of list.steps) {
    values[step.id] = opOf(step.op).forward(operands(step, values), step.constants);
    moving[step.id] = tangentOf(step, values, moving);
  }
  return { values, tangents: moving };
}

/**
 * Reverse mode: adjoints[id], the derivative of the output over every value, and what each user contributed to it. `order`
 * names the steps in the order in which they pass on all that they hold; any but the list's own, backwards, may be wrong.
 */
export function adjoints(list, values, seed, order = list.steps.map(({ id }) => id).reverse()) {
  const [bar, contributions] = [[], []];
  for (const { id } of [...list.inputs, ...list.steps]) contributions[id] = [];
  const seeds = list.outputs.length === 1 ? [seed] : seed ?? [];
  list.outputs.forEach((id, i) => {
    const start = expand(seeds[i] ?? 1, shapeOf(values[id]));
    bar[id] = bar[id] === undefined ? start : plus(bar[id], start);
  });
  const steps = new Map(list.steps.map((step) => [step.id, step]));
  for (const step of order.map((id) => steps.get(id))) {
    if (bar[step.id] === undefined) continue; // It holds nothing: in the right order, its value never reaches the output.
    const [op, inputs] = [opOf(step.op), operands(step, values)];
    step.inputs.forEach((id, slot) => {
      if (typeof id !== "number") return;
      const value = op.vjp(slot, bar[step.id], inputs, values[step.id], step.constants);
      contributions[id].push({ user: step.id, slot, value });
      bar[id] = bar[id] === undefined ? value : plus(bar[id], value);
    });
  }
  for (const { id } of [...list.inputs, ...list.steps]) bar[id] ??= zeros(shapeOf(values[id]));
  return { adjoints: bar, contributions };
}

// ---- Complex numbers -----------------------------------------------------------------------------------------------------

// The ops of typed expressions on pairs [real, imaginary]. Each real operation inside is rounded by `r`, so that float32 is
// honest here too. The imaginary part may be tiny, and must keep all its digits: no formula subtracts it from anything large.
// max, abs and relu, which choose, choose by the real part.
function complexOps(r) {
  const add = ([a, b], [c, d]) => [r(a + c), r(b + d)];
  const multiply = ([a, b], [c, d]) => [r(r(a * c) - r(b * d)), r(r(a * d) + r(b * c))];
  const divide = ([a, b], [c, d]) => {
    if (Math.abs(c) < Math.abs(d)) return divide([b, -a], [d, -c]);
    const ratio = r(d / c); // at most 1: nothing overflows
    const below = r(c + r(d * ratio));
    return [r(r(a + r(b * ratio)) / below), r(r(b - r(a * ratio)) / below)];
  };
  const exp = ([a, b]) => [r(r(Math.exp(a)) * r(Math.cos(b))), r(r(Math.exp(a)) * r(Math.sin(b)))];
  const log = ([a, b]) => [r(Math.log(r(Math.hypot(a, b)))), r(Math.atan2(b, a))];
  const sin = ([a, b]) => [r(r(Math.sin(a)) * r(Math.cosh(b))), r(r(Math.cos(a)) * r(Math.sinh(b)))];
  const cos = ([a, b]) => [r(r(Math.cos(a)) * r(Math.cosh(b))), -r(r(Math.sin(a)) * r(Math.sinh(b)))];
  const tanh = ([a, b], t = r(Math.tanh(a)), u = r(Math.tan(b))) => divide([t, u], [1, r(t * u)]);
  const tan = ([a, b], t = r(Math.tan(a)), u = r(Math.tanh(b))) => divide([t, u], [1, -r(t * u)]);
  const sqrt = ([a, b]) => {
    const root = r(Math.sqrt(r(r(r(Math.hypot(a, b)) + Math.abs(a)) / 2)));
    const other = root === 0 ? 0 : r(b / r(2 * root));
    return a >= 0 ? [root, other] : [Math.abs(other), b < 0 || Object.is(b, -0) ? -root : root];
  };
  // A whole power is a product; by way of the logarithm, that of a negative number would bring an imaginary part of its own.
  const whole = (z, n) => (n === 0 ? [1, 0] : n % 2 ? multiply(z, whole(z, n - 1)) : whole(multiply(z, z), n / 2));
  const power = (z, [p, q]) => {
    if (q !== 0 || !Number.isInteger(p) || Math.abs(p) > 1024) return exp(multiply([p, q], log(z)));
    return p < 0 ? divide([1, 0], whole(z, -p)) : whole(z, p);
  };
  const negate = ([a, b]) => [-a, -b];
  return {
    add,
    multiply,
    divide,
    negate,
    exp,
    log,
    sin,
    cos,
    tan,
    tanh,
    sqrt,
    power,
    subtract: (z, w) => add(z, negate(w)),
    sigmoid: ([a, b]) => multiply([0.5, 0], add([1, 0], tanh([r(a / 2), r(b / 2)]))),
    abs: (z) => (z[0] > 0 ? z : z[0] < 0 ? negate(z) : [z[0], 0]),
    relu: (z) => (z[0] > 0 ? z : [Math.max(z[0], 0), 0]),
    maximum: (z, w) => (z[0] > w[0] ? z : w),
  };
}

/** Run a list of scalars on complex numbers [real, imaginary], as the complex step f(x + ih) needs it. */
export function evaluateComplex(list, inputs, round = (x) => x) {
  const ops = complexOps(round);
  const kept = (z) => z.map((x) => round(x));
  const values = perInput(list, inputs, (input) => [input.value, 0]).map(kept);
  for (const step of list.steps) {
    if (!Object.hasOwn(ops, step.op)) throw new Error(`evaluateComplex: "${step.op}" is for arrays; known are ${Object.keys(ops).join(", ")}.`);
    values[step.id] = ops[step.op](...operands(step, values).map((z) => kept(typeof z === "number" ? [z, 0] : z)));
  }
  return values;
}

// ---- Making lists --------------------------------------------------------------------------------------------------------

/** Records a list call by call, computing as it goes. An op on constants alone is computed and not recorded. */
export class Recorder {
  #inputs = [];
  #steps = [];
  #values = [];

  input(name, value) {
    if (this.#steps.length) throw new Error(`Recorder: the input "${name}" comes after the first step; declare inputs first.`);
    this.#inputs.push({ id: this.#values.length, name, value });
    return this.#values.push(value) - 1;
  }

  constant(value) {
    return { constant: value };
  }

  apply(name, inputs, constants = {}) {
    const op = opOf(name);
    if (op.arity !== null && inputs.length !== op.arity) {
      throw new Error(`${name} takes ${op.arity} input${op.arity > 1 ? "s" : ""}, but ${inputs.length} were given.`);
    }
    for (const input of inputs) {
      if (typeof input === "number" ? !(input in this.#values) : input?.constant === undefined) {
        throw new Error(`${name}: ${JSON.stringify(input)} is neither the id of an earlier value nor a constant.`);
      }
    }
    const step = { id: this.#values.length, op: name, inputs: [...inputs], constants };
    const value = op.forward(operands(step, this.#values), constants);
    if (inputs.every((input) => typeof input !== "number")) return { constant: value };
    this.#steps.push({ ...step, value });
    return this.#values.push(value) - 1;
  }

  value(input) {
    return typeof input === "number" ? this.#values[input] : input.constant;
  }

  list(...outputs) {
    const last = this.#values.length - 1;
    return { format: "wengert-list", version: 1, inputs: [...this.#inputs], steps: [...this.#steps], outputs: outputs.length ? outputs : [last] };
  }
}

const number = (x) => (typeof x === "string" ? { NaN, Infinity, "-Infinity": -Infinity }[x] : Number(x));
const decoded = (value) =>
  value === null || typeof value !== "object" ? number(value) : tensor(value.shape, Float64Array.from(value.data, number));
const encodedNumber = (x) => (Number.isFinite(x) ? x : String(x));
const encoded = (value) =>
  typeof value === "number" ? encodedNumber(value) : { shape: value.shape, data: Array.from(value.data, encodedNumber) };

/** A list from JSON (an object or its text), checked, in the form that the engine reads. */
export function load(json) {
  const list = typeof json === "string" ? JSON.parse(json) : json;
  if (list?.format !== "wengert-list" || list.version !== 1) {
    throw new Error(`load: expected format "wengert-list", version 1; got "${list?.format}", version ${list?.version}.`);
  }
  const known = new Set();
  const inputs = list.inputs.map((input) => (known.add(input.id), { ...input, value: decoded(input.value) }));
  const steps = list.steps.map((step) => {
    opOf(step.op);
    const from = step.inputs.map((input) => {
      if (typeof input === "object") return { constant: decoded(input.constant) };
      if (!known.has(input)) throw new Error(`load: step ${step.id} (${step.op}) reads ${input}, which does not come before it.`);
      return input;
    });
    known.add(step.id);
    return { ...step, inputs: from, constants: step.constants ?? {}, value: step.value === undefined ? undefined : decoded(step.value) };
  });
  for (const id of list.outputs) if (!known.has(id)) throw new Error(`load: the output ${id} is not in the list.`);
  return { ...list, inputs, steps };
}

/** The JSON form of a list. */
export function dump(list) {
  return {
    ...list,
    inputs: list.inputs.map((input) => ({ ...input, value: encoded(input.value) })),
    steps: list.steps.map((step) => ({
      ...step,
      inputs: step.inputs.map((input) => (typeof input === "number" ? input : { constant: encoded(input.constant) })),
      ...(step.value === undefined ? {} : { value: encoded(step.value) }),
    })),
  };
}

export const toJSON = encoded;
export const fromJSON = decoded;

// ---- Typed expressions ---------------------------------------------------------------------------------------------------

/** A typing mistake: what is wrong and what to write, and where (position and length, in characters). */
export class ExpressionError extends Error {
  constructor(message, position, length = 1) {
    super(message);
    this.name = "ExpressionError";
    this.position = position;
    this.length = length;
  }
}

export const VARIABLES = ["x1", "x2", "x3", "x4"];
const FUNCTIONS = { sin: "sin", cos: "cos", tan: "tan", exp: "exp", ln: "log", log: "log", sqrt: "sqrt", tanh: "tanh", sigmoid: "sigmoid", relu: "relu", max: "maximum", abs: "abs" };
const NUMBERS = { pi: Math.PI };
const LONGEST = 300;
const MOST_STEPS = 60;
const OPERATORS = { "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power" };

function editDistance(a, b) {
  if ([...a].sort().join("") === [...b].sort().join("")) return 1; // sni, xep: the right letters in the wrong order
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

function unknownName(token, names) {
  const { text, position } = token;
  const fail = (message) => new ExpressionError(message, position, text.length);
  if (/^X[1-4]$/.test(text)) return fail(`Write the input with a small letter: ${text.toLowerCase()}.`);
  if (/^x\d+$/i.test(text)) return fail(`"${text}" is not an input. The inputs are x1, x2, x3 and x4.`);
  const glued = text.match(/^(x[1-4])(.+)$/);
  if (glued && [...names].includes(glued[2])) return fail(`Write the multiplication sign: ${glued[1]}*${glued[2]}.`);
  const near = [...names]
    .map((name) => [editDistance(text.toLowerCase(), name), name])
    .sort((p, q) => p[0] - q[0])[0];
  const hint = near[0] <= Math.max(1, Math.floor(text.length / 2)) ? ` Did you mean "${near[1]}"?` : "";
  return fail(`"${text}" is not known.${hint} There are x1 to x4 and ${Object.keys(FUNCTIONS).join(", ")}.`);
}

function tokenise(text) {
  const tokens = [];
  const pattern = /\s+|(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>[A-Za-z_]\w*)|(?<sign>\*\*|[-+*/(),;=])/y;
  // Signs as they come from a word processor or a phone keyboard.
  const plain = text.replace(/[−–]/g, "-").replace(/[×·]/g, "*").replace(/÷/g, "/");
  while (pattern.lastIndex < plain.length) {
    const position = pattern.lastIndex;
    const match = pattern.exec(plain);
    if (match === null) {
      const sign = text[position];
      if (sign === "^") throw new ExpressionError("Write powers with **: x1**2 is x1 squared.", position);
      if (sign === ".") throw new ExpressionError('A dot belongs to a number, as in 0.5. Write functions by name alone: sin(x1), not "np.sin(x1)".', position);
      if ("[]{}".includes(sign)) throw new ExpressionError("Use round parentheses ( ) only.", position);
      if (sign === "|") throw new ExpressionError("Write the absolute value as abs(x1).", position);
      throw new ExpressionError(`"${sign}" has no meaning here. Use + - * / ** and parentheses.`, position);
    }
    const { number, name, sign } = match.groups;
    const kind = number ? "number" : name ? "name" : sign ? "sign" : null;
    if (kind) tokens.push({ kind, text: match[0], position });
  }
  tokens.push({ kind: "end", text: "", position: plain.trimEnd().length });
  return tokens;
}

/**
 * A list from a typed expression of x1 to x4: + - * / ** with Python's precedence, parentheses, numbers, pi, and the
 * functions sin cos tan exp ln (or log) sqrt tanh sigmoid relu max abs. A value that is used twice can be named first:
 * "a = exp(x1); a + a**2". The inputs are those that occur, in order; `at` gives their values, x1 first (1 where absent).
 *
 * The terms of a sum are worked out first, left to right, then added, as in a trace that is written by hand.
 */
export function parse(text, at = []) {
  if (text.trim() === "") throw new ExpressionError("Type an expression, for example ln(x1) + x1*x2 - sin(x2).", 0);
  if (text.length > LONGEST) {
    throw new ExpressionError(`The expression has ${text.length} characters; at most ${LONGEST} can be drawn legibly.`, LONGEST, text.length - LONGEST);
  }
  const tokens = tokenise(text);
  const recorder = new Recorder();
  const used = VARIABLES.filter((name) => tokens.some((token) => token.text === name));
  const names = new Map(used.map((name) => [name, recorder.input(name, at[VARIABLES.indexOf(name)] ?? 1)]));
  let [next, steps] = [0, 0];

  const is = (...signs) => tokens[next].kind === "sign" && signs.includes(tokens[next].text);
  const known = () => new Set([...VARIABLES, ...names.keys(), ...Object.keys(FUNCTIONS), ...Object.keys(NUMBERS)]);
  const record = (op, inputs, position) => {
    if (++steps > MOST_STEPS) throw new ExpressionError(`The expression takes more than ${MOST_STEPS} operations; shorten it.`, position);
    return recorder.apply(op, inputs);
  };

  function close(open) {
    if (is(")")) return next++;
    if (tokens[next].kind === "end") {
      throw new ExpressionError('A closing parenthesis ")" is missing for this one.', open.position);
    }
    if (is(",")) throw new ExpressionError("A comma separates the two values of max(a, b). For a decimal number write a point: 2.5.", tokens[next].position);
    return refuseGlue();
  }

  /** Two values side by side: the reader left out the multiplication sign, or something else stands where a sign should. */
  function refuseGlue() {
    const token = tokens[next];
    const before = tokens[next - 1];
    if (token.kind === "sign" && token.text !== "(") {
      throw new ExpressionError(`"${token.text}" cannot stand here.`, token.position, token.text.length);
    }
    const whole = before.kind !== "sign" && token.kind !== "sign" ? `: ${before.text}*${token.text}` : ", *";
    throw new ExpressionError(`An operator is missing here. If you mean a product, write the multiplication sign${whole}.`, token.position, token.text.length);
  }

  function sum() {
    const first = product();
    const rest = [];
    while (is("+", "-")) {
      const sign = tokens[next++];
      rest.push([sign, product()]);
    }
    return rest.reduce((left, [sign, right]) => record(OPERATORS[sign.text], [left, right], sign.position), first);
  }

  function product() {
    let left = unary();
    while (is("*", "/")) {
      const sign = tokens[next++];
      left = record(OPERATORS[sign.text], [left, unary()], sign.position);
    }
    return left;
  }

  function unary() {
    if (is("+")) return next++, unary();
    if (!is("-")) return raised();
    const sign = tokens[next++];
    return record("negate", [unary()], sign.position);
  }

  function raised() {
    const base = atom();
    if (!is("**")) return base;
    const sign = tokens[next++];
    return record("power", [base, unary()], sign.position);
  }

  function atom() {
    const token = tokens[next++];
    if (token.kind === "number") return recorder.constant(Number(token.text));
    if (token.kind === "name") {
      if (Object.hasOwn(FUNCTIONS, token.text)) return call(token);
      if (names.has(token.text)) return names.get(token.text);
      if (Object.hasOwn(NUMBERS, token.text)) return recorder.constant(NUMBERS[token.text]);
      throw unknownName(token, known());
    }
    if (token.text === "(") {
      if (is(")")) throw new ExpressionError("There is nothing between these parentheses.", token.position, 2);
      const inside = sum();
      close(token);
      return inside;
    }
    next--;
    const before = tokens[next - 1];
    if (token.kind === "end") {
      throw new ExpressionError(`The expression stops too early: "${before.text}" needs a value after it.`, before.position, before.text.length);
    }
    if (token.text === ")") {
      throw before && before.text !== ")" ? new ExpressionError(`A value is missing before ")".`, token.position) : new ExpressionError('This ")" closes nothing.', token.position);
    }
    throw new ExpressionError(`A value is missing before "${token.text}".`, token.position, token.text.length);
  }

  function call(token) {
    const open = tokens[next];
    if (open.text !== "(") {
      throw new ExpressionError(`Put the argument of ${token.text} in parentheses: ${token.text}(${open.kind === "name" ? open.text : "x1"}).`, token.position, token.text.length);
    }
    next++;
    if (is(")")) throw new ExpressionError(`${token.text} needs an argument: ${token.text}(${token.text === "max" ? "x1, x2" : "x1"}).`, token.position, token.text.length);
    const values = [sum()];
    while (token.text === "max" && is(",")) {
      next++;
      values.push(sum());
    }
    close(open);
    if (token.text === "max" && values.length !== 2) {
      throw new ExpressionError(`max takes two values, max(a, b); here ${values.length === 1 ? "is one" : `are ${values.length}`}. Nest it for more: max(a, max(b, c)).`, token.position, 3);
    }
    return record(FUNCTIONS[token.text], values, token.position);
  }

  let [result, named] = [null, null];
  do {
    if (tokens[next].kind === "end" && named) {
      throw new ExpressionError(`After "${named.text} = ...;" comes the expression that uses it.`, named.position, named.text.length);
    }
    const [token, equals] = [tokens[next], tokens[next + 1]];
    named = token.kind === "name" && equals.text === "=" ? token : null;
    if (named) {
      if (VARIABLES.includes(named.text)) throw new ExpressionError(`The value of ${named.text} is set below; here it only stands for the input.`, named.position, 2);
      if (known().has(named.text)) throw new ExpressionError(`"${named.text}" already has a meaning; choose another name.`, named.position, named.text.length);
      next += 2;
    }
    result = sum();
    if (named) names.set(named.text, result);
  } while (is(";") && next++ >= 0);
  if (is(")")) throw new ExpressionError('This ")" closes nothing: there is no "(" for it.', tokens[next].position);
  if (is("=")) throw new ExpressionError('Write the expression alone, without "=". To name a value that is used twice: a = exp(x1); a + a**2.', tokens[next].position);
  if (is(",")) throw new ExpressionError("A comma separates the two values of max(a, b). For a decimal number write a point: 2.5.", tokens[next].position);
  if (tokens[next].kind !== "end") refuseGlue();
  if (named) throw new ExpressionError(`After "${named.text} = ..." comes ";" and the expression that uses it.`, named.position, named.text.length);
  if (typeof result !== "number") {
    throw new ExpressionError(`This is the number ${result.constant}: it does not change with any input. Use at least one of x1, x2, x3, x4.`, 0, text.length);
  }
  return recorder.list(result);
}

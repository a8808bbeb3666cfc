// The network of the live MLP: a Wengert list recorded once for each shape, walked at every step.
//
// Nothing here knows a derivative. The engine evaluates the list forward and hands back adjoints;
// this file lays the list out, chooses which adjoints to ask for and moves the weights.

import { adjoints, evaluate, Recorder, tensor } from "../engine.js";
import { digits, generator, normal, rows, shuffled, toy } from "./data.js";

const recorded = new Map();

/**
 * The list of a multilayer perceptron and the places in it that the page reads:
 *
 *     H1 = f(X W1 + b1),  ...,  logits = H W + b,
 *     loss = mean over the batch of (log sum exp(logits) - the logit of the right class).
 *
 * `shape` is {widths, activation, reluOnLogits}, with widths from the input to the classes. The right
 * class is picked by the one-hot rows of the input Y. The same list serves batches of every size.
 */
export function record({ widths, activation, reluOnLogits }) {
  const key = JSON.stringify([widths, activation, reluOnLogits]);
  if (recorded.has(key)) return recorded.get(key);

  const zeros = (...shape) => tensor(shape, new Float64Array(shape.reduce((a, b) => a * b, 1)));
  const recorder = new Recorder();
  const X = recorder.input("X", zeros(1, widths[0]));
  const Y = recorder.input("Y", zeros(1, widths.at(-1)));
  const layers = widths.slice(1).map((width, k) => ({
    W: recorder.input(`W${k + 1}`, zeros(widths[k], width)),
    b: recorder.input(`b${k + 1}`, zeros(width)),
  }));

  let signal = X;
  layers.forEach((layer, k) => {
    const last = k === layers.length - 1;
    const product = recorder.apply("matmul", [signal, layer.W]);
    signal = recorder.apply("add", [product, layer.b]);
    if (!last) signal = recorder.apply(activation, [signal]);
    else if (reluOnLogits) signal = recorder.apply("relu", [signal]);
    layer.out = signal;
  });
  const predict = recorder.list(signal);

  const normaliser = recorder.apply("logsumexp", [signal], { axis: 1, keepdims: false });
  const picked = recorder.apply("multiply", [signal, Y]);
  const right = recorder.apply("sum", [picked], { axis: 1, keepdims: false });
  const losses = recorder.apply("subtract", [normaliser, right]);
  const loss = recorder.apply("mean", [losses], { axis: null, keepdims: false });

  const program = { list: recorder.list(loss), predict, X, Y, layers, logits: signal, loss };
  recorded.set(key, program);
  return program;
}

/** A network {widths, activation, reluOnLogits, layers: [{W, b}]} with freshly drawn weights. */
export function initialise({ widths, activation, reluOnLogits }, random) {
  const layers = widths.slice(1).map((width, k) => {
    // Variance 2/n keeps the size of a signal through ReLU, which silences half of it; else 1/n.
    const spread = Math.sqrt((activation === "relu" ? 2 : 1) / widths[k]);
    const W = Float64Array.from({ length: widths[k] * width }, () => spread * normal(random));
    return { W: tensor([widths[k], width], W), b: tensor([width], new Float64Array(width)) };
  });
  return { widths, activation, reluOnLogits, layers };
}

/** One row a label: a one in the column of the class. */
export function oneHot(labels, classes) {
  const data = new Float64Array(labels.length * classes);
  labels.forEach((label, row) => (data[row * classes + label] = 1));
  return tensor([labels.length, classes], data);
}

const weights = (net) =>
  Object.fromEntries(
    net.layers.flatMap(({ W, b }, k) => [[`W${k + 1}`, W], [`b${k + 1}`, b]]),
  );

/** The values of every step for the inputs X and, where the loss is wanted, the labels. */
export function forward(net, X, labels = null) {
  const program = record(net);
  const Y = labels ? oneHot(labels, net.widths.at(-1)) : tensor([1, 1], [0]);
  const values = evaluate(labels ? program.list : program.predict, { X, Y, ...weights(net) });
  return { program, values };
}

/** A step of descent: w - rate * gradient, entry by entry. */
const moved = (w, gradient, rate) =>
  tensor(w.shape, w.data.map((entry, i) => entry - rate * gradient.data[i]));

/**
 * One step of stochastic gradient descent on the batch (X, labels).
 *
 * Returns {net, loss, gradients}: a new network, the loss before the step and the adjoints of the
 * old weights, [{W, b}] a layer. The network that was given stays as it is.
 */
export function trainStep(net, X, labels, rate) {
  const { program, values } = forward(net, X, labels);
  const bar = adjoints(program.list, values).adjoints;
  const gradients = program.layers.map(({ W, b }) => ({ W: bar[W], b: bar[b] }));
  const layers = net.layers.map(({ W, b }, k) => ({
    W: moved(W, gradients[k].W, rate),
    b: moved(b, gradients[k].b, rate),
  }));
  return { net: { ...net, layers }, loss: values[program.loss], gradients };
}

/** The column of the largest entry of each row: the predicted class. */
export function largest({ shape: [count, width], data }) {
  return Array.from({ length: count }, (_, row) => {
    let best = 0;
    for (let k = 1; k < width; k++)
      if (data[row * width + k] > data[row * width + best]) best = k;
    return best;
  });
}

/** {loss, accuracy} on one half of a data set. */
export function score(net, { X, labels }) {
  const { program, values } = forward(net, X, labels);
  const right = largest(values[program.logits]).filter((guess, i) => guess === labels[i]).length;
  return { loss: values[program.loss], accuracy: right / labels.length };
}

/** Class probabilities, one row an example: the exponentials of logits - log sum exp(logits). */
export function probabilities(net, X) {
  const { program, values } = forward(net, X);
  const recorder = new Recorder();
  const logits = recorder.input("logits", values[program.logits]);
  const normaliser = recorder.apply("logsumexp", [logits], { axis: 1, keepdims: true });
  const p = recorder.apply("exp", [recorder.apply("subtract", [logits, normaliser])]);
  return evaluate(recorder.list(p))[p];
}

/**
 * For each layer, for each unit: the share of the examples on which the unit passes no gradient
 * (the slope of its activation is below 0.01 there; for ReLU that means exactly 0).
 */
export function silent(net, X) {
  const { program, values } = forward(net, X);
  return program.layers.map((layer, k) => {
    const last = k === program.layers.length - 1;
    const [count, width] = values[layer.out].shape;
    if (last && !net.reluOnLogits) return new Array(width).fill(0);
    const { predict } = program;
    const step = predict.steps.find(({ id }) => id === layer.out);
    const slope = adjoints(
      { ...predict, outputs: [layer.out] },
      values,
      tensor([count, width], new Float64Array(count * width).fill(1)),
    ).adjoints[step.inputs[0]];
    return Array.from({ length: width }, (_, unit) => {
      let quiet = 0;
      for (let row = 0; row < count; row++)
        if (Math.abs(slope.data[row * width + unit]) < 0.01) quiet++;
      return quiet / count;
    });
  });
}

/**
 * What one unit computes on the rows of X and how it depends on them: {activation, gradient}, where
 * gradient[row] is the derivative of the unit's activation over that row of X (the adjoint of X for
 * a seed that is one in the unit's column).
 */
export function unitGradient(net, layer, unit, X) {
  const { program, values } = forward(net, X);
  const { out } = program.layers[layer];
  const [count, width] = values[out].shape;
  const seed = new Float64Array(count * width);
  for (let row = 0; row < count; row++) seed[row * width + unit] = 1;
  const list = { ...program.predict, outputs: [out] };
  const bar = adjoints(list, values, tensor([count, width], seed)).adjoints[program.X];
  const activation = Array.from({ length: count }, (_, row) => values[out].data[row * width + unit]);
  return { activation, gradient: bar };
}

/** A run: data, network, batches and history, all determined by the settings. */
export class Training {
  /**
   * settings: {data, hidden, activation, rate, batch, seed, reluOnLogits}; batch 0 means the whole
   * training set. The rate and the batch size may be changed while the run goes on.
   */
  constructor(settings, packedDigits = null) {
    const { data, hidden, seed } = settings;
    this.settings = settings;
    this.data = data === "digits" ? digits(packedDigits) : toy(data, seed);
    this.random = generator(seed + 100000); // other draws than the points'
    const widths = [this.data.features, ...hidden, this.data.classes];
    this.net = initialise({ ...settings, widths }, this.random);
    this.steps = 0;
    this.examples = 0;
    this.queue = [];
    this.trouble = null; // "growing" or "nan", once something has gone wrong
    this.history = [];
    this.every = data === "digits" ? 10 : 5; // steps between two measurements
    this.record();
    this.smooth = this.history[0].train.loss; // the loss of recent batches
  }

  get epoch() {
    return this.examples / this.data.train.labels.length;
  }

  /** The next batch: the training set in random order, drawn anew when it is used up. */
  nextBatch() {
    const { train } = this.data;
    if (!this.queue.length) this.queue = shuffled(train.labels.length, this.random);
    return rows(train, this.queue.splice(0, this.settings.batch || train.labels.length));
  }

  step() {
    const { X, labels } = this.nextBatch();
    const { net, loss } = trainStep(this.net, X, labels, this.settings.rate);
    this.net = net;
    this.steps += 1;
    this.examples += labels.length;
    this.smooth += 0.1 * (loss - this.smooth);
    if (this.steps % this.every === 0) this.record();
    if (!Number.isFinite(loss)) this.trouble = "nan";
    else if (this.smooth > 2 * this.history[0].train.loss && !this.warned) {
      this.trouble = "growing";
      this.warned = true;
    }
  }

  /** Loss and accuracy on both halves at the weights of this moment. */
  now() {
    if (this.measured?.step !== this.steps) {
      const { train, test } = this.data;
      this.measured = { step: this.steps, train: score(this.net, train), test: score(this.net, test) };
    }
    return this.measured;
  }

  /** The history up to this moment. */
  scores() {
    return this.history.at(-1)?.step === this.steps ? this.history : [...this.history, this.now()];
  }

  /** Keeps the scores of this step; a long history keeps every second entry. */
  record() {
    this.history.push(this.now());
    if (this.history.length > 200) {
      this.every *= 2;
      this.history = this.history.filter(({ step }) => step % this.every === 0);
    }
  }
}

// The data sets of the live MLP: four toys in the plane, drawn from a seed, and the digits.
//
// A data set is {name, features, classes, train, test}; each half is {X, labels}, where X is a
// tensor with one example a row and labels are integers.

import { tensor } from "../engine.js";

/** A generator of uniform numbers in [0, 1), the same sequence for the same seed (mulberry32). */
export function generator(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One draw from the standard normal distribution (Box and Muller). */
export const normal = (random) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** 0, 1, ..., n - 1 in random order (Fisher and Yates). */
export function shuffled(n, random) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

// One point of class 0 or 1. The picture shows the square from -EXTENT to EXTENT on both axes.
export const EXTENT = 1.9;

export const TOYS = {
  moons(random, label) {
    const t = Math.PI * random();
    const [x, y] = label ? [1 - Math.cos(t), 0.5 - Math.sin(t)] : [Math.cos(t), Math.sin(t)];
    return [x - 0.5 + 0.12 * normal(random), y - 0.25 + 0.12 * normal(random)];
  },
  circles(random, label) {
    const t = 2 * Math.PI * random();
    const radius = (label ? 0.6 : 1.35) + 0.12 * normal(random);
    return [radius * Math.cos(t), radius * Math.sin(t)];
  },
  xor(random, label) {
    const [x, y] = [0.12 + 1.4 * random(), 0.12 + 1.4 * random()];
    const side = random() < 0.5 ? 1 : -1;
    return [side * x, (label ? -side : side) * y];
  },
  spirals(random, label) {
    const t = Math.sqrt(0.02 + 0.98 * random());
    const angle = 2.9 * Math.PI * t + Math.PI * label;
    const point = [1.65 * t * Math.cos(angle), 1.65 * t * Math.sin(angle)];
    return point.map((x) => x + 0.04 * normal(random));
  },
};

/** A toy with 300 points to learn from and 150 to be tested on, the classes in turn. */
export function toy(name, seed, sizes = [300, 150]) {
  const random = generator(seed);
  const half = (count) => {
    const labels = Array.from({ length: count }, (_, i) => i % 2);
    const points = labels.map((label) => TOYS[name](random, label));
    return { X: tensor([count, 2], points.flat()), labels };
  };
  const [train, test] = sizes.map(half);
  return { name, features: 2, classes: 2, train, test };
}

/**
 * The 8 x 8 digits from their packed form: {images, labels, train}, where `images` is base64 of one
 * byte (0 to 16) a pixel, `labels` a string of figures, and the first `train` images are for training.
 */
export function digits(packed) {
  const bytes = Uint8Array.from(atob(packed.images), (letter) => letter.charCodeAt(0));
  const labels = Array.from(packed.labels, Number);
  const half = (from, to) => ({
    X: tensor([to - from, 64], Array.from(bytes.subarray(64 * from, 64 * to), (ink) => ink / 16)),
    labels: labels.slice(from, to),
  });
  return {
    name: "digits",
    features: 64,
    classes: 10,
    train: half(0, packed.train),
    test: half(packed.train, labels.length),
  };
}

/** The chosen rows of {X, labels}: a batch. */
export function rows({ X, labels }, chosen) {
  const width = X.shape[1];
  const data = [];
  for (const row of chosen)
    for (let column = 0; column < width; column++) data.push(X.data[row * width + column]);
  return { X: tensor([chosen.length, width], data), labels: chosen.map((row) => labels[row]) };
}

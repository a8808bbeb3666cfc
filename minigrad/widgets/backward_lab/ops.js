/* The ops of the lab: their forwards, in the language of the editor, and the mistakes that everybody makes once.
 *
 * `forward` has a line for each value that is kept, the output y last. A mistake has a line for each input. No right backward
 * is written here: that is the reader's part, and the witness needs none. */

export const CASES = {
  relu: {
    title: "ReLU",
    shape: [3, 4],
    inputs: { x: [-1.5, 0.5, 2, -0.3, 0.7, 1.2, -0.8, 0.9, 0.6, -2.1, 0, -0.7] },
    forward: { y: "maximum(x, 0)" },
    mistakes: {
      forgotten: { title: "g forgotten", lines: ["step(x)"] },
      unmasked: { title: "no mask", lines: ["g"] },
      gradient: { title: "mask from the gradient", lines: ["g * step(g)"] },
      leaning: { title: "slope −1 on the left", lines: ["g * where(x > 0, 1, -1)"] },
      sign: { title: "wrong sign", lines: ["-g * step(x)"] },
      side: { title: "wrong side", lines: ["g * (x < 0)"] },
      kink: { title: "slope 1 at the kink", lines: ["g * (x >= 0)"] },
    },
  },
  normalize: {
    title: "Normalize",
    shape: [3, 3],
    inputs: { x: [1, 2, 3, 0.5, 0.8, 1.7, 2.2, 0.6, 1.1] },
    forward: { s: "sum(x, 1)", y: "x / s" },
    mistakes: {
      constant: { title: "s taken for a constant", lines: ["g / s"] },
      square: { title: "1/s for 1/s²", lines: ["g / s - sum(g * x, 1) / s"] },
      power: { title: "1/s² for 1/s", lines: ["g / s**2 - sum(g * x, 1) / s**2"] },
      index: { title: "x outside the sum", lines: ["g / s - sum(g, 1) * x / s**2"] },
      sign: { title: "plus for minus", lines: ["g / s + sum(g * x, 1) / s**2"] },
      diagonal: { title: "minus on the diagonal", lines: ["-g * (s - x) / s**2 - (sum(g * x, 1) - g * x) / s**2"] },
      sum: { title: "sum forgotten", lines: ["g / s - g * x / s**2"] },
      axis: { title: "sum down the columns", lines: ["g / s - sum(g * x, 0) / s**2"] },
      forgotten: { title: "g forgotten", lines: ["(s - x) / s**2"] },
      zeros: { title: "all zeros", lines: ["0 * g"] },
      seven: { title: "−7 times right", lines: ["-7 * (g / s - sum(g * x, 1) / s**2)"] },
    },
  },
  divide: {
    title: "Division",
    shape: [2, 3],
    inputs: { a: [1, -2, 3, 0.5, 4, -1.5], b: [2, 0.5, -1, 4, 1.5, 0.8] },
    forward: { y: "a / b" },
    mistakes: {
      sign: { title: "minus forgotten", lines: ["g / b", "g * a / b**2"] },
      square: { title: "1/b for 1/b²", lines: ["g / b", "-g * a / b"] },
      order: { title: "wrong order", lines: ["-g * a / b**2", "g / b"] },
      forgotten: { title: "g forgotten", lines: ["1 / b", "-a / b**2"] },
      product: { title: "the product's rule", lines: ["g * b", "g * a"] },
      one: { title: "b forgotten", lines: ["g / b", "0 * g"] },
    },
  },
  layernorm: {
    title: "LayerNorm",
    shape: [3, 4],
    inputs: { x: [1, 2, 3.5, 0.5, -0.8, 1.7, 0.6, 2.1, 2.2, -0.9, 1.4, 0.3] },
    forward: { m: "mean(x, 1)", sd: "sqrt(mean((x - m)**2, 1))", y: "(x - m) / sd" },
    mistakes: {
      constant: { title: "m and sd constant", lines: ["g / sd"] },
      deviation: { title: "sd constant", lines: ["(g - mean(g, 1)) / sd"] },
      mean: { title: "m constant", lines: ["(g - y * mean(g * y, 1)) / sd"] },
      sums: { title: "sums for means", lines: ["(g - sum(g, 1) - y * sum(g * y, 1)) / sd"] },
      index: { title: "y inside the mean", lines: ["(g - mean(g, 1) - mean(g * y * y, 1)) / sd"] },
      sign: { title: "plus for minus", lines: ["(g - mean(g, 1) + y * mean(g * y, 1)) / sd"] },
      axis: { title: "mean down the columns", lines: ["(g - mean(g, 0) - y * mean(g * y, 1)) / sd"] },
      factor: { title: "1/sd forgotten", lines: ["g - mean(g, 1) - y * mean(g * y, 1)"] },
      input: { title: "x for y", lines: ["(g - mean(g, 1) - x * mean(g * x, 1)) / sd"] },
    },
  },
};

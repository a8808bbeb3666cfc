/* Any widget alone, with no kernel and no build: serve this folder with any static server and open
 *   demo.html?widget=live_mlp&data=spirals&hidden=[16,16]&relu_on_logits&theme=dark
 * A further parameter is a trait, in JSON unless it is a word; without a value it is true. What ends in .json is fetched. */

// What each widget starts from. Python measures and records where a widget shows measurements and records; here are a few.
const STARTS = {
  backward_lab: { op: "relu", lines: [], weights: "random", words: {} },
  cost_explorer: {
    n: 256, m: 1, width: 128, by: "count",
    measured: [[256, 1, 128, 15, 0.08, 2], [1, 256, 128, 0.05, 12.5, 0.02], [16, 16, 128, 0.6, 0.5, 0.09]],
  },
  gradcheck_microscope: {
    op: "normalize", mistake: "zeros", cotangent: "ones", dtype: "float64", distance: "relative",
    h: 1e-6, tolerance: 1e-5, entry: 0,
  },
  graph_xray: { program: "exponential", node: "", unused: false, visits: false, step: -1, unfolded: [], recorded: "graph_xray/recorded.json" },
  live_mlp: {
    data: "moons", hidden: [8, 8], activation: "tanh", rate: 0.3, batch: 32, seed: 0,
    relu_on_logits: false, digits: null,
  },
  memory_timeline: { length: 100, plan: "all", every: 10, checkpoints: [] },
  nudge: { surface: "formula", at: [], nudge: [], rate: 0.5 },
  shape_and_blame: { op: "matmul", shapes: 0, drop: false, forget: false, recorded: "shape_and_blame/recorded.json" },
  swell_meter: { family: "logistic", n: 3, show: "raw", recorded: "swell_meter/recorded.json" },
  trace_player: { expression: "ln(x1) + x1*x2 - sin(x2)", at: [2, 5], seed: [1, 0], mode: "both", step: -1, moves: [] },
  v_curve: {
    expression: "ln(x1) + x1*x2 - sin(x2)", at: [2, 5], along: "x2", formula: "forward", dtype: "float64",
    h: 1e-4, theory: true, revealed: false,
  },
};

function given(text) {
  if (text === "") return true;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The smallest host that a widget needs: get, set, on, save_changes. */
function createModel(traits) {
  const listeners = {};
  return {
    get: (name) => traits[name],
    set(name, value) {
      if (JSON.stringify(traits[name]) === JSON.stringify(value)) return;
      traits[name] = value;
      for (const f of listeners[`change:${name}`] ?? []) f();
    },
    on: (event, f) => (listeners[event] ??= []).push(f),
    off() {},
    save_changes() {},
  };
}

const title = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

async function show(name, traits, place) {
  document.title = document.querySelector("h1").textContent = title(name);
  const styles = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${name}/${name}.css` });
  const styled = new Promise((done) => (styles.onload = done));
  document.head.append(styles);
  for (const [trait, value] of Object.entries(traits))
    if (String(value).endsWith(".json")) traits[trait] = await (await fetch(value)).json();
  const { default: widget } = await import(`./${name}/${name}.js`);
  await styled;
  window.model = createModel(traits);
  widget.render({ model: window.model, el: place });
}

const { widget, theme, ...asked } = Object.fromEntries(new URLSearchParams(location.search));
const place = document.querySelector(".widget-place");
if (theme) document.documentElement.dataset.theme = theme;
if (widget in STARTS) {
  for (const name in asked) asked[name] = given(asked[name]);
  await show(widget, { ...STARTS[widget], ...asked }, place);
} else {
  place.innerHTML = Object.keys(STARTS).map((name) => `<p><a href="?widget=${name}">${title(name)}</a></p>`).join("");
}
place.dataset.state = "ready"; // the same word as in the book

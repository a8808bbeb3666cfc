// The live MLP: a small network that trains in the page while the reader looks at it.
//
// network.js trains, data.js has the examples, draw.js paints. This file is the page's side: controls,
// the clock, words. It is an anywidget: render({model, el}) is called once for each place in a page.

import { tensor } from "../engine.js";
import { announcer, brief, format, keepKeys, uniqueId, urlState } from "../toolkit.js";
import {
  drawBars,
  drawCurves,
  drawDigits,
  drawNetwork,
  drawPixels,
  drawPlane,
  drawResponse,
  planePoints,
} from "./draw.js";
import { rows } from "./data.js";
import { largest, probabilities, silent, Training, trainStep, unitGradient } from "./network.js";

export { Training, trainStep };

const DATA = {
  moons: "Two moons",
  circles: "Circles",
  xor: "XOR",
  spirals: "Spirals",
  digits: "Digits, 8 × 8 pixels",
};
const ACTIVATIONS = { tanh: "tanh", sigmoid: "sigmoid", relu: "ReLU" };
const RATES = [-3, -2, -1, 0, 1].flatMap((power) =>
  [1, 1.5, 2, 3, 5, 7].map((lead) => Number(`${lead}e${power}`)),
).concat(100);
const BATCHES = [1, 4, 8, 16, 32, 64, 128, 0]; // 0: the whole training set
const WIDEST = 32;
// Steps a second; "fast" asks for more than fits into the slice of any frame.
const SPEEDS = { slow: 5, steady: 60, fast: 1e6 };
const SPEED_NAMES = { slow: "5 steps a second", steady: "60 steps a second", fast: "as fast as it can" };

const SLICE = 8; // milliseconds of training in a frame: the page stays responsive
const REDRAW = 66; // milliseconds between two pictures while the network runs
const CALM_REDRAW = 1000; // the same where the reader asked for less motion
const SPEAK = 2500; // milliseconds between two spoken summaries
const FINE = 56; // the decision surface is evaluated on FINE x FINE points
const SHOWN = 48; // test digits in the grid

// ---- Small tools ------------------------------------------------------------------------------------

const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)}\u00a0%` : "–");
const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
const clamp = (text, low, high) => Math.min(high, Math.max(low, Math.round(Number(text)) || low));

/** The least of 1, 2, 3, 4, 6, 8, 10, 20, ... that is not below x: an axis ends at a round number. */
const roundUp = (x) => {
  const unit = 10 ** Math.floor(Math.log10(x));
  return unit * [1, 2, 3, 4, 6, 8, 10].find((lead) => lead * unit >= x);
};

const options = (names, chosen) =>
  Object.entries(names)
    .map(([value, name]) => `<option value="${value}"${value === String(chosen) ? " selected" : ""}>${name}</option>`)
    .join("");

/** A table as HTML: a caption, header cells, rows whose first cell is a header too. */
const table = (caption, head, body) => `<table><caption>${caption}</caption>
  <thead><tr>${head.map((cell) => `<th scope="col">${cell}</th>`).join("")}</tr></thead>
  <tbody>${body
    .map(([first, ...rest]) => `<tr><th scope="row">${first}</th>${rest.map((cell) => `<td>${cell}</td>`).join("")}</tr>`)
    .join("")}</tbody></table>`;

// The part of the state that Python knows, by the names that it has there.
const TRAITS = {
  data: "data",
  hidden: "hidden",
  activation: "activation",
  rate: "rate",
  batch: "batch",
  seed: "seed",
  reluOnLogits: "relu_on_logits",
};

// ---- The address --------------------------------------------------------------------------------------

// Each entry of the state as text, and back; `undefined` for a text that makes no sense.
const whole = (low, high) => (text) => (/^\d+$/.test(text) && text >= low && text <= high ? Number(text) : undefined);
const oneOf = (names) => (text) => (Object.hasOwn(names, text) ? text : undefined);
const READ = {
  data: oneOf(DATA),
  hidden: (text) => {
    const widths = text.split("-").map(whole(1, WIDEST));
    return widths.length <= 3 && widths.every(Boolean) ? widths : undefined;
  },
  activation: oneOf(ACTIVATIONS),
  rate: (text) => (Number(text) > 0 && Number(text) <= RATES.at(-1) ? Number(text) : undefined),
  batch: whole(0, 10000),
  seed: whole(0, 99999),
  reluOnLogits: (text) => text === "true",
  edges: oneOf({ weight: 1, gradient: 1 }),
  speed: oneOf(SPEEDS),
  unit: (text) => (/^\d+-\d+$/.test(text) ? text : undefined),
  table: (text) => text === "true",
};
const asText = (value) => (Array.isArray(value) ? value.join("-") : String(value));

function fromAddress(address, hasDigits) {
  const state = {};
  for (const [field, read] of Object.entries(READ)) {
    const text = address.read(field);
    const value = text === null ? undefined : read(text);
    if (value !== undefined && (value !== "digits" || hasDigits)) state[field] = value;
  }
  return state;
}

/** What differs from the page's own settings; null takes an entry out of the address. */
const toAddress = (state, given) =>
  Object.fromEntries(
    Object.keys(READ).map((field) => [field, asText(state[field]) === asText(given[field]) ? null : asText(state[field])]),
  );

// ---- What the page says -------------------------------------------------------------------------

const layerName = (net, layer) => (layer === net.layers.length - 1 ? "logits" : `hidden layer ${layer + 1}`);
const unitName = (net, { layer, unit }) =>
  layer === net.layers.length - 1 ? `logit of class ${unit}` : `hidden layer ${layer + 1}, unit ${unit + 1}`;

/** What went wrong with a run, why, and what to do; null while all is well. */
export function diagnosis(run, quiet) {
  const { rate, reluOnLogits } = run.settings;
  if (run.trouble === "nan")
    return `The loss became NaN at step ${run.steps}. At rate ${rate} each step went so far past the
      minimum that the next gradient was larger still, until the numbers overflowed. Every weight is
      lost: lower the rate to about ${brief(rate / 10)} and press Reset.`;
  if (run.trouble === "growing")
    return `Stopped at step ${run.steps}: the loss of recent batches is ${brief(run.smooth)} on average, up from
      ${brief(run.history[0].train.loss)} at the start. At rate ${rate} a step overshoots: the gradient tells the slope
      where you stand, and the loss bends before the step ends. Lower the rate to about
      ${brief(rate / 10)} and press Reset, or press Run to watch it go on.`;
  // A logit should speak up for its own class, a tenth of the digits; one in fifty is as good as none.
  const dead = quiet.at(-1).flatMap((share, unit) => (share > 0.98 ? [String(unit)] : []));
  if (reluOnLogits && dead.length) {
    const [logits, are, them, these] =
      dead.length === 1 ? ["Logit", "is", "it", "this class"] : ["Logits", "are", "them", "these classes"];
    return `${logits} ${listed(dead)} ${are} dead or nearly so: ReLU makes ${them} 0 on more than 98 % of the
      training examples, so hardly any gradient comes back and ${these} cannot be learnt. Switch off ReLU on
      the logits.`;
  }
  const lost = quiet.slice(0, -1).findIndex((layer) => layer.every((share) => share === 1));
  if (lost >= 0)
    return `Every unit of ${layerName(run.net, lost)} is silent on every training example: no gradient passes
      it, and the layers before it stand still. Lower the rate or change the seed, and press Reset.`;
  return null;
}

/** The state of the run in one sentence. */
export function summary(run, { train, test }, state) {
  return `${state}, step ${run.steps}, epoch ${run.epoch.toFixed(1)}: training loss ${format(train.loss, 3)},
    accuracy ${percent(train.accuracy)} on training data and ${percent(test.accuracy)} on test data.`.replace(/\s+/g, " ");
}

// ---- The widget -------------------------------------------------------------------------------------

/** The widget's fixed parts. What changes is found by its data-part and filled in below. */
const page = (id, state) => `
  <div class="bar">
    <div class="buttons" role="group" aria-label="Training">
      <button type="button" class="mg-button main" data-part="run">Run</button>
      <button type="button" class="mg-button" data-part="step">Step</button>
      <button type="button" class="mg-button" data-part="reset">Reset</button>
    </div>
    <div class="figures">
      <p>Step <b data-part="steps"></b></p>
      <p>Epoch <b data-part="epoch"></b></p>
      <p>Loss <b data-part="loss"></b></p>
      <p>Accuracy <b data-part="train"></b></p>
      <p>Test accuracy <b data-part="test"></b></p>
    </div>
  </div>
  <div class="settings" role="group" aria-label="Settings">
    <div class="field"><label for="${id}-data">Data</label>
      <select id="${id}-data" data-part="data">${options(DATA, state.data)}</select></div>
    <div class="field"><label for="${id}-depth">Hidden layers</label>
      <select id="${id}-depth" data-part="depth">${options({ 1: 1, 2: 2, 3: 3 }, state.hidden.length)}</select></div>
    <div class="field" role="group" aria-label="Widths of the hidden layers"><span>Units in each</span>
      <span class="widths">${[1, 2, 3]
        .map((k) => `<input type="number" min="1" max="${WIDEST}" data-width="${k}" aria-label="Units in hidden layer ${k}">`)
        .join("")}</span></div>
    <div class="field"><label for="${id}-activation">Activation</label>
      <select id="${id}-activation" data-part="activation">${options(ACTIVATIONS, state.activation)}</select></div>
    <div class="field wide"><label for="${id}-rate">Learning rate <output data-part="rateValue"></output></label>
      <input id="${id}-rate" type="range" min="0" max="${RATES.length - 1}" step="1" data-part="rate"></div>
    <div class="field"><label for="${id}-batch">Batch size</label>
      <select id="${id}-batch" data-part="batch">${[...new Set([state.batch, ...BATCHES])]
        .sort((a, b) => (a || Infinity) - (b || Infinity))
        .map((size) => `<option value="${size}"${size === state.batch ? " selected" : ""}>${size || "all"}</option>`)
        .join("")}</select></div>
    <div class="field"><label for="${id}-seed">Seed</label>
      <input id="${id}-seed" type="number" min="0" max="99999" data-part="seed"></div>
    <div class="field"><label for="${id}-speed">Speed</label>
      <select id="${id}-speed" data-part="speed">${options(SPEED_NAMES, state.speed)}</select></div>
    <label class="mg-switch"><input type="checkbox" role="switch" data-part="logits"> <span>ReLU on the logits</span></label>
  </div>
  <p class="notice" role="status" data-part="notice"></p>
  <div class="panels" data-part="panels">
    <figure class="surface">
      <figcaption data-part="surfaceTitle"></figcaption>
      <canvas role="img" data-part="surface"></canvas>
      <p class="key" data-part="surfaceKey"></p>
    </figure>
    <figure class="net">
      <figcaption>The network
        <span class="choice" role="radiogroup" aria-label="Edges show">edges show
          <label><input type="radio" name="${id}-edges" value="weight"> weights</label>
          <label><input type="radio" name="${id}-edges" value="gradient"> gradients</label>
        </span></figcaption>
      <canvas role="img" data-part="net"></canvas>
      <p class="key"><i class="line"></i> positive <i class="line dashed"></i> negative;
        the wider, the larger. A unit is filled as far as it passes a gradient on; a cross marks a dead one.</p>
    </figure>
    <figure class="curves">
      <figcaption>Loss and accuracy</figcaption>
      <canvas role="img" data-part="lossCurve"></canvas>
      <canvas role="img" data-part="accuracyCurve"></canvas>
      <p class="key"><i class="line"></i> training <i class="line dashed"></i> test</p>
    </figure>
    <figure class="unit">
      <figcaption><label for="${id}-unit">One unit</label> <select id="${id}-unit" data-part="unit"></select></figcaption>
      <div class="pictures">
        <div><canvas role="img" data-part="incoming"></canvas><p>incoming weights</p></div>
        <div><canvas role="img" data-part="response"></canvas><p data-part="responseTitle"></p></div>
      </div>
      <p class="key" data-part="unitFacts"></p>
    </figure>
  </div>
  <div class="tables" role="region" aria-label="Tables" tabindex="0" data-part="tables" hidden></div>
  <span data-part="probe" hidden></span>
  <div class="foot" data-part="foot">
    <label class="mg-switch"><input type="checkbox" role="switch" data-part="table"> <span>Show as table</span></label>
  </div>`;

function render({ model, el }) {
  const id = uniqueId("live");
  const packed = model.get("digits");
  const given = Object.fromEntries(Object.entries(TRAITS).map(([field, trait]) => [field, model.get(trait)]));
  Object.assign(given, { edges: "weight", speed: "steady", unit: "0-0", table: false });
  const address = urlState("mlp");
  const state = { ...given, ...fromAddress(address, Boolean(packed)) };
  if (state.data === "digits" && !packed) state.data = "moons";

  const root = document.createElement("section");
  root.className = "mg-widget live-mlp";
  root.setAttribute("aria-label", "A network that trains in the page");
  root.innerHTML = page(id, state);
  root.dataset.mgState = address.mark;
  keepKeys(root);
  el.append(root);
  const voice = announcer();
  const parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((e) => [e.dataset.part, e]));
  parts.foot.prepend(voice.element);
  const widths = [...root.querySelectorAll("[data-width]")];
  const edges = [...root.querySelectorAll(`[name="${id}-edges"]`)];
  if (!packed) Object.assign(parts.data.querySelector("[value=digits]"), { disabled: true, text: "Digits (not in this page)" });

  let run, sample, quiet, places;

  // -- Settings: the reader changes the state, the state fills the controls

  function change(changes, anew = true) {
    Object.assign(state, changes);
    fill();
    address.write(toAddress(state, given));
    for (const [field, trait] of Object.entries(TRAITS))
      if (asText(model.get(trait)) !== asText(state[field])) model.set(trait, state[field]);
    model.save_changes();
    if (anew) restart();
    else {
      // The rate and the batch size may change while a run goes on.
      Object.assign(run.settings, { rate: state.rate, batch: state.batch });
      draw();
    }
  }

  function fill() {
    parts.data.value = state.data;
    parts.depth.value = state.hidden.length;
    widths.forEach((input, k) => {
      input.hidden = k >= state.hidden.length;
      input.value = state.hidden[k] ?? "";
    });
    parts.activation.value = state.activation;
    const near = RATES.map((r) => Math.abs(Math.log(r / state.rate)));
    parts.rate.value = near.indexOf(Math.min(...near));
    parts.rate.setAttribute("aria-valuetext", String(state.rate));
    parts.rateValue.textContent = format(state.rate, 4);
    parts.batch.value = state.batch;
    parts.seed.value = state.seed;
    parts.speed.value = state.speed;
    parts.unit.value = state.unit;
    parts.logits.checked = state.reluOnLogits;
    parts.table.checked = state.table;
    edges.forEach((radio) => (radio.checked = radio.value === state.edges));
  }

  const listen = (part, event, act) => parts[part].addEventListener(event, act);
  listen("data", "change", () => change({ data: parts.data.value }));
  listen("depth", "change", () => {
    const layers = [0, 1, 2].slice(0, Number(parts.depth.value));
    change({ hidden: layers.map((k) => state.hidden[k] ?? state.hidden.at(-1)) });
  });
  widths.forEach((input, k) =>
    input.addEventListener("change", () => change({ hidden: state.hidden.with(k, clamp(input.value, 1, WIDEST)) })),
  );
  listen("activation", "change", () => change({ activation: parts.activation.value }));
  listen("rate", "input", () => change({ rate: RATES[parts.rate.value] }, false));
  listen("batch", "change", () => change({ batch: Number(parts.batch.value) }, false));
  listen("seed", "change", () => change({ seed: clamp(parts.seed.value, 0, 99999) }));
  listen("logits", "change", () => change({ reluOnLogits: parts.logits.checked }));
  listen("speed", "change", () => change({ speed: parts.speed.value }, false));
  listen("unit", "change", () => change({ unit: parts.unit.value }, false));
  listen("table", "change", () => change({ table: parts.table.checked }, false));
  edges.forEach((radio) => radio.addEventListener("change", () => change({ edges: radio.value }, false)));
  listen("net", "click", (event) => {
    const distance = ({ x, y }) => Math.hypot(x - event.offsetX, y - event.offsetY);
    const near = places.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    if (distance(near) < 24) change({ unit: `${near.layer}-${near.unit}` }, false);
  });

  // -- The run

  const clock = { running: false, seen: true, frame: 0, last: 0, owed: 0, drawn: 0, spoken: 0, tabled: 0 };
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const rest = () => (still.matches ? CALM_REDRAW : REDRAW);

  function restart() {
    run = new Training({ ...state }, packed);
    const count = Math.min(300, run.data.train.labels.length);
    sample = rows(run.data.train, Array.from({ length: count }, (_, i) => i));
    const { layers } = run.net;
    const [layer, unit] = state.unit.split("-").map(Number);
    if (!layers[layer] || unit >= layers[layer].b.shape[0]) state.unit = "0-0";
    parts.unit.innerHTML = layers
      .map((each, k) => {
        const units = Array.from({ length: each.b.shape[0] }, (_, unit) => [`${k}-${unit}`, unitName(run.net, { layer: k, unit })]);
        return `<optgroup label="${layerName(run.net, k)}">${options(Object.fromEntries(units), state.unit)}</optgroup>`;
      })
      .join("");
    draw();
    speak();
  }

  function setRunning(running) {
    if (running && run.trouble === "growing") run.trouble = null;
    clock.running = running;
    parts.run.textContent = running ? "Pause" : "Run";
    clock.last = performance.now();
    clock.owed = 0;
    wake();
    draw();
    speak();
  }

  /** The clock ticks only while the network runs and somebody can see it. */
  function wake() {
    cancelAnimationFrame(clock.frame);
    if (clock.running && clock.seen && !document.hidden) clock.frame = requestAnimationFrame(tick);
  }

  function tick(now) {
    const elapsed = Math.min(100, Math.max(0, now - clock.last));
    clock.last = now;
    clock.owed = Math.min(clock.owed + (elapsed * SPEEDS[state.speed]) / 1000, SPEEDS[state.speed]);
    const end = performance.now() + SLICE;
    while (clock.owed >= 1 && performance.now() < end && !run.trouble) {
      run.step();
      clock.owed -= 1;
    }
    if (run.trouble) return setRunning(false);
    if (now - clock.drawn > rest()) draw();
    if (now - clock.spoken > SPEAK) speak();
    clock.frame = requestAnimationFrame(tick);
  }

  function oneStep() {
    if (clock.running) setRunning(false);
    if (run.trouble === "nan") return;
    run.trouble = null;
    run.step();
    draw();
    speak();
  }

  listen("run", "click", () => setRunning(!clock.running));
  listen("step", "click", oneStep);
  listen("reset", "click", () => {
    setRunning(false);
    restart();
  });

  // -- Words and pictures

  function speak() {
    clock.spoken = performance.now();
    const latest = run.now();
    voice.say(summary(run, latest, clock.running ? "Running" : "Paused"));
  }

  // A canvas needs plain colours; the browser works out which of light and dark a variable means now.
  const palette = () =>
    Object.fromEntries(
      ["ink", "soft", "line", "paper", "plus", "minus"].map((name) => {
        parts.probe.style.color = `var(--mg-${name})`;
        return [name, getComputedStyle(parts.probe).color];
      }),
    );

  function draw() {
    if (!root.isConnected) return; // Jupyter renders first and attaches later; then the size changes from nothing
    clock.drawn = performance.now();
    const latest = run.now();
    quiet = silent(run.net, sample.X);
    parts.steps.textContent = run.steps;
    parts.epoch.textContent = run.epoch.toFixed(1);
    parts.loss.textContent = format(latest.train.loss, 3);
    parts.train.textContent = percent(latest.train.accuracy);
    parts.test.textContent = percent(latest.test.accuracy);
    const message = diagnosis(run, quiet);
    if (parts.notice.textContent !== (message ?? "")) parts.notice.textContent = message ?? "";
    parts.panels.hidden = state.table;
    parts.tables.hidden = !state.table;
    if (state.table) return drawTables();
    const colours = palette();
    drawSurface(colours);
    drawNet(colours);
    drawHistory(colours);
    drawUnit(colours);
  }

  function drawSurface(colours) {
    const toy = run.data.name !== "digits";
    parts.surfaceTitle.textContent = toy ? "What it predicts where" : "Test digits and what it says";
    parts.surfaceKey.innerHTML = toy
      ? '<i class="disc"></i> class 0 <i class="square"></i> class 1; hollow: test points. The line is where the classes are equally likely.'
      : "A framed digit is predicted wrongly: “3 ≠ 8” means that the network says 3 and the digit is an 8.";
    if (toy) {
      const p = probabilities(run.net, tensor([FINE * FINE, 2], planePoints(FINE)));
      const field = Array.from({ length: FINE * FINE }, (_, i) => 2 * p.data[2 * i + 1] - 1);
      drawPlane(parts.surface, { field, n: FINE, data: run.data, palette: colours });
      parts.surface.setAttribute("aria-label", `The plane coloured by the predicted class, with ${run.data.train.labels.length} training and ${run.data.test.labels.length} test points.`);
    } else {
      const half = shownDigits();
      const guesses = largest(probabilities(run.net, half.X));
      drawDigits(parts.surface, { half, guesses, palette: colours });
      const wrong = guesses.filter((guess, i) => guess !== half.labels[i]).length;
      parts.surface.setAttribute("aria-label", `${SHOWN} test digits with their predictions; ${wrong} are wrong.`);
    }
  }

  const shownDigits = () => rows(run.data.test, Array.from({ length: SHOWN }, (_, i) => i));

  const selected = () => {
    const [layer, unit] = state.unit.split("-").map(Number);
    return { layer, unit };
  };

  /** The gradient of the loss on the sample, at the weights of this moment. */
  const gradients = () => trainStep(run.net, sample.X, sample.labels, 0).gradients;

  function drawNet(colours) {
    const sources = state.edges === "weight" ? run.net.layers : gradients();
    const { widths: columns } = run.net;
    places = drawNetwork(parts.net, {
      widths: columns,
      strengths: sources.map(({ W }) => W.data),
      quiet,
      selected: selected(),
      labels: {
        columns: columns.map((_, k) => (k === 0 ? "input" : k === columns.length - 1 ? "logits" : `hidden ${k}`)),
        inputs: run.data.name === "digits" ? null : ["x₁", "x₂"],
      },
      palette: colours,
    });
    parts.net.setAttribute("aria-label", `The network drawn with ${columns.join(", ")} units from input to logits; edges show ${state.edges}s. Choose a unit under “One unit”.`);
  }

  function drawHistory(colours) {
    const scores = run.scores();
    const steps = scores.map(({ step }) => step);
    const pair = (key) => [
      { values: scores.map(({ test }) => test[key]), dashed: true, colour: colours.minus },
      { values: scores.map(({ train }) => train[key]), dashed: false, colour: colours.plus },
    ];
    const losses = scores.flatMap(({ train, test }) => [train.loss, test.loss]).filter(Number.isFinite);
    const top = roundUp(Math.max(...losses, 1e-3));
    drawCurves(parts.lossCurve, { steps, series: pair("loss"), top, format: brief, palette: colours });
    const share = (x) => `${Math.round(100 * x)} %`;
    drawCurves(parts.accuracyCurve, { steps, series: pair("accuracy"), top: 1, format: share, palette: colours });
    parts.lossCurve.setAttribute("aria-label", `Loss over ${run.steps} steps, from ${brief(scores[0].train.loss)} to ${brief(scores.at(-1).train.loss)} on training data.`);
    parts.accuracyCurve.setAttribute("aria-label", `Accuracy over ${run.steps} steps, now ${percent(run.now().train.accuracy)} on training and ${percent(run.now().test.accuracy)} on test data.`);
  }

  /** Weights that lead into a unit, in the order of its inputs. */
  function incoming({ layer, unit }) {
    const { W } = run.net.layers[layer];
    return Array.from({ length: W.shape[0] }, (_, i) => W.data[i * W.shape[1] + unit]);
  }

  function drawUnit(colours) {
    const { layer, unit } = selected();
    const toy = run.data.name !== "digits";
    const into = incoming({ layer, unit });
    if (layer === 0 && !toy) drawPixels(parts.incoming, { values: into, palette: colours });
    else {
      const names = into.map((_, i) => (layer === 0 ? ["x₁", "x₂"][i] : String(i + 1)));
      drawBars(parts.incoming, { values: into, names, palette: colours });
    }
    parts.incoming.setAttribute("aria-label", `Incoming weights: ${into.length <= 10 ? into.map((w) => brief(w)).join(", ") : `${into.length} numbers from ${brief(Math.min(...into))} to ${brief(Math.max(...into))}`}.`);
    if (toy) {
      const [fine, coarse] = [28, 7];
      const field = unitGradient(run.net, layer, unit, tensor([fine * fine, 2], planePoints(fine))).activation;
      const points = planePoints(coarse);
      const { gradient } = unitGradient(run.net, layer, unit, tensor([coarse * coarse, 2], points));
      const pair = (data, i) => [data[2 * i], data[2 * i + 1]];
      const arrows = Array.from({ length: coarse * coarse }, (_, i) => ({ at: pair(points, i), gradient: pair(gradient.data, i) }));
      drawResponse(parts.response, { field, n: fine, arrows, palette: colours });
      parts.responseTitle.textContent = "activation; arrows: input gradient";
    } else {
      drawPixels(parts.response, { values: meanGradient({ layer, unit }), palette: colours });
      parts.responseTitle.textContent = "input gradient, mean";
    }
    parts.response.setAttribute("aria-label", `How ${unitName(run.net, { layer, unit })} depends on the input.`);
    const share = quiet[layer][unit];
    const { b } = run.net.layers[layer];
    const last = layer === run.net.layers.length - 1;
    const passes = last && !run.net.reluOnLogits
      ? "A logit without activation always passes its gradient on."
      : `Passes no gradient on ${percent(share)} of ${sample.labels.length} training examples${share === 1 ? ": it is dead" : ""}.`;
    parts.unitFacts.textContent = `Bias ${brief(b.data[unit])}. ${passes}`;
  }

  /** The derivative of a unit over the input, averaged over the sample. */
  function meanGradient({ layer, unit }) {
    const { gradient } = unitGradient(run.net, layer, unit, sample.X);
    const [count, width] = gradient.shape;
    return Array.from({ length: width }, (_, k) => {
      let sum = 0;
      for (let row = 0; row < count; row++) sum += gradient.data[row * width + k];
      return sum / count;
    });
  }

  function drawTables() {
    if (clock.running && performance.now() - clock.tabled < 1000) return;
    clock.tabled = performance.now();
    const scores = run.scores();
    const spacing = Math.ceil(scores.length / 10);
    const kept = scores.filter((_, i) => (scores.length - 1 - i) % spacing === 0);
    const history = kept.map(({ step, train, test }) => [step, brief(train.loss), brief(test.loss), percent(train.accuracy), percent(test.accuracy)]);
    const bars = gradients();
    const peak = (numbers) => brief(numbers.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0));
    const units = run.net.layers.flatMap(({ W, b }, layer) =>
      Array.from(b.data, (bias, unit) => {
        const into = (data) => Array.from({ length: W.shape[0] }, (_, i) => data[i * W.shape[1] + unit]);
        const passes = layer === run.net.layers.length - 1 && !run.net.reluOnLogits ? "–" : percent(quiet[layer][unit]);
        return [unitName(run.net, { layer, unit }), brief(bias), peak(into(W.data)), peak(into(bars[layer].W.data)), passes];
      }),
    );
    parts.tables.innerHTML =
      table("Loss and accuracy", ["Step", "Training loss", "Test loss", "Training accuracy", "Test accuracy"], history) +
      predictionTable() +
      table("Units", ["Unit", "Bias", "Largest incoming weight", "Largest gradient of those", "Passes no gradient on"], units);
  }

  function predictionTable() {
    if (run.data.name === "digits") {
      const half = shownDigits();
      const p = probabilities(run.net, half.X);
      const body = largest(p).map((guess, i) => [i + 1, half.labels[i], guess, percent(p.data[10 * i + guess]), guess === half.labels[i] ? "right" : "wrong"]);
      return table("Test digits", ["Digit", "It is", "Predicted", "Probability", "That is"], body);
    }
    const n = 7;
    const points = planePoints(n);
    const p = probabilities(run.net, tensor([n * n, 2], points));
    const across = Array.from({ length: n }, (_, i) => `x₁ = ${format(points[2 * i], 1)}`);
    const body = across.map((_, row) => [
      `x₂ = ${format(points[2 * n * row + 1], 1)}`,
      ...across.map((__, column) => percent(p.data[2 * (n * row + column) + 1])),
    ]);
    return table("Probability of class 1 over the plane", ["", ...across], body);
  }

  // -- The world around: the kernel if there is one, size, colours, visibility

  const follow = Object.entries(TRAITS).map(([field, trait]) => {
    const onChange = () => {
      const value = model.get(trait);
      if (asText(value) !== asText(state[field])) change({ [field]: value }, !["rate", "batch"].includes(field));
    };
    model.on(`change:${trait}`, onChange);
    return () => model.off(`change:${trait}`, onChange);
  });

  const sizes = new ResizeObserver(() => draw());
  const views = new IntersectionObserver(([entry]) => {
    clock.seen = entry.isIntersecting;
    clock.last = performance.now();
    wake();
  });
  const themes = new MutationObserver(() => draw());
  const looks = [matchMedia("(prefers-color-scheme: dark)"), matchMedia("print")];
  const onHidden = () => {
    clock.last = performance.now();
    wake();
  };

  fill();
  restart();
  sizes.observe(root);
  views.observe(root);
  for (const element of [document.documentElement, document.body])
    themes.observe(element, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light", "class"] });
  for (const look of looks) look.addEventListener("change", draw);
  document.addEventListener("visibilitychange", onHidden);

  return () => {
    clock.running = false;
    cancelAnimationFrame(clock.frame);
    follow.forEach((stop) => stop());
    sizes.disconnect();
    views.disconnect();
    themes.disconnect();
    for (const look of looks) look.removeEventListener("change", draw);
    document.removeEventListener("visibilitychange", onHidden);
  };
}

export default { render };

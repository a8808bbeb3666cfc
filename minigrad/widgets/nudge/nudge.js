/* The nudge: a point on a surface, a short arrow, and what the slopes say about the other end of it.
 *
 * Two surfaces: the book's running formula, and the loss of a logistic model over two of its weights. Values come from
 * running the surface's Wengert list, slopes from the engine's adjoints. */

import { adjoints, evaluate, parse } from "../engine.js";
import { announcer, button, choice, copy, format, h, inJupyter, keepKeys, slider, toggle, uniqueId, urlState } from "../toolkit.js";
import { makePlane, makeSlice } from "./plane.js";

// The four rows of the chapter; of the three weights, the last is held at 0. A row with the answer no counts with its sign turned.
const ROWS = [[0.52, 1.12, 1], [0.88, -1.08, 1], [0.52, 0.06, -1], [0.74, -2.49, 1]];
const LOSS = ROWS.map(([a, b, sign]) => `ln(1 + exp(${-sign} * (${a}*x1 + ${b}*x2)))`).join(" + ");

const SURFACES = {
  formula: {
    list: parse("ln(x1) + x1*x2 - sin(x2)"),
    letter: "f",
    variable: "x",
    title: "the formula ln x1 + x1 x2 − sin x2",
    window: [[0.2, 6.2], [2, 8]],
    ticks: [[2, 4, 6], [2, 4, 6, 8]],
    at: [2, 5],
    nudge: [0.5, 0],
  },
  loss: {
    list: parse(LOSS),
    letter: "L",
    variable: "w",
    title: "the loss of a logistic model",
    window: [[-2, 4], [-3, 3]],
    ticks: [[-2, 0, 2, 4], [-2, 0, 2]],
    at: [-1, 2],
  },
};
for (const surface of Object.values(SURFACES)) surface.names = [`${surface.variable}1`, `${surface.variable}2`];

export default {
  render({ model, el }) {
    const url = urlState("nudge");
    const state = { surface: "formula", at: [2, 5], nudge: [0.5, 0], rate: 0.5, path: [], table: false };
    const surface = () => SURFACES[state.surface];

    // ---- Computing -----------------------------------------------------------------------------------------------------------

    /** The value and the slopes at a point. */
    function look(at) {
      const { list } = surface();
      const values = evaluate(list, at);
      return { value: values[list.outputs[0]], gradient: list.inputs.map(({ id }) => adjoints(list, values).adjoints[id]) };
    }

    /** What a nudge does, and what the slopes said that it would do. */
    function measured(nudge, { value, gradient } = look(state.at)) {
      const actual = look(state.at.map((x, i) => x + nudge[i])).value - value;
      const predicted = gradient[0] * nudge[0] + gradient[1] * nudge[1];
      return { value, gradient, actual, predicted, difference: actual - predicted };
    }

    const downhill = () => look(state.at).gradient.map((g) => -state.rate * g + 0);

    // ---- The elements ----------------------------------------------------------------------------------------------------------

    const plane = makePlane({ onPoint: (at) => move({ at: at.map(rounded) }), onNudge: (nudge) => move({ nudge: nudge.map(rounded) }), arrow: uniqueId("arrow") });
    const slice = makeSlice();
    const rounded = (x) => Number(x.toFixed(2)) + 0;
    const what = choice({ label: "Surface", options: Object.fromEntries(Object.entries(SURFACES).map(([key, { title }]) => [key, title])), value: state.surface, onChange: (key) => open(key) });
    const quantity = (name, kind) => {
      const number = h("dd", { class: `mg-${kind}` });
      return { number, element: h("div", { class: "mg-quantity" }, h("dt", {}, name), number) };
    };
    const shown = { actual: quantity("actual change", "primal"), predicted: quantity("predicted change", "tangent"), difference: quantity("difference", "apart") };
    const working = h("p", { class: "mg-sum" });
    const place = h("p", { class: "mg-place mg-primal" });
    const letter = (text, i) => h("span", { html: `${text}<sub>${i + 1}</sub>` });
    const sliders = h("div", { class: "mg-nudge-sliders" });
    const rate = slider({ label: "rate", name: "learning rate", min: 0.05, max: 4, step: 0.05, value: state.rate, onInput: (x) => x > 0 && ((state.rate = x), move({ nudge: downhill() })) });
    rate.element.classList.add("mg-rate");
    const stepper = button({ label: "One step downhill", hint: "Move the point by minus the rate times the gradient", onClick: step });
    const halve = button({ label: "Halve the nudge", onClick: () => move({ nudge: state.nudge.map((d) => d / 2) }) });
    const follow = button({ label: "Move to the tip", hint: "Make the tip of the arrow the new point", onClick: () => go(state.nudge) });
    const tables = h("div", { class: "mg-scroll mg-table mg-nudge-tables", tabindex: 0, role: "region", "aria-label": "The nudge in numbers", hidden: true });
    const pictures = h("div", { class: "mg-pair mg-pictures" }, h("div", {}, plane.element, h("p", { class: "mg-key mg-lines" }, h("span", { class: "mg-key-nudge" }, "the nudge"), h("span", { class: "mg-key-gradient" }, "the gradient’s direction"))), h("div", { class: "mg-slice-place" }, slice.element, h("p", { class: "mg-key mg-lines" }, h("span", { class: "mg-key-actual" }, "the function along the arrow"), h("span", { class: "mg-key-predicted" }, "its tangent line"))));
    const asTable = toggle({ label: "Show as table", onChange: (on) => ((state.table = on), show()) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-nudge", "aria-label": "Nudge", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, what.element, place),
      pictures,
      tables,
      h("dl", { class: "mg-quantities" }, shown.actual.element, shown.predicted.element, shown.difference.element),
      working,
      sliders,
      h("div", { class: "mg-buttons" }, rate.element, stepper, halve, follow),
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => open(original.surface, original) })),
    );
    keepKeys(root);

    let controls = [];
    function makeSliders() {
      const { window, variable } = surface();
      controls = ["at", "nudge"].flatMap((kind) =>
        [0, 1].map((i) => {
          const [low, high] = kind === "at" ? window[i] : [-1, 1];
          const name = kind === "at" ? `${variable}${i + 1}` : `nudge of ${variable}${i + 1}`;
          const text = kind === "at" ? `<i>${variable}</i>` : `Δ<i>${variable}</i>`;
          const made = slider({ label: letter(text, i), name, min: low, max: high, step: 0.01, figures: 4, value: state[kind][i], onInput: (x) => move({ [kind]: state[kind].map((old, k) => (k === i ? x : old)) }) });
          made.element.classList.add(kind === "at" ? "mg-of-point" : "mg-of-nudge");
          return { kind, i, made };
        }),
      );
      sliders.replaceChildren(...controls.map(({ made }) => made.element));
    }

    // ---- Moving ------------------------------------------------------------------------------------------------------------------

    /** The reader has moved the point or the arrow. A point that is put elsewhere starts a new path. */
    function move(change) {
      if (change.at) state.path = [];
      Object.assign(state, change);
      show();
    }

    function go(by) {
      state.path = [...state.path, state.at];
      state.at = state.at.map((x, i) => x + by[i]);
      show();
    }

    function step() {
      go(downhill());
      state.nudge = downhill();
      show();
    }

    /** Show a surface, from its own starting point unless told otherwise. */
    function open(key, { at, nudge } = {}) {
      state.surface = key;
      state.path = [];
      state.at = [...(at ?? surface().at)];
      state.nudge = [...(nudge ?? surface().nudge ?? downhill())];
      what.set(key);
      makeSliders();
      show();
    }

    // ---- Showing -------------------------------------------------------------------------------------------------------------------

    const signed = (x, digits = 6) => (x > 0 ? `+${format(x, digits)}` : format(x, digits));
    const inParentheses = (x) => (x < 0 ? `(${format(x)})` : format(x));

    function sentence({ value, actual, predicted, difference }) {
      const { names, letter } = surface();
      const where = `At ${names[0]} = ${format(state.at[0])}, ${names[1]} = ${format(state.at[1])}`;
      if (!Number.isFinite(value)) return `${where} there is no ${letter}: the logarithm takes positive numbers only.`;
      const nudge = `the nudge (${state.nudge.map((d) => format(d)).join(", ")})`;
      if (!Number.isFinite(actual)) return `${where} ${letter} is ${format(value)}, but ${nudge} leads to where the logarithm does not exist.`;
      const steps = state.path.length ? `After ${state.path.length} ${state.path.length === 1 ? "step" : "steps"} ${letter} is ${format(value)}. ` : "";
      const off = difference === 0 ? "and nothing is left over" : `which is ${format(Math.abs(difference))} too ${difference < 0 ? "high" : "low"}`;
      return `${steps}${where}, ${nudge} changes ${letter} by ${format(actual)}; the slopes predict ${format(predicted)}, ${off}.`;
    }

    function table(caption, heads, rows) {
      return h("table", { class: "mg-table" }, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows.map(([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((text) => h("td", {}, text))))));
    }

    function showTables(here) {
      const { names, letter } = surface();
      const parts = [[1, "whole"], [1 / 2, "1/2"], [1 / 4, "1/4"], [1 / 8, "1/8"]].map(([part, word]) => {
        const { actual, predicted, difference } = measured(state.nudge.map((d) => part * d), here);
        return [word, format(actual), format(predicted), format(difference, 7)];
      });
      const stops = [...state.path, state.at].map((at, k) => [String(k), ...at.map((x) => format(x)), format(look(at).value)]);
      tables.replaceChildren(
        table("The nudge, and parts of it", ["nudge", "actual", "predicted", "difference"], parts),
        table("The path", ["step", ...names, letter], stops),
      );
    }

    function show() {
      const here = measured(state.nudge);
      const { letter, variable } = surface();
      pictures.hidden = state.table;
      tables.hidden = !state.table;
      rate.element.hidden = stepper.hidden = state.surface !== "loss";
      rate.set(state.rate);
      for (const { kind, i, made } of controls) made.set(state[kind][i]);
      plane.update(surface(), { ...state, ...here });
      slice.update(surface(), { ...state, ...here });
      if (state.table) showTables(here);
      place.innerHTML = `<i>${letter}</i> = ${format(here.value)}`;
      for (const key of ["actual", "predicted"]) shown[key].number.textContent = signed(here[key]);
      shown.difference.number.textContent = signed(here.difference);
      const part = (i) => `<span class="mg-adjoint">${i ? inParentheses(here.gradient[i]) : format(here.gradient[i])}</span> × ${inParentheses(state.nudge[i])}`;
      const slopes = [0, 1].map((i) => `<span class="mg-adjoint">∂<i>${letter}</i>/∂<i>${variable}</i><sub>${i + 1}</sub></span> Δ<i>${variable}</i><sub>${i + 1}</sub>`);
      working.innerHTML = `<span>predicted = ${slopes.join(" + ")}</span> <span>= ${part(0)} + ${part(1)}</span> <span>= <b class="mg-tangent">${format(here.predicted)}</b></span>`;
      voice.say(sentence(here));
      status.textContent = "";
      save();
    }

    // ---- Address and model -----------------------------------------------------------------------------------------------------------

    const shared = () => ({ "": state.surface, at: state.at.map((x) => Number(x.toFixed(6))).join(","), by: state.nudge.map((x) => Number(x.toFixed(6))).join(","), rate: state.rate });
    const traits = () => ({ surface: model.get("surface"), at: model.get("at"), nudge: model.get("nudge"), rate: model.get("rate") });
    const pair = (numbers) => (numbers?.length === 2 && numbers.every(Number.isFinite) ? numbers : undefined);
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      for (const [name, value] of Object.entries({ surface: state.surface, at: [...state.at], nudge: [...state.nudge], rate: state.rate })) model.set(name, value);
      model.save_changes();
      ready = true;
    }
    function start({ surface: key, at, nudge, rate: speed }) {
      ready = false;
      state.rate = speed;
      open(key, { at: pair(at), nudge: pair(nudge) });
      ready = true;
    }

    el.append(root);
    const given = url.read();
    const numbers = (field) => pair(url.read(field)?.split(",").map(Number));
    const first = traits();
    const original = { surface: first.surface, at: pair(first.at), nudge: pair(first.nudge) };
    if (given !== null && given in SURFACES) {
      const speed = Number(url.read("rate"));
      start({ surface: given, at: numbers("at"), nudge: numbers("by"), rate: speed > 0 ? speed : first.rate });
      root.scrollIntoView({ block: "nearest" });
    } else start(first);
    for (const name of ["surface", "at", "nudge", "rate"]) model.on(`change:${name}`, () => ready && start(traits()));
  },
};

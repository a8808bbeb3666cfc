/* The cost explorer: what the Jacobian of a network with n inputs, m outputs and one hidden layer costs.
 *
 * The reader turns n, m and the width. Multiplications are counted here, by formula; the milliseconds were measured with
 * minigrad when the page was made, and come with it. */

import { announcer, button, choice, copy, format, h, inJupyter, keepKeys, svg, toggle, urlState } from "../toolkit.js";

export const SIZES = [1, 4, 16, 64, 256];
const WIDTHS = [16, 128, 512];
const WAYS = {
  forward: { title: "Forward mode", letter: "F", kind: "tangent" },
  reverse: { title: "Reverse mode", letter: "R", kind: "adjoint" },
  nudges: { title: "Nudging", letter: "N", kind: "primal" },
};

/** Multiplications for the whole Jacobian of y = W2 tanh(W1 x). One run has w(n + m); a sweep has as many again, and two for
 * each hidden unit: the slope 1 - t t, and its product with what is passed on. Forward mode runs the values along with each
 * sweep, reverse mode runs them once. */
export function count(n, m, width) {
  const run = width * (n + m);
  return { forward: n * (run + run + 2 * width), reverse: run + m * (run + 2 * width), nudges: (n + 1) * run };
}

const whole = (x) => x.toLocaleString("en-GB");
const plural = (k, word) => `${whole(k)} ${word}${k === 1 ? "" : "s"}`;
const clock = (ms) => (ms === undefined ? "not measured" : `${format(ms, ms < 1 ? 3 : ms < 10 ? 2 : 1)} ms`);
const times = (x) => (x < 9.95 ? x.toFixed(1) : whole(Math.round(x)));

/** A control with few stops: a slider over them, and the number that it stands at. */
function stops({ label, name, values, onInput }) {
  const range = h("input", { type: "range", min: 0, max: values.length - 1, step: 1, "aria-label": name, onInput: () => onInput(values[Number(range.value)]) });
  const number = h("output", { class: "mg-cost-number", "aria-hidden": "true" });
  const element = h("div", { class: "mg-slider mg-cost-slider" }, h("span", { class: "mg-slider-label", "aria-hidden": "true" }, label), range, number);
  return {
    element,
    set(value) {
      range.value = values.indexOf(value);
      range.setAttribute("aria-valuetext", String(value));
      number.textContent = whole(value);
    },
  };
}

const [CELL, LEFT, TOP] = [34, 44, 8];

/** The map: a cell for each n and m, with the letter of the cheaper mode. One cell is chosen; arrow keys move it. */
function makeMap(onChoose) {
  const cells = SIZES.map((n, i) =>
    SIZES.map((m, j) => {
      const [x, y] = [LEFT + i * CELL, TOP + (SIZES.length - 1 - j) * CELL];
      const ground = svg("rect", { x, y, width: CELL, height: CELL });
      const letter = svg("text", { x: x + CELL / 2, y: y + CELL / 2 + 5, "text-anchor": "middle" });
      return { n, m, ground, letter, element: svg("g", { onClick: () => onChoose(n, m) }, ground, letter) };
    }),
  ).flat();
  const frame = svg("rect", { class: "mg-cost-frame", width: CELL - 3, height: CELL - 3, rx: 3 });
  const low = TOP + SIZES.length * CELL;
  const words = SIZES.map((size, i) => [
    svg("text", { x: LEFT + (i + 0.5) * CELL, y: low + 15, "text-anchor": "middle" }, String(size)),
    svg("text", { x: LEFT - 6, y: low - (i + 0.5) * CELL + 4, "text-anchor": "end" }, String(size)),
  ]);
  const middle = TOP + (SIZES.length / 2) * CELL;
  const element = svg(
    "svg",
    { class: "mg-cost-map", viewBox: `0 0 ${LEFT + SIZES.length * CELL + 6} ${low + 36}`, role: "img" },
    cells.map((cell) => cell.element),
    frame,
    svg("g", { class: "mg-cost-words" }, words.flat(), svg("text", { x: LEFT + (SIZES.length / 2) * CELL, y: low + 32, "text-anchor": "middle" }, "inputs n"), svg("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, "outputs m")),
  );
  return {
    element,
    update(at, winner, judged) {
      for (const { n, m, ground, letter } of cells) {
        const won = winner(n, m);
        ground.setAttribute("class", `mg-cost-cell mg-cost-${won ?? "none"}`);
        letter.textContent = won === "tie" ? "=" : won ? WAYS[won].letter : "?";
      }
      frame.setAttribute("x", LEFT + SIZES.indexOf(at.n) * CELL + 1.5);
      frame.setAttribute("y", TOP + (SIZES.length - 1 - SIZES.indexOf(at.m)) * CELL + 1.5);
      const reverse = cells.filter(({ n, m }) => winner(n, m) === "reverse").length;
      element.setAttribute("aria-label", `Map of n and m from 1 to 256. ${judged}, reverse mode is the cheaper of the two modes in ${reverse} of ${cells.length} cells.`);
    },
  };
}

/** The Jacobian as a rectangle of m rows and n columns, ruled in the way in which it is filled. */
function jacobian(way, n, m) {
  const [width, height] = [n, m].map((size) => 12 + 15 * Math.log2(size) * 0.5);
  const [x, y] = [(74 - width) / 2, (74 - height) / 2];
  const across = way === "reverse";
  const lines = Math.min(across ? m : n, 24);
  const rule = Array.from({ length: lines - 1 }, (_, i) => {
    const at = ((i + 1) / lines) * (across ? height : width);
    return across ? `M${x},${y + at}h${width}` : `M${x + at},${y}v${height}`;
  });
  return svg("svg", { class: `mg-cost-jacobian mg-cost-${way}`, viewBox: "0 0 74 74", "aria-hidden": "true" }, svg("rect", { x, y, width, height }), svg("path", { d: rule.join("") }));
}

export default {
  render({ model, el }) {
    const url = urlState("cost");
    const state = { n: 256, m: 1, width: 128, by: "count", table: false };
    const recorded = new Map();

    const milliseconds = (n, m, width) => recorded.get([n, m, width].join()) ?? {};
    const prices = (n, m, by = state.by) => (by === "count" ? count(n, m, state.width) : milliseconds(n, m, state.width));
    function cheaper(n, m) {
      const { forward, reverse } = prices(n, m);
      if (forward === undefined) return null;
      return forward === reverse ? "tie" : forward < reverse ? "forward" : "reverse";
    }

    // ---- The elements ----------------------------------------------------------------------------------------------------------

    const knobs = {
      n: stops({ label: h("span", { html: "inputs <i>n</i>" }), name: "inputs n", values: SIZES, onInput: (n) => change({ n }) }),
      m: stops({ label: h("span", { html: "outputs <i>m</i>" }), name: "outputs m", values: SIZES, onInput: (m) => change({ m }) }),
      width: stops({ label: "width", name: "width of the hidden layer", values: WIDTHS, onInput: (width) => change({ width }) }),
    };
    const map = makeMap((n, m) => change({ n, m }));
    const judge = choice({ label: "Map by", options: { count: "multiplications", clock: "the clock" }, value: "count", onChange: (by) => change({ by }) });
    const bars = h("div", { class: "mg-cost-ways" });
    const tables = h("div", { class: "mg-scroll mg-table mg-cost-tables", tabindex: 0, role: "region", "aria-label": "The costs, in numbers", hidden: true });
    const pictures = h("div", { class: "mg-cost-pictures" }, h("div", { class: "mg-cost-side" }, map.element, judge.element), bars);
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-cost", "aria-label": "Cost explorer", "data-mg-state": url.mark },
      h("div", { class: "mg-cost-knobs" }, Object.values(knobs).map(({ element }) => element)),
      pictures,
      tables,
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    // ---- Showing -----------------------------------------------------------------------------------------------------------------

    const sweeps = (way) => {
      const { n, m } = state;
      if (way === "forward") return `${plural(n, "forward sweep")}: ${n === 1 ? "the one column" : "a column each"}`;
      if (way === "reverse") return `1 run, ${plural(m, "reverse sweep")}: ${m === 1 ? "the one row" : "a row each"}`;
      return `${plural(n + 1, "run")}: a column for each nudge, and noisy`;
    };

    function showBars() {
      const { n, m } = state;
      const [counts, measured] = [prices(n, m, "count"), prices(n, m, "clock")];
      const bar = (way, all, text) => {
        const most = Math.max(...Object.values(all));
        const share = all[way] === undefined ? 0 : Math.max(0.4, (100 * all[way]) / most);
        return h("div", { class: "mg-cost-bar" }, h("span", { class: "mg-cost-track" }, h("span", { class: `mg-cost-fill mg-cost-${way}`, style: `width: ${share}%` })), h("span", { class: "mg-cost-value" }, text));
      };
      const ways = Object.entries(WAYS).map(([way, { title, kind }]) =>
        h(
          "div",
          { class: "mg-cost-way" },
          jacobian(way, n, m),
          h("div", {}, h("p", {}, h("b", { class: `mg-${kind}` }, title), " ", h("span", { class: "mg-cost-sweeps" }, sweeps(way))), bar(way, counts, `${whole(counts[way])} ×`), bar(way, measured, clock(measured[way]))),
        ),
      );
      bars.replaceChildren(...ways);
    }

    function showTable() {
      const head = ["n", "m", ...Object.values(WAYS).flatMap(({ title }) => [`${title}, multiplications`, `${title}, ms`])];
      const pairs = SIZES.flatMap((n) => SIZES.map((m) => [n, m]));
      const rows = pairs.map(([n, m]) => {
        const [counts, measured] = [prices(n, m, "count"), prices(n, m, "clock")];
        const cells = Object.keys(WAYS).flatMap((way) => [whole(counts[way]), measured[way] === undefined ? "–" : format(measured[way], 4)]);
        const chosen = n === state.n && m === state.m;
        return h("tr", { class: chosen ? "mg-cost-chosen" : "", "aria-current": chosen ? "true" : null }, h("th", { scope: "row" }, String(n)), [m, ...cells].map((text) => h("td", {}, String(text))));
      });
      tables.replaceChildren(h("table", {}, h("caption", {}, `The whole Jacobian of a network with ${state.width} hidden units`), h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)));
    }

    function sentence() {
      const { n, m } = state;
      const [counts, measured] = [prices(n, m, "count"), prices(n, m, "clock")];
      const [less, more] = counts.forward < counts.reverse ? ["forward", "reverse"] : ["reverse", "forward"];
      const shape = `${plural(n, "input")} and ${plural(m, "output")}`;
      const same = counts.forward === counts.reverse;
      const counted = same ? `With ${shape}, both modes need ${whole(counts.forward)} multiplications.` : `With ${shape}, ${less} mode needs ${whole(counts[less])} multiplications, ${more} mode ${times(counts[more] / counts[less])} times as many.`;
      if (measured.forward === undefined) return counted;
      const agree = same || measured[less] <= measured[more];
      const clocked = agree ? `${same ? "The clock" : "The clock agrees"}: ${clock(measured[less])} in ${less} mode, ${clock(measured[more])} in ${more} mode.` : `The clock says otherwise: ${less} mode took ${clock(measured[less])}, ${more} mode ${clock(measured[more])}. So near to a tie, what each call costs decides.`;
      return `${counted} ${clocked}`;
    }

    function show() {
      for (const [name, knob] of Object.entries(knobs)) knob.set(state[name]);
      judge.set(state.by);
      asTable.set(state.table);
      pictures.hidden = state.table;
      tables.hidden = !state.table;
      map.update(state, cheaper, state.by === "count" ? "By multiplications" : "By the clock");
      showBars();
      if (state.table) showTable();
      voice.say(sentence());
      status.textContent = "";
      save();
    }

    function change(what) {
      Object.assign(state, what);
      show();
    }

    // ---- Address and model ---------------------------------------------------------------------------------------------------------

    const NAMES = ["n", "m", "width", "by"];
    const shared = () => ({ "": `${state.n},${state.m}`, width: state.width, by: state.by });
    const traits = () => Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false;
      for (const name of NAMES) model.set(name, state[name]);
      model.save_changes();
      ready = true;
    }
    function start(from) {
      ready = false;
      recorded.clear();
      for (const [n, m, width, forward, reverse, nudges] of model.get("measured") ?? []) recorded.set([n, m, width].join(), { forward, reverse, nudges });
      Object.assign(state, { table: false }, from);
      show();
      ready = true;
    }

    el.append(root);
    const original = traits();
    const linked = url.read();
    const asked = (value, allowed, otherwise) => (allowed.includes(value) ? value : otherwise);
    if (linked === null) start(original);
    else {
      const [n, m] = linked.split(",").map(Number);
      start({ n: asked(n, SIZES, original.n), m: asked(m, SIZES, original.m), width: asked(Number(url.read("width")), WIDTHS, original.width), by: asked(url.read("by"), ["count", "clock"], original.by) });
      root.scrollIntoView({ block: "nearest" });
    }
    for (const name of [...NAMES, "measured"]) model.on(`change:${name}`, () => ready && start(traits()));
  },
};

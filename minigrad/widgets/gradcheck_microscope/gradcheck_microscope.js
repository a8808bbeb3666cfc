/* The gradcheck microscope: a backward, right or wrong, against difference quotients, entry by entry.
 *
 * The heat-map says how far apart the two are; a click on a cell, or the arrow keys, show how that depends on h. A mistake is
 * a flat line, rounding and bend draw a V, a kink makes a step. */

import { announcer, button, choice, copy, draggable, format, h, inJupyter, keepKeys, slider, svg, toggle, urlState } from "../toolkit.js";
import { apart, CASES, check, COLUMNS, compare, curve, EXPONENTS, NUMBERS, ROWS } from "./checks.js";

const [WIDE, TALL] = [300, 190];
const LOWEST = -14; // of the distances that are drawn; below it lies what agrees to the last digit
const HIGHEST = 2;
const NEARLY = { float64: 1e-12, float32: 1e-5 }; // what rounding alone may do to a backward that is right

const raised = (k) => String(k).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
/** A size as text: 0, 0.35, 2.1 × 10⁻⁸. */
function sized(x, figures = 2) {
  if (Number.isNaN(x)) return "NaN";
  if (x === 0 || (Math.abs(x) >= 0.01 && Math.abs(x) < 1e4)) return format(x, Math.abs(x) >= 10 ? 1 : 3);
  if (!Number.isFinite(x)) return "∞";
  const [digits, exponent] = x.toExponential(figures - 1).split("e");
  return `${Number(digits) === 1 ? "" : `${digits.replace("-", "−")} × `}10${raised(Number(exponent))}`;
}
const named = (entry) => `row ${Math.floor(entry / COLUMNS) + 1}, column ${(entry % COLUMNS) + 1}`;

/** The distance of one entry against h, on logarithmic axes, with the tolerance as a line. */
function makeCurve({ onExponent }) {
  const ground = svg("rect", { x: 0, y: 0, width: WIDE, height: TALL, class: "mg-ground" });
  const [grid, dots, bar, line] = ["grid", "dots", "bar", "line"].map((name) => svg("path", { class: `mg-gm-${name}` }));
  const words = svg("g", { class: "mg-gm-words" });
  const element = svg("svg", { viewBox: `-44 -16 ${WIDE + 52} ${TALL + 50}`, class: "mg-picture", role: "img" }, ground, grid, line, bar, dots, words);
  const across = (k) => ((k - EXPONENTS.low) / (EXPONENTS.high - EXPONENTS.low)) * WIDE;
  const down = (k) => TALL - 6 - ((Math.min(HIGHEST, Math.max(LOWEST, k)) - LOWEST) / (HIGHEST - LOWEST)) * (TALL - 12);
  const [widths, heights] = [[-12, -8, -4, 0], [-12, -8, -4, 0]];
  grid.setAttribute("d", [...widths.map((k) => `M${across(k)},0V${TALL}`), ...heights.map((k) => `M0,${down(k)}H${WIDE}`)].join(""));
  draggable(element, (event) => {
    const box = ground.getBoundingClientRect();
    const k = EXPONENTS.low + ((event.clientX - box.left) / box.width) * (EXPONENTS.high - EXPONENTS.low);
    const { low, high, step } = EXPONENTS;
    onExponent(Math.round(Math.min(high, Math.max(low, k)) / step) * step);
  });
  function update(points, k, tolerance, label) {
    dots.setAttribute("d", points.filter(({ distance }) => Number.isFinite(distance)).map((one) => `M${across(one.k).toFixed(1)},${down(Math.log10(one.distance)).toFixed(1)}h0`).join(""));
    bar.setAttribute("d", `M${across(k)},0V${TALL}`);
    line.setAttribute("d", `M0,${down(tolerance)}H${WIDE}`);
    words.replaceChildren(
      ...widths.map((n) => svg("text", { x: across(n), y: TALL + 14, "text-anchor": "middle" }, n === 0 ? "1" : `10${raised(n)}`)),
      ...heights.map((n) => svg("text", { x: -6, y: down(n) + 4, "text-anchor": "end" }, n === 0 ? "1" : `10${raised(n)}`)),
      svg("text", { x: WIDE / 2, y: TALL + 30, "text-anchor": "middle" }, "h →"),
      svg("text", { x: 0, y: -5 }, "↑ distance"),
      svg("text", { x: WIDE - 4, y: down(tolerance) - 4, "text-anchor": "end" }, "tolerance"),
    );
    element.setAttribute("aria-label", label);
  }
  return { element, update };
}

export default {
  render({ model, el }) {
    const url = urlState("gradcheck");
    const state = { op: "normalize", backward: "zeros", kind: "ones", numbers: "float64", measure: "relative", k: -6, tolerance: -5, entry: 0, draw: 0, table: false };
    let [given, found, shape] = [null, [], []];

    // ---- The elements ----------------------------------------------------------------------------------------------------------

    const titles = (table) => Object.fromEntries(Object.entries(table).map(([key, { title }]) => [key, title]));
    const op = choice({ label: "Op", options: titles(CASES), value: state.op, onChange: (key) => change({ op: key, backward: Object.keys(CASES[key].backwards)[0] }) });
    const backwardPlace = h("span", {});
    const code = h("code", { class: "mg-gm-code" });
    const kind = choice({ label: "Cotangent", options: { ones: "ones", random: "random" }, value: state.kind, onChange: (value) => change({ kind: value }) });
    const again = button({ label: "Draw again", hint: "Other random weights", onClick: () => change({ kind: "random", draw: (state.draw + 1) % 1000 }) });
    const numbers = choice({ label: "Numbers", options: { float64: "float64", float32: "float32" }, value: state.numbers, onChange: (value) => change({ numbers: value }) });
    const measure = choice({ label: "Distance", options: { relative: "relative", absolute: "absolute" }, value: state.measure, onChange: (value) => change({ measure: value }) });
    const step = slider({ label: h("span", { html: "log<sub>10</sub> <i>h</i>" }), name: "h, as a power of ten", ...{ min: EXPONENTS.low, max: EXPONENTS.high, step: EXPONENTS.step }, value: state.k, figures: 5, onInput: (k) => k >= -20 && k <= 1 && change({ k }) });
    const limit = slider({ label: h("span", { html: "log<sub>10</sub> tol." }), name: "tolerance, as a power of ten", min: -12, max: 0, step: 0.25, value: state.tolerance, figures: 5, onInput: (k) => k >= -20 && k <= 2 && change({ tolerance: k }) });
    const cells = Array.from({ length: ROWS * COLUMNS }, (_, entry) => h("td", { role: "gridcell", class: "mg-gm-cell", onClick: () => choose(entry), onFocus: () => state.entry !== entry && choose(entry) }));
    const grid = h("table", { role: "grid", class: "mg-heat", "aria-label": "Distance of each entry of the gradient from its quotient; arrow keys choose an entry", onKeydown: walked }, h("tbody", { role: "rowgroup" }, Array.from({ length: ROWS }, (_, row) => h("tr", { role: "row" }, cells.slice(row * COLUMNS, (row + 1) * COLUMNS)))));
    const picture = makeCurve({ onExponent: (k) => change({ k }) });
    const about = h("p", { class: "mg-gm-about" });
    const views = h("div", { class: "mg-pair mg-gm-views" }, h("div", {}, grid, h("p", { class: "mg-key" }, h("span", {}, "✓ within the tolerance"), h("span", {}, "✗ beyond it"), h("span", {}, "stronger colour: further apart"))), h("div", {}, picture.element, about));
    const table = h("div", { class: "mg-table mg-scroll", tabindex: 0, role: "region", "aria-label": "All entries, in numbers", hidden: true });
    const verdict = h("p", { class: "mg-outcome" });
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-gm", "aria-label": "Gradcheck microscope", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, op.element, backwardPlace, code),
      h("div", { class: "mg-head" }, kind.element, again, numbers.element, measure.element),
      h("div", { class: "mg-pair mg-gm-sliders" }, step.element, limit.element),
      verdict,
      views,
      table,
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    // ---- What the reader does ------------------------------------------------------------------------------------------------------

    function choose(entry) {
      change({ entry });
      if (grid.contains(document.activeElement)) cells[entry].focus();
    }

    function walked(event) {
      const [row, column] = [Math.floor(state.entry / COLUMNS), state.entry % COLUMNS];
      const to = { ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], Home: [row, 0], End: [row, COLUMNS - 1] }[event.key];
      if (!to) return;
      event.preventDefault();
      if (to[0] >= 0 && to[0] < ROWS && to[1] >= 0 && to[1] < COLUMNS) choose(to[0] * COLUMNS + to[1]);
    }

    function change(what) {
      Object.assign(state, what);
      given = check(state);
      found = compare(given, 10 ** state.k, 10 ** state.tolerance, state.measure);
      shape = curve(given, state.entry, state.measure);
      show();
    }

    // ---- Saying what is seen -------------------------------------------------------------------------------------------------------

    const isRight = () => state.backward === "right";
    const asked = () => `asked with ${state.kind === "ones" ? "ones" : "random weights"}, in ${state.numbers}, h = ${sized(10 ** state.k)}`;

    /** What the check says, and whether it is right to say so. */
    function judged() {
      const wrong = found.filter(({ agrees }) => !agrees).length;
      const all = ROWS * COLUMNS;
      const who = `${CASES[state.op].title}, ${CASES[state.op].backwards[state.backward].title}, ${asked()}`;
      if (isRight()) return wrong === 0 ? ["right", `${who}: all ${all} entries agree. The check passes, as it should.`] : ["false", `${who}: ${wrong} of ${all} entries ${wrong === 1 ? "is" : "are"} called wrong, without being so. A false alarm.`];
      if (wrong > 0 && found.every(({ entry, agrees, analytic }) => agrees || apart(analytic, given.right[entry], "relative") < NEARLY[state.numbers])) return ["chance", `${who}: ${wrong} of ${all} entries ${wrong === 1 ? "differs" : "differ"}, and just there backward is right. The mistake itself is not seen.`];
      return wrong === 0 ? ["missed", `${who}: all ${all} entries agree, so the check passes. The backward is wrong.`] : ["found", `${who}: ${wrong} of ${all} entries differ${wrong < all ? ", and at the others nothing shows" : ""}. The check finds it.`];
    }

    /** What the curve of the chosen entry looks like, and what that means. */
    function shaped() {
      const inside = shape.filter(({ distance }) => distance <= 10 ** state.tolerance);
      const { analytic, numeric, distance } = found[state.entry];
      const numbersSay = `At ${named(state.entry)} backward says ${sized(analytic)}, the quotient ${sized(numeric)}; distance ${sized(distance)}.`;
      if (inside.length === shape.length) return `${numbersSay} They agree at every h${isRight() ? "" : ": this question does not see the mistake here"}.`;
      if (inside.length > 0) {
        const [low, high] = [inside[0].k, inside.at(-1).k].map((k) => sized(10 ** k));
        return `${numbersSay} They agree for ${low === high ? `h near ${low}` : `h between ${low} and ${high}`}${isRight() ? ": elsewhere it is the step that is wrong" : ", so here this question does not see the mistake"}.`;
      }
      const [least, most] = [Math.min(...shape.map((one) => one.distance)), Math.max(...shape.map((one) => one.distance))];
      if (isRight() && given.x[state.entry] === 0 && state.op === "relu") return `${numbersSay} No h helps: the entry lies on the kink, where there is no slope to find.`;
      if (least > 0.1 * Math.min(most, 1) || least > 1e-3) return `${numbersSay} No h brings them together: a mistake, not rounding.`;
      return `${numbersSay} The best h comes within ${sized(least)}, which is more than the tolerance allows.`;
    }

    // ---- Showing -------------------------------------------------------------------------------------------------------------------

    function showTable() {
      const heads = ["entry", "x", "weight g", "backward", "quotient", "distance", ""];
      const rows = found.map(({ entry, analytic, numeric, distance, agrees }) => h("tr", {}, h("th", { scope: "row" }, named(entry)), [given.x[entry], given.g[entry], analytic, numeric].map((value) => h("td", {}, format(value, 6))), h("td", {}, sized(distance)), h("td", {}, agrees ? "✓ agrees" : "✗ differs")));
      table.replaceChildren(h("table", {}, h("caption", {}, `${CASES[state.op].title}, ${asked()}`), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text || h("span", { class: "mg-hidden" }, "verdict"))))), h("tbody", {}, rows)));
    }

    let menuOf = null;
    function show() {
      if (menuOf?.op !== state.op) {
        menuOf = { op: state.op, ...choice({ label: "Backward", options: titles(CASES[state.op].backwards), value: state.backward, onChange: (key) => change({ backward: key }) }) };
        backwardPlace.replaceChildren(menuOf.element);
      }
      menuOf.set(state.backward);
      op.set(state.op);
      kind.set(state.kind);
      numbers.set(state.numbers);
      measure.set(state.measure);
      step.set(state.k);
      limit.set(state.tolerance);
      asTable.set(state.table);
      code.textContent = CASES[state.op].backwards[state.backward].code;
      cells.forEach((cell, entry) => {
        const { distance, agrees } = found[entry];
        const hidden = (text) => h("span", { class: "mg-hidden" }, text);
        cell.replaceChildren(h("span", { class: "mg-gm-mark", "aria-hidden": "true" }, agrees ? "✓" : "✗"), hidden(`${named(entry)}: distance `), h("span", {}, sized(distance, 1)), hidden(agrees ? ", agrees" : ", differs"));
        cell.setAttribute("aria-selected", String(entry === state.entry));
        cell.tabIndex = entry === state.entry ? 0 : -1;
        cell.classList.toggle("mg-differs", !agrees);
        const heat = Number.isFinite(distance) ? Math.min(1, Math.max(0, (Math.log10(distance) + 12) / 12)) : 1;
        cell.style.setProperty("--mg-heat", `${(38 * heat).toFixed(1)}%`);
      });
      const [outcome, sentence] = judged();
      root.dataset.outcome = outcome;
      verdict.className = `mg-outcome ${["right", "found"].includes(outcome) ? "mg-good" : "mg-bad"}`;
      verdict.textContent = { right: "✓ passes, rightly", missed: "✓ passes, though wrong", found: "✗ fails, rightly", false: "✗ fails, though right", chance: "✗ fails, for a wrong reason" }[outcome];
      const words = shaped();
      picture.update(shape, state.k, state.tolerance, `Distance against h for ${named(state.entry)}, on logarithmic axes. ${words}`);
      about.textContent = `${named(state.entry)[0].toUpperCase()}${named(state.entry).slice(1)}, at every h`;
      views.hidden = state.table;
      table.hidden = !state.table;
      if (state.table) showTable();
      voice.say(`${sentence} ${words}`);
      status.textContent = "";
      save();
    }

    // ---- Address and model -----------------------------------------------------------------------------------------------------------

    const NAMES = { op: "op", mistake: "backward", cotangent: "kind", dtype: "numbers", distance: "measure", entry: "entry" };
    const traits = () => ({ ...Object.fromEntries(Object.entries(NAMES).map(([trait, name]) => [name, model.get(trait)])), k: Number(Math.log10(model.get("h")).toFixed(6)), tolerance: Number(Math.log10(model.get("tolerance")).toFixed(6)) });
    const shared = () => ({ "": state.op, backward: state.backward, g: state.kind === "ones" ? "ones" : `random${state.draw}`, numbers: state.numbers, measure: state.measure, h: String(state.k), tol: String(state.tolerance), entry: String(state.entry) });
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      for (const [trait, name] of Object.entries(NAMES)) model.set(trait, state[name]);
      model.set("h", 10 ** state.k);
      model.set("tolerance", 10 ** state.tolerance);
      model.save_changes();
      ready = true;
    }
    function start(from) {
      ready = false;
      change({ draw: 0, table: false, ...from });
      ready = true;
      save();
    }
    /** A state in which the op has this backward; a link, or Python, may name others. */
    const sound = (from) => ({ ...from, backward: from.backward in CASES[from.op].backwards ? from.backward : "right" });

    el.append(root);
    const original = sound(traits());
    const linked = url.read();
    if (linked === null || !(linked in CASES)) start(original);
    else {
      const of = (field, options, otherwise) => (options.includes(url.read(field)) ? url.read(field) : otherwise);
      const number = (field, low, high, otherwise) => {
        const x = Number(url.read(field) ?? NaN);
        return x >= low && x <= high ? x : otherwise;
      };
      const [, weights, draw] = (url.read("g") ?? "").match(/^(ones|random)(\d{0,3})$/) ?? [null, original.kind, 0];
      start(sound({ op: linked, backward: url.read("backward"), kind: weights, draw: Number(draw), numbers: of("numbers", Object.keys(NUMBERS), original.numbers), measure: of("measure", ["relative", "absolute"], original.measure), k: number("h", -20, 1, original.k), tolerance: number("tol", -20, 2, original.tolerance), entry: Math.floor(number("entry", 0, ROWS * COLUMNS - 1, 0)) }));
      root.scrollIntoView({ block: "nearest" });
    }
    for (const name of [...Object.keys(NAMES), "h", "tolerance"]) model.on(`change:${name}`, () => ready && start(sound(traits())));
  },
};

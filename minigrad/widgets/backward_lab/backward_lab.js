/* Edit the backward: the reader writes a gradient as an expression, and hears at once whether it is right and, if not, why.
 *
 * Each entry of the reader's gradient stands above its difference quotient. Hints open one at a time. */

import { ExpressionError } from "../engine.js";
import { announcer, button, choice, copy, format, h, inJupyter, keepKeys, svg, toggle, uniqueId, urlState } from "../toolkit.js";
import { read } from "./expressions.js";
import { CASES } from "./ops.js";
import { check, namesIn } from "./witness.js";

const WEIGHTS = { random: "random", ones: "ones: the plain sum", first: "the first output alone" };
const SIDE = 220;
const FRAMED = 100; // half the side of what is drawn

const shown = (x) => format(x, 4);
const shape = (sizes) => (sizes.length ? `(${sizes.join(", ")})` : "(), that of a single number");
const listed = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0]);

/** Yours against the quotient: what is right lies on the diagonal. */
function makeScatter() {
  const grid = svg("path", { class: "mg-lab-axes", d: `M${-FRAMED},0H${FRAMED}M0,${-FRAMED}V${FRAMED}` });
  const diagonal = svg("path", { class: "mg-lab-diagonal", d: `M${-FRAMED},${FRAMED}L${FRAMED},${-FRAMED}` });
  const [right, wrong] = ["right", "wrong"].map((name) => svg("path", { class: `mg-lab-${name}` }));
  const words = svg("g", { class: "mg-lab-words" }, svg("text", { x: FRAMED, y: 14, "text-anchor": "end" }, "quotient →"), svg("text", { x: 5, y: -FRAMED + 4 }, "↑ yours"));
  const ground = svg("rect", { x: -SIDE / 2, y: -SIDE / 2, width: SIDE, height: SIDE, class: "mg-ground" });
  const element = svg("svg", { viewBox: `${-SIDE / 2} ${-SIDE / 2} ${SIDE} ${SIDE}`, class: "mg-picture", role: "img" }, ground, grid, diagonal, right, wrong, words);
  function update(points) {
    const largest = Math.max(1e-9, ...points.flatMap(({ got, slope }) => [got, slope].filter(Number.isFinite).map(Math.abs)));
    const at = (x) => (Number.isFinite(x) ? (x / largest) * (FRAMED - 8) : FRAMED).toFixed(1);
    const places = (list) => list.map(({ got, slope }) => [at(slope), at(-got)]);
    right.setAttribute("d", places(points.filter((one) => one.right)).map(([x, y]) => `M${x},${y}h0`).join(""));
    wrong.setAttribute("d", places(points.filter((one) => !one.right)).map(([x, y]) => `M${x},${y}m-4,-4l8,8m0,-8l-8,8`).join(""));
    const off = points.filter((one) => !one.right).length;
    element.setAttribute("aria-label", `Yours against the quotient, ${points.length} entries: ${off === 0 ? "all lie on the diagonal" : `${off} lie off the diagonal`}.`);
  }
  return { element, update };
}

export default {
  render({ model, el }) {
    const url = urlState("lab");
    const state = { op: "relu", drafts: {}, weights: "random", draw: 0, table: false };
    let [found, trouble, wait] = [null, null, null];

    // ---- The elements ----------------------------------------------------------------------------------------------------------

    const titles = Object.fromEntries(Object.entries(CASES).map(([key, { title }]) => [key, title]));
    const op = choice({ label: "Op", options: titles, value: state.op, onChange: (key) => change({ op: key }) });
    const weights = choice({ label: "Weights of the outputs, g", options: WEIGHTS, value: state.weights, onChange: (key) => change({ weights: key }) });
    const again = button({ label: "Draw again", hint: "Other random weights", onClick: () => change({ weights: "random", draw: (state.draw + 1) % 1000 }) });
    const kept = h("div", { class: "mg-lab-kept" });
    const editor = h("div", { class: "mg-lab-editor" });
    const error = h("p", { class: "mg-lab-error", id: uniqueId("lab-error"), "aria-live": "polite" });
    const presets = h("div", { class: "mg-presets mg-lab-presets", role: "group", "aria-label": "Classic mistakes" });
    const verdict = h("p", { class: "mg-outcome" });
    const grids = h("div", { class: "mg-lab-grids" });
    const scatter = makeScatter();
    const key = h("p", { class: "mg-key" }, h("span", {}, "above: yours"), h("span", {}, "below: difference quotient"), h("span", {}, "✓ agrees, ✗ differs; darker: further apart"));
    const views = h("div", { class: "mg-lab-views" }, h("div", {}, grids, key), scatter.element);
    const hints = h("div", { class: "mg-lab-hints" });
    const table = h("div", { class: "mg-table mg-scroll", tabindex: "0", role: "group", "aria-label": "Every entry, as a table", hidden: true });
    const voice = announcer();
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const status = h("span", { role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-lab", "aria-label": "Edit the backward", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, op.element, kept),
      editor,
      error,
      h("p", { class: "mg-lab-label", "aria-hidden": "true" }, "Classic mistakes"),
      presets,
      h("div", { class: "mg-head" }, weights.element, again),
      verdict,
      voice.element,
      views,
      table,
      hints,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    // ---- What the reader does ----------------------------------------------------------------------------------------------------

    const inputs = () => Object.keys(CASES[state.op].inputs);
    const usual = (key) => Object.values(CASES[key].mistakes)[0].lines;
    const lines = () => (state.drafts[state.op] ??= [...usual(state.op)]);

    function change(what) {
      clearTimeout(wait);
      Object.assign(state, what);
      run();
      show();
    }

    function typed(i, text) {
      lines()[i] = text;
      clearTimeout(wait);
      wait = setTimeout(change, 200);
    }

    function load(mistake) {
      state.drafts[state.op] = [...CASES[state.op].mistakes[mistake].lines];
      change();
    }

    /** The lines against the slopes; a line that can't be read leaves what was found before. */
    function run() {
      trouble = null;
      const trees = lines().map((line, i) => {
        try {
          return read(line, namesIn(state.op));
        } catch (problem) {
          if (!(problem instanceof ExpressionError)) throw problem;
          trouble ??= { i, message: problem.message };
          return 0;
        }
      });
      if (!trouble) found = check(state.op, trees, state.weights, state.draw);
    }

    // ---- Saying what was found -----------------------------------------------------------------------------------------------------

    const asked = { random: "random weights", ones: "weights of 1", first: "the first output alone" };
    const isRight = (input) => input.got !== null && input.right.every(Boolean);
    const named = (k) => {
      const columns = CASES[state.op].shape[1];
      return `[${Math.floor(k / columns)}, ${k % columns}]`;
    };
    const where = (input) => `${CASES[state.op].title}.backward, gradient of ${input.name}`;
    const error_ = (input, k) => Math.abs(input.got[k] - input.slopes[k]);

    function worst(input) {
      const wrong = input.right.flatMap((right, k) => (right ? [] : [k]));
      return wrong.reduce((a, b) => (error_(input, b) > error_(input, a) || Number.isNaN(input.got[b]) ? b : a));
    }

    /** The verdict on one input, in one sentence. */
    function sentence(input) {
      if (input.got === null) return `${where(input)}: its shape is ${shape(input.shape)}, but the input has shape ${shape(CASES[state.op].shape)}.`;
      const wrong = input.right.filter((right) => !right).length;
      const k = worst(input);
      return `${where(input)}: ${wrong} of ${input.right.length} entries wrong. Where the input${named(k)} is ${shown(found.trial.inputs[input.name].data[k])}, it says ${shown(input.got[k])}, but finite differences give ${shown(input.slopes[k])}.`;
    }

    /** [outcome, headline, sentences] for all lines together. */
    function judged() {
      const wrong = found.inputs.filter((input) => !isRight(input));
      if (wrong.length) return ["wrong", "✗ wrong", wrong.map(sentence).join(" ")];
      const entries = found.inputs.reduce((sum, { right }) => sum + right.length, 0);
      const whose = `the gradient${found.inputs.length > 1 ? "s" : ""} of ${listed(inputs())} agree${found.inputs.length > 1 ? "" : "s"} with finite differences (${entries} entries)`;
      if (found.inputs.some(({ truly }) => !truly)) {
        return ["missed", "✓ passes, though wrong", `Asked with ${asked[state.weights]}, ${whose}. For random weights some do not: this check cannot see the mistake.`];
      }
      const kinks = found.inputs.reduce((sum, input) => sum + input.kinks.filter(Boolean).length, 0);
      const remark = kinks ? ` At kinks (${kinks} here) any slope between those of the two sides is right.` : "";
      return ["right", "✓ right", `${CASES[state.op].title}: ${whose}.${remark}`];
    }

    /** The first hint: which entries are wrong, and nothing about why. */
    function place(input) {
      if (input.got === null) return `At the shapes of the numbers on the way to the gradient of ${input.name}.`;
      if (!input.right.some(Boolean)) return "No entry is right, so it is the formula itself.";
      const columns = CASES[state.op].shape[1];
      for (const [word, of] of [["row", (k) => Math.floor(k / columns)], ["column", (k) => k % columns]]) {
        const hit = new Set(input.right.flatMap((right, k) => (right ? [] : [of(k)])));
        if (hit.size === 1) return `Only ${word} ${[...hit][0]} holds wrong entries.`;
      }
      return `Some entries are right. What is different between ${named(worst(input))}, which is wrong, and ${named(input.right.indexOf(true))}, which is not?`;
    }

    /** From a nudge to the answer: [[what it is about, what it says], ...], in the words of Python's checker. */
    function ladder(input) {
      const { diagnoses = {}, unknown = "No usual mistake fits." } = model.get("words") ?? {};
      const steps = [["where to look", place(input)]];
      if (input.mistake === null) return [...steps, ["what to do", `${unknown} The weights “${WEIGHTS.first}” ask about a single output.`]];
      const [kind, cause] = diagnoses[input.mistake] ?? ["", input.mistake.replaceAll("-", " ") + (input.detail ? ": {detail}" : "")];
      const said = cause.replaceAll("{detail}", input.detail).replaceAll("{input}", input.name);
      return [...steps, ...(kind ? [["what kind of mistake", kind]] : []), ["the likely cause", `Likely cause: ${said}.`]];
    }

    // ---- Showing -------------------------------------------------------------------------------------------------------------------

    let drawnOp = null;
    /** What belongs to the op: its forward, a field for each input, a button for each mistake. */
    function showOp() {
      drawnOp = state.op;
      const { forward, mistakes } = CASES[state.op];
      kept.replaceChildren(h("span", { class: "mg-lab-label" }, "forward"), ...Object.entries(forward).map(([name, line]) => h("code", {}, `${name} = ${line}`)));
      editor.replaceChildren(
        ...inputs().map((name, i) => {
          const field = h("input", { type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-describedby": error.id, onInput: (event) => typed(i, event.target.value), onKeydown: (event) => event.key === "Enter" && change() });
          return h("label", {}, h("span", {}, "gradient of ", h("code", {}, name), " ="), field);
        }),
        h("p", { class: "mg-lab-names" }, "from ", namesIn(state.op).flatMap((name, i) => [i ? " " : "", h("code", {}, name)]), " with + − * / ** ( ), sum(…, 1), mean(…, 1), where(…, …, …), step(…)"),
      );
      presets.replaceChildren(...Object.entries(mistakes).map(([key, { title }]) => button({ label: title, onClick: () => load(key) })));
    }

    const fields = () => [...editor.querySelectorAll("input")];

    function showGrids() {
      const [rows, columns] = CASES[state.op].shape;
      grids.replaceChildren(
        ...found.inputs.map((input) => {
          const scale = Math.max(1e-9, ...input.slopes.map(Math.abs));
          const cell = (k) => {
            const got = input.got?.[k];
            const heat = input.got === null || input.right[k] ? 0 : Math.min(1, Math.max(0.15, 1 + Math.log10(error_(input, k) / scale) / 4)) || 1;
            return h(
              "td",
              { class: input.got !== null && !input.right[k] ? "mg-differs" : null, style: `--mg-heat: ${(40 * heat).toFixed(0)}%` },
              input.got === null ? null : h("span", { class: "mg-lab-mark" }, h("span", { "aria-hidden": "true" }, input.right[k] ? "✓ " : "✗ "), shown(got)),
              h("span", { class: "mg-lab-quotient" }, shown(input.slopes[k])),
              input.kinks[k] ? h("span", { class: "mg-lab-kink" }, "kink") : null,
              input.got === null ? null : h("span", { class: "mg-hidden" }, input.right[k] ? ", agrees" : ", differs"),
            );
          };
          return h("table", { class: "mg-heat mg-lab-grid" }, h("caption", {}, "gradient of ", h("code", {}, input.name)), h("tbody", {}, Array.from({ length: rows }, (_, row) => h("tr", {}, Array.from({ length: columns }, (_, column) => cell(row * columns + column))))));
        }),
      );
      scatter.update(found.inputs.flatMap(({ got, slopes, right }) => (got === null ? [] : slopes.map((slope, k) => ({ got: got[k], slope, right: right[k] })))));
    }

    function showTable() {
      const heads = ["entry", "input", "g", "yours", "quotient", "error", ""];
      const rows = found.inputs.flatMap((input) =>
        input.slopes.map((slope, k) => {
          const cells = [found.trial.inputs[input.name].data[k], found.trial.g.data[k], ...(input.got ? [input.got[k], slope, error_(input, k)] : [NaN, slope, NaN])];
          return h("tr", {}, h("th", { scope: "row" }, `${input.name}${named(k)}`), cells.map((x) => h("td", {}, format(x, 6))), h("td", {}, input.got && input.right[k] ? "✓ agrees" : "✗ differs"));
        }),
      );
      table.replaceChildren(h("table", {}, h("caption", {}, `${CASES[state.op].title}, asked with ${asked[state.weights]}`), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text || h("span", { class: "mg-hidden" }, "verdict"))))), h("tbody", {}, rows)));
    }

    /** Hints folded one inside the other, so that readers stop where they like. */
    function folded(input) {
      const steps = ladder(input);
      return steps.reduceRight((inner, [about, text], i) => h("details", {}, h("summary", {}, `Hint ${i + 1} of ${steps.length}: ${about}`), h("p", {}, text), inner), null);
    }

    let hinted = "";
    function showHints() {
      const wrong = found.inputs.filter((input) => !isRight(input));
      const next = JSON.stringify(wrong.map((input) => [input.name, ladder(input)]));
      if (next === hinted) return; // hints that are open stay open
      hinted = next;
      hints.replaceChildren(...wrong.flatMap((input) => [found.inputs.length > 1 ? h("p", { class: "mg-lab-label" }, `gradient of ${input.name}`) : null, folded(input)]).filter(Boolean));
    }

    function show() {
      if (drawnOp !== state.op) showOp();
      op.set(state.op);
      weights.set(state.weights);
      asTable.set(state.table);
      fields().forEach((field, i) => {
        if (field.value !== lines()[i]) field.value = lines()[i];
        field.setAttribute("aria-invalid", String(trouble?.i === i));
      });
      Object.values(CASES[state.op].mistakes).forEach((mistake, i) => presets.children[i].setAttribute("aria-pressed", String(mistake.lines.every((line, j) => line === lines()[j]))));
      error.textContent = trouble?.message ?? "";
      status.textContent = "";
      root.classList.toggle("mg-lab-stale", trouble !== null);
      if (trouble) {
        root.dataset.outcome = "unread";
        verdict.className = "mg-outcome";
        verdict.textContent = "not read yet";
        const old = found?.trial.op === state.op;
        voice.say(`The line for ${inputs()[trouble.i]} cannot be read.${old ? " What is below belongs to the last line that could." : ""}`);
        if (!old) views.hidden = table.hidden = hints.hidden = true;
        save();
        return;
      }
      const [outcome, headline, words] = judged();
      root.dataset.outcome = outcome;
      verdict.className = `mg-outcome ${outcome === "right" ? "mg-good" : "mg-bad"}`;
      verdict.textContent = headline;
      voice.say(words);
      views.hidden = state.table;
      table.hidden = !state.table;
      hints.hidden = false;
      showGrids();
      if (state.table) showTable();
      showHints();
      save();
    }

    // ---- Address and model -----------------------------------------------------------------------------------------------------------

    const shared = () => {
      const all = { "": state.op, weights: state.weights === "random" ? `random${state.draw}` : state.weights, x: null, a: null, b: null };
      inputs().forEach((name, i) => (all[name] = lines()[i]));
      return all;
    };
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      model.set("op", state.op);
      model.set("weights", state.weights);
      model.set("lines", [...lines()]);
      model.save_changes();
      ready = true;
    }
    /** `lines` that do not suit the op are replaced by those of its first mistake. */
    function start({ lines, ...from }) {
      ready = false;
      const suits = lines.length === Object.keys(CASES[from.op].inputs).length;
      change({ drafts: { [from.op]: [...(suits ? lines : usual(from.op))] }, draw: 0, table: false, ...from });
      ready = true;
      save();
    }

    el.append(root);
    const traits = () => ({ op: model.get("op"), weights: model.get("weights"), lines: model.get("lines") });
    const original = traits();
    const linked = url.read();
    if (linked === null || !Object.hasOwn(CASES, linked)) start(original);
    else {
      const [, kind, draw] = (url.read("weights") ?? "").match(/^(ones|first|random)(\d{0,3})$/) ?? [null, original.weights, 0];
      const given = Object.keys(CASES[linked].inputs).map((name) => url.read(name));
      start({ op: linked, weights: kind, draw: Number(draw), lines: given.includes(null) ? [] : given });
      root.scrollIntoView({ block: "nearest" });
    }
    for (const name of ["op", "weights", "lines"]) model.on(`change:${name}`, () => ready && start(traits()));
    model.on("change:words", () => ready && change());
  },
};

/* Shape and blame: which input cells feed an output cell, and how the output's adjoint comes back to each input cell.
 *
 * A weight ∂z/∂x is read off the engine: the row of an output cell is one walk backwards from it, the column of an input cell
 * one walk forwards. What the package says of a mistake was recorded in Python (widgets/blame.py). */

import { adjoints, evaluate, shapeOf, tangents, tensor, zeros } from "../engine.js";
import { announcer, brief, button, choice, copy, draggable, format, h, inJupyter, keepKeys, toggle, urlState } from "../toolkit.js";
import { OPS, broken, record } from "./ops.js";

const COTANGENT = [1, -1, 2, 0.5, 3, -2, 1, -1, 2];
const count = (shape) => shape.reduce((product, n) => product * n, 1);
const dataOf = (value) => (typeof value === "number" ? [value] : [...value.data]);
const shown = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
const unit = (shape, k) => tensor(shape, Array.from({ length: count(shape) }, (_, i) => (i === k ? 1 : 0)));
const place = (shape, k) => {
  const at = [];
  for (const n of [...shape].reverse()) {
    at.unshift(k % n);
    k = Math.floor(k / n);
  }
  return at.length ? `[${at.join(", ")}]` : "";
};
const tidy = (x) => Number(x.toFixed(4)) + 0;
const inSum = (x) => (x < 0 ? `(${brief(x)})` : brief(x));

export default {
  render({ model, el }) {
    const url = urlState("blame");
    const recorded = model.get("recorded");
    const ops = Object.keys(recorded).filter((op) => op in OPS);
    const state = { op: ops[0], setting: 0, drop: false, forget: false, entries: [], seed: [], at: { side: "out", slot: 0, cell: 0 }, table: false };
    const letters = () => OPS[state.op];
    const setting = () => recorded[state.op][state.setting];

    // ---- Computing -----------------------------------------------------------------------------------------------------------

    /** Values, adjoints, and the table of all weights: jacobian[slot][k][j] = ∂output_k/∂input_j. */
    function compute() {
      const { shapes, constants } = setting();
      const values = shapes.map((shape, i) => tensor(shape, state.entries[i]));
      const list = record(state.op, values, constants);
      const all = evaluate(list);
      const output = all[list.outputs[0]];
      const seed = tensor(shapeOf(output), state.seed);
      const grads = adjoints(list, all, seed).adjoints;
      const rows = Array.from({ length: count(shapeOf(output)) }, (_, k) => adjoints(list, all, unit(shapeOf(output), k)).adjoints);
      const column = (slot, j) => {
        const along = shapes.map((shape, i) => (i === slot ? unit(shape, j) : zeros(shape)));
        return dataOf(tangents(list, all, along)[list.outputs[0]]);
      };
      const written = shapes.map((_, slot) => {
        for (const mistake of ["drop", "forget"]) {
          if (!state[mistake]) continue;
          const value = broken(mistake, state.op, slot, seed, values, output, constants);
          if (value !== undefined) return { value, said: setting()[mistake][slot] };
        }
        return null;
      });
      return { shapes, values, output, seed, grads, row: (k) => shapes.map((_, i) => dataOf(rows[k][i])), column, written };
    }

    const outputShape = () => shapeOf(evaluate(record(state.op, setting().shapes.map(zeros), setting().constants)).at(-1));

    // ---- Cells -------------------------------------------------------------------------------------------------------------------

    /** A small array as a table of cells. `kind` is value, cotangent, output or adjoint; the first two can be changed. */
    function grid(name, shape, kind, point, change) {
      const width = shape.at(-1) ?? 1;
      const editable = kind === "value" || kind === "cotangent";
      const cells = Array.from({ length: count(shape) }, (_, k) => {
        const number = h("span", { class: "mg-cell-number" });
        const weight = h("span", { class: "mg-cell-weight" });
        const role = editable ? "spinbutton" : kind === "output" ? "button" : null;
        const element = h("span", { class: `mg-cell mg-cell-${kind}`, role, tabindex: role ? (k === 0 ? 0 : -1) : null }, number, weight);
        element.addEventListener("pointerenter", (event) => event.buttons === 0 && point(k));
        element.addEventListener("focus", () => point(k));
        if (editable) {
          let from;
          draggable(element, (event, start) => {
            if (start) {
              element.focus();
              from = { x: event.clientX, value: Number(element.getAttribute("aria-valuenow")) };
            } else change(k, tidy(from.value + Math.round((event.clientX - from.x) / 6) / 10));
          });
        } else element.addEventListener("click", () => point(k));
        element.addEventListener("keydown", (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1, ...(editable ? {} : { ArrowDown: width, ArrowUp: -width, Enter: 0, " ": 0 }) }[event.key];
          const by = editable ? { ArrowUp: 0.1, ArrowDown: -0.1, PageUp: 1, PageDown: -1 }[event.key] : undefined;
          if (by !== undefined) change(k, tidy(Number(element.getAttribute("aria-valuenow")) + by));
          else if (step === undefined) return;
          else cells[Math.min(cells.length - 1, Math.max(0, k + step))].element.focus();
          event.preventDefault();
        });
        return { element, number, weight };
      });
      const rows = Array.from({ length: count(shape) / width }, (_, i) => h("span", { class: "mg-grid-row" }, cells.slice(i * width, (i + 1) * width).map((cell) => cell.element)));
      const head = h("span", { class: "mg-grid-name" });
      head.innerHTML = name;
      return {
        element: h("div", { class: "mg-grid" }, head, h("div", { class: "mg-grid-cells" }, rows)),
        update(numbers, { weights, lit, word }) {
          numbers.forEach((x, k) => {
            const { element, number, weight } = cells[k];
            number.textContent = brief(x, 3);
            const on = weights && weights[k] !== 0;
            weight.textContent = on ? `×\u00a0${brief(weights[k], 2)}` : " ";
            element.classList.toggle("mg-fed", Boolean(on));
            element.classList.toggle("mg-idle", Boolean(weights && !on));
            element.classList.toggle("mg-lit", lit === k);
            if (!word) return;
            const told = `${word}${place(shape, k)}`;
            if (editable) {
              element.setAttribute("aria-label", told);
              element.setAttribute("aria-valuenow", x);
              element.setAttribute("aria-valuetext", format(x, 4) + (on ? `, weight ${format(weights[k], 4)}` : ""));
            } else if (kind === "output") {
              element.setAttribute("aria-label", `${told} = ${format(x, 4)}${on ? `, weight ${format(weights[k], 4)}` : ""}`);
              element.setAttribute("aria-pressed", String(lit === k));
            }
          });
        },
      };
    }

    // ---- The elements ------------------------------------------------------------------------------------------------------------

    const what = choice({ label: "Op", options: Object.fromEntries(ops.map((op) => [op, OPS[op].title])), value: state.op, onChange: (op) => open(op, 0) });
    const sizesPlace = h("span", {});
    const drop = toggle({ label: "Drop the transpose", onChange: (on) => change({ drop: on }) });
    const forget = toggle({ label: "Forget the sum", onChange: (on) => change({ forget: on }) });
    const stage = h("div", { class: "mg-blame-stage mg-stage" });
    const verdicts = h("div", { class: "mg-verdicts", "aria-live": "polite" });
    const working = h("p", { class: "mg-blame-sum" });
    const tables = h("div", { class: "mg-scroll mg-table", tabindex: 0, role: "region", "aria-label": "All weights", hidden: true });
    const asTable = toggle({ label: "Show as table", onChange: (on) => ((state.table = on), show()) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-blame", "aria-label": "Shape and blame", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, what.element, sizesPlace, drop.element, forget.element),
      stage,
      tables,
      working,
      verdicts,
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    const sizeWords = ({ shapes, constants }) => {
      const words = shapes.map(shown).join(" and ");
      if (constants.shape) return `${words} to ${shown(constants.shape)}`;
      if ("axis" in constants) return `${words}, ${constants.axis === null ? "all entries" : `axis ${constants.axis}`}`;
      if (constants.index) return `${words}, [${constants.index.map(({ take }) => `[${take.join(", ")}]`).join(", ")}]`;
      return words;
    };

    let grids = null;
    function build() {
      const { names, output, sign, value, rules } = letters();
      const { shapes } = setting();
      const sizes = choice({ label: "Shapes", options: Object.fromEntries(recorded[state.op].map((one, i) => [String(i), sizeWords(one)])), value: String(state.setting), onChange: (i) => open(state.op, Number(i)) });
      sizesPlace.replaceChildren(sizes.element);
      const shape = outputShape();
      const title = (name, form) => `<i>${form.length > 1 ? name.toUpperCase() : name}</i> ${shown(form)}`;
      const barred = (name, form) => `<i class="mg-bar">${form.length > 1 ? name.toUpperCase() : name}</i>`;
      const inputs = shapes.map((form, slot) => {
        const point = (cell) => look({ side: "in", slot, cell });
        return {
          value: grid(title(names[slot], form), form, "value", point, (k, x) => change({ entries: state.entries.map((old, i) => (i === slot ? old.map((y, j) => (j === k ? x : y)) : old)) })),
          adjoint: grid(`${barred(names[slot], form)} ${shown(form)}`, form, "adjoint", point),
          written: h("div", { class: "mg-written" }),
        };
      });
      const point = (cell) => look({ side: "out", slot: 0, cell });
      const result = {
        value: grid(title(output, shape), shape, "output", point),
        adjoint: grid(`${barred(output, shape)} ${shown(shape)}`, shape, "cotangent", point, (k, x) => change({ seed: state.seed.map((y, j) => (j === k ? x : y)) })),
      };
      const signs = [sign].flat();
      const between = (text) => h("span", { class: "mg-sign", "aria-hidden": "true" }, text);
      const forwards = inputs.flatMap(({ value: made }, i) => [i > 0 ? between(signs[i - 1]) : shapes.length === 1 ? between(signs[0]) : null, made.element]);
      const rule = (html) => h("p", { class: "mg-rule mg-math", html });
      stage.replaceChildren(
        h("div", { class: "mg-blame-row" }, ...forwards, between("="), result.value.element),
        rule(value),
        h("div", { class: "mg-blame-row mg-backwards" }, result.adjoint.element, between("→"), ...inputs.map((one, i) => h("div", { class: "mg-answer" }, one.adjoint.element, rule(rules[i]), one.written))),
      );
      grids = { inputs, result };
    }

    // ---- Showing -------------------------------------------------------------------------------------------------------------------

    function showWritten(found) {
      const paragraphs = [];
      found.written.forEach((made, slot) => {
        const corner = grids.inputs[slot].written;
        corner.replaceChildren();
        if (!made) return;
        const name = found.shapes[slot].length > 1 ? letters().names[slot].toUpperCase() : letters().names[slot];
        const { value, said } = made;
        const right = dataOf(found.grads[slot]);
        const same = value !== null && shapeOf(value).join() === found.shapes[slot].join();
        if (value !== null) {
          const wrong = (x, k) => same && Math.abs(x - right[k]) > 1e-9;
          const width = shapeOf(value).at(-1) ?? 1;
          const cells = dataOf(value).map((x, k) => h("span", { class: wrong(x, k) ? "mg-cell mg-cell-wrong" : "mg-cell" }, h("span", { class: "mg-cell-number" }, brief(x)), h("span", { class: "mg-cell-weight" }, wrong(x, k) ? "wrong" : " ")));
          const rows = Array.from({ length: cells.length / width }, (_, i) => h("span", { class: "mg-grid-row" }, cells.slice(i * width, (i + 1) * width)));
          corner.append(h("div", { class: "mg-grid" }, h("span", { class: "mg-grid-name" }, `with the mistake ${shown(shapeOf(value))}`), h("div", { class: "mg-grid-cells" }, rows)));
        }
        const shapes = `The mistake gives ${value === null ? "no array at all" : `shape ${shown(shapeOf(value))}`}, and ${name} has shape ${shown(found.shapes[slot])}.`;
        const [head, text] = {
          refused: ["Refused", h("code", {}, said.words)],
          mended: ["Mended by the engine", `It has the shape of the output, so minigrad knows that ${name} was repeated, and adds the share up. Without this, an update would turn a parameter of shape ${shown(found.shapes[slot])} into one of shape ${value === null ? "" : shown(shapeOf(value))}.`],
          unnoticed: ["Unnoticed: the shape is right, the numbers are wrong", h("span", {}, "No error at all. A gradient check finds it: ", h("code", {}, said.words))],
          right: ["No harm here", "Nothing was repeated, so there is nothing to add up."],
        }[said.verdict];
        paragraphs.push(h("p", { class: `mg-verdict mg-verdict-${said.verdict}` }, h("strong", {}, `${name}: ${head}. `), said.verdict === "right" ? "" : `${shapes} `, text));
      });
      const idle = (mistake) => !Object.keys(setting()[mistake]).length;
      const words = [state.drop && idle("drop") ? "There is no transpose in this backward." : "", state.forget && idle("forget") ? "There is no sum in this backward." : ""].filter(Boolean);
      if (words.length) paragraphs.push(h("p", { class: "mg-verdict" }, words.join(" ")));
      // Spoken when it changes, not whenever a number does.
      if (paragraphs.map((p) => p.textContent).join() !== [...verdicts.children].map((p) => p.textContent).join()) verdicts.replaceChildren(...paragraphs);
    }

    function showTable(found) {
      const { names, output } = letters();
      const shape = shapeOf(found.output);
      const heads = names.flatMap((name, slot) => dataOf(found.values[slot]).map((_, j) => `${name}${place(found.shapes[slot], j)}`));
      const rows = dataOf(found.output).map((_, k) => [`${output}${place(shape, k)}`, ...found.row(k).flat().map((x) => format(x, 4)), format(state.seed[k], 4)]);
      const foot = ["sum of weight × adjoint", ...found.grads.slice(0, names.length).flatMap(dataOf).map((x) => format(x, 4)), ""];
      const line = ([first, ...rest]) => h("tr", {}, h("th", { scope: "row" }, first), rest.map((text) => h("td", {}, text)));
      tables.replaceChildren(h("table", {}, h("caption", {}, "The weight of each input cell in each output cell"), h("thead", {}, h("tr", {}, ["output", ...heads, `adjoint of ${output}`].map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows.map(line)), h("tfoot", {}, line(foot))));
    }

    /** What the chosen cell has to do with the other side, in words, with its numbers. */
    function explain(found) {
      const { names, output } = letters();
      const { side, slot, cell } = state.at;
      const shape = shapeOf(found.output);
      if (side === "out") {
        const feeds = found.row(cell).flatMap((weights, i) => weights.map((w, j) => [w, `${names[i]}${place(found.shapes[i], j)}`])).filter(([w]) => w !== 0);
        const listed = feeds.map(([w, name]) => `${name} with weight ${brief(w)}`).join(", ");
        working.textContent = "";
        return `${output}${place(shape, cell)} = ${brief(dataOf(found.output)[cell])} is fed by ${feeds.length === 1 ? "one cell" : `${feeds.length} cells`}: ${listed || "none moves it"}.`;
      }
      const weights = found.column(slot, cell);
      const name = `${names[slot]}${place(found.shapes[slot], cell)}`;
      const users = weights.map((w, k) => [w, k]).filter(([w]) => w !== 0);
      const total = dataOf(found.grads[slot])[cell];
      const terms = users.map(([w, k]) => `${inSum(state.seed[k])} × ${inSum(w)}`).join(" + ");
      working.innerHTML = `adjoint of ${name} = Σ adjoint × weight = ${terms || "0"} = <b class="mg-adjoint">${brief(total)}</b>`;
      return `${name} feeds ${users.length === 1 ? "one cell" : `${users.length} cells`}${users.length ? `: ${users.map(([, k]) => output + place(shape, k)).join(", ")}` : ""}. The blame that comes back to it adds up to ${brief(total)}.`;
    }

    function show() {
      const found = compute();
      const { names, output } = letters();
      const { side, slot, cell } = state.at;
      const weights = side === "out" ? found.row(cell) : null;
      found.shapes.forEach((_, i) => {
        const lit = side === "in" && i === slot ? cell : null;
        grids.inputs[i].value.update(dataOf(found.values[i]), { weights: weights?.[i], lit, word: names[i] });
        grids.inputs[i].adjoint.update(dataOf(found.grads[i]), { lit });
      });
      const column = side === "in" ? found.column(slot, cell) : null;
      grids.result.value.update(dataOf(found.output), { weights: column, lit: side === "out" ? cell : null, word: output });
      grids.result.adjoint.update(state.seed, { weights: column, lit: side === "out" ? cell : null, word: `adjoint of ${output}` });
      stage.hidden = state.table;
      tables.hidden = !state.table;
      drop.set(state.drop);
      forget.set(state.forget);
      asTable.set(state.table);
      what.set(state.op);
      if (state.table) showTable(found);
      showWritten(found);
      voice.say(explain(found));
      status.textContent = "";
      save();
    }

    function look(at) {
      if (at.side === state.at.side && at.slot === state.at.slot && at.cell === state.at.cell) return;
      change({ at });
    }
    function change(what_) {
      Object.assign(state, what_);
      show();
    }

    /** Begin with an op at one of its settings. */
    function open(op, i, numbers) {
      state.op = op;
      state.setting = Math.min(Math.max(0, i), recorded[op].length - 1);
      state.entries = setting().entries.map((entries) => [...entries]);
      state.seed = COTANGENT.slice(0, count(outputShape()));
      state.at = { side: "out", slot: 0, cell: 0 };
      const sizes = [...state.entries, state.seed].map((list) => list.length);
      if (numbers?.length === sizes.reduce((a, b) => a + b) && numbers.every(Number.isFinite)) {
        const parts = sizes.map((n, k) => numbers.slice(sizes.slice(0, k).reduce((a, b) => a + b, 0)).slice(0, n));
        state.seed = parts.pop();
        state.entries = parts;
      }
      build();
      show();
    }

    // ---- Address and model -----------------------------------------------------------------------------------------------------------

    const shared = () => ({ "": state.op, shapes: String(state.setting), wrong: ["drop", "forget"].filter((mistake) => state[mistake]).join(",") || null, at: [...state.entries.flat(), ...state.seed].join(",") });
    const traits = () => ({ op: model.get("op"), shapes: model.get("shapes"), drop: model.get("drop"), forget: model.get("forget") });
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      for (const [name, value] of Object.entries({ op: state.op, shapes: state.setting, drop: state.drop, forget: state.forget })) model.set(name, value);
      model.save_changes();
      ready = true;
    }
    function start({ op, shapes, drop: dropped, forget: forgotten, numbers }) {
      ready = false;
      Object.assign(state, { drop: dropped, forget: forgotten, table: false });
      open(op, shapes, numbers);
      ready = true;
      save();
    }

    el.append(root);
    const original = traits();
    const given = url.read();
    if (ops.includes(given)) {
      const wrong = (url.read("wrong") ?? "").split(",");
      start({ op: given, shapes: Number(url.read("shapes")) || 0, drop: wrong.includes("drop"), forget: wrong.includes("forget"), numbers: url.read("at")?.split(",").map(Number) });
      root.scrollIntoView({ block: "nearest" });
    } else start(original);
    for (const name of ["op", "shapes", "drop", "forget"]) model.on(`change:${name}`, () => ready && start(traits()));
  },
};

/* The graph x-ray: a program that minigrad ran, as the graph that it wrote down. Any node can be opened; the way back is
 * walked turn by turn, by the list and, if the reader likes, by an engine that counts visits, side by side. What one call
 * of a module recorded folds into one card.
 *
 * The list, the contexts, the calls and the lines of source were recorded in Python (widgets/x_ray.py). What flows back is
 * computed here, by engine.js. */

import { evaluate, load, OPS, shapeOf } from "../engine.js";
import { announcer, brief, button, choice, copy, enable, format, h, icon, inJupyter, keepKeys, svg, toggle, urlState } from "../toolkit.js";
import { drawGraph } from "../trace_player/graph.js";
import { folds, keyOf, place } from "./folds.js";
import { after, onTheList, uses, walks } from "./walks.js";

const PLAY = 1100;
const isName = Number.isInteger;
const entries = (x) => (typeof x === "number" ? [x] : [...x.data]);
const same = (a, b) => entries(a).every((x, i) => Math.abs(x - entries(b)[i]) <= 1e-12 * (1 + Math.abs(x)));
const shape = (x) => shapeOf(x).join("×") + (shapeOf(x).length === 1 ? " numbers" : "");
const isZero = (x) => entries(x).every((entry) => entry === 0);
const plural = (k, word) => `${k} ${word}${k === 1 ? "" : "s"}`;
const listed = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

/** An array in brackets, row by row; a number as it is. */
function written(x) {
  const sizes = shapeOf(x);
  if (sizes.length === 0) return format(x);
  const row = (numbers) => `[${numbers.map((one) => format(one, 3)).join(", ")}]`;
  if (sizes.length === 1) return row(entries(x));
  return Array.from({ length: sizes[0] }, (_, i) => row(entries(x).slice(i * sizes[1], (i + 1) * sizes[1]))).join("\n");
}

/** What a card says: a number; of an array its shape, or how large its largest entry is. */
const inCard = ({ x, of, wrong, text }) => text ?? (wrong ? "✗ " : "") + (shapeOf(x).length === 0 ? brief(x) : of === "value" ? shapeOf(x).join("×") : isZero(x) ? "0" : `≤ ${brief(Math.max(...entries(x).map(Math.abs)), 2)}`);

export default {
  render({ model, el }) {
    const url = urlState("xray");
    const [, nth] = url.mark.split("-"); // the second x-ray of a page must be told from the first by its name, too
    const named = (name) => (nth ? `${name} (${nth})` : name);
    const recorded = model.get("recorded");
    const state = { program: "", node: "", unused: false, visits: false, step: -1, unfolded: [], table: false };
    let [list, view, values, walk, graph, spots, timer] = [null, null, null, null, null, null, null];

    // ---- The elements ------------------------------------------------------------------------------------------------------

    const titles = Object.fromEntries(Object.entries(recorded).map(([key, { title }]) => [key, title]));
    const program = choice({ label: "Program", options: titles, value: state.program, onChange: (key) => change({ program: key, node: "", step: -1, unfolded: [] }) });
    const unused = toggle({ label: "Add an unused branch", onChange: (on) => change({ unused: on, step: -1 }) });
    const visits = toggle({ label: "Visit counter beside the list", onChange: (on) => change({ visits: on }) });
    const foldAll = button({ label: "Unfold all", onClick: () => change({ unfolded: allOpen() ? [] : view.groups.map(view.path) }) });
    const source = h("pre", { class: "mg-xray-source", tabindex: 0, role: "region", "aria-label": named("The program") });
    const stage = h("div", { class: "mg-stage mg-xray-stage" });
    const legend = h("p", { class: "mg-key mg-xray-key" });
    const control = (name, label, onClick) => button({ label, icon: icon(name), onClick });
    const player = {
      first: control("first", "Before the way back", () => go(0)),
      back: control("back", "One turn back", () => go(at() - 1)),
      play: control("play", "Play", () => play(timer === null)),
      next: control("next", "Next turn", () => go(at() + 1)),
      last: control("last", "All turns", () => go(turns())),
    };
    const position = h("input", { type: "range", class: "mg-position", min: 0, step: 1, "aria-label": "turns of the way back", onInput: () => go(Number(position.value)) });
    const where = h("span", { class: "mg-xray-where", "aria-hidden": "true" });
    const stepper = h("div", { class: "mg-xray-stepper", role: "group", "aria-label": "The way back, turn by turn" }, Object.values(player), position, where);
    const details = h("dl", { class: "mg-xray-details" });
    const tables = h("div", { class: "mg-scroll mg-table", tabindex: 0, role: "region", "aria-label": named("All nodes, in numbers"), hidden: true });
    const pictures = h("div", {}, stage, legend);
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-xray", "aria-label": named("Graph x-ray"), "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, program.element, unused.element, visits.element, foldAll),
      source,
      pictures,
      tables,
      stepper,
      details,
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    // ---- What is asked of the list ------------------------------------------------------------------------------------------

    const all = () => [...list.inputs, ...list.steps];
    const stepOf = (id) => list.steps.find((step) => step.id === id);
    const nameOf = (id) => all()[id].name ?? `v${id - list.inputs.length + 1}`;
    const shortOf = (id) => nameOf(id).split(".").at(-1);
    const idOf = (name) => Math.max(-1, all().findIndex(({ id }) => nameOf(id) === name));
    // What can be chosen is an item: a node, by its id, or a group. The state knows both by name, a group as a path, "model/".
    const nameOfItem = (item) => (isName(item) ? nameOf(item) : view.path(item));
    const key = (item) => (isName(item) ? item : keyOf(item));
    function chosen() {
      const group = view.groups.find((one) => view.path(one) === state.node);
      if (group) return view.around(group).find((one) => !view.isOpen(one)) ?? group;
      return view.seen(idOf(state.node) < 0 ? list.outputs[0] : idOf(state.node));
    }
    const allOpen = () => view.groups.every(view.isOpen);
    /** The node whose numbers a folded group shows: the last of its outputs. */
    const faceOf = (item) => (isName(item) ? item : (view.outputs(item).at(-1) ?? view.steps(item).at(-1).id));
    const kindOf = (group) => (group.kind === "module" ? `a ${group.class}` : "a function");
    const sizeOf = (group) => `${plural(view.steps(group).length, "op")}, ${plural(bytesIn(group), "byte")} in contexts`;
    const turns = () => walk.list.length;
    const at = () => (state.step < 0 ? turns() : Math.min(state.step, turns()));
    const textOf = (step) => step.inputs.map((one) => (isName(one) ? nameOf(one) : format(one.constant))).join(", ");
    const usersOf = (id) => list.steps.filter((step) => step.inputs.includes(id)).map((step) => step.id);
    const bytesIn = (group) => view.steps(group).reduce((sum, step) => sum + bytes(step), 0);
    const bytes = (step) => step.context.reduce((sum, note) => sum + note.bytes, 0);
    const lineOf = (made) => list.source[made.line].trim();
    const isKnown = (item) => (isName(item) ? [item] : view.holds(item)).some((id) => onTheList(list).has(id));

    /** Both engines after the turns so far, and at their ends. */
    function moment() {
      const upTo = (name, k) => after(list, values, walk[name].slice(0, k));
      const [byList, byVisits, right, left] = [upTo("list", at()), upTo("visits", at()), upTo("list"), upTo("visits")];
      const stopped = at() >= walk.visits.length;
      const wrong = (id) => state.visits && stopped && onTheList(list).has(id) && !same(left.adjoints[id], right.adjoints[id]);
      return { byList, byVisits, wrong, stopped };
    }

    // ---- Showing ------------------------------------------------------------------------------------------------------------

    function symbolOf(step, id) {
      const group = view.groups.find((one) => keyOf(one) === id);
      if (group) return group.kind === "module" ? group.class : "function";
      if (!step) return "leaf";
      const constant = step.inputs.find((one) => !isName(one));
      return OPS[step.op].symbol + (constant ? ` ${brief(constant.constant)}` : "");
    }

    /** A frame around what an open group holds; its title folds it. */
    function frameOf({ group, x, y, width, height }) {
      const title = svg("text", { x: x + 10, y: y + 19, class: "mg-frame-title", "aria-hidden": "true" }, `▾ ${group.name}`);
      title.append(svg("tspan", { class: "mg-card-symbol", dx: 8 }, group.kind === "module" ? group.class : "function"));
      const hit = svg("rect", { x: x + 3, y: y + 3, width: width - 6, height: 23, rx: 7, class: "mg-hit", role: "button" });
      const border = { x: x + 0.5, y: y + 0.5, width: width - 1, height: height - 1, rx: 12 };
      graph.element.prepend(svg("rect", { ...border, class: "mg-frame-ground" })); // under the edges
      return { group: svg("g", { class: "mg-node mg-open" }, svg("rect", { ...border, class: "mg-frame-box" }), title, hit), hit, rows: [] };
    }

    function draw() {
      const lines = [{ key: "primal", letter: "v" }, { key: "adjoint", letter: "v̄" }, ...(state.visits ? [{ key: "visits", letter: "#v̄" }] : [])];
      const ofGroup = (group) => [{ key: "fold", letter: plural(view.steps(group).length, "op") }, ...lines];
      const text = (name, symbol) => Math.round(9 * name.length + 7.5 * symbol.length + 28); // room for a card's head, in px
      const wide = (group) => text(`▸ ${group.name}`, symbolOf(null, keyOf(group)));
      let frames = [];
      const room = Math.max(300, stage.clientWidth - 2 || 480);
      graph = drawGraph(list, {
        room,
        symbolOf,
        lines,
        name: (id) => (isName(id) ? shortOf(id) : `▸ ${view.groups.find((one) => keyOf(one) === id).name}`),
        text: inCard,
        label: "The graph; arrow keys go from node to node along the list",
        place(card) {
          const sizes = (item) =>
            isName(item)
              ? { width: Math.max(card.width, text(shortOf(item), symbolOf(stepOf(item)))), height: card.height }
              : { width: Math.max(card.width, wide(item)), height: card.heightOf(lines.length + 1), lines: ofGroup(item) };
          const plan = place(list, view, room, card, sizes, wide);
          frames = plan.frames;
          return plan;
        },
      });
      graph.element.setAttribute("role", "group");
      spots = new Map(frames.toReversed().map((frame) => [keyOf(frame.group), frameOf(frame)]));
      for (const node of graph.nodes) {
        // A button over the card: its label says in words what the card says in signs.
        const { group, box, id } = node;
        const at = Object.fromEntries(["x", "y", "width", "height", "rx"].map((name) => [name, box.getAttribute(name)]));
        const hit = svg("rect", { ...at, class: "mg-hit", role: "button" });
        for (const part of group.children) part.setAttribute("aria-hidden", "true");
        if (!isName(id)) for (const off of [6, 3]) group.prepend(svg("rect", { ...at, x: Number(at.x) + off, y: Number(at.y) - off, class: "mg-card mg-behind", "aria-hidden": "true" }));
        group.append(hit);
        spots.set(id, { ...node, hit });
      }
      // In the order of the list, which is also that of the arrow keys. A frame thus lies over the edges and under its cards.
      for (const item of view.items()) {
        const { group, hit } = spots.get(key(item));
        graph.element.append(group);
        hit.addEventListener("click", () => (isName(item) ? choose(item, true) : fold(item)));
        hit.addEventListener("keydown", (event) => pressed(event, item));
      }
      stage.replaceChildren(graph.element);
      legend.replaceChildren(
        ...[["primal", "v", "the value"], ["adjoint", "v̄", "the gradient, by the list"], ...(state.visits ? [["visits", "#v̄", "the gradient, by counting visits"]] : [])].map(([name, letter, words]) =>
          h("span", {}, h("b", { class: `mg-xray-${name}` }, letter), ` ${words}`),
        ),
        h("span", {}, "of an array: its shape; the size of its largest entry"),
        ...(view.groups.length ? [h("span", {}, "▸ unfolds, ▾ folds")] : []),
      );
    }

    function pressed(event, item) {
      const items = view.items();
      const here = items.indexOf(item);
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -here, End: items.length }[event.key];
      const folds = !isName(item) && { ArrowRight: !view.isOpen(item), ArrowLeft: view.isOpen(item), Enter: true, " ": true }[event.key];
      if (step === undefined && !["Enter", " "].includes(event.key)) return;
      event.preventDefault();
      if (folds) fold(item);
      else choose(items[Math.min(items.length - 1, Math.max(0, here + (step ?? 0)))], true);
    }

    function showGraph({ byList, byVisits, wrong }) {
      const itemOf = (id) => (isName(id) ? id : view.groups.find((one) => keyOf(one) === id));
      const number = (name, id) => {
        if (name === "fold") return { text: `${bytesIn(itemOf(id))} B` };
        const face = faceOf(itemOf(id));
        return name === "primal" ? { x: values[face], of: "value" } : name === "adjoint" ? { x: byList.adjoints[face] } : { x: byVisits.adjoints[face], wrong: wrong(face) };
      };
      const turn = at() === 0 ? null : stepOf(walk.list[at() - 1].id);
      const active = turn && key(view.seen(turn.id));
      graph.update({ phase: "reverse", active, number, partial: () => 0, turns: () => "", sends: ({ to, value }) => to === active && turn.inputs.includes(value) });
      for (const item of view.items()) {
        const { group, rows, hit } = spots.get(key(item));
        const here = item === chosen();
        const face = faceOf(item);
        group.classList.toggle("mg-chosen", here);
        group.classList.toggle("mg-unlisted", !isKnown(item));
        group.classList.toggle("mg-folded", !isName(item) && !view.isOpen(item));
        hit.setAttribute("tabindex", here ? 0 : -1);
        hit.setAttribute(isName(item) ? "aria-pressed" : "aria-expanded", String(isName(item) ? here : view.isOpen(item)));
        const counted = state.visits ? `, by counting visits ${inCard(number("visits", key(item)))}` : "";
        const what = isName(item) ? (stepOf(item)?.class ?? "leaf") : `${kindOf(item)}, ${sizeOf(item)}`;
        const where = view.around(item).length ? `, in ${view.path(view.around(item).at(-1))}` : "";
        hit.setAttribute("aria-label", `${isName(item) ? nameOf(item) : item.name}, ${what}${where}${isKnown(item) ? "" : ", not on the list"}: value ${inCard(number("primal", key(item)))}, gradient ${inCard(number("adjoint", key(item)))}${counted}`);
        for (const row of rows) row.value.classList.toggle("mg-wrong", row.key === "visits" && wrong(face));
      }
    }

    function showSource() {
      const item = chosen();
      const line = isName(item) ? (stepOf(item)?.line ?? list.source.findLastIndex((text) => text.startsWith("def "))) : item.line;
      const lines = list.source.map((text, i) => h("span", { class: `mg-xray-line${i === line ? " mg-here" : ""}`, "aria-current": i === line ? "true" : null }, h("span", { class: "mg-xray-number", "aria-hidden": "true" }, i === line ? "▸" : ""), text || " "));
      source.replaceChildren(...lines);
    }

    function goButton(item) {
      return h("button", { type: "button", class: "mg-button mg-xray-go", onClick: () => choose(item) }, nameOfItem(item));
    }
    const goButtons = (items) => (items.length ? items.flatMap((item) => [goButton(item), " "]) : "none");

    function foldButton(group, text) {
      const open = view.isOpen(group);
      return h("button", { type: "button", class: "mg-button mg-xray-go mg-xray-fold", "data-fold": view.path(group), "aria-expanded": String(open), onClick: () => fold(group, true) }, `${open ? "▾" : "▸"} ${text}`);
    }

    function showDetails(now) {
      const item = chosen();
      const rows = isName(item) ? detailsOfNode(item, now) : detailsOfGroup(item, now);
      const outer = view.around(item).at(-1);
      if (outer) rows.splice(1, 0, ["inside", goButton(outer)]);
      details.replaceChildren(...rows.map(([term, what]) => h("div", {}, h("dt", {}, term), h("dd", {}, what))));
    }

    function detailsOfGroup(group, { byList }) {
      const steps = view.steps(group);
      const leaves = view.holds(group).filter((id) => !stepOf(id));
      return [
        [group.kind, [h("b", {}, view.path(group)), `, ${kindOf(group)} `, foldButton(group, view.isOpen(group) ? "Fold" : "Unfold")]],
        ["ops", `${steps.length}: ${steps.map((step) => step.class).join(", ")}`],
        ["inputs", goButtons(view.inputs(group))],
        ["outputs", goButtons(view.outputs(group))],
        ...(leaves.length ? [["parameters", goButtons(leaves)]] : []),
        [`value of ${nameOf(faceOf(group))}`, h("span", { class: "mg-xray-array mg-primal" }, written(values[faceOf(group)]))],
        [`grad of ${nameOf(faceOf(group))}`, isKnown(group) ? h("span", { class: "mg-xray-array mg-adjoint" }, written(byList.adjoints[faceOf(group)])) : "zeros, since nothing comes"],
        ["contexts", `${plural(bytesIn(group), "byte")} in arrays, in ${plural(steps.length, "record")}`],
        ["called by line", h("code", {}, lineOf(group))],
      ];
    }

    function detailsOfNode(id, { byList, byVisits, wrong }) {
      const step = stepOf(id);
      const total = uses(list)[id];
      const gradient = h("span", { class: "mg-xray-array" }, written(byList.adjoints[id]));
      const rows = [
        ["node", [h("b", {}, nameOf(id)), onTheList(list).has(id) ? "" : `, which ${nameOf(list.outputs[0])} does not need: it is not on the list`]],
        ["value", h("span", { class: "mg-xray-array mg-primal" }, written(values[id]))],
        ["grad", onTheList(list).has(id) ? (gradient.classList.add("mg-adjoint"), gradient) : "zeros, since nothing comes"],
      ];
      if (state.visits) {
        const count = id === list.outputs[0] ? "here the walk begins" : `${byVisits.visits[id]} of ${plural(total, "visit")}`;
        rows.push(["grad, by visits", [h("span", { class: `mg-xray-array ${wrong(id) ? "mg-wrong" : "mg-adjoint"}` }, `${wrong(id) ? "✗ " : ""}${written(byVisits.adjoints[id])}`), " ", h("span", { class: "mg-xray-note" }, `${count}${wrong(id) ? ": wrong" : ""}`)]]);
      }
      rows.push(["op", step ? h("code", {}, step.class) : "none: a leaf, made by you, without a source"]);
      if (step) rows.push(["inputs", step.inputs.flatMap((one) => (isName(one) ? [goButton(one), " "] : [h("code", {}, format(one.constant)), " "]))]);
      rows.push(["users", goButtons(usersOf(id))]);
      if (step) {
        const notes = step.context.map(({ key: name, bytes: size, of }) => `${name}, ${of === null ? (size ? plural(size, "byte") : "no array") : `${plural(size, "byte")}: the array of ${nameOf(of)} itself`}`);
        rows.push(["context", notes.length ? `${plural(bytes(step), "byte")} in arrays (${notes.join("; ")})` : "empty: this derivative needs no notes"]);
        rows.push(["made by line", h("code", {}, lineOf(step))]);
      }
      return rows;
    }

    function showTable({ byList, byVisits, wrong }) {
      const head = ["node", "op", "inputs", "value", "grad", ...(state.visits ? ["visits", "grad, by visits"] : []), "context bytes", "made by line"];
      const body = view.items().map((item) => {
        const [step, id] = isName(item) ? [stepOf(item), item] : [null, faceOf(item)];
        const made = isName(item) ? step : item;
        const op = isName(item) ? (step?.class ?? "leaf") : `${item.class}, ${plural(view.steps(item).length, "op")}`;
        const from = isName(item) ? (step ? textOf(step) : "") : view.inputs(item).map(nameOf).join(", ");
        const kept = isName(item) ? (step ? String(bytes(step)) : "") : String(bytesIn(item));
        const counted = [isName(item) ? `${byVisits.visits[id]} of ${uses(list)[id]}` : "", `${wrong(id) ? "✗ " : ""}${written(byVisits.adjoints[id])}`];
        const cells = [op, from, written(values[id]), isKnown(item) ? written(byList.adjoints[id]) : "not on the list", ...(state.visits ? counted : []), kept, made ? lineOf(made) : ""];
        const name = isName(item) ? nameOf(item) : foldButton(item, view.path(item));
        return h("tr", { "aria-current": item === chosen() ? "true" : null }, h("th", { scope: "row", style: `padding-inline-start: ${0.5 + 1.1 * view.around(item).length}rem` }, name), cells.map((cell) => h("td", {}, cell)));
      });
      tables.replaceChildren(h("table", {}, h("caption", {}, `After ${at()} of ${plural(turns(), "turn")} of the way back`), h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, body)));
    }

    function sentence({ wrong, stopped, byVisits, byList }) {
      const zero = all().filter(({ id }) => wrong(id) && isZero(byVisits.adjoints[id])).map(({ id }) => nameOf(id));
      if (state.visits && stopped && zero.length) {
        const stuck = list.steps.filter(({ id }) => onTheList(list).has(id) && byVisits.visits[id] > 0 && byVisits.visits[id] < uses(list)[id]).map(({ id }) => `${nameOf(id)} had ${byVisits.visits[id]} of its ${plural(uses(list)[id], "visit")}`);
        return `The visit counter stopped after ${walk.visits.length} of ${plural(turns(), "turn")}, without a word: ${listed(stuck)}. Below, the ${zero.length === 1 ? "gradient" : "gradients"} of ${listed(zero)} ${zero.length === 1 ? "stays" : "stay"} zero; ${at() < turns() ? "the list goes on" : `by the list ${zero.length === 1 ? "it is" : "they are"} right`}.`;
      }
      const item = chosen();
      const id = faceOf(item);
      const opened = isName(item)
        ? `${nameOf(id)} is ${stepOf(id) ? `made by ${stepOf(id).class} from ${textOf(stepOf(id))}` : "a leaf"}`
        : `${item.name}, ${kindOf(item)}, is ${view.isOpen(item) ? "open" : "folded"}: ${sizeOf(item)}, from ${listed(view.inputs(item).map(nameOf)) || "nothing"} to ${listed(view.outputs(item).map(nameOf)) || "nobody"}`;
      if (at() === 0) return `${opened}. The way back has not begun: ${nameOf(list.outputs[0])} has the gradient 1, all others are zero.`;
      const turn = walk.list[at() - 1];
      const last = at() === turns() ? "All records have had their turn" : `Turn ${at()} of ${turns()}: ${stepOf(turn.id).class}${view.around(turn.id).length ? ` in ${view.path(view.around(turn.id).at(-1))}` : ""} sends its shares to ${listed([...new Set(turn.sent.map(({ to }) => nameOf(to)))])}`;
      const dead = list.unused !== null && at() === turns() ? ` ${nameOf(list.unused)} is not among them, so it disturbs nobody.` : "";
      return `${last}.${dead} ${opened}; ${isName(item) ? "its gradient" : `the gradient of ${nameOf(id)}`} is ${shapeOf(values[id]).length ? `an array of ${shape(values[id])}` : format(byList.adjoints[id])}.`;
    }

    function show() {
      const now = moment();
      program.set(state.program);
      unused.set(state.unused);
      visits.set(state.visits);
      program.element.hidden = Object.keys(recorded).length < 2;
      unused.element.hidden = !recorded[state.program].branch;
      foldAll.hidden = view.groups.length === 0;
      foldAll.textContent = foldAll.title = allOpen() ? "Fold all" : "Unfold all";
      asTable.set(state.table);
      pictures.hidden = state.table;
      tables.hidden = !state.table;
      position.max = turns();
      position.value = at();
      position.setAttribute("aria-valuetext", `${at()} of ${turns()}`);
      where.textContent = `turn ${at()} of ${turns()}`;
      for (const one of [player.first, player.back]) enable(one, at() > 0);
      for (const one of [player.next, player.last]) enable(one, at() < turns());
      showSource();
      showGraph(now);
      showDetails(now);
      if (state.table) showTable(now);
      voice.say(sentence(now));
      status.textContent = "";
      save();
    }

    function change(what) {
      const drawn = () => [state.program, state.unused, state.visits, ...state.unfolded].join();
      const [before, room] = [drawn(), list];
      Object.assign(state, what);
      if (before !== drawn() || !room) {
        const next = recorded[state.program][state.unused ? "branch" : "trunk"] ?? recorded[state.program].trunk;
        if (!room || next.source !== list.source || next.steps.length !== list.steps.length) {
          play(false);
          list = load(next);
          values = evaluate(list);
          walk = walks(list, values);
        }
        view = folds(list, new Set(state.unfolded));
        draw();
      }
      show();
    }

    /** Open an item, and the folded groups around it. */
    function choose(item, focus = false) {
      const around = view.around(item).map(view.path);
      change({ node: nameOfItem(item), unfolded: [...new Set([...state.unfolded, ...around])] });
      reveal(focus);
    }

    function fold(group, fromButton = false) {
      const path = view.path(group);
      change({ node: path, unfolded: view.isOpen(group) ? state.unfolded.filter((one) => one !== path) : [...state.unfolded, path] });
      reveal(!fromButton);
      const home = state.table ? tables : details;
      if (fromButton) home.querySelector(`[data-fold="${CSS.escape(path)}"]`).focus();
    }

    function reveal(focus) {
      const { hit } = spots.get(key(chosen()));
      if (focus) hit.focus({ preventScroll: true });
      const [card, frame] = [hit.getBoundingClientRect(), stage.getBoundingClientRect()];
      if (card.left < frame.left || card.right > frame.right) stage.scrollLeft += (card.left + card.right - frame.left - frame.right) / 2;
    }

    function go(step) {
      const to = Math.min(turns(), Math.max(0, step));
      if (to !== at() + 1) play(false);
      change({ step: to === turns() ? -1 : to });
    }

    function play(on) {
      if (on === (timer !== null)) return;
      clearInterval(timer);
      timer = null;
      if (on) {
        if (at() === turns()) change({ step: 0 });
        timer = setInterval(() => (root.isConnected && at() < turns() ? go(at() + 1) : play(false)), PLAY);
      }
      player.play.replaceChildren(icon(on ? "pause" : "play"));
      for (const name of ["aria-label", "title"]) player.play.setAttribute(name, on ? "Pause" : "Play");
    }

    // ---- Address and model --------------------------------------------------------------------------------------------------

    const NAMES = ["program", "node", "unused", "visits", "step", "unfolded"];
    const flag = (on) => (on ? "1" : null);
    const shared = () => ({ "": state.program, node: state.node || null, unused: flag(state.unused), visits: flag(state.visits), step: state.step < 0 ? null : state.step, unfolded: state.unfolded.join() || null });
    const traits = () => Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      for (const name of NAMES) model.set(name, state[name]);
      model.save_changes();
      ready = true;
    }
    function start(from) {
      ready = false;
      play(false);
      list = null;
      change({ table: false, ...from });
      ready = true;
      save();
    }

    el.append(root);
    const original = traits();
    const linked = url.read();
    if (linked in recorded) {
      const step = Number(url.read("step") ?? -1);
      start({ program: linked, node: url.read("node") ?? "", unused: url.read("unused") === "1", visits: url.read("visits") === "1", step: Number.isInteger(step) ? step : -1, unfolded: (url.read("unfolded") ?? "").split(",").filter(Boolean) });
      root.scrollIntoView({ block: "nearest" });
    } else start(original);
    for (const name of NAMES) model.on(`change:${name}`, () => ready && start(traits()));
    let width = stage.clientWidth;
    new ResizeObserver(() => {
      if (stage.clientWidth === width || stage.clientWidth === 0) return;
      width = stage.clientWidth;
      draw();
      show();
    }).observe(stage);
  },
};

/* The graph x-ray: a program that minigrad ran, as the graph that it wrote down. Any node can be opened; the way back is
 * walked turn by turn, by the list and, if the reader likes, by an engine that counts visits, side by side.
 *
 * The list, the contexts and the lines of source were recorded in Python (widgets/x_ray.py). What flows back is computed
 * here, by engine.js. */

import { evaluate, load, OPS, shapeOf } from "../engine.js";
import { announcer, brief, button, choice, copy, enable, format, h, icon, inJupyter, keepKeys, svg, toggle, urlState } from "../toolkit.js";
import { drawGraph } from "../trace_player/graph.js";
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
const inCard = ({ x, of, wrong }) => (wrong ? "✗ " : "") + (shapeOf(x).length === 0 ? brief(x) : of === "value" ? shapeOf(x).join("×") : isZero(x) ? "0" : `≤ ${brief(Math.max(...entries(x).map(Math.abs)), 2)}`);

export default {
  render({ model, el }) {
    const url = urlState("xray");
    const recorded = model.get("recorded");
    const state = { program: "exponential", node: "", unused: false, visits: false, step: -1, table: false };
    let [list, values, walk, graph, timer] = [null, null, null, null, null];

    // ---- The elements ------------------------------------------------------------------------------------------------------

    const titles = Object.fromEntries(Object.entries(recorded).map(([key, { title }]) => [key, title]));
    const program = choice({ label: "Program", options: titles, value: state.program, onChange: (key) => change({ program: key, node: "", step: -1 }) });
    const unused = toggle({ label: "Add an unused branch", onChange: (on) => change({ unused: on, step: -1 }) });
    const visits = toggle({ label: "Visit counter beside the list", onChange: (on) => change({ visits: on }) });
    const source = h("pre", { class: "mg-xray-source", tabindex: 0, role: "region", "aria-label": "The program" });
    const stage = h("div", { class: "mg-stage mg-xray-stage" });
    const key = h("p", { class: "mg-xray-key" });
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
    const tables = h("div", { class: "mg-scroll mg-table", tabindex: 0, role: "region", "aria-label": "All nodes, in numbers", hidden: true });
    const pictures = h("div", {}, stage, key);
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-xray", "aria-label": "Graph x-ray", "data-mg-state": url.mark },
      h("div", { class: "mg-xray-head" }, program.element, unused.element, visits.element),
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
    const idOf = (name) => Math.max(-1, all().findIndex(({ id }) => nameOf(id) === name));
    const chosen = () => (idOf(state.node) < 0 ? list.outputs[0] : idOf(state.node));
    const turns = () => walk.list.length;
    const at = () => (state.step < 0 ? turns() : Math.min(state.step, turns()));
    const textOf = (step) => step.inputs.map((one) => (isName(one) ? nameOf(one) : format(one.constant))).join(", ");
    const usersOf = (id) => list.steps.filter((step) => step.inputs.includes(id)).map((step) => step.id);
    const bytes = (step) => step.context.reduce((sum, note) => sum + note.bytes, 0);
    const lineOf = (step) => list.source[step.line].trim();

    /** Both engines after the turns so far, and at their ends. */
    function moment() {
      const upTo = (name, k) => after(list, values, walk[name].slice(0, k));
      const [byList, byVisits, right, left] = [upTo("list", at()), upTo("visits", at()), upTo("list"), upTo("visits")];
      const stopped = at() >= walk.visits.length;
      const wrong = (id) => state.visits && stopped && onTheList(list).has(id) && !same(left.adjoints[id], right.adjoints[id]);
      return { byList, byVisits, wrong, stopped };
    }

    // ---- Showing ------------------------------------------------------------------------------------------------------------

    function symbolOf(step) {
      if (!step) return "leaf";
      const constant = step.inputs.find((one) => !isName(one));
      return OPS[step.op].symbol + (constant ? ` ${brief(constant.constant)}` : "");
    }

    function draw() {
      const lines = [{ key: "primal", letter: "v" }, { key: "adjoint", letter: "v̄" }, ...(state.visits ? [{ key: "visits", letter: "#v̄" }] : [])];
      graph = drawGraph(list, {
        room: Math.max(300, stage.clientWidth - 2 || 480),
        symbolOf,
        lines,
        name: nameOf,
        text: inCard,
        label: "The graph; arrow keys go from node to node along the list",
      });
      graph.element.setAttribute("role", "group");
      for (const node of graph.nodes) {
        const { id, group, box } = node;
        // A button over the card: its label says in words what the card says in signs.
        const at = Object.fromEntries(["x", "y", "width", "height", "rx"].map((name) => [name, box.getAttribute(name)]));
        node.hit = svg("rect", { ...at, class: "mg-hit", role: "button" });
        for (const part of group.children) part.setAttribute("aria-hidden", "true");
        group.append(node.hit);
        node.hit.addEventListener("click", () => choose(id, true));
        node.hit.addEventListener("keydown", (event) => {
          const last = all().length - 1;
          const to = { ArrowLeft: id - 1, ArrowUp: id - 1, ArrowRight: id + 1, ArrowDown: id + 1, Home: 0, End: last, Enter: id, " ": id }[event.key];
          if (to === undefined) return;
          event.preventDefault();
          choose(Math.min(last, Math.max(0, to)), true);
        });
      }
      stage.replaceChildren(graph.element);
      key.replaceChildren(
        ...[["primal", "v", "the value"], ["adjoint", "v̄", "the gradient, by the list"], ...(state.visits ? [["visits", "#v̄", "the gradient, by counting visits"]] : [])].map(([name, letter, words]) =>
          h("span", {}, h("b", { class: `mg-xray-${name}` }, letter), ` ${words}`),
        ),
        h("span", {}, "of an array: its shape; the size of its largest entry"),
      );
    }

    function showGraph({ byList, byVisits, wrong }) {
      const known = onTheList(list);
      const number = (name, id) =>
        name === "primal" ? { x: values[id], of: "value" } : name === "adjoint" ? { x: byList.adjoints[id] } : { x: byVisits.adjoints[id], wrong: wrong(id) };
      const active = at() === 0 ? null : walk.list[at() - 1].id;
      graph.update({ phase: "reverse", active, number, partial: () => 0, turns: () => "" });
      for (const { id, group, rows, hit } of graph.nodes) {
        group.classList.toggle("mg-chosen", id === chosen());
        group.classList.toggle("mg-unlisted", !known.has(id));
        hit.setAttribute("tabindex", id === chosen() ? 0 : -1);
        hit.setAttribute("aria-pressed", String(id === chosen()));
        const counted = state.visits ? `, by counting visits ${inCard(number("visits", id))}` : "";
        hit.setAttribute("aria-label", `${nameOf(id)}, ${stepOf(id)?.class ?? "leaf"}${known.has(id) ? "" : ", not on the list"}: value ${inCard(number("primal", id))}, gradient ${inCard(number("adjoint", id))}${counted}`);
        for (const row of rows) row.value.classList.toggle("mg-wrong", row.key === "visits" && wrong(id));
      }
    }

    function showSource() {
      const line = stepOf(chosen())?.line ?? 0;
      const lines = list.source.map((text, i) => h("span", { class: `mg-xray-line${i === line ? " mg-here" : ""}`, "aria-current": i === line ? "true" : null }, h("span", { class: "mg-xray-number", "aria-hidden": "true" }, i === line ? "▸" : ""), text));
      source.replaceChildren(...lines);
    }

    function nodeButton(id) {
      return h("button", { type: "button", class: "mg-button mg-xray-go", onClick: () => choose(id) }, nameOf(id));
    }

    function showDetails({ byList, byVisits, wrong }) {
      const id = chosen();
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
      if (step) rows.push(["inputs", step.inputs.flatMap((one) => (isName(one) ? [nodeButton(one), " "] : [h("code", {}, format(one.constant)), " "]))]);
      rows.push(["users", usersOf(id).length ? usersOf(id).flatMap((user) => [nodeButton(user), " "]) : "none"]);
      if (step) {
        const notes = step.context.map(({ key: name, bytes: size, of }) => `${name}, ${of === null ? (size ? plural(size, "byte") : "no array") : `${plural(size, "byte")}: the array of ${nameOf(of)} itself`}`);
        rows.push(["context", notes.length ? `${plural(bytes(step), "byte")} in arrays (${notes.join("; ")})` : "empty: this derivative needs no notes"]);
        rows.push(["made by line", h("code", {}, lineOf(step))]);
      }
      details.replaceChildren(...rows.map(([term, what]) => h("div", {}, h("dt", {}, term), h("dd", {}, what))));
    }

    function showTable({ byList, byVisits, wrong }) {
      const head = ["node", "op", "inputs", "value", "grad", ...(state.visits ? ["visits", "grad, by visits"] : []), "context bytes", "made by line"];
      const body = all().map(({ id }) => {
        const step = stepOf(id);
        const known = onTheList(list).has(id);
        const counted = [`${byVisits.visits[id]} of ${uses(list)[id]}`, `${wrong(id) ? "✗ " : ""}${written(byVisits.adjoints[id])}`];
        const cells = [step?.class ?? "leaf", step ? textOf(step) : "", written(values[id]), known ? written(byList.adjoints[id]) : "not on the list", ...(state.visits ? counted : []), step ? String(bytes(step)) : "", step ? lineOf(step) : ""];
        return h("tr", { "aria-current": id === chosen() ? "true" : null }, h("th", { scope: "row" }, nameOf(id)), cells.map((cell) => h("td", {}, cell)));
      });
      tables.replaceChildren(h("table", {}, h("caption", {}, `After ${at()} of ${plural(turns(), "turn")} of the way back`), h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, body)));
    }

    function sentence({ wrong, stopped, byVisits, byList }) {
      const zero = all().filter(({ id }) => wrong(id) && isZero(byVisits.adjoints[id])).map(({ id }) => nameOf(id));
      if (state.visits && stopped && zero.length) {
        const stuck = list.steps.filter(({ id }) => onTheList(list).has(id) && byVisits.visits[id] > 0 && byVisits.visits[id] < uses(list)[id]).map(({ id }) => `${nameOf(id)} had ${byVisits.visits[id]} of its ${plural(uses(list)[id], "visit")}`);
        return `The visit counter stopped after ${walk.visits.length} of ${plural(turns(), "turn")}, without a word: ${listed(stuck)}. Below, the ${zero.length === 1 ? "gradient" : "gradients"} of ${listed(zero)} ${zero.length === 1 ? "stays" : "stay"} zero; ${at() < turns() ? "the list goes on" : `by the list ${zero.length === 1 ? "it is" : "they are"} right`}.`;
      }
      const id = chosen();
      const opened = `${nameOf(id)} is ${stepOf(id) ? `made by ${stepOf(id).class} from ${textOf(stepOf(id))}` : "a leaf"}`;
      if (at() === 0) return `${opened}. The way back has not begun: ${nameOf(list.outputs[0])} has the gradient 1, all others are zero.`;
      const turn = walk.list[at() - 1];
      const last = at() === turns() ? "All records have had their turn" : `Turn ${at()} of ${turns()}: ${stepOf(turn.id).class} sends its shares to ${listed([...new Set(turn.sent.map(({ to }) => nameOf(to)))])}`;
      const dead = list.unused !== null && at() === turns() ? ` ${nameOf(list.unused)} is not among them, so it disturbs nobody.` : "";
      return `${last}.${dead} ${opened}; its gradient is ${shapeOf(values[id]).length ? `an array of ${shape(values[id])}` : format(byList.adjoints[id])}.`;
    }

    function show() {
      const now = moment();
      program.set(state.program);
      unused.set(state.unused);
      visits.set(state.visits);
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
      const [before, room] = [[state.program, state.unused, state.visits].join(), list];
      Object.assign(state, what);
      if (before !== [state.program, state.unused, state.visits].join() || !room) {
        play(false);
        list = load(recorded[state.program][state.unused ? "branch" : "trunk"]);
        values = evaluate(list);
        walk = walks(list, values);
        draw();
      }
      show();
    }

    function choose(id, focus = false) {
      change({ node: nameOf(id) });
      const { hit } = graph.nodes.find((node) => node.id === id);
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

    const NAMES = ["program", "node", "unused", "visits", "step"];
    const flag = (on) => (on ? "1" : null);
    const shared = () => ({ "": state.program, node: state.node || null, unused: flag(state.unused), visits: flag(state.visits), step: state.step < 0 ? null : state.step });
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
      start({ program: linked, node: url.read("node") ?? "", unused: url.read("unused") === "1", visits: url.read("visits") === "1", step: Number.isInteger(step) ? step : -1 });
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

/* The trace player: an evaluation trace that the reader types, moves and steps through, forwards and backwards.
 *
 * Everything shown is read from one Wengert list: engine.js computes values, tangents and adjoints once, and a *moment*
 * (the position of the stepper) says how much of them is known yet. */

import { adjoints, evaluate, ExpressionError, OPS, parse, tangents, VARIABLES } from "../engine.js";
import { aligned, announcer, brief, button, choice, copy, decimals, enable, format, h, icon, inJupyter, keepKeys, reducedMotion, slider, svg, toggle, uniqueId, urlState } from "../toolkit.js";
import { refusal, replay, verdict } from "./game.js";
import { drawGraph } from "./graph.js";
import { makePad } from "./pad.js";

const EXAMPLES = {
  "ln(x1) + x1*x2 - sin(x2)": [2, 5],
  "x1*x2 + x1*x3 + x2*x3": [1, 2, 3],
  "a = exp(x1); b = a**2; c = a + b; exp(c) + sin(c)": [0],
  "p = x1**2; q = sin(p); r = exp(p); tanh(q * ln(r + 1))": [1],
  "tanh(x1*x2 + x3)": [0.5, -1, 1],
  "max(x1, x2) + abs(x1 - x2)": [1, 1],
  "sqrt(x1**2 + x2**2)": [3, 4],
};
const PLAY = 1400; // milliseconds a step

// ---- Names and rules as text -----------------------------------------------------------------------------------------------

const MARK = { primal: "", tangent: "\u0307", adjoint: "\u0304" };
const sub = (index) => String(index).replace("-", "−");

/** The parts of a name: letter with its dot or bar, and index. Inputs are v with index 1-n ... 0, steps v1, v2, ... */
const nameParts = (list, id, kind) => [`v${MARK[kind]}`, sub(id - list.inputs.length + 1)];
const plainName = (list, id) => nameParts(list, id, "primal").join("");

function nameHtml(list, id, kind) {
  const [letter, index] = nameParts(list, id, kind);
  return `<span class="mg-${kind}"><i>${letter}</i><sub>${index}</sub></span>`;
}

/** A number inside a formula; a negative one in parentheses unless nothing stands before it. */
function numberHtml(x, kind, first) {
  const text = format(x);
  const whole = text.startsWith("−") && !first ? `(${text})` : text;
  return `<span class="mg-${kind}" title="${x}">${whole}</span>`;
}

/** Fill a rule of the engine's table. `read` is asked for the key and whether it stands at the beginning. */
function fillRule(template, read) {
  const opened = template.replace(/<([^>]*)>/g, "⟦$1⟧");
  return opened
    .replace(/\{(\w+)\}/g, (whole, key, offset) => read(key, offset === 0 && opened[whole.length] !== "⟦"))
    .replace(/⟦/g, "<sup>")
    .replace(/⟧/g, "</sup>");
}

const isName = (input) => typeof input === "number";

/** A rule with numbers, as plain text: "ln (−1)", "(−8) ^ 0.5". */
function fillPlain(template, [a, b]) {
  const shown = (x) => (format(x).startsWith("−") ? `(${format(x)})` : format(x));
  return template.replace("{a}<{b}>", "{a} ^ {b}").replace("({a})", "{a}").replace("{a}", shown(a)).replace("{b}", shown(b));
}

/** Why a step has no finite value at these inputs. */
function reason(op, [a, b]) {
  if (op === "log") return a === 0 ? "the logarithm falls without end towards 0" : "the logarithm takes positive numbers only";
  if (op === "sqrt") return "the square root takes no negative number";
  if (op === "divide" && b === 0) return "nothing can be divided by 0";
  if (op === "power" && a === 0) return "0 has no negative powers";
  if (op === "power" && a < 0 && !Number.isInteger(b)) return "a negative number has whole powers only";
  return "it is too large for a floating-point number";
}

export default {
  render({ model, el }) {
    const state = {};
    const defaults = () => ({
      expression: model.get("expression"),
      at: [...model.get("at")],
      seed: [...model.get("seed")],
      mode: model.get("mode"),
      step: model.get("step"),
      moves: [...model.get("moves")],
    });
    const original = defaults();
    const url = urlState("trace");
    let [list, values, moving, bar, frames] = [null, [], [], null, []];
    let [frame, timer, graph, windows, angle, trouble] = [0, null, null, [], 0, null];
    let [game, refused] = [null, null]; // of the order game: where it stands; why the last choice was no move

    // ---- Reading and computing -------------------------------------------------------------------------------------------

    const gaming = () => state.mode === "game";
    const forward = () => state.mode !== "reverse" && !gaming();
    const backward = () => state.mode !== "forward";
    const lines = () => [
      { key: "primal", letter: "v" },
      ...(forward() ? [{ key: "tangent", letter: "v̇" }] : []),
      ...(backward() ? [{ key: "adjoint", letter: "v̄" }] : []),
    ];
    const slots = () => list.inputs.map((input) => VARIABLES.indexOf(input.name));
    const stepOf = (id) => list.steps[id - list.inputs.length];

    /** The point, the direction or the expression has changed: run the list. */
    function compute() {
      values = evaluate(list, slots().map((k) => state.at[k] ?? 1));
      moving = tangents(list, values, slots().map((k) => state.seed[k] ?? 0));
      trouble = missing();
      settle();
    }

    /** Reverse mode: in the list's own order, backwards, or in the order in which the reader has let the steps pass on. */
    function settle() {
      state.moves = state.moves.filter((number) => number >= 1 && number <= list.steps.length);
      if (gaming()) game = replay(list, values, moved());
      bar = gaming() ? game.bar : adjoints(list, values);
      measure();
    }

    // Moves are kept as the numbers of the steps, 1 for v1.
    const moved = () => state.moves.map((number) => number + list.inputs.length - 1);

    /** The moments of the stepper: the inputs, each step forward; then the output's 1, each step backward. */
    function makeFrames() {
      if (gaming()) {
        const last = moved().at(-1);
        frames = [last === undefined ? { phase: "seed", active: list.outputs[0] } : { phase: "reverse", active: last }];
        return;
      }
      const back = [{ phase: "seed", active: list.outputs[0] }, ...[...list.steps].reverse().map(({ id }) => ({ phase: "reverse", active: id }))];
      frames = [{ phase: "start", active: null }, ...list.steps.map(({ id }) => ({ phase: "forward", active: id })), ...(backward() ? back : [])];
    }

    const reversed = () => frame - list.steps.length - 1; // how many steps the reverse phase has done; negative before it
    const isKnown = (id) => gaming() || id < list.inputs.length || id - list.inputs.length < frame;
    const sent = (user) => (gaming() ? moved().includes(user) : reversed() > 0 && list.steps.length - (user - list.inputs.length) <= reversed());
    const received = (id) => bar.contributions[id].filter(({ user }) => sent(user));

    /** What is known of a quantity at this moment, or null. */
    function number(key, id) {
      if (key === "primal") return isKnown(id) ? values[id] : null;
      if (key === "tangent") return isKnown(id) ? moving[id] : null;
      if (!gaming() && reversed() < 0) return null;
      const parts = received(id).map(({ value }) => value);
      if (id === list.outputs[0]) parts.unshift(1);
      if (parts.length) return parts.reduce((sum, value) => sum + value);
      return sent(id) ? 0 : null;
    }

    function partial(user, slot) {
      const step = stepOf(user);
      const read = step.inputs.map((input) => (isName(input) ? values[input] : input.constant));
      return OPS[step.op].partial(slot, read, values[user]);
    }

    /** The first step without a finite value, or without a finite slope, in one sentence; null where all is well. */
    function missing() {
      for (const step of list.steps) {
        const read = step.inputs.map((input) => (isName(input) ? values[input] : input.constant));
        const formula = fillPlain(OPS[step.op].rule.value, read);
        const name = plainName(list, step.id);
        if (!Number.isFinite(values[step.id])) {
          const [why, what] = Number.isNaN(values[step.id]) ? ["has no value", "no value"] : [`is ${format(values[step.id])}`, "no finite value"];
          return `${name} = ${formula} ${why}: ${reason(step.op, read)}. The rules still give numbers, but where f has ${what} there is no slope, and they mean nothing.`;
        }
        if (step.inputs.some((input, slot) => isName(input) && !Number.isFinite(partial(step.id, slot)))) {
          return `${name} = ${formula} has a value but no finite slope here, so f has no derivative that these rules could give.`;
        }
      }
      return null;
    }

    // ---- The formulas of a step --------------------------------------------------------------------------------------------

    function filled(template, step, how) {
      const side = { a: 0, b: 1 };
      const read = (key, first) => {
        const letter = key.at(-1);
        const input = step.inputs[side[letter]];
        if (key === "y") return how === "names" ? nameHtml(list, step.id, "primal") : numberHtml(values[step.id], "primal", first);
        if (key === "gy") return how === "names" ? nameHtml(list, step.id, "adjoint") : numberHtml(bar.adjoints[step.id], "adjoint", first);
        if (key[0] === "p") {
          if (how === "names") return filled(OPS[step.op].rule.cases[side[letter]], step, "names");
          return numberHtml(partial(step.id, side[letter]), "primal", first);
        }
        if (key[0] === "d") return how === "names" ? nameHtml(list, input, "tangent") : numberHtml(moving[input], "tangent", first);
        if (!isName(input)) return numberHtml(input.constant, "constant", first);
        if (how === "names") return nameHtml(list, input, "primal");
        if (how === "dual") return `<span class="mg-dual">(${dualHtml(values[input], moving[input])})</span>`;
        return numberHtml(values[input], "primal", first);
      };
      return fillRule(template, read);
    }

    function dualHtml(value, tangent) {
      const sign = tangent < 0 || Object.is(tangent, -0) ? "−" : "+";
      return `<span class="mg-primal">${format(value)}</span> ${sign} <span class="mg-tangent">${format(Math.abs(tangent))}</span> ε`;
    }

    const tangentRule = (step) =>
      OPS[step.op].rule.tangent.filter((_, slot) => isName(step.inputs[slot])).join(" ").replace(/^\+ /, "").replace(/^− /, "−");

    function explanation() {
      const { phase, active } = frames[frame];
      // A line that is too long breaks before an equals sign, nowhere else.
      const line = (left, sign, ...right) => [left, sign, right.map((part, i) => `<span class="mg-part">${i ? '<span class="mg-equals">=</span> ' : ""}${part}</span>`).join(" ")];
      if (phase === "start") {
        return list.inputs.map(({ id, name }) =>
          line(
            nameHtml(list, id, "primal"),
            "=",
            `<i>x</i><sub>${name[1]}</sub>`,
            numberHtml(values[id], "primal", true) + (forward() ? `<span class="mg-aside">with ${nameHtml(list, id, "tangent")} = ${numberHtml(moving[id], "tangent", true)}</span>` : ""),
          ),
        );
      }
      if (phase === "seed") {
        return [line(nameHtml(list, active, "adjoint"), "=", `∂<i>f</i> / ∂${nameHtml(list, active, "primal")}`, numberHtml(1, "adjoint", true))];
      }
      const step = stepOf(active);
      const { rule } = OPS[step.op];
      if (phase === "forward") {
        return [
          line(nameHtml(list, active, "primal"), "=", filled(rule.value, step, "names"), filled(rule.value, step, "numbers"), `<b>${numberHtml(values[active], "primal", true)}</b>`),
          ...(forward()
            ? [
                line(nameHtml(list, active, "tangent"), "=", filled(tangentRule(step), step, "names"), filled(tangentRule(step), step, "numbers"), `<b>${numberHtml(moving[active], "tangent", true)}</b>`),
                line('<span class="mg-dual-word">dual</span>', "", filled(rule.value, step, "dual"), `<b>${dualHtml(values[active], moving[active])}</b>`),
              ]
            : []),
        ];
      }
      if (received(active).length === 0 && active !== list.outputs[0]) {
        const why = gaming() ? "nothing has arrived yet" : `nothing that reaches the output uses ${nameHtml(list, active, "primal")}`;
        return [line(nameHtml(list, active, "adjoint"), "=", "0", why)];
      }
      return step.inputs.flatMap((input, slot) => {
        if (!isName(input)) return [];
        const before = received(input);
        const mine = before.findLastIndex((part) => part.user === active && part.slot === slot);
        const left = nameHtml(list, input, "adjoint");
        const share = `<b>${numberHtml(before[mine].value, "adjoint", true)}</b>`;
        const rows = [line(left, mine === 0 ? "=" : "+=", filled(rule.adjoint[slot], step, "names"), filled(rule.adjoint[slot], step, "numbers"), share)];
        if (mine > 0) {
          const parts = before.slice(0, mine + 1).map(({ value }) => value);
          rows[0][2] += ` <span class="mg-aside">so ${left} = ${sumHtml(parts)}</span>`;
        }
        return rows;
      });
    }

    const sumText = (parts) => parts.map((x, i) => (i === 0 ? format(x) : x < 0 ? ` − ${format(-x)}` : ` + ${format(x)}`)).join("");
    const sumHtml = (parts) => `<span class="mg-adjoint">${sumText(parts)} = <b>${format(parts.reduce((a, b) => a + b))}</b></span>`;

    function sentence() {
      const { phase, active } = frames[frame];
      const where = `Step ${frame} of ${frames.length - 1}`;
      const name = active === null ? "" : plainName(list, active);
      if (phase === "start") {
        const at = list.inputs.map(({ id, name }) => `${name} = ${format(values[id])}`).join(", ");
        return `${where}: the inputs are ${at}.`;
      }
      if (phase === "seed") return `${where}: the reverse phase starts; the adjoint of the output ${name} is 1.`;
      if (phase === "forward") {
        return `${where}: ${name} is ${format(values[active])}${forward() ? `, its tangent ${format(moving[active])}` : ""}.`;
      }
      const sums = [...new Set(stepOf(active).inputs.filter(isName))].map((id) => {
        const parts = received(id).map(({ value }) => value);
        return `${plainName(list, id)} has the adjoint ${parts.length > 1 ? `${sumText(parts)} = ` : ""}${format(number("adjoint", id))}`;
      });
      return `${where}: ${name} sends its adjoint back; ${sums.join(", ")}.`;
    }

    // ---- The elements --------------------------------------------------------------------------------------------------------

    const inputId = uniqueId("expression");
    const mistakeId = uniqueId("mistake");
    const input = h("input", { id: inputId, type: "text", class: "mg-expression", spellcheck: "false", autocomplete: "off", autocapitalize: "none", "aria-describedby": mistakeId, onInput: () => typed(input.value) });
    const examples = choice({
      label: "Examples",
      options: { "": "choose …", ...Object.fromEntries(Object.keys(EXAMPLES).map((text) => [text, text])) },
      value: "",
      onChange: (text) => {
        if (text === "") return;
        EXAMPLES[text].forEach((x, i) => (state.at[i] = x));
        input.value = text;
        typed(text);
        examples.set("");
      },
    });
    const mistake = h("div", { id: mistakeId, class: "mg-mistake", role: "alert" });
    const stage = h("div", { class: "mg-stage", tabindex: 0, role: "region", "aria-label": "Graph of the computation" });
    const edgeTable = h("div", { class: "mg-scroll mg-edges", tabindex: 0, role: "region", "aria-label": "Graph of the computation as a table" });
    const position = h("input", { type: "range", min: 0, step: 1, value: 0, class: "mg-position", "aria-label": "Step of the trace", onInput: () => go(Number(position.value)) });
    const where = h("span", { class: "mg-where" });
    const control = (shape, label, key, f) => button({ icon: icon(shape), label, hint: key && `${label} (${key}, while one of these buttons has the focus)`, onClick: f });
    const player = {
      first: control("first", "First step", "Home key", () => go(0)),
      back: control("back", "Step back", "left arrow key", () => go(frame - 1)),
      play: control("play", "Play", null, () => play(timer === null)),
      next: control("next", "Step forward", "right arrow key", () => go(frame + 1)),
      last: control("last", "Last step", "End key", () => go(frames.length - 1)),
    };
    const stepper = h("div", { class: "mg-stepper", role: "group", "aria-label": "Stepper; the arrow keys step" }, Object.values(player), position, where);
    stepper.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: frame - 1, ArrowRight: frame + 1, ArrowDown: frame - 1, ArrowUp: frame + 1, Home: 0, End: frames.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      go(to);
    });
    const working = h("div", { class: "mg-working mg-math" });
    const warning = h("p", { class: "mg-no-derivative", "aria-live": "polite" });
    const trace = h("table", { class: "mg-table" });
    const turns = h("div", { class: "mg-turns" });
    const undo = button({ label: "Undo", onClick: () => gaming() && state.moves.length > 0 && setMoves(state.moves.slice(0, -1)) });
    const restart = button({ label: "Start again", onClick: () => gaming() && setMoves([]) });
    const board = h(
      "div",
      { class: "mg-game", role: "group", "aria-label": "The order game" },
      h("p", { class: "mg-game-rule" }, "Which step passes its adjoint on next? Choose it here or in the graph. Each passes on all that it holds at that moment."),
      h("div", { class: "mg-game-row" }, turns, h("span", { class: "mg-space" }), undo, restart),
    );
    stage.addEventListener("click", (event) => {
      const card = gaming() && event.target.closest("[data-id]");
      if (card) choose(Number(card.dataset.id));
    });
    const sliders = h("div", { class: "mg-sliders" });
    const directions = h("div", { class: "mg-directions" });
    const summary = announcer();
    const place = h("div", {}, summary.element);
    const arrowId = uniqueId("seed-arrow");
    const pad = makePad({ arrow: arrowId, onPoint: (point) => movePoint(point), onDirection: (to) => drag(to) });
    pad.drawing.append(
      svg("defs", {}, svg("marker", { id: arrowId, viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 11, markerHeight: 11, markerUnits: "userSpaceOnUse", orient: "auto", class: "mg-arrow mg-arrow-seed" }, svg("path", { d: "M0,0.5 L8,4 L0,7.5z" }))),
    );
    const mode = choice({
      label: "Show",
      options: { both: "forward and reverse", forward: "forward only", reverse: "reverse only", game: "the order game" },
      value: "both",
      onChange: (value) => {
        state.mode = value;
        play(false);
        settle();
        rebuild();
        go(frames.length - 1);
        save();
      },
    });
    const table = toggle({
      label: "Show as table",
      onChange: (on) => {
        stage.hidden = on;
        edgeTable.hidden = !on;
        pad.element.style.display = on ? "none" : "";
        if (!on) draw();
        show();
      },
    });
    edgeTable.hidden = true;
    const status = h("span", { class: "mg-status", role: "status" });
    const share = button({
      label: inJupyter() ? "Copy as Python" : "Copy link",
      onClick: async () => {
        const text = inJupyter() ? python() : url.link(shared());
        if (!inJupyter()) url.write(shared());
        status.textContent = (await copy(text)) ? "Copied." : inJupyter() ? text : "The link is in the address bar.";
      },
    });
    const reset = button({ label: "Reset", onClick: () => (url.write({ "": null, at: null, seed: null, step: null, mode: null, moves: null }), start(original)) });

    // Two players on a page have different names.
    const which = url.mark === "trace" ? "" : ` ${url.mark.split("-")[1]}`;
    stage.setAttribute("aria-label", `Graph of the computation${which}`);
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-player", "aria-label": `Trace player${which}`, "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, h("label", { for: inputId, class: "mg-math mg-f" }), input, examples.element),
      mistake,
      h(
        "div",
        { class: "mg-hero" },
        h("div", { class: "mg-left" }, stage, edgeTable, stepper, board),
        h("div", { class: "mg-right" }, pad.element, sliders, directions),
        working,
        warning,
      ),
      h("div", { class: "mg-scroll", tabindex: 0, role: "region", "aria-label": `Evaluation trace${which}` }, trace),
      place,
      h("div", { class: "mg-foot" }, mode.element, table.element, h("span", { class: "mg-space" }), status, share, reset),
    );
    keepKeys(root);

    // ---- Showing ---------------------------------------------------------------------------------------------------------------

    function symbolOf(step, id) {
      if (!step) return [svg("tspan", { "font-style": "italic" }, "x"), svg("tspan", { dy: 3, "font-size": "0.75em" }, list.inputs[id].name[1])];
      const { symbol } = OPS[step.op];
      const [a, b] = step.inputs;
      if (step.op === "power") {
        const [base, exponent] = [isName(a) ? "( )" : brief(a.constant), isName(b) ? "( )" : brief(b.constant)];
        return [base, svg("tspan", { dy: -5, "font-size": "0.75em" }, exponent)];
      }
      if (step.inputs.length === 2 && !isName(b)) return `${symbol} ${brief(b.constant)}`;
      if (step.inputs.length === 2 && !isName(a)) return `${brief(a.constant)} ${symbol}`;
      return symbol;
    }

    function draw() {
      const room = Math.max(300, stage.clientWidth - 2 || 480);
      graph = drawGraph(list, {
        room,
        symbolOf,
        lines: lines(),
        name: (id) => [svg("tspan", { "font-style": "italic" }, "v"), svg("tspan", { dy: 3, "font-size": "0.75em" }, nameParts(list, id, "primal")[1])],
        label: `Graph with ${list.inputs.length} input${list.inputs.length > 1 ? "s" : ""} and ${list.steps.length} steps; the table below holds the same numbers.`,
      });
      stage.replaceChildren(graph.element);
    }

    // How many decimals each column needs once everything is known; the columns then keep still from step to step.
    const places = {};
    function measure() {
      for (const [key, all] of Object.entries({ primal: values, tangent: moving, adjoint: bar.adjoints })) places[key] = Math.max(...all.map(decimals));
    }

    function cell(key, id, x) {
      const td = h("td", { class: `mg-${key} mg-number`, title: x === null ? "not known yet" : String(x) });
      td.append(x === null ? h("span", { class: "mg-unknown" }, "·") : aligned(x, places[key]));
      return td;
    }

    function adjointCell(id) {
      const x = number("adjoint", id);
      const td = cell("adjoint", id, x);
      const parts = x === null ? [] : received(id).map(({ value }) => value);
      if (id === list.outputs[0] && parts.length) parts.unshift(1);
      if (parts.length > 1) td.prepend(h("span", { class: "mg-parts" }, `${sumText(parts)} =\u00a0`));
      return td;
    }

    function drawTable() {
      const { active } = frames[frame];
      const columns = [
        ["", ""],
        ["operation", ""],
        ["primal", 'value <i>v</i>'],
        ...(forward() ? [["tangent", "tangent <i>v̇</i>"], ["dual", "dual <i>v</i> + <i>v̇</i> ε"]] : []),
        ...(backward() ? [["adjoint", "adjoint <i>v̄</i>"]] : []),
      ];
      const head = h("tr", {}, columns.map(([key, html], i) => h("th", { scope: "col", class: `mg-${key} mg-math`, html: i === 0 ? '<span class="mg-hidden">name</span>' : html || key })));
      const rows = [...list.inputs, ...list.steps].map((entry) => {
        const { id } = entry;
        const step = stepOf(id);
        const what = step ? filled(OPS[step.op].rule.value, step, "names") : `<i>x</i><sub>${entry.name[1]}</sub>`;
        const known = isKnown(id);
        const dualCell = h("td", { class: "mg-dual mg-number", html: known ? dualHtml(values[id], moving[id]) : '<span class="mg-unknown">·</span>' });
        return h(
          "tr",
          { class: `${id === active ? "mg-row-active" : ""}${id === list.inputs.length ? " mg-first-step" : ""}`, "aria-current": id === active ? "step" : null },
          h("th", { scope: "row", class: "mg-math", html: nameHtml(list, id, "primal") }),
          h("td", { class: "mg-operation mg-math", html: what }),
          cell("primal", id, number("primal", id)),
          forward() ? [cell("tangent", id, number("tangent", id)), dualCell] : [],
          backward() ? adjointCell(id) : [],
        );
      });
      trace.className = `mg-table mg-mode-${state.mode}`;
      trace.replaceChildren(h("thead", {}, head), h("tbody", {}, rows));
    }

    function drawEdges() {
      const rows = list.steps.flatMap((step) =>
        step.inputs.flatMap((from, slot) => {
          if (!isName(from)) return [];
          const parts = bar.contributions[from].filter(({ user, slot: at }) => user === step.id && at === slot);
          const back = parts.length && sent(step.id) ? parts.reduce((sum, { value }) => sum + value, 0) : null;
          const local = isKnown(step.id) ? partial(step.id, slot) : null;
          return h(
            "tr",
            { class: step.id === frames[frame].active ? "mg-row-active" : "" },
            h("th", { scope: "row", class: "mg-math", html: `${nameHtml(list, from, "primal")} → ${nameHtml(list, step.id, "primal")}` }),
            cell("primal", from, local),
            forward() ? cell("tangent", from, local === null ? null : local * moving[from]) : [],
            backward() ? cell("adjoint", from, back) : [],
          );
        }),
      );
      const head = ["edge", "local derivative", ...(forward() ? ["tangent carried forward"] : []), ...(backward() ? ["adjoint sent back"] : [])];
      edgeTable.replaceChildren(h("table", { class: "mg-table" }, h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)));
    }

    function show() {
      const { phase, active } = frames[frame];
      root.dataset.now = phase === "forward" && forward() ? "tangent" : phase === "reverse" || phase === "seed" ? "adjoint" : "primal";
      graph.update({ phase, active, number, partial, turns: turnsOf });
      working.replaceChildren(...explanation().map(([left, sign, right]) => h("div", { class: "mg-line" }, h("span", { class: "mg-lhs", html: `${left} ${sign}` }), h("span", { class: "mg-rhs", html: right }))));
      drawTable();
      drawEdges();
      const words = { start: "inputs", forward: "forward phase", seed: "reverse phase", reverse: "reverse phase" };
      position.max = frames.length - 1;
      position.value = frame;
      position.setAttribute("aria-valuetext", `step ${frame} of ${frames.length - 1}, ${words[phase]}`);
      where.textContent = `${frame} of ${frames.length - 1} · ${words[phase].replace(" phase", "")}`;
      for (const one of [player.first, player.back]) enable(one, frame > 0);
      for (const one of [player.next, player.last]) enable(one, frame < frames.length - 1);
      if (warning.textContent !== (trouble ?? "")) warning.textContent = trouble ?? "";
      pad.update({
        list,
        window: windows,
        at: slots().map((k) => state.at[k] ?? 1),
        seed: slots().map((k) => state.seed[k] ?? 0),
        names: list.inputs.map(({ name }) => name),
        showSeed: forward(),
        value: values[list.outputs[0]],
        gradient: backward() ? list.inputs.map(({ id }) => bar.adjoints[id]) : null,
        slope: bar.adjoints[0],
      });
      if (gaming()) showGame();
      else summary.say(sentence());
    }

    /** When a step has had its turn: "1", or "2, 4"; nothing outside the game. */
    const turnsOf = (id) => (gaming() ? moved().flatMap((one, turn) => (one === id ? [turn + 1] : [])).join(", ") : "");

    function showGame() {
      for (const one of turns.children) {
        const [id, taken] = [Number(one.dataset.id), turnsOf(Number(one.dataset.id))];
        one.setAttribute("aria-label", `${plainName(list, id)} passes on${taken ? `; had turn ${taken}` : ""}`);
        one.querySelector(".mg-turn").textContent = taken;
        one.classList.toggle("mg-had-turn", taken !== "");
      }
      for (const one of [undo, restart]) enable(one, state.moves.length > 0);
      const { ok, move, end } = verdict(list, game, moved(), (id) => plainName(list, id), format);
      board.dataset.verdict = refused !== null ? "refused" : game.over ? (game.correct ? "right" : "wrong") : ok ? "ready" : "early";
      summary.say(refused ?? [move, end].filter(Boolean).join(" "));
    }

    // ---- Controls made for the inputs of this expression ---------------------------------------------------------------------------

    let knobs = [];
    function makeControls() {
      board.hidden = !gaming();
      (gaming() ? board : place).append(summary.element); // in the game, beside the choices that it judges
      stepper.hidden = gaming();
      stage.classList.toggle("mg-choosing", gaming());
      const names = gaming() ? game.steps : [];
      turns.replaceChildren(
        ...names.map((id) => button({ text: h("span", {}, h("span", { class: "mg-math", html: nameHtml(list, id, "primal") }), h("span", { class: "mg-turn" })), "data-id": id, onClick: () => choose(id) })),
      );
      const named = (name, mark = "") => h("span", { class: "mg-math", html: `<i>x${mark}</i><sub>${name[1]}</sub>` });
      knobs = list.inputs.map(({ name }, i) => {
        const k = VARIABLES.indexOf(name);
        return slider({ label: named(name), name: `input ${name}`, ...windows[i], value: state.at[k], onInput: (x) => setInput(i, x) });
      });
      sliders.replaceChildren(...knobs.map(({ element }) => element));
      directions.hidden = !forward();
      const n = list.inputs.length;
      const unit = (i) => list.inputs.map((_, j) => (i === j ? 1 : 0));
      const presets = list.inputs.map((_, i) => [`e${i + 1}`, unit(i)]);
      const label = h("span", { class: "mg-caption" }, "Seed direction");
      const buttons = presets.map(([text, seed], i) =>
        button({ label: `seed direction e${i + 1}`, text: h("span", { class: "mg-math", html: `<i>e</i><sub>${text[1]}</sub>` }), onClick: () => setSeed(seed), "aria-label": `seed direction ${text}`, "data-seed": seed.join() }),
      );
      if (n === 2) {
        const dial = slider({ label: "∠", name: "angle of the seed direction", unit: "rad", min: 0, max: 6.28, step: 0.01, value: seedAngle(), figures: 5, onInput: turn });
        knobs.push({ ...dial, isAngle: true });
        directions.replaceChildren(h("div", { class: "mg-presets" }, label, buttons), dial.element);
      } else {
        const fields = list.inputs.map(({ name }) => {
          const k = VARIABLES.indexOf(name);
          return h("label", { class: "mg-seed-field" }, named(name, "\u0307"), h("input", { type: "number", step: "any", value: state.seed[k] ?? 0, "aria-label": `seed of ${name}`, onInput: (event) => Number.isFinite(event.target.valueAsNumber) && ((state.seed[k] = event.target.valueAsNumber), refresh()) }));
        });
        directions.replaceChildren(h("div", { class: "mg-presets" }, label, buttons), h("div", { class: "mg-seeds" }, fields));
      }
    }

    /** The angle of the seed in radians: the one that was set last while it is still that, else from 0 to 2π. */
    const seedAngle = () => {
      const [a, b] = slots().map((k) => state.seed[k] ?? 0);
      const length = Math.hypot(a, b) || 1;
      if (Math.hypot(Math.cos(angle) - a / length, Math.sin(angle) - b / length) < 1e-9) return angle;
      return (angle = (Math.atan2(b, a) + 2 * Math.PI) % (2 * Math.PI));
    };

    function syncControls() {
      const at = slots().map((k) => state.at[k] ?? 1);
      if (at.some((x, i) => x < windows[i].min || x > windows[i].max)) frameWindows();
      knobs.forEach((knob, i) => (knob.isAngle ? knob.set(seedAngle()) : (knob.range(windows[i].min, windows[i].max, windows[i].step), knob.set(at[i]))));
      const seed = slots().map((k) => state.seed[k] ?? 0).join();
      directions.querySelectorAll("[data-seed]").forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.seed === seed)));
      directions.querySelectorAll(".mg-seed-field input").forEach((field, i) => {
        if (document.activeElement !== field) field.value = state.seed[slots()[i]] ?? 0;
      });
    }

    /** The same span on every axis, so that directions and right angles on the pad are true. */
    function frameWindows() {
      const at = slots().map((k) => state.at[k] ?? 1);
      const half = Math.max(2, Math.min(...at.map(Math.abs)));
      const step = Number((10 ** Math.floor(Math.log10(half)) / 20).toPrecision(3));
      const round = (x) => Number((Math.round(x / step) * step).toPrecision(12));
      windows = at.map((x) => ({ min: round(x - half), max: round(x + half), step }));
    }

    // ---- What the reader does ------------------------------------------------------------------------------------------------------

    function setInput(i, x) {
      state.at[slots()[i]] = x;
      refresh();
    }

    /** The point dragged on the pad: it keeps to the steps of the sliders. */
    function movePoint(point) {
      point.forEach((x, i) => (state.at[slots()[i]] = Number((Math.round(x / windows[i].step) * windows[i].step).toPrecision(12))));
      refresh();
    }

    function setSeed(seed) {
      slots().forEach((k, i) => (state.seed[k] = seed[i]));
      refresh();
    }

    function turn(to) {
      angle = to;
      const clean = (x) => Number(x.toFixed(12)) + 0;
      setSeed([clean(Math.cos(to)), clean(Math.sin(to)), ...list.inputs.slice(2).map(() => 0)]);
    }

    /** The arrow dragged on the pad: by hundredths of a radian, and caught by the axes when it is near one. */
    function drag(to) {
      const quarter = (Math.round((to / Math.PI) * 2) * Math.PI) / 2;
      const near = Math.abs(to - quarter) < 0.04 ? quarter : Math.round(to * 100) / 100;
      turn(near < 0 ? near + 2 * Math.PI : near);
    }

    /** A move of the order game, where it is one. */
    function choose(id) {
      refused = refusal(list, game, moved(), id, (one) => plainName(list, one));
      if (refused === null) setMoves([...state.moves, id - list.inputs.length + 1]);
      else show();
    }

    function setMoves(moves) {
      state.moves = moves;
      refused = null;
      settle();
      makeFrames();
      show();
      save();
    }

    function refresh() {
      refused = null;
      compute();
      syncControls();
      show();
      save();
    }

    function rebuild() {
      makeFrames();
      frame = Math.min(frame, frames.length - 1);
      makeControls();
      syncControls();
      draw();
    }

    function typed(text) {
      let next;
      try {
        next = parse(text, state.at);
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        const caret = `${" ".repeat(error.position)}${"^".repeat(Math.max(1, Math.min(error.length, text.length - error.position || 1)))}`;
        mistake.replaceChildren(
          text.trim() === "" ? "" : h("pre", { class: "mg-caret", "aria-hidden": "true", tabindex: text.length > 40 ? 0 : null }, `${text}\n${caret}`),
          h("p", {}, error.message, list ? h("span", { class: "mg-kept" }, " The last good trace stays.") : ""),
        );
        input.setAttribute("aria-invalid", "true");
        return false;
      }
      mistake.replaceChildren();
      input.removeAttribute("aria-invalid");
      play(false);
      if (text !== state.expression) state.moves = [];
      list = next;
      slots().forEach((k) => ((state.at[k] ??= 1), (state.seed[k] ??= 0)));
      if (slots().every((k) => state.seed[k] === 0)) state.seed[slots()[0]] = 1;
      state.expression = text;
      root.querySelector(".mg-f").innerHTML = `<i>f</i>(${list.inputs.map(({ name }) => `<i>x</i><sub>${name[1]}</sub>`).join(", ")}) =`;
      compute();
      frameWindows();
      frame = Infinity;
      rebuild();
      show();
      save();
      return true;
    }

    function go(to) {
      const next = Math.max(0, Math.min(frames.length - 1, to));
      if (timer !== null && next !== frame + 1) play(false);
      frame = next;
      state.step = frame;
      show();
      save();
    }

    function play(on) {
      if (timer !== null) clearInterval(timer);
      timer = null;
      if (on) {
        if (frame === frames.length - 1) go(0);
        timer = setInterval(() => (frame < frames.length - 1 ? go(frame + 1) : play(false)), PLAY);
      }
      const shape = on ? "pause" : "play";
      player.play.replaceChildren(icon(shape));
      for (const name of ["aria-label", "title"]) player.play.setAttribute(name, on ? "Pause" : "Play");
    }

    // ---- State: the address, the model, the link -------------------------------------------------------------------------------------

    const trimmed = (numbers) => numbers.slice(0, Math.max(...slots()) + 1).map((x) => Number((x ?? 0).toPrecision(12)));
    const shared = () => ({ "": state.expression, at: trimmed(state.at).join(","), seed: trimmed(state.seed).join(","), ...(gaming() ? { step: null, moves: state.moves.join(",") || null } : { step: String(frame), moves: null }), mode: state.mode });
    const python = () => `TracePlayer(${JSON.stringify(state.expression)}, at=(${trimmed(state.at).join(", ")},), mode="${state.mode}", seed=(${trimmed(state.seed).join(", ")},)${gaming() ? `, moves=[${state.moves.join(", ")}]` : ""})`;

    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      model.set("expression", state.expression);
      model.set("at", trimmed(state.at));
      model.set("seed", trimmed(state.seed));
      model.set("mode", state.mode);
      model.set("step", frame);
      model.set("moves", [...state.moves]);
      model.save_changes();
      ready = true;
    }

    function start(from) {
      ready = false;
      Object.assign(state, { ...from, at: [...from.at], seed: [...from.seed], moves: [...from.moves] });
      mode.set(state.mode);
      input.value = state.expression;
      const good = typed(state.expression);
      if (good && state.step >= 0) go(state.step);
      ready = true;
      return good;
    }

    el.append(root);
    const numbers = (text) => text?.split(",").map(Number).filter(Number.isFinite);
    const given = url.read();
    const fromUrl = given === null ? {} : {
      expression: given,
      at: numbers(url.read("at")) ?? original.at,
      seed: numbers(url.read("seed")) ?? original.seed,
      step: Number(url.read("step") ?? -1),
      moves: numbers(url.read("moves")) ?? [],
      mode: ["forward", "reverse", "both", "game"].includes(url.read("mode")) ? url.read("mode") : original.mode,
    };
    if (!start({ ...original, ...fromUrl }) && list === null) {
      // A mistake in the very first expression: its message stays, above a trace that works.
      const { expression } = { ...original, ...fromUrl };
      start({ ...original, expression: Object.keys(EXAMPLES)[0], at: [2, 5], seed: [1, 0] });
      input.value = expression;
      typed(expression);
    }
    if (given !== null) root.scrollIntoView({ block: "nearest" });

    for (const trait of ["expression", "at", "seed", "mode", "step", "moves"]) {
      model.on(`change:${trait}`, () => ready && start(defaults()));
    }
    let width = stage.clientWidth;
    const watch = new ResizeObserver(() => {
      if (Math.abs(stage.clientWidth - width) < 4 || stage.hidden) return;
      width = stage.clientWidth;
      draw();
      show();
    });
    watch.observe(stage);
    return () => {
      play(false);
      watch.disconnect();
    };
  },
};

/* The V-curve: how wrong a difference quotient is, against the step h.
 *
 * The reader types a function, chooses a formula and the numbers to compute in, bets on the best h, and sees the two errors
 * cross: one that shrinks with h, one that grows. */

import { ExpressionError, parse, VARIABLES } from "../engine.js";
import { announcer, button, choice, copy, format, h, inJupyter, keepKeys, slider, toggle, uniqueId, urlState } from "../toolkit.js";
import { makeErrors, makeSecant, powerOfTen, scientific } from "./pictures.js";
import { best, error as errorAt, errors, EXPONENTS, FORMULAS, NUMBERS, problem, quotient, samples, theory } from "./quotients.js";

const power = (k) => (Number.isInteger(k) ? powerOfTen(k) : scientific(10 ** k));

export default {
  render({ model, el }) {
    const url = urlState("vcurve");
    const state = { expression: "", at: [], along: "x1", formula: "forward", numbers: "float64", k: -4, theory: true, revealed: false, bet: null, table: false };
    let [list, curve, given, laws] = [null, [], null, null];

    // ---- Computing -----------------------------------------------------------------------------------------------------------

    const side = () => Math.max(0, list.inputs.findIndex(({ name }) => name === state.along));
    const at = () => list.inputs.map(({ name }) => state.at[VARIABLES.indexOf(name)] ?? 1);

    /** Anything but h has changed: the whole curve is new. */
    function compute() {
      given = problem(list, at(), side(), state.numbers);
      curve = errors(given, state.formula);
      laws = theory(given, state.formula);
    }

    const near = (k) => curve.reduce((a, b) => (Math.abs(b.k - k) < Math.abs(a.k - k) ? b : a));

    // ---- The elements ----------------------------------------------------------------------------------------------------------

    const [inputId, mistakeId] = [uniqueId("function"), uniqueId("mistake")];
    const input = h("input", { id: inputId, type: "text", class: "mg-expression", spellcheck: "false", autocomplete: "off", autocapitalize: "none", "aria-describedby": mistakeId, onInput: () => typed(input.value) });
    const mistake = h("p", { id: mistakeId, class: "mg-mistake", role: "alert" });
    const alongPlace = h("span", { class: "mg-v-along" });
    const formula = choice({ label: "Formula", options: Object.fromEntries(Object.entries(FORMULAS).map(([key, { title }]) => [key, title])), value: state.formula, onChange: (key) => change({ formula: key }) });
    const numbers = choice({ label: "Numbers", options: { float64: "float64", float32: "float32" }, value: state.numbers, onChange: (key) => change({ numbers: key }) });
    const rule = h("p", { class: "mg-v-rule mg-math" });
    const secant = makeSecant();
    const picture = makeErrors({ onExponent: (k) => moveTo(k) });
    const caption = h("p", { class: "mg-key mg-lines" });
    const pictures = h("div", { class: "mg-pair mg-v-pictures" }, h("div", {}, secant.element, caption), h("div", {}, picture.element, h("p", { class: "mg-key mg-lines" }, h("span", { class: "mg-v-key-errors" }, "the error at each h"), h("span", { class: "mg-v-key-theory" }, "what theory expects"))));
    const tables = h("div", { class: "mg-scroll mg-table mg-v-tables", tabindex: 0, role: "region", "aria-label": "The error against h, in numbers", hidden: true });
    const quantity = (name, kind) => {
      const number = h("dd", { class: `mg-${kind}` });
      return { number, element: h("div", { class: "mg-quantity" }, h("dt", {}, name), number) };
    };
    const shown = { quotient: quantity("the quotient", "tangent"), truth: quantity("the true slope", "adjoint"), error: quantity("error", "apart") };
    const step = slider({ label: h("span", { html: "log<sub>10</sub> <i>h</i>" }), name: "h, as a power of ten", min: EXPONENTS.low, max: EXPONENTS.high, step: EXPONENTS.step, value: state.k, figures: 5, onInput: (k) => k >= -300 && k <= 3 && moveTo(k) });
    step.element.classList.add("mg-v-step");
    const size = h("span", { class: "mg-v-size mg-math" });
    const points = h("div", { class: "mg-pair" });
    const wager = button({ label: "Place the bet", onClick: () => (state.revealed ? change({ revealed: false, bet: null }) : change({ revealed: true, bet: state.k })) });
    wager.classList.add("mg-v-wager-button");
    const lines = toggle({ label: "Theory", checked: state.theory, onChange: (on) => change({ theory: on }) });
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-v", "aria-label": "V-curve", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, h("label", { for: inputId, class: "mg-math" }, h("i", {}, "f"), " ="), input, alongPlace),
      mistake,
      h("div", { class: "mg-head" }, formula.element, numbers.element, rule),
      pictures,
      tables,
      h("div", { class: "mg-v-h" }, step.element, size, wager),
      h("dl", { class: "mg-quantities" }, Object.values(shown).map(({ element }) => element)),
      points,
      voice.element,
      h("div", { class: "mg-foot" }, lines.element, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    const named = (name) => h("span", { class: "mg-math", html: `<i>x</i><sub>${name[1]}</sub>` });
    let knobs = [];
    /** Controls for the inputs of this function: where they stand, and which of them is nudged. */
    function makeControls() {
      knobs = list.inputs.map(({ name }) => {
        const place = VARIABLES.indexOf(name);
        const reach = Math.max(2, Math.abs(state.at[place]));
        const [low, high] = [state.at[place] - reach, state.at[place] + reach].map((x) => Number(x.toFixed(2)));
        return { place, knob: slider({ label: named(name), name, min: low, max: high, step: 0.01, value: state.at[place], onInput: (x) => change({ at: state.at.map((old, i) => (i === place ? x : old)) }) }) };
      });
      points.replaceChildren(...knobs.map(({ knob }) => knob.element));
      const menu = choice({ label: "slope along", options: Object.fromEntries(list.inputs.map(({ name }) => [name, name])), value: list.inputs[side()].name, onChange: (name) => change({ along: name }) });
      alongPlace.replaceChildren(...(list.inputs.length > 1 ? [menu.element] : []));
    }

    // ---- What the reader does ------------------------------------------------------------------------------------------------------

    function typed(text) {
      try {
        list = parse(text, state.at);
      } catch (problem) {
        if (!(problem instanceof ExpressionError)) throw problem;
        mistake.textContent = `${problem.message}${list ? " The last good function stays." : ""}`;
        input.setAttribute("aria-invalid", "true");
        return false;
      }
      mistake.textContent = "";
      input.removeAttribute("aria-invalid");
      state.expression = text;
      VARIABLES.forEach((_, i) => (state.at[i] ??= 1));
      state.along = list.inputs[side()].name;
      makeControls();
      change({});
      return true;
    }

    function change(what) {
      Object.assign(state, what);
      compute();
      show();
    }

    function moveTo(k) {
      state.k = k;
      show();
    }

    // ---- Showing -------------------------------------------------------------------------------------------------------------------

    const paper = matchMedia("print"); // nobody places a bet on paper
    paper.addEventListener("change", () => show());
    const revealed = () => state.revealed || paper.matches;
    const digits = (x) => format(x, state.numbers === "float64" ? 12 : 7);

    function verdict() {
      const [mine, least] = [near(state.bet), best(curve)];
      const where = `h = ${power(state.bet)}`;
      if (!(mine.worst > least.worst)) return `Your bet, ${where}, is as good as any h.`;
      const times = mine.worst / least.worst;
      const how = least.worst === 0 ? "where the error vanishes" : times < 5 ? "your bet is nearly as good" : `your bet costs a factor of ${times < 1e4 ? Math.round(times).toLocaleString("en-GB") : scientific(times, 1)}`;
      return `You bet on ${where}; the error is smallest around h = ${power(least.k)}: ${how}.`;
    }

    function sentence(slope, error) {
      const { title } = FORMULAS[state.formula];
      const variable = list.inputs[side()].name;
      if (!Number.isFinite(given.value) || !Number.isFinite(given.truth)) return `At ${variable} = ${format(given.x)} this function has no slope, so there is nothing to be close to.`;
      const here = `With h = ${power(state.k)} in ${state.numbers}`;
      if (!revealed()) return `${here}, the ${title} will be judged when you place the bet. Too large an h misses the bend; too small an h drowns in rounding.`;
      if (!Number.isFinite(slope)) return `${here}, the ${title} asks for a value that does not exist.`;
      const off = error === 0 ? "exactly the true slope" : `${digits(slope)}, which is wrong by ${scientific(error)}`;
      return `${here}, the ${title} gives ${off}. ${state.bet === null ? "" : verdict()}`.trim();
    }

    function showTable() {
      if (!revealed()) return tables.replaceChildren(h("p", {}, "The numbers appear when the bet is placed."));
      const rows = curve.filter(({ k }) => Number.isInteger(k)).map(({ k, error }) => {
        const cells = Object.keys(FORMULAS).map((key) => h("td", { class: key === state.formula ? "mg-v-chosen" : "" }, scientific(key === state.formula ? error : errorAt(given, key, 10 ** k))));
        return h("tr", {}, h("th", { scope: "row" }, powerOfTen(k)), cells);
      });
      const heads = ["h", ...Object.values(FORMULAS).map(({ title }) => title)];
      tables.replaceChildren(h("table", {}, h("caption", {}, `Error of each formula in ${state.numbers}`), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)));
    }

    function show() {
      const { formula: key, k } = state;
      const open = revealed();
      const [slope, size10] = [quotient(given, key, 10 ** k), 10 ** k];
      const error = Math.abs(slope - given.truth);
      const complex = key === "complex";
      formula.set(key);
      numbers.set(state.numbers);
      lines.set(state.theory);
      asTable.set(state.table);
      step.set(k);
      for (const { place, knob } of knobs) knob.set(state.at[place]);
      rule.textContent = FORMULAS[key].rule;
      size.textContent = `h = ${power(k)}`;
      pictures.hidden = state.table;
      tables.hidden = !state.table;
      if (state.table) showTable();
      secant.update({ given, taken: samples(given, key, size10), slope, h: size10, complex });
      picture.update({ curve, k, error, truth: given.truth, bet: open ? state.bet : null, theory: laws, showTheory: state.theory, revealed: open, title: FORMULAS[key].title });
      caption.replaceChildren(h("span", { class: "mg-v-key-function" }, "f, as computed"), h("span", { class: "mg-v-key-tangent" }, "true slope"), ...(complex ? [] : [h("span", { class: "mg-v-key-secant" }, "the quotient’s slope")]));
      shown.quotient.number.textContent = open ? digits(slope) : "hidden";
      shown.truth.number.textContent = open ? digits(given.truth) : "hidden";
      shown.error.number.textContent = open ? scientific(error) : "hidden";
      wager.textContent = open ? "Bet again" : "Place the bet";
      wager.title = open ? "Hide the error, to bet on another h or another formula" : "Show the error at every h";
      voice.say(sentence(slope, error));
      status.textContent = "";
      save();
    }

    // ---- Address and model -----------------------------------------------------------------------------------------------------------

    const NAMES = { expression: "expression", at: "at", along: "along", formula: "formula", dtype: "numbers", theory: "theory", revealed: "revealed" };
    const traits = () => ({ ...Object.fromEntries(Object.entries(NAMES).map(([trait, name]) => [name, model.get(trait)])), k: Math.log10(model.get("h")) });
    const shared = () => ({ "": state.expression, at: state.at.slice(0, Math.max(...list.inputs.map(({ name }) => VARIABLES.indexOf(name))) + 1).join(","), along: state.along, formula: state.formula, numbers: state.numbers, h: String(state.k), seen: state.revealed ? "1" : "0", theory: state.theory ? "1" : "0" });
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      for (const [trait, name] of Object.entries(NAMES)) model.set(trait, name === "at" ? [...state.at] : state[name]);
      model.set("h", 10 ** state.k);
      model.save_changes();
      ready = true;
    }
    function start(from) {
      ready = false;
      Object.assign(state, { bet: null, table: false }, from, { at: [...from.at], k: Number(from.k.toFixed(6)) });
      input.value = from.expression;
      const good = typed(from.expression);
      ready = true;
      if (good) save();
    }

    el.append(root);
    const original = traits();
    const linked = url.read();
    if (linked === null) start(original);
    else {
      const asked = (field, table, otherwise) => (url.read(field) in table ? url.read(field) : otherwise);
      const flag = (field, otherwise) => ({ 0: false, 1: true })[url.read(field)] ?? otherwise;
      const place = (url.read("at") ?? "").split(",").map((x) => (x === "" ? NaN : Number(x)));
      const k = Number(url.read("h") ?? NaN);
      start({
        expression: linked,
        at: place.every(Number.isFinite) && place.length <= 4 ? place : original.at,
        along: url.read("along") ?? original.along,
        formula: asked("formula", FORMULAS, original.formula),
        numbers: asked("numbers", NUMBERS, original.numbers),
        k: Number.isFinite(k) && k >= -300 && k <= 3 ? k : original.k,
        theory: flag("theory", original.theory),
        revealed: flag("seen", original.revealed),
      });
      if (list === null) start(original); // a link with a broken function
      else root.scrollIntoView({ block: "nearest" });
    }
    for (const name of [...Object.keys(NAMES), "h"]) model.on(`change:${name}`, () => ready && start(traits()));
  },
};

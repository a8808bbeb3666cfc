/* The memory timeline: a chain of L steps goes up, and comes down again backwards. What is kept on the way lies as a bar at
 * the height of its state, for as long as it is alive; below, how many bars there are at each moment.
 *
 * The reader chooses a plan, drags checkpoints, and reads the peak and the steps that are run a second time. */

import { announcer, button, choice, copy, draggable, h, inJupyter, keepKeys, slider, svg, toggle, urlState } from "../toolkit.js";
import { checkpointsOf, PLANS, schedule } from "./schedule.js";

const [WIDTH, LEFT, RIGHT, TOP, MIDDLE, GAP, BOTTOM] = [470, 44, 462, 12, 196, 34, 310];
const FLOOR = BOTTOM - 24;
const ROOF = MIDDLE + GAP;
const LONGEST = 128;
const HANDLES = 40;

const plural = (k, word) => `${k} ${word}${k === 1 ? "" : "s"}`;

/** The two pictures, one above the other, on one axis of time. */
function makePicture({ onMove, onRemove }) {
  const layer = (name) => svg("g", { class: `mg-memory-${name}` });
  const [axes, notes, walk, kept, counts, now, handles] = ["axes", "notes", "walk", "kept", "counts", "now", "handles"].map(layer);
  const element = svg("svg", { class: "mg-picture", viewBox: `0 0 ${WIDTH} ${BOTTOM}`, role: "group" }, axes, notes, kept, walk, counts, now, handles);
  const still = svg("g", { role: "img" }, axes, notes, kept, walk, counts, now);
  element.prepend(still);
  let [length, made, focused] = [0, null, null];
  const y = (state) => MIDDLE - ((MIDDLE - TOP) * state) / length;
  const x = (t) => LEFT + ((RIGHT - LEFT) * t) / made.ticks.length;

  function stateAt(event) {
    const box = element.getBoundingClientRect();
    const at = ((event.clientY - box.top) / box.height) * BOTTOM;
    return Math.round(((MIDDLE - at) / (MIDDLE - TOP)) * length);
  }

  /** A handle for the checkpoint at `state`; the first state is the chain's input and stays. */
  function handle(state) {
    const one = svg(
      "g",
      { class: "mg-memory-handle", tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-label": "checkpoint", "aria-valuemin": 1, "aria-valuemax": length - 1, "aria-valuenow": state, "aria-valuetext": `state ${state}`, transform: `translate(${LEFT} ${y(state)})` },
      svg("rect", { x: -16, y: -7, width: 22, height: 14, class: "mg-memory-touch" }),
      svg("path", { d: "M-12,-5h8l6,5l-6,5h-8z" }),
    );
    let place = state;
    draggable(one, (event, first) => {
      if (first) return one.focus();
      place = onMove(place, stateAt(event));
    });
    one.addEventListener("focus", () => (focused = place));
    one.addEventListener("keydown", (event) => {
      const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
      const to = { Home: 1, End: length - 1 }[event.key] ?? (by === undefined ? undefined : place + by);
      if (to !== undefined) place = onMove(place, to);
      else if (event.key === "Delete" || event.key === "Backspace") onRemove(place);
      else return;
      event.preventDefault();
    });
    return {
      element: one,
      set(value) {
        place = value;
        one.setAttribute("aria-valuenow", value);
        one.setAttribute("aria-valuetext", `state ${value}`);
        one.setAttribute("transform", `translate(${LEFT} ${y(value)})`);
      },
      get place() {
        return place;
      },
    };
  }

  let knobs = [];
  function showHandles() {
    const wanted = (made.checkpoints ?? []).filter((state) => state > 0);
    const many = wanted.length > HANDLES;
    element.dataset.handles = many ? 0 : wanted.length;
    if (many) return (knobs = []), handles.replaceChildren();
    if (knobs.length !== wanted.length || knobs.length === 0 || knobs[0].length !== length) {
      knobs = wanted.map(handle);
      knobs.forEach((knob) => (knob.length = length));
      handles.replaceChildren(...knobs.map((knob) => knob.element));
    } else {
      // The one under the hand keeps its element, wherever it has moved to among the others.
      const held = knobs.find((knob) => knob.element === document.activeElement);
      const others = knobs.filter((knob) => knob !== held);
      const moved = held && (wanted.find((state) => !others.some(({ place }) => place === state)) ?? held.place);
      const rest = wanted.filter((state) => state !== moved);
      held?.set(moved);
      for (const knob of others) knob.set(rest.shift());
    }
  }

  const label = (text, at, extra) => svg("text", { x: at[0], y: at[1], ...extra }, text);

  function bars(kind) {
    const lines = made.spans.filter((span) => span.kind === kind).map(({ state, from, to }) => `M${x(from).toFixed(1)},${y(state).toFixed(1)}H${x(Math.max(to, from + 0.6)).toFixed(1)}`);
    return svg("path", { d: lines.join("") });
  }

  /** The path of the step that is being run: up while the chain runs, down while it goes back. */
  function path(does) {
    const lines = made.ticks.map((one, t) => {
      if (one.does !== does) return "";
      const [from, to] = does === "back" ? [one.step, one.step - 1] : [one.step - 1, one.step];
      return `M${x(t).toFixed(1)},${y(from).toFixed(1)}L${x(t + 1).toFixed(1)},${y(to).toFixed(1)}`;
    });
    return svg("path", { d: lines.join(""), class: `mg-memory-${does}` });
  }

  function area(values, most) {
    const height = (value) => (FLOOR - ((FLOOR - ROOF) * value) / most).toFixed(1);
    const steps = values.map((value, t) => `${t ? "L" : "M"}${x(t).toFixed(1)},${height(value)}H${x(Math.min(t + 1, made.ticks.length)).toFixed(1)}`);
    return `${steps.join("")}V${FLOOR}H${LEFT}z`;
  }

  return {
    element,
    get focused() {
      return knobs.find((knob) => knob.element === document.activeElement)?.place ?? focused;
    },
    update(settings, run, moment) {
      [length, made] = [settings.length, run];
      const most = Math.max(length, run.peak);
      const at = (value) => FLOOR - ((FLOOR - ROOF) * value) / most;
      const peakAt = run.alive.findIndex(({ checkpoints, notes: own }) => checkpoints + own === run.peak);
      const side = x(peakAt) > (LEFT + RIGHT) / 2 ? "end" : "start";
      axes.replaceChildren(
        svg("path", { d: `M${LEFT},${TOP}V${MIDDLE}H${RIGHT}M${LEFT},${ROOF}V${FLOOR}H${RIGHT}` }),
        svg("path", { class: "mg-memory-all", d: `M${LEFT},${at(length)}H${RIGHT}` }),
        label("0", [LEFT - 20, MIDDLE + 4], { "text-anchor": "end" }),
        label(String(length), [LEFT - 20, TOP + 8], { "text-anchor": "end" }),
        label("state", [LEFT + 4, TOP - 1], {}),
        label("alive", [LEFT + 4, ROOF - 6], {}),
        label(String(length), [LEFT - 6, at(length) + 4], { "text-anchor": "end" }),
        label("0", [LEFT - 6, FLOOR + 4], { "text-anchor": "end" }),
        label(`time: ${run.ticks.length} steps`, [RIGHT, FLOOR + 18], { "text-anchor": "end" }),
      );
      notes.replaceChildren(bars("note"));
      kept.replaceChildren(bars("checkpoint"));
      walk.replaceChildren(path("forward"), path("again"), path("back"));
      counts.replaceChildren(
        svg("path", { class: "mg-memory-sum", d: area(run.alive.map((one) => one.checkpoints + one.notes), most) }),
        svg("path", { class: "mg-memory-base", d: area(run.alive.map((one) => one.checkpoints), most) }),
        svg("circle", { cx: x(peakAt + 0.5), cy: at(run.peak), r: 4 }),
        label(`peak ${run.peak}`, [x(peakAt + 0.5) + (side === "end" ? -8 : 8), at(run.peak) - 7], { "text-anchor": side }),
      );
      now.replaceChildren(...(moment === null ? [] : [svg("path", { d: `M${x(moment)},${TOP}V${FLOOR}` })]));
      still.setAttribute("aria-label", `Time runs to the right, states upwards. The chain climbs to state ${length}, then comes down backwards${run.again ? `, with ${plural(run.again, "step")} climbed again on the way` : ""}. At most ${run.peak} states are kept at once.`);
      element.setAttribute("aria-label", "Memory against time");
      showHandles();
    },
  };
}

export default {
  render({ model, el }) {
    const url = urlState("memory");
    const state = { length: 100, plan: "all", every: 10, checkpoints: [], moment: null, table: false };
    let run = null;

    // ---- The elements ----------------------------------------------------------------------------------------------------------

    const plan = choice({ label: "Plan", options: PLANS, value: "all", onChange: (key) => change({ plan: key, ...(key === "own" ? { checkpoints: current() } : {}) }) });
    const length = slider({ label: h("i", {}, "L"), name: "steps of the chain, L", min: 4, max: LONGEST, step: 1, value: 100, onInput: (x) => Number.isInteger(x) && x >= 4 && x <= LONGEST && change({ length: x, moment: null }) });
    const every = slider({ label: h("i", {}, "k"), name: "distance of the checkpoints, k", min: 1, max: 50, step: 1, value: 10, onInput: (x) => Number.isInteger(x) && x >= 1 && x <= LONGEST && change({ every: x, moment: null }) });
    const time = h("input", { type: "range", min: 0, max: 200, step: 1, "aria-label": "moment", onInput: () => change({ moment: Number(time.value) }) });
    const moments = h("div", { class: "mg-slider mg-memory-time" }, h("span", { class: "mg-slider-label", "aria-hidden": "true" }, "moment"), time);
    const picture = makePicture({ onMove: moveCheckpoint, onRemove: removeCheckpoint });
    const add = button({ label: "Add a checkpoint", hint: "In the middle of the longest stretch", onClick: addCheckpoint });
    const remove = button({ label: "Remove a checkpoint", hint: "The one chosen last, or the last of all; the key Delete does the same", onClick: () => removeCheckpoint(picture.focused) });
    const key = h("p", { class: "mg-key mg-lines" }, ["checkpoint", "note", "forward", "again", "back"].map((name) => h("span", { class: `mg-memory-key-${name}` }, { checkpoint: "a checkpoint, alive", note: "a note, alive", forward: "forward", again: "run again", back: "backward" }[name])));
    const quantity = (name) => {
      const number = h("dd", {});
      return { number, element: h("div", { class: "mg-quantity" }, h("dt", {}, name), number) };
    };
    const shown = { peak: quantity("alive at the peak"), again: quantity("steps run again"), runs: quantity("forward steps in all") };
    const tables = h("div", { class: "mg-scroll mg-table mg-memory-tables", tabindex: 0, role: "region", "aria-label": "All plans, in numbers", hidden: true });
    const pictures = h("div", {}, picture.element, key);
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-memory", "aria-label": "Memory timeline", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, plan.element, add, remove),
      h("div", { class: "mg-pair mg-memory-knobs" }, length.element, every.element),
      pictures,
      tables,
      moments,
      h("dl", { class: "mg-quantities" }, Object.values(shown).map(({ element }) => element)),
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    // ---- Checkpoints -----------------------------------------------------------------------------------------------------------------

    const current = () => (checkpointsOf(state) ?? [0]).filter((at) => at > 0);
    const own = (checkpoints) => change({ plan: "own", checkpoints: checkpoints.sort((a, b) => a - b), moment: null });

    /** Move a checkpoint to the nearest free state; returns where it is now. */
    function moveCheckpoint(from, to) {
      const others = current().filter((at) => at !== from);
      let place = Math.min(state.length - 1, Math.max(1, to));
      const way = place > from ? 1 : -1;
      while (others.includes(place)) place += way;
      if (place < 1 || place > state.length - 1 || place === from) return from;
      own([...others, place]);
      return place;
    }

    function addCheckpoint() {
      const all = [0, ...current(), state.length];
      const gaps = all.slice(1).map((at, i) => ({ from: all[i], size: at - all[i] }));
      const widest = gaps.reduce((a, b) => (b.size > a.size ? b : a));
      if (widest.size > 1) own([...current(), widest.from + Math.floor(widest.size / 2)]);
    }

    function removeCheckpoint(which) {
      const all = current();
      const gone = all.includes(which) ? which : all.at(-1);
      if (gone !== undefined) own(all.filter((at) => at !== gone));
    }

    // ---- Showing ---------------------------------------------------------------------------------------------------------------------

    function sentence() {
      const { length: L, moment } = state;
      if (moment !== null && moment > 0) {
        const { does, step } = run.ticks[moment - 1];
        const { checkpoints, notes } = run.alive[Math.min(moment, run.ticks.length)];
        const doing = { forward: `step ${step} runs forward`, again: `step ${step} runs again`, back: `step ${step} goes backward` }[does];
        return `Moment ${moment} of ${run.ticks.length}: ${doing}. After it, ${plural(checkpoints, "checkpoint")} and ${plural(notes, "note")} are alive.`;
      }
      if (state.plan === "all") return `Storing all: each of the ${L} steps leaves a note, so ${run.peak} are alive when the way back begins. Nothing is run again.`;
      const split = run.alive.find(({ checkpoints, notes }) => checkpoints + notes === run.peak);
      return `At the peak ${run.peak} states are alive, ${plural(split.checkpoints, "checkpoint")} and ${plural(split.notes, "note")} of the stretch that is open, where storing all keeps ${L}. The price: ${plural(run.again, "step")} run again, ${(run.runs / L).toFixed(2)} forward passes in place of one.`;
    }

    function showTable() {
      const rows = Object.entries(PLANS).map(([name, title]) => {
        const made = schedule({ ...state, plan: name, checkpoints: name === "own" && state.plan !== "own" ? current() : state.checkpoints });
        const text = name === "every" ? `every ${state.every} steps` : title;
        const cells = [made.peak, made.again, made.runs, made.ticks.length];
        return h("tr", { class: name === state.plan ? "mg-memory-chosen" : "", "aria-current": name === state.plan ? "true" : null }, h("th", { scope: "row" }, text), cells.map((cell) => h("td", {}, String(cell))));
      });
      const head = ["plan", "alive at the peak", "steps run again", "forward steps", "steps in all"];
      tables.replaceChildren(h("table", {}, h("caption", {}, `A chain of ${state.length} steps`), h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows)));
    }

    function show() {
      run = schedule(state);
      plan.set(state.plan);
      length.set(state.length);
      every.set(state.every);
      every.element.hidden = state.plan !== "every";
      time.max = run.ticks.length;
      time.value = state.moment ?? 0;
      time.setAttribute("aria-valuetext", state.moment === null ? "not chosen" : `${state.moment} of ${run.ticks.length}`);
      asTable.set(state.table);
      pictures.hidden = state.table;
      tables.hidden = !state.table;
      if (state.table) showTable();
      picture.update(state, run, state.moment);
      shown.peak.number.textContent = String(run.peak);
      shown.again.number.textContent = String(run.again);
      shown.runs.number.textContent = String(run.runs);
      voice.say(sentence());
      status.textContent = "";
      save();
    }

    function change(what) {
      if ("plan" in what || "length" in what) state.moment = null;
      Object.assign(state, what);
      state.checkpoints = state.checkpoints.filter((at) => at > 0 && at < state.length);
      show();
    }

    // ---- Address and model -------------------------------------------------------------------------------------------------------------

    const NAMES = ["length", "plan", "every", "checkpoints"];
    const shared = () => ({ "": state.plan, length: state.length, every: state.every, at: state.plan === "own" ? state.checkpoints.join(",") : null });
    const traits = () => Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false;
      for (const name of NAMES) model.set(name, name === "checkpoints" ? [...state.checkpoints] : state[name]);
      model.save_changes();
      ready = true;
    }
    function start(from) {
      ready = false;
      change({ moment: null, table: false, ...from, checkpoints: [...from.checkpoints] });
      ready = true;
    }

    el.append(root);
    const original = traits();
    const linked = url.read();
    if (linked === null) start(original);
    else {
      const asked = (field, low, high, otherwise) => {
        const value = Number(url.read(field) ?? NaN);
        return Number.isInteger(value) && value >= low && value <= high ? value : otherwise;
      };
      const at = (url.read("at") ?? "").split(",").filter((text) => text !== "").map(Number);
      start({
        plan: linked in PLANS ? linked : original.plan,
        length: asked("length", 4, LONGEST, original.length),
        every: asked("every", 1, LONGEST, original.every),
        checkpoints: at.every(Number.isInteger) ? [...new Set(at)].sort((a, b) => a - b) : original.checkpoints,
      });
      root.scrollIntoView({ block: "nearest" });
    }
    for (const name of NAMES) model.on(`change:${name}`, () => ready && start(traits()));
  },
};

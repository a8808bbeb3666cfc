/* What the page widgets share: labelled controls, numbers as text, the state in the address, one sentence for screen
 * readers. No derivative is computed here; engine.js does that. Colours and sizes are in toolkit.css. */

// ---- Elements ------------------------------------------------------------------------------------------------------------

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "html") element.innerHTML = value;
    else if (["value", "checked", "disabled", "hidden"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element: h("button", {type: "button", onClick: f}, "Step"). */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

let made = 0;
/** An id that no other widget on the page has. */
export const uniqueId = (word) => `mg-${word}-${(made += 1)}`;

// ---- Numbers -------------------------------------------------------------------------------------------------------------

/** A number for people: at most `digits` decimals, a true minus sign, powers of ten for the very large and small. */
export function format(x, digits = 6) {
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  const text =
    size !== 0 && (size >= 1e7 || size < 0.5 * 10 ** -Math.min(digits, 4))
      ? x.toExponential(Math.min(digits, 3)).replace("e+", "e")
      : x.toFixed(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  return (text === "-0" ? "0" : text).replace(/-/g, "−");
}

/** A number with few figures, for the inside of a drawing. */
export const brief = (x, figures = 4) => format(x, Math.max(0, Math.min(figures, figures - Math.floor(Math.log10(Math.abs(x) || 1)))));

/** How many decimals a number shows. */
export const decimals = (x) => (format(x).split(".")[1]?.replace(/e.*/, "") ?? "").length;

/** The number as text, followed by room for the decimals that it lacks, so that a column with at most `most` decimals
 * aligns at the point. */
export function aligned(x, most = 6) {
  const own = decimals(x);
  const room = Math.max(0, most - own);
  const style = room ? `padding-inline-end: calc(${room}ch${own === 0 ? " + 0.28em" : ""})` : null;
  return h("span", { title: String(x), style }, format(x));
}

// ---- Controls ------------------------------------------------------------------------------------------------------------

/** A button. An icon needs the `label` as its name; `hint` says more, such as the key that does the same. */
export const button = ({ label, hint, icon, text, onClick, ...rest }) =>
  h("button", { type: "button", class: "mg-button", "aria-label": icon ? label : null, title: hint ?? label, onClick, ...rest }, icon ?? text ?? label);

/** Whether a button has something to do now. It keeps the focus either way, which `disabled` would throw away. */
export const enable = (element, on) => element.setAttribute("aria-disabled", String(!on));

/**
 * A slider and a number field for the same quantity. `label` may be an element; `name` is the label in plain words, `unit`
 * stands behind the number. The field takes any number and keeps it as it was typed; `onInput(x, typed)` is told which
 * of the two was moved.
 */
export function slider({ label, name, min, max, step, value, onInput, unit, figures = 8 }) {
  const range = h("input", { type: "range", min, max, step, "aria-label": name });
  const field = h("input", { type: "number", step: "any", "aria-label": `${name}, as a number${unit ? `, in ${unit}` : ""}` });
  const set = (x) => {
    range.value = x;
    range.setAttribute("aria-valuetext", format(x, 4) + (unit ? ` ${unit}` : ""));
    if (field.value === "" || Number(field.value) !== x) field.value = Number(x.toPrecision(figures));
  };
  range.addEventListener("input", () => onInput(Number(range.value), false));
  field.addEventListener("input", () => {
    if (field.value !== "" && Number.isFinite(field.valueAsNumber)) onInput(field.valueAsNumber, true);
  });
  const span = (low, high) => (range.title = `from ${format(low)} to ${format(high)}; the number beside it may be any other`);
  const element = h(
    "div",
    { class: unit ? "mg-slider mg-has-unit" : "mg-slider" },
    h("span", { class: "mg-slider-label", "aria-hidden": "true" }, label ?? name),
    range,
    field,
    unit ? h("span", { class: "mg-unit", "aria-hidden": "true" }, unit) : null,
  );
  span(min, max);
  set(value);
  return {
    element,
    set,
    range(low, high, by) {
      Object.assign(range, { min: low, max: high, step: by });
      span(low, high);
    },
  };
}

/** A switch: a checkbox with the role and the look of one. */
export function toggle({ label, checked, onChange }) {
  const input = h("input", { type: "checkbox", role: "switch", checked: checked ?? false, onChange: () => onChange(input.checked) });
  return { element: h("label", { class: "mg-switch" }, input, h("span", {}, label)), set: (on) => (input.checked = on) };
}

/** A menu. */
export function choice({ label, options, value, onChange }) {
  const select = h(
    "select",
    { onChange: () => onChange(select.value) },
    Object.entries(options).map(([key, text]) => h("option", { value: key }, text)),
  );
  select.value = value;
  return { element: h("label", { class: "mg-choice" }, h("span", {}, label), select), set: (key) => (select.value = key) };
}

/** One sentence that says what the widget shows: to be read at once, spoken when the reader pauses. */
export function announcer() {
  const seen = h("p", { class: "mg-summary", "aria-hidden": "true" });
  const spoken = h("p", { class: "mg-summary mg-hidden", "aria-live": "polite" });
  let wait;
  return {
    element: h("div", { class: "mg-voice" }, seen, spoken),
    say(sentence) {
      clearTimeout(wait);
      seen.textContent = sentence;
      if (spoken.textContent === "") spoken.textContent = sentence;
      else wait = setTimeout(() => (spoken.textContent = sentence), 300);
    },
  };
}

/** Icons for players, drawn rather than taken from a font. */
export const icon = (shape) =>
  svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", fill: "currentColor" }, svg("path", { d: ICONS[shape] }));
const ICONS = {
  first: "M3 3h2v10H3zM13 3v10L6 8z",
  back: "M11 3v10L4 8z",
  play: "M4 2.5v11L13 8z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  next: "M5 3v10l7-5z",
  last: "M11 3h2v10h-2zM3 3v10l7-5z",
};

// ---- Surroundings --------------------------------------------------------------------------------------------------------

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** True inside Jupyter, whose address belongs to Jupyter. */
export const inJupyter = () => document.body.dataset.jpThemeLight !== undefined || document.querySelector("#jp-main-content-panel, .jp-Notebook") !== null;

/**
 * Leave the keys to the controls inside `root`. JupyterLab's shortcuts take arrows, Enter and Space from whatever has the
 * focus in a notebook and is no text field; they skip an element that carries this mark itself.
 */
export function keepKeys(root) {
  root.addEventListener("focusin", ({ target }) => (target.dataset.lmSuppressShortcuts = "true"));
}

/**
 * A widget's part of the address: #trace=...&trace.step=3. The second widget of a kind on a page is called trace2, and so on.
 * `write` leaves everyone else's part alone and adds nothing to the browser's history.
 */
export function urlState(kind) {
  const others = document.querySelectorAll(`[data-mg-state="${kind}"], [data-mg-state^="${kind}-"]`).length;
  const key = others === 0 ? kind : `${kind}${others + 1}`;
  const name = (field) => (field === "" ? key : `${key}.${field}`);
  const parameters = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const merged = (state) => {
    const all = parameters();
    for (const [field, value] of Object.entries(state)) {
      if (value === null) all.delete(name(field));
      else all.set(name(field), value);
    }
    // Parentheses, commas, * and / may stand in a fragment as they are: the link stays readable.
    return `#${all.toString().replace(/%28/g, "(").replace(/%29/g, ")").replace(/%2C/g, ",").replace(/%2F/g, "/")}`;
  };
  let wait;
  return {
    mark: others === 0 ? kind : `${kind}-${others + 1}`,
    read: (field = "") => (inJupyter() ? null : parameters().get(name(field))),
    write(state) {
      if (inJupyter()) return;
      clearTimeout(wait);
      wait = setTimeout(() => history.replaceState(history.state, "", merged(state)), 150);
    },
    link: (state) => location.href.replace(/#.*$/, "") + merged(state),
  };
}

/** Copy text; resolves to whether it worked (a page without https may not reach the clipboard). */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Drag on an element: `onMove(event)` for the press and every move until the release. */
export function draggable(element, onMove) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    event.preventDefault();
    onMove(event, true);
    const move = (moved) => onMove(moved, false);
    const end = () => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", end);
      element.removeEventListener("pointercancel", end);
    };
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
  });
}

/* The swell meter: how many operations a function takes, its derivative as a formula, and its derivative as a program.
 *
 * Nothing is derived here. sympy and minigrad counted and wrote everything down when the page was built (widgets/swell.py);
 * the reader moves n, and opens what a bar stands for. */

import { announcer, button, choice, copy, h, inJupyter, keepKeys, slider, toggle, uniqueId, urlState } from "../toolkit.js";

const KINDS = {
  f: "the function",
  raw: "its derivative, as a formula",
  simplified: "the formula, simplified",
  shared: "both, with shared parts named",
  program: "both, as a program in reverse mode",
};
const count = (n) => `${n.toLocaleString("en-GB")} ${n === 1 ? "operation" : "operations"}`;

export default {
  render({ model, el }) {
    const url = urlState("swell");
    const data = model.get("recorded");
    const state = { family: "logistic", place: 0, kind: "raw", table: false };
    const rows = () => data[state.family].rows;
    const row = () => rows()[state.place];

    const family = choice({ label: "Family", options: Object.fromEntries(Object.entries(data).map(([key, { title }]) => [key, title])), value: state.family, onChange: (key) => change({ family: key }) });
    const size = slider({ label: h("i", {}, "n"), name: "place of n in the list of sizes", min: 1, max: 8, step: 1, value: 1, onInput: (x) => change({ place: Math.min(Math.max(Math.round(x), 1), rows().length) - 1 }) });
    const shownSize = h("output", { class: "mg-swell-n mg-math" });
    const bars = h("div", { class: "mg-swell-bars", role: "group", "aria-label": "Operations; choose one to read it" });
    const buttons = Object.fromEntries(
      Object.entries(KINDS).map(([kind, title]) => {
        const [bar, number] = [h("span", { class: `mg-swell-bar mg-swell-${kind}` }), h("span", { class: "mg-swell-count" })];
        const element = h("button", { type: "button", class: "mg-swell-row", onClick: () => change({ kind }) }, h("span", { class: "mg-swell-title" }, title), h("span", { class: "mg-swell-track" }, bar), number);
        bars.append(element);
        return [kind, { element, bar, number }];
      }),
    );
    const headId = uniqueId("expression");
    const head = h("p", { class: "mg-swell-head", id: headId });
    const text = h("pre", { class: "mg-swell-text", tabindex: 0, role: "region", "aria-labelledby": headId });
    const reading = h("div", {}, bars, head, text);
    const tables = h("div", { class: "mg-scroll mg-table", tabindex: 0, role: "region", "aria-label": "Operations for every n", hidden: true });
    const asTable = toggle({ label: "Show as table", onChange: (on) => change({ table: on }) });
    const voice = announcer();
    const status = h("span", { class: "mg-status", role: "status" });
    const link = button({ label: "Copy link", onClick: async () => (status.textContent = (await copy(url.link(shared()))) ? "Link copied." : "Copy it from the address bar.") });
    const root = h(
      "section",
      { class: "mg-widget mg-frame mg-swell", "aria-label": "Swell meter", "data-mg-state": url.mark },
      h("div", { class: "mg-head" }, family.element, size.element, shownSize),
      reading,
      tables,
      voice.element,
      h("div", { class: "mg-foot" }, asTable.element, inJupyter() ? null : link, status, h("span", { class: "mg-space" }), button({ label: "Reset", onClick: () => start(original) })),
    );
    keepKeys(root);

    function change(what) {
      Object.assign(state, what);
      state.place = Math.min(state.place, rows().length - 1);
      show();
    }

    const longest = () => Math.max(...rows().flatMap(({ counts }) => Object.values(counts)));

    /** The text with its repeated part marked. */
    function marked(words, term) {
      if (!term) return [words];
      return words.split(term.term).flatMap((part, i) => (i === 0 ? [part] : [h("mark", {}, term.term), part]));
    }

    function showText() {
      const { texts, counts, repeated, n } = row();
      const written = texts[state.kind];
      head.textContent = `${KINDS[state.kind]}, n = ${n}: `;
      if (written === null) {
        head.append("not tried, as it would take sympy too long here.");
        text.replaceChildren("");
        return;
      }
      head.append(`${count(counts[state.kind])}.`);
      const term = repeated[state.kind];
      if (term && term.times > 1) head.append(" ", h("mark", {}, "Marked"), `: a part that is written ${term.times.toLocaleString("en-GB")} times.`);
      text.replaceChildren(...marked(written.text, term));
      if (written.left_out) text.append(h("span", { class: "mg-swell-more" }, ` … and ${written.left_out.toLocaleString("en-GB")} characters more`));
    }

    function showTable() {
      const head = ["n", ...Object.values(KINDS)];
      const body = rows().map(({ n, counts }) => h("tr", {}, h("th", { scope: "row" }, String(n)), Object.keys(KINDS).map((kind) => h("td", {}, counts[kind] === null ? "not tried" : counts[kind].toLocaleString("en-GB")))));
      tables.replaceChildren(h("table", {}, h("caption", {}, `Operations, ${data[state.family].title}`), h("thead", {}, h("tr", {}, head.map((words) => h("th", { scope: "col" }, words)))), h("tbody", {}, body)));
    }

    function show() {
      const { n, counts } = row();
      family.set(state.family);
      asTable.set(state.table);
      size.range(1, rows().length, 1);
      size.set(state.place + 1);
      shownSize.textContent = `n = ${n}`;
      const top = Math.log10(1 + longest());
      for (const [kind, { element, bar, number }] of Object.entries(buttons)) {
        const operations = counts[kind];
        bar.style.width = `${operations === null ? 0 : (100 * Math.log10(1 + operations)) / top}%`;
        number.textContent = operations === null ? "not tried" : operations.toLocaleString("en-GB");
        element.setAttribute("aria-pressed", String(kind === state.kind));
      }
      reading.hidden = state.table;
      tables.hidden = !state.table;
      if (state.table) showTable();
      else showText();
      voice.say(`At n = ${n} the function takes ${count(counts.f)}, its derivative as a formula ${count(counts.raw)}, and both together, as a program, ${count(counts.program)}. The bars grow with the logarithm.`);
      status.textContent = "";
      save();
    }

    const shared = () => ({ "": state.family, n: String(row().n), show: state.kind });
    let ready = false;
    function save() {
      if (!ready) return;
      url.write(shared());
      ready = false; // our own change must not come back as the model's
      for (const [name, value] of Object.entries({ family: state.family, n: row().n, show: state.kind })) model.set(name, value);
      model.save_changes();
      ready = true;
    }
    const placeOf = (key, n) => Math.max(0, data[key].rows.findIndex((one) => one.n === Number(n)));
    function start({ family: key, n, kind }) {
      ready = false;
      change({ family: key, place: placeOf(key, n), kind, table: false });
      ready = true;
      save();
    }

    el.append(root);
    const traits = () => ({ family: model.get("family"), n: model.get("n"), kind: model.get("show") });
    const original = traits();
    const linked = url.read();
    if (linked in data) {
      start({ family: linked, n: url.read("n") ?? original.n, kind: url.read("show") in KINDS ? url.read("show") : original.kind });
      root.scrollIntoView({ block: "nearest" });
    } else start(original);
    for (const name of ["family", "n", "show"]) model.on(`change:${name}`, () => ready && start(traits()));
  },
};

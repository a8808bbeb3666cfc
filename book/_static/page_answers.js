// Answers to predictions and trace tables, judged in the page. The fields, what belongs into them and what the usual mistakes
// would have put there were written into the page when it was built (book/_ext/page_answers.py).
// A field takes a number or an expression, 2 - cos(1) say: the widgets' engine works it out.

const TOLERANCE = 5e-4; // four digits will do, as in the notebook's checks

async function number(text) {
  const engine = await import(new URL("widgets/engine.js", import.meta.url));
  const plain = text.replaceAll("−", "-").replaceAll("·", "*").replace(/\bpi\b|π/g, `${Math.PI}`).trim();
  if (/^-?\d+,\d+$/.test(plain)) throw new Error(`${text}: write decimals with a point, ${plain.replace(",", ".")}`);
  if (/x\d/.test(plain)) throw new Error(`${text}: put the numbers in for x1, x2, ...`);
  const list = engine.parse(`(${plain}) + x1`); // the engine works on functions; this one is taken at 0
  return engine.evaluate(list, [0])[list.outputs[0]];
}

async function read(field, expected) {
  const text = field.value.trim();
  if (text === "") return null;
  if (typeof expected === "string") return text;
  const several = expected.length > 1;
  const bare = several && !/[a-z]/i.test(text) ? text.replace(/[()[\]]/g, "") : text; // (1, 2, 3) as in Python
  const numbers = await Promise.all(bare.split(several ? /[,;]/ : /;/).map(number));
  if (numbers.length !== expected.length) throw new Error(`${numbers.length} given, ${expected.length} wanted`);
  return numbers;
}

const near = (a, b) => Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(b));
const same = (a, b) =>
  a !== null && b !== null && (typeof b === "string" ? a === b : a.length === b.length && b.every((value, i) => near(a[i], value)));

function mark(form, field, state, words) {
  const verdict = form.querySelector(`#${CSS.escape(field.id)}-verdict`);
  verdict.textContent = words;
  field.closest(".gap").dataset.state = state;
  if (state === "wrong") field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  field.setAttribute("aria-describedby", verdict.id);
}

// Words, with `code`, *stress* and $formulas$.
function tell(place, words) {
  const kinds = { "`": ["code", ""], "*": ["em", ""], $: ["span", "math"] };
  const parts = words.split(/(`[^`]+`|(?<!\w)\*\w[^*`]*\*(?!\w)|\$[^$]+\$)/).map((part) => {
    const [tag, className] = kinds[part[0]] ?? [];
    if (!tag || part.length < 3 || part.at(-1) !== part[0]) return part;
    const inside = part.slice(1, -1);
    return Object.assign(document.createElement(tag), { className, textContent: className ? `\\(${inside}\\)` : inside });
  });
  place.replaceChildren(...parts);
  window.MathJax?.typesetPromise?.([place]);
}

// The named mistake that agrees longest with what was written, and at least up to the first field that is wrong.
function recognise(mistakes, given, firstWrong) {
  let best = null;
  let longest = firstWrong;
  for (const mistake of mistakes) {
    const end = given.findIndex((value, i) => value !== null && !same(value, mistake.values[i]));
    const alike = end === -1 ? given.length : end;
    if (alike > longest && mistake.values[firstWrong] !== null) [best, longest] = [mistake, alike];
  }
  return best;
}

async function judge(form, data) {
  const fields = [...form.querySelectorAll("[data-gap]")];
  const said = form.querySelector(".page-answers-said");
  const given = [];
  for (const [i, field] of fields.entries()) {
    try {
      given.push(await read(field, data.gaps[i]));
      if (given[i] === null) mark(form, field, "empty", "");
      else if (same(given[i], data.gaps[i])) mark(form, field, "right", "✓ right");
      else mark(form, field, "wrong", "✗ not yet");
    } catch (error) {
      given.push(null);
      mark(form, field, "wrong", `? ${error.message}`);
    }
  }
  const right = given.filter((value, i) => same(value, data.gaps[i])).length;
  const firstWrong = given.findIndex((value, i) => value !== null && !same(value, data.gaps[i]));
  const mistake = firstWrong === -1 ? null : recognise(data.mistakes, given, firstWrong);
  const all = right === fields.length;
  form.dataset.state = all ? "right" : "open";
  const count = fields.length === 1 ? "" : ` ${right} of ${fields.length} are right.`;
  if (all) tell(said, `Right.${count && ` All ${fields.length} agree.`}`);
  else if (given.every((value) => value === null)) tell(said, "Nothing that can be read is written here yet.");
  else if (mistake) tell(said, `Not yet.${count} Likely cause: ${mistake.message}`);
  else tell(said, firstWrong === -1 ? `So far so good.${count}` : `Not yet.${count} The hints below go from gentle to plain.`);
}

function start(form) {
  const data = JSON.parse(form.querySelector("script").textContent);
  const key = `answers:${data.id}`;
  const fields = [...form.querySelectorAll("[data-gap]")];
  form.hidden = false;
  try {
    (JSON.parse(localStorage.getItem(key)) ?? []).forEach((value, i) => fields[i] && (fields[i].value = value));
  } catch {} // a page opened from disk may have no storage
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    judge(form, data);
    try {
      localStorage.setItem(key, JSON.stringify(fields.map((field) => field.value)));
    } catch {}
  });
  form.addEventListener("reset", () => {
    for (const field of fields) mark(form, field, "empty", "");
    form.querySelector(".page-answers-said").textContent = "";
    delete form.dataset.state;
    try {
      localStorage.removeItem(key);
    } catch {}
  });
}

document.querySelectorAll("form.page-answers").forEach(start);

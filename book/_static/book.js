// What is too wide for the page scrolls in a box of its own. Such a box must be reachable by keyboard and say what it is:
// a tab stop and a name for those that scroll now, and only for those.
const BOXES = {
  Figure: ".wide-figure",
  Formula: "mjx-container, div.math",
  Table: ".cell_output .text_html, .mg-scroll, .recorded-run > div, .pst-scrollable-table-container, table",
  Output: ".cell_output, .cell_output pre, .recorded-run > pre",
  Code: "pre",
};

function markBoxes() {
  const seen = new Set();
  for (const [name, selector] of Object.entries(BOXES)) {
    for (const box of document.querySelectorAll(`.bd-article :is(${selector})`)) {
      if (seen.has(box) || box.closest(".widget-place")) continue;
      seen.add(box);
      const scrolls = box.scrollWidth > box.clientWidth && /auto|scroll/.test(getComputedStyle(box).overflowX);
      const marks = { tabindex: "0", "aria-label": `${name}, scrolls sideways` };
      if (!box.matches("table")) marks.role = "group"; // a table's own role matters more
      for (const [attribute, value] of Object.entries(marks)) {
        if (scrolls) box.setAttribute(attribute, value);
        else if (box.classList.contains("scrolls-sideways") || attribute === "tabindex") box.removeAttribute(attribute);
      }
      box.classList.toggle("scrolls-sideways", scrolls);
    }
  }
}

// A drawing that is wider than a phone would be shrunk until its words cannot be read.
function boxWideFigures() {
  for (const image of document.querySelectorAll(".bd-article :is(.cell_output, .recorded-run) img")) {
    if (image.naturalWidth <= 600) continue;
    const box = document.createElement("div");
    box.className = "wide-figure";
    box.style.setProperty("--drawn-width", `${Math.min(image.naturalWidth, 680)}px`);
    image.replaceWith(box);
    box.append(image);
  }
}

// To the browser a formula in a line is a box, and a line may end between a box and the comma after it.
function keepPunctuation() {
  for (const formula of document.querySelectorAll(".bd-article span.math")) {
    const next = formula.nextSibling;
    const marks = next?.nodeType === Node.TEXT_NODE && /^[.,;:!?)’”]+/.exec(next.data)?.[0];
    if (!marks || formula.offsetWidth > 240) continue; // a long one fills a phone's line by itself
    const together = document.createElement("span");
    together.style.whiteSpace = "nowrap";
    formula.before(together);
    together.append(formula, marks);
    next.data = next.data.slice(marks.length);
  }
}

window.addEventListener("load", async () => {
  boxWideFigures();
  await window.MathJax?.startup?.promise;
  keepPunctuation();
  markBoxes();
  new ResizeObserver(markBoxes).observe(document.querySelector(".bd-article") ?? document.body);
});

// Paper is white and cannot be clicked: it gets the light theme, and everything that is folded away.
let before = null;
window.addEventListener("beforeprint", () => {
  const folded = [...document.querySelectorAll(".bd-article details:not([open])")];
  before ??= { theme: document.documentElement.dataset.theme, folded };
  document.documentElement.dataset.theme = "light";
  for (const details of folded) details.open = true;
});
window.addEventListener("afterprint", () => {
  if (before === null) return;
  document.documentElement.dataset.theme = before.theme;
  for (const details of before.folded) details.open = false;
  before = null;
});

// Paper is white: what is read in the dark is printed in the light.
const paper = matchMedia("print");
let onScreen;
paper.addEventListener("change", () => {
  const { dataset } = document.documentElement;
  if (paper.matches) [onScreen, dataset.theme] = [dataset.theme, "light"];
  else dataset.theme = onScreen;
});

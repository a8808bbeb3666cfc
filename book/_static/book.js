// A box that scrolls sideways must be reachable by keyboard: a tab stop for those that do, and only those.
const boxes = ".bd-article :is(mjx-container, div.math, .cell_output, .pst-scrollable-table-container, table, pre)";

function addTabStops() {
  for (const box of document.querySelectorAll(boxes)) {
    const scrolls = box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible";
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  addTabStops();
  new ResizeObserver(addTabStops).observe(document.querySelector(".bd-article") ?? document.body);
});

/* The pad: the plane of x1 and x2 with contours of f, the one through the point drawn thick. Drag the point; drag the arrow,
 * which is the seed direction. With one input it is the curve of f and its tangent line. Heights come from one run of the
 * list on an array of points. */

import { evaluate, tensor } from "../engine.js";
import { brief, draggable, h, svg } from "../toolkit.js";

const SIZE = 200;
const CELLS = 40;
const REACH = 46; // length of the direction arrow, in pixels

function heights(list, window, at) {
  const [wide, tall] = [window[0], window[1]];
  const n = CELLS + 1;
  const along = (range, i) => range.min + ((range.max - range.min) * i) / CELLS;
  const grid = (f) => tensor([n * n], Float64Array.from({ length: n * n }, (_, k) => f(k % n, Math.floor(k / n))));
  const inputs = list.inputs.map((input, i) => (i === 0 ? grid((c) => along(wide, c)) : i === 1 ? grid((_, r) => along(tall, r)) : at[i]));
  return evaluate(list, inputs)[list.outputs[0]].data;
}

/** Marching squares: the segments of the contour at this level, in cells. */
function contour(z, level) {
  const n = CELLS + 1;
  let path = "";
  for (let r = 0; r < CELLS; r++) {
    for (let c = 0; c < CELLS; c++) {
      const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]].map(([i, j]) => [i, j, z[j * n + i] - level]);
      if (!corners.every(([, , h]) => Number.isFinite(h))) continue;
      const cuts = corners.flatMap(([i, j, h], k) => {
        const [p, q, g] = corners[(k + 1) % 4];
        return h < 0 !== g < 0 ? [[i + ((p - i) * h) / (h - g), j + ((q - j) * h) / (h - g)]] : [];
      });
      const shown = ([i, j]) => `${((i / CELLS) * SIZE).toFixed(1)},${(SIZE - (j / CELLS) * SIZE).toFixed(1)}`;
      for (let k = 0; k + 1 < cuts.length; k += 2) path += `M${shown(cuts[k])}L${shown(cuts[k + 1])}`;
    }
  }
  return path;
}

/** Round numbers in a range, three to five of them. */
function ticks({ min, max }) {
  const rough = (max - min) / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= rough * 0.999);
  const first = Math.ceil(min / step - 1e-9);
  return Array.from({ length: Math.floor(max / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step + 0);
}

export function makePad({ onPoint, onDirection, arrow }) {
  const curves = svg("g", { class: "mg-contours" });
  const level = svg("path", { class: "mg-pad-level" });
  const axes = svg("g", { class: "mg-pad-ticks" });
  const slope = svg("path", { class: "mg-pad-slope" });
  const shaft = svg("path", { class: "mg-pad-shaft" });
  const steepest = svg("path", { class: "mg-pad-gradient" });
  const steepestLabel = svg("text", { class: "mg-pad-gradient-label", "text-anchor": "middle" }, "∇f");
  const tip = svg("circle", { r: 13, class: "mg-pad-tip" });
  const dot = svg("circle", { r: 6.5, class: "mg-pad-dot" });
  const halo = svg("circle", { r: 16, class: "mg-pad-halo" });
  const ground = svg("rect", { x: 0, y: 0, width: SIZE, height: SIZE, class: "mg-ground" });
  const labels = [svg("text", { x: SIZE - 6, y: SIZE - 7, "text-anchor": "end" }), svg("text", { x: 7, y: 15 })];
  const element = svg(
    "svg",
    { viewBox: `-30 -8 ${SIZE + 38} ${SIZE + 27}`, class: "mg-picture mg-pad", role: "img" },
    ground, axes, curves, slope, ...labels, steepest, steepestLabel, shaft, halo, dot, tip,
  );
  const caption = h("div", { class: "mg-pad-caption" });
  let [window, list] = [null, null];
  const place = (event) => {
    const box = ground.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * SIZE];
  };
  const clamp = (u) => Math.min(1, Math.max(0, u));
  let grabbed = null;
  draggable(element, (event, start) => {
    if (start) grabbed = event.target === tip ? "tip" : "point";
    const [px, py] = place(event);
    if (grabbed === "tip") return onDirection(Math.atan2(dot.cy.baseVal.value - py, px - dot.cx.baseVal.value));
    const point = [window[0].min + clamp(px / SIZE) * (window[0].max - window[0].min)];
    if (list.inputs.length > 1) point.push(window[1].min + clamp(1 - py / SIZE) * (window[1].max - window[1].min));
    onPoint(point);
  });

  /** Heights to show around the value: what the tangent line and the curve near the point need, so that a steep end far
   * away does not flatten everything. */
  function span(data, { at, value, slope }) {
    const wide = window[0].max - window[0].min;
    const here = Math.round(((at[0] - window[0].min) / wide) * (data.length - 1));
    const near = data.slice(Math.max(0, here - data.length / 8), here + data.length / 8).filter(Number.isFinite);
    const all = data.filter(Number.isFinite);
    const range = (ys) => (ys.length ? Math.max(...ys) - Math.min(...ys) : 0);
    const rise = Number.isFinite(slope) ? (Math.abs(slope) * wide) / 2 : 0;
    const half = 1.1 * Math.min(Math.max(rise, 2 * range(near)), range(all)) || 1;
    const middle = Number.isFinite(value) ? value : 0;
    return [middle - half, middle + half];
  }

  /** Ticks with their numbers, below and at the left: [[range, whether it runs along the bottom], ...]. */
  function drawAxes(ranges) {
    const marks = ranges.flatMap(([range, below]) =>
      ticks(range).flatMap((x) => {
        const at = ((x - range.min) / (range.max - range.min)) * SIZE;
        const place = below ? { x: at, y: SIZE + 15, "text-anchor": "middle" } : { x: -5, y: SIZE - at + 4, "text-anchor": "end" };
        const mark = below ? `M${at},${SIZE}v4` : `M0,${SIZE - at}h-3`;
        return [svg("path", { d: mark }), svg("text", { ...place, class: "mg-pad-tick" }, brief(x))];
      }),
    );
    axes.replaceChildren(...marks);
  }

  let drawn = "";
  let plan = null; // the heights on the plane
  let [low, high] = [0, 1];
  function update(next) {
    ({ list, window } = next);
    const { at, seed, names, showSeed } = next;
    const plane = list.inputs.length > 1;
    const key = JSON.stringify([list.steps.map((s) => [s.op, s.inputs]), window, plane ? at.slice(2) : 0]);
    const px = ((at[0] - window[0].min) / (window[0].max - window[0].min)) * SIZE;
    let py;
    if (plane) {
      if (key !== drawn) {
        plan = heights(list, window, at);
        const finite = [...plan].filter(Number.isFinite).sort((a, b) => a - b);
        const [low, high] = [finite[Math.floor(finite.length * 0.02)], finite[Math.ceil(finite.length * 0.98) - 1]];
        const levels = Array.from({ length: 9 }, (_, i) => low + ((high - low) * (i + 0.5)) / 9);
        curves.replaceChildren(...levels.map((height, i) => svg("path", { d: contour(plan, height), style: `opacity: ${0.3 + (0.5 * i) / 8}` })), level);
        drawAxes([[window[0], true], [window[1], false]]);
      }
      level.setAttribute("d", Number.isFinite(next.value) ? contour(plan, next.value) : "");
      py = SIZE - ((at[1] - window[1].min) / (window[1].max - window[1].min)) * SIZE;
      slope.setAttribute("d", "");
    } else {
      const n = 4 * CELLS + 1;
      const xs = Float64Array.from({ length: n }, (_, i) => window[0].min + ((window[0].max - window[0].min) * i) / (n - 1));
      const out = evaluate(list, [tensor([n], xs)])[list.outputs[0]];
      if (key !== drawn || !(next.value > low && next.value < high)) {
        [low, high] = span(out.data, next);
        drawAxes([[window[0], true], [{ min: low, max: high }, false]]);
      }
      const scale = SIZE / (high - low);
      const down = (y) => SIZE - (y - low) * scale;
      let path = "";
      out.data.forEach((y, i) => {
        const inside = Number.isFinite(y) && Math.abs(down(y)) < 5 * SIZE;
        path += inside ? `${path.endsWith(" ") || path === "" ? "M" : "L"}${(i / (n - 1)) * SIZE},${down(y).toFixed(1)}` : " ";
      });
      curves.replaceChildren(svg("path", { d: path.trim(), class: "mg-pad-curve" }));
      py = Number.isFinite(next.value) ? down(next.value) : SIZE / 2;
      const rise = next.slope * scale * ((window[0].max - window[0].min) / SIZE);
      const run = 60 / Math.hypot(1, rise);
      slope.setAttribute("d", Number.isFinite(rise) ? `M${px - run},${py + run * rise}L${px + run},${py - run * rise}` : "");
    }
    drawn = key;
    for (const circle of [dot, halo]) {
      circle.setAttribute("cx", px);
      circle.setAttribute("cy", py);
    }
    const length = Math.hypot(seed[0], seed[1] ?? 0);
    const pointing = plane && showSeed && length > 0;
    tip.style.display = shaft.style.display = pointing ? "" : "none";
    if (pointing) {
      const [tx, ty] = [px + (seed[0] / length) * REACH, py - (seed[1] / length) * REACH];
      shaft.setAttribute("d", `M${px},${py}L${tx},${ty}`);
      shaft.setAttribute("marker-end", `url(#${arrow})`);
      tip.setAttribute("cx", tx);
      tip.setAttribute("cy", ty);
    }
    // The adjoints of the inputs are the gradient: it stands at right angles on the contour.
    const [gx, gy] = next.gradient ?? [];
    const steep = Math.hypot(gx, gy);
    const uphill = plane && next.gradient && Number.isFinite(next.value) && Number.isFinite(steep) && steep > 0;
    steepest.setAttribute("d", uphill ? `M${px},${py}l${(gx / steep) * REACH},${(-gy / steep) * REACH}` : "");
    steepestLabel.textContent = uphill ? "∇f" : "";
    if (uphill) {
      steepestLabel.setAttribute("x", px + (gx / steep) * (REACH + 10));
      steepestLabel.setAttribute("y", py - (gy / steep) * (REACH + 10) + 4);
    }
    caption.hidden = !plane || !Number.isFinite(next.value);
    caption.textContent = `here f is ${brief(next.value)}`;
    labels[0].textContent = `${names[0]} →`;
    labels[1].textContent = plane ? `↑ ${names[1]}` : "↑ f";
    const ends = (i) => `${brief(window[i].min)} to ${brief(window[i].max)}`;
    element.setAttribute(
      "aria-label",
      plane
        ? `Contours of f over ${names[0]} from ${ends(0)} and ${names[1]} from ${ends(1)}, with the point, the level line through it and the seed direction. The sliders below do the same.`
        : `The curve of f over ${names[0]} from ${ends(0)}, with the point and the tangent line. The slider below does the same.`,
    );
  }
  return { element: h("div", { class: "mg-plane" }, element, caption), drawing: element, update };
}

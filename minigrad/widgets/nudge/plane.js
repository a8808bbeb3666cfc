/* Drawings of a function of two numbers: contours on a plane with a point, an arrow and a path; and the slice along the arrow.
 * Heights come from one run of the list on an array of points; slopes are handed in. */

import { evaluate, tensor } from "../engine.js";
import { brief, draggable, svg } from "../toolkit.js";

const SIZE = 300;
const CELLS = 48;
const HANDLE = 24; // pixels from the point to the arrow's handle, at least

/** The values of the list along a path of points: `along(k)` gives the two inputs of the k-th. */
function heights(list, count, along) {
  const points = Array.from({ length: count }, (_, k) => along(k));
  const inputs = list.inputs.map((_, i) => tensor([count], points.map((point) => point[i])));
  return evaluate(list, inputs)[list.outputs[0]].data;
}

/** Marching squares: the segments of the contour at this level. */
function contour(z, level) {
  const n = CELLS + 1;
  let path = "";
  const shown = ([i, j]) => `${((i / CELLS) * SIZE).toFixed(1)},${(SIZE - (j / CELLS) * SIZE).toFixed(1)}`;
  for (let r = 0; r < CELLS; r++) {
    for (let c = 0; c < CELLS; c++) {
      const corners = [[c, r], [c + 1, r], [c + 1, r + 1], [c, r + 1]].map(([i, j]) => [i, j, z[j * n + i] - level]);
      const cuts = corners.flatMap(([i, j, h], k) => {
        const [p, q, g] = corners[(k + 1) % 4];
        return h < 0 !== g < 0 ? [[i + ((p - i) * h) / (h - g), j + ((q - j) * h) / (h - g)]] : [];
      });
      for (let k = 0; k + 1 < cuts.length; k += 2) path += `M${shown(cuts[k])}L${shown(cuts[k + 1])}`;
    }
  }
  return path;
}

/** The plane. `onPoint` and `onNudge` are told where the reader drags. */
export function makePlane({ onPoint, onNudge, arrow }) {
  const curves = svg("g", { class: "mg-contours" });
  const level = svg("path", { class: "mg-level" });
  const trail = svg("path", { class: "mg-trail" });
  const stops = svg("g", { class: "mg-stops" });
  const steepest = svg("path", { class: "mg-steepest" });
  const lead = svg("path", { class: "mg-lead" });
  const shaft = svg("path", { class: "mg-shaft", "marker-end": `url(#${arrow})` });
  const halo = svg("circle", { r: 17, class: "mg-grab" });
  const dot = svg("circle", { r: 6.5, class: "mg-dot" });
  const tip = svg("circle", { r: 15, class: "mg-grab mg-tip" });
  const ground = svg("rect", { x: 0, y: 0, width: SIZE, height: SIZE, class: "mg-ground" });
  const axes = svg("g", { class: "mg-axes" });
  const head = svg("path", { d: "M0,0L9,4L0,8z", class: "mg-head-fill" });
  const marker = svg("marker", { id: arrow, markerWidth: 9, markerHeight: 8, refX: 8, refY: 4, orient: "auto", markerUnits: "userSpaceOnUse" }, head);
  // The inner drawing cuts off what leaves the plane.
  const inside = svg("svg", { x: 0, y: 0, width: SIZE, height: SIZE }, curves, level, trail, stops, steepest, lead, shaft);
  const element = svg("svg", { viewBox: `-34 -8 ${SIZE + 46} ${SIZE + 40}`, class: "mg-picture mg-nudge-plane", role: "img" }, svg("defs", {}, marker), ground, inside, axes, halo, dot, tip);

  let [window, here, grabbed] = [null, [0, 0], null];
  const across = (x) => ((x - window[0][0]) / (window[0][1] - window[0][0])) * SIZE;
  const down = (y) => SIZE - ((y - window[1][0]) / (window[1][1] - window[1][0])) * SIZE;
  const clamp = (u) => Math.min(1, Math.max(0, u));
  draggable(element, (event, start) => {
    const box = ground.getBoundingClientRect();
    const part = [clamp((event.clientX - box.left) / box.width), clamp(1 - (event.clientY - box.top) / box.height)];
    const place = part.map((u, i) => window[i][0] + u * (window[i][1] - window[i][0]));
    if (start) grabbed = event.target === tip ? "tip" : "point";
    if (grabbed === "tip") onNudge(place.map((x, i) => x - here[i]));
    else onPoint(place);
  });

  let [drawn, plan] = [null, null];
  function redraw({ list, names, ticks }) {
    const n = CELLS + 1;
    plan = heights(list, n * n, (k) => [k % n, Math.floor(k / n)].map((i, side) => window[side][0] + ((window[side][1] - window[side][0]) * i) / CELLS));
    const sorted = [...plan].filter(Number.isFinite).sort((a, b) => a - b);
    const [low, high] = [sorted[0], sorted.at(-1)];
    // Evenly spaced in the square root: closer together at the bottom, where the reader will be looking for it.
    const levels = Array.from({ length: 11 }, (_, i) => low + (high - low) * ((i + 0.5) / 11) ** 2);
    curves.replaceChildren(...levels.map((height, i) => svg("path", { d: contour(plan, height), style: `opacity: ${0.3 + 0.05 * i}` })));
    axes.replaceChildren(
      ...ticks[0].flatMap((x) => [svg("path", { d: `M${across(x)},${SIZE}v4` }), svg("text", { x: across(x), y: SIZE + 16, "text-anchor": "middle" }, brief(x))]),
      ...ticks[1].flatMap((y) => [svg("path", { d: `M0,${down(y)}h-4` }), svg("text", { x: -7, y: down(y) + 4, "text-anchor": "end" }, brief(y))]),
      svg("text", { x: SIZE / 2, y: SIZE + 30, "text-anchor": "middle" }, `${names[0]} →`),
      svg("text", { x: 7, y: 15 }, `↑ ${names[1]}`),
    );
  }

  /** Draw the surface, the point `at` with its value, the arrow `nudge`, the gradient's direction and the path so far. */
  function update(surface, { at, nudge, value, gradient, path }) {
    ({ window } = surface);
    here = at;
    if (drawn !== surface) redraw((drawn = surface));
    level.setAttribute("d", Number.isFinite(value) ? contour(plan, value) : "");
    const [px, py] = [across(at[0]), down(at[1])];
    const [tx, ty] = [across(at[0] + nudge[0]), down(at[1] + nudge[1])];
    const length = Math.hypot(tx - px, ty - py);
    const reach = length > 0 ? Math.max(1, HANDLE / length) : 0;
    const [hx, hy] = length > 0 ? [px + reach * (tx - px), py + reach * (ty - py)] : [px + HANDLE, py];
    shaft.setAttribute("d", length > 4 ? `M${px},${py}L${tx},${ty}` : "");
    lead.setAttribute("d", `M${px},${py}L${hx},${hy}`);
    const inPlane = (u) => Math.min(SIZE, Math.max(0, u));
    for (const [circle, x, y] of [[dot, px, py], [halo, px, py], [tip, hx, hy]]) {
      circle.setAttribute("cx", inPlane(x));
      circle.setAttribute("cy", inPlane(y));
    }
    // Both axes have the same scale, so the gradient stands at right angles on the level line.
    const norm = Math.hypot(...gradient);
    steepest.setAttribute("d", Number.isFinite(norm) && norm > 1e-9 ? `M${px},${py}l${(gradient[0] / norm) * 46},${(-gradient[1] / norm) * 46}` : "");
    const points = [...path, at].map(([x, y]) => [across(x), down(y)]);
    trail.setAttribute("d", path.length ? `M${points.map((p) => p.map((u) => u.toFixed(1)).join(",")).join("L")}` : "");
    stops.replaceChildren(...points.slice(0, -1).map(([cx, cy]) => svg("circle", { cx, cy, r: 2.6 })));
    const range = (i) => `${surface.names[i]} from ${brief(window[i][0])} to ${brief(window[i][1])}`;
    element.setAttribute("aria-label", `Contours of ${surface.letter} over ${range(0)} and ${range(1)}, with the point, the level line through it, the nudge as an arrow and the way uphill. The sliders beside it do the same.`);
  }
  return { element, update };
}

const [WIDE, TALL, LOW] = [300, 118, 66];

/** The slice along the arrow: the function and the straight line that its slopes predict; below, what lies between them,
 * magnified. */
export function makeSlice() {
  const curve = svg("path", { class: "mg-actual" });
  const line = svg("path", { class: "mg-predicted" });
  const gap = svg("path", { class: "mg-gap" });
  const frame = svg("path", { class: "mg-slice-box" });
  const dots = svg("g", {});
  const words = svg("g", { class: "mg-slice-words" });
  const between = svg("path", { class: "mg-between" });
  const element = svg("svg", { viewBox: `-8 -10 ${WIDE + 16} ${TALL + LOW + 62}`, class: "mg-picture mg-slice", role: "img" }, frame, gap, between, line, curve, dots, words);
  const N = 66;
  const [from, to] = [-0.1, 1.1];
  const across = (t) => ((t - from) / (to - from)) * WIDE;
  const time = (k) => from + ((to - from) * k) / (N - 1);

  function update(surface, { at, nudge, value, predicted, actual }) {
    const shown = Number.isFinite(value) && Number.isFinite(actual) && (nudge[0] !== 0 || nudge[1] !== 0);
    element.style.visibility = shown ? "" : "hidden";
    if (!shown) return;
    const rise = heights(surface.list, N, (k) => at.map((x, i) => x + time(k) * nudge[i])).map((y) => y - value);
    const straight = Array.from({ length: N }, (_, k) => predicted * time(k));
    const finite = [...rise, ...straight].filter(Number.isFinite);
    const [low, high] = [Math.min(...finite), Math.max(...finite)];
    const scale = TALL / (high - low || 1);
    const down = (y) => TALL - (y - low) * scale;
    const drawn = (ys, place) => ys.reduce((path, y, k) => (Number.isFinite(y) ? `${path}${path && Number.isFinite(ys[k - 1]) ? "L" : "M"}${across(time(k)).toFixed(1)},${place(y).toFixed(1)}` : path), "");
    curve.setAttribute("d", drawn([...rise], down));
    line.setAttribute("d", drawn(straight, down));
    // The strip below has its own scale, and 0 where the curve leaves the line.
    const apart = [...rise].map((y, k) => y - straight[k]);
    const sizes = apart.filter(Number.isFinite);
    const [least, most] = [Math.min(0, ...sizes), Math.max(0, ...sizes)];
    const blown = LOW / (most - least || 1);
    const base = TALL + 24;
    const below = (y) => base + LOW - (y - least) * blown;
    between.setAttribute("d", drawn(apart, below));
    const end = actual - predicted;
    const half = heights(surface.list, 1, () => at.map((x, i) => x + nudge[i] / 2))[0] - value - predicted / 2;
    gap.setAttribute("d", [[0.5, half], [1, end]].filter(([, y]) => Number.isFinite(y)).map(([t, y]) => `M${across(t)},${below(0)}V${below(y)}`).join(""));
    frame.setAttribute("d", `M0,${below(0)}H${WIDE}M${across(0)},0V${base + LOW + 5}M${across(1)},0V${base + LOW + 5}M${across(0.5)},${base}v${LOW + 5}`);
    dots.replaceChildren(
      svg("circle", { cx: across(0), cy: down(0), r: 5, class: "mg-dot" }),
      svg("circle", { cx: across(1), cy: down(actual), r: 5, class: "mg-dot" }),
      svg("rect", { x: across(1) - 4, y: down(predicted) - 4, width: 8, height: 8, class: "mg-square" }),
    );
    const times = blown / scale;
    const much = most - least === 0 ? "nothing between them" : `what lies between them, magnified ${times >= 1e5 ? times.toExponential(0).replace("e+", "e") : times >= 10 ? Math.round(times).toLocaleString("en-GB") : brief(times, 1)} ×`;
    words.replaceChildren(
      svg("text", { x: across(0.03), y: base - 7 }, much),
      ...[[0, "start"], [0.5, "half-way"], [1, "tip"]].map(([t, word]) => svg("text", { x: across(t), y: base + LOW + 19, "text-anchor": "middle" }, word)),
    );
    element.setAttribute("aria-label", `Along the arrow: ${surface.letter} changes by ${brief(actual)}, the straight line by ${brief(predicted)}. Half-way the two are ${brief(half)} apart, at the tip ${brief(end)}.`);
  }
  return { element, update };
}

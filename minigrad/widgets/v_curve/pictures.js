/* The two pictures: the function with its secant, magnified until h fills the window, and the error against h. */

import { brief, draggable, svg } from "../toolkit.js";
import { EXPONENTS } from "./quotients.js";

const [WIDE, TALL] = [300, 210];
const POINTS = 241;

/** 10 to a whole power, as text. */
export const powerOfTen = (k) => `10${String(k).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]))}`;

/** A small number as a product: 3.2 × 10⁻⁸. */
export function scientific(x, figures = 2) {
  if (!Number.isFinite(x) || x === 0 || (Math.abs(x) >= 0.01 && Math.abs(x) < 1e4)) return Number.isFinite(x) ? brief(x) : Number.isNaN(x) ? "NaN" : "∞";
  const [digits, exponent] = x.toExponential(figures - 1).split("e");
  return `${digits.replace("-", "−")} × ${powerOfTen(Number(exponent))}`;
}

const line = (points) => points.reduce((path, [x, y], i) => (Number.isFinite(y) ? `${path}${path && Number.isFinite(points[i - 1]?.[1]) ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}` : path), "");

/** The function around x. Its values are the computed ones, so that a tiny window shows the steps between the numbers. */
export function makeSecant() {
  const curve = svg("path", { class: "mg-v-function" });
  const tangent = svg("path", { class: "mg-v-tangent" });
  const secant = svg("path", { class: "mg-v-secant" });
  const dots = svg("g", { class: "mg-v-dots" });
  const middle = svg("path", { class: "mg-v-middle" });
  const words = svg("g", { class: "mg-v-words" });
  const inside = svg("svg", { x: 0, y: 0, width: WIDE, height: TALL }, middle, tangent, curve, secant, dots);
  const element = svg("svg", { viewBox: `-28 -14 ${WIDE + 56} ${TALL + 48}`, class: "mg-picture", role: "img" }, svg("rect", { x: 0, y: 0, width: WIDE, height: TALL, class: "mg-ground" }), inside, words);

  function update({ given, taken, slope, h, complex }) {
    const { x, f, round, value, truth } = given;
    const reach = complex ? 1 : 1.5 * Math.max(...taken.map(({ offset }) => Math.abs(offset)));
    const offsets = Array.from({ length: POINTS }, (_, i) => reach * ((2 * i) / (POINTS - 1) - 1));
    const rises = offsets.map((t) => f(round(x + t)) - value);
    const straight = [truth * reach, -truth * reach].filter(Number.isFinite);
    const seen = [...rises, ...straight, ...taken.map((one) => one.value - value)].filter(Number.isFinite);
    let [low, high] = [Math.min(...seen), Math.max(...seen)];
    if (!(high > low)) [low, high] = [low - 1, high + 1];
    const across = (t) => ((t / reach + 1) / 2) * WIDE;
    const down = (y) => TALL - 12 - ((y - low) / (high - low)) * (TALL - 24);
    const through = (t0, y0, m) => (Number.isFinite(m) ? line([-reach, reach].map((t) => [across(t), down(y0 + m * (t - t0))])) : "");
    curve.setAttribute("d", line(offsets.map((t, i) => [across(t), down(rises[i])])));
    tangent.setAttribute("d", through(0, 0, truth));
    // The straight line through the values that were taken, or, of more than two, through the middle.
    const [first] = taken;
    secant.setAttribute("d", complex ? "" : taken.length === 2 ? through(first.offset, first.value - value, slope) : through(0, 0, slope));
    dots.replaceChildren(...taken.filter((one) => Number.isFinite(one.value)).map((one) => svg("circle", { cx: across(one.offset), cy: down(one.value - value), r: 5 })));
    middle.setAttribute("d", `M${across(0)},0V${TALL}`);
    const marks = complex ? [[0, "x"]] : [[0, "x"], ...[...new Set(taken.map(({ offset }) => offset))].filter((t) => t !== 0).map((t) => [t, `x ${t < 0 ? "−" : "+"} ${Math.abs(t) > 1.5 * h ? "2" : ""}h`])];
    words.replaceChildren(
      ...marks.map(([t, text]) => svg("text", { x: across(t), y: TALL + 14, "text-anchor": "middle" }, text)),
      svg("text", { x: WIDE / 2, y: TALL + 30, "text-anchor": "middle" }, `this window is ${scientific(2 * reach)} wide`),
    );
    const about = complex ? "The step is taken in the imaginary direction, so there is no secant here." : `The secant has the slope ${brief(slope, 6)}, the tangent ${brief(truth, 6)}.`;
    element.setAttribute("aria-label", `The function near x = ${brief(x)}, in a window ${scientific(2 * reach)} wide. ${about}`);
  }
  return { element, update };
}

/** The error against h, both on logarithmic axes; an error of exactly 0 has a shelf of its own below. */
export function makeErrors({ onExponent }) {
  const grid = svg("g", { class: "mg-v-grid" });
  const dots = svg("path", { class: "mg-v-errors" });
  const lines = svg("path", { class: "mg-v-theory" });
  const bar = svg("path", { class: "mg-v-bar" });
  const wager = svg("path", { class: "mg-v-wager" });
  const dot = svg("circle", { r: 6.5, class: "mg-v-dot" });
  const names = svg("g", { class: "mg-v-words" });
  const known = svg("g", { class: "mg-v-known" }, dots, lines, wager, names);
  const inside = svg("svg", { x: 0, y: 0, width: WIDE, height: TALL }, bar, known);
  const axes = svg("g", { class: "mg-v-words" });
  const ground = svg("rect", { x: 0, y: 0, width: WIDE, height: TALL, class: "mg-ground" });
  const question = svg("g", { class: "mg-v-question" }, ...["Where is the error smallest?", "Drag h there, watch the left", "picture, and place your bet."].map((text, i) => svg("text", { x: WIDE / 2, y: 80 + 20 * i, "text-anchor": "middle" }, text)));
  const element = svg("svg", { viewBox: `-46 -14 ${WIDE + 56} ${TALL + 48}`, class: "mg-picture mg-v-right", role: "img" }, ground, grid, inside, axes, question, dot);

  const { low: left, high: right, step } = EXPONENTS;
  const across = (k) => ((k - left) / (right - left)) * WIDE;
  draggable(element, (event) => {
    const box = ground.getBoundingClientRect();
    const k = left + ((event.clientX - box.left) / box.width) * (right - left);
    onExponent(Number((Math.round(Math.min(right, Math.max(left, k)) / step) * step).toFixed(2)));
  });

  function update({ curve, k, error, truth, bet, theory, showTheory, revealed, title }) {
    const sizes = curve.map((one) => one.error).filter((e) => e > 0 && Number.isFinite(e)).map(Math.log10);
    // No error is worth drawing that is a hundred times the slope itself.
    const most = Math.ceil(Math.log10(Math.max(0.01, Math.abs(truth) || 1))) + 2;
    const [low, high] = [Math.max(-18, Math.floor(Math.min(most - 6, ...sizes))), Math.min(most, Math.ceil(Math.max(most - 4, ...sizes)))];
    const floor = TALL - 20; // below it, the shelf for 0
    const down = (e) => (e === 0 ? TALL - 9 : floor - ((Math.min(high, Math.max(low, Math.log10(e))) - low) / (high - low)) * floor);
    const every = high - low > 10 ? 4 : 2;
    const heights = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((n) => n % every === 0);
    const widths = [-16, -12, -8, -4, 0];
    grid.replaceChildren(svg("path", { d: [...heights.map((n) => `M0,${down(10 ** n)}H${WIDE}`), ...widths.map((n) => `M${across(n)},0V${TALL}`)].join("") }), svg("path", { d: `M0,${floor}H${WIDE}`, class: "mg-v-shelf" }));
    axes.replaceChildren(
      ...heights.filter((n) => down(10 ** n) < floor - 5 || n === low).map((n) => svg("text", { x: -6, y: down(10 ** n) + 1, "text-anchor": "end" }, powerOfTen(n))),
      svg("text", { x: -6, y: TALL - 4, "text-anchor": "end" }, "0"),
      ...widths.map((n) => svg("text", { x: across(n), y: TALL + 14, "text-anchor": "middle" }, powerOfTen(n))),
      svg("text", { x: WIDE / 2, y: TALL + 30, "text-anchor": "middle" }, "h →"),
      svg("text", { x: 0, y: -4 }, "↑ error"),
    );
    dots.setAttribute("d", curve.filter((one) => Number.isFinite(one.error)).map((one) => `M${across(one.k).toFixed(1)},${down(one.error).toFixed(1)}h0`).join(""));
    bar.setAttribute("d", `M${across(k)},0V${TALL}`);
    wager.setAttribute("d", bet === null ? "" : `M${across(bet)},0V${TALL}`);
    // Straight lines on these axes: log error = log c + power log h, where they lie inside the picture.
    const { truncation, rounding, order } = theory;
    const laws = showTheory ? [[truncation, order, `h${order > 1 ? "⁰¹²³⁴"[order] : ""}`, "the bend, ", "end"], [rounding, -1, "eps / h", "rounding, ", "start"]].filter(([c]) => c > 0) : [];
    const height = (c, power, at) => floor - ((Math.log10(c) + power * at - low) / (high - low)) * floor;
    lines.setAttribute("d", laws.map(([c, power]) => `M${across(left)},${height(c, power, left)}L${across(right)},${height(c, power, right)}`).join(""));
    const labelled = laws.map(([c, power, text, word, anchor]) => {
      const at = Math.min(-0.5, Math.max(-15.5, (low + 0.8 * (high - low) - Math.log10(c)) / power)); // four fifths of the way up
      const shift = anchor === "end" ? -7 : 7;
      return svg("text", { x: across(at) + shift, y: Math.min(floor - 8, Math.max(26, height(c, power, at))), "text-anchor": anchor }, `${word}${text}`);
    });
    const wagered = bet === null ? [] : [svg("text", { x: across(bet) + (bet < -4 ? 5 : -5), y: TALL - 26, "text-anchor": bet < -4 ? "start" : "end" }, "your bet")];
    names.replaceChildren(...labelled, ...wagered);
    dot.setAttribute("cx", across(k));
    dot.setAttribute("cy", Number.isFinite(error) ? down(error) : 0);
    dot.style.visibility = revealed && Number.isFinite(error) ? "" : "hidden";
    element.classList.toggle("mg-v-hidden", !revealed);
    element.setAttribute("aria-label", revealed ? `Error of the ${title} against h, on logarithmic axes, with h marked. The slider below does the same; the table has the numbers.` : "The error against h, hidden until the bet is placed. The slider below chooses h.");
  }
  return { element, update };
}

/* The drawn graph of a Wengert list: inputs on the left, the output on the right, one card a value.
 * A small Sugiyama layout: layers by longest path, order by barycentres, then heights pulled towards the neighbours. */

import { brief, svg, uniqueId } from "../toolkit.js";

const CARD = { head: 25, line: 16, foot: 6 };
const GAP = { row: 18, through: 30 };
const SMALLEST = 0.78; // a drawing shrinks this far before it scrolls

const isName = (input) => typeof input !== "object"; // an id; else a constant

/**
 * Where everything goes: {nodes: Map id -> {x, y, width, height}, edges: [{from, to, slot, chain}], points, width, height}.
 *
 * Everything is as large as `card`, except what `sizes` (Map id -> {width, height}) says otherwise. With `late`, an input
 * stands just before its first user instead of at the far left. A line that is a `port` is no card, but a place at the
 * left (of an input) or right (of a step) border that an edge passes through.
 */
export function layout(list, room, card, { sizes = new Map(), late = false } = {}) {
  const layer = new Map(list.inputs.map(({ id }) => [id, 0]));
  for (const step of list.steps) {
    layer.set(step.id, 1 + Math.max(-1, ...step.inputs.filter(isName).map((id) => layer.get(id))));
  }
  const ports = new Set([...list.inputs, ...list.steps].filter(({ port }) => port).map(({ id }) => id));
  const last = 1 + Math.max(...[...layer].map(([id, at]) => (ports.has(id) ? -1 : at)));
  for (const { id, port } of list.steps) if (port) layer.set(id, last);
  for (const { id } of late ? list.inputs.filter(({ port }) => !port) : []) {
    const users = list.steps.filter(({ inputs }) => inputs.includes(id)).map((step) => layer.get(step.id));
    if (users.length) layer.set(id, Math.min(...users) - 1);
  }
  // An edge that spans several layers is a chain of stand-ins, so that it is led around the cards between.
  const layers = Array.from({ length: Math.max(...layer.values()) + 1 }, () => []);
  const points = [];
  const add = (point) => (points.push(point), layers[point.layer].push(point), point);
  const node = (id, at) => add({ id, layer: at, left: [], right: [], port: ports.has(id), ...(ports.has(id) ? {} : (sizes.get(id) ?? { width: card.width, height: card.height })) });
  const nodes = new Map([...layer].map(([id, at]) => [id, node(id, at)]));
  const edges = [];
  for (const step of list.steps) {
    step.inputs.forEach((from, slot) => {
      if (!isName(from)) return;
      const chain = [nodes.get(from)];
      for (let at = layer.get(from) + 1; at < layer.get(step.id); at++) chain.push(add({ layer: at, left: [], right: [] }));
      chain.push(nodes.get(step.id));
      for (let i = 1; i < chain.length; i++) {
        chain[i - 1].right.push(chain[i]);
        chain[i].left.push(chain[i - 1]);
      }
      edges.push({ from, to: step.id, slot, chain });
    });
  }
  const mean = (list, key) => list.reduce((sum, point) => sum + point[key], 0) / list.length;
  const number = (column) => column.forEach((point, i) => (point.rank = i));
  layers.forEach(number);
  for (let sweep = 0; sweep < 8; sweep++) {
    const side = sweep % 2 ? "right" : "left";
    for (const column of sweep % 2 ? [...layers].reverse() : layers) {
      column.forEach((point) => (point.goal = point[side].length ? mean(point[side], "rank") : point.rank));
      column.sort((a, b) => a.goal - b.goal);
      number(column);
    }
  }
  const tall = (point) => (point.height === undefined ? GAP.through : point.height + GAP.row);
  const apart = (a, b) => (tall(a) + tall(b)) / 2;
  for (const column of layers) {
    let y = 0;
    column.forEach((point, i) => (point.y = y += i ? apart(column[i - 1], point) : 0));
    column.forEach((point) => (point.y -= y / 2));
  }
  for (let sweep = 0; sweep < 12; sweep++) {
    for (const column of sweep % 2 ? [...layers].reverse() : layers) {
      const goals = column.map((point) => mean([...point.left, ...point.right, point], "y"));
      const down = [...goals];
      const up = [...goals];
      for (let i = 1; i < column.length; i++) down[i] = Math.max(down[i], down[i - 1] + apart(column[i - 1], column[i]));
      for (let i = column.length - 2; i >= 0; i--) up[i] = Math.min(up[i], up[i + 1] - apart(column[i], column[i + 1]));
      column.forEach((point, i) => (point.y = (down[i] + up[i]) / 2));
    }
  }
  const wide = layers.map((column) => Math.max(0, ...column.map((point) => point.width ?? 0)));
  const cards = wide.reduce((sum, one) => sum + one, 0);
  const spare = layers.length > 1 ? (room - 4 - cards) / (layers.length - 1) : 0;
  const gap = Math.min(Math.max(spare, card.gap), 120);
  const width = Math.max(room, cards + gap * (layers.length - 1) + 4);
  const left = [(width - cards - gap * (layers.length - 1)) / 2];
  wide.forEach((one, i) => left.push(left[i] + one + gap));
  const [top, bottom] = [Math.min(...points.map((p) => p.y - tall(p) / 2)), Math.max(...points.map((p) => p.y + tall(p) / 2))];
  for (const point of points) {
    const own = (point.width ??= wide[point.layer]); // a stand-in passes through the whole column
    Object.assign(point, { x: left[point.layer] + (wide[point.layer] - own) / 2, y: point.y - top });
  }
  return { nodes, edges, points, width, height: bottom - top };
}

/** The course of an edge from the right of one card, through its stand-ins, to its place at the left of another. */
function course({ chain, port }) {
  let path = "";
  let label = null;
  for (let i = 1; i < chain.length; i++) {
    const [a, b] = [chain[i - 1], chain[i]];
    const [x0, y0, x1] = [a.x + a.width, a.y + (i === 1 ? port.out : 0), b.x - (b.height === undefined ? 0 : 3)];
    const y1 = b.y + (i === chain.length - 1 ? port.in : 0);
    const half = (x0 + x1) / 2;
    path += `${i === 1 ? `M${x0},${y0}` : `L${x0},${y0}`}C${half},${y0} ${half},${y1} ${x1},${y1}`;
    label ??= { x: half, y: (y0 + y1) / 2, dx: x1 - x0, dy: y1 - y0 };
  }
  // Of a long edge, label the straight part that passes between the cards.
  const through = chain.slice(1, -1).at(0);
  return { path, label: through ? { x: through.x + through.width / 2, y: through.y, dx: 1, dy: 0 } : label };
}

/** Put a label of this width beside its edge, above it, as far off as keeps the two apart, and within the gap. */
function besideEdge({ x, y, dx, dy }, width) {
  const [run, rise] = [dx, 2 * dy]; // the slope in the middle of the curve
  const length = Math.hypot(run, rise);
  const off = (Math.abs(rise) * width) / 2 / length + ((run / length) * 9) / 2 + 4;
  const room = Math.max(0, (dx - width) / 2 - 4);
  const shift = Math.max(-room, Math.min(room, (rise / length) * off));
  // What the gap takes away sideways, the label makes up upwards, along its edge.
  const up = rise === 0 ? off : Math.min(off * 1.6, (off * length - shift * rise) / run);
  return { x: x + shift, y: y - up + 4 };
}

/**
 * Draw the list into a fresh <svg>. `symbolOf(step)` and `name(id)` label the cards, `lines` are the rows of numbers:
 * [{key, letter}], `text(x)` is what a card says of a number. `place(card)` may bring a layout of its own, whose nodes can
 * have `lines` of their own. Returns {element, update(state), edges, nodes}; see trace_player.js for the state of a moment.
 */
export function drawGraph(list, { room, symbolOf, name, lines, label, text: inCard = brief, place = (card) => layout(list, room, card) }) {
  const narrow = room < 460;
  const height = (rows) => CARD.head + CARD.line * rows + CARD.foot;
  const card = { width: narrow ? 74 : 94, gap: narrow ? 28 : 46, inset: narrow ? 6 : 9, height: height(lines.length), heightOf: height };
  const plan = place(card);
  const marker = uniqueId("arrow");
  const arrow = (kind) =>
    svg(
      "marker",
      { id: `${marker}-${kind}`, viewBox: "0 0 8 8", refX: 6.5, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse", class: `mg-arrow mg-arrow-${kind}` },
      svg("path", { d: "M0,0.5 L8,4 L0,7.5z" }),
    );
  // Edges arrive and leave in the order of their other ends, so that they do not cross at a card.
  const spread = (edges, end, key, other) => {
    edges.sort((a, b) => other(a).y - other(b).y || a.slot - b.slot);
    edges.forEach((edge, i) => ((edge.port ??= {})[key] = (i - (edges.length - 1) / 2) * Math.min(14, (card.height - 20) / edges.length)));
  };
  for (const id of plan.nodes.keys()) {
    spread(plan.edges.filter((edge) => edge.to === id), "to", "in", (edge) => edge.chain.at(-2));
    spread(plan.edges.filter((edge) => edge.from === id), "from", "out", (edge) => edge.chain[1]);
  }
  const drawnEdges = plan.edges.map((edge) => {
    const { path, label: place } = course(edge);
    const line = svg("path", { d: path, class: "mg-edge", "marker-end": `url(#${marker}-idle)` });
    const text = svg("text", { class: "mg-edge-label", "text-anchor": "middle" });
    return { ...edge, line, text, place };
  });
  const drawnNodes = [...plan.nodes.values()].map(({ id, x, y, width, height, lines: own = lines }) => {
    const step = list.steps.find((one) => one.id === id);
    const top = y - height / 2;
    const box = svg("rect", { x: x + 0.5, y: top, width: width - 1, height, rx: 9, class: "mg-card" });
    const head = svg("text", { x: x + card.inset, y: top + 18, class: "mg-card-name" }, name(id));
    const symbol = svg("text", { x: x + width - card.inset, y: top + 18, class: "mg-card-symbol", "text-anchor": "end" }, ...[symbolOf(step, id)].flat());
    const rule = svg("line", { x1: x + 1, x2: x + width - 1, y1: top + CARD.head, y2: top + CARD.head, class: "mg-card-rule" });
    const rows = own.map(({ key, letter }, i) => {
      const base = top + CARD.head + CARD.line * (i + 1) - 2;
      const value = svg("text", { x: x + width - card.inset, y: base, class: `mg-card-number mg-fill-${key}`, "text-anchor": "end" });
      return { key, value, all: [svg("text", { x: x + card.inset, y: base, class: `mg-card-letter mg-fill-${key}` }, letter), value] };
    });
    const turn = svg("text", { x: x + width / 2, y: top - 5, class: "mg-card-turn", "text-anchor": "middle" });
    return { id, x, width, box, rows, turn, group: svg("g", { class: "mg-node", "data-id": id }, box, rule, head, symbol, turn, ...rows.flatMap((row) => row.all)) };
  });
  const scale = Math.min(1, Math.max(SMALLEST, room / plan.width));
  const element = svg(
    "svg",
    { viewBox: `0 0 ${plan.width} ${plan.height}`, width: plan.width * scale, height: plan.height * scale, class: narrow ? "mg-graph mg-narrow" : "mg-graph", role: "img", "aria-label": label },
    svg("defs", {}, ["idle", "lit"].map(arrow)),
    drawnEdges.map(({ line }) => line),
    drawnNodes.map(({ group }) => group),
    drawnEdges.map(({ text }) => text),
  );

  /** Show a moment: the numbers known so far, the card at work, the edges that it reads (or sends blame along). */
  function update({ phase, active, number, partial, turns, sends = ({ to }) => to === active }) {
    for (const { id, x, width, rows, turn, group } of drawnNodes) {
      turn.textContent = turns(id);
      const known = number("primal", id) !== null;
      group.setAttribute("class", `mg-node${known ? "" : " mg-waiting"}${id === active ? ` mg-active` : ""}`);
      for (const { key, value } of rows) {
        const x = number(key, id);
        value.textContent = x === null ? "·" : inCard(x);
      }
      if (id === active) {
        const holder = element.parentElement;
        if (holder && holder.scrollWidth > holder.clientWidth) holder.scrollLeft = x * scale - holder.clientWidth / 2 + width / 2;
      }
    }
    for (const edge of drawnEdges) {
      const { to, slot, line, text, place } = edge;
      const lit = sends(edge) && (phase === "forward" || phase === "reverse");
      const back = lit && phase === "reverse";
      line.setAttribute("class", `mg-edge${lit ? ` mg-lit${back ? " mg-back" : ""}` : ""}`);
      // In the reverse phase the arrow turns round: the blame travels from the user to its input.
      const kind = lit ? "lit" : "idle";
      line.setAttribute("marker-end", back ? "none" : `url(#${marker}-${kind})`);
      line.setAttribute("marker-start", back ? `url(#${marker}-${kind})` : "none");
      text.textContent = lit ? `×${brief(partial(to, slot), 3)}` : "";
      if (!lit) continue;
      const { x, y } = besideEdge(place, 7 * text.textContent.length);
      text.setAttribute("x", x);
      text.setAttribute("y", y);
    }
  }
  return { element, update, edges: plan.edges, nodes: drawnNodes };
}

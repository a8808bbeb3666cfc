/* Groups of a list, which fold: what can be seen when some of them are open, and where it goes.
 *
 * A group is one call that recorded steps (see x_ray in widgets/x_ray.py). Folded, it is one card; open, it is a frame with
 * what it holds inside, laid out by the same rules, so that frames stand within frames. Nothing is computed here. */

import { layout } from "../trace_player/graph.js";

const FRAME = { head: 30, inset: 14 };
const isName = Number.isInteger;

/** The key of a group among ids of nodes: a text, "group 2". */
export const keyOf = (group) => `group ${group.id}`;

/**
 * The groups of a list as a forest, for a set `open` of paths such as "model/first/":
 *   path(group)       its names from the outermost inwards
 *   around(x)         the groups around a node's id or a group, from the outermost inwards
 *   holds(group)      the ids of all nodes inside, at any depth, and `steps(group)`, those that ops made
 *   inside(group)     what stands directly in a group (null: in none): ids of nodes and groups, in the order of the list
 *   seen(id)          what is seen of a node: its own id, or the folded group around it
 *   items()           all that is seen, in the order of the list; an open group, then what it holds
 *   inputs(group), outputs(group)   the ids of what it takes from outside, and of what others take from it
 */
export function folds(list, open) {
  const groups = list.groups ?? [];
  const nodes = [...list.inputs, ...list.steps];
  const of = new Map(nodes.map(({ id, group }) => [id, groups[group ?? -1] ?? null]));
  const parent = (group) => groups[group.inside ?? -1] ?? null;
  const upwards = (group) => (group ? [...upwards(parent(group)), group] : []);
  const around = (x) => upwards(isName(x) ? of.get(x) : parent(x));
  const path = (group) => upwards(group).map(({ name }) => `${name}/`).join("");
  const isOpen = (group) => open.has(path(group));
  const within = (group, id) => around(id).includes(group);
  const holds = (group) => nodes.map(({ id }) => id).filter((id) => within(group, id));
  const steps = (group) => list.steps.filter(({ id }) => within(group, id));
  const unique = (ids) => [...new Set(ids)];

  function inside(group) {
    const found = [];
    for (const { id } of nodes) {
      const chain = around(id);
      const depth = group ? chain.indexOf(group) + 1 : 0;
      if (group && depth === 0) continue;
      const item = chain[depth] ?? id;
      if (!found.includes(item)) found.push(item);
    }
    // A group stands where its first step does, not where its first parameter was given.
    const rank = (item) => (isName(item) ? item : steps(item)[0].id);
    return found.sort((a, b) => rank(a) - rank(b));
  }

  const items = (group = null) => inside(group).flatMap((item) => (isName(item) || !isOpen(item) ? [item] : [item, ...items(item)]));
  const inputs = (group) => unique(steps(group).flatMap((step) => step.inputs.filter(isName))).filter((id) => !within(group, id));
  const outputs = (group) =>
    steps(group)
      .map(({ id }) => id)
      .filter((id) => list.outputs.includes(id) || list.steps.some((step) => step.inputs.includes(id) && !within(group, step.id)));
  const seen = (id) => around(id).find((group) => !isOpen(group)) ?? id;
  return { groups, path, around, holds, steps, inside, seen, items, inputs, outputs, isOpen };
}

/**
 * Where everything goes, as `drawGraph` wants it: {nodes, edges, width, height}, and `frames`, [{group, x, y, width, height}],
 * the outermost first. `sizes(item)` is the {width, height, lines} of a card, `title(group)` the width of a frame's title.
 *
 * An edge here has a `value`, the id of the node whose number it carries, and runs from what is seen to what is seen,
 * through the borders between.
 */
export function place(list, view, room, card, sizes, title) {
  const { edges, ...plan } = level(null, room);
  return { ...plan, edges };

  function level(group, room) {
    const members = view.inside(group).map((item) => ({ item, key: isName(item) ? item : keyOf(item), ids: isName(item) ? [item] : view.holds(item), inner: null }));
    const maker = new Map(members.flatMap((member) => member.ids.map((id) => [id, member])));
    const large = new Map();
    for (const member of members) {
      if (isName(member.item) || !view.isOpen(member.item)) large.set(member.key, sizes(member.item));
      else {
        member.inner = level(member.item, title(member.item));
        large.set(member.key, { width: member.inner.width + 2 * FRAME.inset, height: member.inner.height + FRAME.head + FRAME.inset });
      }
    }
    // One line a member; what comes from outside enters by a port, what others use leaves by one.
    const wanted = (member) => (isName(member.item) ? (list.steps.find(({ id }) => id === member.item)?.inputs.filter(isName) ?? []) : view.inputs(member.item));
    const from = (id) => maker.get(id)?.key ?? `in ${id}`;
    const entering = group ? view.inputs(group) : [];
    const leaving = group ? view.outputs(group) : [];
    const isLeaf = ({ item }) => isName(item) && list.inputs.some(({ id }) => id === item);
    const lines = {
      inputs: [...entering.map((id) => ({ id: `in ${id}`, port: true })), ...members.filter(isLeaf).map(({ key }) => ({ id: key }))],
      steps: [
        ...members.filter((member) => !isLeaf(member)).map((member) => ({ id: member.key, inputs: wanted(member).map(from) })),
        ...leaving.map((id) => ({ id: `out ${id}`, inputs: [from(id)], port: true })),
      ],
    };
    const plan = layout(lines, room, card, { sizes: large, late: true });
    const made = { nodes: new Map(), edges: [], frames: [], points: plan.points, ins: [], outs: new Map(), width: plan.width, height: plan.height };
    for (const member of members) {
      const point = plan.nodes.get(member.key);
      if (!member.inner) {
        made.nodes.set(member.key, point);
        continue;
      }
      const [x, y] = [point.x + FRAME.inset, point.y - point.height / 2 + FRAME.head];
      for (const inner of member.inner.points) Object.assign(inner, { x: inner.x + x, y: inner.y + y });
      for (const frame of member.inner.frames) Object.assign(frame, { x: frame.x + x, y: frame.y + y });
      made.frames.push({ group: member.item, x: point.x, y: point.y - point.height / 2, width: point.width, height: point.height }, ...member.inner.frames);
      made.points.push(...member.inner.points);
      made.edges.push(...member.inner.edges);
      member.inner.nodes.forEach((inner, key) => made.nodes.set(key, inner));
    }
    // A piece of this level, and what it goes on as within an open member at either end.
    const byKey = new Map(members.map((member) => [member.key, member]));
    for (const edge of plan.edges) {
      const [start, end] = [byKey.get(edge.from), byKey.get(edge.to)];
      const value = !start ? Number(edge.from.slice(3)) : !end ? Number(edge.to.slice(4)) : wanted(end)[edge.slot];
      const first = start?.inner ? start.inner.outs.get(value) : { from: edge.from, chain: edge.chain.slice(0, 1) };
      const rest = edge.chain.slice(1, -1);
      const lasts = end?.inner ? end.inner.ins.filter((one) => one.value === value) : [{ to: edge.to, slot: edge.slot, chain: edge.chain.slice(-1) }];
      for (const { to, slot, chain } of lasts) {
        const whole = { from: first.from, to, slot, value, chain: [...first.chain, ...rest, ...chain] };
        if (!start) made.ins.push(whole);
        else if (!end) made.outs.set(value, whole);
        else made.edges.push(whole);
      }
    }
    return made;
  }
}

/* Two ways back through a list, as turns: whose turn it is, and what its op then sends to its inputs.
 *
 * Both send the same shares, which engine.js computes. They differ in when a record's turn comes:
 *   by the list     when all later records of the list have had theirs; the list has only what the output depends on
 *   by the visits   when its node has been visited once for each of its uses, wherever they lead */

import { adjoints, OPS, shapeOf, zeros } from "../engine.js";

/** How often each value is used as an input, by id. */
export function uses(list) {
  const count = [];
  for (const { id } of [...list.inputs, ...list.steps]) count[id] = 0;
  for (const id of list.steps.flatMap((step) => step.inputs)) if (Number.isInteger(id)) count[id] += 1;
  return count;
}

/** The ids of what the first output was computed from, itself included. */
export function onTheList(list) {
  const found = new Set([list.outputs[0]]);
  for (const step of [...list.steps].reverse()) {
    if (found.has(step.id)) step.inputs.filter(Number.isInteger).forEach((id) => found.add(id));
  }
  return found;
}

/** The two walks: {list: turns, visits: turns}, a turn being {id, sent: [{to, value}]}. */
export function walks(list, values) {
  const { contributions } = adjoints(list, values);
  const sent = [];
  for (const { id } of list.steps) sent[id] = [];
  contributions.forEach((shares, to) => shares.forEach(({ user, value }) => sent[user].push({ to, value })));
  const turn = (id) => ({ id, sent: sent[id] });

  const known = onTheList(list);
  const byList = [...list.steps].reverse().filter(({ id }) => known.has(id));

  const [visits, wanted, byVisits] = [[], uses(list), []];
  const visit = (id) => {
    visits[id] = (visits[id] ?? 0) + 1;
    if (visits[id] < wanted[id] || sent[id] === undefined) return;
    byVisits.push(turn(id));
    for (const { to } of sent[id]) visit(to);
  };
  visit(list.outputs[0]);
  return { list: byList.map(({ id }) => turn(id)), visits: byVisits };
}

/** Where a walk stands after so many turns: {adjoints, visits}, by id. Nothing has arrived: zeros. */
export function after(list, values, turns) {
  const [bar, visits] = [[], []];
  for (const { id } of [...list.inputs, ...list.steps]) [bar[id], visits[id]] = [zeros(shapeOf(values[id])), 0];
  bar[list.outputs[0]] = 1;
  for (const { sent } of turns) {
    for (const { to, value } of sent) {
      bar[to] = OPS.add.forward([bar[to], value]);
      visits[to] += 1;
    }
  }
  return { adjoints: bar, visits };
}

// The pictures of the live MLP. Each function paints one canvas from plain numbers and a palette
// {ink, soft, line, paper, plus, minus} of colours as "rgb(r, g, b)"; none of them changes anything else.
//
// A sign is never told by colour alone: negative edges are dashed, negative bars point left, and
// negative cells carry a small bar.

import { EXTENT } from "./data.js";

const FONT = "12px system-ui, sans-serif";

/** Fits a canvas to its place on the page, sharp on every screen; returns {pen, width, height}. */
function prepare(canvas, height = canvas.clientHeight) {
  const scale = globalThis.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = FONT;
  pen.textBaseline = "middle";
  return { pen, width, height };
}

const channels = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);

/** The colour a share t of the way from one colour to another, as [r, g, b]. */
const blend = (from, to, t) => from.map((c, i) => c + t * (to[i] - c));

/** Paints an n x n grid of signed numbers in [-1, 1] as a smooth picture. */
function paintField(pen, size, field, n, palette) {
  const [ground, plus, minus] = [palette.paper, palette.plus, palette.minus].map(channels);
  const small = document.createElement("canvas");
  small.width = small.height = n;
  const image = new ImageData(n, n);
  field.forEach((value, i) => {
    const known = Number.isFinite(value);
    const hue = value > 0 ? plus : minus;
    const strength = known ? 0.5 * Math.min(1, Math.abs(value)) : 0;
    image.data.set([...blend(ground, hue, strength), 255], 4 * i);
  });
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(small, 0, 0, size, size);
}

/** The line on which the field is zero: in each cell of the grid, the chord between sign changes. */
function paintContour(pen, size, field, n) {
  const cell = size / n;
  const place = (i) => (i + 0.5) * cell;
  pen.beginPath();
  for (let row = 0; row < n - 1; row++)
    for (let column = 0; column < n - 1; column++) {
      const corners = [[0, 0], [0, 1], [1, 1], [1, 0]].map(([down, right]) => ({
        x: place(column + right),
        y: place(row + down),
        value: field[(row + down) * n + column + right],
      }));
      const ends = [];
      corners.forEach((a, k) => {
        const b = corners[(k + 1) % 4];
        if (a.value > 0 === b.value > 0) return;
        const t = a.value / (a.value - b.value);
        ends.push([a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)]);
      });
      for (let k = 0; k + 1 < ends.length; k += 2) {
        pen.moveTo(...ends[k]);
        pen.lineTo(...ends[k + 1]);
      }
    }
  pen.stroke();
}

/** The n x n points of the plane, as rows, at which a field is evaluated. */
export function planePoints(n) {
  const at = (i) => (2 * (i + 0.5)) / n - 1;
  const points = [];
  for (let row = 0; row < n; row++)
    for (let column = 0; column < n; column++) points.push(EXTENT * at(column), -EXTENT * at(row));
  return points;
}

/** The decision surface: field > 0 where class 1 is predicted, with the examples on top of it. */
export function drawPlane(canvas, { field, n, data, palette }) {
  const { pen, width: size } = prepare(canvas, canvas.clientWidth);
  paintField(pen, size, field, n, palette);
  pen.strokeStyle = palette.ink;
  pen.lineWidth = 1.5;
  paintContour(pen, size, field, n);

  const place = (x) => ((x / EXTENT + 1) / 2) * size;
  const paintHalf = ({ X, labels }, solid) =>
    labels.forEach((label, i) => {
      const [x, y] = [place(X.data[2 * i]), place(-X.data[2 * i + 1])];
      const r = label ? 2.6 : 3;
      pen.beginPath();
      if (label) pen.rect(x - r, y - r, 2 * r, 2 * r);
      else pen.arc(x, y, r, 0, 2 * Math.PI);
      pen.fillStyle = solid ? (label ? palette.plus : palette.minus) : palette.paper;
      pen.strokeStyle = solid ? palette.paper : label ? palette.plus : palette.minus;
      pen.lineWidth = solid ? 0.75 : 1.25;
      pen.fill();
      pen.stroke();
    });
  paintHalf(data.test, false);
  paintHalf(data.train, true);
}

/** Test digits in a grid, each with its prediction; a wrong one is framed and says "3 ≠ 8". */
export function drawDigits(canvas, { half, guesses, palette }) {
  const across = canvas.clientWidth < 300 ? 6 : 8;
  const cell = canvas.clientWidth / across;
  const picture = Math.floor((cell - 12) / 8) * 8;
  const tall = picture + 24;
  const { pen } = prepare(canvas, Math.ceil(guesses.length / across) * tall);
  const [ground, ink] = [palette.paper, palette.ink].map(channels);
  guesses.forEach((guess, i) => {
    const x = Math.round((i % across) * cell + (cell - picture) / 2);
    const y = Math.floor(i / across) * tall + 3;
    const pixel = picture / 8;
    for (let k = 0; k < 64; k++) {
      pen.fillStyle = `rgb(${blend(ground, ink, 0.06 + 0.94 * half.X.data[64 * i + k])})`;
      pen.fillRect(x + (k % 8) * pixel, y + Math.floor(k / 8) * pixel, pixel, pixel);
    }
    const wrong = guess !== half.labels[i];
    if (wrong) {
      pen.strokeStyle = palette.minus;
      pen.lineWidth = 2;
      pen.strokeRect(x - 2, y - 2, picture + 4, picture + 4);
    }
    pen.textAlign = "center";
    pen.font = wrong ? `bold ${FONT}` : FONT;
    pen.fillStyle = wrong ? palette.minus : palette.soft;
    const text = wrong ? `${guess} ≠ ${half.labels[i]}` : `${guess}`;
    pen.fillText(text, x + picture / 2, y + picture + 11);
  });
}

const STRONGEST = 140; // edges of a layer that are drawn: more would be a thicket

/**
 * The network: columns of units, edges as wide as |strength| (relative to the strongest of their
 * layer; of a large layer the strongest only). Returns the places of the units for the pointer,
 * [{layer, unit, x, y}], where layer 0 is the first hidden layer.
 */
export function drawNetwork(canvas, { widths, strengths, quiet, selected, labels, palette }) {
  const { pen, width, height } = prepare(canvas);
  const [left, right, top] = [34, 34, 26];
  const columns = widths.map((count, k) => {
    const gap = Math.min(36, (height - top - 6) / count);
    const middle = top + (height - top - 6) / 2;
    return {
      x: left + ((width - left - right) * k) / (widths.length - 1),
      radius: Math.max(1.5, Math.min(9, 0.36 * gap)),
      y: (unit) => middle + (unit - (count - 1) / 2) * gap,
    };
  });

  strengths.forEach((matrix, k) => {
    const [from, to] = [columns[k], columns[k + 1]];
    const fanOut = widths[k + 1];
    const largest = matrix.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    const chosen = Array.from(matrix, (value, i) => ({ value: value / largest, i }))
      .filter(({ value }) => Math.abs(value) > 0.05)
      .sort((a, b) => Math.abs(a.value) - Math.abs(b.value));
    const lit = ({ i }) => selected.layer === k && selected.unit === i % fanOut;
    const few = chosen.slice(-STRONGEST).filter((edge) => !lit(edge));
    const stroke = ({ value, i }, strength) => {
      const size = Math.abs(value);
      pen.globalAlpha = strength * (0.25 + 0.75 * size);
      pen.strokeStyle = value > 0 ? palette.plus : palette.minus;
      pen.lineWidth = 0.4 + 3.6 * size;
      pen.setLineDash(value > 0 ? [] : [5, 3]);
      pen.beginPath();
      pen.moveTo(from.x + from.radius, from.y(Math.floor(i / fanOut)));
      pen.lineTo(to.x - to.radius, to.y(i % fanOut));
      pen.stroke();
    };
    few.forEach((edge) => stroke(edge, few.length < 100 ? 0.5 : 0.35));
    chosen.filter(lit).forEach((edge) => stroke(edge, 1));
  });
  pen.setLineDash([]);
  pen.globalAlpha = 1;

  const places = [];
  columns.forEach(({ x, y, radius }, k) => {
    pen.fillStyle = palette.soft;
    pen.textAlign = "center";
    pen.fillText(labels.columns[k], x, 10);
    for (let unit = 0; unit < widths[k]; unit++) {
      const dead = k > 0 && quiet[k - 1][unit] === 1;
      const chosen = selected.layer === k - 1 && selected.unit === unit;
      if (k > 0) places.push({ layer: k - 1, unit, x, y: y(unit) });
      pen.beginPath();
      pen.arc(x, y(unit), radius, 0, 2 * Math.PI);
      pen.fillStyle = palette.paper;
      pen.fill();
      if (k > 0 && !dead) {
        // The filled wedge is the share of the examples for which the unit passes a gradient on.
        pen.beginPath();
        pen.moveTo(x, y(unit));
        pen.arc(x, y(unit), radius, -Math.PI / 2, (1.5 - 2 * quiet[k - 1][unit]) * Math.PI);
        pen.fillStyle = palette.soft;
        pen.globalAlpha = 0.4;
        pen.fill();
        pen.globalAlpha = 1;
      }
      pen.beginPath();
      pen.arc(x, y(unit), radius, 0, 2 * Math.PI);
      pen.strokeStyle = chosen ? palette.ink : palette.soft;
      pen.lineWidth = chosen ? 3 : 1;
      pen.stroke();
      if (dead) {
        const r = 0.7 * radius;
        pen.beginPath();
        pen.moveTo(x - r, y(unit) - r);
        pen.lineTo(x + r, y(unit) + r);
        pen.moveTo(x + r, y(unit) - r);
        pen.lineTo(x - r, y(unit) + r);
        pen.strokeStyle = palette.minus;
        pen.lineWidth = 1.5;
        pen.stroke();
      }
      const side = k === 0 ? -1 : 1;
      const text = k === 0 ? labels.inputs?.[unit] : k === widths.length - 1 ? `${unit}` : null;
      if (text) {
        pen.fillStyle = palette.ink;
        pen.textAlign = k === 0 ? "right" : "left";
        pen.fillText(text, x + side * (radius + 5), y(unit));
      }
    }
  });
  return places;
}

/** A curve over the steps for each of several series [{values, dashed, colour}] that share an axis. */
export function drawCurves(canvas, { steps, series, top, format, palette }) {
  const { pen, width, height } = prepare(canvas);
  const box = { left: 42, right: width - 10, top: 8, bottom: height - 20 };
  const last = Math.max(steps.at(-1), 10);
  const x = (step) => box.left + ((box.right - box.left) * step) / last;
  const y = (value) => box.bottom - ((box.bottom - box.top) * Math.min(value, 1.04 * top)) / top;
  pen.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    pen.strokeStyle = palette.line;
    pen.beginPath();
    pen.moveTo(box.left, y(part * top));
    pen.lineTo(box.right, y(part * top));
    pen.stroke();
    pen.fillStyle = palette.soft;
    pen.textAlign = "right";
    pen.fillText(format(part * top), box.left - 6, y(part * top));
  }
  pen.textAlign = "left";
  pen.fillText("0", box.left, height - 8);
  pen.textAlign = "right";
  pen.fillText(`step ${last}`, box.right, height - 8);
  pen.lineWidth = 2;
  for (const { values, dashed, colour } of series) {
    pen.strokeStyle = colour;
    pen.setLineDash(dashed ? [5, 4] : []);
    pen.beginPath();
    let down = false;
    values.forEach((value, i) => {
      if (!Number.isFinite(value)) down = false;
      else if (down) pen.lineTo(x(steps[i]), y(value));
      else pen.moveTo(x(steps[i]), y(value));
      down = Number.isFinite(value);
    });
    pen.stroke();
  }
  pen.setLineDash([]);
}

/** 8 x 8 signed numbers as a picture: one weight or one derivative a pixel. */
export function drawPixels(canvas, { values, palette }) {
  const { pen, width: size } = prepare(canvas, canvas.clientWidth);
  const [ground, plus, minus] = [palette.paper, palette.plus, palette.minus].map(channels);
  const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  const cell = size / 8;
  values.forEach((value, k) => {
    const share = Math.abs(value) / largest || 0;
    const [x, y] = [(k % 8) * cell, Math.floor(k / 8) * cell];
    pen.fillStyle = `rgb(${blend(ground, value > 0 ? plus : minus, 0.9 * share)})`;
    pen.fillRect(x, y, cell + 0.5, cell + 0.5);
    if (value < 0 && share > 0.15) {
      pen.fillStyle = palette.paper;
      pen.fillRect(x + 0.28 * cell, y + 0.44 * cell, 0.44 * cell, Math.max(1.5, 0.1 * cell));
    }
  });
  pen.strokeStyle = palette.line;
  pen.strokeRect(0.5, 0.5, size - 1, size - 1);
}

/** A unit over the plane: its activation as a field and its gradient over the input as arrows. */
export function drawResponse(canvas, { field, n, arrows, palette }) {
  const { pen, width: size } = prepare(canvas, canvas.clientWidth);
  const largest = field.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  const scaled = Array.from(field, (value) => value / largest);
  paintField(pen, size, scaled, n, palette);
  pen.strokeStyle = palette.soft;
  pen.lineWidth = 1;
  pen.setLineDash([3, 3]);
  paintContour(pen, size, scaled, n);
  pen.setLineDash([]);

  const length = ([dx, dy]) => Math.hypot(dx, dy);
  const longest = arrows.reduce((a, { gradient }) => Math.max(a, length(gradient)), 0) || 1;
  const reach = (0.9 * size) / Math.sqrt(arrows.length) / longest;
  const place = (x) => ((x / EXTENT + 1) / 2) * size;
  pen.strokeStyle = pen.fillStyle = palette.ink;
  for (const { at, gradient } of arrows) {
    if (!(length(gradient) > 0.04 * longest)) continue;
    const [dx, dy] = [gradient[0] * reach, -gradient[1] * reach];
    const [x, y] = [place(at[0]) - dx / 2, place(-at[1]) - dy / 2];
    const turn = Math.atan2(dy, dx);
    const head = Math.min(4.5, 0.5 * Math.hypot(dx, dy));
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x + dx, y + dy);
    for (const side of [2.6, -2.6]) {
      pen.moveTo(x + dx, y + dy);
      pen.lineTo(x + dx + head * Math.cos(turn + side), y + dy + head * Math.sin(turn + side));
    }
    pen.stroke();
  }
}

/** Signed numbers as bars from a middle line, to the right for plus and to the left for minus. */
export function drawBars(canvas, { values, names, palette }) {
  const { pen, width, height } = prepare(canvas);
  const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
  const gap = Math.min(18, height / values.length);
  const label = gap >= 12 ? 26 : 0;
  const middle = label + (width - label) / 2;
  const start = (height - gap * values.length) / 2;
  values.forEach((value, k) => {
    const y = start + (k + 0.5) * gap;
    const reach = ((width - label) / 2 - 2) * (value / largest);
    pen.fillStyle = value > 0 ? palette.plus : palette.minus;
    const thick = Math.max(1.5, 0.6 * gap);
    pen.fillRect(Math.min(middle, middle + reach), y - thick / 2, Math.abs(reach), thick);
    if (label) {
      pen.fillStyle = palette.soft;
      pen.textAlign = "right";
      pen.fillText(names[k], label - 6, y);
    }
  });
  pen.strokeStyle = palette.soft;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(middle, start);
  pen.lineTo(middle, height - start);
  pen.stroke();
}

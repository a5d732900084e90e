// Boxes are [x0, y0, x1, y1] in pixels of the source frame. Functions here change nothing: they return new boxes.

export const LEAST = 8;

const limit = (value, low, high) => Math.min(Math.max(value, low), high);
const tenth = (value) => Math.round(value * 10) / 10;

export function moved([x0, y0, x1, y1], dx, dy, [width, height]) {
  const x = limit(dx, -x0, width - x1);
  const y = limit(dy, -y0, height - y1);
  return [x0 + x, y0 + y, x1 + x, y1 + y].map(tenth);
}

// `grip` names the sides that move: "n", "se", …
export function resized([x0, y0, x1, y1], grip, dx, dy, [width, height]) {
  if (grip.includes("w")) x0 = limit(x0 + dx, 0, x1 - LEAST);
  if (grip.includes("e")) x1 = limit(x1 + dx, x0 + LEAST, width);
  if (grip.includes("n")) y0 = limit(y0 + dy, 0, y1 - LEAST);
  if (grip.includes("s")) y1 = limit(y1 + dy, y0 + LEAST, height);
  return [x0, y0, x1, y1].map(tenth);
}

export function between(a, b, [width, height]) {
  return [
    limit(Math.min(a.x, b.x), 0, width), limit(Math.min(a.y, b.y), 0, height),
    limit(Math.max(a.x, b.x), 0, width), limit(Math.max(a.y, b.y), 0, height),
  ].map(tenth);
}

export const isLarge = ([x0, y0, x1, y1]) => x1 - x0 >= LEAST && y1 - y0 >= LEAST;

export function iou(a, b) {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  const area = (c) => (c[2] - c[0]) * (c[3] - c[1]);
  return (w * h) / (area(a) + area(b) - w * h);
}

export function holds([x0, y0, x1, y1], box) {
  const x = (box[0] + box[2]) / 2;
  const y = (box[1] + box[3]) / 2;
  return x0 <= x && x < x1 && y0 <= y && y < y1;
}

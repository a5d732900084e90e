// Draws the boxes over the frame, and turns drags into moves, sizes and new boxes.

import { between, isLarge, moved, resized } from "./boxes.js";
import { colorOf } from "./model.js";

const SVG = "http://www.w3.org/2000/svg";
const GRIPS = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const CURSOR = { nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", n: "ns-resize", s: "ns-resize", e: "ew-resize", w: "ew-resize" };

export class Canvas {
  constructor({ stage, picture, svg, onSelect, onChange, onDraw }) {
    Object.assign(this, { stage, picture, svg, onSelect, onChange, onDraw });
    this.tool = null;
    this.drag = null;
    svg.addEventListener("pointerdown", (e) => this.down(e));
    svg.addEventListener("pointermove", (e) => this.move(e));
    svg.addEventListener("pointerup", (e) => this.up(e));
    svg.addEventListener("pointercancel", () => { this.drag = null; this.draw(this.model, this.selected); });
    new ResizeObserver(() => this.fit()).observe(stage);
  }

  use(tool) {
    this.tool = tool;
    this.picture.classList.toggle("drawing", tool !== null);
  }

  // As large as the stage allows, at the frame's aspect ratio.
  fit() {
    if (!this.model) return;
    const [width, height] = this.model.size;
    const scale = Math.min((this.stage.clientWidth - 28) / width, (this.stage.clientHeight - 28) / height);
    this.scale = Math.max(scale, 0.01);
    this.picture.style.width = `${Math.floor(width * this.scale)}px`;
    this.picture.style.height = `${Math.floor(height * this.scale)}px`;
    this.draw(this.model, this.selected);
  }

  // `evidence` are boxes of the audit in the frame that is shown.
  draw(model, selected, evidence = this.evidence) {
    const isNew = model !== this.model;
    Object.assign(this, { model, selected, evidence });
    if (!model) return;
    if (isNew) { this.drag = null; this.fit(); return; }
    this.svg.setAttribute("viewBox", `0 0 ${model.size[0]} ${model.size[1]}`);
    const parts = [];
    for (const one of model.boxes) if (one.panel) parts.push(this.rect(one.panel, "box panel"));
    for (const one of model.boxes) parts.push(...this.shape(one, this.isSelected(one)));
    const chosen = model.boxes.find((one) => this.isSelected(one));
    if (chosen) parts.push(...GRIPS.map((grip) => this.handle(chosen, grip)));
    for (const box of evidence ?? []) parts.push(this.rect(box, "evidence"));
    if (this.drag?.drawn) parts.push(this.rect(this.drag.drawn, "drawn"));
    this.svg.replaceChildren(...parts);
  }

  isSelected(one) { return this.selected?.kind === one.kind && this.selected?.at === one.at; }

  boxOf(one) { return this.drag?.box && this.isSelected(one) ? this.drag.box : one.box; }

  shape(one, isSelected) {
    const box = this.boxOf(one);
    const rect = this.rect(box, `box ${one.kind}${isSelected ? " selected" : ""}`);
    if (one.kind === "person") rect.style.stroke = colorOf(one.id);
    rect.dataset.kind = one.kind;
    rect.dataset.at = one.at;
    return [rect, this.tag(one.kind === "region" ? "film, removed" : `${one.id}`, box, one)];
  }

  rect([x0, y0, x1, y1], name) {
    const rect = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: name })) rect.setAttribute(key, value);
    return rect;
  }

  // Text has the same size on the screen for every size of video.
  tag(text, [x0, y0], one) {
    const px = 1 / this.scale;
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", "tag");
    const height = 20 * px;
    // Above the face, unless another person's panel is there.
    const above = y0 - height - 2 * px;
    const top = one.kind === "region" ? y0 + 8 * px : above >= (one.panel?.[1] ?? 0) ? above : y0 + 3 * px;
    const left = one.kind === "region" ? x0 + 8 * px : top > y0 ? x0 + 3 * px : x0;
    const ground = this.rect([left, top, left + (text.length * 6.6 + 12) * px, top + height], "");
    ground.setAttribute("rx", 4 * px);
    const words = document.createElementNS(SVG, "text");
    words.textContent = text;
    words.setAttribute("x", left + 6 * px);
    words.setAttribute("y", top + height / 2);
    words.setAttribute("font-size", 12 * px);
    if (one.kind === "person") words.style.fill = colorOf(one.id);
    group.append(ground, words);
    return group;
  }

  handle(one, grip) {
    const [x0, y0, x1, y1] = this.boxOf(one);
    const x = grip.includes("w") ? x0 : grip.includes("e") ? x1 : (x0 + x1) / 2;
    const y = grip.includes("n") ? y0 : grip.includes("s") ? y1 : (y0 + y1) / 2;
    const half = 5 / this.scale;
    const rect = this.rect([x - half, y - half, x + half, y + half], "handle");
    rect.dataset.grip = grip;
    rect.style.cursor = CURSOR[grip];
    return rect;
  }

  point(event) {
    const at = this.svg.getBoundingClientRect();
    return { x: (event.clientX - at.left) / this.scale, y: (event.clientY - at.top) / this.scale };
  }

  down(event) {
    if (event.button !== 0 || !this.model) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    const start = this.point(event);
    const { grip, kind, at } = event.target.dataset;
    if (this.tool) { this.drag = { start, tool: this.tool }; return; }
    if (grip) {
      this.drag = { start, grip, from: this.model.boxes.find((one) => this.isSelected(one)).box };
      return;
    }
    if (!kind) { this.onSelect(null); return; }
    const chosen = { kind, at: Number(at) };
    this.onSelect(chosen);
    this.drag = { start, from: this.model.boxes.find((one) => one.kind === kind && one.at === chosen.at).box };
  }

  move(event) {
    if (!this.drag) return;
    const now = this.point(event);
    const [dx, dy] = [now.x - this.drag.start.x, now.y - this.drag.start.y];
    if (this.drag.tool) this.drag.drawn = between(this.drag.start, now, this.model.size);
    else if (this.drag.grip) this.drag.box = resized(this.drag.from, this.drag.grip, dx, dy, this.model.size);
    else if (this.drag.box || Math.hypot(dx, dy) * this.scale > 3) this.drag.box = moved(this.drag.from, dx, dy, this.model.size);
    this.draw(this.model, this.selected);
  }

  up() {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (drag.tool) { if (drag.drawn && isLarge(drag.drawn)) this.onDraw(drag.tool, drag.drawn); }
    else if (drag.box) this.onChange(this.selected, drag.box);
    this.draw(this.model, this.selected);
  }
}

// One video's layout while it is edited. Each change is a new layout; the old ones are kept for undo.

import { holds, iou } from "./boxes.js";

export const COLORS = ["#56b4e9", "#e69f00", "#00c88c", "#f0e442", "#cc79a7", "#ff7850", "#9682ff", "#a0dc64"];
export const colorOf = (person) => COLORS[person % COLORS.length];

export class Model {
  constructor(opened) {
    this.layout = opened.layout;
    this.version = opened.version;
    this.findings = opened.findings;
    this.doubts = opened.audit.filter((a) => a.frame_idx !== null && a.box !== null).sort((a, b) => a.confidence - b.confidence);
    this.fps = opened.fps;
    this.frameCount = opened.frame_count;
    this.title = opened.title;
    this.number = 0;
    this.past = [];
    this.written = this.layout;
    this.isStale = false;
  }

  get video() { return this.layout.video_id; }
  get size() { return this.layout.frame_size; }
  get segment() { return this.layout.segments[this.number]; }
  get isReviewed() { return this.layout.segments.every((s) => s.reviewed); }

  segmentAt(frame) { return Math.max(0, this.layout.segments.findIndex((s) => s.start_frame <= frame && frame < s.end_frame)); }

  // All regions and people of the segment, in Tab order.
  get boxes() {
    const regions = this.segment.trigger_regions.map((r, i) => ({ kind: "region", at: i, box: r.box, sure: r.confidence, source: r.source }));
    const people = this.segment.people.map((p, i) => ({ kind: "person", at: i, id: p.person_id, box: p.box, panel: p.panel, sure: p.confidence, source: p.source }));
    return [...regions, ...people];
  }

  change(segment) {
    this.past.push(this.layout);
    const segments = this.layout.segments.map((s, i) => (i === this.number ? { ...s, ...segment } : s));
    this.layout = { ...this.layout, segments };
  }

  setBox({ kind, at }, box) {
    if (kind === "region") {
      this.change({ trigger_regions: this.segment.trigger_regions.map((r, i) => (i === at ? { box, source: "manual", confidence: 1 } : r)) });
    } else {
      const people = this.segment.people.map((p, i) => {
        if (i !== at) return p;
        const panel = p.panel && holds(p.panel, box) ? p.panel : null;
        return { ...p, box, panel, source: "manual", confidence: 1 };
      });
      this.change({ people });
    }
  }

  add(kind, box) {
    if (kind === "region") {
      this.change({ trigger_regions: [...this.segment.trigger_regions, { box, source: "manual", confidence: 1 }] });
      return { kind, at: this.segment.trigger_regions.length - 1 };
    }
    const person = { person_id: this.idFor(box), box, panel: null, source: "manual", confidence: 1 };
    this.change({ people: [...this.segment.people, person] });
    return { kind, at: this.segment.people.length - 1 };
  }

  // The person at this place in another segment, else a new one.
  idFor(box) {
    const here = new Set(this.segment.people.map((p) => p.person_id));
    const all = this.layout.segments.flatMap((s) => s.people);
    const same = all.find((p) => !here.has(p.person_id) && (iou(p.box, box) > 0.3 || (p.panel && holds(p.panel, box))));
    return same ? same.person_id : 1 + Math.max(-1, ...all.map((p) => p.person_id));
  }

  remove({ kind, at }) {
    const name = kind === "region" ? "trigger_regions" : "people";
    this.change({ [name]: this.segment[name].filter((_, i) => i !== at) });
  }

  accept() {
    this.past.push(this.layout);
    this.layout = { ...this.layout, segments: this.layout.segments.map((s) => ({ ...s, reviewed: true })) };
  }

  undo() {
    if (!this.past.length) return false;
    this.layout = this.past.pop();
    this.number = Math.min(this.number, this.layout.segments.length - 1);
    return true;
  }

  saved(layout, { version, findings }) {
    Object.assign(this, { version, findings, written: layout });
  }

  // Returns to the layout in the file; undone changes stay undone.
  restore() {
    this.layout = this.written;
    const at = this.past.indexOf(this.written);
    if (at >= 0) this.past.length = at;
  }

  // Frames for the strip: evenly over the segment, its reference frame among them.
  moments(count = 10) {
    const { start_frame: start, end_frame: end, reference_frame: reference } = this.segment;
    const many = Math.min(count, end - start);
    const frames = Array.from({ length: many }, (_, i) => Math.round(start + ((end - 1 - start) * (i + 0.5)) / many));
    const nearest = frames.reduce((best, f, i) => (Math.abs(f - reference) < Math.abs(frames[best] - reference) ? i : best), 0);
    frames[nearest] = reference;
    return frames;
  }
}

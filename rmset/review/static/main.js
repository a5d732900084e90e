// The page: what is open, what is selected, what a key does. Whatever changes is saved at once.

import * as api from "./api.js";
import { moved, resized } from "./boxes.js";
import { Canvas } from "./canvas.js";
import { Model } from "./model.js";
import { drawFacts, drawQueue, drawSegments, drawStrip } from "./panes.js";

const $ = (id) => document.getElementById(id);
let videos = [];
let model = null;
let selected = null;
let frame = 0;
let saving = Promise.resolve();

const canvas = new Canvas({
  stage: $("stage"), picture: $("picture"), svg: $("boxes"),
  onSelect: (box) => { selected = box; draw(); },
  onChange: (box, to) => edit(() => model.setBox(box, to)),
  onDraw: (kind, box) => { tool(null); edit(() => { selected = model.add(kind, box); }); },
});

function say(text, isBad = false) {
  $("saved").textContent = text;
  $("saved").classList.toggle("bad", isBad);
  $("saved").title = text;
}

function draw() {
  drawQueue($("queue"), $("progress"), videos, model?.video, (video) => show(video));
  if (!model) return;
  document.title = `${model.title}: layout`;
  $("title").textContent = model.title;
  $("where").textContent = `frame ${frame}, ${(frame / model.fps).toFixed(1)} s`;
  drawSegments($("segments"), model, toSegment);
  drawStrip($("strip"), model, frame, toFrame);
  drawFacts($("facts"), $("findings"), model, selected, (box) => { selected = box; draw(); });
  canvas.draw(model, selected);
}

function toFrame(number) {
  frame = number;
  const next = api.frameAddress(model.video, number, 1600);
  // The old picture stays until the new one is there: nothing flickers, nothing jumps.
  const loader = new Image();
  loader.onload = () => { if (frame === number) $("frame").src = next; };
  loader.src = next;
  draw();
}

function toSegment(number) {
  if (number < 0 || number >= model.layout.segments.length) return;
  model.number = number;
  selected = null;
  toFrame(model.segment.reference_frame);
}

async function show(video) {
  await saving;
  tool(null);
  try {
    model = new Model(await api.open(video));
    selected = null;
    say("");
    // Where most is to be seen; a title is the last thing to look at.
    const counts = model.layout.segments.map((s) => s.trigger_regions.length + s.people.length);
    toSegment(counts.indexOf(Math.max(...counts)));
  } catch (error) { say(error.message, true); }
}

function edit(change) {
  change();
  draw();
  keep();
}

// One save after the other, each made out of what the one before has written.
function keep() {
  const mine = model;
  say("saving…");
  saving = saving.then(async () => {
    try {
      const { version, findings } = await api.save(mine.video, mine.layout, mine.version);
      Object.assign(mine, { version, findings });
      say("saved");
    } catch (error) {
      if (error instanceof api.Conflict) {
        const fresh = new Model(await api.open(mine.video));
        fresh.number = Math.min(mine.number, fresh.layout.segments.length - 1);
        if (model === mine) { model = fresh; selected = null; }
        say("changed elsewhere: shown as it is now", true);
      } else {
        // Nothing was written: what is shown must not look as if it were.
        mine.undo();
        say(error.message, true);
      }
    }
    videos = await api.queue().catch(() => videos);
    draw();
  });
  return saving;
}

function tool(kind) {
  canvas.use(kind);
  for (const name of ["region", "person"]) document.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(kind === name));
  if (kind) say(`drag a ${kind}, or Enter`);
}

function step(by) {
  const at = videos.findIndex((v) => v.video_id === model?.video);
  const next = videos[at + by];
  if (next) show(next.video_id);
}

async function accept() {
  if (!model) return;
  const done = model.video;
  model.accept();
  draw();
  await keep();
  const next = videos.find((v) => !v.reviewed && v.video_id !== done);
  if (next) await show(next.video_id);
  else say("all reviewed");
}

function inTheMiddle() {
  const [width, height] = model.size;
  const share = canvas.tool === "region" ? 0.3 : 0.12;
  const kind = canvas.tool;
  const box = [width * (0.5 - share / 2), height * (0.5 - share / 2), width * (0.5 + share / 2), height * (0.5 + share / 2)];
  tool(null);
  edit(() => { selected = model.add(kind, box.map(Math.round)); });
}

function push(event, dx, dy) {
  const one = model.boxes.find((b) => b.kind === selected.kind && b.at === selected.at);
  const by = event.shiftKey ? 10 : 1;
  const change = event.ctrlKey || event.metaKey ? resized(one.box, "se", dx * by, dy * by, model.size) : moved(one.box, dx * by, dy * by, model.size);
  edit(() => model.setBox(one, change));
}

function cycle(by) {
  const boxes = model.boxes;
  if (!boxes.length) return;
  const at = selected ? boxes.findIndex((b) => b.kind === selected.kind && b.at === selected.at) : by > 0 ? -1 : 0;
  const { kind, at: index } = boxes[(at + by + boxes.length) % boxes.length];
  selected = { kind, at: index };
  draw();
}

function scrub(by) {
  const frames = model.moments();
  const at = frames.indexOf(frame);
  const next = frames[(at < 0 ? 0 : at) + by];
  if (next !== undefined) toFrame(next);
}

const actions = {
  next: () => step(1),
  back: () => step(-1),
  accept,
  region: () => tool(canvas.tool === "region" ? null : "region"),
  person: () => tool(canvas.tool === "person" ? null : "person"),
  remove: () => { if (selected) edit(() => { model.remove(selected); selected = null; }); },
  undo: () => { if (model.undo()) { selected = null; draw(); keep(); } },
  help: () => $("help").showModal(),
};

const keys = {
  n: actions.next, b: actions.back, a: actions.accept, r: actions.region, p: actions.person, u: actions.undo, x: actions.remove,
  Delete: actions.remove, Backspace: actions.remove, "?": actions.help,
  "[": () => toSegment(model.number - 1), "]": () => toSegment(model.number + 1), ",": () => scrub(-1), ".": () => scrub(1),
  Escape: () => { tool(null); selected = null; say(""); draw(); },
};

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  if (!model || $("help").open || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); actions.undo(); return; }
  if (event.key in ARROWS && selected) { event.preventDefault(); push(event, ...ARROWS[event.key]); return; }
  if (event.key === "Tab") { event.preventDefault(); cycle(event.shiftKey ? -1 : 1); return; }
  if (event.key === "Enter" && canvas.tool) { event.preventDefault(); inTheMiddle(); return; }
  if (event.ctrlKey || event.metaKey || !(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => { button.blur(); actions[button.dataset.do](); });
}

videos = await api.queue();
draw();
const first = videos.find((v) => !v.reviewed) ?? videos[0];
if (first) await show(first.video_id);

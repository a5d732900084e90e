// State of the page: open video, selection, keys. Every change is saved at once.

import * as api from "./api.js";
import { moved, resized } from "./boxes.js";
import { Canvas } from "./canvas.js";
import { Model } from "./model.js";
import { drawDoubts, drawFacts, drawQueue, drawSegments, drawStrip } from "./panes.js";

const $ = (id) => document.getElementById(id);
let videos = [];
let model = null;
let selected = null;
let frame = 0;
let doubt = null;
let wanted = null;
let saving = Promise.resolve();
let refusals = 0;
let asked = 0;

// A narrow strip has room for fewer frames.
const narrow = matchMedia("(max-width: 1000px)");
const moments = () => model.moments(narrow.matches ? 6 : 10);
narrow.addEventListener("change", () => draw());

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
  drawStrip($("strip"), model, moments(), frame, toFrame);
  drawFacts($("facts"), $("findings"), model, selected, (box) => { selected = box; draw(); });
  drawDoubts($("doubts"), model, doubt, toDoubt);
  canvas.draw(model, selected, evidence());
}

// Boxes of the audit in the frame that is shown.
function evidence() {
  const seen = model.doubts.flatMap((d) => [[d.frame_idx, d.box], [d.other_frame_idx, d.other_box]]);
  return seen.filter(([number, box]) => number === frame && box).map(([, box]) => box);
}

function toDoubt(one) {
  doubt = one;
  model.number = model.segmentAt(one.frame_idx);
  selected = null;
  toFrame(one.frame_idx);
}

function toFrame(number) {
  frame = number;
  const next = api.frameAddress(model.video, number, 1600);
  // The old picture stays until the new one is there: nothing flickers, nothing jumps. One of another video is dimmed.
  const { video } = model;
  $("frame").classList.toggle("of-another", $("frame").dataset.video !== video);
  const loader = new Image();
  loader.onload = () => {
    if (frame !== number || model.video !== video) return;
    Object.assign($("frame"), { src: next }).dataset.video = video;
    $("frame").classList.remove("of-another");
  };
  loader.onerror = () => { if (frame === number) say(`frame ${number} cannot be shown`, true); };
  loader.src = next;
  draw();
}

function toSegment(number) {
  if (number < 0 || number >= model.layout.segments.length) return;
  model.number = number;
  selected = doubt = null;
  toFrame(model.segment.reference_frame);
}

// Leaving a video waits for its pending save. If the save is refused, the page stays and shows why.
async function show(video) {
  const before = refusals;
  asked += 1;
  const mine = asked;
  wanted = video;
  await saving;
  // A second request, made after a refusal was shown, is followed.
  if (asked !== mine) return;
  if (refusals !== before) wanted = model.video;
  if (wanted !== video) return;
  try {
    const opened = await api.open(video);
    if (asked !== mine || wanted !== video) return;
    say("");
    take(new Model(opened));
  } catch (error) { say(error.message, true); }
}

// Opens segment `number`. Without a number: the audit's first doubt, else the segment with most regions and people, so
// that a title does not come first.
function take(opened, number) {
  tool(null);
  model = opened;
  wanted = model.video;
  if (number === undefined && model.doubts.length && !model.isReviewed) { toDoubt(model.doubts[0]); return; }
  const counts = model.layout.segments.map((s) => s.trigger_regions.length + s.people.length);
  toSegment(Math.min(number ?? counts.indexOf(Math.max(...counts)), counts.length - 1));
}

function edit(change) {
  change();
  draw();
  keep();
}

// Saves run one after the other, each based on the version that the one before has written. The promise resolves to
// whether this one was written.
function keep() {
  const mine = model;
  say("saving…");
  const mySave = saving.then(() => write(mine));
  saving = mySave;
  return mySave;
}

async function write(mine) {
  // An earlier save was refused and the page shows the other version: these changes are dropped, as the message said.
  if (mine.isStale) return false;
  let written = false;
  try {
    const sent = mine.layout;
    mine.saved(sent, await api.save(mine.video, sent, mine.version));
    say("saved");
    written = true;
  } catch (error) {
    refusals += 1;
    await refuse(mine, error).catch((worse) => say(`${mine.title}: ${worse.message}`, true));
  }
  videos = await api.queue().catch(() => videos);
  draw();
  return written;
}

// Handles a refused save: returns to its video and shows the layout as it is in the file.
async function refuse(mine, error) {
  if (error instanceof api.Conflict) {
    mine.isStale = true;
    const fresh = new Model(await api.open(mine.video));
    take(fresh, mine.number);
    say(`${mine.title} was changed elsewhere: your last change is not saved, the layout is shown as it is now`, true);
  } else {
    mine.restore();
    if (model !== mine) take(mine, mine.number);
    selected = null;
    say(`${mine.title}: not saved: ${error.message}`, true);
  }
}

function tool(kind) {
  canvas.use(kind);
  for (const name of ["region", "person"]) document.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(kind === name));
  if (kind) say(`drag a ${kind}, or Enter`);
}

function step(by) {
  const at = videos.findIndex((v) => v.video_id === wanted);
  const next = videos[at + by];
  if (next) show(next.video_id);
}

async function accept() {
  if (!model) return;
  const done = model.video;
  model.accept();
  draw();
  if (!(await keep())) return;
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
  const frames = moments();
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
  // A key that is held down must not accept videos that were not seen.
  if (event.repeat && keys[event.key] === accept) return;
  keys[event.key]();
});

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => { button.blur(); actions[button.dataset.do](); });
}

videos = await api.queue();
draw();
const first = videos.find((v) => !v.reviewed) ?? videos[0];
if (first) await show(first.video_id);

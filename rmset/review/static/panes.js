// Panes around the picture: queue, segments, strip of frames, list of regions and people.

import { frameAddress } from "./api.js";
import { colorOf } from "./model.js";

const percent = (share) => `${Math.round(100 * share)} %`;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function drawQueue(list, progress, videos, open, onOpen) {
  const done = videos.filter((v) => v.reviewed).length;
  progress.textContent = `${done} of ${videos.length} reviewed`;
  list.replaceChildren(
    ...videos.map((v) => {
      const button = element(
        "button", { title: `${v.title}: ${percent(v.confidence)} sure` },
        element("span", { className: `dot ${v.confidence >= 0.8 ? "sure" : ""}` }),
        element("span", { className: "name", textContent: v.title }),
        element("span", { className: "much", textContent: percent(v.confidence) }),
      );
      button.setAttribute("aria-current", String(v.video_id === open));
      button.addEventListener("click", () => { button.blur(); onOpen(v.video_id); });
      return element("li", { className: v.reviewed ? "done" : "" }, button);
    }),
  );
}

export function drawSegments(nav, model, onOpen) {
  nav.replaceChildren(
    ...model.layout.segments.map((s, i) => {
      const seconds = (frame) => (frame / model.fps).toFixed(1);
      const button = element("button", { textContent: `${seconds(s.start_frame)}–${seconds(s.end_frame)} s` });
      button.title = `frames ${s.start_frame}:${s.end_frame}${s.reviewed ? ", reviewed" : ""}`;
      button.setAttribute("aria-current", String(i === model.number));
      button.addEventListener("click", () => { button.blur(); onOpen(i); });
      return button;
    }),
  );
  nav.querySelector("[aria-current=true]").scrollIntoView({ block: "nearest", inline: "nearest" });
}

// Thumbnails are made once for a segment: scrubbing only moves the mark.
let shown = "";

export function drawStrip(strip, model, frames, frame, onOpen) {
  const key = `${model.video} ${frames.join()}`;
  if (key !== shown) {
    shown = key;
    strip.replaceChildren(
      ...frames.map((f) => {
        const image = element("img", { src: frameAddress(model.video, f, 200), alt: `frame ${f}`, loading: "lazy" });
        const button = element("button", {}, image, element("span", { textContent: `${(f / model.fps).toFixed(1)} s` }));
        button.dataset.frame = f;
        button.addEventListener("click", () => { button.blur(); onOpen(f); });
        return button;
      }),
    );
  }
  for (const button of strip.children) button.setAttribute("aria-current", String(Number(button.dataset.frame) === frame));
}

export function drawFacts(list, findings, model, selected, onSelect) {
  const rows = model.boxes.map((one) => {
    const swatch = element("span", { className: "swatch" });
    if (one.kind === "person") swatch.style.borderColor = colorOf(one.id);
    const name = one.kind === "region" ? "film, removed" : `person ${one.id}`;
    const much = one.source === "manual" ? "drawn" : percent(one.sure);
    const row = element("li", {}, swatch, element("span", { textContent: name }), element("span", { className: "much", textContent: much }));
    row.setAttribute("aria-selected", String(selected?.kind === one.kind && selected?.at === one.at));
    row.addEventListener("click", () => onSelect({ kind: one.kind, at: one.at }));
    return row;
  });
  if (!rows.length) rows.push(element("li", { className: "empty", textContent: "nothing" }));
  list.replaceChildren(...rows);
  findings.replaceChildren(...model.findings.map((f) => element("p", { textContent: `${f.problem}: ${f.remedy}` })));
}

const SVG = "http://www.w3.org/2000/svg";

// A face cut out of its frame, with a margin.
function face(model, frame, [x0, y0, x1, y1]) {
  const side = 1.6 * Math.max(x1 - x0, y1 - y0);
  const [width, height] = model.size;
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", `${(x0 + x1 - side) / 2} ${(y0 + y1 - side) / 2} ${side} ${side}`);
  const image = document.createElementNS(SVG, "image");
  for (const [key, value] of Object.entries({ href: frameAddress(model.video, frame, 1600), width, height })) image.setAttribute(key, value);
  const title = document.createElementNS(SVG, "title");
  title.textContent = `frame ${frame}`;
  made.append(title, image);
  return made;
}

// Doubts of the audit, worst first, with faces; a click shows the frame.
export function drawDoubts(list, model, open, onOpen) {
  const rows = model.doubts.map((doubt) => {
    const faces = [[doubt.frame_idx, doubt.box], [doubt.other_frame_idx, doubt.other_box]].filter(([, box]) => box);
    const button = element(
      "button", { title: `${percent(doubt.confidence)} sure` },
      element("strong", { textContent: doubt.question }),
      element("span", { textContent: doubt.detail }),
      element("span", { className: "faces" }, ...faces.map(([frame, box]) => face(model, frame, box))),
    );
    button.setAttribute("aria-pressed", String(doubt === open));
    button.addEventListener("click", () => { button.blur(); onOpen(doubt); });
    return button;
  });
  if (rows.length) rows.unshift(element("h3", { textContent: "Doubts of the audit" }));
  list.replaceChildren(...rows);
}

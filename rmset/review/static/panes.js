// What stands around the picture: queue, segments, strip of frames, list of what is drawn.

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

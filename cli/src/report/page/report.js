"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const get = (id) => document.getElementById(id);
  /** An element with attributes and children; text is never read as HTML. */
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const NS = "http://www.w3.org/2000/svg";
  const draw = (name, attributes = {}, ...children) => {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const known = (value) => value !== null && value !== undefined;
  const digits = (value, count) => (known(value) ? value.toFixed(count) : "–");
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
  const { summary } = data;
  const video = data.count > 1;

  get("about").textContent =
    `${data.input.name} ${data.input.width}×${data.input.height} → ${data.output.name} ${data.output.width}×${data.output.height}` +
    (video ? ` · ${data.count} frames, ${data.seconds.toFixed(1)} s` : " · one picture") +
    (data.reference ? ` · compared with ${data.reference.name}` : "");

  // --- Before and after ------------------------------------------------------------------------------------------------
  /** Two pictures and a slider between them. */
  class Stage {
    constructor(root, name) {
      this.root = root;
      this.under = make("img", { class: "layer", alt: "" });
      this.left = make("img", { class: "layer left", alt: "" });
      this.over = make("div", { class: "layer" });
      this.from = make("span", { class: "tag from" });
      this.slider = make("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, "aria-label": `${name}: how far the left picture reaches` });
      root.append(this.under, this.left, this.over, make("div", { class: "bar" }), this.from, make("span", { class: "tag to" }, "upscaled"), this.slider);
      this.slider.addEventListener("input", () => this.move());
      this.move();
    }
    move() {
      this.root.style.setProperty("--at", `${this.slider.value}%`);
      this.slider.setAttribute("aria-valuetext", `${Math.round(this.slider.value)} percent ${this.from.textContent}`);
    }
    show(left, right, name, width, height, alt) {
      this.root.style.aspectRatio = `${width} / ${height}`;
      this.left.src = left;
      this.under.src = right;
      this.left.alt = `${name}, ${alt}`;
      this.under.alt = `upscaled, ${alt}`;
      this.from.textContent = name;
      this.move();
    }
  }
  const whole = new Stage(get("whole"), "Whole frame");
  const detail = new Stage(get("detail"), "Detail");
  const sides = [["input", "input, bicubic"]];
  if (data.reference) sides.push(["reference", "true frame"]);
  for (const [value, text] of sides) {
    const radio = make("input", { type: "radio", name: "side", value });
    radio.checked = value === "input";
    radio.addEventListener("change", () => show(current));
    get("sides").append(make("label", {}, radio, ` ${text}`));
  }
  if (sides.length < 2) get("sides").hidden = true;
  const anyFaces = data.shown.some((frame) => frame.faces.length);
  get("keys-faces").hidden = !anyFaces;
  for (const id of ["show-mask", "show-boxes"]) {
    get(id).addEventListener("change", () => show(current));
    if (!anyFaces) get(id).parentElement.hidden = true;
  }

  let current = 0;
  const buttons = data.shown.map((frame, index) => {
    const title = video ? `${clock(frame.time)}` : "picture";
    const why = video ? frame.why : `${frame.faces.length} face${frame.faces.length === 1 ? "" : "s"}`;
    const button = make("button", { type: "button", "aria-pressed": "false" },
      make("img", { src: frame.pictures.input, alt: "" }), make("div", {}, title, make("span", {}, why)));
    button.addEventListener("click", () => show(index));
    get("frames").append(button);
    return button;
  });
  if (data.shown.length < 2) get("frames").hidden = true;

  function show(index) {
    current = index;
    const frame = data.shown[index];
    if (!frame) return;
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
    const side = document.querySelector("input[name=side]:checked").value;
    const name = sides.find(([value]) => value === side)[1];
    const { pictures } = frame;
    const alt = `frame ${frame.index}`;
    whole.show(pictures[side], pictures.output, side === "input" ? "input" : name, data.output.width, data.output.height, alt);
    const place = pictures.detail.place;
    detail.show(pictures.detail[side], pictures.detail.output, name, place[2], place[3], `detail of ${alt}`);
    detail.root.style.width = `min(100%, ${place[2]}px)`;
    get("detail-place").textContent = `${place[2]}×${place[3]} pixels at ${place[0]}, ${place[1]}, pixel by pixel`;
    whole.over.replaceChildren();
    if (get("show-mask").checked && pictures.mask) whole.over.append(make("img", { src: pictures.mask, class: "layer", alt: "face mask", style: "opacity: 0.6" }));
    if (get("show-boxes").checked) whole.over.append(boxes(frame));
    const parts = [];
    if (video) parts.push(`Frame ${frame.index} at ${clock(frame.time)}: ${frame.why}`);
    parts.push(frame.faces.length ? frame.faces.map((face) => `face ${face.id}: ${Math.round(face.bbox[3] - face.bbox[1])} px high in the input`).join(", ") : "no face");
    if (known(frame.warping)) parts.push(`E*warp ${digits(frame.warping, 3)}`);
    if (known(frame.psnr)) parts.push(`PSNR ${digits(frame.psnr, 2)} dB`);
    get("frame-text").textContent = `${parts.join(" · ")}.`;
    mark(frame.time);
  }
  function boxes(frame) {
    const svg = draw("svg", { viewBox: `0 0 ${data.input.width} ${data.input.height}`, class: "layer" });
    const unit = data.input.width / 100;
    for (const { id, bbox, held } of frame.faces) {
      const [x, y, right, bottom] = bbox;
      svg.append(draw("rect", { x, y, width: right - x, height: bottom - y, fill: "none", stroke: "#fff", "stroke-width": 2, "vector-effect": "non-scaling-stroke", "stroke-dasharray": held ? "5 4" : "none" }));
      const label = draw("text", { x, y: Math.max(y - unit * 0.7, unit * 3), fill: "#fff", stroke: "#000", "paint-order": "stroke", "stroke-width": unit * 0.5, "font-size": unit * 3 });
      label.textContent = id;
      svg.append(label);
    }
    return svg;
  }

  // --- Numbers ---------------------------------------------------------------------------------------------------------
  const card = (name, value, unit, text, beside) => {
    if (!known(value)) return;
    const element = make("div", { class: "card" }, make("h3", {}, name), make("div", { class: "value" }, value, " ", make("small", {}, unit)), make("p", {}, text));
    if (beside) element.append(make("p", { class: "beside" }, beside));
    get("numbers").append(element);
  };
  const number = (value, count) => (known(value) ? value.toFixed(count) : null);
  const input = (value, count) => (known(value) ? `the input itself: ${value.toFixed(count)}` : "");
  const picked = summary.samples === data.count ? "" : `, ${summary.samples} frames`;
  if (data.reference) card("PSNR", known(summary.psnr) ? number(summary.psnr, 2) : "∞", "dB", "luma, against the true frames");
  card("SSIM", number(summary.ssim, 4), "", `luma, at most 1${picked}`);
  card("SSIMULACRA 2", number(summary.ssimulacra2, 1), "", `100: the same, 90: nearly nobody sees a difference${picked}`);
  card("VMAF", number(summary.vmaf, 1), "", "0 to 100");
  card("Consistency", known(summary.consistency) ? number(summary.consistency, 2) : "∞", "dB", "PSNR of the result, made small again, against the input");
  card("Warping error E*warp", number(summary.warping_error, 3), "", "flicker: less is steadier", input(summary.input_warping_error, 3));
  card("Change of the mask", known(summary.mask_change) ? number(summary.mask_change * 100, 2) : null, "%", "of the face mask, from frame to frame");
  card("Embedding distance", number(summary.embedding_distance, 4), "", "of a face in neighbouring frames: less is the same person", input(summary.input_embedding_distance, 4));
  card("Faces", data.detector ? String(data.tracks.length) : null, data.tracks.length === 1 ? "track" : "tracks", data.detector ? `found by ${data.detector}` : "");

  // --- Over time -------------------------------------------------------------------------------------------------------
  const line = data.timeline;
  const end = Math.max(data.seconds, 1e-6);
  const W = 1000;
  const at = (time) => (time / end) * W;
  const timeline = get("timeline");
  let cursor = 0;
  const needle = make("div", { class: "cursor" });
  const cuts = (height) => line.cuts.map((time) => draw("line", { class: "cut", x1: at(time), x2: at(time), y1: 0, y2: height }));
  function curve(name, unit, curves) {
    const all = curves.flatMap(([values]) => values).filter(known);
    if (!all.length) return;
    const most = Math.max(...all);
    const top = Math.max(most, 1e-9);
    const svg = draw("svg", { viewBox: `0 0 ${W} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...cuts(100));
    for (const [values, kind] of curves) {
      let path = "", pen = false;
      values.forEach((value, index) => {
        if (known(value)) path += `${pen ? "L" : "M"}${at(line.time[index]).toFixed(1)} ${(97 - (94 * value) / top).toFixed(1)}`;
        pen = known(value);
      });
      svg.append(draw("path", { d: path, class: kind }));
    }
    const legend = make("span", {}, name);
    if (curves.length > 1) legend.append(": ", make("span", { class: "out-text" }, "upscaled"), ", ", make("span", { class: "in-text" }, "input"));
    timeline.append(make("div", { class: "name" }, legend, make("span", {}, most === 0 ? "0 throughout" : `up to ${top < 10 ? top.toPrecision(2) : top.toFixed(0)}${unit}`)), svg);
  }
  function build() {
    const rows = line.tracks.slice(0, 24);
    if (rows.length) timeline.append(make("div", { class: "name" }, make("span", {}, rows.length < line.tracks.length ? `Faces, the first ${rows.length} of ${line.tracks.length}` : "Faces"), make("span", {}, `${line.tracks.length}`)));
    for (const [id, parts] of rows) {
      const svg = draw("svg", { class: rows.length > 8 ? "few" : "thin", viewBox: `0 0 ${W} 10`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...cuts(10));
      for (const [from, to] of parts) svg.append(draw("rect", { x: at(from), y: 1.5, width: Math.max(at(to) - at(from), 1.5), height: 7 }, Object.assign(draw("title"), { textContent: `face ${id}` })));
      timeline.append(svg);
    }
    curve("E*warp", "", [[line.input_warping, "in"], [line.warping, "out"]]);
    curve("Change of the input", " levels", [[line.change, "in"]]);
    curve("Change of the mask", " of 1", [[line.mask_change, "out"]]);
    const svg = draw("svg", { class: "few", viewBox: `0 0 ${W} 10`, preserveAspectRatio: "none", "aria-hidden": "true" });
    for (const frame of data.shown) svg.append(draw("line", { class: "shown", x1: at(frame.time), x2: at(frame.time), y1: 0, y2: 10 }));
    timeline.append(svg, make("div", { class: "scale" }, make("span", {}, clock(0)), make("span", {}, clock(end / 2)), make("span", {}, clock(end))), needle);
    timeline.setAttribute("aria-valuemax", end.toFixed(2));
  }
  function point(time) {
    let best = 0;
    line.time.forEach((value, index) => {
      if (Math.abs(value - time) < Math.abs(line.time[best] - time)) best = index;
    });
    return best;
  }
  function mark(time) {
    if (!video) return;
    cursor = point(time);
    const shownTime = line.time[cursor];
    needle.style.left = `${(shownTime / end) * 100}%`;
    const parts = [`${clock(shownTime)}`, `${line.faces[cursor]} face${line.faces[cursor] === 1 ? "" : "s"}`];
    if (known(line.warping[cursor])) parts.push(`E*warp ${digits(line.warping[cursor], 3)} (input ${digits(line.input_warping[cursor], 3)})`);
    if (known(line.change[cursor])) parts.push(`change of the input ${digits(line.change[cursor], 2)} levels`);
    if (known(line.mask_change[cursor])) parts.push(`of the mask ${digits(line.mask_change[cursor] * 100, 1)} %`);
    get("readout").textContent = parts.join(" · ");
    timeline.setAttribute("aria-valuenow", shownTime.toFixed(2));
    timeline.setAttribute("aria-valuetext", parts.join(", "));
  }
  if (video) {
    build();
    const follow = (event) => {
      const box = timeline.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * end;
    };
    timeline.addEventListener("pointermove", (event) => mark(follow(event)));
    timeline.addEventListener("click", (event) => {
      const time = follow(event);
      const near = data.shown.reduce((best, frame, index) => (Math.abs(frame.time - time) < Math.abs(data.shown[best].time - time) ? index : best), 0);
      if (Math.abs(data.shown[near].time - time) < end / 50) show(near);
    });
    timeline.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity };
      if (!(event.key in steps)) return;
      event.preventDefault();
      mark(line.time[Math.min(Math.max(cursor + steps[event.key], 0), line.time.length - 1)]);
    });
  } else {
    get("time").hidden = true;
  }

  // --- Faces -----------------------------------------------------------------------------------------------------------
  if (data.tracks.length && video) {
    const heads = ["Face", "from", "to", "frames", "height in the input"];
    const embedded = data.tracks.some((track) => known(track.embedding_distance));
    if (embedded) heads.push("embedding distance", "worst", "of the input");
    const table = get("tracks-table");
    table.append(make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))));
    const body = make("tbody");
    for (const track of data.tracks.slice(0, 200)) {
      const cells = [track.id, `frame ${track.first}`, `frame ${track.last}`, track.frames, `${Math.round(track.height)} px`];
      if (embedded) cells.push(digits(track.embedding_distance, 4), digits(track.worst_embedding_distance, 4), digits(track.input_embedding_distance, 4));
      body.append(make("tr", {}, ...cells.map((cell) => make("td", {}, String(cell)))));
    }
    table.append(body);
  } else {
    get("tracks").hidden = true;
  }

  // --- How -------------------------------------------------------------------------------------------------------------
  const how = [
    ["Consistency", "PSNR of luma: the result made four times smaller (bicubic, antialiased) against the input. Low where colours or brightness wander or things are invented."],
  ];
  if (video) {
    how.push(["E*warp, times 1000", "Mean squared difference of luma (0 to 1) between a frame and the next, motion taken out: blocks of 8×8 matched in the input to a quarter of a pixel, pixels that are hidden in the other frame left out, cuts left out. The input's own E*warp stands beside: noise and movement that cannot be followed are in both."]);
    how.push(["Change of the mask", "Sum of the changes of w from frame to frame over the sum of the larger of both."]);
    how.push(["Embedding distance", "One less the cosine of the embeddings of a face in neighbouring frames, aligned by its points; the input's own beside."]);
  }
  if (data.reference) how.push(["PSNR, SSIM", "Of luma, 4 pixels of the border left out; SSIM with a Gaussian window of 11×11 and sigma 1.5. PSNR is that of the mean error of all frames."]);
  if (!video) get("how").append();
  for (const [term, text] of how) get("how").append(make("dt", {}, term), make("dd", {}, text));
  if (data.left_out.length) get("left-out").append(make("h3", {}, "Left out"), make("ul", {}, ...data.left_out.map((text) => make("li", {}, text))));
  get("made").textContent = `Made by srfusion ${data.version}. Everything is on this page; it fetches nothing.`;

  // --- Keys ------------------------------------------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const count = data.shown.length;
    const key = event.key.toLowerCase();
    const toggle = (id) => {
      get(id).checked = !get(id).checked;
      show(current);
    };
    if (key === "n" && count) show((current + 1) % count);
    else if (key === "p" && count) show((current + count - 1) % count);
    else if (key === "m" && anyFaces) toggle("show-mask");
    else if (key === "f" && anyFaces) toggle("show-boxes");
    else return;
    event.preventDefault();
  });
  const first = data.shown.findIndex((frame) => frame.why === "largest face");
  show(Math.max(first, 0));
})();

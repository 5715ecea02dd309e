"use strict";

const byId = (id) => document.getElementById(id);
const cards = new Map();
const STATES = { live: "live", connecting: "connecting", lost: "no picture", failed: "upscaler failed" };

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

/* Live */

/** Draws the stream's picture: left of the line its left half, right of it its right half. */
function paint(card) {
  const { canvas, stream, slider, stage } = card;
  card.frame = requestAnimationFrame(() => paint(card));
  const width = stream.naturalWidth / 2;
  const height = stream.naturalHeight;
  if (!width) return;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    // As large as there is room for, whatever its shape.
    canvas.style.width = `min(calc(100vw - 64px), calc(75vh * ${width / height}))`;
  }
  const context = canvas.getContext("2d");
  const line = Math.round((width * slider.value) / 1000);
  if (line > 0) context.drawImage(stream, 0, 0, line, height, 0, 0, line, height);
  if (line < width) context.drawImage(stream, width + line, 0, width - line, height, line, 0, width - line, height);
  context.fillStyle = "#000";
  context.fillRect(line - 2, 0, 4, height);
  context.fillStyle = "#fff";
  context.fillRect(line - 1, 0, 2, height);
  stage.classList.add("showing");
}

function stop(card) {
  cancelAnimationFrame(card.frame);
  card.stream.removeAttribute("src");
  card.stage.classList.remove("showing");
}

function start(card) {
  stop(card);
  const mask = card.mask.checked ? "?mask=1" : "";
  card.stream.src = `/cameras/${encodeURIComponent(card.name)}/preview.mjpg${mask}`;
  paint(card);
}

function makeCard(name) {
  const node = byId("camera").content.firstElementChild.cloneNode(true);
  const find = (selector) => node.querySelector(selector);
  const card = {
    name, node, state: find(".state"), reason: find(".reason"), watch: find(".watch"), preview: find(".preview"), stage: find(".stage"),
    stream: find(".stream"), canvas: find("canvas"), slider: find(".slider"), mask: find(".mask"), facts: find("dl"), frame: 0,
  };
  find(".name").textContent = name;
  card.watch.setAttribute("aria-label", `Watch ${name}`);
  card.watch.addEventListener("click", () => {
    const open = card.preview.hidden;
    card.preview.hidden = !open;
    card.watch.setAttribute("aria-expanded", open);
    card.watch.textContent = open ? "Close" : "Watch";
    card.watch.setAttribute("aria-label", `${open ? "Close" : "Watch"} ${name}`);
    if (open) start(card);
    else stop(card);
  });
  card.mask.addEventListener("change", () => start(card));
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = card.canvas.getBoundingClientRect();
    card.slider.value = Math.round(((event.clientX - box.left) / box.width) * 1000);
  };
  card.canvas.addEventListener("pointerdown", drag);
  card.canvas.addEventListener("pointermove", drag);
  return card;
}

function facts(card, camera) {
  const size = (sides) => (sides ? `${sides[0]} × ${sides[1]}` : "–");
  const rows = [
    ["from the camera", `${size(camera.input)}, ${camera.fps.toFixed(1)}/s`],
    ["drawn", `${size(camera.output)}, ${camera.process_fps.toFixed(1)}/s`],
    ["faces", camera.objects],
    ["last picture", camera.last_frame ? clock(camera.last_frame) : "–"],
    ["connected anew", `${camera.reconnects} times`],
    ["source", camera.source],
  ];
  if (camera.rtsp) rows.push(["RTSP path", camera.rtsp]);
  if (card.facts.childElementCount !== rows.length) {
    card.facts.replaceChildren(...rows.map(() => {
      const row = document.createElement("div");
      row.append(document.createElement("dt"), document.createElement("dd"));
      return row;
    }));
  }
  rows.forEach(([name, value], i) => {
    const row = card.facts.children[i];
    row.firstElementChild.textContent = name;
    row.lastElementChild.textContent = value;
  });
}

function show(cameras) {
  const names = new Set(cameras.map((camera) => camera.name));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    stop(card);
    card.node.remove();
    cards.delete(name);
  }
  for (const camera of cameras) {
    if (!cards.has(camera.name)) {
      const card = makeCard(camera.name);
      cards.set(camera.name, card);
      byId("cameras").append(card.node);
    }
    const card = cards.get(camera.name);
    card.state.textContent = STATES[camera.state];
    card.state.className = `state ${camera.state}`;
    const next = camera.next_attempt !== null && camera.state === "lost" ? ` Next attempt in ${camera.next_attempt} s.` : "";
    card.reason.textContent = camera.state === "live" ? "" : (camera.reason ? `${camera.reason}.` : "") + next;
    facts(card, camera);
  }
  const select = byId("search").elements.camera;
  const known = [...select.options].slice(1).map((option) => option.value);
  for (const name of names) if (!known.includes(name)) select.add(new Option(name));
}

async function ask(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function look() {
  try {
    show(await ask("/cameras"));
    byId("connection").hidden = true;
  } catch {
    byId("connection").hidden = false;
  }
  setTimeout(look, 2000);
}

/* Faces */

let oldest = null;

function makeFace(face) {
  const node = byId("face").content.firstElementChild.cloneNode(true);
  const find = (selector) => node.querySelector(selector);
  find(".input").src = `/gallery/${face.id}/input.jpg`;
  find(".drawn").src = `/gallery/${face.id}/drawn.jpg`;
  const time = new Date(face.time);
  find(".camera").textContent = face.camera;
  find("time").textContent = time.toLocaleString();
  find("time").dateTime = time.toISOString();
  find(".about").textContent = `track ${face.track}, ${Math.round(face.height)} px high, score ${face.score.toFixed(2)}`;
  return node;
}

async function search(more) {
  const form = byId("search").elements;
  const query = new URLSearchParams();
  if (form.camera.value) query.set("camera", form.camera.value);
  for (const name of ["from", "to"]) {
    const time = form[name].value && new Date(form[name].value).getTime();
    // The whole of the last second belongs to it.
    if (time) query.set(name, name === "to" ? time + 999 : time);
  }
  const limit = 48;
  query.set("limit", limit);
  if (more && oldest !== null) query.set("before", oldest);
  let answer;
  try {
    answer = await ask(`/gallery?${query}`);
  } catch (error) {
    byId("count").textContent = error.message;
    return;
  }
  byId("gallery-off").hidden = answer.enabled;
  byId("gallery-on").hidden = !answer.enabled;
  const list = byId("faces");
  if (!more) list.replaceChildren();
  list.append(...answer.faces.map(makeFace));
  if (answer.faces.length) oldest = answer.faces.at(-1).id;
  byId("older").hidden = answer.faces.length < limit;
  const count = list.childElementCount;
  byId("count").textContent = count ? `${count} shown, the latest first` : "No face is in the gallery for this.";
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  oldest = null;
  search(false);
});
byId("older").addEventListener("click", () => search(true));
look();
search(false);

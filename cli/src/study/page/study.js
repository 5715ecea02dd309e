"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  function fail(text) {
    get("error").textContent = text;
    get("error").hidden = !text;
  }
  function open(id) {
    for (const other of ["start", "question", "end"]) get(other).hidden = other !== id;
    window.scrollTo(0, 0);
  }
  /** An answer of the server; throws what it says is wrong. */
  async function ask(path, body) {
    let response;
    try {
      response = await fetch(path, body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    } catch {
      throw new Error("The study's program does not answer. Your marks so far are kept; load this page again later.");
    }
    if (response.status === 204) return null;
    const data = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(data.error || `The study's program answered ${response.status}.`);
    return data;
  }

  // --- One question ----------------------------------------------------------------------------------------------------
  let token = "";
  let question = null;
  let versions = [];
  let current = 0;
  let began = 0;
  let ticking = 0;
  let sending = false;

  const marks = () => versions.map((version) => Number(version.box.querySelector("input:checked")?.value ?? 0));

  /** A picture under its name. */
  function version(name, text, address, kind) {
    const picture = make("img", { src: address, alt: `version ${name}`, class: kind === "low" ? "low" : "" });
    const look = make("button", { type: "button", class: "look", title: "look closely", "aria-label": `look closely at ${name}` }, picture);
    const box = make("section", { class: "version", "aria-label": `version ${name}`, tabindex: "-1" }, make("div", { class: "head" }, make("b", {}, name), make("span", { class: "soft" }, text)), look);
    return { name, box, picture, look, kind };
  }
  function choose(index, focus) {
    current = index;
    versions.forEach((version, at) => version.box.classList.toggle("current", at === index));
    if (focus && versions[index]) {
      versions[index].box.focus({ preventScroll: true });
      versions[index].box.scrollIntoView({ block: "nearest" });
    }
  }
  function update() {
    const missing = marks().filter((mark) => mark === 0).length;
    get("next").setAttribute("aria-disabled", String(missing > 0));
    get("hint").textContent = missing ? `${plural(missing, "version")} without a mark` : "All have a mark.";
  }
  /** Gives a mark and goes on: to the next version without one; where one is changed, to the version after it. */
  function give(index, mark) {
    const again = marks()[index] !== 0;
    versions[index].box.querySelector(`input[value="${mark}"]`).checked = true;
    fail("");
    update();
    const given = marks();
    const after = given.findIndex((value, at) => value === 0 && at > index);
    let next = after >= 0 ? after : given.indexOf(0);
    if (next < 0 && again && index + 1 < versions.length) next = index + 1;
    if (next >= 0) choose(next, true);
    else get("next").focus();
  }
  function tick() {
    const left = Math.max(question.seconds - (performance.now() - began) / 1000, 0);
    get("left").style.width = `${(100 * left) / question.seconds}%`;
    get("left-text").textContent = left > 0 ? `${Math.ceil(left)} s` : "Time is over: give the marks from memory.";
    get("pictures").classList.toggle("over", left <= 0);
    if (left <= 0) {
      clearInterval(ticking);
      if (get("viewer").open) get("viewer").close();
    }
  }
  let anchors = [];
  async function show() {
    fail("");
    question = await ask(`sessions/${token}`);
    document.title = question.title;
    clearInterval(ticking);
    if (question.position === null) {
      open("end");
      document.querySelector("#end h1").focus();
      return;
    }
    const at = (place) => `sessions/${token}/pictures/${question.position}/${place}`;
    const low = version("Coarse", "is worth 1", at("low"), "low");
    const truth = version("True", "is worth 5", at("true"), "true");
    anchors = [low, truth];
    for (const anchor of anchors) anchor.box.classList.add("anchor");
    versions = [];
    for (let place = 0; place < question.places; place += 1) {
      const name = letters[place] ?? String(place + 1);
      const shown = version(name, "", at(place), "version");
      const group = make("div", { class: "marks", role: "radiogroup", "aria-label": `Mark of ${name}` });
      for (let mark = 1; mark <= 5; mark += 1) {
        const input = make("input", { type: "radio", name: `mark-${place}`, value: mark, "aria-label": `${mark}` });
        input.addEventListener("change", () => {
          fail("");
          update();
        });
        group.append(make("label", {}, input, String(mark)));
      }
      shown.box.append(group);
      shown.box.addEventListener("focusin", () => choose(place, false));
      versions.push(shown);
    }
    const all = [...anchors, ...versions];
    for (const shown of all) shown.look.addEventListener("click", () => view(all.indexOf(shown)));
    get("progress").textContent = `Question ${question.position + 1} of ${question.count}`;
    get("pictures").classList.remove("over");
    get("pictures").replaceChildren(...all.map((shown) => shown.box));
    get("left").style.width = "100%";
    get("left-text").textContent = "loading";
    update();
    open("question");
    const loaded = await Promise.allSettled(all.map((shown) => shown.picture.decode()));
    if (loaded.some((result) => result.status === "rejected")) {
      throw new Error("A picture could not be loaded. Load this page again; if that does not help, tell who runs the study.");
    }
    // As large as the true one and never larger than it is: pixels lie on pixels wherever there is room.
    for (const shown of all) shown.picture.style.maxWidth = `${truth.picture.naturalWidth}px`;
    low.picture.style.aspectRatio = `${truth.picture.naturalWidth} / ${truth.picture.naturalHeight}`;
    began = performance.now();
    tick();
    ticking = setInterval(tick, 200);
    choose(0, true);
    get("question").dataset.ready = String(question.position);
  }
  async function send() {
    if (sending) return;
    const given = marks();
    if (given.includes(0)) {
      choose(given.indexOf(0), true);
      fail("Give every version a mark from 1 to 5.");
      return;
    }
    sending = true;
    try {
      await ask(`sessions/${token}/answers/${question.position}`, { marks: given, milliseconds: Math.round(performance.now() - began) });
      await show();
    } catch (error) {
      fail(error.message);
      choose(0, true);
    } finally {
      sending = false;
    }
  }

  // --- Pixel by pixel --------------------------------------------------------------------------------------------------
  let viewed = 0;
  function turn(index) {
    const all = [...anchors, ...versions];
    viewed = (index + all.length) % all.length;
    const shown = all[viewed];
    const truth = anchors[1].picture;
    const picture = get("viewer-picture");
    picture.src = shown.picture.src;
    picture.className = shown.kind === "low" ? "low" : "";
    picture.alt = `version ${shown.name}, pixel by pixel`;
    picture.style.width = `${truth.naturalWidth}px`;
    picture.style.height = `${truth.naturalHeight}px`;
    get("viewer-name").textContent = shown.name;
  }
  function view(index) {
    if (get("pictures").classList.contains("over")) return;
    turn(index);
    get("viewer").showModal();
    get("viewer-scroll").focus();
  }
  get("close").addEventListener("click", () => get("viewer").close());
  get("viewer").addEventListener("close", () => choose(current, true));

  // --- Keys ------------------------------------------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || get("question").hidden || sending) return;
    const key = event.key.toLowerCase();
    const viewer = get("viewer").open;
    const count = versions.length;
    if (viewer && (key === "arrowright" || key === "arrowleft")) turn(viewed + (key === "arrowright" ? 1 : -1));
    else if (viewer && key === "z") get("viewer").close();
    else if (viewer) return;
    else if (/^[1-5]$/.test(key)) give(current, Number(key));
    else if (key === "arrowright" || key === "arrowdown") choose((current + 1) % count, true);
    else if (key === "arrowleft" || key === "arrowup") choose((current + count - 1) % count, true);
    else if (key === "z") view(anchors.length + current);
    else if (key === "enter" && !event.target.closest("button")) send();
    else return;
    event.preventDefault();
  });
  get("next").addEventListener("click", send);

  // --- Begin, or go on -------------------------------------------------------------------------------------------------
  get("begin").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      token = (await ask("sessions", { name: get("name").value })).token;
      history.pushState(null, "", `#${token}`);
      await show();
    } catch (error) {
      fail(error.message);
    }
  });
  async function load() {
    token = location.hash.slice(1);
    try {
      if (/^[0-9a-f]{32}$/.test(token)) {
        await show();
        return;
      }
      const about = await ask("about");
      document.title = about.title;
      get("title").textContent = about.title;
      get("questions").textContent = plural(about.questions, "picture");
      get("seconds").textContent = plural(about.seconds, "second");
      open("start");
      get("name").focus();
    } catch (error) {
      fail(error.message);
      open("start");
    }
  }
  window.addEventListener("popstate", load);
  load();
})();

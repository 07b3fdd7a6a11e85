// Makes the pages quicker where scripts run: each of them works without.
"use strict";

const settleMs = 150;
const pollMs = 1000;
let latest = 0;
let latestPhoto = 0;
let isLeaving = false;

// Asks for a page of ours and puts a part of it in the place of the same part here, unless a later
// question is under way by then.
async function replacePart(id, address, options) {
  const mine = ++latest;
  const old = document.getElementById(id);
  old.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, options);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const isLatest = mine === latest;
    if (isLatest) {
      const fresh = page.getElementById(id) || page.getElementById("main");
      document.getElementById(id).replaceChildren(...fresh.childNodes);
    }
    return { url: answer.url, page, isLatest };
  } catch {
    if (mine === latest) location.reload(); // the browser says what is wrong with the connection
    return null;
  } finally {
    document.getElementById(id)?.setAttribute("aria-busy", "false");
  }
}

function addressOf(form, leftOut = []) {
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const isAsked = value && name !== "token" && !leftOut.includes(name);
    if (typeof value === "string" && isAsked) values.set(name, value);
  }
  return new URL(form.action).pathname + "?" + values;
}

async function searchAgain(form) {
  const address = addressOf(form);
  const got = await replacePart("results", address);
  if (got?.isLatest) history.replaceState(null, "", address);
}

// Says what is wrong in the place of the results; no answer that is under way hides it.
function say(sentence) {
  latest += 1;
  const said = document.createElement("p");
  said.className = "trouble";
  said.setAttribute("role", "alert");
  said.textContent = sentence;
  document.getElementById("results").replaceChildren(said);
}

// The photo is sent once; after that the address names it by its content.
async function sendPhoto(form, file) {
  const mine = ++latestPhoto;
  for (const id of ["file", "camera"]) document.getElementById(id).value = ""; // the same may be chosen again
  if (file.size > Number(form.dataset.limitBytes)) {
    say("That photo is too large: choose a smaller one.");
    return;
  }
  const body = new FormData(form);
  body.set("file", file);
  body.delete("offers");
  const asked = addressOf(form, ["photo"]);
  const got = await replacePart("results", form.action, { method: "POST", body });
  if (mine !== latestPhoto) return; // another one was chosen meanwhile
  const photo = got?.page.querySelector("#search [name=photo]")?.value;
  if (photo) {
    form.elements.photo.value = photo;
    document.getElementById("preview").replaceChildren(...got.page.getElementById("preview").childNodes);
    // What was typed while it was sent is asked for with it.
    if (!got.isLatest || addressOf(form, ["photo"]) !== asked) return searchAgain(form);
  }
  if (got?.isLatest) history.replaceState(null, "", got.url);
  else say(got?.page.querySelector("[role=alert]")?.textContent || "That photo could not be sent: choose it again.");
}

function setUpSearch(form) {
  for (const each of form.querySelectorAll(".camera")) each.hidden = false;
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => searchAgain(form), settleMs);
  };
  form.addEventListener("input", (event) => {
    if (event.target.type === "file") return;
    // A slider that is moved says what it is for.
    if (event.target.id === "weight") form.elements.own.checked = true;
    if (event.target.dataset.use) form.elements[event.target.dataset.use].value = "weighted";
    if (form.elements.photo.value || form.elements.title.value.trim()) later();
  });
  for (const id of ["file", "camera"]) {
    document.getElementById(id).addEventListener("change", (event) => {
      if (event.target.files[0]) sendPhoto(form, event.target.files[0]);
    });
  }
  form.addEventListener("submit", (event) => {
    if (event.submitter?.hasAttribute("formaction")) return; // leads to a page of its own
    event.preventDefault();
    clearTimeout(timer);
    searchAgain(form);
  });
  document.getElementById("preview").addEventListener("click", (event) => {
    // What was typed since the photo came stays.
    if (event.target.matches("a")) event.target.href = addressOf(form, ["photo"]);
  });
  const drop = document.getElementById("drop");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  document.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    if (event.dataTransfer.files[0]) sendPhoto(form, event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
    if (file) sendPhoto(form, file);
  });
}

// j and k go through the results; other keys press what carries them.
function step(by) {
  const stops = [...document.querySelectorAll("[data-step]")];
  const at = stops.indexOf(document.activeElement);
  stops[Math.max(0, Math.min(stops.length - 1, at + by))]?.focus();
}

// Who speaks to the computer, or hits keys by chance, can switch them off (WCAG 2.1.4).
function setUpShortcuts() {
  shortcuts.parentElement.hidden = false;
  shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
  shortcuts.addEventListener("change", () =>
    localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off"),
  );
}

function pressed(event) {
  if (!shortcuts.checked) return;
  const isTyping = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const wanted = document.querySelector(`[data-focus="${CSS.escape(event.key)}"]`);
  const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else if (wanted) wanted.focus();
  else if (button && !isLeaving && !event.repeat) {
    isLeaving = true; // a second press must not answer what is not seen yet
    button.click();
  }
  else return;
  event.preventDefault();
}

// Asks again how far a piece of work is; when it has ended, the page has something new to show.
function poll() {
  const part = document.getElementById("polled");
  if (!part) return;
  setTimeout(async () => {
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("polled");
      if (!fresh) return location.reload();
      part.replaceChildren(...fresh.childNodes);
    } catch {
      // The server is away for now: asked again below.
    }
    poll();
  }, pollMs);
}

const shortcuts = document.getElementById("shortcuts");
setUpShortcuts();
const form = document.getElementById("search");
if (form) setUpSearch(form);
document.addEventListener("keydown", pressed);
window.addEventListener("pageshow", () => (isLeaving = false));
poll();

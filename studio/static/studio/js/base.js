/* What every page does by itself: one click submits once, what opens also closes, errors are said in words.
   Everything is delegated from the document, so that fragments swapped in later need no hookup. */

const SENTENCES = {
  0: "The studio cannot be reached. Nothing was changed; check the connection and try again.",
  403: "This is not allowed for your role, or this page has expired. Reload it and try again.",
  404: "This is no longer there. Reload the page to see what is.",
  409: "This has changed meanwhile. Reload the page to see its state.",
  413: "This is too large to be taken. Nothing was stored.",
  429: "That was too often in a short time. Wait a minute and try again.",
  503: "The studio is busy. Nothing was changed; try again in a moment.",
};
const OUR_FAULT = "Something went wrong on our side. Nothing was charged; try again.";
const LASTS = { success: 6000, info: 6000, debug: 6000 };

/** Say something at the edge of the page; errors and warnings stay until they are dismissed. */
export function toast(text, level = "info") {
  const shelf = document.getElementById("toasts");
  const made = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  made.classList.add(level);
  made.querySelector("p").textContent = text;
  for (const old of shelf.children) if (old.querySelector("p").textContent === text) old.remove();
  shelf.append(made);
  fade(made, level);
}

function fade(element, level) {
  if (!LASTS[level]) return;
  const leave = () => {
    // Whoever is reading or about to click keeps it.
    if (element.matches(":hover, :focus-within")) setTimeout(leave, 2000);
    else element.remove();
  };
  setTimeout(leave, LASTS[level]);
}

/* --- a form is sent once ------------------------------------------------------------------------------------------ */

function buttonsOf(form) {
  return [...form.elements].filter((element) => element.matches("button:not([type=button]), input[type=submit]"));
}

function busy(form, submitter) {
  for (const button of buttonsOf(form)) {
    if (button.disabled) continue;
    button.disabled = true;
    button.dataset.held = "";
  }
  submitter?.classList.add("busy");
}

function ready(form) {
  for (const button of buttonsOf(form)) {
    if (!("held" in button.dataset)) continue;
    button.disabled = false;
    delete button.dataset.held;
    button.classList.remove("busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method === "dialog" || "again" in form.dataset) return;
  // After the browser has collected the form: a disabled button's own name and value would not be sent.
  setTimeout(() => busy(form, event.submitter));
});

addEventListener("pageshow", () => document.querySelectorAll("form").forEach(ready));

/* --- htmx --------------------------------------------------------------------------------------------------------- */

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  const form = detail.elt.closest?.("form");
  if (detail.elt === form && detail.requestConfig.verb !== "get") busy(form, detail.requestConfig.triggeringEvent?.submitter);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  const form = detail.elt.closest?.("form");
  if (form) ready(form);
});

document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.requestConfig.headers["HX-Trigger-Name"] === "poll") return;
  const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
  const said = page.querySelector("[data-sentence]")?.textContent.trim();
  toast(said || SENTENCES[detail.xhr.status] || OUR_FAULT, "error");
});

document.addEventListener("htmx:sendError", () => toast(SENTENCES[0], "error"));
document.addEventListener("toasts", ({ detail }) => detail.toasts.forEach(({ text, level }) => toast(text, level)));

/* Focus goes back to what had it, by id or by the place among the same links, when a swap replaced it. */
let focused = null;
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const active = document.activeElement;
  focused = detail.target.contains(active) && active !== document.body ? trace(active) : null;
});
document.addEventListener("htmx:afterSettle", () => {
  const lost = !document.activeElement || document.activeElement === document.body;
  if (focused && lost) find(focused)?.focus({ preventScroll: true });
  focused = null;
});

function trace(element) {
  const place = element.getAttribute("href") || element.getAttribute("name") || element.dataset.key;
  return { id: element.id, tag: element.localName, place, value: element.getAttribute("value") };
}

function find({ id, tag, place, value }) {
  if (id) return document.getElementById(id);
  return [...document.querySelectorAll(tag)].find((element) => {
    const other = trace(element);
    return place && other.place === place && other.value === value;
  });
}

/* --- dialogs, menus, toasts --------------------------------------------------------------------------------------- */

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.dialog);
    if (dialog) {
      event.preventDefault();
      dialog.showModal();
    }
  }
  const closer = event.target.closest("[data-close]");
  if (closer) (closer.closest("dialog")?.close(), closer.closest(".toast")?.remove());
  if (event.target.matches("dialog.dialog") && isOutside(event)) event.target.close();
  const sayer = event.target.closest("[data-toast]");
  if (sayer) toast(sayer.dataset.toast, sayer.dataset.level);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

function isOutside({ target, clientX, clientY }) {
  const box = target.getBoundingClientRect();
  return clientX < box.left || clientX > box.right || clientY < box.top || clientY > box.bottom;
}

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

for (const shown of document.querySelectorAll(".toasts > .toast")) {
  fade(shown, ["success", "info", "debug"].find((level) => shown.classList.contains(level)));
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

document.addEventListener("input", ({ target }) => {
  const counter = target.id && document.querySelector(`[data-counts="${CSS.escape(target.id)}"]`);
  if (!counter) return;
  const limit = Number(counter.textContent.split("/")[1]);
  // As Python counts: by code point, and a line's end as one.
  const length = [...target.value].length;
  counter.textContent = `${length} / ${limit}`;
  counter.classList.toggle("over", length > limit);
});

document.addEventListener("change", ({ target }) => {
  const list = target.closest?.(".drop-zone")?.querySelector("[data-chosen]");
  if (!list || !target.files) return;
  const names = [...target.files].map((file) => file.name);
  list.textContent = names.length > 3 ? `${names.length} files: ${names.slice(0, 3).join(", ")} …` : names.join(", ");
});

for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(kind, ({ target }) => target.closest?.(".drop-zone")?.classList.toggle("over", over));
}

/* --- time since: <time datetime="…" data-since> keeps telling -------------------------------------------------------- */

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function tell() {
  for (const time of document.querySelectorAll("time[data-since]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const [unit, size] = UNITS.find(([, least]) => seconds >= least) || [];
    time.textContent = unit ? relative.format(-Math.floor(seconds / size), unit) : "just now";
  }
}

tell();
setInterval(tell, 30000);
document.addEventListener("htmx:afterSettle", tell);

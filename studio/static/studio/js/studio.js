/* The Studio's form by hand and keyboard: why Generate cannot be clicked right now, the list of models, Ctrl+Enter.
   What it costs and what a model can do is the server's to say; this only follows between two answers. */

const NEEDS_PROMPT = "Write a description first.";
const LOADING = "Working out what it costs.";
const OTHER_COST = "The cost has changed. Click again to go on.";

const form = () => document.getElementById("studio-form");
let isLoading = false;
let clickedAt = ""; // the cost that was shown when somebody clicked while the new one was on its way
let isToBeSeen = false; // the new one turned out to be another

/* On a phone the folded settings say what they are. */
function summarize() {
  const now = (name) => form().querySelector(`input[name=${name}]:checked`)?.closest("label").textContent.trim() ?? "";
  const model = document.querySelector("#model-card b").textContent;
  document.getElementById("settings-now").textContent = [model, now("style"), now("aspect"), `× ${now("count")}`].filter(Boolean).join(" · ");
}

function sync() {
  summarize();
  const button = document.getElementById("generate");
  const cost = document.getElementById("cost-now");
  if (!button || !cost || "held" in button.dataset) return;
  const isEmpty = document.getElementById("prompt").value.trim() === "";
  const isBlocked = cost.dataset.blocked === "yes";
  button.disabled = isBlocked || isEmpty;
  // Not disabled: leaving a field for the button would otherwise swallow the click.
  button.setAttribute("aria-disabled", String(isLoading));
  if (isBlocked) return;
  const reason = document.getElementById("reason");
  const words = isLoading ? LOADING : isEmpty ? NEEDS_PROMPT : isToBeSeen ? OTHER_COST : "";
  if (reason.textContent.trim() !== words) reason.textContent = words;
}

document.addEventListener("input", ({ target }) => {
  if (target.form !== form()) return;
  isToBeSeen = false;
  sync();
});

document.addEventListener("change", ({ target }) => {
  if (!target.closest?.("#settings")) return;
  isLoading = document.getElementById("cost").hasAttribute("hx-post");
  sync();
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  // The element that asked: by now the answer may have taken its place.
  if (detail.requestConfig?.elt.id !== "cost") return;
  setTimeout(() => {
    // One that a newer one replaced ends too, while that is on its way.
    if (document.getElementById("cost").classList.contains("htmx-request")) return;
    isLoading = false;
    goOn();
    sync();
  });
});
document.addEventListener("htmx:afterSettle", sync);

/* A click that came too early counts if it costs what was shown; otherwise the new figure is to be seen first. */
const cost = () => document.getElementById("amount").textContent.trim();
document.addEventListener(
  "submit",
  (event) => {
    if (event.target !== form()) return;
    isToBeSeen = false;
    if (!isLoading) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    clickedAt = cost();
  },
  true,
);

function goOn() {
  const shown = clickedAt;
  clickedAt = "";
  const button = document.getElementById("generate");
  if (!shown || button.disabled) return;
  if (shown === cost()) form().requestSubmit(button);
  else isToBeSeen = true;
}
addEventListener("pageshow", sync);

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  if (event.target.matches?.("[data-models-search]")) return event.preventDefault();
  if ((event.ctrlKey || event.metaKey) && event.target.form === form()) {
    event.preventDefault();
    const button = document.getElementById("generate");
    if (!button.disabled) form().requestSubmit(button);
  }
});

/* What a poll replaces may hold the focus: it goes to the same place in what came instead. */
let lost = "";
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target.contains(document.activeElement)) lost = detail.target.id;
});
document.addEventListener("htmx:oobAfterSwap", () => {
  if (!lost) return;
  const place = document.getElementById(lost);
  lost = "";
  place?.querySelector("a[href], button:not([disabled])")?.focus({ preventScroll: true });
});

/* --- the list of models ------------------------------------------------------------------------------------------- */

const models = () => document.getElementById("models");

document.addEventListener("click", (event) => {
  const level = event.target.closest("[data-models-level] [data-level]");
  if (level) {
    for (const each of level.parentElement.children) each.setAttribute("aria-pressed", String(each === level));
    filter();
  }
  // By mouse a choice closes the list; the arrow keys walk through it.
  if (event.detail && event.target.matches("#models input[type=radio]")) models().hidePopover();
});

document.addEventListener("input", ({ target }) => {
  if (target.matches("[data-models-search]")) filter();
});

function filter() {
  const words = document.querySelector("[data-models-search]").value.toLowerCase().split(/\s+/).filter(Boolean);
  const level = document.querySelector("[data-models-level] [aria-pressed=true]").dataset.level;
  let found = 0;
  for (const model of document.querySelectorAll("[data-model]")) {
    const text = model.dataset.words.toLowerCase();
    model.hidden = !words.every((word) => text.includes(word)) || (level && model.dataset.level !== level);
    found += !model.hidden;
  }
  document.querySelector("[data-models-none]").hidden = found > 0;
}

for (const tool of document.querySelectorAll("[data-models-search], [data-models-level]")) tool.hidden = false;

/* --- a phone has the settings folded ------------------------------------------------------------------------------ */

const narrow = matchMedia("(max-width: 60rem)");
const fold = () => (document.getElementById("settings").open = !narrow.matches);
narrow.addEventListener("change", fold);
fold();
sync();

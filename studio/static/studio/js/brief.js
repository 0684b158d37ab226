/* The form of a brief: picking products without a reload, rows added in place, problems tied to their fields.
   It is saved as one goes; one save at a time, so that no save finds a newer one of its own. */

const form = () => document.getElementById("brief");
const saver = () => document.getElementById("auto");

function changed(element) {
  element.dispatchEvent(new Event("input", { bubbles: true }));
}

/* --- products ----------------------------------------------------------------------------------------------------- */

function boxes() {
  return [...form().querySelectorAll('.pick-products input[name="products"]')];
}

function count() {
  const shown = form()?.querySelector("[data-chosen-count]");
  if (!shown) return;
  const all = boxes();
  shown.textContent = `${all.filter((box) => box.checked).length.toLocaleString("en")} of ${all.length.toLocaleString("en")} chosen`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-pick]");
  if (!button) return;
  event.preventDefault();
  // What a search hides is not meant.
  const seen = boxes().filter((box) => !box.closest("label").hidden);
  for (const box of seen) box.checked = button.dataset.pick === "all";
  if (seen.length) changed(seen[0]);
  count();
});

document.addEventListener("change", (event) => {
  if (event.target.matches('input[name="products"]')) count();
});

document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-find]")) return;
  const words = target.value.trim().toLowerCase();
  for (const label of document.querySelectorAll(target.dataset.find)) {
    label.hidden = words !== "" && !label.textContent.toLowerCase().includes(words);
  }
});

function reveal() {
  for (const search of document.querySelectorAll("[data-find][hidden]")) search.hidden = false;
}

/* --- saved as one goes ----------------------------------------------------------------------------------------------- */

let typed = false; // something is not on its way yet
let saving = null; // settles when the save on its way has arrived
let arrived = () => {};
let leaving = false; // another request takes the form along

document.addEventListener("input", ({ target }) => {
  if (!target.closest("#brief") || !target.name) return;
  typed = true;
  leaving = false;
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt !== saver()) return;
  if (leaving) return event.preventDefault();
  typed = false;
  saving = new Promise((resolve) => (arrived = resolve));
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.elt.id !== "auto") return;
  typed ||= !detail.successful;
  saving = null;
  arrived();
});

document.addEventListener("submit", (event) => {
  if (event.target !== form() || !saving) return void (leaving = event.target === form());
  event.preventDefault();
  event.stopImmediatePropagation();
  const button = event.submitter;
  leaving = true;
  saving.then(() => form().requestSubmit(button));
}, true);

// What is taken away as a file is what stands in the form.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("#brief a[data-saved]");
  if (!link || !window.htmx || !(typed || saving)) return;
  event.preventDefault();
  await saving;
  if (typed) window.htmx.trigger(saver(), "now");
  await saving;
  if (!typed && !form().querySelector("[role=alert]")) location.assign(link.href);
});

// Whoever comes back by the browser's button meets what is saved, not what this page was.
addEventListener("pageshow", (event) => {
  leaving = false;
  if (event.persisted || performance.getEntriesByType("navigation")[0]?.type === "back_forward") renew();
});

function renew() {
  if (!form() || !window.htmx || !form().querySelector("#draft-menu details")) return;
  window.htmx.ajax("GET", location.href, { target: "#brief", select: "#brief", swap: "outerHTML" });
}

/* --- rows: the server makes them; with htmx only the form is replaced ------------------------------------------------ */

document.addEventListener("click", async (event) => {
  const button = event.target.closest("#brief [data-rows]");
  if (!button || !window.htmx) return;
  event.preventDefault();
  if (leaving) return;
  leaving = true;
  const act = button.value;
  await saving;
  try {
    const asked = { source: button, target: "#brief", swap: "outerHTML", values: { act } };
    await window.htmx.ajax("POST", form().getAttribute("action"), asked);
  } finally {
    leaving = false;
  }
  settle(act);
});

function settle(act) {
  const [kind, what] = act.split(":");
  if (what !== "add") return;
  const last = [...document.querySelectorAll(`.${kind}`)].at(-1);
  last?.querySelector("input")?.focus();
}

/* --- problems -------------------------------------------------------------------------------------------------------- */

function mark() {
  for (const field of form()?.querySelectorAll("[aria-describedby]") || []) {
    const said = document.getElementById(field.getAttribute("aria-describedby"));
    if (said?.children.length) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}

document.addEventListener("htmx:afterSettle", () => {
  mark();
  reveal();
  count();
});
reveal();
count();
if (new URLSearchParams(location.search).has("checked")) {
  const wrong = form()?.querySelector('[aria-invalid="true"]');
  wrong?.scrollIntoView({ block: "center" });
  wrong?.focus({ preventScroll: true });
}

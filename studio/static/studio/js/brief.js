/* The form of a brief: picking products without a reload, rows added in place, problems tied to their fields. */

const form = () => document.getElementById("brief");

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

/* --- rows: the server makes them; with htmx only the form is replaced ------------------------------------------------ */

document.addEventListener("click", (event) => {
  const button = event.target.closest("#brief [data-rows]");
  if (!button || !window.htmx) return;
  event.preventDefault();
  const act = button.value;
  const values = { act };
  window.htmx
    .ajax("POST", form().getAttribute("action"), { source: button, target: "#brief", swap: "outerHTML", values })
    .then(() => settle(act));
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
});
reveal();
count();

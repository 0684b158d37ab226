/* Keys: a control with data-key="a" is clicked by that key; "?" lists what there is on the page.
   The name shown is data-key-name, else the control's own words. Controls in an open dialog come first. */

const FIELD = "input:not([type=checkbox], [type=radio], [type=range], [type=button], [type=submit]), textarea, select, [contenteditable=true]";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.(FIELD)) return;
  if (event.key === "?") return help();
  const control = find(event.key);
  if (!control) return;
  event.preventDefault();
  if (event.repeat && !("keyRepeats" in control.dataset)) return;
  if (control.matches(FIELD)) control.focus();
  else control.click();
});

function controls() {
  const modal = document.querySelector("dialog:modal");
  const within = modal ? modal : document;
  return [...within.querySelectorAll("[data-key]")].filter((control) => control.checkVisibility() && !control.disabled);
}

function find(key) {
  return controls().find((control) => control.dataset.key.split(" ").includes(key));
}

function help() {
  const dialog = document.getElementById("keys");
  if (!dialog || dialog.open || document.querySelector("dialog:modal")) return;
  const list = dialog.querySelector(".keys");
  list.querySelectorAll("[data-filled]").forEach((row) => row.remove());
  const rows = new Map(controls().map((control) => [control.dataset.key, nameOf(control)]));
  for (const [keys, name] of [...rows].reverse()) list.prepend(keysOf(keys), wordsOf(name));
  dialog.showModal();
}

function nameOf(control) {
  if (control.dataset.keyName) return control.dataset.keyName;
  const words = control.cloneNode(true);
  words.querySelectorAll("kbd").forEach((key) => key.remove());
  return control.getAttribute("aria-label") || words.textContent.trim().replace(/\s+/g, " ");
}

const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space" };

function keysOf(keys) {
  const term = document.createElement("dt");
  term.dataset.filled = "";
  for (const key of keys.split(" ")) {
    const cap = document.createElement("kbd");
    cap.textContent = SHOWN[key] || (key.length === 1 && key !== key.toLowerCase() ? `⇧${key}` : key.toUpperCase());
    term.append(cap);
  }
  return term;
}

function wordsOf(name) {
  const words = document.createElement("dd");
  words.dataset.filled = "";
  words.textContent = name;
  return words;
}

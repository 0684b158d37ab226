/* Choosing many: shift-click takes the range, one click takes all that are shown; the count is said. */

let last = null;

const boxes = () => [...document.querySelectorAll(".tile-pick input")];

function tell() {
  const chosen = boxes().filter((box) => box.checked).length;
  for (const place of document.querySelectorAll("[data-count]")) {
    place.textContent = `${chosen.toLocaleString("en")} ${chosen === 1 ? "image" : "images"} chosen`;
  }
  for (const none of document.querySelectorAll("[data-select-none]")) none.hidden = !chosen;
}

function choose(range, checked) {
  for (const box of range) box.checked = checked;
  tell();
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.(".tile-pick input");
  if (box) {
    const all = boxes();
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) choose(all.slice(from, to + 1), box.checked);
    last = box;
    return tell();
  }
  if (event.target.closest?.("[data-select-all]")) choose(boxes(), true);
  if (event.target.closest?.("[data-select-none]")) choose(boxes(), false);
});

// With Shift held, text between two clicks would be marked.
document.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.target.closest?.(".tile-pick")) event.preventDefault();
});

document.addEventListener("htmx:afterSettle", tell);
for (const all of document.querySelectorAll("[data-select-all]")) all.hidden = false;
// The browser keeps ticks over a reload and on the way back.
addEventListener("pageshow", tell);
tell();

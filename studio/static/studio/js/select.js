/* Choosing many: shift takes the range, by mouse and by keyboard; the arrow keys walk over the shelf, x chooses what
   they stand on; the count is said, and whoever does something with what is chosen comes back to the same place. */

let last = null;
let isShifted = false;

const boxes = () => [...document.querySelectorAll(".tile-pick input")];
const tiles = () => [...document.querySelectorAll(".shelf > .tile")];

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

/* The box has its new state already. */
function picked(box) {
  const all = boxes();
  const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
  if (isShifted && from >= 0) choose(all.slice(from, to + 1), box.checked);
  last = box;
  tell();
}

document.addEventListener("click", (event) => {
  // A click that the keyboard makes does not tell of Shift.
  if (event.detail) isShifted = event.shiftKey;
  const box = event.target.closest?.(".tile-pick input");
  if (box) return picked(box);
  if (event.target.closest?.("[data-select-all]")) choose(boxes(), true);
  if (event.target.closest?.("[data-select-none]")) choose(boxes(), false);
  if (event.target.closest?.("[data-select-this]")) {
    const own = document.activeElement.closest(".tile")?.querySelector(".tile-pick input");
    if (!own) return;
    own.checked = !own.checked;
    picked(own);
  }
});

// With Shift held, text between two clicks would be marked.
document.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.target.closest?.(".tile-pick")) event.preventDefault();
});

/* --- the arrow keys ------------------------------------------------------------------------------------------------- */

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

document.addEventListener(
  "keydown",
  (event) => {
    isShifted = event.shiftKey;
    const tile = event.target.closest?.(".shelf > .tile");
    if (!tile || !event.key.startsWith("Arrow") || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = tiles();
    const next = event.key in STEPS ? all[all.indexOf(tile) + STEPS[event.key]] : across(all, tile, event.key === "ArrowDown");
    if (!next) return;
    event.preventDefault();
    next.querySelector("a").focus();
  },
  true,
);

/* The tile of the next row whose middle is nearest. */
function across(all, tile, isDown) {
  const here = tile.getBoundingClientRect();
  const boxOf = new Map(all.map((each) => [each, each.getBoundingClientRect()]));
  const beyond = all.filter((each) => (isDown ? boxOf.get(each).top > here.top : boxOf.get(each).top < here.top));
  const row = isDown ? boxOf.get(beyond[0])?.top : boxOf.get(beyond.at(-1))?.top;
  const middle = (box) => box.left + box.width / 2;
  const away = (each) => Math.abs(middle(boxOf.get(each)) - middle(here));
  return beyond.filter((each) => boxOf.get(each).top === row).sort((a, b) => away(a) - away(b))[0];
}

/* --- back to the same place ----------------------------------------------------------------------------------------- */

document.addEventListener("submit", ({ target }) => {
  const place = target.matches("#pick") && target.elements.next;
  if (!place) return;
  const kept = tiles().filter((tile) => !tile.querySelector(".tile-pick input").checked);
  const first = scrollY > 200 && kept.find((tile) => tile.getBoundingClientRect().top >= 0);
  place.value = place.value.split("#")[0] + (first ? `#${first.querySelector("a").id}` : "");
});

document.addEventListener("htmx:afterSettle", tell);
for (const tool of document.querySelectorAll("[data-select-all], [data-select-this]")) tool.hidden = false;
// The browser keeps ticks over a reload and on the way back.
addEventListener("pageshow", tell);
tell();

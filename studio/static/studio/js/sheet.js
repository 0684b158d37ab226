/* The contact sheet: arrow keys move over its images, what did not change is not swapped, and it can be printed. */

const sheet = () => document.querySelector("[data-sheet]");

function places() {
  return [...sheet().tBodies[0].rows]
    .map((row) => [...row.cells].flatMap((cell) => [...cell.querySelectorAll("a.tile-frame")]))
    .filter((row) => row.length);
}

function next(rows, link, key) {
  const y = rows.findIndex((row) => row.includes(link));
  if (y < 0) return rows[0]?.[0];
  const x = rows[y].indexOf(link);
  if (key === "ArrowRight") return rows[y][x + 1];
  if (key === "ArrowLeft") return rows[y][x - 1];
  if (key === "Home") return rows[y][0];
  if (key === "End") return rows[y].at(-1);
  const other = rows[key === "ArrowDown" ? y + 1 : y - 1];
  return other?.[Math.min(x, other.length - 1)];
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (!["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
  const frame = event.target.closest?.(".sheet-frame");
  if (!frame) return;
  const target = next(places(), event.target.closest("a.tile-frame"), event.key);
  if (!target) return;
  event.preventDefault();
  target.focus();
  target.scrollIntoView({ block: "nearest", inline: "nearest" });
});

// A tile that looks the same stays: no picture is loaded twice, and nothing flickers.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  const drawn = fragment.querySelector?.("[data-v]") || fragment.firstElementChild;
  if (target?.dataset.v && drawn?.dataset?.v === target.dataset.v) event.detail.shouldSwap = false;
  // A menu that somebody has open is not taken from under the pointer.
  if (target?.id === "sheet-top" && target.querySelector("details[open]")) event.detail.shouldSwap = false;
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});

/* The contact sheet: what changed is put in its place and nothing else moves, arrow keys walk it, and it can be printed. */

const sheet = () => document.querySelector("[data-sheet]");

/* --- what changed: a poll brings it in a template ---------------------------------------------------------------------- */

const IMAGE_WAIT_MS = 3000;
const coming = new Map();

document.addEventListener("htmx:afterSwap", () => {
  const news = document.querySelector("#sheet-poll > template");
  if (!news) return;
  for (const each of news.content.children) bring(document.importNode(each, true));
  news.remove();
});

async function bring(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old || isSame(old, fresh)) return;
  coming.set(fresh.id, fresh);
  const image = fresh.querySelector("img");
  // A picture takes its place when it is there: what stood there before is seen until then.
  if (image && old.checkVisibility({ contentVisibilityAuto: true })) await loaded(image);
  place(fresh.id);
}

function isSame(old, fresh) {
  if (fresh.dataset.v) return fresh.dataset.v === old.dataset.v;
  // A form's token is another one each time, and each of them is good.
  const token = old.querySelector("[name=csrfmiddlewaretoken]")?.getAttribute("value");
  for (const field of fresh.querySelectorAll("[name=csrfmiddlewaretoken]")) field.setAttribute("value", token);
  return fresh.isEqualNode(old);
}

function loaded(image) {
  image.loading = "eager";
  const late = new Promise((resolve) => setTimeout(resolve, IMAGE_WAIT_MS));
  return Promise.race([image.decode().catch(() => {}), late]);
}

function place(id) {
  const fresh = coming.get(id);
  const old = document.getElementById(id);
  // An open menu is not taken from under the pointer, nor a button that was just pressed; it is put right afterwards.
  if (!fresh || !old || old.querySelector("details[open], .busy")) return;
  coming.delete(id);
  const held = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  overlap(old, fresh);
  old.replaceWith(fresh);
  if (held) [...fresh.querySelectorAll("a, button, summary")].find((each) => nameOf(each) === held)?.focus({ preventScroll: true });
}

const nameOf = (control) => control.id || control.getAttribute("href") || control.form?.getAttribute("action") || control.localName;

/** The finished picture fades in over its last preview. */
function overlap(old, fresh) {
  const preview = old.querySelector("img.preview");
  const picture = fresh.querySelector("img:not(.preview)");
  if (!preview || !picture) return;
  picture.before(preview);
  setTimeout(() => preview.remove(), 600);
}

document.addEventListener("toggle", (event) => event.target.closest("#sheet-top") && place("sheet-top"), true);

/* --- keys ---------------------------------------------------------------------------------------------------------------- */

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

function go(link) {
  link.focus({ preventScroll: true });
  link.scrollIntoView({ block: "nearest", inline: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (!["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
  const frame = event.target.closest?.(".sheet-frame");
  if (!frame) return;
  const target = next(places(), event.target.closest("a.tile-frame"), event.key);
  if (!target) return;
  event.preventDefault();
  go(target);
});

// Whoever comes back from an image stands on it again.
const left = location.hash.startsWith("#open-") && document.getElementById(location.hash.slice(1));
if (left) go(left);

/* --- on paper ------------------------------------------------------------------------------------------------------------ */

document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-print]")) return;
  // The whole sheet, not as far as somebody happened to scroll.
  for (let more; (more = document.querySelector("#sheet-more a")); ) {
    await htmx.ajax("GET", more.getAttribute("href"), { target: "#sheet-more", swap: "outerHTML" });
    if (document.contains(more)) return;
  }
  await Promise.all([...sheet().querySelectorAll("img")].map(loaded));
  print();
});

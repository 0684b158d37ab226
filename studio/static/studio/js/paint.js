/* Painting over a part of a picture: strokes and boxes by mouse, finger, pen or keyboard, taken back one by one. What is
   painted over leaves as a file, dark where it is painted, in the picture's own pixels. Without this module one gives a
   file. The page says in data-words what being painted over means there. */

const WORK_PX = 1600; // the longer side of what is drawn on the page; the file is drawn at the picture's own size
const SAMPLE_PX = 160;
const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];

const form = document.querySelector("form[data-paint]");
const words = form.dataset;
const [width, height] = [Number(form.dataset.width), Number(form.dataset.height)];
const canvas = form.querySelector("canvas");
const brush = form.querySelector(".edit-brush");
const stage = form.querySelector(".edit-stage");
const size = document.getElementById("size");
const scale = Math.min(1, WORK_PX / Math.max(width, height));

// What was done, in order; lengths in pixels of the picture.
let acts = [];
let undone = [];
let stroke = null;
let zoom = 0;
let at = [width / 2, height / 2];
let before = null; // what was painted over when the page came

const tool = () => form.elements.tool.value;
const isBox = () => form.elements.box.checked;
/* From 0.5 % to 25 % of the shorter side, finer where it is small. */
const diameter = () => Math.min(width, height) * (0.005 + 0.245 * (size.value / 100) ** 2);

/* --- drawing ------------------------------------------------------------------------------------------------------ */

function draw(context, act) {
  if (act.kind === "clear") return context.clearRect(0, 0, width, height);
  if (act.kind === "invert") {
    context.globalCompositeOperation = "xor";
    return context.fillRect(0, 0, width, height);
  }
  context.globalCompositeOperation = act.erases ? "destination-out" : "source-over";
  if (act.kind === "box") {
    const [[left, top], [right, bottom]] = [act.points[0], act.points.at(-1)];
    return context.fillRect(left, top, right - left, bottom - top);
  }
  context.lineWidth = act.diameter;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  for (const [x, y] of act.points) context.lineTo(x, y);
  const [[x, y]] = act.points;
  if (act.points.length === 1) context.lineTo(x + 0.01, y);
  context.stroke();
}

function drawAll(target, factor) {
  const context = target.getContext("2d", { willReadFrequently: true });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, target.width, target.height);
  if (before) context.drawImage(before, 0, 0, target.width, target.height);
  context.setTransform(factor, 0, 0, factor, 0, 0);
  context.strokeStyle = context.fillStyle = color();
  for (const act of acts) draw(context, act);
  return context;
}

const color = () => getComputedStyle(form).getPropertyValue("--pencil-no");

function redraw() {
  drawAll(canvas, scale);
  tell();
}

function act(made) {
  acts.push(made);
  undone = [];
  redraw();
}

/* --- what it comes to --------------------------------------------------------------------------------------------- */

function share() {
  const factor = Math.min(1, SAMPLE_PX / Math.max(canvas.width, canvas.height));
  const small = new OffscreenCanvas(Math.max(1, Math.round(canvas.width * factor)), Math.max(1, Math.round(canvas.height * factor)));
  const context = small.getContext("2d");
  context.drawImage(canvas, 0, 0, small.width, small.height);
  const { data } = context.getImageData(0, 0, small.width, small.height);
  let painted = 0;
  for (let index = 3; index < data.length; index += 4) painted += data[index];
  return (4 * painted) / (255 * data.length);
}

function tell() {
  const painted = share();
  const percent = Math.round(100 * painted);
  const told = painted === 0 ? words.none : `${percent < 1 ? "Less than 1" : percent} % ${words.some}`;
  const place = document.getElementById("painted");
  if (place.textContent !== told) place.textContent = told;
  form.querySelector("[data-edit=undo]").disabled = acts.length === 0;
  form.querySelector("[data-edit=redo]").disabled = undone.length === 0;
}

/* --- by hand ------------------------------------------------------------------------------------------------------ */

function place({ clientX, clientY }) {
  const box = canvas.getBoundingClientRect();
  return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
}

function show() {
  brush.hidden = isBox();
  const side = (diameter() / width) * canvas.clientWidth;
  brush.style.width = brush.style.height = `${side}px`;
  brush.style.left = `${(at[0] / width) * 100}%`;
  brush.style.top = `${(at[1] / height) * 100}%`;
}

function go(points) {
  at = points.at(-1);
  show();
  if (!stroke) return;
  const from = stroke.points.at(-1);
  stroke.points.push(...points);
  if (stroke.kind === "box") return drawAll(canvas, scale);
  // Only what is new: long strokes stay quick.
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.strokeStyle = color();
  draw(context, { ...stroke, points: [from, ...points] });
}

function begin() {
  stroke = { kind: isBox() ? "box" : "stroke", erases: tool() === "erase", diameter: diameter(), points: [at] };
  act(stroke);
}

function end() {
  if (stroke) tell();
  stroke = null;
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  canvas.setPointerCapture(event.pointerId);
  at = place(event);
  show();
  begin();
});
canvas.addEventListener("pointermove", (event) => {
  if (!event.isPrimary) return;
  const events = event.getCoalescedEvents?.() ?? [];
  go((events.length ? events : [event]).map(place));
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, ({ isPrimary }) => isPrimary && end());
canvas.addEventListener("pointerleave", () => (brush.hidden = document.activeElement !== canvas));
canvas.addEventListener("focus", show);
canvas.addEventListener("blur", () => {
  brush.hidden = true;
  end();
});

/* --- by keyboard -------------------------------------------------------------------------------------------------- */

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

canvas.addEventListener("keydown", (event) => {
  const way = WAYS[event.key];
  if (way && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    const step = Math.max(1, (Math.min(width, height) / 100) * (event.shiftKey ? 5 : 1));
    go([[clamp(at[0] + way[0] * step, width), clamp(at[1] + way[1] * step, height)]]);
  } else if (event.key === " ") {
    event.preventDefault();
    if (!stroke) begin();
  }
});
canvas.addEventListener("keyup", (event) => {
  if (event.key === " ") end();
});

const clamp = (value, most) => Math.min(most, Math.max(0, value));

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z" || !(event.ctrlKey || event.metaKey) || event.target.matches("input:not([type=range], [type=radio])")) return;
  event.preventDefault();
  if (event.shiftKey) redo();
  else undo();
});

/* --- tools -------------------------------------------------------------------------------------------------------- */

function undo() {
  stroke = null;
  if (acts.length) undone.push(acts.pop());
  redraw();
}

function redo() {
  if (undone.length) acts.push(undone.pop());
  redraw();
}

/* What the brush is at stays where it is seen; the stage scrolls. */
function magnify(by) {
  zoom = clamp(zoom + by, ZOOMS.length - 1);
  stage.style.setProperty("--zoom", ZOOMS[zoom]);
  stage.classList.toggle("is-zoomed", zoom > 0);
  const seen = canvas.getBoundingClientRect();
  const [x, y] = [(at[0] / width) * seen.width, (at[1] / height) * seen.height];
  stage.scrollTo(x - stage.clientWidth / 2, y - stage.clientHeight / 2);
  form.querySelector("[data-edit=out]").disabled = zoom === 0;
  form.querySelector("[data-edit=in]").disabled = zoom === ZOOMS.length - 1;
  if (!brush.hidden) show();
}

function resize(by) {
  size.value = Number(size.value) + by;
  show();
}

const TOOLS = {
  undo,
  redo,
  in: () => magnify(1),
  out: () => magnify(-1),
  invert: () => act({ kind: "invert" }),
  clear: () => act({ kind: "clear" }),
  smaller: () => resize(-5),
  larger: () => resize(5),
};

form.addEventListener("click", ({ target }) => TOOLS[target.closest("[data-edit]")?.dataset.edit]?.());
size.addEventListener("input", show);

/* --- it leaves as a file ------------------------------------------------------------------------------------------ */

async function file() {
  const painted = new OffscreenCanvas(width, height);
  drawAll(painted, 1);
  const mask = new OffscreenCanvas(width, height);
  const context = mask.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  // Whatever color was painted with, what leaves is dark there.
  const dark = painted.getContext("2d");
  dark.setTransform(1, 0, 0, 1, 0, 0);
  dark.globalCompositeOperation = "source-in";
  dark.fillStyle = "black";
  dark.fillRect(0, 0, width, height);
  context.drawImage(painted, 0, 0);
  return new File([await mask.convertToBlob({ type: "image/png" })], "mask.png", { type: "image/png" });
}

let isReady = false;
form.addEventListener("submit", async (event) => {
  // Whether a speck was painted the server sees: the count here is of a small copy.
  if (isReady || (acts.length === 0 && !before)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const files = new DataTransfer();
  try {
    files.items.add(await file());
  } catch {
    document.getElementById("painted").textContent = "This browser could not save what was painted. Give the mask as a file.";
    return;
  }
  form.elements.mask.files = files.files;
  keep();
  isReady = true;
  form.requestSubmit(event.submitter);
});
// Whoever comes back may paint on.
addEventListener("pageshow", () => (isReady = false));

/* What was painted outlives a page that comes back with something to correct. */
const kept = `painted ${location.pathname}`;

function keep() {
  try {
    sessionStorage.setItem(kept, JSON.stringify(acts));
  } catch {
    // Too much for this browser: then it is lost only if the page comes back.
  }
}

function recall() {
  const text = sessionStorage.getItem(kept);
  sessionStorage.removeItem(kept);
  if (text && "again" in words) acts = JSON.parse(text);
  else if ("inverted" in words) acts = [{ kind: "invert" }];
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

async function remember(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const copy = new OffscreenCanvas(width, height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  const [red, green, blue] = shade();
  for (let index = 0; index < pixels.data.length; index += 4) {
    pixels.data[index + 3] = 255 - pixels.data[index];
    [pixels.data[index], pixels.data[index + 1], pixels.data[index + 2]] = [red, green, blue];
  }
  context.putImageData(pixels, 0, 0);
  before = copy;
  redraw();
}

function shade() {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = color();
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data;
}

canvas.width = Math.max(1, Math.round(width * scale));
canvas.height = Math.max(1, Math.round(height * scale));
canvas.hidden = false;
form.querySelector(".edit-tools").hidden = false;
form.querySelector(".edit-frame").style.setProperty("--ratio", width / height);
recall();
redraw();
magnify(0);
if (form.dataset.lock) remember(form.dataset.lock);

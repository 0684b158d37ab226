/* The light table's hands: overlay, difference, zoom and pan, the next image fetched ahead, the claim given back. */

const STEPS = ["fit", "1", "2"];
const stage = () => document.querySelector(".stage");
const view = () => document.getElementById("stage-view");
const proof = () => document.querySelector(".proof");

/* --- what is shown: the result, the photo over it, or the difference ------------------------------------------------ */

function show(name) {
  const now = proof().dataset.show === name ? "" : name;
  proof().dataset.show = now;
  for (const button of document.querySelectorAll("[data-show][role=button]")) {
    button.setAttribute("aria-pressed", String(button.dataset.show === now));
  }
  const image = now && proof().querySelector(`.proof-${now}`);
  if (image) load(image);
  words(image && !image.hasAttribute("data-there") && now === "difference" ? "computing" : now);
}

function words(name) {
  for (const line of document.querySelectorAll("[data-words]")) line.hidden = line.dataset.words !== name;
}

function load(image, tries = 0) {
  if (image.hasAttribute("data-there")) return;
  const address = image.dataset.href || image.getAttribute("href");
  const probe = new Image();
  probe.onload = () => {
    image.setAttribute("href", address);
    image.setAttribute("data-there", "");
    if (image.isConnected && image.matches(`.proof-${proof().dataset.show}`)) words(proof().dataset.show);
  };
  // A worker may still be at it; an address that failed once is not asked for again by itself.
  probe.onerror = () => image.isConnected && tries < 40 && setTimeout(() => load(image, tries + 1), 500);
  probe.src = tries ? `${address}?${tries}` : address;
}

/* --- zoom and pan ----------------------------------------------------------------------------------------------------- */

function zoom(step, at) {
  const picture = proof();
  const box = picture.getBoundingClientRect();
  const point = at || { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
  const [, , width, height] = picture.getAttribute("viewBox").split(" ").map(Number);
  // How far into the image the point lies, in parts of it; the drawing is centered in its box.
  const scale = Math.min(box.width / width, box.height / height);
  const across = (point.clientX - box.left - (box.width - width * scale) / 2) / (width * scale);
  const down = (point.clientY - box.top - (box.height - height * scale) / 2) / (height * scale);
  const isFit = step === "fit";
  stage().classList.toggle("zoomed", !isFit);
  stage().classList.toggle("pixels", step === "2");
  stage().dataset.step = step;
  const factor = isFit ? 0 : Number(step) / devicePixelRatio;
  // By attributes, which the style sheet lets count while zoomed: htmx carries style attributes over, and the CSP objects.
  picture.setAttribute("width", isFit ? width : width * factor);
  picture.setAttribute("height", isFit ? height : height * factor);
  if (!isFit) {
    const result = picture.querySelector(".proof-result");
    const whole = new Image();
    whole.onload = () => result.setAttribute("href", whole.src);
    whole.src = result.dataset.original;
    const outer = view().getBoundingClientRect();
    view().scrollLeft = across * width * factor - (at ? at.clientX - outer.left : outer.width / 2);
    view().scrollTop = down * height * factor - (at ? at.clientY - outer.top : outer.height / 2);
  }
  const label = document.querySelector("[data-zoom] > span");
  if (label) label.textContent = isFit ? "Zoom" : `${step}00 %`;
}

const next = () => STEPS[(STEPS.indexOf(stage().dataset.step || "fit") + 1) % STEPS.length];

document.addEventListener("click", (event) => {
  const shown = event.target.closest?.("[data-show][role=button]");
  const zoomed = event.target.closest?.("[data-zoom]");
  if (!shown && !zoomed) return;
  event.preventDefault();
  if (shown) show(shown.dataset.show);
  else zoom(next());
});

document.addEventListener("dblclick", (event) => {
  if (event.target.closest?.(".stage-view")) zoom(stage().classList.contains("zoomed") ? "fit" : "1", event);
});

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  const way = ARROWS[event.key];
  if (!way || !stage()?.classList.contains("zoomed") || document.querySelector("dialog:modal")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select")) return;
  event.preventDefault();
  view().scrollBy({ left: way[0] * 120, top: way[1] * 120 });
});

let drag = null;

document.addEventListener("pointerdown", (event) => {
  const within = event.target.closest?.(".stage.zoomed .stage-view");
  // A finger scrolls by itself.
  if (!within || event.button || event.pointerType === "touch") return;
  drag = { x: event.clientX, y: event.clientY, left: within.scrollLeft, top: within.scrollTop };
  within.setPointerCapture(event.pointerId);
  within.classList.add("dragged");
});

document.addEventListener("pointermove", (event) => {
  if (!drag || !view()) return;
  view().scrollLeft = drag.left - (event.clientX - drag.x);
  view().scrollTop = drag.top - (event.clientY - drag.y);
});

for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, () => {
    drag = null;
    view()?.classList.remove("dragged");
  });
}

/* --- a note is sent by Ctrl+Enter ------------------------------------------------------------------------------------- */

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  const button = document.getElementById(event.target.dataset?.sends);
  if (button) {
    event.preventDefault();
    button.click();
  }
});

/* --- each image as it comes: its questions opened, its successor fetched, its claim kept in mind ------------------------ */

const table = () => document.getElementById("table");

function arrive() {
  const here = table();
  if (!here) return;
  for (const asked of here.querySelectorAll("dialog[open]")) {
    asked.close();
    asked.showModal();
  }
  if (here.dataset.preload) new Image().src = here.dataset.preload;
  const shown = proof()?.dataset.show;
  if (shown) load(proof().querySelector(`.proof-${shown}`));
  // On a strip of many the current one may lie out of sight.
  here.querySelector(".strip [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function leave() {
  const here = table();
  if (!here?.dataset.leave) return;
  const form = new FormData();
  form.append("csrfmiddlewaretoken", here.querySelector("[name=csrfmiddlewaretoken]").value);
  navigator.sendBeacon(here.dataset.leave, form);
}

document.addEventListener("htmx:afterSettle", ({ detail }) => detail.target.id === "table" && arrive());
document.addEventListener("htmx:historyRestore", arrive);
addEventListener("pagehide", leave);
arrive();

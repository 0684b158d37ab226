/* An upload says how far it is. Without this module the browser sends the form as it always does. */

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-upload]");
  if (!form || event.defaultPrevented) return;
  event.preventDefault();
  send(form, event.submitter);
});

function send(form, button) {
  const words = form.querySelector("[data-upload-words]");
  const meter = form.querySelector("progress");
  const data = new FormData(form);
  if (button?.name) data.append(button.name, button.value);
  if (button) (button.disabled = true), button.classList.add("busy");
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    if (meter) (meter.hidden = false), (meter.value = total ? loaded / total : 0);
    words.textContent = loaded < total ? `Sending, ${Math.round((100 * loaded) / total)} %` : "Looking at the files";
  });
  request.addEventListener("load", () => show(request, form, button));
  request.addEventListener("error", () => fail(form, button, "The studio cannot be reached. Nothing was changed; try again."));
  request.send(data);
}

function show(request, form, button) {
  if (request.status >= 400) {
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const said = page.querySelector("[data-sentence]")?.textContent.trim();
    return fail(form, button, said || "These files were not taken. Try fewer of them at once.");
  }
  const moved = new URL(request.responseURL);
  // A redirect means that all went well; the page that it led to was read already and is shown as it is.
  if (moved.href !== new URL(form.action).href) history.pushState(null, "", moved);
  replace(request.responseText);
}

function replace(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const main = document.getElementById("main");
  main.replaceChildren(...page.getElementById("main").childNodes);
  document.title = page.title;
  for (const toast of page.querySelectorAll("#toasts > .toast")) document.getElementById("toasts").append(toast);
  window.htmx?.process(main);
  const alert = main.querySelector("[role=alert]");
  (alert || main).scrollIntoView({ block: "start" });
  if (alert) (alert.tabIndex = -1), alert.focus();
}

function fail(form, button, sentence) {
  if (button) (button.disabled = false), button.classList.remove("busy");
  form.querySelector("progress")?.setAttribute("hidden", "");
  form.querySelector("[data-upload-words]").textContent = sentence;
}

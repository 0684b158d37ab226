/* The pictures of the Studio's form: one is sent as soon as it is chosen, dropped or pasted. Without this module a
   button sends it. */

const field = () => document.querySelector("input[type=file][data-reference=base]");

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("[data-reference]") && target.files.length) target.form.requestSubmit();
});

document.addEventListener("paste", (event) => {
  const picture = [...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"));
  const place = field();
  // Text that was copied from a table brings a picture of itself along.
  const isText = event.clipboardData?.types.includes("text/plain") && event.target.closest?.("input, textarea");
  if (!picture || !place || isText) return;
  event.preventDefault();
  const files = new DataTransfer();
  files.items.add(picture);
  place.files = files.files;
  place.form.requestSubmit();
});

document.addEventListener("input", ({ target }) => {
  if (!target.matches?.(".references input[type=range]")) return;
  document.querySelector(`output[for="${target.id}"]`).textContent = Number(target.value).toString();
});

/* Where the settings are folded away, a picture that was just chosen is to be seen. */
document.body.addEventListener("references-changed", () => {
  document.getElementById("settings").open = true;
  document.getElementById("references").scrollIntoView({ block: "nearest" });
});

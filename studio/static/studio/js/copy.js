// Buttons with data-copy="id" copy that field's text; shown only where the browser allows it.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value)
    button.querySelector("span").textContent = "Copied"
  })
}

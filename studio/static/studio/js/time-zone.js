// Chooses the browser's own time zone in a new workspace's form, where the list has it.

for (const form of document.querySelectorAll("[data-own-time-zone]")) {
  const select = document.getElementById(form.dataset.ownTimeZone)
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  if ([...select.options].some((option) => option.value === own)) select.value = own
}

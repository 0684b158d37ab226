// Forms with data-passkey ask the browser for a credential and send it as their hidden field "credential".
// "create" registers a passkey, "get" proves one, "login" proves one whose owner is not known yet.

const WORDS = {
  NotAllowedError: "That did not work: it was canceled, or took too long. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "Passkeys do not work at this address. They need https, or http://localhost.",
  NotSupportedError: "This device cannot make such a passkey. Try without “this key alone”, or another device.",
}
const IS_IP_ADDRESS = /^(\d+\.){3}\d+$|^\[/.test(location.hostname)

/** What keeps passkeys from working in this browser at this address, in words; empty where nothing does. */
function obstacle() {
  if (IS_IP_ADDRESS) {
    const name = location.hostname === "127.0.0.1" ? `http://localhost:${location.port}` : "its host name"
    return `Passkeys need a name in the address. Open this studio by ${name}.`
  }
  if (!window.PublicKeyCredential) return WORDS.SecurityError
  return PublicKeyCredential.parseCreationOptionsFromJSON ? "" : "This browser is too old for passkeys. Update it."
}

function optionsOnPage(form) {
  return JSON.parse(form.querySelector("script[type='application/json']").textContent)
}

async function optionsFor(form) {
  if (form.dataset.passkey === "create") return optionsOnPage(form).creation_options
  if (form.dataset.passkey === "get") return optionsOnPage(form).request_options
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } })
  if (!answer.ok) throw new Error("The studio did not answer. Try again in a minute.")
  return (await answer.json()).request_options
}

async function create(form, { publicKey }) {
  const isAlone = form.elements.passwordless?.checked ?? false
  publicKey.authenticatorSelection = {
    ...publicKey.authenticatorSelection,
    residentKey: isAlone ? "required" : "discouraged",
    requireResidentKey: isAlone,
    ...(isAlone && { userVerification: "required" }),
  }
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
}

async function get({ publicKey }) {
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) })
}

function say(form, sentence) {
  const place = form.querySelector("[role='alert'][hidden], [role='alert'].error")
  place.textContent = sentence
  place.hidden = !sentence
}

async function ask(form) {
  const button = form.querySelector("button")
  button.disabled = true
  say(form, "")
  try {
    const options = await optionsFor(form)
    const credential = form.dataset.passkey === "create" ? await create(form, options) : await get(options)
    form.elements.credential.value = JSON.stringify(credential.toJSON())
    form.submit()
  } catch (error) {
    say(form, WORDS[error.name] ?? error.message)
    button.disabled = false
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-passkey]")) return
  event.preventDefault()
  event.stopImmediatePropagation()
  ask(event.target)
}, { capture: true })

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const reason = obstacle()
  form.querySelector("button").disabled = Boolean(reason)
  if (reason) {
    const place = form.querySelector("[role='alert']")
    place.classList.replace("error", "reason")
    say(form, reason)
  }
}

// What answers to keys, clicks and forms. It runs before the page is drawn, so that whatever can be
// seen answers: a key that came before a deferred script would be lost.
"use strict";

// Send a form only once: a second key press would label the next row unseen.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  const file = form.querySelector("input[type=file][data-most]");
  if (file && file.files[0] && file.files[0].size > Number(file.dataset.most)) {
    event.preventDefault();
    showError(file.dataset.tooLarge);
    return;
  }
  form.dataset.sent = "yes";
  if (form.dataset.busy && event.submitter) event.submitter.textContent = form.dataset.busy;
});
// Browsers can't point at an invalid field that is hidden: show it.
document.addEventListener("invalid", (event) => {
  const details = event.target.closest("details");
  if (details) details.open = true;
}, true);
// After going back in the history, forms can be sent again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;  // a form may be sent before its page has loaded
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

function showError(text) {
  const notices = document.getElementById("notices");
  const notice = document.createElement("div");
  notice.className = "notice bad";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  notices.replaceChildren(notice);
  notice.scrollIntoView({ block: "nearest" });
}

// The second click of a double click may meet the next page, where the button decides another row.
document.addEventListener("click", (event) => {
  if (event.detail > 1 && event.target.closest('form[method="post"] button')) event.preventDefault();
}, true);

// Keyboard shortcuts: an element's `data-keys` names the keys that click it. Off while typing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.getModifierState("AltGraph")) return;
  // A key that an input method takes is not for the page.
  if (event.isComposing || event.key === "Process") return;
  const at = event.target;
  const typing = at.matches("textarea, select, input:not([type=checkbox]):not([type=radio])");
  if (typing) {
    if (event.key === "Escape" || (event.key === "Enter" && "leave" in at.dataset)) at.blur();
    return;
  }
  // Enter in a box presses a form's first button that is not disabled.
  if (event.key === "Enter" && at.matches('form[method="post"] input')) event.preventDefault();
  const keys = namesOfKey(event);
  for (const element of document.querySelectorAll("[data-keys]")) {
    if (!element.dataset.keys.split(" ").some((key) => keys.includes(key))) continue;
    event.preventDefault();
    if (event.repeat) return;
    if (element.matches("input, textarea")) element.focus();
    else element.click();
    return;
  }
});

// What a key types, whatever Caps Lock says. Layouts without Latin letters, or with digits behind
// Shift, type something else: then also what the key types on a US keyboard.
function namesOfKey(event) {
  if (event.key.length > 1) return [event.key];
  const typed = event.key.toLowerCase();
  if (event.shiftKey) return /[a-z]/.test(typed) ? [] : [typed];
  const place = /^(?:Key|Digit)([A-Z0-9])$/.exec(event.code);
  return place && !/[a-z0-9]/.test(typed) ? [typed, place[1].toLowerCase()] : [typed];
}

// A <details> that remembers whether it was open; desk.js opens it again.
document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (!details.matches("details[data-remember]")) return;
  const key = "open:" + details.dataset.remember;
  try { localStorage.setItem(key, details.open ? "yes" : "no"); } catch { /* not allowed */ }
}, true);

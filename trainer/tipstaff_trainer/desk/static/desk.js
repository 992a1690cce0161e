// Conveniences: every page works without scripts.
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
window.addEventListener("pageshow", () => {
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

// A note that is not stored yet outlives skipping, going back and undoing.
for (const field of document.querySelectorAll("[data-draft]")) {
  const key = "draft:" + field.dataset.draft;
  try { field.value = sessionStorage.getItem(key) ?? field.value; } catch { /* not allowed */ }
  field.addEventListener("input", () => {
    try { sessionStorage.setItem(key, field.value); } catch { /* not allowed */ }
  });
}

// A <details> that remembers whether it was open.
for (const details of document.querySelectorAll("details[data-remember]")) {
  const key = "open:" + details.dataset.remember;
  try { if (localStorage.getItem(key) === "yes") details.open = true; } catch { /* not allowed */ }
  details.addEventListener("toggle", () => {
    try { localStorage.setItem(key, details.open ? "yes" : "no"); } catch { /* not allowed */ }
  });
}

// Parts of a page that are reloaded while a job runs.
const FOCUSABLE = "a, button, summary, [tabindex]";
for (const part of document.querySelectorAll("[data-renew]")) {
  const renew = async () => {
    let pause = Number(part.dataset.every || 1500);
    try {
      const answer = await fetch(part.dataset.renew, { headers: { accept: "text/html" } });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.ok) {
        const text = await answer.text();
        const log = part.querySelector("pre");
        const below = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
        const open = [...part.querySelectorAll("details")].map((each) => each.open);
        const focused = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
        part.innerHTML = text;
        part.querySelectorAll(FOCUSABLE)[focused]?.focus({ preventScroll: true });
        part.querySelectorAll("details").forEach((each, index) => { each.open = open[index] ?? each.open; });
        const newLog = part.querySelector("pre");
        if (newLog && below) newLog.scrollTop = newLog.scrollHeight;
        // The job has ended: the whole page changes.
        if (part.querySelector("[data-ended]")) { location.reload(); return; }
      }
    } catch { pause = 4000; /* the desk may come back */ }
    if (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
    setTimeout(renew, pause);
  };
  setTimeout(renew, Number(part.dataset.every || 1500));
}
// Makes scrollable boxes reachable by keyboard in every browser.
for (const box of document.querySelectorAll(".scroll, .text")) {
  const more = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1;
  if (more && !box.querySelector("a, button, input")) box.tabIndex = 0;
}
for (const log of document.querySelectorAll("pre[data-end]")) log.scrollTop = log.scrollHeight;

// Files dropped on the upload form.
for (const drop of document.querySelectorAll(".drop")) {
  const input = drop.querySelector("input[type=file]");
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, () => drop.classList.remove("over"));
  }
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
}

// A choice that reloads the form at once, even if other fields are still empty.
for (const select of document.querySelectorAll("select[data-go]")) {
  select.addEventListener("change", () => {
    const choose = document.createElement("button");
    choose.formNoValidate = choose.hidden = true;
    choose.name = "action";
    choose.value = "choose";
    select.form.append(choose);
    select.form.requestSubmit(choose);
  });
}

// A page that waits for something reloads once it is ready.
for (const waiting of document.querySelectorAll("[data-until]")) {
  const look = async () => {
    try {
      const answer = await fetch(waiting.dataset.until);
      if (answer.ok && (await answer.text()) === "yes") { location.reload(); return; }
    } catch { /* the desk may come back */ }
    setTimeout(look, 700);
  };
  setTimeout(look, 700);
}

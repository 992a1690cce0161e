// Conveniences: every page works without scripts. What answers to keys and clicks is in early.js.
"use strict";

// A note that is not stored yet outlives skipping, going back and undoing.
for (const field of document.querySelectorAll("[data-draft]")) {
  const key = "draft:" + field.dataset.draft;
  try { field.value = sessionStorage.getItem(key) ?? field.value; } catch { /* not allowed */ }
  field.addEventListener("input", () => {
    try { sessionStorage.setItem(key, field.value); } catch { /* not allowed */ }
  });
}

// A <details> that early.js remembers as open.
for (const details of document.querySelectorAll("details[data-remember]")) {
  const key = "open:" + details.dataset.remember;
  try { if (localStorage.getItem(key) === "yes") details.open = true; } catch { /* not allowed */ }
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

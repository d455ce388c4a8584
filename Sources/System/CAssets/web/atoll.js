// SPDX-License-Identifier: Apache-2.0
// Makes some pages more pleasant; all of them work without it.
"use strict";

(() => {
  // Moments in the visitor's own time; the page has them in UTC.
  const localize = (root) => {
    const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    for (const time of root.querySelectorAll("time[data-local]")) {
      const moment = new Date(time.dateTime);
      if (!Number.isNaN(moment.getTime())) {
        time.title = time.dateTime;
        time.textContent = format.format(moment);
      }
    }
  };

  // Menus close when one clicks elsewhere or presses Escape, which gives the focus back to what opened them.
  const menus = document.querySelectorAll("details[data-menu]");
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus) {
      if (!menu.open) continue;
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // Control and Return send a form from a text of several lines.
  for (const area of document.querySelectorAll("textarea[data-submit-with-control]")) {
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) area.form.requestSubmit();
    });
  }

  // A form that was sent cannot be sent again while its answer is on its way.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // Progress: each event of the run has the part of the page that shows it loaded anew.
  const follow = () => {
    const part = document.querySelector("[data-follow]");
    if (!part) return;
    const source = new EventSource(part.dataset.follow);
    const refresh = async () => {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return location.reload();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(part.id);
      const old = document.getElementById(part.id);
      if (!fresh || !old) return location.reload();
      old.replaceChildren(...fresh.childNodes);
      localize(old);
      if (!fresh.hasAttribute("data-follow")) source.close();
    };
    source.addEventListener("setup", refresh);
    // The stream has ended: the page says how.
    source.addEventListener("error", () => {
      source.close();
      refresh();
    });
  };

  localize(document);
  follow();
})();

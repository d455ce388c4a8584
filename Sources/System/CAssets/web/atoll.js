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

  // On a phone the navigation at the side is a row that scrolls: what is current is in sight.
  const current = document.querySelector(".side a[aria-current]");
  if (current) current.scrollIntoView({ block: "nearest", inline: "center" });

  // Control and Return send a form from a text of several lines.
  for (const area of document.querySelectorAll("textarea[data-submit-with-control]")) {
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) area.form.requestSubmit();
    });
  }

  // Who types a value does not mean NULL.
  for (const box of document.querySelectorAll("input[data-null-of]")) {
    document.getElementById(box.dataset.nullOf).addEventListener("input", () => (box.checked = false));
  }

  // A file that is too large is not sent first.
  for (const input of document.querySelectorAll("input[data-max-bytes]")) {
    input.addEventListener("change", () => {
      const isTooLarge = [...input.files].some((file) => file.size > Number(input.dataset.maxBytes));
      input.setCustomValidity(isTooLarge ? input.dataset.tooLarge : "");
      input.reportValidity();
    });
  }

  // Keys of the browser (Web Authentication): a form asks the server what to ask a key for, and goes out with the key's answer.
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const forBrowser = (options) => {
    const named = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));
    const decoded = { ...options, challenge: bytes(options.challenge) };
    if (options.user) decoded.user = { ...options.user, id: bytes(options.user.id) };
    if (options.excludeCredentials) decoded.excludeCredentials = named(options.excludeCredentials);
    if (options.allowCredentials) decoded.allowCredentials = named(options.allowCredentials);
    return decoded;
  };
  const forServer = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    };
  };
  // What a proof of a human gave elsewhere in the page; it counts once.
  const proofs = () => document.querySelectorAll("[name='cf-turnstile-response'], [name='h-captcha-response']");
  const askKey = async (form) => {
    const fields = new URLSearchParams(new FormData(form));
    for (const proof of proofs()) fields.set(proof.name, proof.value);
    const answer = await fetch(form.dataset.ceremony, { method: "POST", body: fields, redirect: "manual" });
    // Whoever was signed out meanwhile signs in again.
    if (answer.type === "opaqueredirect") return location.reload();
    const asked = await answer.json();
    if (!answer.ok) throw { message: asked.problem };
    const options = { publicKey: forBrowser(asked.publicKey) };
    const keys = navigator.credentials;
    const credential = await (asked.kind === "create" ? keys.create(options) : keys.get(options));
    for (const [name, value] of Object.entries(asked.fields)) form.elements[name].value = value;
    form.elements.credential.value = JSON.stringify(forServer(credential));
    form.requestSubmit();
  };
  const problemOf = (error, form) => {
    if (error.name === "NotAllowedError" || error.name === "AbortError") return form.dataset.cancelled;
    if (error.name === "InvalidStateError") return form.dataset.known;
    if (error.name === "SecurityError") return form.dataset.elsewhere;
    return (!(error instanceof Error) && error.message) || form.dataset.failed;
  };
  for (const form of document.querySelectorAll("form[data-ceremony]")) {
    if (!window.PublicKeyCredential) {
      form.parentElement.querySelector("[data-without-keys]").hidden = false;
      continue;
    }
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (form.elements.credential.value) return;
      event.preventDefault();
      const problem = form.querySelector("[data-problem]");
      const button = form.querySelector("button");
      problem.hidden = true;
      button.disabled = true;
      try {
        await askKey(form);
      } catch (error) {
        problem.textContent = problemOf(error, form);
        problem.hidden = false;
        for (const widget of [window.turnstile, window.hcaptcha]) if (widget) widget.reset();
      }
      button.disabled = false;
    });
  }

  // What cannot be undone is asked about. A form that was sent cannot be sent again while its answer is on its way.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.target || event.defaultPrevented) return;
    if (form.dataset.asks && !form.dataset.sent && !confirm(form.dataset.asks)) return event.preventDefault();
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) {
      delete form.dataset.sent;
      if (form.dataset.ceremony) form.elements.credential.value = "";
    }
  });

  // Progress: a part of the page is loaded anew with each event of a stream, or every so many seconds.
  const refresh = async (id) => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById(id);
    const old = document.getElementById(id);
    if (!fresh || !old) return location.reload();
    // What is typed and where the focus is stays where nothing has changed.
    if (fresh.innerHTML !== old.innerHTML) old.replaceChildren(...fresh.childNodes);
    localize(old);
    return fresh;
  };
  const follow = () => {
    const part = document.querySelector("[data-follow]");
    if (!part) return;
    const source = new EventSource(part.dataset.follow);
    const changed = async () => {
      const fresh = await refresh(part.id);
      if (fresh && !fresh.hasAttribute("data-follow")) source.close();
    };
    source.addEventListener("setup", changed);
    // The stream has ended: the page says how.
    source.addEventListener("error", () => {
      source.close();
      refresh(part.id);
    });
  };
  const poll = () => {
    const part = document.querySelector("[data-poll]");
    if (!part) return;
    const again = async () => {
      const fresh = await refresh(part.id).catch(() => part);
      if (!fresh) return;
      if (!fresh.hasAttribute("data-poll")) return location.reload();
      setTimeout(again, Number(part.dataset.poll) * 1000);
    };
    setTimeout(again, Number(part.dataset.poll) * 1000);
  };

  localize(document);
  follow();
  poll();
})();

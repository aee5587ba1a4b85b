// The small behaviours of every page, each declared in the markup by a data attribute.
"use strict";
const Gapless = window.Gapless = {
  skew_ms: 0,
  now() { return Date.now() + this.skew_ms; },
  clock(at) { return new Date(at).toISOString().slice(11, 19); },
  age(seconds) {
    const s = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
    if (s < 60) return `${s}s`;
    if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
    if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
    return `${Math.floor(s / 86400)}d ${Math.floor(s / 3600) % 24}h`;
  },
  showAge(time) {
    const text = Gapless.age((Gapless.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  },
  announce(text) { const place = document.getElementById("announcer"); if (place) place.textContent = text; },
  flash(title, text, level = "error") {
    const note = document.createElement("div");
    note.className = "flash";
    note.dataset.level = level;
    note.innerHTML = '<p><strong></strong> <span></span></p><button class="button button-quiet button-small" type="button" data-dismiss aria-label="Dismiss">×</button>';
    note.querySelector("strong").textContent = title;
    note.querySelector("span").textContent = text;
    document.getElementById("flash").append(note);
  },
};
(() => {
  const root = document.documentElement;
  const stored = (name, value) => { try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); } catch { return null; } };
  const each = (selector, act, within = document) => within.querySelectorAll(selector).forEach(act);
  const go = { o: "/orders/", d: "/dead-letters/", b: "/breaks/", v: "/venues/", r: "/risk/" };
  let prefixAt = 0;

  function tick() {
    each("time[data-age]", Gapless.showAge);
    each("[data-clock] strong", (clock) => { clock.textContent = Gapless.clock(Gapless.now()); });
  }

  function showChoices() {
    each("[data-theme-set]", (button) => button.setAttribute("aria-pressed", String(button.dataset.themeSet === (root.dataset.theme ?? "auto"))));
    each("[data-shortcuts-toggle] span", (word) => { word.textContent = stored("shortcuts") === "off" ? "off" : "on"; });
  }

  function showConfirmation(input) {
    const matches = input.value === input.dataset.confirmText;
    each("button[type=submit]", (button) => { button.disabled = !matches; }, input.form);
  }

  function showSelection() {
    const selected = document.querySelectorAll("input[data-select]:checked").length;
    each("[data-selected-count]", (place) => { place.textContent = selected; });
    each("[data-selection-bar]", (bar) => { bar.hidden = selected === 0; });
  }

  const clicks = {
    async copy(button) {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.copied = "";
      Gapless.announce("Copied");
      setTimeout(() => button.removeAttribute("data-copied"), 1200);
    },
    dialogOpen(button) { document.getElementById(button.dataset.dialogOpen)?.showModal(); },
    dialogClose(button) { button.closest("dialog").close(); },
    dismiss(button) { button.parentElement.remove(); },
    pause() { document.dispatchEvent(new Event("gapless:pause")); },
    print() { window.print(); },
    toggle(button) {
      const open = document.getElementById(button.dataset.toggle).toggleAttribute("data-open");
      button.setAttribute("aria-expanded", String(open));
    },
    themeSet(button) {
      if (button.dataset.themeSet === "auto") delete root.dataset.theme; else root.dataset.theme = button.dataset.themeSet;
      stored("theme", button.dataset.themeSet);
      showChoices();
    },
    shortcutsToggle() { stored("shortcuts", stored("shortcuts") === "off" ? "on" : "off"); showChoices(); },
  };
  const attribute = (name) => `data-${name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase())}`;

  document.addEventListener("click", (event) => {
    each("details.menu[open]", (menu) => { if (!menu.contains(event.target)) menu.open = false; });
    for (const [name, act] of Object.entries(clicks)) {
      const source = event.target.closest(`[${attribute(name)}]`);
      if (source) act(source);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.dataset.confirmText !== undefined) showConfirmation(event.target);
    if (event.target.matches("[data-select-all]")) each("input[data-select]", (box) => { box.checked = event.target.checked; }, event.target.closest("table"));
    if (event.target.matches("[data-select-all], [data-select]")) showSelection();
  });
  // A second click must not send a second command; the server is idempotent as well.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (event.defaultPrevented || !button || event.target.method !== "post") return;
    setTimeout(() => { button.disabled = true; button.setAttribute("aria-busy", "true"); });
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const current = () => document.querySelector("tr[data-current]");
  function step(by) {
    const all = [...document.querySelectorAll("tr[data-href]")], next = all[Math.min(all.length - 1, Math.max(0, all.indexOf(current()) + by))];
    current()?.removeAttribute("data-current");
    next?.setAttribute("data-current", "");
    next?.scrollIntoView({ block: "nearest" });
  }
  // A key of the page itself: marked in the markup, it focuses a field, or presses a button on what is selected.
  function press(key) {
    const target = document.querySelector(`[data-key="${key}"]`);
    if (!target || target.disabled) return;
    if (target.closest("[data-selection-bar]") && !document.querySelector("input[data-select]:checked")) keys.x();
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    if (target.matches("button, a")) { if (target.checkVisibility()) target.click(); } else target.focus();
  }
  const keys = {
    "/": () => document.querySelector("[data-filter]")?.focus(),
    "?": () => document.getElementById("help")?.showModal(),
    g: () => { prefixAt = Date.now(); },
    p: () => clicks.pause(),
    j: () => step(1),
    k: () => step(-1),
    ...Object.fromEntries(["a", "e", "s"].map((key) => [key, () => press(key)])),
    x: () => current()?.querySelector("input[data-select]")?.click(),
    Enter: () => { if (document.activeElement === document.body && current()) location.assign(current().dataset.href); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") each("details.menu[open]", (menu) => { menu.open = false; });
    const typing = event.target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea, dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || stored("shortcuts") === "off") return;
    const prefixed = Date.now() - prefixAt < 1200;
    const act = prefixed && go[event.key] ? () => location.assign(go[event.key]) : keys[event.key];
    if (event.key !== "g") prefixAt = 0;
    if (!act) return;
    if (event.key !== "Enter") event.preventDefault();
    act();
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    each("[data-confirm-text]", showConfirmation);
    showSelection();
    if (event.detail.target.id === "dialog" && !event.detail.target.open) event.detail.target.showModal();
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.requestConfig.headers["X-Live"]) return;
    Gapless.flash(`The server answered ${event.detail.xhr.status}.`, "It may or may not have been recorded: look at the current state before you repeat it.");
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, (event) => {
    if (event.detail.requestConfig.headers["X-Live"]) return;
    Gapless.flash("No answer from the server.", "It may or may not have been recorded: look at the current state before you repeat it.");
  });

  each("[data-confirm-text]", showConfirmation);
  showChoices();
  showSelection();
  tick();
  setInterval(tick, 1000);
})();

// How a fresh fragment enters the page: what the reader touched stays, what changed flashes once.
"use strict";
(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const keptAttributes = { open: "details, dialog", "data-open": "*", "aria-expanded": "[data-toggle]", "data-current": "*", "data-stale": "*" };

  function dirty(input) {
    if (input.type === "checkbox" || input.type === "radio") return input.checked !== input.defaultChecked;
    if (input.tagName === "SELECT") return [...input.options].some((option) => option.selected !== option.defaultSelected);
    return input.value !== input.defaultValue;
  }

  function changed(element, fresh) {
    return element.textContent.trim() !== fresh.textContent.trim() && !element.querySelector("time[data-age], input, select");
  }

  function flash(element) {
    if (calm.matches) return;
    const colour = getComputedStyle(element).getPropertyValue("--flash");
    element.animate([{ backgroundColor: colour }, {}], { duration: 600, easing: "ease-out" });
  }

  Object.assign(Idiomorph.defaults.callbacks, {
    beforeNodeMorphed(element, fresh) {
      if (element.nodeType !== Node.ELEMENT_NODE || fresh.nodeType !== Node.ELEMENT_NODE) return true;
      if (element.hasAttribute("data-live-keep")) return false;
      if (element.matches("input:not([type=hidden]), select, textarea")) return element !== document.activeElement && !dirty(element);
      if (element.matches("time[data-age]")) {
        for (const name of ["datetime", "title"]) element.setAttribute(name, fresh.getAttribute(name) ?? "");
        Gapless.showAge(element);
        return false;
      }
      if (element.matches("td, .figure, [data-flash]") && changed(element, fresh)) flash(element);
      return true;
    },
    beforeAttributeUpdated(name, element) {
      return !(name in keptAttributes && element.matches(keptAttributes[name]));
    },
  });
})();

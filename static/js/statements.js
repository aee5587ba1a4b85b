// The preview of a statement: the beginning of the chosen file is sent, and shown as it will be read.
"use strict";
(() => {
  const BYTES = 512 * 1024 - 2;  // even, for a text of two bytes a sign; the server reads no more than 512 KiB
  const form = document.querySelector("[data-statement-preview]"), place = document.getElementById("statement-preview");
  if (!form || !place) return;
  let asked = 0;
  async function show() {
    const file = form.elements.file.files[0], mine = ++asked;
    if (!file || !form.elements.account.value) return;
    const sent = new FormData();
    sent.set("account", form.elements.account.value);
    sent.set("mapping", form.elements.mapping.value);
    sent.set("is_partial", file.size > BYTES ? "1" : "");
    sent.set("file", file.slice(0, BYTES), file.name);
    const token = form.elements.csrfmiddlewaretoken.value;
    try {
      const answer = await fetch(form.dataset.statementPreview, { method: "POST", body: sent, headers: { "X-CSRFToken": token } });
      if (mine !== asked) return;
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      place.innerHTML = await answer.text();
      Gapless.announce("Preview shown");
    } catch (error) {
      if (mine === asked) Gapless.flash("No preview", `${error.message}. Nothing was imported; choose the file again.`);
    }
  }
  for (const name of ["account", "mapping", "file"]) form.elements[name].addEventListener("change", show);
  show();
})();

// What pages do beyond links and forms. Everything works by attributes in the markup.
(() => {
  "use strict";

  const say = (text) => {
    const place = document.getElementById("notices");
    const template = document.getElementById("notice");
    if (!place || !template || place.textContent.includes(text)) return;
    const notice = template.content.cloneNode(true);
    notice.querySelector("[data-text]").textContent = text;
    place.append(notice);
  };

  // --- Fragments that could not be fetched.
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt } = event.detail;
    if (xhr.status === 404 && elt.hasAttribute("data-live")) {
      const gone = document.getElementById("gone");
      elt.replaceWith(gone.content.cloneNode(true)); // which also ends its polling
      return;
    }
    say(`The server answered ${xhr.status}. What you see may be old.`);
  });
  document.addEventListener("htmx:sendError", () => {
    say("The server cannot be reached. What you see may be old.");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) document.getElementById("notices")?.replaceChildren();
  });

  // --- What is too wide to fit is scrolled by the arrow keys.
  const reach = () => {
    document.querySelectorAll(".table-responsive").forEach((region) => {
      const wide = region.scrollWidth > region.clientWidth;
      region.toggleAttribute("tabindex", wide);
      if (wide) region.setAttribute("tabindex", "0");
    });
  };
  document.addEventListener("DOMContentLoaded", reach);
  document.addEventListener("htmx:afterSettle", reach);
  window.addEventListener("resize", reach);

  // --- A preview is one of the form as it was: whoever goes on writing looks at it no more.
  for (const kind of ["input", "change", "click"]) {
    document.addEventListener(kind, (event) => {
      const target = event.target.closest?.("form");
      const edits = kind !== "click" || event.target.closest("[data-remove], [data-add-row], [data-add]");
      if (target && edits) target.querySelector("[data-plan]")?.replaceChildren();
    });
  }

  // --- Rows of inputs.
  document.addEventListener("click", (event) => {
    const add = event.target.closest("[data-add-row]");
    if (add) {
      const rows = add.closest("[data-rows]");
      const blank = rows.querySelector("template").content.cloneNode(true);
      const list = rows.querySelector("[data-row-list]");
      list.append(blank);
      list.lastElementChild.querySelector("input, select").focus();
    }
    const remove = event.target.closest("[data-remove]");
    if (remove) {
      const item = remove.closest(remove.dataset.remove);
      const next = item.parentElement;
      item.remove();
      const focus = next.parentElement?.querySelector("[data-add-row], [data-add]");
      if (focus) focus.focus();
    }
  });

  // --- Copy, download, close.
  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const source = document.getElementById(copy.dataset.copy);
      const said = copy.querySelector("[data-said]");
      try {
        await navigator.clipboard.writeText(source.value ?? source.textContent);
        said.textContent = "Copied";
      } catch {
        source.focus();
        if (source.select) source.select();
        said.textContent = "Press Ctrl+C";
      }
      setTimeout(() => (said.textContent = copy.dataset.label), 2500);
    }
    const download = event.target.closest("[data-download]");
    if (download) {
      const source = document.getElementById(download.dataset.download);
      const text = new Blob([source.value ?? source.textContent], { type: "application/yaml" });
      const link = document.createElement("a");
      link.href = URL.createObjectURL(text);
      link.download = download.dataset.filename;
      link.click();
      URL.revokeObjectURL(link.href);
    }
    event.target.closest("[data-dismiss]")?.closest(".alert")?.remove();
  });

  // --- A form that was sent says so, and is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.classList.add("btn-loading");
    event.submitter?.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.querySelectorAll(".btn-loading").forEach((button) => {
        button.classList.remove("btn-loading");
        button.removeAttribute("aria-busy");
      });
    });
  });

  // --- Filters apply as they are chosen; "/" goes to the search.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-apply]")) event.target.form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const search = document.getElementById("search");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });
})();

// Chooses the theme before anything is drawn: what was chosen here, else the system's.
(() => {
  "use strict";
  const key = "kubenova-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be switched off
    }
  };
  const apply = () => {
    const theme = stored() || (system.matches ? "dark" : "light");
    document.documentElement.setAttribute("data-bs-theme", theme);
    return theme;
  };
  const toggle = () => {
    const wanted = apply() === "dark" ? "light" : "dark";
    const follows = wanted === (system.matches ? "dark" : "light");
    try {
      if (follows) localStorage.removeItem(key);
      else localStorage.setItem(key, wanted);
    } catch {
      document.documentElement.setAttribute("data-bs-theme", wanted);
      return;
    }
    apply();
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-toggle-theme]")) toggle();
  });
})();

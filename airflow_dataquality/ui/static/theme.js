// Before the first paint: the theme that Airflow's own pages have. They keep the choice here, and "system" as such.
(function () {
  "use strict";
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    var chosen = null;
    try { chosen = window.localStorage.getItem("theme"); } catch (_) { /* storage may be forbidden */ }
    var dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", function (event) { if (event.key === "theme") { apply(); } });
})();

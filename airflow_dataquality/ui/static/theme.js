// Before the first paint: whether we are in Airflow's frame, and the theme of its own pages, which keep the choice here, also
// "system" as such.
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
  // Inside Airflow's frame the bar leaves out what is around it already.
  var framed = false;
  try { framed = window.parent !== window && Boolean(window.parent.document); } catch (_) { /* another site's frame */ }
  document.documentElement.classList.toggle("framed", framed);
  system.addEventListener("change", apply);
  window.addEventListener("storage", function (event) { if (event.key === "theme") { apply(); } });
})();

// The theme of whoever reads, before the first paint; and the search, which needs no server.
(function () {
  "use strict";
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() { document.documentElement.dataset.theme = system.matches ? "dark" : "light"; }
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", function () {
    var field = document.getElementById("q");
    if (!field) { return; }
    field.form.hidden = false;
    field.form.addEventListener("submit", function (event) { event.preventDefault(); });
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/);
      document.querySelectorAll("tr[data-words]").forEach(function (row) {
        var text = row.dataset.words.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      });
    });
  });
})();

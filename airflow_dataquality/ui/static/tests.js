// The form of a test: shows the parameters of the chosen number, and has nothing saved that was not previewed.
(function () {
  "use strict";
  var form = document.querySelector("form.test-form");
  if (!form) { return; }
  var check = document.getElementById("check");
  var docs = document.getElementById("check-docs");
  docs = docs ? JSON.parse(docs.textContent) : {};

  function chosen() {
    form.querySelectorAll("[data-for]").forEach(function (part) {
      part.hidden = part.dataset.for.split(" ").indexOf(check.value) < 0;
    });
    document.getElementById("check-doc").textContent = docs[check.value] || "";
  }
  if (check) { check.addEventListener("change", chosen); chosen(); }

  var bound = ["equal_to", "geq_to", "greater_than", "leq_to", "less_than", "tolerance"];
  var past = ["method", "threshold", "direction", "window", "min_history"];
  form.addEventListener("input", function (event) {
    var kind = bound.indexOf(event.target.name) >= 0 ? "condition" : past.indexOf(event.target.name) >= 0 ? "baseline" : null;
    var radio = kind && form.querySelector("input[name=judged][value=" + kind + "]");
    if (radio) { radio.checked = true; }
    stale(event);
  });
  form.addEventListener("change", stale);

  // Words about the test are no part of what was previewed.
  var free = ["name", "description", "owner", "tags", "note", "days", "until"];
  function stale(event) {
    var save = document.getElementById("save");
    if (!save || free.indexOf(event.target.name) >= 0) { return; }
    save.disabled = true;
    document.getElementById("stale").hidden = false;
  }

  form.addEventListener("submit", function (event) {
    var button = event.submitter;
    if (button && button.dataset.busy) { button.textContent = button.dataset.busy; }
    form.setAttribute("aria-busy", "true");
  });
})();

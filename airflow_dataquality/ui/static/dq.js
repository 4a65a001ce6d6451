// What the pages do beyond links and forms: ways out of Airflow's frame, and questions before what is final.
(function () {
  "use strict";

  var framed = document.documentElement.classList.contains("framed");

  // A sandboxed frame may not lead its window elsewhere, but the window's own links may.
  function follow(link, elsewhere) {
    var outer = window.parent.document.createElement("a");
    outer.href = link.href;
    if (elsewhere) { outer.target = "_blank"; outer.rel = "noopener"; }
    window.parent.document.body.appendChild(outer);
    outer.click();
    outer.remove();
  }

  document.addEventListener("click", function (event) {
    var link = event.target.closest ? event.target.closest("a[href]") : null;
    if (!link || !framed || event.defaultPrevented || event.button > 1) { return; }
    var elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    if (link.hasAttribute("data-airflow") || elsewhere) {
      event.preventDefault();
      follow(link, elsewhere);
    }
  });

  // data-confirm on a button or a form: a question before what cannot be undone.
  document.addEventListener("submit", function (event) {
    var asker = event.submitter && event.submitter.dataset.confirm ? event.submitter : event.target;
    var question = asker.dataset.confirm;
    if (question && asker.dataset.confirmed !== "yes") {
      event.preventDefault();
      ask(question, function () {
        asker.dataset.confirmed = "yes";
        event.target.requestSubmit(event.submitter || undefined);
      });
    }
  });

  // A dialog of our own: a sandboxed frame may not open the browser's.
  function ask(question, then) {
    var dialog = document.createElement("dialog");
    dialog.className = "ask";
    var text = document.createElement("p");
    text.textContent = question;
    var row = document.createElement("div");
    row.className = "row";
    [["Cancel", ""], ["Continue", "primary"]].forEach(function (choice) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = choice[0];
      button.className = choice[1];
      button.addEventListener("click", function () {
        dialog.close();
        if (choice[1]) { then(); }
      });
      row.appendChild(button);
    });
    dialog.append(text, row);
    dialog.addEventListener("close", function () { dialog.remove(); });
    document.body.appendChild(dialog);
    dialog.showModal();
  }

  // data-submits: a select or a checkbox that sends its form, which has a button for those without JavaScript.
  document.addEventListener("change", function (event) {
    if (event.target.matches && event.target.matches("[data-submits]")) { event.target.form.requestSubmit(); }
  });
})();

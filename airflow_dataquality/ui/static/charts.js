// Charts of the JSON in figures: a series, the band of what was expected, and marks where it was left.
(function () {
  "use strict";

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function times(values) {
    var found = values.map(function (value) {
      return typeof value === "number" ? value : Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(value) ? value + "T00:00Z" : value) / 1000;
    });
    var rising = found.every(function (value, at) { return isFinite(value) && (at === 0 || value > found[at - 1]); });
    return rising ? found : null;
  }

  function shape(context, status, x, y, size) {
    context.beginPath();
    if (status === "warn") {
      context.moveTo(x, y - size); context.lineTo(x + size, y + size * 0.8); context.lineTo(x - size, y + size * 0.8);
    } else if (status === "fail" || status === "blocked") {
      context.rect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
    } else if (status === "error") {
      context.moveTo(x - size, y - size); context.lineTo(x + size, y + size);
      context.moveTo(x + size, y - size); context.lineTo(x - size, y + size);
      context.lineWidth = size * 0.6; context.stroke();
      return;
    } else {
      context.arc(x, y, size * 0.6, 0, 2 * Math.PI);
    }
    context.closePath();
    context.fill();
  }

  function marks(data) {
    return function (plot) {
      var context = plot.ctx, scale = window.devicePixelRatio || 1;
      context.save();
      data.y.forEach(function (value, at) {
        var status = (data.status || [])[at];
        if (value === null || value === undefined) { return; }
        context.fillStyle = context.strokeStyle = colour(status || "accent") || colour("accent");
        var loud = status && status !== "pass" && status !== "published" && status !== "skip";
        shape(context, status, plot.valToPos(plot.data[0][at], "x", true), plot.valToPos(value, "y", true), (loud ? 6 : 4) * scale);
      });
      context.restore();
    };
  }

  function words(data, at, format) {
    if (data.title && data.title[at]) { return data.title[at]; }
    var text = data.x[at] + ": " + format(data.y[at]) + (data.unit ? " " + data.unit : "");
    var low = (data.low || [])[at], high = (data.high || [])[at];
    if (low === null || low === undefined) { low = undefined; }
    if (high === null || high === undefined) { high = undefined; }
    if (low !== undefined || high !== undefined) {
      text += "; expected " + (low === undefined ? "at most " + format(high)
        : high === undefined ? "at least " + format(low) : format(low) + " to " + format(high));
    }
    return text;
  }

  // Without what has no number at either end: a chart is as wide as what there is to see.
  function numbers(data) {
    var drawn = ["y", "low", "high", "expected"];
    function seen(at) { return drawn.some(function (name) { return data[name] && typeof data[name][at] === "number"; }); }
    var first = 0, last = data.x.length;
    while (first < last && !seen(first)) { first += 1; }
    while (last > first && !seen(last - 1)) { last -= 1; }
    drawn.concat("x", "status", "title", "href").forEach(function (name) {
      if (first < last && data[name]) { data[name] = data[name].slice(first, last); }
    });
    return data;
  }

  function draw(holder) {
    var figure = holder.closest("figure");
    if (figure.querySelector(".uplot")) { return; }
    var data = numbers(JSON.parse(holder.textContent));
    var x = times(data.x);
    var format = new Intl.NumberFormat("en", {maximumSignificantDigits: 6}).format;
    var none = data.x.map(function () { return null; });
    // An interval with one end is a band to the edge of the chart.
    function edge(name, other, end) {
      return (data[name] || none).map(function (value, at) {
        var open = typeof value !== "number" && data[other] && typeof data[other][at] === "number";
        return open && data.range ? data.range[end] : value;
      });
    }
    var box = document.createElement("div");
    box.className = "hint-box";
    box.hidden = true;
    figure.appendChild(box);
    var axis = {stroke: function () { return colour("muted"); }, grid: {stroke: function () { return colour("line"); }, width: 1},
      ticks: {stroke: function () { return colour("line"); }, width: 1}};
    var dates = {values: [[31536000, "{YYYY}", null, null, null, null, null, null, 1],
      [86400, "{MMM} {D}", "\n{YYYY}", null, null, null, null, null, 1],
      [60, "{HH}:{mm}", "\n{MMM} {D} {YYYY}", null, "\n{MMM} {D}", null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", "\n{MMM} {D} {YYYY}", null, "\n{MMM} {D}", null, null, null, 1]]};
    // No hours between what is of days, and no years around what is alone.
    if (x && x.every(function (at) { return at % 86400 === 0; })) { dates.incrs = [1, 2, 7, 14, 28, 91, 182, 365, 730, 1826].map(function (days) { return days * 86400; }); }
    var alone = x && x.length === 1 ? [x[0] - 259200, x[0] + 259200] : null;
    var ordinal = {values: function (_, ticks) { return ticks.map(function (at) { return data.x[at] === undefined ? "" : data.x[at]; }); }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]};
    var plot = new window.uPlot({
      width: Math.max(200, figure.clientWidth - 28), height: Number(figure.dataset.height) || 280,
      legend: {show: false}, tzDate: function (seconds) { return window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"); },
      cursor: {drag: {x: true, y: false}},
      scales: {x: Object.assign({time: Boolean(x)}, alone ? {range: alone} : {}), y: data.range ? {range: data.range} : {}},
      axes: [Object.assign({}, axis, x ? dates : ordinal), Object.assign({size: 64, values: function (_, ticks) { return ticks.map(format); }}, axis)],
      series: [{},
        {label: "low", stroke: function () { return colour("band") + "66"; }, width: 1, points: {show: false}},
        {label: "high", stroke: function () { return colour("band") + "66"; }, width: 1, points: {show: false}},
        {label: "expected", stroke: function () { return colour("muted"); }, dash: [4, 4], width: 1, points: {show: false}},
        {label: data.label || "value", stroke: function () { return colour("accent"); }, width: 1.5, points: {show: false}}],
      bands: [{series: [2, 1], fill: function () { return colour("band") + "26"; }}],
      hooks: {
        draw: [marks(data)],
        setCursor: [function (plot) {
          var at = plot.cursor.idx;
          box.hidden = at === null || at === undefined || plot.cursor.left < 0;
          if (box.hidden) { return; }
          box.textContent = words(data, at, format);
          var left = plot.bbox.left / window.devicePixelRatio + plot.cursor.left;
          box.style.top = "10px";
          box.style.left = Math.min(left + 24, figure.clientWidth - box.offsetWidth - 8) + "px";
        }],
      },
    }, [x || data.x.map(function (_, at) { return at; }), edge("low", "high", 0), edge("high", "low", 1), data.expected || none, data.y], figure);
    plot.over.addEventListener("click", function () {
      var address = (data.href || [])[plot.cursor.idx];
      if (address) { window.location.assign(address); }
    });
    new ResizeObserver(function () {
      var width = Math.max(200, figure.clientWidth - 28);
      if (width !== plot.width) { plot.setSize({width: width, height: plot.height}); }
    }).observe(figure);
    new MutationObserver(function () { plot.redraw(false); })
      .observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});
    figure.dataset.drawn = "yes";
  }

  function all(within) { within.querySelectorAll("script.dq-chart").forEach(draw); }
  all(document);
  document.addEventListener("htmx:load", function (event) { all(event.detail.elt.parentNode || document); });
})();

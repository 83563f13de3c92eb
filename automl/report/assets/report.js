"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly reads a few tags in texts; names that users chose must stay text.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const SMALL = { responsive: true, displayModeBar: false };
  const LARGE = { responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };
  const MANY = 2000; // from here on points are drawn by WebGL
  const WITHOUT_WEBGL = 8000; // at most so many dominated trials where there is no WebGL
  const webgl = (() => {
    try {
      return !!document.createElement("canvas").getContext("webgl");
    } catch {
      return false;
    }
  })();

  const shown = (axis, value) => {
    if (value === null || value === undefined) return "–";
    if (!axis.count) return `${Number(value.toPrecision(3))}${axis.symbol ? " " + axis.symbol : ""}`;
    const prefixes = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    const [factor, prefix] = prefixes.find(([f]) => Math.abs(value) >= f) || [1, ""];
    return `${Number((value / factor).toPrecision(4))} ${prefix}${axis.symbol}`.trimEnd();
  };

  const layout = (x, y, extra = {}) => {
    const axis = ({ title, ...more }) => ({
      title: { text: plain(title), standoff: 10 }, automargin: true, gridcolor: css("--line"), linecolor: css("--line"),
      zeroline: false, ...more,
    });
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: css("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 56, r: 14, t: 34, b: 48 }, hovermode: "closest",
      hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink") } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--accent") },
      xaxis: axis(x), yaxis: axis(y), ...extra,
    };
  };

  // ---- the front: any two of trial number, objectives and test error -------------------------------------------------
  const objectives = data.objectives;
  const TRIAL = objectives.length;
  const TEST = TRIAL + 1;
  const axes = [...objectives, { name: "trial", title: "trial", label: "trial number", symbol: "", count: false }];
  const tested = data.front.some((m) => m.test !== null);
  if (tested) axes.push(data.testError);

  const trialColumn = (i) => (i === TRIAL ? data.trials.numbers : i === TEST ? null : data.trials.columns[i]);
  const memberValue = (m, i, which) => (i === TRIAL ? m.number : i === TEST ? m.test : m[which][i]);
  const lines = (values) => objectives.map((axis, i) => `${plain(axis.title)} ${shown(axis, values[i])}`).join("<br>");

  const spread = (rows, most) => {
    if (rows.length <= most) return rows;
    const step = rows.length / most;
    return Array.from({ length: most }, (_, i) => rows[Math.floor(i * step)]);
  };

  const trialTraces = (ix, iy) => {
    const xs = trialColumn(ix), ys = trialColumn(iy);
    if (!xs || !ys || !xs.length) return [];
    const missed = new Set(data.trials.infeasible);
    const stopped = new Set(data.trials.stopped);
    const rows = { measured: [], infeasible: [], stopped: [] };
    for (let i = 0; i < xs.length; i++) rows[missed.has(i) ? "infeasible" : stopped.has(i) ? "stopped" : "measured"].push(i);
    const many = xs.length > MANY;
    const trace = (name, kept, marker) => {
      const indices = many && !webgl ? spread(kept, WITHOUT_WEBGL) : kept;
      return {
        type: many && webgl ? "scattergl" : "scatter", mode: "markers", name,
        x: indices.map((i) => xs[i]), y: indices.map((i) => ys[i]), customdata: indices.map((i) => data.trials.ids[i]),
        text: indices.map((i) => `trial ${data.trials.numbers[i]}<br>` + lines(objectives.map((_, k) => data.trials.columns[k][i]))),
        hovertemplate: "<b>%{customdata}</b><br>%{text}<extra></extra>", marker,
      };
    };
    const size = many ? 4 : 7;
    const traces = [trace("all trials", rows.measured, { size, color: css("--trial"), opacity: many ? 0.35 : 0.55 })];
    if (rows.stopped.length) {
      traces.unshift(trace("stopped early, estimated", rows.stopped, { size, color: css("--trial"), symbol: "circle-open", opacity: 0.5 }));
    }
    if (rows.infeasible.length) {
      traces.unshift(trace("constraint missed", rows.infeasible, { size, color: css("--miss"), symbol: "x-thin-open", opacity: 0.6 }));
    }
    return traces;
  };

  const memberText = (m, which) =>
    lines(m[which]) + (m.test === null ? "" : `<br>test error ${shown(data.testError, m.test)}`) +
    (m.kind ? `<br>${plain(m.kind)}` : "") + (m.badges.length ? `<br>${m.badges.map(plain).join(", ")}` : "");

  const frontTraces = (ix, iy) => {
    const path = objectives.length === 2 && ix < TRIAL && iy < TRIAL;
    const trace = (name, which, marker, line, more = {}) => {
      const members = data.front.filter((m) => memberValue(m, ix, which) !== null && memberValue(m, iy, which) !== null);
      if (path) members.sort((a, b) => a[which][ix] - b[which][ix]);
      return {
        type: "scatter", mode: path && line ? "lines+markers" : "markers", name, ...(line ? { line } : {}),
        x: members.map((m) => memberValue(m, ix, which)), y: members.map((m) => memberValue(m, iy, which)),
        customdata: members.map((m) => m.id), text: members.map((m) => memberText(m, which)),
        hovertemplate: "<b>%{customdata}</b><br>%{text}<extra></extra>", marker, ...more(members),
      };
    };
    const bars = (i, key, members) => {
      if (i >= TRIAL || !members.some((m) => m.intervals[i])) return {};
      const bar = {
        type: "data", symmetric: false, thickness: 1.2, width: 0, color: css("--final"),
        array: members.map((m) => (m.intervals[i] ? m.intervals[i][1] - m.measured[i] : 0)),
        arrayminus: members.map((m) => (m.intervals[i] ? m.measured[i] - m.intervals[i][0] : 0)),
      };
      return { [key]: bar };
    };
    const traces = [];
    const searched = ix !== TEST && iy !== TEST;
    const same = data.front.every((m) => m.measured.every((v, i) => v === m.searched[i]));
    if (searched) {
      traces.push(trace(same ? "front" : "front as searched", "searched", { size: 9, color: css("--front"), line: { width: 1, color: css("--card") } },
        { color: css("--front"), width: 1.8, shape: "hv" }, () => ({})));
    }
    if (!same || !searched) {
      traces.push(trace("front measured again", "measured", { size: 10, symbol: "diamond", color: css("--final"), line: { width: 1, color: css("--card") } },
        null, (members) => ({ ...bars(ix, "error_x", members), ...bars(iy, "error_y", members) })));
    }
    return traces;
  };

  const anchorTraces = (ix, iy) => {
    if (ix >= TRIAL || iy >= TRIAL) return [];
    return data.anchors.filter((a) => a.values[ix] !== null && a.values[iy] !== null).map((a) => ({
      type: "scatter", mode: "markers", name: `${a.name} subnet`, x: [a.values[ix]], y: [a.values[iy]], text: [lines(a.values)],
      hovertemplate: `<b>${plain(a.name)} subnet</b><br>%{text}<extra></extra>`,
      marker: { size: 12, symbol: a.name === "largest" ? "triangle-up-open" : "triangle-down-open", color: css("--anchor"), line: { width: 2.2 } },
    }));
  };

  const pickNotes = (ix, iy) => data.front.filter((m) => m.badges.includes("knee")).flatMap((m) => {
    const which = "measured", x = memberValue(m, ix, which), y = memberValue(m, iy, which);
    if (x === null || y === null) return [];
    const at = (axis, v) => (byId(axis).checked ? Math.log10(v) : v);
    return [{ x: at("log-x", x), y: at("log-y", y), text: "knee", ax: 30, ay: -32, bgcolor: css("--card"), opacity: 0.9, borderpad: 2, arrowcolor: css("--soft"), arrowwidth: 1.2, arrowhead: 0, standoff: 6, font: { size: 12.5 } }];
  });

  const drawFront = () => {
    const ix = Number(byId("axis-x").value), iy = Number(byId("axis-y").value);
    const traces = [...trialTraces(ix, iy), ...frontTraces(ix, iy), ...anchorTraces(ix, iy)];
    const of = (i, box) => {
      const axis = axes[i];
      const log = byId(box).checked;
      // A logarithmic axis over less than a decade would print bare digits.
      const ticks = axis.count ? { tickformat: "~s", ticksuffix: axis.symbol } : {};
      return { title: axis.count ? axis.title : axis.label, type: log ? "log" : "linear", ...(log ? { dtick: "D2" } : {}), ...ticks };
    };
    Plotly.react("front-chart", traces, layout(of(ix, "log-x"), of(iy, "log-y"), { annotations: pickNotes(ix, iy), margin: { l: 56, r: 14, t: 64, b: 48 } }), LARGE);
  };

  const startFront = () => {
    const chart = byId("front-chart");
    if (!chart) return;
    const fill = (select, chosen) => {
      select.replaceChildren(...axes.map((axis, i) => new Option(axis.label, String(i), false, i === chosen)));
      select.addEventListener("change", drawFront);
    };
    const single = objectives.length < 2;
    fill(byId("axis-x"), single ? TRIAL : 1);
    fill(byId("axis-y"), 0);
    for (const box of ["log-x", "log-y"]) byId(box).addEventListener("change", drawFront);
    if (data.trials.ids.length > MANY && !webgl) byId("front-note").hidden = false;
    drawFront();
    chart.on("plotly_click", (event) => {
      const id = event.points[0].customdata;
      if (data.front.some((m) => m.id === id)) showMember(id);
    });
  };

  // ---- more than two objectives: each model of the front as a path over all of them ----------------------------------
  const drawPaths = () => {
    if (!byId("paths-chart")) return;
    const columns = [...objectives.keys()];
    const bounds = columns.map((i) => {
      const values = data.front.map((m) => m.measured[i]).filter((v) => v !== null);
      return [Math.min(...values), Math.max(...values)];
    });
    const at = (m, i) => (m.measured[i] === null ? null : (m.measured[i] - bounds[i][0]) / (bounds[i][1] - bounds[i][0] || 1));
    const trace = (members, name, line, showlegend) => ({
      type: "scatter", mode: "lines+markers", name, showlegend, line, marker: { size: 6, color: line.color },
      x: members.flatMap(() => [...columns, null]), y: members.flatMap((m) => [...columns.map((i) => at(m, i)), null]),
      customdata: members.flatMap((m) => [...columns.map(() => m.id), null]),
      text: members.flatMap((m) => [...columns.map(() => memberText(m, "measured")), null]),
      hovertemplate: "<b>%{customdata}</b><br>%{text}<extra></extra>",
    });
    const knee = data.front.filter((m) => m.badges.includes("knee"));
    const traces = [trace(data.front, "front", { color: css("--trial"), width: 1 }, true)];
    if (knee.length) traces.push(trace(knee, "knee", { color: css("--final"), width: 3 }, true));
    const names = columns.map((i) => [plain(objectives[i].title), ...bounds[i].map((v) => shown(objectives[i], v))].join("<br>"));
    Plotly.react("paths-chart", traces, layout(
      { title: "", tickvals: columns, ticktext: names, tickangle: 0, range: [-0.35, columns.length - 0.65] },
      { title: "best 0 … worst 1" }), SMALL);
  };

  // ---- training and growth -------------------------------------------------------------------------------------------
  const line = (x, y, name, color, dash = "solid") => ({
    type: "scatter", mode: x.length < 40 ? "lines+markers" : "lines", x, y, name, line: { color, width: 2, dash }, marker: { size: 5 },
  });
  const drawTraining = () => {
    const training = data.training;
    if (!training) return;
    const epochs = { title: "epoch", ...(training.epochs.length <= 12 ? { dtick: 1 } : {}) };
    Plotly.react("loss-chart", [line(training.epochs, training.loss, "training loss", css("--front"))],
      layout(epochs, { title: "training loss" }), SMALL);
    const styles = { smallest: ["--final", "dot"], random: ["--trial", "dash"], largest: ["--front", "solid"] };
    const traces = Object.entries(training.error).map(([name, values]) =>
      line(training.epochs, values, name, css(styles[name][0]), styles[name][1]));
    if (traces.length) Plotly.react("error-chart", traces, layout(epochs, { title: "validation error (%)", rangemode: "tozero" }), SMALL);
  };
  const drawGrowth = () => {
    const growth = data.growth;
    if (!growth) return;
    const trace = { ...line(growth.trials, growth.values, growth.label, css("--front")), mode: "lines" };
    trace.line.shape = "hv";
    Plotly.react("growth-chart", [trace], layout({ title: "trials", rangemode: "tozero" }, { title: growth.label }), SMALL);
  };

  // ---- architecture and table ----------------------------------------------------------------------------------------
  const chooser = byId("member");
  const showMember = (id) => {
    if (!chooser) return;
    for (const drawing of document.querySelectorAll(".drawing")) drawing.hidden = drawing.dataset.id !== id;
    for (const row of document.querySelectorAll("tr[data-id]")) row.classList.toggle("shown", row.dataset.id === id);
    if ([...chooser.options].some((option) => option.value === id)) chooser.value = id;
  };
  const startTables = () => {
    if (chooser) {
      chooser.addEventListener("change", () => showMember(chooser.value));
      for (const row of document.querySelectorAll("tr[data-id]")) {
        row.addEventListener("click", () => showMember(row.dataset.id));
      }
      showMember(chooser.value);
    }
    for (const head of document.querySelectorAll("th[data-sort]")) {
      head.addEventListener("click", () => {
        const table = head.closest("table"), column = [...head.parentNode.children].indexOf(head);
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
        const compare = (a, b) => (head.dataset.sort === "number" ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b)));
        const rows = [...table.tBodies[0].rows].sort((a, b) => (up ? 1 : -1) * compare(a, b));
        table.tBodies[0].append(...rows);
      });
    }
  };

  const drawAll = () => {
    if (byId("front-chart")) drawFront();
    drawPaths();
    drawTraining();
    drawGrowth();
  };
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    drawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  startFront();
  startTables();
  drawPaths();
  drawTraining();
  drawGrowth();
})();

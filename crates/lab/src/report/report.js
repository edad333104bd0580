'use strict';
(() => {
  const byId = id => document.getElementById(id);
  const data = JSON.parse(byId('data').textContent);
  const element = (name, attributes, ...inside) => {
    const made = document.createElement(name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    made.append(...inside);
    return made;
  };
  const plain = text => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

  const runs = data.runs.map((run, i) => new Run(run, i));
  const measured = name => runs.some(run => run.measured(name));
  const allNames = [...new Set(runs.flatMap(run => run.names))];
  const resolve = wanted => [...new Set(wanted.flatMap(w => w instanceof RegExp ? allNames.filter(n => w.test(n)) : [w]))].filter(measured);
  const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash', 'longdashdot'];
  // Marks that fit side by side on an axis. They mark a stretch; the hover tells of every row.
  const MARKS = 45;
  let theme, printing = false;

  function readTheme() {
    const style = getComputedStyle(document.documentElement), value = name => style.getPropertyValue('--' + name).trim();
    // Print rules apply only once the page is laid out for paper, after this script has drawn.
    theme = printing
      ? { paper: '#ffffff', ink: '#000000', soft: '#444444', line: '#bbbbbb', grid: '#e6e6e6', colours: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'] }
      : { paper: value('paper'), ink: value('ink'), soft: value('soft'), line: value('line'), grid: value('grid'), colours: [0, 1, 2, 3, 4, 5, 6].map(i => value('c' + i)) };
  }

  // Buttons of which one is on.
  function choice(labels, initial, onChange, name = 'View') {
    const box = element('div', { class: 'choice', role: 'radiogroup', 'aria-label': name });
    const buttons = labels.map((label, i) => {
      const button = element('button', { type: 'button', role: 'radio' }, label);
      button.addEventListener('click', () => { select(i); onChange(i); });
      return button;
    });
    const select = i => buttons.forEach((b, k) => b.setAttribute('aria-checked', String(k === i)));
    select(initial);
    box.append(...buttons);
    return box;
  }

  // ---- the common horizontal axis
  const axes = AXES.filter(([column]) => measured(column));
  const x = { axis: null, log: false };
  const xNote = byId('x-note');

  function setUpAxis() {
    if (!axes.length) return;
    byId('controls').hidden = false;
    const pick = i => {
      x.axis = axes[i];
      x.log = axes[i][3];
      const box = byId('x-scale');
      box.replaceChildren();
      if (axes[i][4]) box.append(choice(['log', 'linear'], x.log ? 0 : 1, k => { x.log = k === 0; drawPanels(); }, 'Scale of the horizontal axis'));
    };
    byId('x-choice').append(choice(axes.map(a => a[1]), 0, i => { pick(i); drawPanels(); }, 'Horizontal axis'));
    pick(0);
    document.querySelectorAll('[data-run]').forEach(chip => chip.addEventListener('click', () => {
      const run = runs[+chip.dataset.run];
      run.shown = !run.shown;
      chip.setAttribute('aria-pressed', String(run.shown));
      drawPanels();
    }));
  }

  function noteAxis() {
    const notes = [], without = runs.filter(run => run.shown && !run.measured(x.axis[0]));
    if (without.length) notes.push('Not drawn, because ' + x.axis[1] + ' was not measured: ' + without.map(r => r.name).join(', ') + '.');
    const dropped = x.log ? runs.filter(r => r.shown && r.measured(x.axis[0])).reduce((sum, run) => sum + run.columns.get(x.axis[0]).filter(v => v <= 0).length, 0) : 0;
    if (dropped) notes.push(dropped + (dropped === 1 ? ' row has ' : ' rows have ') + x.axis[1] + ' ≤ 0 and no place on a logarithmic axis.');
    if (runs.some(run => Array.from({ length: run.rows }, (_, i) => i).some(i => run.flagged(i)))) notes.push('Hollow circles: f64 no longer resolves the row (precision).');
    xNote.textContent = notes.join(' ');
  }

  // ---- curves
  const usable = (v, log) => Number.isFinite(v) && !(log && v <= 0);

  // Rows at least one mark apart along the axis.
  function thin(list, xs) {
    if (!list.length) return list;
    const place = xs.map(v => x.log ? Math.log(v) : v), finite = place.filter(Number.isFinite);
    const apart = (finite.reduce((a, b) => Math.max(a, b)) - finite.reduce((a, b) => Math.min(a, b))) / MARKS;
    const kept = [list[0]];
    for (const i of list) if (Math.abs(place[i] - place[kept[kept.length - 1]]) >= apart) kept.push(i);
    return kept;
  }

  // Plotly puts these into selectors of CSS, so a column enters by its number.
  const numbered = new Map();
  const uid = (owner, name) => {
    if (!numbered.has(name)) numbered.set(name, numbered.size);
    return owner + '-' + numbered.get(name);
  };

  // One column of one run: a line, its isolated points, its flagged rows.
  function curve(run, name, style, log, drop) {
    const xs = run.columns.get(x.axis[0]), ys = run.columns.get(name);
    const good = i => i >= 0 && i < ys.length && usable(xs[i], x.log) && usable(ys[i], log);
    const xOut = [], yOut = [], text = [], isolated = [], flagged = [];
    let drawn = 0;
    for (let i = 0; i < ys.length; i++) {
      const ok = good(i);
      if (ok) drawn++;
      else if (!Number.isNaN(ys[i]) && usable(xs[i], x.log)) drop(ys[i]);
      xOut.push(ok ? xs[i] : null);
      yOut.push(ok ? ys[i] : null);
      text.push(ok ? exact(ys[i]) + '<br>' + x.axis[2] + ' = ' + exact(xs[i]) + '<br>row ' + i + (run.flagged(i) ? ', beyond f64’s resolution' : '') : '');
      if (ok && run.flagged(i)) flagged.push(i);
      else if (ok && !good(i - 1) && !good(i + 1)) isolated.push(i);
    }
    if (!drawn) return [];
    const id = uid(run.index, name);
    const common = { type: 'scatter', legendgroup: name, showlegend: false };
    const few = drawn <= 25;
    const traces = [{
      ...common, uid: id, name: plain(style.name), showlegend: style.legend, meta: run.index, x: xOut, y: yOut, text, mode: few ? 'lines+markers' : 'lines',
      line: { color: style.colour, dash: style.dash, width: run.colour < 7 ? 1.7 : 1 }, marker: { size: 4, color: style.colour },
      hovertemplate: '<b>' + plain((runs.length > 1 ? run.name + ' · ' : '') + name) + '</b><br>%{text}<extra></extra>',
    }];
    const points = (list, kind, marker) => list.length && traces.push({
      ...common, uid: id + kind, x: list.map(i => xs[i]), y: list.map(i => ys[i]), mode: 'markers', marker, hoverinfo: 'skip',
    });
    if (!few) points(isolated, '-isolated', { size: 4, color: style.colour });
    points(thin(flagged, xs), '-flagged', { size: printing ? 4.5 : 7, symbol: 'circle', color: theme.paper, line: { color: style.colour, width: 1.4 } });
    return traces;
  }

  // The optimum of a column, from end to end of its run: one line where bound and attained value meet, else both.
  function optimum(run, name, style, log) {
    const xs = Array.from(run.columns.get(x.axis[0])).filter(v => usable(v, x.log));
    if (!xs.length) return [];
    const ends = [xs.reduce((a, b) => Math.min(a, b)), xs.reduce((a, b) => Math.max(a, b))];
    const line = (of, what, height, dash, k) => usable(height, log) ? [{
      type: 'scatter', uid: uid(run.index, name) + '-optimum-' + k, x: ends, y: [height, height], mode: 'lines', legendgroup: name, showlegend: false,
      meta: -1, line: { color: style.colour, dash, width: 1.2 }, opacity: 0.75,
      hovertemplate: '<b>' + plain(name) + '</b><br>' + what + ' ' + exact(height) + '<br>' + plain(of.scope + ', ' + of.name + ': ' + of.unit) + '<extra></extra>',
    }] : [];
    return run.references.filter(of => of.column === name).flatMap((of, k) => {
      const meet = Math.abs(of.bound - of.value) <= 1e-6 * Math.abs(of.bound);
      return meet ? line(of, 'optimum', of.value, 'dot', 2 * k) : [...line(of, 'attained', of.value, 'dashdot', 2 * k), ...line(of, 'bound', of.bound, 'dot', 2 * k + 1)];
    });
  }

  function curves(names, log, drop) {
    const traces = [];
    const several = runs.length > 1;
    names.forEach((name, k) => {
      for (const run of runs.filter(r => r.shown && r.measured(name) && r.measured(x.axis[0]))) {
        const colour = theme.colours[(several ? run.colour : k) % theme.colours.length];
        const dash = several ? DASHES[k % DASHES.length] : k < theme.colours.length ? 'solid' : 'dash';
        traces.push(...curve(run, name, { name, colour, dash, legend: !several && names.length > 1 }, log, drop));
        traces.push(...optimum(run, name, { colour }, log));
      }
      // With several runs colour is the run (key above) and dash is the column: a neutral line stands for it.
      if (several && names.length > 1) {
        traces.push({
          type: 'scatter', uid: uid('legend', name), name: plain(name), legendgroup: name, x: [null], y: [null], mode: 'lines',
          line: { color: theme.ink, dash: DASHES[k % DASHES.length], width: 1.7 }, hoverinfo: 'skip', showlegend: true,
        });
      }
    });
    return traces;
  }

  // ---- drawing
  const font = () => getComputedStyle(document.body).fontFamily;

  // Over two decades or more, whole powers only: Plotly's 2 and 5 between them crowd the labels.
  function decades(traces, key) {
    let low = Infinity, high = 0;
    for (const trace of traces) for (const v of trace[key]) if (v > 0) { low = Math.min(low, v); high = Math.max(high, v); }
    const span = high > 0 ? Math.log10(high) - Math.log10(low) : 0;
    return span >= 2 ? { tick0: 0, dtick: Math.ceil(span / 6) } : {};
  }

  function axis(title, log, revision, traces, key) {
    return {
      ...(log ? decades(traces, key) : {}),
      title: { text: title, standoff: 6, font: { size: printing ? 9 : 12 } }, type: log ? 'log' : 'linear', uirevision: revision,
      // Plotly sets powers of ten a quarter larger than other labels.
      tickfont: { size: (printing ? 8.5 : 11.5) / (log ? 1.2 : 1) },
      gridcolor: theme.grid, linecolor: theme.line, tickcolor: theme.line, zeroline: false, showline: true, ticks: 'outside', ticklen: 3,
      exponentformat: 'power', minexponent: 4, nticks: printing ? 5 : 7, automargin: true, minor: { showgrid: false },
    };
  }

  function layout(width, xAxis, yAxis, legend) {
    return {
      width, height: printing ? 205 : 268, margin: { l: 56, r: 14, t: legend ? 26 : 10, b: 40 }, uirevision: 'keep',
      paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { family: font(), size: printing ? 8.5 : 11.5, color: theme.soft },
      xaxis: xAxis, yaxis: yAxis, showlegend: legend, hovermode: 'closest', hoverdistance: 25,
      hoverlabel: { bgcolor: theme.paper, bordercolor: theme.line, font: { color: theme.ink, size: 12.5, family: font() }, align: 'left', namelength: -1 },
      modebar: { bgcolor: 'rgba(0,0,0,0)', color: theme.soft, activecolor: theme.ink },
      legend: { orientation: 'h', x: 0, xanchor: 'left', y: 1.01, yanchor: 'bottom', font: { size: printing ? 8.5 : 12, color: theme.ink }, bgcolor: 'rgba(0,0,0,0)', itemwidth: 30 },
    };
  }

  function plot(panel, traces, xAxis, yAxis) {
    const width = printing ? 340 : panel.plot.clientWidth || 560;
    Plotly.react(panel.plot, traces, layout(width, xAxis, yAxis, traces.some(t => t.showlegend)), {
      displaylogo: false, showTips: false, displayModeBar: printing ? false : 'hover', modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d', 'zoomIn2d', 'zoomOut2d'],
      toImageButtonOptions: { format: 'svg', filename: panel.id },
    });
  }

  function frame(id, title, caption, parent) {
    const panel = { id, head: element('div', { class: 'head' }, element('h3', {}, title)), plot: element('div', { class: 'plot', id: 'plot-' + id }), dropped: element('span', { class: 'dropped' }) };
    parent.append(element('figure', { class: 'panel', id: 'panel-' + id }, panel.head, panel.plot, element('figcaption', {}, caption, ' ', panel.dropped)));
    return panel;
  }

  const panels = [];

  function setUpPanels() {
    if (!axes.length) return;
    const placed = new Set(['step', 'epoch', 'precision', ...axes.map(a => a[0])]);
    const absent = [];
    for (const spec of PANELS) {
      const views = spec.views.map(([label, wanted, title, log]) => ({ label, names: resolve(wanted), title, log })).filter(v => v.names.length);
      views.forEach(v => v.names.forEach(name => placed.add(name)));
      if (!views.length) { absent.push(spec.title.toLowerCase().replace('kkt', 'KKT')); continue; }
      const panel = frame(spec.id, spec.title, spec.caption, byId('panels'));
      const first = spec.first && views.length > 1 ? Math.max(...runs.map(spec.first)) : 0;
      panel.view = views[first];
      if (views.length > 1) panel.head.append(choice(views.map(v => v.label), first, i => { panel.view = views[i]; drawPanel(panel); }));
      panels.push(panel);
    }
    if (absent.length) byId('absent').textContent = 'Not measured in ' + (runs.length > 1 ? 'these runs' : 'this run') + ': ' + absent.join(', ') + '.';
    setUpOther(allNames.filter(name => !placed.has(name)), allNames.filter(name => placed.has(name)));
  }

  // Nothing measured is hidden: every column of the record can be drawn here.
  function setUpOther(others, shown) {
    const offered = list => list.filter(measured), empty = [...others, ...shown].filter(name => !measured(name));
    if (!offered(others).length && !offered(shown).length) return;
    const panel = frame('other', 'Any column', empty.length ? 'Columns without a single measured value: ' + empty.join(', ') + '.' : '', byId('panels'));
    const select = element('select', { 'aria-label': 'Column' });
    for (const [label, names] of [['other columns', offered(others)], ['columns drawn above', offered(shown)]]) {
      if (names.length) select.append(element('optgroup', { label }, ...names.map(name => element('option', { value: name }, name))));
    }
    panel.view = { names: [select.value], title: '', log: false };
    const scale = choice(['linear', 'log'], 0, k => { panel.view = { ...panel.view, log: k === 1 }; drawPanel(panel); });
    select.addEventListener('change', () => { panel.view = { ...panel.view, names: [select.value] }; drawPanel(panel); });
    panel.head.append(element('div', {}, select, ' ', scale));
    panel.named = true;
    panels.push(panel);
  }

  function drawPanel(panel) {
    const { names, title, log } = panel.view;
    let infinite = 0, low = 0;
    const traces = curves(names, log, v => { if (Number.isFinite(v)) low++; else infinite++; });
    plot(panel, traces, axis(x.axis[2], x.log, x.axis[0] + x.log, traces, 'x'), axis(title || (names.length === 1 ? plain(names[0]) : ''), log, names.join() + log, traces, 'y'));
    const notes = [];
    if (low) notes.push(low + (low === 1 ? ' value' : ' values') + ' ≤ 0');
    if (infinite) notes.push(infinite + ' infinite');
    panel.dropped.textContent = notes.length ? 'Not drawn: ' + notes.join(', ') + '.' : '';
    if (!panel.listens) {
      panel.listens = true;
      panel.plot.on('plotly_click', event => showRow(runs[event.points[0].data.meta], event.points[0].pointNumber));
    }
  }

  function drawPanels() {
    if (x.axis) noteAxis();
    panels.forEach(drawPanel);
  }

  // A click on a curve lists the whole row.
  function showRow(run, row) {
    if (!run) return;
    const list = element('dl', {}, ...run.names.map(name => element('div', { class: 'pair' }, element('dt', {}, name), element('dd', {}, exact(run.columns.get(name)[row])))));
    byId('row').replaceChildren(element('h2', {}, (runs.length > 1 ? run.name + ', ' : '') + 'row ' + row), list);
    byId('row').hidden = false;
  }

  const figures = [];

  function setUpFigures() {
    byId('figures').hidden = !data.figures.length;
    for (const figure of data.figures) {
      for (const trace of figure.traces) for (const key of ['x', 'y', 'low', 'high']) if (trace[key]) trace[key] = decodeAll(trace[key]);
      figures.push({ figure, panel: frame(figure.id, figure.title, figure.caption, byId('figures')) });
    }
  }

  const tint = (hex, alpha) => 'rgba(' + [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)).join() + ',' + alpha + ')';

  // A band as closed outlines, one for each stretch without a gap.
  function band(figure, trace, k) {
    if (!trace.low) return [];
    const ok = i => usable(trace.x[i], figure.x_log) && usable(trace.low[i], figure.y_log) && usable(trace.high[i], figure.y_log);
    const xs = [], ys = [];
    for (let from = 0, to; from < trace.x.length; from = to + 1) {
      for (to = from; to < trace.x.length && ok(to); to++);
      if (to === from) continue;
      if (xs.length) { xs.push(null); ys.push(null); }
      for (let i = from; i < to; i++) { xs.push(trace.x[i]); ys.push(trace.high[i]); }
      for (let i = to - 1; i >= from; i--) { xs.push(trace.x[i]); ys.push(trace.low[i]); }
    }
    const colour = theme.colours[k % theme.colours.length];
    return [{
      type: 'scatter', uid: 'band-' + k, x: xs, y: ys, mode: 'lines', fill: 'toself', fillcolor: tint(colour, 0.18), line: { color: colour, width: 0 },
      hoverinfo: 'skip', showlegend: false, legendgroup: 'figure-' + k,
    }];
  }

  function drawFigures() {
    for (const { figure, panel } of figures) {
      let dropped = 0;
      const traces = figure.traces.map((trace, k) => {
        const ok = (v, i) => usable(trace.x[i], figure.x_log) && usable(v, figure.y_log);
        dropped += trace.y.filter((v, i) => !Number.isNaN(v) && !ok(v, i)).length;
        const ys = Array.from(trace.y, (v, i) => ok(v, i) ? v : null), drawn = ys.filter(v => v !== null).length;
        return {
          type: 'scatter', uid: 'figure-' + k, name: plain(trace.name), legendgroup: 'figure-' + k, showlegend: figure.traces.length > 1, mode: drawn <= 25 && !trace.dash ? 'lines+markers' : 'lines',
          x: Array.from(trace.x, (v, i) => ys[i] === null ? null : v), y: ys, text: Array.from(trace.y, (v, i) => exact(v) + (trace.low ? ', ' + exact(trace.low[i]) + ' to ' + exact(trace.high[i]) : '') + '<br>' + plain(figure.x_label) + ' = ' + exact(trace.x[i])),
          line: { color: theme.colours[k % theme.colours.length], dash: trace.dash ? 'dash' : 'solid', width: 1.7 }, marker: { size: 4 },
          hovertemplate: '<b>' + plain(trace.name) + '</b><br>%{text}<extra></extra>',
        };
      });
      panel.dropped.textContent = dropped ? 'Not drawn: ' + dropped + ' without a place on these axes.' : '';
      // Under the curves, so that no band hides one.
      traces.unshift(...figure.traces.flatMap((trace, k) => band(figure, trace, k)));
      plot(panel, traces, axis(plain(figure.x_label), figure.x_log, 'x', traces, 'x'), axis(plain(figure.y_label), figure.y_log, 'y', traces, 'y'));
    }
  }

  function draw() {
    readTheme();
    drawFigures();
    drawPanels();
    Regions.draw(runs, theme);
  }

  // ---- the page
  document.querySelectorAll('.copy').forEach(button => button.addEventListener('click', async () => {
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = 'Copied';
    } catch (_) {
      // Without a clipboard the text is at least selected.
      getSelection().selectAllChildren(source);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  }));

  readTheme();
  setUpFigures();
  setUpAxis();
  setUpPanels();
  draw();
  let pending;
  addEventListener('resize', () => { clearTimeout(pending); pending = setTimeout(() => printing || draw(), 120); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  let closed = [];
  addEventListener('beforeprint', () => {
    printing = true;
    closed = [...document.querySelectorAll('details.spec:not([open])')];
    closed.forEach(d => { d.open = true; });
    draw();
  });
  addEventListener('afterprint', () => {
    printing = false;
    closed.forEach(d => { d.open = false; });
    draw();
  });
})();

'use strict';
// Small multiples of the decision function over the plane: shade = f/max|f|, lines = boundary and contours, marks = data.
const Regions = (() => {
  const SVG = 'http://www.w3.org/2000/svg'; // a name, not an address: nothing is fetched
  const LEFT = 30, BOTTOM = 18, WIDTH = 224, CONTOURS = [-.75, -.5, -.25, -.1, .1, .25, .5, .75];

  const node = (name, attributes, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (parent) parent.appendChild(made);
    return made;
  };
  const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));
  const range = values => values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);

  function ticks([from, to]) {
    const rough = (to - from) / 3, unit = 10 ** Math.floor(Math.log10(rough));
    const step = unit * ([1, 2, 5].find(k => k * unit >= rough) || 10);
    const out = [];
    for (let k = Math.ceil(from / step); k * step <= to; k++) out.push(+(k * step).toPrecision(12));
    return out;
  }

  // One grid node a pixel; the browser interpolates between them.
  function shade(grid, level, theme) {
    const canvas = document.createElement('canvas');
    const nx = canvas.width = grid.x.length, ny = canvas.height = grid.y.length;
    const context = canvas.getContext('2d'), image = context.createImageData(nx, ny);
    const paper = rgb(theme.paper), sides = [rgb(theme.colours[0]), rgb(theme.colours[1])];
    for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) {
      const s = level.score[j * nx + i], at = 4 * ((ny - 1 - j) * nx + i);
      if (!Number.isFinite(s)) continue;
      // The square root lifts the faint surroundings of the boundary; the step at 0 keeps the sign visible.
      const mix = s === 0 ? 0 : .1 + .44 * Math.sqrt(Math.min(1, Math.abs(s)));
      const side = sides[s > 0 ? 0 : 1];
      for (let c = 0; c < 3; c++) image.data[at + c] = paper[c] + mix * (side[c] - paper[c]);
      image.data[at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return canvas.toDataURL();
  }

  // The level `height` by marching triangles: linear on each half of a cell, so there are no ambiguous cases.
  function contour(grid, level, px, py, height) {
    const nx = grid.x.length;
    let path = '';
    const cut = corners => {
      const ends = [];
      for (let k = 0; k < 3; k++) {
        const [ax, ay, a] = corners[k], [bx, by, b] = corners[(k + 1) % 3];
        if ((a > 0) !== (b > 0) && Number.isFinite(a) && Number.isFinite(b)) {
          const t = a / (a - b);
          ends.push(px(ax + t * (bx - ax)).toFixed(2) + ' ' + py(ay + t * (by - ay)).toFixed(2));
        }
      }
      if (ends.length === 2) path += 'M' + ends[0] + 'L' + ends[1];
    };
    for (let j = 0; j + 1 < grid.y.length; j++) for (let i = 0; i + 1 < nx; i++) {
      const at = (di, dj) => [grid.x[i + di], grid.y[j + dj], level.score[(j + dj) * nx + i + di] - height];
      cut([at(0, 0), at(1, 0), at(1, 1)]);
      cut([at(0, 0), at(1, 1), at(0, 1)]);
    }
    return path;
  }

  function picture(grid, level, theme, say) {
    const [x0, x1] = range(grid.x), [y0, y1] = range(grid.y);
    const height = WIDTH * Math.min(1.4, Math.max(.5, (y1 - y0) / (x1 - x0)));
    const px = x => LEFT + WIDTH * (x - x0) / (x1 - x0), py = y => 4 + height * (y1 - y) / (y1 - y0);
    const figure = document.createElement('figure');
    const title = document.createElement('figcaption');
    title.textContent = 'log₁₀ L = ' + String(level.log10_loss).replace('-', '−');
    figure.append(title);
    const size = [LEFT + WIDTH + 6, height + 4 + BOTTOM];
    const svg = node('svg', { width: size[0], height: size[1], viewBox: '0 0 ' + size.join(' '), role: 'img', 'aria-label': title.textContent });
    // Nodes are the centres of pixels, so the image reaches half a cell over; the frame cuts that off.
    const clip = node('clipPath', { id: 'clip-' + picture.count }, svg);
    node('rect', { x: LEFT, y: 4, width: WIDTH, height }, clip);
    const hx = WIDTH / (grid.x.length - 1) / 2, hy = height / (grid.y.length - 1) / 2;
    const inside = node('g', { 'clip-path': 'url(#clip-' + picture.count++ + ')' }, svg);
    node('image', {
      href: shade(grid, level, theme), x: LEFT - hx, y: 4 - hy, width: WIDTH + 2 * hx, height: height + 2 * hy,
      preserveAspectRatio: 'none',
    }, inside);
    for (const height of CONTOURS) {
      node('path', { d: contour(grid, level, px, py, height), fill: 'none', stroke: theme.ink, 'stroke-width': .6, opacity: .45 }, inside);
    }
    node('path', { d: contour(grid, level, px, py, 0), fill: 'none', stroke: theme.ink, 'stroke-width': 1.4 }, inside);
    grid.points.forEach(([x, y], i) => {
      const label = grid.labels[i], fill = theme.colours[label % theme.colours.length];
      const style = { fill, stroke: theme.paper, 'stroke-width': 1 };
      if (label % 2 === 0) node('circle', { cx: px(x), cy: py(y), r: 3.4, ...style }, inside);
      else node('rect', { x: px(x) - 3.1, y: py(y) - 3.1, width: 6.2, height: 6.2, ...style }, inside);
    });
    node('rect', { x: LEFT, y: 4, width: WIDTH, height, fill: 'none', stroke: theme.line }, svg);
    for (const t of ticks([x0, x1])) node('text', { x: px(t), y: height + 17, 'text-anchor': 'middle' }, svg).textContent = String(t).replace('-', '−');
    for (const t of ticks([y0, y1])) node('text', { x: LEFT - 5, y: py(t) + 3.5, 'text-anchor': 'end' }, svg).textContent = String(t).replace('-', '−');
    svg.addEventListener('mousemove', event => {
      const box = svg.getBoundingClientRect();
      const x = x0 + (event.clientX - box.left - LEFT) / WIDTH * (x1 - x0), y = y1 - (event.clientY - box.top - 4) / height * (y1 - y0);
      if (x < x0 || x > x1 || y < y0 || y > y1) return say('');
      const nearest = (values, v) => values.reduce((best, w, i) => Math.abs(w - v) < Math.abs(values[best] - v) ? i : best, 0);
      const i = nearest(grid.x, x), j = nearest(grid.y, y), score = level.score[j * grid.x.length + i];
      say('x = (' + grid.x[i] + ', ' + grid.y[j] + '): f/max|f| = ' + (Number.isFinite(score) ? score : 'not finite'));
    });
    svg.addEventListener('mouseleave', () => say(''));
    figure.append(svg);
    return figure;
  }

  function draw(runs, theme) {
    const section = document.getElementById('regions');
    const shown = runs.filter(run => run.regions && run.regions.levels.length && run.regions.x.length > 1 && run.regions.y.length > 1);
    section.hidden = !shown.length;
    section.replaceChildren();
    if (!shown.length) return;
    picture.count = 0;
    const element = (name, text, kind) => Object.assign(document.createElement(name), { textContent: text, className: kind || '' });
    section.append(element('h2', 'Decision regions as the loss falls'));
    section.append(element('p', 'Shade: f/max|f|, deeper as |f| is larger (on a square-root scale). Thick line: the boundary f = 0; thin lines: f/max|f| = ±.1, ±.25, ±.5, ±.75. '
      + 'Circles: class 0, right where f > 0; squares class 1.', 'note'));
    for (const run of shown) {
      if (runs.length > 1) section.append(element('h3', run.name));
      const readout = element('p', '', 'note readout'), row = element('div', '', 'multiples');
      for (const level of run.regions.levels) row.append(picture(run.regions, level, theme, text => { readout.textContent = text; }));
      section.append(row, readout);
    }
  }
  return { draw };
})();

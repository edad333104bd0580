'use strict';
// One run as the page holds it: its columns as f64 again, and what follows from a single one of them.
const decode = v => v === null ? NaN : v === 'inf' ? Infinity : v === '-inf' ? -Infinity : v;
const decodeAll = list => Float64Array.from(list, decode);
// JavaScript prints the shortest decimal that reads back as the same f64.
const exact = v => Number.isNaN(v) ? 'not measured' : String(v).replace('Infinity', '∞').replace(/^-/, '−');

class Run {
  constructor({ name, colour, columns, references, regions }, index) {
    this.name = name;
    this.index = index;
    this.colour = colour;
    this.shown = true;
    this.names = columns.map(([column]) => column);
    this.columns = new Map(columns.map(([column, v]) => [column, Array.isArray(v) ? decodeAll(v) : new Float64Array(v.n).fill(decode(v.all))]));
    this.rows = Math.max(0, ...[...this.columns.values()].map(c => c.length));
    if (regions) {
      for (const level of regions.levels) { level.score = decodeAll(level.score); level.log10_loss = decode(level.log10_loss); }
      for (const key of ['x', 'y']) regions[key] = decodeAll(regions[key]);
      regions.points = regions.points.map(p => p.map(decode));
    }
    this.regions = regions;
    for (const line of references) for (const key of ['value', 'bound']) line[key] = decode(line[key]);
    this.references = references;
    this.derive('log10_loss', 'ln_loss', v => v / Math.LN10);
    this.derive('ln_rho', 'rho', Math.log);
    this.derive('decades', 'log10_loss', v => -v);
    this.derive('one_minus_beta', 'beta', v => 1 - v);
    // What a margin lacks of its optimum: of the least bound, or where there is none of what is attained.
    const tops = new Map();
    for (const { column, bound, value } of references) {
      const top = Number.isFinite(bound) ? bound : value;
      if (top > 0 && !(tops.get(column) <= top)) tops.set(column, top);
    }
    for (const [column, top] of tops) {
      if (!this.columns.has(column)) continue;
      this.derive('below_' + column, column, v => (top - v) / top);
      // Named, so that the pattern of its panel finds it.
      this.names.push('below_' + column);
    }
  }
  // What follows from one measured column; never in the way of a measured one.
  derive(name, from, f) {
    if (!this.columns.has(name) && this.columns.has(from)) this.columns.set(name, this.columns.get(from).map(f));
  }
  measured(name) {
    const column = this.columns.get(name);
    return column !== undefined && column.some(v => !Number.isNaN(v));
  }
  span(name) {
    const finite = Array.from(this.columns.get(name) || []).filter(Number.isFinite);
    return finite.length ? finite.reduce((a, b) => Math.max(a, b)) - finite.reduce((a, b) => Math.min(a, b)) : 0;
  }
  flagged(row) {
    const column = this.columns.get('precision');
    return column !== undefined && column[row] > 0;
  }
}

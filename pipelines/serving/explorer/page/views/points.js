// Points of the map by cell, so that the nearest one is found without looking at all.

/** Positions are integers from 0 to this. */
export const SIDE = 10000;

const CELLS = 128;
const REACH = 14;

const cell = (value) => Math.min(Math.max(Math.floor((value * CELLS) / (SIDE + 1)), 0), CELLS - 1);

export class Points {
  constructor(x, y) {
    Object.assign(this, { x: Int32Array.from(x), y: Int32Array.from(y), cells: new Map() });
    for (let i = 0; i < x.length; i++) {
      const key = cell(x[i]) * CELLS + cell(y[i]);
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(i);
    }
  }

  /** The point nearest to a pixel, at most `REACH` pixels away; -1: none. `frame` has scales and offsets in pixels. */
  nearest(px, py, { sx, sy, ox, oy }, isShown) {
    const [x, y] = [(px - ox) / sx, (py - oy) / sy];
    let best = -1;
    let least = REACH * REACH;
    for (let i = cell(x - REACH / sx); i <= cell(x + REACH / sx); i++) {
      for (let j = cell(y - REACH / sy); j <= cell(y + REACH / sy); j++) {
        for (const one of this.cells.get(i * CELLS + j) ?? []) {
          if (!isShown(one)) continue;
          const distance = ((this.x[one] - x) * sx) ** 2 + ((this.y[one] - y) * sy) ** 2;
          if (distance < least) [best, least] = [one, distance];
        }
      }
    }
    return best;
  }
}

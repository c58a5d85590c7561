// Many points as pixels of a picture.

/** Offsets of the pixels of a dot: a square for the smallest, else a disc of this radius. */
function dot(size) {
  if (size < 2) {
    const side = Math.max(Math.round(size), 1);
    return Array.from({ length: side * side }, (_, i) => [i % side, Math.floor(i / side)]);
  }
  const reach = Math.ceil(size);
  const found = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) if (x * x + y * y <= size * size) found.push([x, y]);
  }
  return found;
}

/**
 * Lays points of one colour over a picture.
 *
 * `points` are places in `x` and `y`, which `scale` turns into pixels; `colour` is `#rrggbb`. Alpha adds up where points
 * lie on each other, so that dense places are darker. There is no allocation for a point: this runs for each frame.
 */
export function stamp(picture, points, x, y, { sx, sy, ox, oy }, size, colour, alpha) {
  const { data, width, height } = picture;
  const [red, green, blue] = [1, 3, 5].map((begin) => alpha * parseInt(colour.slice(begin, begin + 2), 16));
  const dots = dot(size);
  const [across, down] = [0, 1].map((axis) => Int32Array.from(dots, (offset) => offset[axis]));
  for (let n = 0; n < points.length; n++) {
    const left = Math.round(x[points[n]] * sx + ox);
    const top = Math.round(y[points[n]] * sy + oy);
    for (let k = 0; k < across.length; k++) {
      const px = left + across[k];
      const py = top + down[k];
      if (px < 0 || py < 0 || px >= width || py >= height) continue;
      const i = (py * width + px) * 4;
      const below = (data[i + 3] / 255) * (1 - alpha);
      const sum = alpha + below;
      data[i] = (red + data[i] * below) / sum;
      data[i + 1] = (green + data[i + 1] * below) / sum;
      data[i + 2] = (blue + data[i + 2] * below) / sum;
      data[i + 3] = sum * 255;
    }
  }
}

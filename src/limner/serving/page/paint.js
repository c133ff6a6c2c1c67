// Maps of class or object numbers, and their colours on the image.

import { paintRuns } from "./runs.js";

const MOST_SHOWN = 24e6; // pixels; of larger images every second, third, ... pixel is shown

/** Return every how many pixels of an image one is shown. */
export function stepFor(width, height) {
  return Math.max(1, Math.ceil(Math.sqrt((width * height) / MOST_SHOWN)));
}

/** Return the class of each pixel: its index + 1, and 0 for none. */
export function classMap(entry, step) {
  const map = emptyMap(entry, step);
  for (const one of entry.classes) if (one.mask) paintRuns(map, one.mask, step, one.index + 1);
  return map;
}

/** Return the object of each pixel: its place in the list + 1; small objects lie on large ones. */
export function objectMap(entry, step, isShown) {
  const map = emptyMap(entry, step);
  const order = entry.objects.map((_, i) => i).filter((i) => entry.objects[i].mask && isShown(entry.objects[i]));
  order.sort((a, b) => entry.objects[b].pixels - entry.objects[a].pixels);
  for (const i of order) paintRuns(map, entry.objects[i].mask, step, i + 1);
  return map;
}

function emptyMap(entry, step) {
  const [height, width] = entry.size;
  return new Uint16Array(Math.ceil(height / step) * Math.ceil(width / step));
}

/**
 * Tint a canvas with the colours of a map; borders between regions are opaque.
 * colors: [red, green, blue] by number of the map, or undefined for what is not shown.
 * part: {left, top, right, bottom} to draw; else everything.
 */
export function tint(canvas, map, colors, opacity, part) {
  const { width, height } = canvas;
  const left = Math.max(0, part?.left ?? 0);
  const top = Math.max(0, part?.top ?? 0);
  const right = Math.min(width, part?.right ?? width);
  const bottom = Math.min(height, part?.bottom ?? height);
  if (right <= left || bottom <= top) return;
  const image = new ImageData(right - left, bottom - top);
  const pixels = new Uint32Array(image.data.buffer);
  const inside = colors.map((c) => (c ? packed(c, opacity) : 0));
  const border = colors.map((c) => (c && opacity > 0 ? packed(c, Math.min(1, opacity + 0.5)) : 0));
  let out = 0;
  for (let y = top; y < bottom; y++) {
    const up = y > 0 ? -width : 0;
    const down = y < height - 1 ? width : 0;
    for (let x = left; x < right; x++, out++) {
      const at = y * width + x;
      const value = map[at];
      if (!value || !inside[value]) continue;
      const isBorder =
        (x > 0 && map[at - 1] !== value) || (x < width - 1 && map[at + 1] !== value) ||
        map[at + up] !== value || map[at + down] !== value;
      pixels[out] = isBorder ? border[value] : inside[value];
    }
  }
  canvas.getContext("2d").putImageData(image, left, top);
}

/** Return a colour as a number whose bytes are red, green, blue and alpha. */
function packed([red, green, blue], opacity) {
  return ((Math.round(opacity * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Return a colour for object number i; those of successive numbers differ clearly. */
export function objectColor(i) {
  const hue = ((i * 0.6180339887) % 1) * 6;
  const bright = Math.floor(i / 7) % 2 ? 0.8 : 1;
  const channel = (n) => {
    const k = (n + hue) % 6;
    return Math.round(255 * bright * (1 - 0.75 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

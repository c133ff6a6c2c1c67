// Correct a label map with brush, eraser, polygon and box.

import { count, h } from "./dom.js";
import { classMap, css } from "./paint.js";
import { shape } from "./viewer.js";

const MOST_UNDONE = 100;
const KEY_OF = { brush: "B", eraser: "E", polygon: "P", box: "R" };
const MODE_OF = Object.fromEntries(Object.entries(KEY_OF).map(([mode, key]) => [key.toLowerCase(), mode]));
const NEAR = 10; // pixels of the screen within which a click closes a polygon

export class Correction {
  /**
   * Start from an earlier correction or the prediction of a model.
   * onChange(part): repaint; getPane(): the pane to draw outlines in; getScale(): zoom of the image.
   */
  constructor(model, entry, earlier, { onChange, getPane, getScale }) {
    Object.assign(this, { model, onChange, getPane, getScale });
    [this.height, this.width] = entry.size;
    this.predicted = classMap(entry, 1);
    this.map = earlier ? earlier.slice() : this.predicted.slice();
    this.background = model.classes.find((one) => one.is_background)?.index;
    this.chosen = model.classes.find((one) => !one.is_background)?.index ?? 0;
    this.mode = "brush";
    this.size = Math.max(4, Math.round(Math.min(this.width, this.height) / 40));
    this.undos = [];
    this.points = [];
    this.corner = null; // of the box that is being drawn
    this.bar = this.toolbar();
  }

  get isChanged() {
    return this.undos.length > 0;
  }

  toolbar() {
    const modes = { brush: "Brush", eraser: "Eraser", polygon: "Polygon", box: "Box" };
    this.buttons = Object.fromEntries(Object.entries(modes).map(([mode, text]) => {
      const button = h("button", { type: "button", className: "small", textContent: text, title: `${text} (${KEY_OF[mode]})` });
      button.addEventListener("click", () => this.use(mode));
      return [mode, button];
    }));
    this.swatch = h("span", { className: "swatch", "aria-hidden": "true" });
    this.select = h("select", { "aria-label": "Class to paint" }, ...this.model.classes.map((one) =>
      h("option", { value: one.index, textContent: one.name, selected: one.index === this.chosen })));
    this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    this.slider = h("input", { type: "range", min: 1, max: Math.max(60, Math.round(this.width / 6)), value: this.size });
    this.slider.addEventListener("input", () => (this.size = Number(this.slider.value)));
    this.undoButton = h("button", { type: "button", className: "small", textContent: "Undo", title: "Undo (Ctrl+Z)" });
    this.undoButton.addEventListener("click", () => this.undo());
    const bar = [
      ...Object.values(this.buttons), this.swatch, this.select,
      h("label", { className: "slider" }, h("span", { textContent: "Size" }), this.slider), this.undoButton,
    ];
    this.refresh();
    return bar;
  }

  refresh() {
    for (const [mode, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", mode === this.mode);
    this.swatch.style.background = css(this.model.classes[this.chosen].color);
    this.undoButton.disabled = !this.undos.length && !this.points.length;
  }

  use(mode) {
    this.mode = mode;
    this.setPoints([]);
  }

  choose(index) {
    this.chosen = index;
    this.select.value = index;
    if (this.mode === "eraser") this.mode = "brush";
    this.refresh();
  }

  resize(factor) {
    this.size = Math.max(1, Math.round(this.size * factor + Math.sign(factor - 1)));
    this.slider.value = this.size;
  }

  /** Keys of the editor; returns whether one was used. */
  key(event) {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "z") this.undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return false;
    else if (MODE_OF[key]) this.use(MODE_OF[key]);
    else if (key === "[") this.resize(0.8);
    else if (key === "]") this.resize(1.25);
    else if (key === "enter" && this.points.length) this.closePolygon();
    else if (key === "escape" && this.points.length) this.setPoints([]);
    else if (/^[1-9]$/.test(key) && this.model.classes[key - 1]) this.choose(Number(key) - 1);
    else return false;
    return true;
  }

  down({ imageX, imageY }) {
    if (this.mode === "polygon") {
      const [first] = this.points;
      const distance = first ? Math.hypot(first[0] - imageX, first[1] - imageY) * this.getScale() : Infinity;
      if (this.points.length > 2 && distance < NEAR) this.closePolygon();
      else this.setPoints([...this.points, [imageX, imageY]]);
      return;
    }
    if (this.mode === "box") {
      this.corner = [imageX, imageY];
      return;
    }
    this.before = this.map.slice();
    this.part = null;
    this.last = [imageX, imageY];
    this.stroke(imageX, imageY);
  }

  move({ imageX, imageY }) {
    if (this.corner) this.setPoints(boxOutline(this.corner, [imageX, imageY]));
    if (this.before) this.stroke(imageX, imageY);
  }

  hover({ imageX, imageY }) {
    if (this.mode === "polygon" && this.points.length) this.drawPoints([...this.points, [imageX, imageY]]);
  }

  up() {
    if (this.corner) this.closePolygon();
    this.corner = null;
    if (this.before) this.remember(this.before, this.part);
    this.before = null;
  }

  /** Take back an unfinished stroke, since a second finger wants to zoom. */
  cancel() {
    if (this.mode === "polygon") this.setPoints(this.points.slice(0, -1));
    if (this.corner) this.setPoints([]);
    this.corner = null;
    if (!this.before) return;
    this.map = this.before;
    this.before = null;
    this.onChange(this.part);
  }

  /** Paint along a line from the last place. */
  stroke(x, y) {
    const radius = this.size / 2;
    const [fromX, fromY] = this.last;
    const length = Math.hypot(x - fromX, y - fromY);
    const steps = Math.max(1, Math.ceil(length / Math.max(0.5, radius / 2)));
    for (let i = 1; i <= steps; i++) {
      this.stamp(fromX + ((x - fromX) * i) / steps, fromY + ((y - fromY) * i) / steps, radius);
    }
    const part = around(Math.min(x, fromX), Math.min(y, fromY), Math.max(x, fromX), Math.max(y, fromY), radius + 2);
    this.part = this.part ? union(this.part, part) : part;
    this.last = [x, y];
    this.onChange(part);
  }

  stamp(x, y, radius) {
    const least = 0.25; // a brush of one pixel paints the pixel below the pointer
    const top = Math.max(0, Math.floor(y - radius));
    const bottom = Math.min(this.height - 1, Math.floor(y + radius));
    const left = Math.max(0, Math.floor(x - radius));
    const right = Math.min(this.width - 1, Math.floor(x + radius));
    const limit = Math.max(radius * radius, least);
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const distance = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2;
        if (distance <= limit || (Math.floor(x) === column && Math.floor(y) === row)) this.set(row * this.width + column);
      }
    }
  }

  set(at) {
    if (this.mode !== "eraser") this.map[at] = this.chosen + 1;
    // Without a background there is nothing to erase to, so the eraser brings back the prediction.
    else this.map[at] = this.background === undefined ? this.predicted[at] : this.background + 1;
  }

  setPoints(points) {
    this.points = points;
    this.drawPoints(points);
    this.refresh();
  }

  drawPoints(points) {
    const { shapes } = this.getPane();
    shapes.querySelectorAll(".draft").forEach((element) => element.remove());
    if (!points.length) return;
    const color = css(this.model.classes[this.chosen].color);
    const line = points.map((point) => point.join(",")).join(" ");
    shapes.append(shape("polyline", { class: "shape draft", points: line, stroke: color }));
    const [x, y] = points[0];
    shapes.append(shape("circle", { class: "shape draft", cx: x, cy: y, r: 5 / this.getScale(), stroke: color }));
  }

  closePolygon() {
    const points = this.points;
    this.setPoints([]);
    if (points.length < 3) return;
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const part = around(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), 1);
    const left = Math.max(0, part.left);
    const top = Math.max(0, part.top);
    const width = Math.min(this.width, part.right) - left;
    const height = Math.min(this.height, part.bottom) - top;
    if (width <= 0 || height <= 0) return;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.translate(-left, -top);
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    context.fill();
    const { data } = context.getImageData(0, 0, width, height);
    const before = this.map.slice();
    for (let i = 0; i < width * height; i++) {
      if (data[4 * i + 3] > 127) this.map[(top + Math.floor(i / width)) * this.width + left + (i % width)] = this.chosen + 1;
    }
    this.remember(before, part);
    this.onChange(part);
  }

  /** Keep the part of a map that a stroke changed. */
  remember(before, part) {
    const box = {
      left: Math.max(0, part.left), top: Math.max(0, part.top),
      right: Math.min(this.width, part.right), bottom: Math.min(this.height, part.bottom),
    };
    if (box.right <= box.left || box.bottom <= box.top) return;
    const rows = [];
    for (let y = box.top; y < box.bottom; y++) rows.push(before.slice(y * this.width + box.left, y * this.width + box.right));
    this.undos.push({ box, rows });
    if (this.undos.length > MOST_UNDONE) this.undos.shift();
    this.refresh();
    this.onChange(null);
  }

  undo() {
    if (this.points.length) {
      this.setPoints(this.points.slice(0, -1));
      return;
    }
    const last = this.undos.pop();
    if (!last) return;
    last.rows.forEach((row, i) => this.map.set(row, (last.box.top + i) * this.width + last.box.left));
    this.refresh();
    this.onChange(last.box);
    this.onChange(null);
  }

  /** Return the numbers of the classes as a picture. */
  toCanvas() {
    return numbersCanvas(this.map, this.width, this.height, (index) => index);
  }

  /** Return an answer of the server with the corrected classes, for the numbers of the sidebar. */
  corrected(entry) {
    const counts = new Array(this.model.classes.length + 1).fill(0);
    for (const number of this.map) counts[number] += 1;
    const classes = entry.classes.map((row) => {
      const pixels = counts[row.index + 1];
      const scaled = row.area_mm2 !== undefined && row.pixels ? { area_mm2: (row.area_mm2 * pixels) / row.pixels } : {};
      return { index: row.index, name: row.name, pixels, ...scaled };
    });
    return { ...entry, classes };
  }

  get changedText() {
    let changed = 0;
    for (let i = 0; i < this.map.length; i++) if (this.map[i] !== this.predicted[i]) changed += 1;
    return `${count(changed)} pixels differ from the prediction`;
  }
}

/** Return a map of classes (index + 1; 0 becomes the first) as a grey picture of the value of each class. */
export function numbersCanvas(map, width, height, valueOf) {
  const canvas = h("canvas", { width, height });
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < map.length; i++) {
    const value = valueOf(Math.max(0, map[i] - 1));
    pixels[i] = (0xff000000 | (value << 16) | (value << 8) | value) >>> 0;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Return the closed outline of a box of whole pixels, from places in two opposite corners. */
function boxOutline([fromX, fromY], [x, y]) {
  const [left, right] = [Math.floor(Math.min(fromX, x)), Math.floor(Math.max(fromX, x)) + 1];
  const [top, bottom] = [Math.floor(Math.min(fromY, y)), Math.floor(Math.max(fromY, y)) + 1];
  return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]];
}

function around(left, top, right, bottom, margin) {
  return {
    left: Math.floor(left - margin), top: Math.floor(top - margin),
    right: Math.ceil(right + margin), bottom: Math.ceil(bottom + margin),
  };
}

function union(a, b) {
  return {
    left: Math.min(a.left, b.left), top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right), bottom: Math.max(a.bottom, b.bottom),
  };
}

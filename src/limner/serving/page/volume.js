// A volume as three planes at right angles, which are linked: a click in one moves the other two.

import { h } from "./dom.js";
import { tint } from "./paint.js";

/** Unpack the volume of an answer: {size, fullSize, spacing, planes, start, channels, image, labels}. */
export async function readVolume(packed) {
  const [image, labels] = await Promise.all([unpacked(packed.image), unpacked(packed.labels)]);
  const { size, spacing, planes, start, channels } = packed;
  return { size, fullSize: packed.full_size, spacing, planes, start, channels, image: new Uint8Array(image), labels: new Uint16Array(labels) };
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** Return the axes of the plane across an axis: of its rows and of its columns. */
const axesOf = (across) => [0, 1, 2].filter((axis) => axis !== across);

/** Return the size of the plane across an axis. */
export function planeSize(volume, across) {
  const [rows, columns] = axesOf(across);
  return { height: volume.size[rows], width: volume.size[columns] };
}

/** Call a function with each voxel's place in a plane and in the arrays; the head is up in planes of bodies. */
function eachVoxel(volume, across, place, use) {
  const strides = [volume.size[1] * volume.size[2], volume.size[2], 1];
  const [rows, columns] = axesOf(across);
  const { height, width } = planeSize(volume, across);
  for (let y = 0, out = 0; y < height; y++) {
    const row = across === 0 ? y : height - 1 - y;
    let at = place * strides[across] + row * strides[rows];
    for (let x = 0; x < width; x++, out++, at += strides[columns]) use(out, at);
  }
}

/** Draw the image of a plane on a canvas. */
export function drawPlane(canvas, volume, across, place) {
  const picture = new ImageData(canvas.width, canvas.height);
  const { channels, image } = volume;
  eachVoxel(volume, across, place, (out, at) => {
    for (let c = 0; c < 3; c++) picture.data[4 * out + c] = image[channels * at + (channels === 3 ? c : 0)];
    picture.data[4 * out + 3] = 255;
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Return the classes of a plane, row by row. */
export function labelsOfPlane(volume, across, place) {
  const { height, width } = planeSize(volume, across);
  const map = new Uint16Array(height * width);
  eachVoxel(volume, across, place, (out, at) => (map[out] = volume.labels[at]));
  return map;
}

export class VolumeView {
  /** root: where the planes are put. */
  constructor(root) {
    this.root = root;
    this.rows = [];
    new ResizeObserver(() => this.layOut()).observe(root);
  }

  get isShown() {
    return this.rows.length > 0;
  }

  /** Show volumes of one image: {name, volume} each; several are predictions of several models. */
  show(models) {
    const [first] = models;
    if (this.shown !== first.volume) this.position = [...first.volume.start];
    this.shown = first.volume;
    this.rows = models.map(({ name, volume }) => ({
      volume, planes: [0, 1, 2].map((across) => this.build(volume, across, models.length > 1 ? name : "")),
    }));
    this.root.classList.add("volume");
    this.root.replaceChildren(...this.rows.flatMap((row) => row.planes.map((plane) => plane.element)));
    this.layOut();
  }

  leave() {
    this.rows = [];
    this.shown = null;
    this.root.classList.remove("volume");
  }

  build(volume, across, name) {
    const { height, width } = planeSize(volume, across);
    const title = volume.planes[across];
    const canvas = h("canvas", { height, width });
    const overlay = h("canvas", { height, width });
    const lines = [h("i", { className: "across" }), h("i", { className: "down" })];
    const frame = h("div", { className: "frame" }, canvas, overlay, ...lines);
    const slider = h("input", { type: "range", min: 0, max: volume.size[across] - 1, "aria-label": `Slice, ${title}${name ? `, ${name}` : ""}` });
    const caption = h("output", {});
    const element = h("div", { className: "plane" }, h("div", { className: "box" }, frame), h("label", {}, caption, slider));
    const plane = { across, canvas, overlay, lines, frame, slider, caption, title, name, element, drawn: -1 };
    slider.addEventListener("input", () => this.moveTo(across, Number(slider.value)));
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.moveTo(across, this.position[across] + Math.sign(event.deltaY));
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      this.point(plane, event);
    });
    frame.addEventListener("pointermove", (event) => frame.hasPointerCapture(event.pointerId) && this.point(plane, event));
    return plane;
  }

  /** Move to the voxel under the pointer. */
  point({ across, frame }, event) {
    const box = frame.getBoundingClientRect();
    const { height, width } = planeSize(this.shown, across);
    const [rows, columns] = axesOf(across);
    const y = Math.floor(((event.clientY - box.top) / box.height) * height);
    const x = Math.floor(((event.clientX - box.left) / box.width) * width);
    this.set(rows, across === 0 ? y : height - 1 - y);
    this.set(columns, x);
    this.draw();
  }

  moveTo(axis, place) {
    this.set(axis, place);
    this.draw();
  }

  set(axis, place) {
    this.position[axis] = Math.min(this.shown.size[axis] - 1, Math.max(0, place));
  }

  /** Use colours by number of the class + 1, and an opacity; undefined colours are not shown. */
  paint(colorsOf, opacity, isShown) {
    this.colorsOf = colorsOf;
    this.opacity = opacity;
    this.isOverlayShown = isShown;
    for (const { planes } of this.rows) for (const plane of planes) plane.drawn = -1;
    this.draw();
  }

  draw() {
    if (!this.colorsOf) return;
    this.rows.forEach(({ volume, planes }, i) => {
      for (const plane of planes) {
        const place = this.position[plane.across];
        if (plane.drawn !== place) {
          drawPlane(plane.canvas, volume, plane.across, place);
          plane.overlay.getContext("2d").clearRect(0, 0, plane.overlay.width, plane.overlay.height);
          const opacity = this.isOverlayShown ? this.opacity : 0;
          if (opacity) tint(plane.overlay, labelsOfPlane(volume, plane.across, place), this.colorsOf(i), opacity);
        }
        plane.drawn = place;
        this.mark(plane, volume);
      }
    });
  }

  /** Show where the other planes are, and which slice this is. */
  mark(plane, volume) {
    const { across, lines, slider, caption } = plane;
    const { height, width } = planeSize(volume, across);
    const [rows, columns] = axesOf(across);
    const row = across === 0 ? this.position[rows] : height - 1 - this.position[rows];
    lines[0].style.top = `${(100 * (row + 0.5)) / height}%`;
    lines[1].style.left = `${(100 * (this.position[columns] + 0.5)) / width}%`;
    const step = Math.ceil(volume.fullSize[across] / volume.size[across]);
    slider.value = this.position[across];
    caption.textContent = `${plane.name ? `${plane.name}: ` : ""}${plane.title} ${1 + step * this.position[across]} / ${volume.fullSize[across]}`;
  }

  /** Give all planes their true proportions at one scale, as large as their boxes allow. */
  layOut() {
    const all = this.rows.flatMap(({ volume, planes }) => planes.map((plane) => {
      const [rows, columns] = axesOf(plane.across);
      const { height, width } = planeSize(volume, plane.across);
      return { frame: plane.frame, tall: height * volume.spacing[rows], wide: width * volume.spacing[columns] };
    }));
    const scale = Math.min(...all.map(({ frame, tall, wide }) => {
      const box = frame.parentElement.getBoundingClientRect();
      return Math.min(box.width / wide, box.height / tall);
    }));
    for (const { frame, tall, wide } of all) {
      frame.style.width = `${scale * wide}px`;
      frame.style.height = `${scale * tall}px`;
    }
  }
}

// The panes: an image and what lies on it, zoomed and moved together.

import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const FARTHEST = 40;
const SHARP_FROM = 3;

export class Viewer {
  constructor(root, { onZoom }) {
    this.root = root;
    this.onZoom = onZoom;
    this.panes = [];
    this.tool = null;
    this.swipe = null;
    this.view = { x: 0, y: 0, scale: 1 };
    this.isFitted = true;
    this.pointers = new Map();
    this.isMoving = false; // while Space is held, the pointer moves the image instead of using the tool
    this.listen();
    new ResizeObserver(() => (this.isFitted ? this.fit() : this.apply())).observe(root);
  }

  /** Show panes of one image: {caption, hasOverlay, veil, isFailed, picture} each; `picture` is the image's own by default. */
  show(picture, width, height, panes) {
    this.picture = picture;
    this.size = { width, height };
    this.panes = panes.map((pane) => this.build(pane));
    this.root.replaceChildren(...this.panes.map((pane) => pane.element));
    if (this.isFitted) this.fit();
    else this.apply();
  }

  build({ caption, hasOverlay, veil, isFailed, picture = this.picture }) {
    const { width, height } = this.size;
    const world = h("div", { className: "world" });
    world.style.width = `${width}px`;
    world.style.height = `${height}px`;
    const image = h("canvas", { width: picture?.width ?? 1, height: picture?.height ?? 1 });
    if (picture) image.getContext("2d").drawImage(picture, 0, 0);
    const overlay = h("canvas", { width: image.width, height: image.height });
    const shapes = document.createElementNS(SVG, "svg");
    shapes.setAttribute("viewBox", `0 0 ${width} ${height}`);
    shapes.setAttribute("aria-hidden", "true");
    world.append(image, ...(hasOverlay ? [overlay, shapes] : []));
    const element = h("div", { className: "pane" }, world);
    if (caption) element.append(h("p", { className: "caption", textContent: caption }));
    if (veil) element.append(h("div", { className: isFailed ? "veil failed" : "veil" }, h("span", { textContent: veil })));
    const pane = { element, world, image, overlay, shapes, hasOverlay, divider: null };
    if (hasOverlay) pane.divider = this.addDivider(pane);
    return pane;
  }

  addDivider(pane) {
    const divider = h("button", {
      type: "button", className: "divider", hidden: this.swipe === null, role: "slider",
      "aria-label": "Original on the left, prediction on the right", "aria-valuemin": "0", "aria-valuemax": "100",
    });
    const moveTo = (event) => {
      const box = pane.element.getBoundingClientRect();
      this.setSwipe((event.clientX - box.left) / box.width);
    };
    divider.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      divider.setPointerCapture(event.pointerId);
    });
    divider.addEventListener("pointermove", (event) => divider.hasPointerCapture(event.pointerId) && moveTo(event));
    divider.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
      if (step) {
        this.setSwipe(this.swipe + step);
        event.preventDefault();
        event.stopPropagation();
      }
    });
    pane.element.append(divider);
    return divider;
  }

  /** Show the prediction right of a part of each pane; null shows it everywhere. */
  setSwipe(part) {
    this.swipe = part === null ? null : Math.min(1, Math.max(0, part));
    this.apply();
  }

  paneSize() {
    const box = (this.panes[0]?.element ?? this.root).getBoundingClientRect();
    return { width: box.width || 1, height: box.height || 1 };
  }

  fit() {
    if (!this.size) return;
    const pane = this.paneSize();
    const scale = Math.min(pane.width / this.size.width, pane.height / this.size.height, FARTHEST);
    this.view = {
      scale,
      x: (pane.width - scale * this.size.width) / 2,
      y: (pane.height - scale * this.size.height) / 2,
    };
    this.isFitted = true;
    this.apply();
  }

  /** Zoom around a point of the pane; its middle by default. */
  zoom(factor, x = this.paneSize().width / 2, y = this.paneSize().height / 2) {
    const least = 0.2 * Math.min(this.paneSize().width / this.size.width, this.paneSize().height / this.size.height);
    const scale = Math.min(FARTHEST, Math.max(Math.min(least, 1), this.view.scale * factor));
    const change = scale / this.view.scale;
    this.view = { scale, x: x - change * (x - this.view.x), y: y - change * (y - this.view.y) };
    this.isFitted = false;
    this.apply();
  }

  move(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.isFitted = false;
    this.apply();
  }

  apply() {
    const { x, y, scale } = this.view;
    for (const pane of this.panes) {
      pane.world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      pane.world.classList.toggle("sharp", scale >= SHARP_FROM);
      pane.shapes.style.setProperty("--unit", `${1 / scale}px`);
      pane.shapes.style.fontSize = `${13 / scale}px`;
      if (!pane.divider) continue;
      pane.divider.hidden = this.swipe === null;
      const at = (this.swipe ?? 0) * this.paneSize().width;
      pane.divider.style.left = `${at}px`;
      pane.divider.setAttribute("aria-valuenow", Math.round(100 * (this.swipe ?? 0)));
      const clip = this.swipe === null ? "" : `inset(0 0 0 ${Math.max(0, (at - x) / scale)}px)`;
      pane.overlay.style.clipPath = pane.shapes.style.clipPath = clip;
    }
    this.onZoom(scale);
  }

  /** Return the place of a pointer in its pane, and in pixels of the image. */
  placeOf(event) {
    const pane = this.panes.find((one) => one.element.contains(event.target)) ?? this.panes[0];
    const box = pane.element.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    return this.inImage({ x, y, clientX: event.clientX, clientY: event.clientY });
  }

  inImage(place) {
    const { x, y, scale } = this.view;
    return { ...place, imageX: (place.x - x) / scale, imageY: (place.y - y) / scale };
  }

  listen() {
    this.root.addEventListener("wheel", (event) => {
      if (!this.panes.length) return;
      event.preventDefault();
      const { x, y } = this.placeOf(event);
      this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), x, y);
    }, { passive: false });
    for (const name of ["keydown", "keyup"]) {
      addEventListener(name, (event) => {
        if (event.key !== " " || event.target.closest("button, input, select, label")) return;
        this.isMoving = name === "keydown";
        if (this.panes.length) event.preventDefault();
      });
    }
    this.root.addEventListener("pointerdown", (event) => this.down(event));
    this.root.addEventListener("pointermove", (event) => this.moved(event));
    for (const name of ["pointerup", "pointercancel"]) this.root.addEventListener(name, (event) => this.up(event));
    this.root.addEventListener("dblclick", (event) => {
      if (!this.panes.length || this.tool) return;
      const { x, y } = this.placeOf(event);
      this.zoom(2, x, y);
    });
  }

  down(event) {
    if (!this.panes.length || event.target.closest("button")) return;
    this.root.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.placeOf(event));
    const isFirst = this.pointers.size === 1;
    if (!isFirst) this.tool?.cancel();
    this.isUsingTool = isFirst && this.tool !== null && event.button === 0 && !this.isMoving;
    if (this.isUsingTool) this.tool.down(this.placeOf(event));
    else this.panes.forEach((pane) => pane.element.classList.add("moving"));
  }

  moved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      if (this.panes.length) this.tool?.hover?.(this.placeOf(event));
      return;
    }
    // With a captured pointer the target is the root, so the pane is that of the first touch.
    const { clientX, clientY } = event;
    const x = before.x + clientX - before.clientX;
    const y = before.y + clientY - before.clientY;
    const now = this.inImage({ x, y, clientX, clientY });
    if (this.isUsingTool) {
      this.tool.move(now);
    } else if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const distance = (a) => Math.hypot(a.x - other.x, a.y - other.y) || 1;
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      this.move(middle.x - (before.x + other.x) / 2, middle.y - (before.y + other.y) / 2);
      this.zoom(distance(now) / distance(before), middle.x, middle.y);
    } else {
      this.move(now.x - before.x, now.y - before.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (this.isUsingTool) this.tool?.up();
    this.isUsingTool = false;
    this.panes.forEach((pane) => pane.element.classList.remove("moving"));
  }
}

/** Return a shape of SVG in pixels of the image. */
export function shape(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

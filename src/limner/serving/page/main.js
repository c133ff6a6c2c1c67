// The page: images in, predictions on them, numbers beside them, corrections out.

import { Failure, keep, models as listModels, predict, predictedFile } from "./api.js";
import { ask } from "./ask.js";
import { Correction } from "./correction.js";
import { $, h, percent, pngOf } from "./dom.js";
import { downloads } from "./downloads.js";
import { Gallery } from "./gallery.js";
import { classMap, css, objectColor, objectMap, stepFor, tint } from "./paint.js";
import { above, hasScores, resultsOf, summary } from "./results.js";
import { shape, Viewer } from "./viewer.js";
import { drawPlane, planeSize, readVolume, VolumeView } from "./volume.js";

const WORD = [38, 200, 110];
const isTouch = matchMedia("(pointer: coarse)").matches;
const VOLUME_HINT = isTouch ? "Touch a plane to move the other two." : "Click in a plane to move the other two, scroll through its slices. O hides the overlay.";
const HINT = isTouch ? "Two fingers zoom, one moves." : "Scroll to zoom, drag to move.";
const OVERLAY_HINT = isTouch ? HINT : `${HINT} O hides the overlay.`;
const PAINT_HINT = isTouch
  ? "One finger paints, two zoom and move."
  : "Scroll to zoom, drag with Space to move. B brush, E eraser, P polygon (Enter closes it), R box, [ ] size, Ctrl+Z undo.";
const DARK = 64; // as in limner's own pictures: darker images are brightened to be seen

const state = {
  models: [], chosen: [], keeps: false, items: [], current: null, mode: "overlay", opacity: 0.45, isOverlayShown: true,
  hidden: new Set(), threshold: 0.5, mm: null, hovered: null, correction: null,
};

const viewer = new Viewer($("panes"), {
  onZoom: (scale) => {
    const percents = scale < 0.1 ? (100 * scale).toFixed(1) : Math.round(100 * scale);
    $("scale").textContent = state.current?.picture ? `${percents} %` : "";
  },
});

const volumeView = new VolumeView($("panes"));

const gallery = new Gallery({
  onPredict: (file) => add([file]),
  onFailure: (error) => $("purpose").replaceChildren(h("span", { className: "error", textContent: error.message })),
});

const modelOf = (name) => state.models.find((model) => model.name === name);
const chosenModels = () => state.chosen.map(modelOf);

// Start

async function start() {
  try {
    const { models, keeps, limits, shows } = await listModels();
    if (shows) gallery.more();
    Object.assign(state, { models, keeps, limits });
    state.chosen = [models[0].name];
    state.threshold = models[0].score_threshold;
  } catch (error) {
    $("purpose").replaceChildren(h("span", { className: "error", textContent: error.message }));
    return;
  }
  const [first] = state.models;
  document.title = `${first.name} - limner`;
  $("model").hidden = state.models.length > 1;
  $("model").replaceChildren(h("b", { textContent: first.name }), ` · ${first.title} · ${first.network}`);
  const names = state.models.length > 1 ? `${state.models.length} models` : `${first.name} (${first.title})`;
  $("purpose").textContent = `${names} will predict them on this server. They are not stored.`;
  showModels();
}

function showModels() {
  $("models").hidden = state.models.length < 2;
  $("models").append(...state.models.map((model) => {
    const input = h("input", { type: "checkbox", value: model.name, checked: state.chosen.includes(model.name) });
    input.addEventListener("change", () => {
      const names = state.models.map((one) => one.name).filter((name) => (name === model.name ? input.checked : state.chosen.includes(name)));
      if (names.length) state.chosen = names;
      else input.checked = true;
      leaveCorrection();
      for (const item of state.items) predictItem(item);
      show();
    });
    return h("label", { className: "chip", title: `${model.title}, ${model.network}` }, input, h("span", { textContent: model.name }));
  }));
}

// Images

async function add(files) {
  const items = [...files].map((file) => ({
    file, name: file.name || "photo.jpg", answers: new Map(), corrections: new Map(), picture: null,
  }));
  if (!items.length || !state.models.length) return;
  state.items.push(...items);
  $("welcome").hidden = true;
  $("back").hidden = $("data").hidden;
  $("work").hidden = $("add").hidden = false;
  select(items[0]);
  for (const item of items) await Promise.all([open(item), predictItem(item)]);
}

/** Draw the file as the browser shows it, if it can. */
async function open(item) {
  try {
    setPicture(item, await createImageBitmap(item.file));
  } catch {
    item.picture ??= null; // a kind of file that browsers do not read: the server draws it
  }
  refresh(item);
}

function setPicture(item, bitmap, width = bitmap.width, height = bitmap.height) {
  const step = stepFor(width, height);
  const canvas = h("canvas", { width: Math.ceil(width / step), height: Math.ceil(height / step) });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  Object.assign(item, { picture: canvas, width, height, step });
}

/** Refuse a file that the server would refuse, before it is sent. */
function refuseLarge(file) {
  const limit = state.limits.max_megabytes;
  if (file.size <= limit * 1e6) return;
  const found = `${(file.size / 1e6).toFixed(1)} MB`;
  throw new Failure(413, { error: "The file is too large", found, expected: `at most ${limit} MB`, fix: "Start the server with a larger --max-mb." });
}

async function predictItem(item) {
  await Promise.all(state.chosen.filter((name) => !item.answers.has(name)).map(async (name) => {
    const answer = { entry: null, failure: null };
    item.answers.set(name, answer);
    try {
      refuseLarge(item.file);
      answer.entry = await predict(item.file, name);
      await drawOnServer(item, answer, name);
    } catch (error) {
      answer.failure = error;
      if (error.status === 429 || !(error instanceof Failure)) item.answers.delete(name);
      if (!(error instanceof Failure)) throw error;
    }
    refresh(item);
  }));
}

/** Let the server draw what browsers show wrongly or not at all: other pixel types, other files, volumes. */
async function drawOnServer(item, answer, name) {
  const { entry } = answer;
  const isVolume = entry.size.length === 3;
  const [height, width] = entry.size.slice(-2);
  if (entry.volume) {
    answer.volume = await readVolume(entry.volume);
    delete entry.volume; // the packed text is as large as the volume
    setPicture(item, middleOf(answer.volume));
    return;
  }
  if (isVolume) {
    const bitmap = await createImageBitmap(await predictedFile(item.file, name, "overlay"));
    setPicture(item, bitmap);
    answer.picture = item.picture; // with this model's prediction
    return;
  }
  const isAsShown = item.picture && item.width === width && item.height === height;
  if (entry.dtype === "uint8" && isAsShown && !isDark(item.picture)) return;
  setPicture(item, await createImageBitmap(await predictedFile(item.file, name, "image")), width, height);
}

/** Draw the plane with most foreground, for the list of images. */
function middleOf(volume) {
  const canvas = h("canvas", planeSize(volume, 0));
  drawPlane(canvas, volume, 0, volume.start[0]);
  return canvas;
}

/** Tell whether 99.5 % of the values of a picture are too dark to see. */
function isDark(picture) {
  const small = h("canvas", { width: Math.min(400, picture.width), height: Math.min(400, picture.height) });
  const context = small.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, small.width, small.height);
  const { data } = context.getImageData(0, 0, small.width, small.height);
  let bright = 0;
  for (let i = 0; i < data.length; i += 4) bright += (data[i] >= DARK) + (data[i + 1] >= DARK) + (data[i + 2] >= DARK);
  return bright < 0.005 * 0.75 * data.length;
}

function select(item) {
  leaveCorrection();
  state.current = item;
  viewer.isFitted = true;
  show();
}

function refresh(item) {
  showItems();
  if (item === state.current) show();
}

// Panes

function show() {
  const item = state.current;
  if (!item) return;
  showItems();
  const entries = chosenModels().map((model) => item.answers.get(model.name)?.entry).filter(Boolean);
  const isVolume = entries.some((entry) => entry.size.length === 3);
  const isPainted = !isVolume && entries.some((entry) => entry.classes || entry.objects || entry.words);
  const volumes = chosenModels().map((model) => ({ model, name: model.name, volume: item.answers.get(model.name)?.volume }));
  const hasPlanes = volumes.some((one) => one.volume);
  $("modes").hidden = !isPainted || state.correction !== null;
  $("fade").hidden = !isPainted && !hasPlanes;
  document.querySelector(".zoom").hidden = hasPlanes;
  if (hasPlanes) return showVolumes(volumes.filter((one) => one.volume));
  volumeView.leave();
  const panes = [];
  const isSide = state.mode === "side" && isPainted && !state.correction;
  if (isSide) panes.push({ caption: "Original", hasOverlay: false });
  for (const model of chosenModels()) {
    const { entry, failure, picture } = item.answers.get(model.name) ?? {};
    const isSeveral = state.chosen.length > 1 || isSide;
    panes.push({
      model, picture: picture ?? undefined, hasOverlay: true, caption: isVolume ? `${model.name}: the slice with most foreground` : isSeveral ? model.name : "",
      veil: failure ? failure.message.split("\n")[0] : entry ? "" : "Predicting …", isFailed: Boolean(failure),
    });
  }
  viewer.show(item.picture, item.width ?? 1, item.height ?? 1, panes);
  viewer.panes.forEach((pane, i) => {
    pane.model = panes[i].model;
    if (state.correction) pane.element.classList.add("painting");
  });
  viewer.setSwipe(state.mode === "swipe" && isPainted ? viewer.swipe ?? 0.5 : null);
  paint();
  showResults();
}

/** Show three planes of a volume for each model. */
function showVolumes(volumes) {
  viewer.show(null, 1, 1, []);
  state.volumes = volumes;
  volumeView.show(volumes);
  paint();
  showResults();
}

/** Draw what was found on every pane. */
function paint(part = null) {
  const item = state.current;
  if (volumeView.isShown) {
    volumeView.paint((i) => classColors(state.volumes[i].model), state.opacity, state.isOverlayShown);
    return;
  }
  if (!item.picture) return;
  for (const pane of viewer.panes) {
    const entry = pane.model && item.answers.get(pane.model.name)?.entry;
    if (!entry || entry.size.length === 3) continue;
    pane.overlay.hidden = !state.isOverlayShown;
    pane.shapes.style.display = state.isOverlayShown ? "" : "none";
    const { map, colors } = mapOf(item, pane.model, entry);
    if (map) tint(pane.overlay, map, colors, state.opacity, part);
    if (!part) drawShapes(pane, entry);
  }
}

function mapOf(item, model, entry) {
  const hides = (name) => state.hidden.has(name);
  const corrected = state.correction?.map ?? item.corrections.get(model.name);
  if (entry.objects) {
    if (!entry.objects.some((row) => row.mask)) return {};
    const isShown = (row) => row.score >= state.threshold && !hides(row.name);
    const colors = entry.objects.map((row, i) =>
      model.classes[row.index].is_background ? undefined : row.is_thing === false ? model.classes[row.index].color : objectColor(i));
    return { map: objectMap(entry, item.step, isShown), colors: [undefined, ...colors] };
  }
  if (!entry.classes) return {};
  entry.map ??= classMap(entry, item.step);
  return { map: corrected ?? entry.map, colors: classColors(model) };
}

/** Return the colour of each class by its number + 1; undefined for what is not shown. */
function classColors(model) {
  return [undefined, ...model.classes.map((one) => (one.is_background || state.hidden.has(one.name) ? undefined : one.color))];
}

function drawShapes(pane, entry) {
  const shapes = [];
  for (const row of above(entry.objects, state.threshold)) {
    if (row.mask && row !== state.hovered) continue;
    if (state.hidden.has(row.name)) continue;
    const [left, top, right, bottom] = row.box_xyxy;
    const color = css(pane.model.classes[row.index].color);
    const lit = row === state.hovered ? " lit" : "";
    shapes.push(shape("rect", { class: `shape${lit}`, x: left, y: top, width: right - left, height: bottom - top, stroke: color }));
    if (!row.mask) {
      const text = `${row.name} ${row.score.toFixed(2)}`;
      shapes.push(shape("text", { class: "tag", x: left, y: top, dy: "-0.35em", fill: color }, text));
    }
  }
  for (const row of above(entry.words, state.threshold)) {
    const lit = row === state.hovered ? " lit" : "";
    const points = row.polygon.map((point) => point.join(",")).join(" ");
    shapes.push(shape("polygon", { class: `shape${lit}`, points, stroke: css(WORD) }));
  }
  pane.shapes.replaceChildren(...shapes);
}

// Sidebar

function showItems() {
  const items = $("items");
  items.hidden = state.items.length < 2;
  items.replaceChildren(...state.items.map((item) => {
    const button = h("button", { type: "button", title: item.name, "aria-label": item.name, "aria-current": item === state.current });
    if (item.picture) {
      const small = h("canvas", { width: 120, height: 120 });
      const scale = 120 / Math.min(item.picture.width, item.picture.height);
      const [width, height] = [item.picture.width * scale, item.picture.height * scale];
      small.getContext("2d").drawImage(item.picture, (120 - width) / 2, (120 - height) / 2, width, height);
      button.append(small);
    }
    button.addEventListener("click", () => select(item));
    return button;
  }));
}

function showResults() {
  const item = state.current;
  const parts = [h("p", { className: "fact", textContent: item.name })];
  const found = [];
  const texts = [];
  for (const model of chosenModels()) {
    const { entry, failure } = item.answers.get(model.name) ?? {};
    if (failure) texts.push(failure.message);
    if (failure) parts.push(h("p", { className: "error", role: "alert", textContent: failure.message }));
    if (!entry) continue;
    const counted = correctedEntry(item, model, entry);
    found.push([model, counted]);
    texts.push(`${model.name}: ${summary(model, counted, state.threshold)}`);
    parts.push(resultsOf(model, counted, {
      threshold: state.threshold, hidden: state.hidden, mm: state.mm, hasPlanes: volumeView.isShown, isSeveral: state.chosen.length > 1, onToggle: toggle,
      onHover: (row) => {
        state.hovered = row;
        viewer.panes.forEach((pane) => pane.model && item.answers.get(pane.model.name)?.entry && drawShapes(pane, item.answers.get(pane.model.name).entry));
      },
    }));
  }
  if (found.length) parts.push(agreement(found), settings(found), correctBlock(item), downloads(item, found, { attempt, mapOf, state }));
  const before = document.activeElement?.getAttribute?.("data-keeps");
  $("results").replaceChildren(...parts.filter(Boolean));
  if (before) $("results").querySelector(`[data-keeps="${before}"]`)?.focus();
  $("announced").textContent = texts.join(". ") || "Predicting";
  if (!state.correction) tell(found.length ? (volumeView.isShown ? VOLUME_HINT : $("fade").hidden ? HINT : OVERLAY_HINT) : "");
}

/** Return the answer with the numbers of the correction, if there is one. */
function correctedEntry(item, model, entry) {
  if (state.correction?.model === model) return state.correction.corrected(entry);
  return item.corrected?.get(model.name) ?? entry;
}

function toggle(name) {
  if (!state.hidden.delete(name)) state.hidden.add(name);
  paint();
  if (state.current.answers.size && chosenModels().some((model) => state.current.answers.get(model.name)?.entry?.objects)) showResults();
}

/** Say how much of the image the first two models see alike, if they know the same classes. */
function agreement(found) {
  const [[first, one], [second, other]] = [found[0], found[1] ?? [null, null]];
  const names = (model) => model.classes.map((each) => each.name).join("\n");
  if (!other || !one.map || !other.map || names(first) !== names(second)) return null;
  let alike = 0;
  for (let i = 0; i < one.map.length; i++) alike += one.map[i] === other.map[i];
  const text = `${first.name} and ${second.name} agree on ${percent(alike / one.map.length)} of the pixels.`;
  return h("p", { className: "block", textContent: text });
}

function settings(found) {
  const parts = [];
  if (found.some(([, entry]) => hasScores(entry))) {
    const output = h("output", { textContent: state.threshold.toFixed(2) });
    const input = h("input", { type: "range", min: 0, max: 1, step: 0.01, value: state.threshold, "data-keeps": "threshold", "aria-label": "Minimum score" });
    input.addEventListener("input", () => {
      state.threshold = Number(input.value);
      output.textContent = state.threshold.toFixed(2);
      paint();
    });
    input.addEventListener("change", showResults);
    parts.push(h("label", { className: "setting" }, h("span", { textContent: "Minimum score" }), input, output));
  }
  if (found.some(([, entry]) => entry.spacing_mm === null && !entry.probabilities && (entry.classes || entry.objects?.some((row) => row.mask)))) {
    const input = h("input", { type: "number", min: 0, step: "any", placeholder: "unknown", value: state.mm ?? "", "data-keeps": "mm" });
    input.addEventListener("change", () => {
      state.mm = Number(input.value) > 0 ? Number(input.value) : null;
      showResults();
    });
    parts.push(h("label", { className: "setting" }, h("span", { textContent: "Millimetres per pixel" }), input));
  }
  return parts.length ? h("div", {}, ...parts) : null;
}

// Corrections

function correctBlock(item) {
  const model = chosenModels().find((one) => one.is_correctable && item.answers.get(one.name)?.entry?.classes);
  if (!model || item.answers.get(model.name).entry.size.length === 3) return null;
  const children = [h("h2", { textContent: "Correct" })];
  if (!state.keeps) {
    children.push(h("p", { className: "fact", textContent: "Corrections can be kept as training data if the server is started with --keep FOLDER." }));
  } else if (item.step > 1) {
    children.push(h("p", { className: "fact", textContent: "The image is too large to be corrected here. Cut it into tiles." }));
  } else if (state.correction) {
    const text = h("p", { className: "fact", textContent: state.correction.changedText });
    const save = h("button", { type: "button", className: "primary", textContent: "Keep correction" });
    save.addEventListener("click", () => attempt(() => saveCorrection(item)));
    const leave = h("button", { type: "button", textContent: "Cancel" });
    leave.addEventListener("click", async () => {
      if (state.correction.isChanged && (await ask("Discard this correction?", "", [["discard", "Discard"], ["stay", "Keep editing"]])) !== "discard") return;
      leaveCorrection();
      show();
    });
    children.push(text, h("div", { className: "row" }, save, leave));
  } else {
    const kept = item.kept?.get(model.name);
    children.push(h("p", { className: "fact", textContent: kept ? `Kept as ${kept}` : "Paint over mistakes; the result is kept as training data." }));
    const begin = h("button", { type: "button", textContent: kept ? "Correct again" : "Correct the prediction" });
    begin.addEventListener("click", () => enterCorrection(item, model));
    children.push(begin);
  }
  return h("section", { className: "block", "aria-label": "Correct" }, ...children);
}

function enterCorrection(item, model) {
  state.chosen = [model.name];
  for (const input of $("models").querySelectorAll("input")) input.checked = input.value === model.name;
  const entry = item.answers.get(model.name).entry;
  state.correction = new Correction(model, entry, item.corrections.get(model.name), {
    onChange: (part) => (part ? paint(part) : showResults()),
    getPane: () => viewer.panes[0],
    getScale: () => viewer.view.scale,
  });
  state.mode = "overlay";
  document.querySelector("input[name=mode][value=overlay]").checked = true;
  $("correcting").hidden = false;
  $("correcting").replaceChildren(...state.correction.bar);
  viewer.tool = state.correction;
  show();
  $("panes").focus({ preventScroll: true });
  tell(PAINT_HINT);
}

function leaveCorrection() {
  state.correction = null;
  viewer.tool = null;
  $("correcting").hidden = true;
}

async function saveCorrection(item) {
  const { correction } = state;
  const labels = await pngOf(correction.toCanvas());
  let name = item.keptName ?? item.name;
  let kept;
  try {
    kept = await keep(item.file, name, labels, correction.model.name, false);
  } catch (error) {
    const free = error.content?.expected?.match(/such as (\S+)$/)?.[1];
    if (error.status !== 409 || !free) throw error;
    const choice = await ask("A correction with this name exists already", `${error.content.found}`,
      [["replace", "Replace it"], ["both", `Keep both, as ${free}`], ["cancel", "Cancel"]]);
    if (choice === "cancel") return;
    if (choice === "both") name = name.replace(/^.*?((\.[^.]*)?)$/, `${free}$1`);
    kept = await keep(item.file, name, labels, correction.model.name, choice === "replace");
  }
  item.keptName = name;
  (item.kept ??= new Map()).set(correction.model.name, kept.mask);
  item.corrections.set(correction.model.name, correction.map);
  (item.corrected ??= new Map()).set(correction.model.name, correction.corrected(item.answers.get(correction.model.name).entry));
  leaveCorrection();
  show();
  tell(`Kept as ${kept.mask}. ${kept.num_images} corrected so far.`);
}

// Controls

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    tell(error.message, true);
    if (!(error instanceof Failure)) throw error;
  }
}

function tell(text, isFailure = false) {
  $("status").textContent = text;
  $("status").classList.toggle("failed", isFailure);
}

function listen() {
  for (const id of ["files", "more", "camera"]) {
    $(id).addEventListener("change", () => {
      add($(id).files);
      $(id).value = "";
    });
  }
  for (const name of ["dragenter", "dragover"]) {
    addEventListener(name, (event) => {
      event.preventDefault();
      document.body.classList.add("dragging");
    });
  }
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => add(event.clipboardData.files));
  for (const input of document.querySelectorAll("input[name=mode]")) {
    input.addEventListener("change", () => {
      state.mode = input.value;
      viewer.isFitted = true;
      show();
    });
  }
  $("opacity").addEventListener("input", () => {
    state.opacity = Number($("opacity").value) / 100;
    paint();
  });
  $("in").addEventListener("click", () => viewer.zoom(1.4));
  $("out").addEventListener("click", () => viewer.zoom(1 / 1.4));
  $("fit").addEventListener("click", () => viewer.fit());
  $("back").addEventListener("click", () => {
    leaveCorrection();
    $("work").hidden = $("back").hidden = true;
    $("welcome").hidden = false;
  });
  addEventListener("keydown", onKey);
}

function onKey(event) {
  if (!state.current || $("ask").open || event.target.matches("input:not([type=radio], [type=checkbox]), select")) return;
  if (state.correction?.key(event)) {
    event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inView = event.target === $("panes") || event.target === document.body;
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (inView && moves[event.key]) viewer.move(...moves[event.key]);
  else if (event.key === "+" || event.key === "=") viewer.zoom(1.4);
  else if (event.key === "-") viewer.zoom(1 / 1.4);
  else if (event.key === "0") viewer.fit();
  else if (event.key.toLowerCase() === "o") {
    state.isOverlayShown = !state.isOverlayShown;
    paint();
  } else return;
  event.preventDefault();
}

listen();
start();

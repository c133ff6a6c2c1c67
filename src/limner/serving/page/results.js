// The sidebar: what was found in an image, class by class and object by object.

import { count, h, measure, percent, several } from "./dom.js";
import { css, objectColor } from "./paint.js";

const MOST_LISTED = 300;

/** Return whether scores of an answer can be compared with a threshold. */
export const hasScores = (entry) => Boolean(entry.objects?.length || entry.words?.length);

/** Return the objects or words of an answer with a score of at least the threshold. */
export const above = (rows, threshold) => (rows ?? []).filter((row) => row.score >= threshold);

/** Return a sentence about an answer, for the status line and screen readers. */
export function summary(model, entry, threshold) {
  if (entry.probabilities) {
    const found = entry.probabilities.filter((row) => row.is_predicted);
    return found.length ? found.map((row) => `${row.name}, ${percent(row.probability)}`).join("; ") : "No class is likely";
  }
  if (entry.words) return several(above(entry.words, threshold).length, "word");
  if (entry.objects) return several(above(entry.objects, threshold).length, "object");
  const [largest] = foreground(model, entry).sort((a, b) => b.pixels - a.pixels);
  return largest?.pixels ? `${largest.name} covers ${percent(largest.pixels / total(entry))}` : "Only background";
}

const total = (entry) => entry.size.reduce((a, b) => a * b, 1);
const foreground = (model, entry) => entry.classes.filter((row) => !model.classes[row.index].is_background);

/** Return the size of a row in millimetres: the server's, or by the millimetres of a pixel that the user knows. */
function sizeOf(row, entry, mm) {
  const dims = entry.size.length;
  const known = row.area_mm2 ?? row.volume_mm3 ?? (mm ? row.pixels * mm ** dims : null);
  return known === null ? null : measure(known, dims);
}

/**
 * Build the results of one model for an image.
 * options: threshold, hidden (names of classes), mm, hasPlanes (of a volume), isSeveral, onToggle(name), onHover(row or null).
 */
export function resultsOf(model, entry, options) {
  const children = options.isSeveral ? [h("h2", { textContent: model.name })] : [];
  children.push(h("p", { className: "headline", textContent: summary(model, entry, options.threshold) }));
  const [height, width] = entry.size.slice(-2);
  const depth = entry.size.length === 3 ? ` × ${count(entry.size[0])}` : "";
  children.push(h("p", {
    className: "fact",
    textContent: `${count(width)} × ${count(height)}${depth} ${depth ? "voxels" : "pixels"} · ${Math.round(1000 * entry.seconds)} ms`,
  }));
  if (entry.probabilities) children.push(probabilities(model, entry));
  if (entry.classes && !entry.objects) children.push(classes(model, entry, options));
  if (entry.objects) children.push(objectClasses(model, entry, options), objects(model, entry, options));
  if (entry.words) children.push(words(entry, options));
  return h("section", { className: "result", "aria-label": `Results of ${model.name}` }, ...children);
}

function classes(model, entry, options) {
  return h("ul", { className: "classes" }, ...entry.classes.map((row) => {
    const size = sizeOf(row, entry, options.mm);
    const isVolume = entry.size.length === 3;
    const details = [`${count(row.pixels)} ${isVolume ? "voxels" : "pixels"}`, size];
    return classRow(model.classes[row.index], percent(row.pixels / total(entry)), details, options, !isVolume || options.hasPlanes);
  }));
}

function objectClasses(model, entry, options) {
  const shown = above(entry.objects, options.threshold);
  const rows = model.classes.map((one) => {
    const members = shown.filter((row) => row.index === one.index);
    const pixels = members.reduce((sum, row) => sum + (row.pixels ?? 0), 0);
    const size = pixels ? sizeOf(sum(members, pixels), entry, options.mm) : null;
    return [one, members.length, pixels ? [`${count(pixels)} pixels`, size] : []];
  });
  const listed = rows.filter(([, number]) => number || rows.length <= 8);
  return h("ul", { className: "classes" }, ...listed.map(([one, number, details]) =>
    classRow(one, count(number), details, options)));
}

/** Return the sizes of several objects as those of one. */
function sum(members, pixels) {
  const areas = members.map((row) => row.area_mm2);
  return areas.every((area) => area !== undefined) ? { pixels, area_mm2: areas.reduce((a, b) => a + b, 0) } : { pixels };
}

function classRow(one, amount, details, options, isSwitched = true) {
  const swatch = h("span", { className: "swatch", "aria-hidden": "true" });
  swatch.style.background = css(one.color);
  const name = h("span", { className: "name", textContent: one.name });
  const number = h("span", { className: "amount", textContent: amount });
  const known = details.filter(Boolean);
  const small = known.length ? h("small", {}, ...known.map((text) => h("span", { textContent: text }))) : null;
  const isFixed = one.is_background || !isSwitched;
  const toggle = h("input", { type: "checkbox", checked: !options.hidden.has(one.name), disabled: isFixed });
  toggle.addEventListener("change", () => options.onToggle(one.name));
  if (isFixed) toggle.style.visibility = "hidden";
  return h("li", {}, h("label", { className: isFixed ? "plain" : "" }, toggle, swatch, name, number, small));
}

function objects(model, entry, options) {
  const shown = above(entry.objects, options.threshold).filter((row) => !options.hidden.has(row.name));
  const rows = shown.slice(0, MOST_LISTED).map((row) => {
    const place = entry.objects.indexOf(row);
    const color = row.mask && row.is_thing !== false ? objectColor(place) : model.classes[row.index].color;
    const size = row.pixels ? sizeOf(row, entry, options.mm) ?? `${count(row.pixels)} px` : null;
    return listed(row, color, [row.name, size, row.score.toFixed(2)], options);
  });
  return list(rows, shown.length, "Objects, highest score first");
}

function words(entry, options) {
  const shown = above(entry.words, options.threshold);
  const rows = shown.slice(0, MOST_LISTED).map((row, i) => {
    const [left, top, right, bottom] = row.box_xyxy;
    const size = `${Math.round(right - left)} × ${Math.round(bottom - top)} px`;
    return listed(row, [38, 200, 110], [`Word ${i + 1}`, size, row.score.toFixed(2)], options);
  });
  return list(rows, shown.length, "Words, highest score first");
}

function listed(row, color, [name, size, score], options) {
  const swatch = h("span", { className: "swatch", "aria-hidden": "true" });
  swatch.style.background = css(color);
  const item = h("li", { tabIndex: 0 }, swatch, h("span", { className: "name", textContent: name }),
    size ? h("span", { className: "muted", textContent: size }) : null, h("span", { textContent: score }));
  for (const name of ["mouseenter", "focus"]) item.addEventListener(name, () => options.onHover(row));
  for (const name of ["mouseleave", "blur"]) item.addEventListener(name, () => options.onHover(null));
  return item;
}

function list(rows, number, label) {
  const more = number > rows.length ? [h("li", { className: "muted", textContent: `and ${count(number - rows.length)} more` })] : [];
  return rows.length ? h("ol", { className: "objects", "aria-label": label }, ...rows, ...more) : null;
}

function probabilities(model, entry) {
  return h("ul", { className: "classes" }, ...entry.probabilities.slice(0, 12).map((row) => {
    const fill = h("i");
    fill.style.width = `${100 * row.probability}%`;
    const name = h("span", { className: "name", textContent: row.name });
    const number = h("span", { className: "amount", textContent: percent(row.probability) });
    const mark = h("span", { className: "sign", "aria-hidden": "true", textContent: row.is_predicted ? "✓" : " " });
    const bar = h("span", { className: "bar", "aria-hidden": "true" }, fill);
    return h("li", {}, h("label", { className: "plain" }, mark, h("span"), name, number, bar));
  }));
}

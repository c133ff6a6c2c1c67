// Files of what was found: overlay, label map, NIfTI, COCO and JSON.

import { Failure, predictedFile } from "./api.js";
import { cocoOf } from "./coco.js";
import { numbersCanvas } from "./correction.js";
import { download, h, pngOf, stem } from "./dom.js";
import { tint } from "./paint.js";

const NIFTI = "application/x-nifti";

/**
 * Return the buttons that save what was found in an image.
 * found: [model, answer] each. page: attempt(action), mapOf(item, model, entry) and state of the page.
 */
export function downloads(item, found, page) {
  const button = (text, action) => {
    const made = h("button", { type: "button", className: "small", textContent: text });
    made.addEventListener("click", () => page.attempt(action));
    return made;
  };
  const name = stem(item.name);
  const buttons = [];
  for (const [model, entry] of found) {
    const suffix = found.length > 1 ? `-${model.name}` : "";
    const of = found.length > 1 ? ` (${model.name})` : "";
    const isVolume = entry.size.length === 3;
    if (isVolume) {
      buttons.push(button(`NIfTI${of}`, async () => download(await predictedFile(item.file, model.name, "labels", NIFTI), `${name}${suffix}-labels.nii.gz`)));
    } else {
      buttons.push(button(`Overlay${of}`, async () => download(await overlayOf(item, model, page), `${name}${suffix}-overlay.png`)));
      if (entry.classes || entry.objects?.some((row) => row.mask)) {
        buttons.push(button(`Label map${of}`, async () => download(await labelMap(item, model, page), `${name}${suffix}-labels.png`)));
      }
      if (entry.classes || entry.objects) {
        buttons.push(button(`COCO${of}`, () => download(jsonBlob(cocoOf(item.name, model, item.answers.get(model.name).entry, drawnMap(item, model, page))), `${name}${suffix}-coco.json`)));
      }
    }
    buttons.push(button(`JSON${of}`, () => download(jsonOf(model, entry), `${name}${suffix}.json`)));
  }
  return h("section", { className: "block", "aria-label": "Download" }, h("h2", { textContent: "Download" }), h("div", { className: "row" }, ...buttons));
}

function jsonOf(model, entry) {
  const { map, ...plain } = entry;
  return jsonBlob({ model: model.name, images: [plain] });
}

const jsonBlob = (content) => new Blob([JSON.stringify(content, null, 2)], { type: "application/json" });

/** Return the corrected classes of an image, while they are drawn and once they are kept; null without any. */
function drawnMap(item, model, page) {
  const { correction } = page.state;
  const isDrawn = correction?.model === model && correction.isChanged;
  return (isDrawn ? correction.map : item.corrections.get(model.name)) ?? null;
}

/** Return the image with the overlay as it is shown now, without boxes and outlines, which the server draws. */
async function overlayOf(item, model, page) {
  const entry = item.answers.get(model.name).entry;
  const { map, colors } = page.mapOf(item, model, entry);
  if (!map) return predictedFile(item.file, model.name, "overlay");
  const over = h("canvas", { width: item.picture.width, height: item.picture.height });
  tint(over, map, colors, page.state.opacity);
  const both = h("canvas", { width: over.width, height: over.height });
  const context = both.getContext("2d");
  context.drawImage(item.picture, 0, 0);
  context.drawImage(over, 0, 0);
  return pngOf(both);
}

/** Return the label map in the values of the model's own masks: the correction, or what the server predicts. */
async function labelMap(item, model, page) {
  const map = drawnMap(item, model, page);
  if (!map) return predictedFile(item.file, model.name, "labels");
  const values = model.classes.map((one) => one.value);
  if (Math.max(...values) > 255) throw new Failure(0, { error: "A corrected label map with values above 255 cannot be made in the browser.", fix: "Keep the correction on the server." });
  const [height, width] = item.answers.get(model.name).entry.size;
  return pngOf(numbersCanvas(map, width, height, (index) => values[index]));
}

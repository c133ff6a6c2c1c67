// What was found in an image as a COCO file, as labelling tools import it.

import { classMap } from "./paint.js";

/**
 * Return the content of a COCO file: one annotation for each object, or for each class of a label map.
 * map: the class of each pixel, index + 1, if it was corrected; else that of the answer.
 */
export function cocoOf(name, model, entry, map = null) {
  const [height, width] = entry.size;
  const found = entry.objects ? entry.objects.map(objectOf) : regionsOf(model, map ?? classMap(entry, 1), height, width);
  return {
    images: [{ id: 1, file_name: name, width, height }],
    categories: model.classes.map((one) => ({ id: one.index + 1, name: one.name })),
    annotations: found.map((one, i) => ({ id: i + 1, image_id: 1, iscrowd: 0, ...one })),
  };
}

function objectOf(row) {
  const [left, top, right, bottom] = row.box_xyxy;
  const bbox = [left, top, right - left, bottom - top];
  const mask = row.mask ? { segmentation: row.mask } : {};
  return { category_id: row.index + 1, score: row.score, bbox, area: row.pixels ?? bbox[2] * bbox[3], ...mask };
}

/** Return an annotation of each class but the background that has pixels. */
function regionsOf(model, map, height, width) {
  return model.classes.filter((one) => !one.is_background).flatMap(({ index }) => {
    const { counts, area, bbox } = regionOf(map, index + 1, height, width);
    return area ? [{ category_id: index + 1, segmentation: { size: [height, width], counts }, area, bbox }] : [];
  });
}

/** Return the run lengths (outside and inside in turn, column by column), the area and the box of a number. */
function regionOf(map, number, height, width) {
  const counts = [];
  let [run, isInside, area] = [0, false, 0];
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const isPart = map[y * width + x] === number;
      if (isPart !== isInside) {
        counts.push(run);
        [run, isInside] = [0, isPart];
      }
      run += 1;
      if (!isPart) continue;
      area += 1;
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), x + 1, Math.max(bottom, y + 1)];
    }
  }
  counts.push(run);
  return { counts, area, bbox: [left, top, right - left, bottom - top] };
}

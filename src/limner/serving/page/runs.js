// Masks as COCO's compressed run lengths: numbers of pixels outside and inside, in turn, column by column.

/** Return the numbers of a compressed text: five bits a character; all but two are differences. */
export function runsOf(text) {
  const runs = [];
  let place = 0;
  while (place < text.length) {
    let value = 0;
    let shift = 0;
    let bits;
    do {
      bits = text.charCodeAt(place++) - 48;
      value |= (bits & 31) << shift;
      shift += 5;
    } while (bits & 32);
    if (bits & 16 && shift < 32) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

/**
 * Write a number into a map where a mask is set.
 * map: row by row, of ceil(width / step) times ceil(height / step); step: every how many pixels it has one.
 */
export function paintRuns(map, mask, step, value) {
  const [height, width] = mask.size;
  const columns = Math.ceil(width / step);
  let start = 0;
  runsOf(mask.counts).forEach((length, i) => {
    if (i % 2) {
      for (let at = start, end = start + length; at < end;) {
        const x = Math.floor(at / height);
        const last = Math.min(end, (x + 1) * height);
        if (x % step === 0) {
          const first = at - x * height;
          for (let y = first + ((step - (first % step)) % step); y < last - x * height; y += step) {
            map[(y / step) * columns + x / step] = value;
          }
        }
        at = last;
      }
    }
    start += length;
  });
}

// Elements, numbers and files.

/** Return an element; keys of `properties` with a dash, `role` and `for` become attributes. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const $ = (id) => document.getElementById(id);

const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(number);
export const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`);
export const several = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

/** Return an area in square millimetres, or a volume in cubic ones, in a readable unit. */
export function measure(value, dims) {
  const [small, large] = dims === 3 ? [1e9, 1e3] : [1e6, 1e2];
  const power = dims === 3 ? "³" : "²";
  if (value && value < 0.01) return `${(value * small).toPrecision(3)} µm${power}`;
  if (value >= 1000) return `${whole.format(Number((value / large).toPrecision(3)))} cm${power}`;
  return `${Number(value.toPrecision(3))} mm${power}`;
}

export function download(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export const stem = (name) => name.replace(/\.nii\.gz$/i, "").replace(/\.[^.]*$/, "") || "image";

export const pngOf = (canvas) => new Promise((done) => canvas.toBlob(done, "image/png"));

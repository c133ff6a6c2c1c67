// The addresses of the server.

import { askForToken } from "./ask.js";

const MOST_RETRIES = 5;

/** An answer that is no success; the message is for people. */
export class Failure extends Error {
  constructor(status, content) {
    const lines = ["found", "expected", "fix"].filter((key) => content[key]).map((key) => `${key}: ${content[key]}`);
    super([content.error ?? `The server answered with ${status}.`, ...lines].join("\n"));
    this.status = status;
    this.content = content;
  }
}

export async function models() {
  return (await request("models")).json();
}

/** Return what a model finds in a file. */
export async function predict(file, model) {
  const { images } = await (await send("predict", { model, volume: true }, { images: file }, "application/json")).json();
  if (images[0].error) throw new Failure(422, images[0]);
  return images[0];
}

/** Return a file of a prediction: `picture` is labels, overlay or image; `type` its media type. */
export async function predictedFile(file, model, picture, type = "image/png") {
  return (await send("predict", { model, picture }, { images: file }, type)).blob();
}

/** Return some of the images that the server shows, from number `start` on. */
export async function shownImages(start) {
  return (await request(`data?${new URLSearchParams({ start })}`)).json();
}

/** Return an image that the server shows, with its labels. */
export async function shownPicture(number, large) {
  return (await request(`data/${number}?${new URLSearchParams({ large })}`)).blob();
}

/** Return the file of an image that the server shows. */
export async function shownFile({ number, file }) {
  return new File([await (await request(`data/${number}/file`)).blob()], file);
}

/** Keep corrected labels of a file under a name. */
export async function keep(file, name, labels, model, replace) {
  const image = new File([file], name, { type: file.type });
  const fields = { image, labels: new File([labels], "labels.png", { type: "image/png" }) };
  return (await send("corrections", { model, replace }, fields, "application/json")).json();
}

function send(address, options, fields, type) {
  const body = new FormData();
  for (const [name, file] of Object.entries(fields)) body.append(name, file, file.name);
  return request(`${address}?${new URLSearchParams(options)}`, { method: "POST", body, headers: { Accept: type } });
}

async function request(address, init = {}, retries = 0) {
  const token = sessionStorage.getItem("token");
  const headers = { ...init.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let answer;
  try {
    answer = await fetch(address, { ...init, headers });
  } catch {
    throw new Failure(0, { error: "The server does not answer.", fix: "Is it still running?" });
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    sessionStorage.setItem("token", await askForToken(Boolean(token)));
    return request(address, init, retries);
  }
  if (answer.status === 429 && retries < MOST_RETRIES) {
    const seconds = Number(answer.headers.get("Retry-After")) || 2;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    return request(address, init, retries + 1);
  }
  throw new Failure(answer.status, await answer.json().catch(() => ({})));
}

// The images that the server shows: a grid with labels, the worst first; one is enlarged by a click.

import { shownFile, shownImages, shownPicture } from "./api.js";
import { $, h } from "./dom.js";

export class Gallery {
  /** onPredict(file): predicts an image; onFailure(error): shows why something was not possible. */
  constructor({ onPredict, onFailure }) {
    Object.assign(this, { onPredict, onFailure, images: [], total: 0, current: 0 });
    $("further").addEventListener("click", () => this.more());
    $("previous").addEventListener("click", () => this.enlarge(this.current - 1));
    $("next").addEventListener("click", () => this.enlarge(this.current + 1));
    $("close").addEventListener("click", () => $("large").close());
    $("predicted").addEventListener("click", () => this.predict());
    $("large").addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) this.enlarge(this.current + step);
    });
    // A picture is only asked for when it comes into view.
    this.seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        this.seen.unobserve(target);
        this.load(target);
      }
    }, { rootMargin: "300px" });
  }

  /** Show the next images of the server. */
  async more() {
    await this.attempt(async () => {
      const { title, score, total, images } = await shownImages(this.images.length);
      Object.assign(this, { score, total });
      this.images.push(...images);
      $("title").textContent = title;
      $("grid").append(...images.map((image) => this.tile(image)));
      $("further").hidden = this.images.length >= total;
      $("data").hidden = false;
    });
  }

  tile(image) {
    const text = image.score === null ? "" : image.score.toFixed(3);
    const badge = text ? h("span", { className: "score", title: this.score, textContent: text }) : null;
    const picture = h("img", { alt: "", decoding: "async" });
    const label = `${image.name}${text ? `, ${this.score} ${text}` : ""}`;
    const button = h("button", { type: "button", "aria-label": label }, picture, badge, h("span", { className: "of", textContent: image.name }));
    button.dataset.number = image.number;
    button.addEventListener("click", () => this.enlarge(image.number));
    this.seen.observe(button);
    return h("li", {}, button);
  }

  async load(button) {
    await this.attempt(async () => {
      const blob = await shownPicture(Number(button.dataset.number), false);
      button.querySelector("img").src = URL.createObjectURL(blob);
    });
  }

  async enlarge(number) {
    if (number < 0 || number >= this.images.length) return;
    const image = this.images[number];
    this.current = number;
    $("name").textContent = image.score === null ? image.name : `${image.name}: ${this.score} ${image.score.toFixed(3)}`;
    $("previous").disabled = number === 0;
    $("next").disabled = number === this.images.length - 1;
    $("predicted").hidden = !image.is_single;
    $("picture").replaceChildren(h("p", { className: "muted", textContent: "Loading" }));
    if (!$("large").open) $("large").showModal();
    await this.attempt(async () => {
      const blob = await shownPicture(number, true);
      if (this.current !== number) return;
      $("picture").replaceChildren(h("img", { alt: `${image.name} with its labels`, src: URL.createObjectURL(blob) }));
    });
  }

  async predict() {
    const image = this.images[this.current];
    $("large").close();
    await this.attempt(async () => this.onPredict(await shownFile(image)));
  }

  async attempt(action) {
    try {
      await action();
    } catch (error) {
      $("large").close();
      this.onFailure(error);
    }
  }
}

// Questions in a dialog.

import { $, h } from "./dom.js";

let asked = Promise.resolve();

/** Ask a question and return the value of the chosen button; Escape is the last one. */
export function ask(question, details, choices, input = null) {
  asked = asked.then(() => show(question, details, choices, input));
  return asked;
}

function show(question, details, choices, input) {
  const dialog = $("ask");
  $("question").textContent = question;
  $("details").textContent = details;
  const buttons = choices.map(([value, text], i) =>
    h("button", { value, textContent: text, className: i === 0 ? "primary" : "" }));
  $("choices").replaceChildren(...(input ? [input] : []), ...buttons.reverse());
  dialog.returnValue = choices.at(-1)[0];
  dialog.showModal();
  (input ?? buttons.at(-1)).focus();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}

let token = null;

/** Ask for the token of the server; several requests at a time ask once. */
export function askForToken(isWrong) {
  token ??= (async () => {
    const input = h("input", { type: "password", "aria-label": "Token", autocomplete: "off" });
    const details = "It was chosen when the server was started. It is kept until this tab is closed.";
    await ask(isWrong ? "Wrong token" : "This server needs a token", details, [["ok", "Continue"]], input);
    token = null;
    return input.value.trim();
  })();
  return token;
}

// Optional interaction: the page has the same content without it.
"use strict";

// Click a heading to sort its table; numbers in descending order, text in ascending order.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.querySelectorAll("thead th")];
  const sortBy = (column) => {
    const heading = headings[column];
    const isNumber = heading.classList.contains("num");
    const was = heading.getAttribute("aria-sort");
    const descending = was ? was === "ascending" : isNumber;
    const key = (row) => {
      const cell = row.children[column];
      if (!isNumber) return cell.textContent;
      const value = parseFloat(cell.dataset.sort ?? cell.textContent);
      return Number.isNaN(value) ? -Infinity : value;
    };
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (isNumber ? key(a) - key(b) : key(a).localeCompare(key(b), undefined, { numeric: true })));
    if (descending) rows.reverse();
    headings.forEach((h) => h.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  };
  headings.forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sortBy(column));
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sortBy(column);
      }
    });
  });
}

// A search field shows the rows of its table whose heading contains the text.
for (const field of document.querySelectorAll("input.filter")) {
  const table = field.parentElement.querySelector("table");
  field.hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLocaleLowerCase();
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.cells[0].textContent.toLocaleLowerCase().includes(wanted);
    }
  });
}

// Charts show the values under the pointer or finger, or at a cursor moved with the arrow keys.
for (const figure of document.querySelectorAll("figure.chart")) {
  const { x: unit, lines } = JSON.parse(figure.dataset.chart);
  const plot = figure.querySelector(".plot");
  const cursor = plot.querySelector(".cursor");
  const positions = [...new Set(lines.flatMap((line) => line.at))].sort((a, b) => a - b);
  let index = -1;
  const nearest = (values, at) =>
    values.reduce((best, value, i) => (Math.abs(value - at) < Math.abs(values[best] - at) ? i : best), 0);
  const show = (at) => {
    index = nearest(positions, at);
    const place = positions[index];
    const list = document.createElement("ul");
    const first = document.createElement("li");
    list.append(first);
    const dots = [];
    for (const line of lines) {
      if (!line.at.length) continue;
      const i = nearest(line.at, place);
      if (Math.abs(line.at[i] - place) > 0.02) continue;
      if (Math.abs(line.at[i] - place) < 1e-9) first.textContent = `${unit} ${line.x[i]}`;
      const row = document.createElement("li");
      const name = document.createElement("span");
      const sign = document.createElement("i");
      sign.className = `s${line.color}`;
      name.append(sign, line.label);
      const value = document.createElement("b");
      value.textContent = line.text[i];
      row.append(name, value);
      list.append(row);
      const dot = document.createElement("s");
      dot.className = `s${line.color}`;
      dot.style.bottom = `${line.height[i] * 100}%`;
      dots.push(dot);
    }
    cursor.replaceChildren(...dots, list);
    cursor.style.left = `${place * 100}%`;
    cursor.classList.toggle("left", place > 0.55);
    cursor.hidden = false;
  };
  const follow = (event) => {
    const box = plot.getBoundingClientRect();
    show((event.clientX - box.left) / box.width);
  };
  const hide = () => {
    cursor.hidden = true;
    index = -1;
  };
  plot.addEventListener("pointermove", follow);
  plot.addEventListener("pointerdown", follow);
  plot.addEventListener("pointerleave", hide);
  figure.addEventListener("blur", hide);
  figure.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const next = index < 0 ? (move > 0 ? 0 : positions.length - 1) : index + move;
    show(positions[Math.max(0, Math.min(positions.length - 1, next))]);
  });
}

// Click a picture to enlarge it.
const dialog = document.querySelector("dialog");
for (const figure of document.querySelectorAll(".cards figure")) {
  const picture = figure.querySelector("img");
  const open = () => {
    dialog.querySelector("img").src = picture.src;
    dialog.querySelector("p").textContent = figure.querySelector("figcaption").innerText.replace("\n", "  ");
    dialog.showModal();
  };
  picture.tabIndex = 0;
  picture.addEventListener("click", open);
  picture.addEventListener("keydown", (event) => event.key === "Enter" && open());
}
dialog.addEventListener("click", () => dialog.close());

// A button copies the command if the browser allows it.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }
}

// The navigation marks the visible section.
const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.getAttribute("href").slice(1), a]));
if ("IntersectionObserver" in window) {
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        links.forEach((link) => link.classList.remove("here"));
        links.get(entry.target.id)?.classList.add("here");
      }
    },
    { rootMargin: "-12% 0px -80% 0px" },
  );
  document.querySelectorAll("section").forEach((section) => watcher.observe(section));
}

// Settings are expanded for printing; the list of all images is not.
window.addEventListener("beforeprint", () => document.querySelectorAll("#plan details").forEach((d) => (d.open = true)));

"use strict";
// Sorting and filtering of the summary table. Data reach the page as text only.
(() => {
  const data = JSON.parse(document.getElementById("summary-data").textContent);
  const table = document.getElementById("summary");
  const body = table.tBodies[0];
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const STEP = 100;
  let limit = STEP;
  let sorted = data.rows;

  const number = (text) => (text === "-" ? NaN : Number(text.replaceAll(",", "")));

  function cell(kind, text) {
    const made = document.createElement(kind);
    made.textContent = text;
    return made;
  }

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    const rows = wanted ? sorted.filter((row) => row[0].toLowerCase().includes(wanted)) : sorted;
    body.replaceChildren(
      ...rows.slice(0, limit).map((row) => {
        const line = document.createElement("tr");
        const name = cell("th", row[0]);
        name.scope = "row";
        name.title = row[0];
        line.append(name, ...row.slice(1).map((text) => cell("td", text)));
        return line;
      }),
    );
    const count = rows.length.toLocaleString("en");
    shown.textContent = wanted ? `${count} of ${data.rows.length.toLocaleString("en")} quantities` : `${count} quantities`;
    more.hidden = rows.length <= limit;
  }

  function sort(column, heading) {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const sign = descending ? -1 : 1;
    const order = (a, b) => {
      if (column === 0) return sign * a[0].localeCompare(b[0], "en", { numeric: true });
      const [x, y] = [number(a[column]), number(b[column])];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    };
    sorted = [...data.rows].sort(order);
    show();
  }

  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => sort(column, heading));
  });
  filter.addEventListener("input", () => {
    limit = STEP;
    show();
  });
  more.addEventListener("click", () => {
    limit += 5 * STEP;
    show();
  });
  document.getElementById("controls").hidden = false;
  show();
})();

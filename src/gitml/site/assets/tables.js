(() => {
  "use strict";
  // Long tables are sorted and searched where they stand; what was asked for is in the address, after the #.
  const LEAST = 8, UNITS = {ms: 1e-3, "%": 1e-2, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12};
  const COMPARE = new Intl.Collator("en", {numeric: true}).compare;
  const asked = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const number = text => {
    const found = /^([+\u2212-]?)([\d,]*\.?\d+(?:e[+-]?\d+)?)\s*(ms|%|[kMGT]B)?/.exec(text);
    return found ? (/[\u2212-]/.test(found[1]) ? -1 : 1) * found[2].replaceAll(",", "") * (UNITS[found[3]] || 1) : NaN;
  };
  const tables = [...document.querySelectorAll(".wrap > table")].filter(
    table => table.tHead && table.tBodies.length == 1 && table.tBodies[0].rows.length >= LEAST,
  ).map((table, place) => {
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const words = rows.map(row => row.textContent.toLowerCase());
    const field = document.createElement("input"), told = document.createElement("output");
    const label = document.createElement("label"), line = document.createElement("p");
    let column = -1, direction = 0;
    const values = () => rows.map(row => {
      const text = (row.cells[column]?.textContent || "").trim();
      return heads[column].classList.contains("n") ? number(text) : text == "\u2013" ? "" : text;
    });
    const show = () => {
      const keys = direction ? values() : [], missing = key => key === "" || Number.isNaN(key);
      const order = rows.map((_, at) => at);
      if (direction) order.sort((a, b) => missing(keys[a]) - missing(keys[b])
        || (missing(keys[a]) ? 0 : direction * (typeof keys[a] == "number" ? keys[a] - keys[b] : COMPARE(keys[a], keys[b])))
        || a - b);
      body.append(...order.map(at => rows[at]));
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, at) => { row.hidden = !wanted.every(word => words[at].includes(word)); });
      told.textContent = wanted.length ? `${rows.filter(row => !row.hidden).length} of ${rows.length}` : "";
      heads.forEach((head, at) => {
        if (direction && at == column) head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
    };
    const keep = () => {
      const state = asked();
      for (const [name, value] of [
        [`sort${place}`, direction ? `${column}${direction > 0 ? "up" : "down"}` : ""], [`find${place}`, field.value.trim()],
      ]) value ? state.set(name, value) : state.delete(name);
      history.replaceState(null, "", `${state}` ? `#${state}` : location.href.split("#")[0]);
    };
    heads.forEach((head, at) => {
      if (!head.textContent.trim() || head.querySelector("a")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => {
        const first = head.classList.contains("n") ? -1 : 1;
        direction = at != column || !direction ? first : direction == first ? -first : 0;
        column = at;
        show();
        keep();
      });
      head.append(button);
    });
    field.type = "search";
    field.addEventListener("input", () => { show(); keep(); });
    label.append(`Find in ${table.parentNode.getAttribute("aria-label") || "this table"} `, field);
    line.className = "find";
    line.append(label, " ", told);
    table.parentNode.before(line);
    return () => {
      const state = asked(), [, at, way] = /^(\d+)(up|down)$/.exec(state.get(`sort${place}`) || "") || [];
      column = at in heads ? +at : -1;
      direction = column < 0 ? 0 : way == "up" ? 1 : -1;
      field.value = state.get(`find${place}`) || "";
      show();
    };
  });
  const restore = () => tables.forEach(one => one());
  if (location.hash.includes("=")) restore();
  addEventListener("hashchange", () => { if (location.hash.includes("=")) restore(); });
})();

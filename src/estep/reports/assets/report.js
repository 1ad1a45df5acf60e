"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const numbers = read("numbers"), charts = read("charts"), views = [];
  const tooltip = new vegaTooltip();
  let picked = -1;

  /* A tooltip that writes texts as texts. */
  function vegaTooltip() {
    const box = document.getElementById("tooltip");
    return (handler, event, item, value) => {
      if (value === null || value === undefined || value === "") { box.hidden = true; return; }
      box.textContent = "";
      for (const [name, text] of Object.entries(value)) {
        const line = document.createElement("div");
        line.textContent = `${name}: ${text}`;
        box.append(line);
      }
      box.hidden = false;
      const right = Math.min(event.clientX + 14, window.innerWidth - box.offsetWidth - 8);
      box.style.left = `${Math.max(right, 8)}px`;
      box.style.top = `${Math.min(event.clientY + 14, window.innerHeight - box.offsetHeight - 8)}px`;
    };
  }

  async function draw(chart) {
    const place = document.getElementById(`chart-${chart.id}`);
    if (!place) return;
    const datasets = Object.fromEntries(chart.data.map((name) => [name, numbers.datasets[name]]));
    const options = { renderer: "svg", actions: false, tooltip, logLevel: 1 /* errors alone */ };
    const { view } = await vegaEmbed(place, { ...chart.spec, datasets }, options);
    view.addEventListener("click", (event, item) => {
      if (Number.isInteger(item?.datum?.component)) pick(item.datum.component);
    });
    views.push(view);
  }

  function pick(component) {
    picked = component === picked ? -1 : component;
    const choice = document.querySelector(`input[name="pick"][value="${picked}"]`);
    if (choice) choice.checked = true;
    for (const view of views) {
      try { view.signal("picked", picked).runAsync(); } catch (error) { /* a chart without components */ }
    }
    for (const row of document.querySelectorAll("[data-component]"))
      row.hidden = picked >= 0 && Number(row.dataset.component) !== picked;
    page(0);
  }

  const SIZE = 12;
  let first = 0;
  function page(start) {
    const body = document.getElementById("rows-body");
    if (!body) return;
    const rows = numbers.rows, all = [...rows.component.keys()];
    const mine = all.filter((i) => picked < 0 || rows.component[i] === picked);
    const order = document.getElementById("rows-order").value;
    if (order === "unsure") mine.sort((a, b) => (rows.sure[a] ?? 2) - (rows.sure[b] ?? 2));
    first = Math.max(0, Math.min(start, mine.length - 1));
    body.textContent = "";
    const texts = [...rows.kept, ...(rows.times ? [{ values: rows.times }] : []), ...(rows.sequences ? [{ values: rows.sequences }] : [])];
    for (const i of mine.slice(first, first + SIZE)) {
      const line = document.createElement("tr");
      const cells = [rows.row[i], ...texts.map((c) => c.values[i]), ...rows.columns.map((c) => c.values[i]), rows.component[i], rows.sure[i]];
      for (const cell of cells) {
        const one = document.createElement("td");
        if (typeof cell === "number") one.className = "n";
        one.textContent = cell === null ? "" : String(cell);
        line.append(one);
      }
      body.append(line);
    }
    const last = Math.min(first + SIZE, mine.length);
    document.getElementById("rows-said").textContent = mine.length ? `${first + 1} to ${last} of ${mine.length} rows` : "no rows";
    document.getElementById("rows-back").disabled = first === 0;
    document.getElementById("rows-next").disabled = last >= mine.length;
  }

  for (const choice of document.querySelectorAll('input[name="pick"]'))
    choice.addEventListener("change", () => { picked = NaN; pick(Number(choice.value)); });
  const on = (id, event, act) => document.getElementById(id)?.addEventListener(event, act);
  on("rows-back", "click", () => page(first - SIZE));
  on("rows-next", "click", () => page(first + SIZE));
  on("rows-order", "change", () => page(0));
  page(0);
  Promise.all(charts.map(draw)).then(() => { document.body.dataset.ready = "true"; });
})();

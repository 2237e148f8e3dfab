// The panel: filter, histograms, one detection, export, and the facts of the run.

const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
const BINS = 24;

function part(tag, text, kind) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind !== undefined) element.className = kind;
  return element;
}

function tell(list, facts) {
  list.replaceChildren(...facts.flatMap(([name, value]) => [part("dt", name), part("dd", value)]));
}

function toggle(name, colour, count, changed) {
  const label = part("label", undefined, "toggle"), box = part("input"), swatch = part("span", undefined, "swatch");
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", () => { changed(box.checked); refresh(); });
  swatch.style.borderColor = colour;
  label.append(box, swatch, part("span", name, "name"), part("span", count, "count"));
  return label;
}

function countsOf(keys, kinds) {
  const counts = new Array(kinds).fill(0);
  for (const key of keys) counts[key] += 1;
  return counts;
}

function refresh() {
  applyFilter();
  const words = [`${number(shown.count)} of ${number(boxes.count)} detections`];
  if (missed !== null) words.push(`${number(missed.count)} missed`);
  byId("summary").textContent = words.join(", ");
  byId("score-value").textContent = filter.score.toFixed(3);
  drawHistogram(byId("scores"), (row) => boxes.score[row], 0, 1, () => true);
  drawSizes();
  redraw();
}

function drawHistogram(on, valueOf, low, high, counts) {
  const inner = on.getContext("2d"), all = new Array(BINS).fill(0), kept = new Array(BINS).fill(0);
  for (let row = 0; row < boxes.count; row += 1) {
    const value = valueOf(row);
    if (!(value >= low) || !counts(row)) continue;
    const bin = Math.min(BINS - 1, Math.floor((value - low) / (high - low || 1) * BINS));
    all[bin] += 1;
    kept[bin] += shown.mask[row];
  }
  const most = Math.max(1, ...all), step = on.width / BINS, style = getComputedStyle(document.body);
  inner.clearRect(0, 0, on.width, on.height);
  for (let bin = 0; bin < BINS; bin += 1) {
    for (const [values, colour] of [[all, style.getPropertyValue("--line")], [kept, style.getPropertyValue("--accent")]]) {
      const height = values[bin] === 0 ? 0 : Math.max(2, values[bin] / most * on.height);
      inner.fillStyle = colour;
      inner.fillRect(bin * step + 1, on.height - height, step - 2, height);
    }
  }
}

const inMetres = boxes.length.some((value) => !Number.isNaN(value));
const sizeOf = inMetres ? (row) => boxes.length[row]
  : (row) => Math.max(boxes.x1[row] - boxes.x0[row], boxes.y1[row] - boxes.y0[row]);

function drawSizes() {
  let low = Infinity, high = -Infinity;
  for (let row = 0; row < boxes.count; row += 1) {
    const size = sizeOf(row);
    if (size < low) low = size;
    if (size > high) high = size;
  }
  if (low > high) { low = 0; high = 1; }
  byId("sizes-title").textContent = inMetres ? "Lengths in metres" : "Longer sides in pixels";
  byId("sizes-range").textContent = boxes.count ? `${low.toFixed(1)} to ${high.toFixed(1)}` : "";
  drawHistogram(byId("sizes"), sizeOf, low, high, () => true);
}

// One detection.
let ordered = null;

function choose(row) {
  view.chosen = row;
  byId("selected").hidden = row < 0;
  if (row >= 0) {
    byId("chosen-id").textContent = `${row + 1}`;
    tell(byId("facts-of-one"), factsOf(row));
    drawCrop(row);
  }
  redraw();
}

function factsOf(row) {
  const middle = middleOf(row);
  const facts = [["class", DATA.classes[boxes.label[row]]], ["score", boxes.score[row].toFixed(4)]];
  if (boxes.judged !== null) facts.push(["beside the truth", JUDGED[boxes.judged[row]][0]]);
  if (middle !== null) facts.push(["lon, lat", `${middle[0].toFixed(7)}, ${middle[1].toFixed(7)}`]);
  if (!Number.isNaN(boxes.length[row])) facts.push(["size", `${boxes.length[row].toFixed(2)} x ${boxes.width[row].toFixed(2)} m`]);
  const edges = [boxes.x0, boxes.y0, boxes.x1, boxes.y1].map((column) => column[row].toFixed(1));
  facts.push(["pixels", edges.join(", ")]);
  return facts;
}

function drawCrop(row) {
  const on = byId("crop"), inner = on.getContext("2d");
  const width = boxes.x1[row] - boxes.x0[row], height = boxes.y1[row] - boxes.y0[row];
  const x = (boxes.x0[row] + boxes.x1[row]) / 2, y = (boxes.y0[row] + boxes.y1[row]) / 2;
  const zoom = Math.min(on.width / Math.max(2.5 * width, 24), on.height / Math.max(2.5 * height, 24));
  const screenX = (value) => (value - x) * zoom + on.width / 2, screenY = (value) => (value - y) * zoom + on.height / 2;
  inner.fillStyle = "#0d0d0d";
  inner.fillRect(0, 0, on.width, on.height);
  const own = DATA.crops[row];
  if (own !== undefined) {
    const picture = new Image(), [left, top, right, bottom] = own.window;
    picture.onload = () => {
      if (view.chosen !== row) return;
      inner.drawImage(picture, screenX(left), screenY(top), (right - left) * zoom, (bottom - top) * zoom);
      frame();
    };
    picture.src = own.image;
  }
  drawBase(inner, zoom, screenX, screenY, on.width, on.height);
  frame();
  function frame() {
    inner.strokeStyle = colourOf(row);
    inner.lineWidth = 2;
    inner.strokeRect(screenX(boxes.x0[row]), screenY(boxes.y0[row]), width * zoom, height * zoom);
  }
}

function chooseNext(step) {
  ordered ??= Array.from({ length: boxes.count }, (_, row) => row);
  const left = ordered.filter((row) => shown.mask[row]);
  if (left.length === 0) return;
  const at = left.indexOf(view.chosen);
  const row = left[at < 0 ? 0 : (at + step + left.length) % left.length];
  view.x = (boxes.x0[row] + boxes.x1[row]) / 2;
  view.y = (boxes.y0[row] + boxes.y1[row]) / 2;
  const side = Math.max(boxes.x1[row] - boxes.x0[row], boxes.y1[row] - boxes.y0[row], 8);
  view.fitted = false;
  view.zoom = Math.min(MOST_ZOOM, Math.max(view.zoom, Math.min(view.width, view.height) / (12 * side)));
  choose(row);
}

async function copy() {
  const text = factsOf(view.chosen).map(([name, value]) => `${name}: ${value}`).join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = part("textarea", text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  byId("copy").textContent = "Copied";
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 1200);
}

// Export of what the filter leaves, with the columns of sodslice's own files.
const known = (value) => (Number.isNaN(value) ? null : Number(value.toPrecision(7)));

function rowOf(row) {
  return {
    id: row + 1, source: DATA.scene.path, label: DATA.classes[boxes.label[row]], cls_id: boxes.label[row],
    score: boxes.score[row], area_m2: known(boxes.area[row]), length_m: known(boxes.length[row]), width_m: known(boxes.width[row]),
    x0: boxes.x0[row], y0: boxes.y0[row], x1: boxes.x1[row], y1: boxes.y1[row],
  };
}

function keptRows() {
  const rows = [];
  for (let row = 0; row < boxes.count; row += 1) if (shown.mask[row]) rows.push(row);
  return rows;
}

function asGeojson() {
  const features = keptRows().filter((row) => boxes.placed[row])
    .map((row) => JSON.stringify({ type: "Feature", geometry: geometryOf(row), properties: rowOf(row) }));
  return `{"type":"FeatureCollection","features":[\n${features.join(",\n")}\n]}\n`;
}

function asCsv() {
  const cell = (value) => {
    if (value === null) return "";
    const text = String(value), safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const names = ["lon", "lat", "score", "label", "cls_id", "x0", "y0", "x1", "y1", "area_m2", "length_m", "width_m", "id", "source"];
  const lines = keptRows().map((row) => {
    const middle = middleOf(row) ?? [null, null];
    const values = { ...rowOf(row), lon: middle[0] === null ? null : Number(middle[0].toFixed(DATA.places.decimals)),
      lat: middle[1] === null ? null : Number(middle[1].toFixed(DATA.places.decimals)) };
    return names.map((name) => cell(values[name])).join(",");
  });
  return `${[names.join(","), ...lines].join("\n")}\n`;
}

function save(text, kind, suffix) {
  const link = part("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = `${DATA.scene.stem}-filtered.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function begin() {
  byId("title").textContent = DATA.title;
  const classes = countsOf(boxes.label, DATA.classes.length);
  DATA.classes.forEach((name, label) => {
    byId("classes").append(toggle(name, DATA.colours[label], number(classes[label]), (on) => { filter.classes[label] = on; }));
  });
  if (boxes.judged !== null) {
    const counts = countsOf(boxes.judged, JUDGED.length);
    JUDGED.forEach(([name, colour], kind) => {
      if (counts[kind] || kind < IGNORED) byId("judged").append(toggle(name, colour, number(counts[kind]), (on) => { filter.judged[kind] = on; }));
    });
    byId("judged").append(toggle(MISSED[0], MISSED[1], number(missed.count), (on) => { filter.missed = on; }));
  }
  const lowest = boxes.count ? Math.floor(boxes.score.reduce((least, value) => Math.min(least, value), 1) * 1000) : 0;
  byId("score").value = lowest;
  byId("score").addEventListener("input", () => { filter.score = Number(byId("score").value) / 1000; refresh(); });
  filter.score = lowest / 1000;
  tell(byId("facts"), DATA.facts);
  byId("notes").replaceChildren(...DATA.notes.map((note) => part("li", note)));
  byId("copy").addEventListener("click", copy);
  byId("next").addEventListener("click", () => chooseNext(1));
  byId("previous").addEventListener("click", () => chooseNext(-1));
  byId("close").addEventListener("click", () => choose(-1));
  byId("export-geojson").disabled = places === null;
  byId("export-geojson").addEventListener("click", () => save(asGeojson(), "application/geo+json", "geojson"));
  byId("export-csv").addEventListener("click", () => save(asCsv(), "text/csv", "csv"));
  new ResizeObserver(resize).observe(canvas);
  resize();
  refresh();
}

begin();

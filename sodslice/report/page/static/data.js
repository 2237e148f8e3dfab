"use strict";
// What the page holds: columns of numbers as base64 of little-endian arrays, see sodslice/report/page/data.py.

const DATA = JSON.parse(document.getElementById("data").textContent);

function decoded(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}

const boxes = {
  count: DATA.boxes.count,
  ...edgesOf(DATA.boxes),
  score: Float64Array.from(decoded(DATA.boxes.score, Int32Array), (value) => value / 1e6),
  label: decoded(DATA.boxes.label, Uint16Array),
  area: decoded(DATA.boxes.area_m2, Float32Array),
  length: decoded(DATA.boxes.length_m, Float32Array),
  width: decoded(DATA.boxes.width_m, Float32Array),
  placed: decoded(DATA.boxes.placed, Uint8Array),
  judged: DATA.boxes.judged === null ? null : decoded(DATA.boxes.judged, Uint8Array),
};
const missed = DATA.missed === null ? null : {
  count: DATA.missed.count,
  ...edgesOf(DATA.missed),
  label: decoded(DATA.missed.label, Uint16Array),
};
const places = DATA.places === null ? null : decoded(DATA.places.corners, Int32Array);

function edgesOf(columns) {
  const scaled = (text) => Float64Array.from(decoded(text, Int32Array), (value) => value / columns.per_pixel);
  return { x0: scaled(columns.x0), y0: scaled(columns.y0), x1: scaled(columns.x1), y1: scaled(columns.y1) };
}

// Longitude and latitude of a corner (0 to 3) of a box, as it is written; null where it has no place.
function cornerOf(row, corner) {
  if (places === null || !boxes.placed[row]) return null;
  const at = 8 * row + 2 * corner;
  const [lon, lat] = DATA.places.offset;
  const decimals = DATA.places.decimals;
  return [Number((lon + places[at] / DATA.places.per_degree).toFixed(decimals)),
    Number((lat + places[at + 1] / DATA.places.per_degree).toFixed(decimals))];
}

function geometryOf(row) {
  if (places === null || !boxes.placed[row]) return null;
  const odd = DATA.places.odd[row];
  if (odd !== undefined) return odd;
  const ring = [0, 1, 2, 3, 0].map((corner) => cornerOf(row, corner));
  return { type: "Polygon", coordinates: [ring] };
}

function middleOf(row) {
  if (places === null || !boxes.placed[row] || DATA.places.odd[row] !== undefined) return null;
  const corners = [0, 1, 2, 3].map((corner) => cornerOf(row, corner));
  return [0, 1].map((axis) => corners.reduce((sum, point) => sum + point[axis], 0) / 4);
}

const FOUND = 0, FALSE_ALARM = 1, IGNORED = 2;
const JUDGED = [["found", "#2ca02c"], ["false alarm", "#d62728"], ["in an ignored area", "#8c8c8c"]];
const MISSED = ["missed", "#1f9bff"];

// What the filter leaves, and how many of each kind.
const filter = { score: 0, classes: DATA.classes.map(() => true), judged: JUDGED.map(() => true), missed: true };
const shown = { mask: new Uint8Array(boxes.count), count: 0 };

function applyFilter() {
  let count = 0;
  for (let row = 0; row < boxes.count; row += 1) {
    const kept = boxes.score[row] >= filter.score && filter.classes[boxes.label[row]]
      && (boxes.judged === null || filter.judged[boxes.judged[row]]);
    shown.mask[row] = kept ? 1 : 0;
    count += shown.mask[row];
  }
  shown.count = count;
}

function colourOf(row) {
  return boxes.judged === null ? DATA.colours[boxes.label[row]] : JUDGED[boxes.judged[row]][1];
}

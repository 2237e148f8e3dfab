// The scene with its boxes: zoomed and moved by pointer, touch, wheel and keys.

const canvas = document.getElementById("canvas");
const context = canvas.getContext("2d");
const view = { x: 0, y: 0, zoom: 1, ratio: 1, width: 1, height: 1, chosen: -1, inView: 0, dense: false, fitted: true };
const MOST_BOXES = 10000, CELL = 8, MARGIN = 24, MOST_ZOOM = 40, BUCKETS = 4;
let waiting = false;

// Pictures of a level are decoded when they are first seen.
for (const level of DATA.base.levels) level.pictures = new Array(level.images.length);

function pictureOf(level, number) {
  if (level.pictures[number] === undefined) {
    const picture = new Image();
    level.pictures[number] = picture;
    picture.onload = redraw;
    picture.src = level.images[number];
  }
  const picture = level.pictures[number];
  return picture.complete && picture.naturalWidth > 0 ? picture : null;
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function fit() {
  view.zoom = Math.min((view.width - 2 * MARGIN) / DATA.scene.width, (view.height - 2 * MARGIN) / DATA.scene.height);
  view.zoom = Math.max(view.zoom, 1e-6);
  view.x = DATA.scene.width / 2;
  view.y = DATA.scene.height / 2;
  view.fitted = true;
  redraw();
}

function resize() {
  const bounds = canvas.getBoundingClientRect();
  view.ratio = Math.min(window.devicePixelRatio || 1, 2);
  view.width = Math.max(bounds.width, 1);
  view.height = Math.max(bounds.height, 1);
  canvas.width = Math.round(view.width * view.ratio);
  canvas.height = Math.round(view.height * view.ratio);
  if (view.fitted) fit(); else redraw();
}

function toScreenX(x) { return (x - view.x) * view.zoom + view.width / 2; }
function toScreenY(y) { return (y - view.y) * view.zoom + view.height / 2; }
function toScene(x, y) {
  return [(x - view.width / 2) / view.zoom + view.x, (y - view.height / 2) / view.zoom + view.y];
}

function zoomAt(x, y, factor) {
  const [sceneX, sceneY] = toScene(x, y);
  const least = 0.2 * Math.min(view.width / DATA.scene.width, view.height / DATA.scene.height);
  view.zoom = Math.min(Math.max(view.zoom * factor, Math.min(least, 1)), MOST_ZOOM);
  view.x = sceneX - (x - view.width / 2) / view.zoom;
  view.y = sceneY - (y - view.height / 2) / view.zoom;
  view.fitted = false;
  redraw();
}

function draw() {
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  context.fillStyle = "#0d0d0d";
  context.fillRect(0, 0, view.width, view.height);
  drawBase(context, view.zoom, toScreenX, toScreenY, view.width, view.height);
  drawHatched();
  drawBoxes();
  if (missed !== null && filter.missed) drawMissed();
  if (view.chosen >= 0) outline(context, view.chosen, "#ffffff", 3);
}

// The coarsest level lies below, so that there is never a hole; above it the one that fits.
function drawBase(on, zoom, screenX, screenY, width, height) {
  const levels = DATA.base.levels;
  if (levels.length === 0) return;
  const fitting = levels.findIndex((level) => level.scale <= 1 / zoom * 1.01);
  const chosen = new Set([levels.length - 1, fitting < 0 ? 0 : Math.max(fitting, 0)]);
  on.imageSmoothingEnabled = zoom < 4;
  for (const number of [...chosen].sort((a, b) => b - a)) {
    const level = levels[number];
    const step = level.tile * level.scale;
    for (let row = 0; row < level.rows; row += 1) {
      const top = screenY(row * step), bottom = screenY(Math.min((row + 1) * step, DATA.scene.height));
      if (bottom < 0 || top > height) continue;
      for (let column = 0; column < level.columns; column += 1) {
        const left = screenX(column * step), right = screenX(Math.min((column + 1) * step, DATA.scene.width));
        if (right < 0 || left > width) continue;
        const picture = pictureOf(level, row * level.columns + column);
        if (picture !== null) on.drawImage(picture, left, top, right - left, bottom - top);
      }
    }
  }
}

const hatch = (() => {
  const pattern = document.createElement("canvas");
  pattern.width = pattern.height = 10;
  const lines = pattern.getContext("2d");
  lines.strokeStyle = "rgba(255, 90, 60, 0.9)";
  lines.lineWidth = 1.6;
  for (const shift of [-10, 0, 10]) { lines.moveTo(shift, 10); lines.lineTo(shift + 10, 0); }
  lines.stroke();
  return context.createPattern(pattern, "repeat");
})();

function drawHatched() {
  for (const [x, y, width, height] of DATA.hatched.map((tile) => tile.window)) {
    context.fillStyle = hatch;
    context.strokeStyle = "rgba(255, 90, 60, 0.9)";
    context.lineWidth = 1;
    const place = [toScreenX(x), toScreenY(y), width * view.zoom, height * view.zoom];
    context.fillRect(...place);
    context.strokeRect(...place);
  }
}

function drawBoxes() {
  const [left, top] = toScene(0, 0), [right, bottom] = toScene(view.width, view.height);
  const rows = [];
  let count = 0;
  for (let row = 0; row < boxes.count; row += 1) {
    if (shown.mask[row] && boxes.x1[row] >= left && boxes.x0[row] <= right && boxes.y1[row] >= top && boxes.y0[row] <= bottom) {
      count += 1;
      if (count <= MOST_BOXES) rows.push(row);
    }
  }
  view.inView = count;
  view.dense = count > MOST_BOXES;
  if (view.dense) drawDensity(left, top, right, bottom); else drawOutlines(rows);
}

// One path for each colour and step of opacity: a stroke costs more than a rectangle.
function drawOutlines(rows) {
  const paths = new Map();
  for (const row of rows) {
    const bucket = Math.min(BUCKETS - 1, Math.floor(boxes.score[row] * BUCKETS));
    const key = `${colourOf(row)}|${bucket}`;
    if (!paths.has(key)) paths.set(key, new Path2D());
    const x = toScreenX(boxes.x0[row]), y = toScreenY(boxes.y0[row]);
    paths.get(key).rect(x, y, (boxes.x1[row] - boxes.x0[row]) * view.zoom, (boxes.y1[row] - boxes.y0[row]) * view.zoom);
  }
  context.lineWidth = rows.length > 2000 ? 1 : Math.min(2.5, Math.max(1, view.zoom * 1.5));
  for (const [key, path] of paths) {
    const [colour, bucket] = key.split("|");
    context.globalAlpha = 0.45 + 0.55 * (Number(bucket) + 1) / BUCKETS;
    context.strokeStyle = colour;
    context.stroke(path);
  }
  context.globalAlpha = 1;
}

const heat = document.createElement("canvas");

function drawDensity(left, top, right, bottom) {
  const columns = Math.ceil(view.width / CELL), lines = Math.ceil(view.height / CELL);
  const counts = new Uint32Array(columns * lines);
  let most = 1;
  for (let row = 0; row < boxes.count; row += 1) {
    if (!shown.mask[row]) continue;
    const x = (boxes.x0[row] + boxes.x1[row]) / 2, y = (boxes.y0[row] + boxes.y1[row]) / 2;
    if (x < left || x > right || y < top || y > bottom) continue;
    const column = Math.min(columns - 1, Math.floor(toScreenX(x) / CELL)), line = Math.min(lines - 1, Math.floor(toScreenY(y) / CELL));
    const now = counts[line * columns + column] += 1;
    if (now > most) most = now;
  }
  heat.width = columns;
  heat.height = lines;
  const on = heat.getContext("2d"), picture = on.createImageData(columns, lines);
  for (let cell = 0; cell < counts.length; cell += 1) {
    if (counts[cell] === 0) continue;
    const share = Math.log1p(counts[cell]) / Math.log1p(most);
    picture.data.set([255, Math.round(225 * (1 - share)), Math.round(60 * (1 - share)), Math.round(70 + 150 * share)], 4 * cell);
  }
  on.putImageData(picture, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(heat, 0, 0, columns * CELL, lines * CELL);
}

function drawMissed() {
  context.strokeStyle = MISSED[1];
  context.lineWidth = 2;
  context.setLineDash([6, 4]);
  context.beginPath();
  for (let row = 0; row < missed.count; row += 1) {
    if (!filter.classes[missed.label[row]]) continue;
    context.rect(toScreenX(missed.x0[row]), toScreenY(missed.y0[row]), (missed.x1[row] - missed.x0[row]) * view.zoom, (missed.y1[row] - missed.y0[row]) * view.zoom);
  }
  context.stroke();
  context.setLineDash([]);
}

function outline(on, row, colour, width) {
  on.strokeStyle = colour;
  on.lineWidth = width;
  on.strokeRect(toScreenX(boxes.x0[row]), toScreenY(boxes.y0[row]), (boxes.x1[row] - boxes.x0[row]) * view.zoom, (boxes.y1[row] - boxes.y0[row]) * view.zoom);
}

// The smallest box that is shown at a point, with some pixels of slack for fingers.
function boxAt(x, y, slack) {
  const [sceneX, sceneY] = toScene(x, y), more = slack / view.zoom;
  let found = -1, least = Infinity;
  for (let row = 0; row < boxes.count; row += 1) {
    if (!shown.mask[row] || sceneX < boxes.x0[row] - more || sceneX > boxes.x1[row] + more || sceneY < boxes.y0[row] - more || sceneY > boxes.y1[row] + more) continue;
    const area = (boxes.x1[row] - boxes.x0[row]) * (boxes.y1[row] - boxes.y0[row]);
    if (area < least) { least = area; found = row; }
  }
  return found;
}

// Pointers: one moves, two zoom, a short press chooses.
const pointers = new Map();
let pressed = null;

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  pressed = pointers.size === 1 ? { x: event.offsetX, y: event.offsetY, moved: false } : null;
});
canvas.addEventListener("pointermove", (event) => {
  tellWhere(event.offsetX, event.offsetY);
  if (!pointers.has(event.pointerId)) return;
  const before = [...pointers.values()];
  const [x, y] = pointers.get(event.pointerId);
  pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
  if (pressed !== null && Math.hypot(event.offsetX - pressed.x, event.offsetY - pressed.y) > 5) pressed.moved = true;
  if (pointers.size === 1) {
    view.x -= (event.offsetX - x) / view.zoom;
    view.y -= (event.offsetY - y) / view.zoom;
    view.fitted = false;
    redraw();
  } else if (pointers.size === 2) {
    const after = [...pointers.values()];
    const spread = ([[ax, ay], [bx, by]]) => Math.hypot(ax - bx, ay - by) || 1;
    const middle = ([[ax, ay], [bx, by]]) => [(ax + bx) / 2, (ay + by) / 2];
    const [oldX, oldY] = middle(before), [newX, newY] = middle(after);
    view.x -= (newX - oldX) / view.zoom;
    view.y -= (newY - oldY) / view.zoom;
    zoomAt(newX, newY, spread(after) / spread(before));
  }
});
function released(event) {
  pointers.delete(event.pointerId);
  if (event.type === "pointerup" && pressed !== null && !pressed.moved) {
    choose(boxAt(event.offsetX, event.offsetY, event.pointerType === "touch" ? 12 : 3));
  }
  pressed = null;
}
canvas.addEventListener("pointerup", released);
canvas.addEventListener("pointercancel", released);
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016)));
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const step = 60 / view.zoom;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (moves[event.key] !== undefined) {
    view.x += moves[event.key][0];
    view.y += moves[event.key][1];
    view.fitted = false;
    redraw();
  } else if (event.key === "+" || event.key === "=") zoomAt(view.width / 2, view.height / 2, 1.4);
  else if (event.key === "-") zoomAt(view.width / 2, view.height / 2, 1 / 1.4);
  else if (event.key === "0") fit();
  else if (event.key === "n" || event.key === "N") chooseNext(1);
  else if (event.key === "p" || event.key === "P") chooseNext(-1);
  else if (event.key === "Escape") choose(-1);
  else return;
  event.preventDefault();
});
document.getElementById("zoom-in").addEventListener("click", () => zoomAt(view.width / 2, view.height / 2, 1.6));
document.getElementById("zoom-out").addEventListener("click", () => zoomAt(view.width / 2, view.height / 2, 1 / 1.6));
document.getElementById("fit").addEventListener("click", fit);

function tellWhere(x, y) {
  const [sceneX, sceneY] = toScene(x, y);
  const inside = sceneX >= 0 && sceneY >= 0 && sceneX < DATA.scene.width && sceneY < DATA.scene.height;
  document.getElementById("where").textContent = inside ? `pixel ${Math.floor(sceneX)}, ${Math.floor(sceneY)}` : "";
}

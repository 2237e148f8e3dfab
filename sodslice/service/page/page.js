"use strict";
// The page of a service: scenes become jobs, jobs are watched, their results looked at and saved.
// Whatever comes from the service or from files is put in as text; none of it is ever read as HTML.

const SHOWN_DEFAULTS = { threshold: "the model's own", tile: "automatic", gsd: "the scene's own", scale: "1", classes: "all" };
const FORMATS = [
  ["GeoJSON", "result.geojson"], ["GeoPackage", "result.gpkg"], ["FlatGeobuf", "result.fgb"], ["GeoParquet", "result.parquet"],
  ["CSV", "result.csv"], ["COCO JSON", "result.coco.json"], ["JSON of sodslice", "result.json"],
  ["Picture with boxes", "result.png"], ["Report", "report.html"],
  ["GeoJSON in scene pixels", "result.geojson?pixel_coords=true"], ["GeoPackage in scene pixels", "result.gpkg?pixel_coords=true"],
];
const MOST_JOBS = 50;
const MOST_STREAMS = 2; // a browser opens six connections to a host, for all of its tabs together
const SOON_MS = 3000, LATER_MS = 15000, SHORTEST_PAUSE_MS = 1000;

const byId = (id) => document.getElementById(id);
const lives = (job) => job.state === "queued" || job.state === "running";
const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

function part(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Its label tells those who do not see the card what it is for.
function button(textContent, of, onclick, className = "") {
  return part("button", { type: "button", textContent, className, onclick, ariaLabel: `${textContent} ${of}` });
}

// A card of the list, and its parts by name.
function cardOf(title, parts, ...buttons) {
  const state = part("span", { className: "state" });
  const head = part("div", { className: "head" }, part("h3", { textContent: title }), state);
  const root = part("li", { className: "card", tabIndex: -1 }, head, ...Object.values(parts), part("div", { className: "buttons" }, ...buttons));
  return { root, state, ...parts };
}

// Tells those who do not see the page what has changed; progress is not told.
function say(text) { byId("said").textContent = text; }

function bytesOf(bytes) {
  const step = Math.min(3, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)));
  return `${Number((bytes / 1000 ** step).toPrecision(3))} ${["bytes", "kB", "MB", "GB"][step]}`;
}

const secondsOf = (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`);

// What the service says as a sentence, with the names that it has in backticks as code.
function tell(element, text) {
  const whole = text.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase()).replace(/[^.!?]$/, "$&.");
  element.replaceChildren(...whole.split("`").map((piece, at) => (at % 2 ? part("code", { textContent: piece }) : piece)));
  return element;
}

// Asking the service.

class Refusal extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

function authorization() {
  const token = sessionStorage.getItem("token");
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

async function ask(path, { method = "GET", json, signal } = {}) {
  const headers = { ...authorization(), ...(json === undefined ? {} : { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, cache: "no-store", body: json && JSON.stringify(json) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, "the service does not answer");
  }
  if (!answer.ok) throw refusal(answer.status, await answer.text());
  return answer;
}

const askJson = async (path, how) => (await ask(path, how)).json();

function refusal(status, text) {
  if (status === 401) askForToken();
  return new Refusal(status, messageIn(text) || `the service answered with ${status}`);
}

// The reason in the service's envelope, where it has several: all of them.
function messageIn(text) {
  try {
    const message = JSON.parse(text).errorMsg;
    return message.startsWith("[{") ? JSON.parse(message).map((fault) => fault.msg).join("; ") : message;
  } catch {
    return "";
  }
}

// The token: kept by this tab alone.

function askForToken() {
  const wrong = sessionStorage.getItem("token") !== null;
  if (!byId("work").hidden) { forget(); return; }
  sessionStorage.removeItem("token");
  byId("door-fault").textContent = wrong ? "This is not the token of the service." : "";
  byId("door").hidden = false;
  byId("token").focus();
}

// Nothing of what was shown stays on the page.
function forget() {
  sessionStorage.removeItem("token");
  location.reload();
}

function enter(event) {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value.trim());
  byId("token").value = "";
  byId("door").hidden = true;
  begin();
}

// Options: inputs for the JSON Schema of the service. They are sent as texts, which it reads like flags.

async function loadOptions() {
  const { properties } = await askJson("options");
  const main = Object.keys(SHOWN_DEFAULTS).filter((name) => name in properties);
  const rest = Object.keys(properties).filter((name) => !main.includes(name));
  byId("main-options").replaceChildren(...main.map((name) => fieldOf(name, properties[name])));
  byId("more-options").replaceChildren(...rest.map((name) => fieldOf(name, properties[name])));
}

function fieldOf(name, schema) {
  const input = schema.enum || schema.type === "boolean" ? choiceOf(schema) : entryOf(name, schema);
  Object.assign(input, { id: `option-${name}`, name, oninput: () => showFault(name, "") });
  input.setAttribute("aria-describedby", `help-${name} fault-${name}`);
  return part("div", { className: "field" },
    part("label", { htmlFor: input.id, textContent: name.replaceAll("_", " ") }),
    input,
    part("p", { id: `fault-${name}`, className: "fault" }),
    part("p", { id: `help-${name}`, className: "quiet", textContent: schema.description }));
}

function choiceOf(schema) {
  const words = schema.enum ? schema.enum.map((word) => [word, word]) : [["true", "yes"], ["false", "no"]];
  const usual = words.find(([value]) => value === String(schema.default));
  const unset = part("option", { value: "", textContent: usual ? `default: ${usual[1]}` : "default" });
  return part("select", {}, unset, ...words.map(([value, textContent]) => part("option", { value, textContent })));
}

function entryOf(name, schema) {
  const unset = schema.default === null || schema.default?.length === 0 ? "not set" : String(schema.default);
  return part("input", { type: "text", autocomplete: "off", spellcheck: false, placeholder: SHOWN_DEFAULTS[name] ?? unset });
}

function chosenOptions() {
  const switched = { true: true, false: false };
  const given = [...byId("options").elements].filter((input) => input.name && input.value.trim());
  return Object.fromEntries(given.map(({ name, localName, value }) => [
    name, (localName === "select" ? switched[value] : undefined) ?? value.trim()]));
}

function showFault(name, message) {
  byId(`option-${name}`).ariaInvalid = message ? "true" : null;
  tell(byId(`fault-${name}`), message);
}

function clearFaults() {
  for (const input of byId("options").elements) if (input.name) showFault(input.name, "");
}

// An option that the service refuses is named first in what it says; its input is shown with the reason.
function blame(message) {
  const name = /[`'](\w+)/.exec(message)?.[1];
  if (!byId(`option-${name}`)) return;
  showFault(name, message);
  if (byId("more").contains(byId(`option-${name}`))) byId("more").open = true;
  byId(`option-${name}`).focus();
}

// Scenes below the root of the service.

let folders = 0;

async function openFolder(folder, byUser = true) {
  const mine = folders += 1;
  byId("scenes-said").textContent = "";
  try {
    const entries = await askJson(`scenes?${new URLSearchParams({ folder })}`);
    if (mine === folders) showFolder(folder, entries, byUser);
  } catch (error) {
    if (mine === folders) tell(byId("scenes-said"), error.message);
  }
}

function showFolder(folder, entries, byUser) {
  const names = folder ? folder.split("/") : [];
  byId("crumbs").hidden = !folder;
  byId("crumbs").replaceChildren(...["all", ...names].map((name, depth) => crumb(name, names.slice(0, depth).join("/"))));
  const here = byId("crumbs").lastElementChild.firstElementChild;
  here.ariaCurrent = "true";
  byId("scenes").replaceChildren(...entries.map((entry) => part("li", {}, entryButton(entry))));
  byId("scenes-said").textContent = entries.length ? "" : "No images and no folders here.";
  if (!byUser) return;
  (byId("scenes").querySelector("button") ?? here).focus();
  say(`${names.at(-1) ?? "all"}: ${counted(entries.length, "entry", "entries")}`);
}

const crumb = (name, folder) => part("li", {}, part("button", { type: "button", textContent: name, onclick: () => openFolder(folder) }));

function entryButton({ path, folder, bytes }) {
  const name = path.split("/").at(-1);
  return part("button", { type: "button", onclick: () => (folder ? openFolder(path) : bring(path, { path })) },
    part("span", { className: "name", textContent: folder ? `${name}/` : name }),
    part("span", { className: "quiet", textContent: folder ? "folder" : bytesOf(bytes) }));
}

// Scenes on their way to be jobs. Files are sent one after the other; what has come is not sent again.

let sending = Promise.resolve();

function bring(name, source) {
  const one = { name, source, stopping: new AbortController(), ...comingCard(name) };
  one.dismiss = () => { one.stopping.abort(); takeAway(one.root); };
  one.stop.onclick = one.dismiss;
  one.again.onclick = () => { byId("jobs-title").focus({ preventScroll: true }); queue(one); };
  byId("coming").prepend(one.root);
  one.root.scrollIntoView({ block: "nearest" });
  queue(one);
}

function comingCard(name) {
  const stop = button("Give up", name), again = button("Try again", `with ${name}`, null, "first");
  const bar = part("progress", { max: 1, ariaLabel: `Upload of ${name}` }), fault = part("p", { className: "fault" });
  return { stop, again, ...cardOf(name, { bar, fault }, again, stop) };
}

function queue(one) {
  tellComing(one, "waiting");
  const ready = one.source.file ? sending : Promise.resolve();
  const done = ready.then(() => one.stopping.signal.aborted || deliver(one));
  if (one.source.file) sending = done;
}

function tellComing(one, state, fault = "") {
  one.state.textContent = state;
  tell(one.fault, fault);
  one.bar.hidden = state !== "uploading";
  one.again.hidden = !fault;
  one.root.dataset.state = fault ? "failed" : "running";
}

async function deliver(one) {
  const { name, source, stopping: { signal } } = one;
  try {
    if (source.file && !source.upload) {
      tellComing(one, "uploading");
      source.upload = await send(one);
    }
    tellComing(one, "beginning");
    clearFaults();
    const scene = source.file ? { upload: source.upload } : { path: source.path };
    const job = await askJson("jobs", { method: "POST", signal, json: { ...scene, options: chosenOptions() } });
    changes += 1;
    showJob(job);
    one.dismiss();
    say(`${job.scene}: a job has begun`);
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 404) delete source.upload; // uploads are kept for some days only
    tellComing(one, "not begun", error.message);
    say(`${name}: ${error.message}`);
    if (error.status === 422) blame(error.message);
  }
}

// By XMLHttpRequest: fetch does not tell how far it has sent.
function send({ name, source, stopping: { signal }, bar }) {
  say(`${name}: its upload has begun`);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `uploads?${new URLSearchParams({ name: name.slice(-200) })}`);
    for (const [header, value] of Object.entries(authorization())) request.setRequestHeader(header, value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => { bar.value = event.loaded / Math.max(1, event.total); };
    request.onload = () => (request.status === 201 ? resolve(JSON.parse(request.responseText).upload)
      : reject(refusal(request.status, request.responseText)));
    request.onerror = () => reject(new Refusal(0, "the upload broke off: the service is gone, or does not take as much"));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(source.file);
  });
}

function drag(event) {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault(); // or the browser would leave the page for the file
  const open = !byId("work").hidden && !byId("viewer").open;
  document.body.classList.toggle("dropping", open && event.type === "dragover");
  if (open && event.type === "drop") bringFiles(event.dataTransfer.files);
}

function bringFiles(files) { for (const file of files) bring(file.name, { file }); }

// Jobs: cards by id, the newest first.

const cards = new Map(), streams = new Map();
let refreshing = 0, changes = 0; // what was asked before a change of our own is not believed

// The list of the service tells of jobs of others too, and of those that have no stream.
async function refresh() {
  clearTimeout(refreshing);
  const before = changes;
  try {
    const listed = await askJson(`jobs?most=${MOST_JOBS}`);
    if (before === changes) showJobs(listed);
    byId("trouble").textContent = "";
  } catch (error) {
    if (error.status === 401) return;
    tell(byId("trouble"), `${error.message}; this page tries again`);
  }
  tellList();
  const live = [...cards.values()].some((card) => lives(card.job));
  if (!document.hidden) refreshing = setTimeout(refresh, live ? SOON_MS : LATER_MS);
}

function showJobs(listed) {
  for (const job of listed.toReversed()) if (!(streams.has(job.id) && lives(job))) showJob(job); // its stream knows more
  const known = new Set(listed.map((job) => job.id));
  for (const id of [...cards.keys()]) if (!known.has(id)) removeCard(id);
}

function tellList() {
  const most = cards.size >= MOST_JOBS ? `The newest ${MOST_JOBS} jobs.` : "";
  byId("jobs-said").textContent = cards.size || byId("coming").children.length ? most : "None yet.";
}

function showJob(job) {
  const known = cards.get(job.id);
  if (known && !lives(known.job)) return; // what was said earlier may come later
  const card = known ?? newCard(job);
  if (known && !lives(job)) say(endOf(job));
  card.job = job;
  update(card);
  if (!known) place(card);
  watchSome();
}

function endOf(job) {
  const found = job.state === "done" ? `, ${counted(job.objects ?? 0, "object")}` : "";
  return `${job.scene} is ${job.state}${found}${job.error && `: ${job.error}`}`;
}

function place(card) {
  const { id, created } = card.job;
  card.root.dataset.created = created;
  cards.set(id, card);
  byId("jobs").insertBefore(card.root, [...byId("jobs").children].find((one) => one.dataset.created <= created) ?? null);
  tellList();
}

// Who works by keyboard is not thrown back to the top of the page.
function takeAway(root) {
  if (root.contains(document.activeElement)) byId("jobs-title").focus();
  root.remove();
  tellList();
}

function removeCard(id) {
  const { root } = cards.get(id);
  cards.delete(id);
  takeAway(root);
  watchSome();
}

function newCard({ id, scene }) {
  const format = part("select", { ariaLabel: `Format for ${scene}` });
  format.append(...FORMATS.map(([textContent, value]) => part("option", { value, textContent })));
  const fetching = button("Save", scene, () => save(id)), saving = part("span", { className: "saving" }, format, fetching);
  const looking = button("Look", `at ${scene}`, () => look(id), "first");
  const cancelling = button("Cancel", scene, () => cancel(id)), removing = button("Remove", scene, () => remove(id));
  const card = cardOf(scene, {
    bar: part("progress", { ariaLabel: `Progress of ${scene}` }),
    facts: part("p", { className: "facts" }), classes: part("ul", { className: "classes" }), fault: part("p", { className: "fault" }),
    notes: part("ul", { className: "quiet notes" }), begun: part("p", { className: "quiet" }),
  }, looking, saving, cancelling, removing);
  card.root.append(card.trouble = part("p", { className: "fault" }));
  return { ...card, format, fetching, saving, looking, cancelling, removing };
}

function update(card) {
  const { job } = card, { done, tiles } = job.progress, live = lives(job);
  card.root.dataset.state = job.state;
  card.state.textContent = job.state;
  card.bar.hidden = job.state !== "running";
  if (tiles) Object.assign(card.bar, { max: tiles, value: done }); else card.bar.removeAttribute("value");
  card.facts.textContent = factsOf(job).join(" · ");
  card.classes.replaceChildren(...Object.entries(job.classes).sort((a, b) => b[1] - a[1]).map(([name, count]) => (
    part("li", {}, part("span", { className: "name", textContent: name }), ` ${count.toLocaleString("en")}`))));
  tell(card.fault, job.error);
  card.notes.replaceChildren(...job.notes.map((note) => tell(part("li"), note)));
  card.begun.textContent = [clock.format(new Date(job.created)), ...Object.entries(job.options).map(optionShown)].join(" · ");
  const focused = document.activeElement;
  card.looking.hidden = card.saving.hidden = job.state !== "done";
  card.cancelling.hidden = !live;
  card.removing.hidden = live;
  if (card.root.contains(focused) && focused.hidden) card.root.focus();
}

function factsOf({ state, progress: { done, tiles }, objects, failed_tiles: failed, seconds }) {
  return [
    objects !== null && counted(objects, "object"),
    tiles > 0 && (state === "done" ? counted(tiles, "tile") : `${done.toLocaleString("en")} of ${counted(tiles, "tile")}`),
    failed > 0 && `${counted(failed, "tile")} could not be read`,
    seconds > 0 && secondsOf(seconds),
  ].filter(Boolean);
}

const optionShown = ([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "string" ? value : JSON.stringify(value)}`;

// Streams of events tell each tile of the first jobs that are under way.

function watchSome() {
  const live = [...cards.values()].map((card) => card.job).filter(lives);
  live.sort((a, b) => (a.state !== b.state ? (a.state === "running" ? -1 : 1) : a.created.localeCompare(b.created)));
  const wanted = document.hidden ? [] : live.slice(0, MOST_STREAMS).map((job) => job.id);
  for (const [id, stopping] of streams) if (!wanted.includes(id)) { stopping.abort(); streams.delete(id); }
  for (const id of wanted) if (!streams.has(id)) watch(id);
}

async function watch(id) {
  const stopping = new AbortController(), { signal } = stopping;
  streams.set(id, stopping);
  for (let pause = SHORTEST_PAUSE_MS; !signal.aborted; pause = Math.min(2 * pause, LATER_MS)) {
    try {
      for await (const job of eventsOf(id, signal)) { pause = SHORTEST_PAUSE_MS; showJob(job); }
    } catch (error) {
      if (error.status === 404) { streams.delete(id); refresh(); return; }
    }
    if (!signal.aborted) await new Promise((resolve) => { setTimeout(resolve, pause); });
  }
}

// EventSource cannot send a token.
async function* eventsOf(id, signal) {
  const answer = await ask(`jobs/${id}/events`, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: ")) yield JSON.parse(event.slice(6));
  }
}

// What can be done with a job.

async function withCard(id, work) {
  const card = cards.get(id);
  card.trouble.textContent = "";
  try {
    await work(card);
  } catch (error) {
    tell(card.trouble, error.message);
    say(error.message);
  }
}

// A job that has ended meanwhile would be removed by what cancels it, with all that it found.
const cancel = (id) => withCard(id, async () => {
  let job = await askJson(`jobs/${id}`);
  if (lives(job)) job = await askJson(`jobs/${id}`, { method: "DELETE" });
  if (job !== null && cards.has(id)) showJob(job); // its process may take its time to end, and be removed by then
});

const remove = (id) => withCard(id, async (card) => {
  if (!await confirmed(`Remove ${card.job.scene}?`)) return;
  await ask(`jobs/${id}`, { method: "DELETE" });
  changes += 1;
  removeCard(id);
  say(`${card.job.scene} is removed`);
});

function confirmed(question) {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => { dialog.onclose = () => resolve(dialog.returnValue === "remove"); });
}

const save = (id) => withCard(id, async (card) => {
  const name = card.format.value, suffix = /\.[a-z.]+/.exec(name)[0];
  Object.assign(card.fetching, { disabled: true, textContent: "Fetches" });
  try {
    const href = URL.createObjectURL(await (await ask(`jobs/${id}/${name}`)).blob());
    part("a", { href, download: `${card.job.scene.split("/").at(-1).replace(/\.[^.]*$/, "")}${suffix}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60000);
  } finally {
    Object.assign(card.fetching, { disabled: false, textContent: "Save" });
  }
});

// The viewer: the report in a frame with an origin of its own, which knows no token and reaches no network.

async function look(id) {
  const { scene } = cards.get(id).job, stopping = new AbortController(), viewer = byId("viewer");
  byId("viewer-title").textContent = `Report of ${scene}`;
  byId("viewer-said").textContent = "The report is being made.";
  viewer.onclose = () => { stopping.abort(); byId("frame").replaceChildren(); };
  viewer.showModal();
  try {
    const report = await (await ask(`jobs/${id}/report.html`, { signal: stopping.signal })).text();
    if (viewer.open && !stopping.signal.aborted) byId("frame").replaceChildren(frameOf(scene, report));
    byId("viewer-said").textContent = "";
  } catch (error) {
    if (!stopping.signal.aborted) tell(byId("viewer-said"), error.message);
  }
}

function frameOf(scene, report) {
  const frame = part("iframe", { title: `Report of ${scene}`, src: "frame.html", allow: "clipboard-write" });
  frame.sandbox.add("allow-scripts", "allow-downloads");
  frame.onload = () => { frame.onload = null; frame.contentWindow.postMessage(report, "*"); };
  return frame;
}

function heard(event) {
  const frame = byId("frame").firstElementChild;
  if (frame !== null && event.source === frame.contentWindow && event.data === "close") byId("viewer").close();
}

async function begin() {
  await refresh();
  if (!byId("door").hidden) return;
  byId("work").hidden = false;
  byId("forget").hidden = sessionStorage.getItem("token") === null;
  openFolder("", false);
  loadOptions().catch((error) => tell(byId("options-said"), error.message));
}

byId("door").addEventListener("submit", enter);
byId("forget").addEventListener("click", forget);
byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", () => { bringFiles(byId("files").files); byId("files").value = ""; });
byId("options").addEventListener("reset", clearFaults);
byId("viewer-close").addEventListener("click", () => byId("viewer").close());
for (const kind of ["dragover", "dragleave", "drop"]) addEventListener(kind, drag);
addEventListener("message", heard);
document.addEventListener("visibilitychange", () => { watchSome(); if (!document.hidden && !byId("work").hidden) refresh(); });
begin();

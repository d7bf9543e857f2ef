"use strict";
// What is shown: the run and its twin, which moment is chosen, and the filters. All of it is in the address behind #, so
// that a view can be passed on.

const data = JSON.parse(document.getElementById("data").textContent);
const twin = data.twin.beside || null;
const illegal = new Set(["resurrected", "orphaned", "phantom", "dangling"]);
const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const label = (told, lane) => (lane === null || lane === undefined ? "the set-up" : told.lanes[lane].label);
const classOf = (name) => (illegal.has(name) ? "illegal" : name);

/// The first stretch of a segment that is not legal.
const wrong = (segment) => segment.stretches.find((stretch) => illegal.has(stretch.class));
const isWrong = new Set(data.run.segments.filter(wrong).map((segment) => segment.number));
const segments = data.run.segments.map((segment) => segment.number);

const state = { view: "race", tasks: new Set(), segments: new Set(), chosen: null, twin: true, theme: null, open: new Set() };

const isFiltered = () => state.tasks.size > 0 || state.segments.size > 0;
const matches = (told, moment) =>
  (state.tasks.size === 0 || state.tasks.has(told.lanes[moment.lane].label)) &&
  (state.segments.size === 0 || moment.segments.some((number) => state.segments.has(number)));
const isShown = (told, moment) => {
  if (isFiltered()) return matches(told, moment);
  return state.view === "all" || !told.hasBrief || moment.is_brief;
};
for (const told of [data.run, ...(twin ? [twin.run] : [])]) told.hasBrief = told.moments.some((moment) => moment.is_brief);

/// The moment that says most: where the damage was first seen.
function decisive() {
  const { moments } = data.run;
  const found = moments.findIndex((moment) => moment.found.length > 0);
  if (found >= 0) return found;
  const races = moments.map((moment, place) => (moment.is_race ? place : -1)).filter((place) => place >= 0);
  return races.length > 0 ? races[races.length - 1] : moments.findIndex((moment) => moment.is_brief);
}

function readHash() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const list = (name) => (hash.get(name) || "").split(",").filter((part) => part !== "");
  if (!hash.toString().includes("=")) return; // an anchor of the page
  state.tasks = new Set(list("task").filter((task) => data.run.lanes.some((lane) => lane.label === task)));
  state.segments = new Set(list("segment").map(Number).filter((number) => segments.includes(number)));
  state.view = hash.get("view") === "all" ? "all" : "race";
  state.twin = hash.get("twin") !== "off";
  state.theme = ["dark", "light"].includes(hash.get("theme")) ? hash.get("theme") : null;
  const at = Number(hash.get("at"));
  if (hash.has("at") && data.run.moments[at]) state.chosen = at;
}

function writeHash() {
  const hash = new URLSearchParams();
  if (state.tasks.size) hash.set("task", [...state.tasks].join(","));
  if (state.segments.size) hash.set("segment", [...state.segments].join(","));
  if (state.view === "all") hash.set("view", "all");
  if (!state.twin) hash.set("twin", "off");
  if (state.theme) hash.set("theme", state.theme);
  if (state.chosen !== null && state.chosen !== decisive()) hash.set("at", state.chosen);
  const text = hash.toString();
  history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
}

const isDark = () => (state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
function showTheme() {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
}

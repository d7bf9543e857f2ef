// Does with a page what its reader does, and tells what came of it. The test appends this to the page.
const told = {};
const inSight = (row) => {
  const place = row.getBoundingClientRect(), around = row.closest(".scroll").getBoundingClientRect();
  const bottom = Math.min(around.bottom, document.getElementById("inspector").getBoundingClientRect().top);
  return place.height > 0 && place.top >= around.top && place.bottom <= bottom + 1;
};
const all = (query) => [...document.querySelectorAll(query)];
const press = (key) => (document.activeElement || document.body).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const shown = () => document.body.dataset.shown;

told.first = {
  verdict: document.getElementById("verdict").textContent,
  sentence: document.getElementById("sentence").textContent,
  command: document.getElementById("command").textContent,
  race_in_sight: all("#chart-run .row.race").filter(inSight).length,
  found_in_sight: all("#chart-run .row.found").filter(inSight).length,
  twin_in_sight: all("#chart-twin .row.race").some(inSight),
  parts: all(".row.rule:not(.end)").length,
  // of too many lanes some stand for those that they have started
  lanes: all("#chart-run .heads button").reduce((sum, head) => sum + 1 + Number(/ \+(\d+)$/.exec(head.textContent)?.[1] ?? 0), 0),
  inspector: document.getElementById("inspector").textContent,
  segments: all("#lineage-table tbody tr").length,
  saves: all("#rings-table tbody tr").length,
  theme: document.documentElement.dataset.theme,
  shown: shown(),
  outside: performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith("data:")).length,
};

const chip = (number) => all("#segment-filter button").find((button) => button.textContent === String(number));
const clear = () => press("Escape");
clear();
if (chip(5)) {
  chip(5).click();
  told.segment_clicked = { shown: shown(), rows: String(all("#moments-table tbody tr").length), hash: location.hash };
  clear();
}
const evictor = all("#chart-run .heads button").find((button) => button.textContent === "evictor");
if (evictor) {
  evictor.click();
  told.task_clicked = { shown: shown(), hash: location.hash };
  clear();
}

const chosen = () => document.body.dataset.chosen;
const help = document.getElementById("help");
told.keys = { start: chosen() };
for (const key of ["k", "j", "p", "n"]) {
  press(key);
  told.keys[key] = chosen();
}
press("a");
told.keys.all = shown();
press("a");
press("?");
told.keys.help = help.open;
help.close();
told.keys.help_closed = !help.open;
press("w");
told.keys.twin_off = document.getElementById("chart-twin").hidden;
press("w");
press("t");
told.keys.task = location.hash;
press("Escape");
told.keys.escaped = shown();
if (document.documentElement.dataset.theme === "light") press("d");
told.keys.dark = document.documentElement.dataset.theme;

told.ready = document.body.dataset.ready;
told.complaints = window.complaints;
const pre = document.createElement("pre");
pre.id = "told";
pre.textContent = JSON.stringify(told).replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026");
document.body.append(pre);

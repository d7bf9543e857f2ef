// The head of the page, the filters, the keys; and the first drawing.

const keys = [
  ["j / \u2193", "the next moment that is shown"],
  ["k / \u2191", "the one before"],
  ["n / p", "the next, the previous moment of the race"],
  ["Home / End", "the first, the last moment"],
  ["a", "everything, or the race alone"],
  ["t", "this moment's task alone; again: all tasks"],
  ["s", "this moment's segments alone; again: all segments"],
  ["1 \u2026 9", "segment 1 \u2026 9 alone; again: all"],
  ["Esc", "no filters"],
  ["w", "with the twin, or without"],
  ["d", "dark or light"],
  ["?", "these keys"],
];

function linked(sentence) {
  const labels = data.run.lanes.map((lane) => lane.label).sort((one, other) => other.length - one.length);
  const parts = [];
  let rest = sentence, plain = "";
  while (rest !== "") {
    const isStart = plain === "" || !/[\w#/]$/.test(plain);
    const task = isStart && labels.find((name) => rest.startsWith(name) && !/^[\w#/@]/.test(rest.slice(name.length)));
    const segment = isStart && /^segment (\d+)/.exec(rest);
    if (!task && !segment) {
      plain += rest[0];
      rest = rest.slice(1);
      continue;
    }
    parts.push(plain);
    plain = "";
    const text = task || segment[0];
    const number = segment && Number(segment[1]);
    const link = (className, kind, set, value) =>
      element("button", { class: className, title: `Show this ${kind} alone`, onclick: () => toggle(set, value) }, text);
    if (task) parts.push(link("task", "task", state.tasks, task));
    else parts.push(segments.includes(number) ? link("", "segment", state.segments, number) : text);
    rest = rest.slice(text.length);
  }
  return [...parts, plain].filter((part) => part !== "");
}

function drawHead() {
  $("verdict").textContent = data.verdict;
  $("verdict").classList.add(data.verdict);
  $("name").textContent = `${data.scenario}, seed ${data.seed}, ${data.run.steps} steps, engine ${data.engine}`;
  $("command").textContent = data.command;
  $("sentence").replaceChildren(...linked(data.sentence));
  const last = data.run.moments.length - 1;
  $("found").replaceChildren(...data.run.violations.map((violation) => {
    const place = data.run.moments.findIndex((moment) => moment.found.includes(violation.oracle));
    const at = place >= 0 ? place : data.run.moments.findLastIndex((moment) => moment.step <= violation.step);
    const onclick = () => choose(at < 0 ? last : at, true);
    return element("button", { title: violation.sentence, onclick }, `${violation.oracle} at step ${violation.step}`);
  }), ...data.unreached.map((site) => element("span", {}, `not reached: ${site}`)));
  const found = data.run.violations.map((violation) => `${violation.oracle} at step ${violation.step}: ${violation.sentence}`);
  $("plan-text").textContent = [...data.plan, "", ...found, "", `trace ${data.run.trace}`].join("\n");
  const legends = [["race", "the race"], ["held", "held by the plan"], ["wait", "waits for a lock"], ["lock", "holds a lock"]];
  $("legend").replaceChildren(...legends.map(([color, words]) => {
    const box = element("i", {});
    box.style.cssText = `border-color:var(--${color});background:var(--${color}-soft)`;
    return element("span", {}, box, words);
  }), ...["\u25cf took effect", "\u25cb went on", "large: a save of the ring", "? for the keys"].map((words) => element("span", {}, words)));
  const told = keys.flatMap(([key, words]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, words)]);
  $("help").replaceChildren(element("dl", {}, ...told), element("p", {}, "The address keeps what is shown: pass it on."),
    element("form", { method: "dialog" }, element("button", {}, "close")));
  if (!twin) $("twin-button").hidden = true;
  $("view-race").textContent = data.run.moments.some((moment) => moment.is_race) ? "Race" : "In brief";
}

function drawFilters() {
  $("view-race").setAttribute("aria-pressed", state.view === "race" && !isFiltered());
  $("view-all").setAttribute("aria-pressed", state.view === "all" && !isFiltered());
  $("twin-button").setAttribute("aria-pressed", state.twin);
  $("segment-filter").replaceChildren(element("span", {}, "Segments"), ...segments.map((number) => segmentChip(number)));
  $("task-filter").replaceChildren(...data.run.lanes.map(({ label: name }) => {
    const onclick = () => toggle(state.tasks, name);
    return element("button", { class: "mono", "aria-pressed": state.tasks.has(name), onclick }, name);
  }));
  const chosen = [...state.tasks].join(", ");
  $("task-menu").firstElementChild.textContent = chosen ? `Tasks: ${chosen}` : `Tasks (${data.run.lanes.length})`;
  $("clear").hidden = !isFiltered();
}

/// Draws everything again. What is at hand stays where it is.
function show() {
  showTheme();
  drawFilters();
  const hasTwin = twin && state.twin;
  $("charts").classList.toggle("alone", !hasTwin);
  $("chart-twin").hidden = !hasTwin;
  const bold = (className, words) => element("b", { class: className }, words);
  const isFail = data.verdict === "FAIL";
  const words = { FAIL: "This run fails", PASS: "This run passes" }[data.verdict] || "This run";
  const captions = [bold(isFail ? "fails" : "passes", words), data.twin.alone && isFail ? `No twin: ${data.twin.alone.why}` : ""];
  const partsAt = hasTwin ? twin.parts_at[0] : -1;
  const shown = drawChart($("chart-run"), data.run, { caption: captions, partsAt, key: "r" });
  if (hasTwin) {
    const caption = [bold("passes", "The twin passes"), `without "${twin.without}"`];
    drawChart($("chart-twin"), twin.run, { caption, partsAt: twin.parts_at[1], key: "t", isTwin: true });
  }
  drawRings();
  drawLineage();
  drawMoments();
  if (state.chosen !== null) inspect(data.run, state.chosen, false);
  const leftOut = data.run.left_out ? `, ${data.run.left_out} left out of this page` : "";
  $("shown").textContent = `${shown} of ${data.run.moments.length} moments${leftOut}`;
  Object.assign(document.body.dataset, { shown, chosen: state.chosen ?? "" });
  writeHash();
}

/// Makes the charts as high as the first screen has room for.
function fit() {
  const top = $("chart-run").querySelector(".scroll").getBoundingClientRect().top + scrollY;
  const room = Math.max(300, innerHeight - top - $("inspector").offsetHeight - 10);
  for (const scroll of document.querySelectorAll(".scroll")) scroll.style.maxHeight = `${room}px`;
}

function toggle(set, value) {
  const isAlone = set.has(value);
  set.clear();
  if (!isAlone) set.add(value);
  show();
  keepChosenInSight();
}

function choose(place, isFar = false) {
  state.chosen = place;
  if (!isShown(data.run, data.run.moments[place]) && isFiltered()) clearFilters();
  if (!isShown(data.run, data.run.moments[place])) state.view = "all";
  show();
  keepChosenInSight();
  if (isFar) $("charts").scrollIntoView({ block: "nearest" });
}

function keepChosenInSight() {
  const row = $("chart-run").querySelector(".row.chosen"), scroll = $("chart-run").querySelector(".scroll");
  if (!row) return;
  const heads = $("chart-run").querySelector(".heads").offsetHeight;
  const top = row.offsetTop - 3 * ROW, bottom = row.offsetTop + heads + 4 * ROW;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (bottom > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = bottom - scroll.clientHeight;
  row.focus({ preventScroll: true });
}

function clearFilters() {
  state.tasks.clear();
  state.segments.clear();
}

/// Chooses the next moment in a direction for which `is` holds.
function step(direction, is) {
  const { moments } = data.run;
  for (let place = (state.chosen ?? -1) + direction; place >= 0 && place < moments.length; place += direction) {
    if (is(moments[place])) return choose(place);
  }
}

function toggleTheme() {
  state.theme = isDark() ? "light" : "dark";
  show();
}

function view(name) {
  state.view = name;
  clearFilters();
  show();
  keepChosenInSight();
}

function toggleTwin() {
  state.twin = !state.twin;
  show();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const moment = data.run.moments[state.chosen];
  const isVisible = (candidate) => isShown(data.run, candidate);
  const acts = {
    j: () => step(1, isVisible), ArrowDown: () => step(1, isVisible),
    k: () => step(-1, isVisible), ArrowUp: () => step(-1, isVisible),
    n: () => step(1, (candidate) => candidate.is_race), p: () => step(-1, (candidate) => candidate.is_race),
    Home: () => choose(data.run.moments.findIndex(isVisible)),
    End: () => choose(data.run.moments.findLastIndex(isVisible)),
    a: () => view(state.view === "all" ? "race" : "all"), w: toggleTwin, d: toggleTheme, "?": () => $("help").showModal(),
    t: () => moment && toggle(state.tasks, label(data.run, moment.lane)),
    s: () => {
      if (state.segments.size) state.segments.clear();
      else moment?.segments.forEach((number) => state.segments.add(number));
      show();
      keepChosenInSight();
    },
    Escape: () => { clearFilters(); $("task-menu").open = false; show(); keepChosenInSight(); },
  };
  const isSegment = /^[1-9]$/.test(event.key) && segments.includes(Number(event.key));
  const act = acts[event.key] || (isSegment ? () => toggle(state.segments, Number(event.key)) : null);
  if (!act) return;
  event.preventDefault();
  act();
}

function start() {
  drawHead();
  state.chosen = decisive() < 0 ? null : decisive();
  readHash();
  show();
  fit();
  scrollToRace($("chart-run"));
  if (twin) scrollToRace($("chart-twin"));
  $("view-race").onclick = () => view("race");
  $("view-all").onclick = () => view("all");
  $("twin-button").onclick = toggleTwin;
  $("theme").onclick = toggleTheme;
  $("clear").onclick = () => { clearFilters(); show(); keepChosenInSight(); };
  $("help-button").onclick = () => $("help").showModal();
  $("copy").onclick = () => {
    const range = document.createRange();
    range.selectNodeContents($("command"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy"); // a page that was opened from a disk may not use the clipboard otherwise
    $("copy").textContent = "copied";
  };
  document.addEventListener("keydown", onKey);
  addEventListener("resize", () => { show(); fit(); });
  addEventListener("hashchange", () => { readHash(); show(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  document.body.dataset.ready = "yes";
}

start();

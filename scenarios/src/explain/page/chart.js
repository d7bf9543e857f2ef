// One chart: a lane for each task from left to right, time from top to bottom, a row for each moment. What is not shown is
// folded into a row that says how much it is.

const ROW = 23, FOLD = 19, GUTTER = 74, LANES_WIDE = 7, LANES_MAX = 24, LANE_NARROW = 22, LETTER = 7.6;

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/// The rows of a run: moments that are shown, folds, and rules where it parts from the other or the process ends.
function rowsOf(told, partsAt, key) {
  const rows = [];
  let hidden = [];
  const flush = () => {
    if (hidden.length === 0) return;
    const id = key + hidden[0];
    if (state.open.has(id)) hidden.forEach((place) => rows.push({ place, isExtra: true }));
    else rows.push({ fold: id, count: hidden.length, step: told.moments[hidden[hidden.length - 1]].step });
    hidden = [];
  };
  const ends = [...told.ends];
  told.moments.forEach((moment, place) => {
    while (ends.length > 0 && ends[0][0] < moment.step) {
      flush();
      const [step, how] = ends.shift();
      rows.push({ rule: how, step, isEnd: true });
    }
    if (place === partsAt) {
      flush();
      rows.push({ rule: "the runs part here", step: moment.step - 1 });
    }
    if (isShown(told, moment)) {
      flush();
      rows.push({ place });
    } else hidden.push(place);
  });
  flush();
  ends.forEach(([step, how]) => rows.push({ rule: how, step, isEnd: true }));
  let top = 6;
  for (const row of rows) {
    row.top = top;
    const isFound = row.place !== undefined && told.moments[row.place].found.length > 0;
    row.height = row.place === undefined ? FOLD : isFound ? ROW + 19 : ROW;
    row.middle = top + Math.min(row.height, ROW) / 2;
    top += row.height;
    if (row.place !== undefined) row.step = told.moments[row.place].step;
  }
  return { rows, height: top + 8 };
}

function drawChart(figure, told, { caption, partsAt, key, isTwin }) {
  figure.querySelector("figcaption").replaceChildren(...caption);
  const { rows, height } = rowsOf(told, partsAt, key);
  const shown = rows.filter((row) => row.place !== undefined);
  const here = told.lanes.map((_, lane) => lane).filter((lane) => shown.some((row) => told.moments[row.place].lane === lane));
  // of too many, a task is drawn beside the one that has started it
  const root = (lane) => (here.length > LANES_MAX && told.lanes[lane].parent !== null ? root(told.lanes[lane].parent) : lane);
  const lanes = [...new Set(here.map(root))].sort((one, other) => one - other);
  const heads = figure.querySelector(".heads"), body = figure.querySelector(".body");
  const isWide = lanes.length <= LANES_WIDE;
  const room = Math.max(figure.clientWidth - GUTTER - 32, 200);
  const width = isWide ? widthOf(told, shown, lanes, room) : LANE_NARROW;
  const x = (lane) => GUTTER + 16 + lanes.indexOf(root(lane)) * width + (root(lane) === lane ? 0 : 6);
  const right = GUTTER + 16 + lanes.length * width;

  heads.className = isWide ? "heads" : "heads narrow";
  const extra = here.length > LANES_MAX ? " +99".length : 0;
  const longest = Math.max(...lanes.map((lane) => told.lanes[lane].label.length + extra), 0);
  heads.style.height = isWide ? "26px" : `${14 + 7.1 * longest}px`;
  heads.replaceChildren(...lanes.map((lane) => {
    const name = told.lanes[lane].label;
    const others = here.filter((other) => other !== lane && root(other) === lane);
    const isRace = told.moments.some((moment) => moment.lane === lane && moment.is_race);
    const letters = isWide && lane !== lanes[lanes.length - 1] ? Math.floor((width - 10) / LETTER) : Infinity;
    const text = name.length > letters ? "\u2026" + name.slice(1 - letters) : name;
    const too = others.length ? `; here, too: ${others.map((other) => told.lanes[other].label).join(", ")}` : "";
    const title = `${name}: show this task alone${too}`;
    const onclick = () => toggle(state.tasks, name);
    const attributes = { class: isRace ? "race" : "", title, "aria-label": name, "aria-pressed": state.tasks.has(name), onclick };
    const button = element("button", attributes, others.length ? `${text} +${others.length}` : text);
    button.style.left = `${x(lane) - (isWide ? 8 : 9)}px`;
    return button;
  }));

  const picture = svg("svg", { width: "100%", height, "aria-hidden": "true" });
  const under = (step) => {
    const before = rows.filter((row) => row.step <= step);
    return before.length > 0 ? before[before.length - 1].top + before[before.length - 1].height : 0;
  };
  const rowAt = (lane, step, isLast) => {
    const there = shown.filter((row) => row.step === step && told.moments[row.place].lane === lane);
    return there.length > 0 ? there[isLast ? there.length - 1 : 0].middle : null;
  };
  for (const lane of here) {
    const { from, to } = told.lanes[lane];
    const top = rowAt(lane, from, false) ?? under(from);
    const bottom = to === null ? height : rowAt(lane, to, true) ?? under(to);
    const [x1, y2] = [x(lane), Math.max(bottom, top + 2)];
    picture.append(svg("line", { x1, x2: x1, y1: top, y2, stroke: "var(--faint)", "stroke-width": 1.5 }));
  }
  const looks = {
    locks: { stroke: "var(--lock)", fill: "var(--lock-soft)", w: 9 },
    "lock-wait": { stroke: "var(--wait)", fill: "var(--wait-soft)", w: 9, dash: "3 2" },
    held: { stroke: "var(--held)", fill: "var(--held-soft)", w: 13 },
    asleep: { stroke: "var(--faint)", fill: "none", w: 7, dash: "1 3" },
  };
  for (const span of told.spans) {
    const look = looks[span.kind];
    if (!look || !here.includes(span.lane)) continue;
    const top = rowAt(span.lane, span.from, true) ?? under(span.from);
    const bottom = rowAt(span.lane, span.to, span.kind === "locks") ?? under(span.to - 1);
    if (bottom - top < 3) continue;
    const size = { x: x(span.lane) - look.w / 2, y: top, width: look.w, height: bottom - top, rx: 3 };
    const paint = { fill: look.fill, stroke: look.stroke, "stroke-width": 1.3, "stroke-dasharray": look.dash || "none" };
    picture.append(svg("rect", { ...size, ...paint }));
  }
  drawReleases(picture, told, shown, here, x);
  for (const row of shown) {
    const moment = told.moments[row.place];
    picture.append(dot(moment, x(moment.lane), row.middle, isTwin));
  }
  body.style.height = `${height}px`;
  const texts = rows.map((row) => rowElement(told, row, { isWide, x, right, isTwin }));
  body.replaceChildren(...texts, picture);
  const ends = texts.flatMap((text) => [...text.querySelectorAll(".words, .bads")].map((words) => words.offsetLeft + words.offsetWidth + 8));
  const widest = Math.max(...ends, 0);
  body.style.minWidth = heads.style.minWidth = `${Math.max(widest, right)}px`;
  return shown.length;
}

/// The width of a lane, so that what is said in each of them has room.
function widthOf(told, shown, lanes, room) {
  const width = lanes.map((lane, index) => {
    const texts = shown.map((row) => told.moments[row.place]).filter((moment) => moment.lane === lane);
    const longest = Math.max(...texts.map((moment) => (pointOf(moment) + " " + moment.says).length), 0);
    return index === 0 ? Infinity : (room - LETTER * longest) / index;
  });
  return Math.max(90, Math.min(210, ...width));
}

/// From the site that a hold has waited for to the lane that it lets go.
function drawReleases(picture, told, shown, lanes, x) {
  for (const span of told.spans) {
    if (span.kind !== "held" || !span.label.startsWith("until ") || !lanes.includes(span.lane)) continue;
    const site = span.label.slice("until ".length);
    const row = shown.find((at) => told.moments[at.place].site === site);
    const from = row && told.moments[row.place].lane;
    if (!row || !lanes.includes(from)) continue;
    const paint = { stroke: "var(--held)", "stroke-width": 1.6, "stroke-dasharray": "5 3" };
    picture.append(svg("line", { x1: x(from), x2: x(span.lane), y1: row.middle, y2: row.middle, ...paint }));
  }
}

function dot(moment, x, y, isTwin) {
  const isBad = ["failed", "panicked", "crashed", "dropped"].includes(moment.what);
  const plain = moment.is_race && !isTwin ? "var(--race)" : "var(--soft)";
  const color = isBad ? "var(--fail)" : moment.what === "held" ? "var(--held)" : plain;
  const isEffect = ["landed", "committed", "failed", "crashed", "panicked", "dropped"].includes(moment.what);
  const radius = moment.save !== null ? 6 : moment.what === "noted" ? 3 : 4.5;
  return svg("circle", { cx: x, cy: y, r: radius, fill: isEffect ? color : "var(--card)", stroke: color, "stroke-width": 2 });
}

const hows = { passed: "goes on", landed: "landed" };
const pointOf = (moment) => (moment.point === "end" ? "" : moment.site.slice(moment.site.indexOf("@") + 1));

function rowElement(told, row, { isWide, x, right, isTwin }) {
  const place = (made, left) => {
    made.style.top = `${row.top}px`;
    made.style.height = `${row.height}px`;
    made.style.lineHeight = `${Math.min(row.height, ROW)}px`;
    made.querySelectorAll(".words, .bads").forEach((words) => { words.style.left = `${left}px`; });
    return made;
  };
  if (row.rule !== undefined) {
    const words = element("span", { class: "words" }, row.rule);
    return place(element("div", { class: row.isEnd ? "row rule end" : "row rule" }, words), 10);
  }
  if (row.fold !== undefined) {
    const open = () => { state.open.add(row.fold); show(); };
    const words = element("span", { class: "words" }, `\u22ef ${row.count} more`);
    return place(element("button", { class: "row fold", tabindex: -1, title: "Show them", onclick: open }, words), 12);
  }
  const moment = told.moments[row.place];
  const says = moment.says || hows[moment.what] || "";
  const words = element("span", { class: "words" },
    isWide ? null : element("span", { class: "who" }, label(told, moment.lane) + "  "),
    element("span", { class: "point" }, pointOf(moment)),
    says ? element("span", { class: "says" }, (pointOf(moment) ? " " : "") + says) : null);
  const bads = element("span", { class: "bads" }, ...moment.found.map((what) => element("span", { class: "bad" }, what)));
  bads.style.top = `${ROW - 3}px`;
  const isChosen = !isTwin && state.chosen === row.place;
  const text = [`step ${moment.step}`, label(told, moment.lane), pointOf(moment), says, ...moment.found].filter(Boolean).join(", ");
  const looks = ["row", moment.is_race ? "race" : "", moment.found.length ? "found" : "", isChosen ? "chosen" : ""];
  const made = element("button", {
    class: looks.join(" "),
    tabindex: isChosen ? 0 : -1,
    title: text,
    "aria-label": text,
    "aria-current": isChosen ? "true" : null,
    onclick: () => (isTwin ? inspectTwin(row.place) : choose(row.place)),
  }, element("span", { class: "step" }, String(moment.step)), words, moment.found.length ? bads : null);
  return place(made, isWide ? x(moment.lane) + 12 : right + 4);
}

/// Scrolls a chart so that its race is seen: from its beginning if there is room, and its decisive moment in any case.
function scrollToRace(figure) {
  const scroll = figure.querySelector(".scroll");
  const races = [...figure.querySelectorAll(".row.race")];
  const decisive = figure.querySelector(".row.chosen") || races[races.length - 1];
  if (!decisive) return;
  const last = decisive.offsetTop + 4 * ROW, first = (races[0] || decisive).offsetTop - ROW;
  const room = scroll.clientHeight - figure.querySelector(".heads").offsetHeight;
  scroll.scrollTop = last - first <= room ? Math.max(0, first - 2) : Math.max(0, last - room);
}

// Below the charts: the rings as diffs, the lineage of each segment, all moments, the plan; and the chosen moment, with what
// memory, RocksDB and the directory say then.

function segmentChip(number, className = "") {
  const look = isWrong.has(number) && !className ? "illegal" : className, name = `segment ${number}`;
  const onclick = () => toggle(state.segments, number), isPressed = state.segments.has(number);
  const attributes = { class: `seg ${look}`, title: name, "aria-label": name, "aria-pressed": isPressed, onclick };
  return element("button", attributes, String(number));
}

function table(heads, rows) {
  const head = element("thead", {}, element("tr", {}, ...heads.map((words) => element("th", { scope: "col" }, words))));
  return element("div", { class: "wide" }, element("table", {}, head, element("tbody", {}, ...rows)));
}
const cell = (className, ...children) => element("td", { class: className }, ...children);

function drawRings() {
  const { run } = data;
  const rows = run.saves.map((save, index) => {
    const how = new Map(save.changes.map((change) => [change.segment, change.how]));
    const before = run.saves[index - 1];
    const look = { pushed: "added", back: "illegal", aged: "moved", younger: "moved", doomed: "added" };
    const list = (numbers, gone) => {
      const chips = numbers.map((number) => segmentChip(number, look[how.get(number)] || "plain"));
      const isLost = (number) => ["dropped", "doomed", "forgotten"].includes(how.get(number)) && !numbers.includes(number);
      const all = [...chips, ...gone.filter(isLost).map((number) => segmentChip(number, "removed"))];
      return all.flatMap((chip) => [chip, " "]);
    };
    const gone = (place) => (before ? before.generations[place] : []);
    const generations = save.generations.map((numbers, place) => cell("", ...list(numbers, gone(place))));
    const isDim = state.segments.size > 0 && !save.changes.some((change) => state.segments.has(change.segment));
    const place = run.moments.findIndex((moment) => moment.save === index);
    const base = save.is_left_by_crash ? "left by the crash" : index === 0 ? "" : `on ${save.base}`;
    const stale = save.is_stale ? element("span", { class: "stale" }, ` stale: ${before.version} was saved meanwhile`) : null;
    const isRace = place >= 0 && run.moments[place].is_race;
    return element("tr", { class: [isRace ? "race" : "", isDim ? "dim" : ""].join(" ") },
      cell("num", place >= 0 ? atButton(save.step, place) : String(save.step)),
      cell("num", save.lane === null ? "" : label(run, save.lane)),
      cell("num", `${save.version} `, base, stale),
      ...generations,
      cell("", ...list(save.doomed, before ? before.doomed : [])),
      cell("", save.changes.map(changeWords).join(", ")));
  });
  $("rings-table").replaceChildren(table(["step", "saved by", "version", "old", "current", "new", "doomed", "changes"], rows));
}

function changeWords({ segment, how }) {
  const sign = { pushed: "+", back: "+", doomed: "\u2212", dropped: "\u2212" }[how] || "";
  return `${sign}${segment} ${how === "forgotten" ? "off the list" : how}`;
}

function atButton(step, place, title = "Show it") {
  return element("button", { class: "at", title, onclick: () => choose(Math.max(place, 0), true) }, String(step));
}

function steps(list, lastResort = "") {
  if (list.length === 0) return [lastResort];
  return list.flatMap((at, index) => {
    const is = (moment) => moment.step === at.step && (at.lane === null || moment.lane === at.lane);
    const title = [at.lane === null ? "" : label(data.run, at.lane), at.says].filter(Boolean).join(": ");
    const made = atButton(at.step, data.run.moments.findIndex(is), title);
    return [index ? ", " : "", made, at.says && at.says !== "1 row" ? ` ${at.says}` : ""];
  });
}

function drawLineage() {
  const { run } = data;
  const rows = run.segments.map((segment) => {
    const end = Math.max(run.steps, 1);
    const bar = element("div", { class: "bar", role: "img", "aria-label": "where it stood over time" });
    let from = 0;
    for (const stretch of segment.stretches) {
      const piece = (className, steps, title) => {
        const made = element("i", { class: className, title });
        made.style.width = `${(100 * steps) / end}%`;
        bar.append(made);
      };
      if (stretch.from > from) piece("", stretch.from - from, "");
      const title = `steps ${stretch.from} to ${stretch.to}: ${stretch.class}. ${stretch.why}`;
      piece(classOf(stretch.class), stretch.to - stretch.from, title);
      from = stretch.to;
    }
    const first = segment.stretches.find((stretch) => stretch.class !== "agrees"), bad = wrong(segment);
    const told = [first, bad && bad !== first ? bad : null].filter(Boolean).map((stretch) => {
      const name = element("span", { class: `class ${classOf(stretch.class)}` }, stretch.class.replace("-", " "));
      const isLast = stretch === segment.stretches[segment.stretches.length - 1];
      return element("div", {}, name, ` from step ${stretch.from} to ${isLast ? "the end" : stretch.to}: ${stretch.why}`);
    });
    const also = (words, list) => (list.length ? [words, ...steps(list)] : []);
    const agree = "memory, RocksDB and the directory agree";
    const disk = segment.on_disk === null ? "no" : `${segment.on_disk} B`;
    const rocks = [segment.in_rocksdb || "no", segment.rows ? `, ${segment.rows} rows` : ""].join("");
    const isDim = state.segments.size > 0 && !state.segments.has(segment.number);
    const before = segment.was_there ? "before" : "";
    return element("tr", { class: isDim ? "dim" : "" },
      cell("", segmentChip(segment.number)),
      cell("num", ...steps(segment.created, before)),
      cell("num", ...steps(segment.sealed)),
      cell("num", before, before && segment.in_ring.length ? ", " : "", ...steps(segment.in_ring)),
      cell("num", ...steps(segment.doomed)),
      cell("num", ...steps(segment.rows_deleted)),
      cell("num", ...steps(segment.unlink_begun)),
      cell("num", ...steps(segment.unlinked), ...also(" failed ", segment.unlink_failed), ...also(" crash ", segment.by_crash)),
      cell("num", disk),
      cell("num", rocks),
      cell("", ...(told.length ? told : [agree]), bar));
  });
  const heads = ["segment", "created", "sealed", "in ring", "doomed", "rows deleted", "unlink begun", "unlink done"];
  const ends = ["on disk", "in RocksDB", "where the three first disagree"];
  $("lineage-table").replaceChildren(table([...heads, ...ends], rows));
}

function drawMoments() {
  const { run } = data;
  const row = (moment, place) => {
    const className = [moment.is_race ? "race" : "", state.chosen === place ? "chosen" : ""].join(" ");
    const bads = moment.found.map((what) => element("span", { class: "bad" }, what));
    return element("tr", { class: className, "data-moment": place, onclick: () => choose(place) },
      cell("num", String(moment.step)),
      cell("num", label(run, moment.lane)),
      cell("num", pointOf(moment)),
      cell("", moment.what),
      cell("", moment.says, ...bads),
      cell("num", moment.segments.join(" ")));
  };
  const rows = run.moments.flatMap((moment, place) => (matches(run, moment) ? [row(moment, place)] : []));
  $("moments-table").replaceChildren(table(["step", "task", "point", "what", "says", "segments"], rows));
}

const WHYS_MAX = 3;

/// What memory, RocksDB and the directory said after a step.
function placesTable(told, step) {
  const seen = told.seen.filter((at) => at.step <= step).pop();
  if (!seen || seen.places.length === 0) return element("span", {});
  const sign = { m: "\u25cf", d: "\u2715", "": "\u00b7" };
  const look = (at) => (at.class === "agrees" ? "" : classOf(at.class));
  const row = (name, of) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...seen.places.map((at) => cell(look(at), of(at))));
  const number = (at) =>
    element("th", { scope: "col", title: `segment ${at.segment}: ${at.class}` }, String(at.segment));
  const head = element("tr", {}, element("th", {}, `after step ${step}`), ...seen.places.map(number));
  return element("table", { class: "places", title: "\u25cf member  \u2715 doomed  \u25a0 has a file" }, head,
    row(seen.memory === null ? "memory, closed" : `memory, version ${seen.memory}`, (at) => sign[at.memory]),
    row(`RocksDB, version ${seen.rocksdb}`, (at) => sign[at.rocksdb] + (at.rows ? ` ${at.rows}r` : "")),
    row("directory", (at) => (at.file === null ? "\u00b7" : "\u25a0")));
}

function inspect(told, place, isTwin) {
  const moment = told.moments[place];
  if (!moment) return $("inspector").replaceChildren();
  const seen = told.seen.filter((at) => at.step <= moment.step).pop();
  const bad = seen ? seen.places.filter((at) => illegal.has(at.class)) : [];
  const whys = bad.map((at) => {
    const segment = told.segments.find((candidate) => candidate.number === at.segment);
    const stretch = segment.stretches.filter((candidate) => candidate.from <= moment.step).pop();
    return element("p", { class: "wrong" }, `segment ${at.segment} is ${at.class}: ${stretch ? stretch.why : ""}`);
  });
  const since = moment.since === null ? "" : `It had been there since step ${moment.since}. `;
  const about = moment.segments.length ? `About segment ${moment.segments.join(", ")}. ` : "";
  const more = whys.length > WHYS_MAX ? [element("p", { class: "wrong" }, `and ${whys.length - WHYS_MAX} more`)] : [];
  const title = `${isTwin ? "twin, " : ""}step ${moment.step}  ${moment.site} ${moment.what}  `;
  $("inspector").replaceChildren(
    element("div", {}, element("div", { class: "title" }, title, element("span", {}, moment.says)),
      since || about ? element("p", {}, since + about) : null, ...whys.slice(0, WHYS_MAX), ...more),
    placesTable(told, moment.step));
}
const inspectTwin = (place) => inspect(twin.run, place, true);

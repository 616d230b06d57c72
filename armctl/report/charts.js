// Draws one chart of replay.js: lines over time with a cursor. Data are those of traces.py; nothing is kept but numbers.
const charts = (() => {
  "use strict";
  const MISSING = 255, LEFT = 50, RIGHT = 8, TOP = 8, BOTTOM = 20, unpacked = new Map();

  function values({ low, unit, data, count }) {
    if (count) return Array(count).fill(low);
    if (!unpacked.has(data)) unpacked.set(data, Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
    return Array.from(unpacked.get(data), (steps) => (steps === MISSING ? NaN : low + steps * unit));
  }

  // the range that shows all charts of a kind, so that two controllers can be compared
  function range(all) {
    const parts = all.flatMap((one) => [...one.lines, ...(one.truth || [])]);
    const numbers = parts.flatMap(values).filter(Number.isFinite).sort((a, b) => a - b);
    if (!numbers.length) return [0, 1];
    const log = all[0].log, high = numbers[numbers.length - 1];
    // an error is nothing at the start, which a logarithm would show as an abyss
    const low = log ? Math.max(numbers[Math.floor(0.03 * numbers.length)], high - 5) : numbers[0];
    const room = 0.06 * (high - low) || (log ? 0.5 : 0.1 * Math.abs(high) || 1);
    return [low - room, high + room];
  }

  function steps(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 2.5, 5, 10].find((k) => k * power >= raw);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
    return found;
  }

  function ticks([low, high], log) {
    const label = (value) => `${Number(value.toPrecision(3))}`;
    if (!log) return steps(low, high, 4).map((at) => [at, label(at)]);
    const marks = high - low > 2 ? [1] : high - low > 0.8 ? [1, 3] : [1, 2, 3, 5, 7], found = [];
    for (let power = Math.floor(low); power <= high; power++) {
      for (const mark of marks) found.push([power + Math.log10(mark), label(mark * 10 ** power)]);
    }
    return found.filter(([at]) => at >= low && at <= high);
  }

  // lines: [{ values, colour, width, dash }], band: { low, high, colour }; end and now: s
  function draw(canvas, { dt, lines, band, range: span, log, end, now }) {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect(), pen = canvas.getContext("2d");
    canvas.width = Math.round(box.width * ratio); canvas.height = Math.round(box.height * ratio);
    pen.scale(ratio, ratio);
    const x = (time) => LEFT + (time / end) * (box.width - LEFT - RIGHT);
    const y = (value) => TOP + ((span[1] - value) / (span[1] - span[0])) * (box.height - TOP - BOTTOM);
    pen.font = `${0.72 * parseFloat(getComputedStyle(document.documentElement).fontSize)}px sans-serif`;
    pen.fillStyle = page.colour("#647084"); pen.strokeStyle = page.colour("#e3e7ee");
    const rule = (...ends) => { pen.beginPath(); pen.moveTo(...ends[0]); pen.lineTo(...ends[1]); pen.stroke(); };
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (const [at, label] of ticks(span, log)) {
      rule([LEFT, y(at)], [box.width - RIGHT, y(at)]); pen.fillText(label, LEFT - 6, y(at));
    }
    pen.textAlign = "center"; pen.textBaseline = "top";
    for (const at of steps(0, end, 5)) pen.fillText(`${Number(at.toPrecision(3))} s`, x(at), box.height - BOTTOM + 6);
    pen.save();
    pen.beginPath(); pen.rect(LEFT, TOP, box.width - LEFT - RIGHT, box.height - TOP - BOTTOM); pen.clip();
    if (band) {
      pen.beginPath();
      band.high.forEach((value, k) => pen.lineTo(x(k * dt), y(Math.min(value, span[1]))));
      for (let k = band.low.length - 1; k >= 0; k--) pen.lineTo(x(k * dt), y(Math.max(band.low[k], span[0])));
      pen.globalAlpha = 0.15; pen.fillStyle = page.colour(band.colour); pen.fill(); pen.globalAlpha = 1;
    }
    for (const line of lines) {
      pen.beginPath(); pen.setLineDash(line.dash ? [4, 3] : []);
      line.values.forEach((value, k) => { if (Number.isFinite(value)) pen.lineTo(x(k * (line.dt || dt)), y(value)); });
      pen.strokeStyle = page.colour(line.colour); pen.lineWidth = line.width || 1.4; pen.lineJoin = "round"; pen.stroke();
    }
    pen.setLineDash([]); pen.restore();
    pen.strokeStyle = page.colour("#1b2330"); pen.lineWidth = 1;
    rule([x(now), TOP], [x(now), box.height - BOTTOM]);
  }

  // the time at a place of a chart, s
  const time = (canvas, place, end) => end * Math.min(1, Math.max(0,
    (place - canvas.getBoundingClientRect().left - LEFT) / (canvas.getBoundingClientRect().width - LEFT - RIGHT)));

  return { values, range, draw, time };
})();

// Replays episodes of a bench: two controllers side by side, one camera, one clock. Reads #replay-data; page.js knows the
// colours, charts.js draws what stands under the arms.
(() => {
  "use strict";
  const root = document.getElementById("replay");
  const data = JSON.parse(document.getElementById("replay-data").textContent);
  const find = (name) => root.querySelector(`[data-is="${name}"]`);
  const [episode, play, slider, clock, speed] = ["episode", "play", "time", "clock", "speed"].map(find);
  const panels = [...root.querySelectorAll(".panel")].map((panel) => ({
    choice: panel.querySelector("select"), canvas: panel.querySelector("canvas"), says: panel.querySelector("p"),
  }));
  const [together, told] = [".together", ".told"].map((name) => root.querySelector(name)), drawn = [];
  const columns = [...root.querySelectorAll(".column")];
  const camera = { turn: -0.7, tilt: 0.35, near: 1 };
  const GROUND = 8; // lines of the floor to each side
  let now = 0, playing = false, last = 0;

  // positions are 16-bit multiples of the episode's unit, little-endian in base64: x, y, z of every point of every frame
  const unpacked = new Map();
  function points(text) {
    if (!unpacked.has(text)) {
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      unpacked.set(text, new DataView(bytes.buffer));
    }
    return unpacked.get(text);
  }
  const point = (view, unit, index) => [0, 2, 4].map((k) => unit * view.getInt16(6 * index + k, true));

  const current = () => data.episodes[episode.value];
  const longest = () => Math.max(...Object.values(current().runs).map((run) => run.frames));

  function project(canvas, p) {
    const { centre, size } = current().stage;
    const [x, y, z] = p.map((v, k) => v - centre[k]);
    const [c, s] = [Math.cos(camera.turn), Math.sin(camera.turn)];
    const [ct, st] = [Math.cos(camera.tilt), Math.sin(camera.tilt)];
    const across = c * x + s * y, away = -s * x + c * y;
    const up = ct * z + st * away, depth = ct * away - st * z;
    const far = 3.2 * size / camera.near;
    const scale = 0.9 * canvas.height * (far / (far + depth)) / (2.1 * size / camera.near);
    return [canvas.width / 2 + scale * across, canvas.height / 2 - scale * up, depth, scale];
  }

  function line(draw, canvas, path, colour, width) {
    draw.beginPath();
    path.forEach((p, k) => {
      const [x, y] = project(canvas, p);
      if (k) draw.lineTo(x, y); else draw.moveTo(x, y);
    });
    draw.strokeStyle = colour; draw.lineWidth = width; draw.stroke();
  }

  function ball(draw, canvas, p, radius, colour) {
    const [x, y, , scale] = project(canvas, p);
    draw.beginPath(); draw.arc(x, y, Math.max(2, radius * scale), 0, 2 * Math.PI);
    draw.fillStyle = colour; draw.fill();
  }

  function floor(draw, canvas) {
    const step = current().stage.size / 4;
    for (let k = -GROUND; k <= GROUND; k++) {
      const end = GROUND * step;
      line(draw, canvas, [[k * step, -end, 0], [k * step, end, 0]], page.colour("#e3e7ee"), 1);
      line(draw, canvas, [[-end, k * step, 0], [end, k * step, 0]], page.colour("#e3e7ee"), 1);
    }
  }

  // the faces of the scene's bodies beyond a depth or before it, the farthest first; those in front are seen through
  function solids(draw, canvas, depth, front) {
    const shown = data.solids.flatMap(({ colour, faces }) => faces.map((face) => {
      const corners = face.map((p) => project(canvas, p));
      return { colour, corners, edged: faces.length < 7, far: corners.reduce((sum, p) => sum + p[2], 0) / corners.length };
    })).filter(({ far }) => (far < depth) === front).sort((a, b) => b.far - a.far);
    for (const { colour, corners, edged } of shown) {
      draw.beginPath();
      corners.forEach(([x, y], k) => (k ? draw.lineTo(x, y) : draw.moveTo(x, y)));
      draw.closePath();
      draw.fillStyle = draw.strokeStyle = colour; draw.lineWidth = 1;
      draw.globalAlpha = front ? 0.18 : 0.5; draw.fill();
      draw.globalAlpha = front ? 0.5 : 0.8; if (edged) draw.stroke();
    }
    draw.globalAlpha = 1;
  }

  function paint({ choice, canvas, says }) {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    canvas.width = Math.round(box.width * ratio); canvas.height = Math.round(box.height * ratio);
    const draw = canvas.getContext("2d"), one = current(), run = one.runs[choice.value];
    draw.lineCap = draw.lineJoin = "round";
    draw.fillStyle = page.colour("#ffffff"); draw.fillRect(0, 0, canvas.width, canvas.height);
    floor(draw, canvas);
    const frame = Math.min(Math.floor(now / one.dt), run.frames - 1);
    const way = points(one.reference), arm = points(run.points), n = data.points;
    const body = Array.from({ length: n }, (_, k) => point(arm, one.unit, frame * n + k));
    const middle = body.reduce((sum, p) => sum + project(canvas, p)[2], 0) / n;
    solids(draw, canvas, middle, false);
    const wanted = Array.from({ length: one.samples }, (_, k) => point(way, one.unit, k));
    line(draw, canvas, wanted, page.colour("#9aa4b5"), 1.5 * ratio);
    const tips = Array.from({ length: frame + 1 }, (_, k) => point(arm, one.unit, k * n + n - 1));
    line(draw, canvas, tips, page.colour(run.colour), 2 * ratio);
    const width = 0.055 * one.stage.size;
    for (let k = 0; k + 1 < n; k++) {
      const scale = project(canvas, body[k])[3];
      line(draw, canvas, [body[k], body[k + 1]], page.colour("#c3cad5"), Math.max(3, 2 * width * scale * (1 - 0.5 * k / n)));
    }
    const inks = [page.colour("#647084"), page.colour(run.colour)];
    body.forEach((p, k) => ball(draw, canvas, p, width * (k + 1 < n ? 0.8 : 0.6), inks[k + 1 < n ? 0 : 1]));
    solids(draw, canvas, middle, true);
    const target = wanted[Math.min(Math.floor(now / one.dt), one.samples - 1)];
    const [x, y] = project(canvas, target);
    draw.beginPath(); draw.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
    draw.strokeStyle = page.colour("#1b2330"); draw.lineWidth = 1.5 * ratio; draw.stroke();
    const over = Math.floor(now / one.dt) >= run.frames && run.failure;
    says.textContent = over ? run.failure : `${run.errors[frame]} mm from the reference`;
    says.style.color = over ? page.colour("#b45309") : "";
  }

  function show() {
    slider.max = longest() - 1;
    slider.value = Math.floor(now / current().dt);
    clock.textContent = `${now.toFixed(2)} s`;
    play.textContent = playing ? "Pause" : "Play";
    panels.forEach(paint);
    drawn.forEach((redraw) => redraw());
  }

  const shown = () => panels.map(({ choice }) => current().runs[choice.value]);

  // a figure with a chart that is drawn anew at every step of the clock, and moves the clock where it is touched
  function plot(box, title, chart) {
    const [figure, caption, canvas] = ["figure", "h4", "canvas"].map((name) => document.createElement(name));
    caption.textContent = title; figure.append(caption, canvas); box.append(figure);
    const end = Math.max(1, longest() - 1) * current().dt;
    const move = (event) => {
      if (event.buttons) { now = charts.time(canvas, event.clientX, end); playing = false; show(); }
    };
    for (const kind of ["pointerdown", "pointermove"]) canvas.addEventListener(kind, move);
    drawn.push(() => charts.draw(canvas, { ...chart, end, now }));
  }

  const named = (one) => (one.unit ? `${one.title}, ${one.unit}` : one.title);
  const alike = (runs, one) => runs.flatMap((run) => run.charts).filter((other) => named(other) === named(one));

  function heading(box, text) {
    const made = document.createElement("h3");
    made.textContent = text; box.append(made);
  }

  // one line for a joint in the joint's colour, a single one in the controller's
  function lines(one, run) {
    const several = one.lines.length > 1;
    const line = (dash) => (entry, k) => ({
      values: charts.values(entry), dash,
      colour: several ? data.series[k % data.series.length] : dash ? "#1b2330" : run.colour,
    });
    return [...one.lines.map(line(false)), ...(one.truth || []).map(line(true))];
  }

  function plots() {
    drawn.length = 0; [together, told, ...columns].forEach((box) => box.replaceChildren());
    const runs = shown(), all = new Set(runs);
    for (const first of runs[0].charts.filter((one) => one.log)) {
      const pair = [...all].reverse().map((run) => ({ run, one: alike([run], first)[0] }));
      const both = pair.map(({ run, one }) => ({ values: charts.values(one.lines[0]), colour: run.colour, dt: one.dt }));
      plot(together, named(first), { lines: both, range: charts.range(pair.map(({ one }) => one)), log: true });
    }
    const single = (box, run, one) => {
      const ends = one.band && one.band.map(charts.values);
      const band = ends && { low: ends[0], high: ends[1], colour: run.colour };
      plot(box, named(one), { lines: lines(one, run), band, range: charts.range(alike(runs, one)), dt: one.dt });
    };
    runs.forEach((run, k) => {
      heading(columns[k], run.label);
      run.charts.filter((one) => !one.log && !one.told).forEach((one) => single(columns[k], run, one));
    });
    for (const run of all) {
      const found = run.charts.filter((one) => one.told);
      if (found.length) heading(told, `What ${run.label} takes the plant for`);
      found.forEach((one) => single(told, run, one));
    }
  }

  function choose() {
    const runs = Object.keys(current().runs);
    panels.forEach(({ choice }, k) => {
      const before = choice.value;
      choice.replaceChildren(...runs.map((name) => new Option(current().runs[name].label, name)));
      choice.value = runs.includes(before) ? before : runs[Math.min(k, runs.length - 1)];
    });
    now = 0; plots(); show();
  }

  function tick(time) {
    if (!playing) return;
    now += Math.min(0.1, (time - last) / 1000) * Number(speed.value); last = time;
    if (now >= (longest() - 1) * current().dt) now = 0;
    show(); requestAnimationFrame(tick);
  }

  data.episodes.forEach((one, k) => episode.append(new Option(one.title, k)));
  episode.addEventListener("change", choose);
  panels.forEach(({ choice }) => choice.addEventListener("change", () => { plots(); show(); }));
  slider.addEventListener("input", () => { now = slider.value * current().dt; playing = false; show(); });
  play.addEventListener("click", () => {
    playing = !playing; last = performance.now(); show();
    if (playing) requestAnimationFrame(tick);
  });
  for (const { canvas } of panels) {
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      camera.turn -= 0.01 * event.movementX;
      camera.tilt = Math.max(-0.2, Math.min(1.5, camera.tilt + 0.01 * event.movementY));
      show();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      camera.near = Math.max(0.4, Math.min(6, camera.near * Math.exp(-0.001 * event.deltaY)));
      show();
    }, { passive: false });
  }
  for (const event of ["resize", "themechange"]) window.addEventListener(event, show);
  choose();
})();

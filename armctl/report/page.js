// What every page can do: be light or dark, and hand out its tables as LaTeX and CSV. Nothing leaves the file.
const page = (() => {
  "use strict";
  const root = document.documentElement, THEME = "armctl-theme", NAMES = { light: "Dark", dark: "Light" };
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");

  // a browser may forbid a file to keep anything
  const kept = () => { try { return localStorage.getItem(THEME); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem(THEME, theme); } catch { /* then it is light or dark anew */ } };
  if (kept() in NAMES) root.dataset.theme = kept();

  const theme = () => root.dataset.theme || (wanted.matches ? "dark" : "light");
  // a colour of plot_style as it is now
  const colour = (hex) =>
    getComputedStyle(root).getPropertyValue(`--c${hex.slice(1).toLowerCase()}`).trim() || hex;

  function button(text, act) {
    const made = document.createElement("button");
    made.type = "button"; made.textContent = text; made.addEventListener("click", () => act(made));
    return made;
  }

  function switcher() {
    const made = button(NAMES[theme()], () => {
      root.dataset.theme = theme() === "dark" ? "light" : "dark"; keep(root.dataset.theme); changed();
    });
    const changed = () => {
      made.textContent = NAMES[theme()]; made.title = `${NAMES[theme()]} page`;
      window.dispatchEvent(new Event("themechange"));
    };
    made.className = "theme"; made.title = `${NAMES[theme()]} page`; wanted.addEventListener("change", changed);
    return made;
  }

  function text(cell) {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll("br, small, b").forEach((part) => part.before(" "));
    return copy.textContent.replace(/\s+/g, " ").trim();
  }
  const cells = (table) => [...table.rows].map((row) => [...row.cells].map(text));

  // "1,234 [1,000, 2,000] more" -> its number, the ends of its interval and the rest
  const PARTS = /^(\S+(?: %)?) \[(\S+), (\S+)\] ?(.*)$/;
  const plain = (cell) => (cell === "–" ? "" : cell.replace(/(\d),(?=\d{3}(?!\d))/g, "$1").replace(/^([-\d.]+) %$/, "$1"));

  // a column as one, three or four
  function columns(column) {
    const [name, ...body] = column, found = body.map((cell) => cell.match(PARTS));
    const unit = body.some((cell) => /^[-\d.]+ %/.test(cell)) && !name.includes("%") ? " %" : "";
    if (!found.some(Boolean)) return [[name + unit, ...body.map(plain)]];
    const part = (place) => found.map((match, k) => plain(match ? match[place] : place === 1 ? body[k] : ""));
    const all = [[name + unit, ...part(1)], [`${name} low`, ...part(2)], [`${name} high`, ...part(3)]];
    return part(4).some(Boolean) ? [...all, [`${name} note`, ...part(4)]] : all;
  }
  const turned = (rows) => rows[0].map((_, k) => rows.map((row) => row[k] ?? ""));

  function csv(table) {
    const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    const rows = turned(turned(cells(table)).flatMap(columns));
    return rows.map((row) => `${row.map(quoted).join(",")}\n`).join("");
  }

  const TEX = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "&": "\\&", "%": "\\%", "$": "\\$",
    "#": "\\#", "_": "\\_", "{": "\\{", "}": "\\}", "×": "$\\times$", "°": "$^\\circ$", "²": "$^2$", "³": "$^3$",
    "µ": "$\\mu$", "†": "$^\\dagger$", "·": "$\\cdot$", "✗": "$\\times$", "⚑": "flagged", "–": "--", "−": "$-$",
  };
  const escaped = (cell) => cell.replace(/./gu, (sign) => TEX[sign] ?? sign)
    .replace(/\[[^\]]*\]/g, (interval) => `{\\scriptsize ${interval}}`);

  function latex(table) {
    const [head, ...body] = cells(table);
    const kinds = head.map((_, k) => (body.every((row) => /^[-–\d]/.test(row[k] ?? "")) ? "r" : "l")).join("");
    const line = (row) => `${row.map(escaped).join(" & ")} \\\\`;
    return ["% \\usepackage{booktabs}", `\\begin{tabular}{${kinds}}`, "\\toprule", line(head), "\\midrule",
      ...body.map(line), "\\bottomrule", "\\end{tabular}", ""].join("\n");
  }

  async function copied(said) {
    try { await navigator.clipboard.writeText(said); return true; } catch { /* a file may not be allowed to */ }
    const area = document.createElement("textarea");
    area.value = said; area.style.position = "fixed"; area.style.opacity = "0";
    document.body.append(area); area.select();
    try { return document.execCommand("copy"); } finally { area.remove(); }
  }

  function copier(name, write, table) {
    return button(name, async (made) => {
      made.textContent = (await copied(write(table))) ? "copied" : "not allowed here";
      setTimeout(() => { made.textContent = name; }, 1500);
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.body.prepend(switcher());
    for (const box of document.querySelectorAll(".scroll")) {
      const bar = document.createElement("div"), table = box.querySelector("table");
      bar.className = "copy"; bar.append(copier("copy LaTeX", latex, table), copier("copy CSV", csv, table));
      box.before(bar);
    }
  });
  return { colour, csv, latex };
})();

"""The report's page: style sheet and frame. Nothing is loaded from outside the file."""

import re
from html import escape
from importlib.resources import files

from armctl.plot_style import DARK

LIGHT_TONES = (
    "--ink:#1b2330;--muted:#647084;--line:#e3e7ee;--rule:#cfd6e0;--paper:#fff;--soft:#f6f8fb;--accent:#0072B2;"
    "--main:#eef6fb;--frame:#c5e0ef;--row:#f3f9fd;--warn:#b45309;--alarm:#fffaf2;--dim:1"
)
DARK_TONES = (
    "color-scheme:dark;--ink:#e6eaf1;--muted:#9ba6b7;--line:#2b3441;--rule:#4b5666;--paper:#11161d;--soft:#1a212b;"
    "--accent:#5bb4ec;--main:#13283a;--frame:#24506f;--row:#152331;--warn:#f0a04b;--alarm:#2b2113;--dim:.86;"
    + ";".join(f"--c{light[1:].lower()}:{dark}" for light, dark in DARK.items())
)
CSS = f"""
:root{{{LIGHT_TONES}}}
@media screen{{:root[data-theme=dark]{{{DARK_TONES}}}}}
@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{DARK_TONES}}}}}
"""
CSS += """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
 font:1rem/1.6 Inter,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
 font-feature-settings:"tnum" 1}
main{max-width:70rem;margin:0 auto;padding:56px 28px 96px}
h1{font-size:2.125rem;line-height:1.15;letter-spacing:-.022em;margin:0 0 10px;font-weight:700}
h2{font-size:1.3125rem;letter-spacing:-.012em;margin:72px 0 6px;font-weight:650}
h3{font-size:.9375rem;margin:28px 0 6px;font-weight:650}
p{margin:0 0 14px;max-width:76ch}
.lead{font-size:1.0625rem;color:var(--muted);max-width:80ch}
.note,figcaption{color:var(--muted);font-size:.84375rem;line-height:1.5}
figcaption{margin-top:8px;max-width:80ch}
.tags{display:flex;flex-wrap:wrap;gap:8px;margin:18px 0 0}
.tags span{background:var(--soft);border:1px solid var(--line);border-radius:999px;padding:2px 12px;
 font-size:.8125rem;color:var(--muted)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px;margin:34px 0 8px}
.card{border:1px solid var(--line);border-radius:12px;padding:18px 20px 16px}
.card.main{background:var(--main);border-color:var(--frame)}
.card b{display:block;font-size:2rem;line-height:1.1;letter-spacing:-.02em;font-weight:680}
.card b small{font-size:1rem;font-weight:500;color:var(--muted);letter-spacing:0}
.card.main b{color:var(--accent)}
.card span{display:block;font-size:.84375rem;line-height:1.45;color:var(--muted);margin-top:8px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:28px;align-items:start}
.grid.small{grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:20px}
figure{margin:18px 0 0}
figure svg,figure img{width:100%;height:auto;display:block}
figure h3{margin:0 0 4px}
.movie img,.heat td:not(:first-child),.shades span{filter:brightness(var(--dim))}
.movie img{border:1px solid var(--line);border-radius:12px}
#replay .bar{display:flex;flex-wrap:wrap;gap:10px;align-items:center;margin:14px 0}
#replay select,#replay button{font:inherit;font-size:.875rem;padding:4px 10px;border:1px solid var(--line);
 border-radius:8px;background:var(--soft);color:var(--ink);max-width:100%}
#replay input{flex:1;min-width:140px;accent-color:var(--accent)}
#replay output{font-size:.875rem;min-width:56px;text-align:right}
#replay canvas{display:block;width:100%}
#replay .panel canvas{height:400px;border:1px solid var(--line);border-radius:12px;margin:8px 0;
 touch-action:none;cursor:grab}
#replay figure{margin:10px 0 0}
#replay figure canvas{height:150px;touch-action:pan-y;cursor:crosshair}
#replay .together,#replay .told{margin:18px 0 8px;gap:10px 28px}
#replay .told h3{grid-column:1/-1;margin:18px 0 -6px}
#replay .together canvas{height:200px}
.joints i{display:inline-block;width:14px;height:4px;border-radius:2px;margin:0 4px 0 8px;vertical-align:middle}
h4{font-size:.8125rem;font-weight:600;margin:0 0 2px;color:var(--muted)}
.theme,.copy button{font:inherit;font-size:.75rem;line-height:1.4;color:var(--muted);background:none;
 border:1px solid var(--line);border-radius:8px;padding:3px 10px;cursor:pointer}
.theme:hover,.copy button:hover{color:var(--ink);border-color:var(--muted)}
.theme{position:absolute;top:16px;right:16px;font-size:.8125rem}
.copy{display:flex;justify-content:flex-end;gap:6px;margin:14px 0 -8px}
.scroll{overflow-x:auto;margin:16px 0 8px}
table{border-collapse:collapse;width:100%;font-size:.875rem;white-space:nowrap}
th{font-weight:600;text-align:right;color:var(--muted);font-size:.78125rem;border-bottom:1.5px solid var(--rule);
 padding:7px 9px;vertical-align:bottom;line-height:1.3}
td{text-align:right;padding:8px 9px;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;padding-left:0}
td small{color:var(--muted);font-size:.75rem;margin-left:5px}
td.wrap,th.wrap{text-align:left;white-space:normal;min-width:210px}
tr.subject td{background:var(--row);font-weight:600}
tr.subject td small{font-weight:400}
.heat{table-layout:fixed;min-width:max-content}
.heat th,.heat td{text-align:center}
.heat th{white-space:normal;min-width:120px}
.heat th:first-child,.heat td:first-child{text-align:left;position:sticky;left:0;background:var(--paper);z-index:1;
 padding-left:0;width:104px;min-width:104px}
.heat th small{margin-left:5px;font-weight:400}
.heat td{border:1px solid var(--paper);padding:5px 8px;line-height:1.3}
.heat td span{font-size:.90625rem}
.heat td.top span,.heat td.top b:first-child{font-weight:700}
.heat td.top{box-shadow:inset 0 0 0 2px var(--accent)}
.heat td:not(:first-child) small{display:block;color:inherit;font-size:.6875rem;margin:0}
.shades{display:flex;align-items:center;gap:2px;font-size:.75rem;color:var(--muted);margin:14px 0 0}
.shades span{padding:2px 12px;border:1px solid var(--line)}
.shades span:last-child{margin-right:8px}
.best{color:var(--accent)}
.dot{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:9px}
.legend{display:flex;flex-wrap:wrap;gap:6px 20px;margin:14px 0 0;font-size:.84375rem;color:var(--muted)}
.legend i{display:inline-block;width:20px;height:4px;border-radius:2px;margin-right:8px;vertical-align:middle}
ul{padding-left:20px;max-width:80ch}
li{margin:5px 0}
.warn{border-left:3px solid var(--warn);background:var(--alarm);padding:10px 16px;border-radius:0 8px 8px 0;
 font-size:.90625rem;max-width:80ch;margin:14px 0}
details{border-top:1px solid var(--line);padding:12px 0}
details:last-of-type{border-bottom:1px solid var(--line)}
summary{cursor:pointer;font-weight:600;font-size:.9375rem}
pre{background:var(--soft);border:1px solid var(--line);border-radius:10px;padding:14px 16px;overflow-x:auto;
 font:.78rem/1.55 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
dl{display:grid;grid-template-columns:minmax(150px,auto) 1fr;gap:6px 22px;font-size:.875rem;margin:12px 0}
dt{color:var(--muted)}dd{margin:0}
@media(min-width:1700px){html{font-size:20px}}
@media(max-width:640px){main{padding:56px 16px 64px}h1{font-size:1.6875rem}h2{margin-top:52px}
 dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}
@media print{.theme,.copy{display:none}main{padding:0}h2{break-after:avoid}figure,table,.card{break-inside:avoid}}
"""


def page(title: str, body: str) -> str:
    """The whole HTML document."""
    script = (files("armctl.report") / "page.js").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style><script>{script}</script></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def themed(text: str) -> str:
    """HTML with every colour that is another one on a dark page (`plot_style.DARK`) as a variable of the page."""
    known = "|".join(re.escape(colour) for colour in DARK)
    return re.sub(known, lambda found: f"var(--c{found[0][1:].lower()},{found[0]})", text, flags=re.IGNORECASE)


def section(title: str, body: str, note: str = "") -> str:
    """A section with heading, an optional explanation and its body; nothing if the body is empty."""
    return f"<h2>{escape(title)}</h2>\n{f'<p class=note>{note}</p>' if note else ''}{body}\n" if body else ""


def figure(picture: str, caption: str, title: str = "", kind: str = "") -> str:
    """A figure with its caption; `picture` is SVG or an image element."""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<figure class="{kind}">{heading}{themed(picture)}<figcaption>{caption}</figcaption></figure>'


def table(head: list[str], rows: list[list[str]], subject: int | None = None, wrap: tuple[int, ...] = ()) -> str:
    """A table; the cells are HTML, the row `subject` is marked and the columns `wrap` may break lines."""

    def mark(column: int) -> str:
        return ' class="wrap"' if column in wrap else ""

    top = "".join(f"<th{mark(column)}>{name}</th>" for column, name in enumerate(head))
    body = "".join(
        f"<tr{' class=subject' if index == subject else ''}>"
        + "".join(f"<td{mark(column)}>{cell}</td>" for column, cell in enumerate(row))
        + "</tr>\n"
        for index, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits, never in scientific notation; a dash where there is none."""
    if value is None or value != value:
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1]))
    return f"{value:,.{decimals}f}"


def with_interval(block: dict[str, float], key: str = "iqm") -> str:
    """A value with its interval in small type."""
    return f"{number(block[key])}<small>[{number(block['low'])}, {number(block['high'])}]</small>"

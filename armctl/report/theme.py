"""The report's page: style sheet and frame. Nothing is loaded from outside the file."""

from html import escape

CSS = """
:root{--ink:#1b2330;--muted:#647084;--line:#e3e7ee;--soft:#f6f8fb;--accent:#0072B2;--warn:#b45309}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:#fff;color:var(--ink);font:16px/1.6 Inter,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
 font-feature-settings:"tnum" 1}
main{max-width:1120px;margin:0 auto;padding:56px 28px 96px}
h1{font-size:34px;line-height:1.15;letter-spacing:-.022em;margin:0 0 10px;font-weight:700}
h2{font-size:21px;letter-spacing:-.012em;margin:72px 0 6px;font-weight:650}
h3{font-size:15px;margin:28px 0 6px;font-weight:650}
p{margin:0 0 14px;max-width:76ch}
.lead{font-size:17px;color:var(--muted);max-width:80ch}
.note,figcaption{color:var(--muted);font-size:13.5px;line-height:1.5}
figcaption{margin-top:8px;max-width:80ch}
.tags{display:flex;flex-wrap:wrap;gap:8px;margin:18px 0 0}
.tags span{background:var(--soft);border:1px solid var(--line);border-radius:999px;padding:2px 12px;
 font-size:13px;color:var(--muted)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px;margin:34px 0 8px}
.card{border:1px solid var(--line);border-radius:12px;padding:18px 20px 16px}
.card.main{background:#eef6fb;border-color:#c5e0ef}
.card b{display:block;font-size:32px;line-height:1.1;letter-spacing:-.02em;font-weight:680}
.card b small{font-size:16px;font-weight:500;color:var(--muted);letter-spacing:0}
.card.main b{color:var(--accent)}
.card span{display:block;font-size:13.5px;line-height:1.45;color:var(--muted);margin-top:8px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:28px;align-items:start}
.grid.small{grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:20px}
figure{margin:18px 0 0}
figure svg,figure img{width:100%;height:auto;display:block}
figure h3{margin:0 0 4px}
.movie img{border:1px solid var(--line);border-radius:12px}
#replay .bar{display:flex;flex-wrap:wrap;gap:10px;align-items:center;margin:14px 0}
#replay select,#replay button{font:inherit;font-size:14px;padding:4px 10px;border:1px solid var(--line);
 border-radius:8px;background:var(--soft);color:var(--ink);max-width:100%}
#replay input{flex:1;min-width:140px;accent-color:var(--accent)}
#replay output{font-size:14px;min-width:56px;text-align:right}
#replay canvas{display:block;width:100%;height:400px;border:1px solid var(--line);border-radius:12px;margin:8px 0;
 touch-action:none;cursor:grab}
.scroll{overflow-x:auto;margin:16px 0 8px}
table{border-collapse:collapse;width:100%;font-size:14px;white-space:nowrap}
th{font-weight:600;text-align:right;color:var(--muted);font-size:12.5px;border-bottom:1.5px solid #cfd6e0;
 padding:7px 12px;vertical-align:bottom;line-height:1.3}
td{text-align:right;padding:8px 12px;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;padding-left:0}
td small{color:var(--muted);font-size:12px;margin-left:5px}
td.wrap,th.wrap{text-align:left;white-space:normal;min-width:210px}
tr.subject td{background:#f3f9fd;font-weight:600}
tr.subject td small{font-weight:400}
.heat{table-layout:fixed;min-width:max-content}
.heat th,.heat td{text-align:center}
.heat th{white-space:normal;min-width:120px}
.heat th:first-child,.heat td:first-child{text-align:left;position:sticky;left:0;background:#fff;z-index:1;
 padding-left:0;width:104px;min-width:104px}
.heat th small{margin-left:5px;font-weight:400}
.heat td{border:1px solid #fff;padding:5px 8px;line-height:1.3}
.heat td span{font-size:14.5px}
.heat td.top span,.heat td.top b:first-child{font-weight:700}
.heat td.top{box-shadow:inset 0 0 0 2px var(--accent)}
.heat td:not(:first-child) small{display:block;color:inherit;font-size:11px;margin:0}
.shades{display:flex;align-items:center;gap:2px;font-size:12px;color:var(--muted);margin:14px 0 0}
.shades span{padding:2px 12px;border:1px solid var(--line)}
.shades span:last-child{margin-right:8px}
.best{color:var(--accent)}
.dot{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:9px}
.legend{display:flex;flex-wrap:wrap;gap:6px 20px;margin:14px 0 0;font-size:13.5px;color:var(--muted)}
.legend i{display:inline-block;width:20px;height:4px;border-radius:2px;margin-right:8px;vertical-align:middle}
ul{padding-left:20px;max-width:80ch}
li{margin:5px 0}
.warn{border-left:3px solid var(--warn);background:#fffaf2;padding:10px 16px;border-radius:0 8px 8px 0;
 font-size:14.5px;max-width:80ch;margin:14px 0}
details{border-top:1px solid var(--line);padding:12px 0}
details:last-of-type{border-bottom:1px solid var(--line)}
summary{cursor:pointer;font-weight:600;font-size:15px}
pre{background:var(--soft);border:1px solid var(--line);border-radius:10px;padding:14px 16px;overflow-x:auto;
 font:12.5px/1.55 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
dl{display:grid;grid-template-columns:minmax(150px,auto) 1fr;gap:6px 22px;font-size:14px;margin:12px 0}
dt{color:var(--muted)}dd{margin:0}
@media(max-width:640px){main{padding:32px 16px 64px}h1{font-size:27px}h2{margin-top:52px}
 dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}
@media print{main{padding:0}h2{break-after:avoid}figure,table,.card{break-inside:avoid}}
"""


def page(title: str, body: str) -> str:
    """The whole HTML document."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def section(title: str, body: str, note: str = "") -> str:
    """A section with heading, an optional explanation and its body; nothing if the body is empty."""
    return f"<h2>{escape(title)}</h2>\n{f'<p class=note>{note}</p>' if note else ''}{body}\n" if body else ""


def figure(picture: str, caption: str, title: str = "", kind: str = "") -> str:
    """A figure with its caption; `picture` is SVG or an image element."""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<figure class="{kind}">{heading}{picture}<figcaption>{caption}</figcaption></figure>'


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

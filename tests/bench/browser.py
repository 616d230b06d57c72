"""A page in headless Chromium."""

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FOUND = "const found = (value) => { document.title = JSON.stringify(value); };"


def opened(page, script, before=""):
    """What a script hands to `found` in a loaded page, whose console must stay empty.

    before: a script that runs first of all.
    """
    text = page.read_text().replace("<head>", f"<head><script>{FOUND}{before}</script>")
    script = f'<script>addEventListener("load", () => {{ {script} }});</script>'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        watched = Path(folder) / "page.html"
        watched.write_text(text.replace("</body>", f"{script}</body>"))
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/chromium",
            "--window-size=1280,900", "--virtual-time-budget=4000", "--enable-logging=stderr", "--dump-dom",
        ]  # fmt: skip
        ran = subprocess.run([*command, watched.as_uri()], capture_output=True, text=True, timeout=120)
    assert ":CONSOLE" not in ran.stderr, ran.stderr
    title = re.search(r"<title>(.*?)</title>", ran.stdout, flags=re.DOTALL)[1]
    return json.loads(html.unescape(title))

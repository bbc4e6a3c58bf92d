"""The page in a real browser: silent console, whole pictures, no sideways scroll."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bayespin.report.page import render

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
WIDTHS = (390, 1280)
THEMES = ("light", "dark")

pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None,
    reason="needs Chromium and its driver (Debian: apt-get install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(browser, path: Path, width: int, theme: str) -> None:
    wish = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, module_results: dict) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(module_results), encoding="utf-8")
    return path


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_console_is_silent_pictures_whole_and_nothing_scrolls_sideways(browser, page, width, theme):
    show(browser, page, width, theme)
    for part in browser.find_elements("tag name", "details"):
        browser.execute_script("arguments[0].open = true", part)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    broken = "return [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length"
    assert browser.execute_script(broken) == 0
    assert browser.execute_script("return document.images.length") == 6
    flat = (
        "return [...document.querySelectorAll('svg')]"
        ".filter(s => s.getBoundingClientRect().height < 8).length"
    )
    assert browser.execute_script(flat) == 0
    spilled = (  # text of a drawing beyond the card that holds it
        "return [...document.querySelectorAll('.panel svg text, .card svg text')].filter(t => {"
        " const a = t.getBoundingClientRect(),"
        " b = t.closest('.panel, .card').getBoundingClientRect();"
        " return a.left < b.left || a.right > b.right || a.bottom > b.bottom; }).length"
    )
    assert browser.execute_script(spilled) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_of_one_axis_do_not_overlap(browser, page, width):
    show(browser, page, width, "light")
    overlapping = (
        "let n = 0; for (const s of document.querySelectorAll('.panel svg, .card svg')) {"
        " const t = [...s.querySelectorAll('text')].map(e => e.getBoundingClientRect());"
        " for (let i = 0; i < t.length; i++) for (let j = i + 1; j < t.length; j++) {"
        "  const w = Math.min(t[i].right, t[j].right) - Math.max(t[i].left, t[j].left);"
        "  const h = Math.min(t[i].bottom, t[j].bottom) - Math.max(t[i].top, t[j].top);"
        "  if (w > 1 && h > 4) n++; } } return n"
    )
    assert browser.execute_script(overlapping) == 0


def test_figures_follow_the_theme_and_the_button_overrules_the_system(browser, page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    ink = (
        "return getComputedStyle(document.querySelector('#figure-ood .panel svg text')).fill"
        " + getComputedStyle(document.querySelector('#figure-ood .panel svg path[style]')).stroke"
    )
    seen = {}
    for theme in THEMES:
        show(browser, page, 1280, theme)
        seen[theme] = (browser.execute_script(ground), browser.execute_script(ink))
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1]
    button = browser.find_element("id", "theme")
    button.click()
    assert button.text == "Theme: light"
    assert browser.execute_script(ground) == seen["light"][0]
    browser.get(page.as_uri())  # the choice is kept
    assert browser.execute_script(ground) == seen["light"][0]
    for _ in range(2):
        browser.find_element("id", "theme").click()
    assert browser.execute_script(ground) == seen["dark"][0]


def test_a_script_that_slipped_in_would_not_run(browser, page, tmp_path):
    planted = "<script>document.title = 'taken'</script></body>"
    path = tmp_path / "report.html"
    path.write_text(page.read_text(encoding="utf-8").replace("</body>", planted), encoding="utf-8")
    show(browser, path, 1280, "light")
    assert browser.title != "taken"
    assert "Content Security Policy" in str(browser.get_log("browser"))


def test_the_checks_see_a_page_that_is_too_wide(browser, page, tmp_path):
    path = tmp_path / "report.html"
    wide = page.read_text(encoding="utf-8").replace(
        "</main>", "<div style='width:600px'>x</div></main>"
    )
    path.write_text(wide, encoding="utf-8")
    show(browser, path, 390, "light")
    assert browser.execute_script("return document.documentElement.scrollWidth") > 390

"""`python -m tests.docs.quote` writes figures of results/ into their markers in README and docs."""

from pathlib import Path

from tests.test_house import RESULT, ROOT, quoted


def filled(page: str, folder: Path) -> str:
    """Return the page with every marked figure as `folder` has it."""

    def write(match):
        return f"<!-- result {match['spec']} -->{quoted(match['spec'], folder)}<!-- /result -->"

    return RESULT.sub(write, page)


if __name__ == "__main__":
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if RESULT.search(text):
            path.write_text(filled(text, ROOT / "results"), encoding="utf-8")

"""The command line in this process, and what is asked of every mistake."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bayespin import cli

Command = Callable[..., tuple[int, str, str]]


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command; it returns exit code, output and error output."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bayespin", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


def assert_one_sentence(code: int, output: str, error: str, *words: str) -> None:
    assert (code, output) == (2, ""), error
    assert error.startswith("bayespin: ")
    assert error.endswith(".\n")
    assert error.count("\n") == 1, error
    for word in words:
        assert word in error, error


def assert_report_is_drawn_again(command: Command, folder: Path, page: str) -> None:
    (folder / "report.html").unlink()
    code, output, error = command("report", folder)
    assert (code, error) == (0, "")
    assert "report.html" in output
    assert (folder / "report.html").read_text(encoding="utf-8") == page

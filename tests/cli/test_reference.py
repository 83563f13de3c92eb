from __future__ import annotations

from pathlib import Path

from automl_cli.reference import render_reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"


def test_reference_page_is_up_to_date() -> None:
    hint = "write it anew: python -m automl_cli.reference > docs/reference/commands.md"
    assert PAGE.read_text(encoding="utf-8") == render_reference(), hint


def test_reference_holds_every_command_and_option() -> None:
    text = render_reference()
    for word in ("## automl search", "## automl init-plugin", "`--time-budget TIME`", "`--set KEY=VALUE`", "| 130 |"):
        assert word in text

"""Every code that `check` can say is explained, and nothing else is."""

import re

import pytest
from written_codes import written_codes

from builder.__main__ import main
from builder.codes import CODES, LINT_CODES, PROBLEM_CODES
from builder.lints import LINTS


def test_every_code_that_the_sources_write_is_known_and_every_known_one_is_written() -> None:
    assert written_codes() == set(PROBLEM_CODES)
    assert set(LINTS) == set(LINT_CODES)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", "--explain", code])
    title, _, text = capsys.readouterr().out.partition("\n")
    assert ended.value.code == 0
    assert title.split()[:2] == ["##", code]
    assert len(text.split()) >= 4


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_a_slug_and_its_meaning_a_phrase(code: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    meaning = {**LINT_CODES, **PROBLEM_CODES}[code]
    assert meaning[-1] != "."
    assert "\n" not in meaning

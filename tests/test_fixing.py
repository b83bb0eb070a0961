"""`check --fix`: what is beyond doubt is rewritten at its characters, comments and all else untouched."""

from pathlib import Path

import pytest

from builder import SpecError, load_spec, make_plan
from builder.__main__ import main
from builder.exits import OutputError
from builder.fixing import fixed
from builder.problems import Problem, certain

BROKEN = """\
# a comment stays
variables: {width: 16}   # and this one
input: [1, 28, 28]

blocks:
  ConvNorm:
    parameters: {out_channels, stride: 1}
    layers: [conv2d: {out_channels: $out_channels, kernel_size: 3, stride: $stride}, batch_norm2d]

layers:
  - conv2d: {out_chanels: $widht, kernel_size: "3", padding_mode: zeroes}   # four mistakes
  - ConvNrom: {out_channels: 8}
  - ConvNorm: {out_channels: 8, strid: 2}
  - batchnorm2d
  - flatten
"""
MENDED = (
    BROKEN.replace("out_chanels", "out_channels")
    .replace("$widht", "$width")
    .replace('"3"', "3")
    .replace("zeroes", "zeros")
    .replace("ConvNrom", "ConvNorm")
    .replace("strid:", "stride:")
    .replace("batchnorm2d", "batch_norm2d")
)


def problems_of(path: Path) -> tuple[Problem, ...]:
    try:
        return make_plan(load_spec(path)).problems
    except SpecError as error:
        return error.problems


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    return path


def test_every_mistake_beyond_doubt_is_rewritten_and_nothing_else(spec: Path) -> None:
    diff = fixed(spec, problems_of)
    assert spec.read_text(encoding="utf-8") == MENDED
    assert problems_of(spec) == ()
    assert [line for line in diff if line.startswith("-  ")] == [
        '-  - conv2d: {out_chanels: $widht, kernel_size: "3", padding_mode: zeroes}   # four mistakes',
        "-  - ConvNrom: {out_channels: 8}",
        "-  - ConvNorm: {out_channels: 8, strid: 2}",
        "-  - batchnorm2d",
    ]


def test_a_spec_without_mistakes_stays_as_it_is(spec: Path) -> None:
    spec.write_text(MENDED, encoding="utf-8")
    before = spec.stat()
    assert fixed(spec, problems_of) == []
    assert spec.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_a_byte_order_mark_stay(spec: Path, ending: str, mark: bytes) -> None:
    spec.write_bytes(mark + BROKEN.replace("\n", ending).encode())
    fixed(spec, problems_of)
    assert spec.read_bytes() == mark + MENDED.replace("\n", ending).encode()


def test_the_permissions_of_the_file_stay_and_nothing_is_left_beside_it(spec: Path) -> None:
    spec.chmod(0o640)
    fixed(spec, problems_of)
    assert spec.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in spec.parent.iterdir()] == ["net.yaml"]


def test_a_linked_file_is_rewritten_where_it_lies(spec: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(spec)
    fixed(link, problems_of)
    assert link.is_symlink()
    assert spec.read_text(encoding="utf-8") == MENDED


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("out_chanels", ["out_channels", "kernel_size"], "out_channels"),
        ("relux", ["relu", "relu6", "conv2d"], ""),  # two may be meant
        ("max_pool3d", ["max_pool1d", "max_pool2d"], ""),
        ("abc", ["relu"], ""),
        ("batchnorm2d", ["batch_norm1d", "batch_norm2d"], "batch_norm2d"),
        ("BatchNorm2d", ["batch_norm1d", "batch_norm2d"], "batch_norm2d"),
    ],
)
def test_a_misspelling_is_certain_when_only_one_word_is_close(word: str, known: list[str], meant: str) -> None:
    assert certain(word, known) == meant


def test_keys_of_other_frameworks_are_rewritten_and_their_kinds_only_offered(spec: Path) -> None:
    layers = "layers:\n  - conv2d: {filters: 8, kernel: 3, pad: same}  # keys\n  - swish\n"
    spec.write_text(f"input_shape: [1, 28, 28]\n{layers}", encoding="utf-8")
    fixed(spec, problems_of)
    layers = layers.replace("filters", "out_channels").replace("kernel:", "kernel_size:").replace("pad:", "padding:")
    assert spec.read_text(encoding="utf-8") == f"input: [1, 28, 28]\n{layers}"
    assert [problem.sentence for problem in problems_of(spec)] == ["unknown kind `swish`; did you mean `silu`?"]


def test_what_may_mean_two_things_stays(spec: Path) -> None:
    text = "input: [1, 8, 8]\nlayers: [relux, max_pool3d: {kernel_size: 2}]\n"
    spec.write_text(text, encoding="utf-8")
    assert fixed(spec, problems_of) == []
    assert spec.read_text(encoding="utf-8") == text


def test_a_mistake_in_the_base_is_not_written_into_the_member(tmp_path: Path) -> None:
    base, member = tmp_path / "_base.yaml", tmp_path / "member.yaml"
    base.write_text("input: [1, 8, 8]\nlayers: [conv2d: {out_chanels: 4, kernel_size: 3}]\n", encoding="utf-8")
    text = "extends: _base.yaml\nname: member_of_a_base\n"
    member.write_text(text, encoding="utf-8")
    assert fixed(member, problems_of) == []
    assert member.read_text(encoding="utf-8") == text


def test_a_file_that_cannot_be_written_stays_as_it_was(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="no space left on device"):
        fixed(spec, problems_of)
    assert spec.read_text(encoding="utf-8") == BROKEN
    assert [path.name for path in spec.parent.iterdir()] == ["net.yaml"]


def test_the_command_shows_the_difference_and_then_what_remains(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(BROKEN + "  - linear: {out_features: ten}\n", encoding="utf-8")
    assert main(["check", "--fix", str(spec)]) == 1
    shown = capsys.readouterr().out
    assert shown.index("+++") < shown.index("error[wrong-type]: `out_features` is the text `ten`")
    assert "1 error, 0 warnings in 1 spec" in shown


def test_beside_a_document_the_difference_goes_to_standard_error(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--fix", "--format", "json", str(spec)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith('{\n  "format": 1')
    assert printed.err.startswith("--- ")

from __future__ import annotations

from pathlib import Path

import pytest

import themes
from themes import ThemeError

GOOD = themes.FOLDER / "dark.yaml"


@pytest.mark.parametrize("name", themes.built_in())
def test_the_built_in_themes_are_whole(name: str) -> None:
    theme = themes.load(name)
    assert theme.name == name
    assert theme.to_color_system().generate()["success"]


def test_there_are_dark_and_light_ones() -> None:
    assert {themes.load(name).dark for name in themes.built_in()} == {True, False}
    assert themes.built_in()[0] == themes.DEFAULT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("primary:", "primry:"), r"colors.primry: no such key \(did you mean primary\?\)"),
        (('"#7aa2f7"', "blue"), "colors.primary: found 'blue'; allowed: a colour such as"),
        (("dark: true", "dark: maybe"), "dark: found 'maybe'; allowed: true or false"),
        (("name: dark", "name: '[b]x'"), "name: found '\\[b\\]x'; allowed: small letters"),
        (("colors:", "colours:"), "colours: no such key"),
        (("name: dark", "name: [dark"), "mine.yaml: while parsing"),
    ],
)
def test_a_broken_theme_names_file_key_and_what_is_allowed(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.read_text().replace(*change))
    with pytest.raises(ThemeError, match=said):
        themes.read(path)


@pytest.mark.parametrize(
    "content", [b"", b"- a\n- b\n", b"\xff\xfe\x00", b"x" * 70_000, b"!!python/object:os.system x"]
)
def test_a_file_that_is_no_theme_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ThemeError, match=r"mine\.yaml"):
        themes.read(path)


def test_a_users_folder_gives_the_good_and_reports_the_broken(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.read_text().replace("name: dark", "name: mine"))
    (tmp_path / "worse.yaml").write_text("name: 3\n")
    found, broken = themes.users_own(tmp_path)
    assert [theme.name for theme in found] == ["mine"]
    assert len(broken) == 1
    assert broken[0].startswith("worse.yaml: ")
    assert themes.users_own(tmp_path / "none") == ([], [])


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ThemeError, match=r"did you mean light\?"):
        themes.load("ligth")

"""The project as a whole: what it packages, what it depends on, and what its pages promise."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

CHECKOUT = Path(__file__).parents[1]
OURS = {"serve", "monitors", "registry", "configs"}
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
PAGES = sorted(
    page.relative_to(CHECKOUT)
    for folder, pattern in ((".", "*.md"), ("docs", "**/*.md"), ("deploy", "*.md"))
    for page in (CHECKOUT / folder).glob(pattern)
)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+(?:\[[a-z,]+\])?")
_MAKE = re.compile(r"\bmake(?: +([a-z][a-z-]*))?")


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> set[str]:
    """The distributions that a lock file names."""
    lines = (CHECKOUT / lock).read_text().splitlines()
    return {canonical(line.partition("==")[0]) for line in lines if re.match(r"[A-Za-z0-9]", line)}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_our_names_are_ours_alone(lock: str) -> None:
    """No dependency owns one of our import names: one of the two would hide the other."""
    owners = packages_distributions()
    known = locked(lock)
    assert {"ray", "onnxruntime"} <= known
    for name in OURS:
        assert known.isdisjoint(map(canonical, owners.get(name, ()))), name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The names of all files in the wheel, built from a copy of the project."""
    copy = tmp_path_factory.mktemp("wheel") / "project"
    away = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(CHECKOUT, copy, ignore=away)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run(
        [sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, timeout=300
    )
    (built,) = (copy / "dist").glob("*.whl")
    with ZipFile(built) as archive:
        yield set(archive.namelist())


def test_only_our_packages_are_packaged(wheel: set[str]) -> None:
    """Neither tests nor benchmarks nor deployment files are installed with the project."""
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == OURS


def test_the_wheel_has_what_the_code_reads(wheel: set[str]) -> None:
    """Files beside the code, such as the schema and the types marker, are installed with it."""
    beside = {
        str(path.relative_to(CHECKOUT))
        for name in OURS
        for path in (CHECKOUT / name).rglob("*")
        if path.suffix in {".py", ".sql", ".yaml", ".typed"} or path.name == "py.typed"
    }
    assert {"registry/schema_2.sql", "configs/weir.yaml"} <= beside
    assert beside - wheel == set()


def test_every_run_time_dependency_has_a_reason() -> None:
    """`docs/dependencies.md` says why each is there, and lists none that is not."""
    page = (CHECKOUT / "docs" / "dependencies.md").read_text()
    section = page.partition("## At run time")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| *`?([^ `|]+)`? *\| *(\S[^|]*)\|$", section, re.MULTILINE)
    reasons = {name for name, reason in rows if name not in {"package", "---"} and reason.strip()}
    declared = {_REQUIREMENT.match(line)[0] for line in PROJECT["dependencies"]}  # type: ignore[index]
    assert reasons == declared


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file that exists."""
    targets = _LINK.findall((CHECKOUT / page).read_text())
    assert [t for t in targets if not (CHECKOUT / page.parent / t).exists()] == []


def test_ci_runs_what_the_readme_shows() -> None:
    """CI calls nothing but make targets that a newcomer finds in the README."""
    script = (CHECKOUT / ".ci" / "run").read_text()
    commands = [
        line
        for line in map(str.strip, script.splitlines())
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    shown = {f"make {target}" for target in _MAKE.findall((CHECKOUT / "README.md").read_text())}
    assert commands
    assert set(commands) <= shown


def test_imports_point_one_way() -> None:
    """The contracts of `pyproject.toml` hold: configs, registry, monitors, serve; no way back."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_changelog_knows_this_version() -> None:
    """The newest release in the changelog is what is built; what is to come may lead."""
    headings = re.findall(
        r"^## \[?([^\]\s]+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    releases = headings[1:] if headings[0] == "Unreleased" else headings
    assert releases[0] == PROJECT["version"]

"""The Dockerfile and what goes into its context; building and running it is `make test-image`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")

pytestmark = pytest.mark.deploy


@dataclass
class Stage:
    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        return [text for name, text in self.steps if name == instruction][-1]

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]


def stages(text: str = TEXT) -> list[Stage]:
    """The stages, with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for step in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        instruction, _, rest = step.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(name, base))
        elif found:
            found[-1].steps.append((instruction, rest))
    return found


STAGES = {stage.name: stage for stage in stages()}
RUNTIME = stages()[-1]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    assert hadolint.exists(), "hadolint is not there: run `make setup`"
    done = subprocess.run(
        [hadolint, "--failure-threshold", "info", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_base_is_one_exact_python() -> None:
    assert re.search(r"^ARG BASE_IMAGE=python:3\.1\d\.\d+-slim$", TEXT, re.MULTILINE)
    assert {stage.base for stage in STAGES.values()} == {"${BASE_IMAGE}", "dependencies"}
    assert ":latest" not in TEXT


def test_the_stages_in_order() -> None:
    assert list(STAGES) == ["dependencies", "project", "runtime"]


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    assert RUNTIME.all("USER") == ["10001:10001"]
    assert "--uid 10001" in " ".join(RUNTIME.all("RUN"))
    after = RUNTIME.steps[RUNTIME.steps.index(("USER", "10001:10001")) :]
    assert not {"RUN", "COPY", "ADD"} & {name for name, _ in after}


def test_how_it_starts_stops_and_tells_its_health() -> None:
    assert json.loads(RUNTIME.last("ENTRYPOINT")) == ["ambient-fhir"]
    assert json.loads(RUNTIME.last("CMD")) == ["serve"]
    assert RUNTIME.last("STOPSIGNAL") == "SIGTERM"
    assert json.loads(RUNTIME.last("HEALTHCHECK").partition("CMD ")[2]) == ["ambient-fhir", "doctor", "--quick"]


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    assert not any("AMBIENT_" in text for text in RUNTIME.all("ENV"))


def test_every_installation_is_pinned_by_hash() -> None:
    runs = [text for stage in STAGES.values() for text in stage.all("RUN")]
    commands = [command.strip() for run in runs for command in run.split("&&")]
    installs = [command for command in commands if " install " in command and "pip" in command]
    assert len(installs) == 3
    for command in installs:
        assert "--require-hashes" in command or ("--no-deps" in command and "--no-index" in command), command
    assert not any(re.search(r"\b(apt|apt-get|curl|wget)\b", command) for command in commands)


def test_the_runtime_takes_files_only_from_the_earlier_stages() -> None:
    for text in RUNTIME.all("COPY"):
        match = re.match(r"--from=(\w+) ", text)
        assert match, text
        assert match[1] in STAGES, text
    assert not any(stage.all("ADD") for stage in STAGES.values())


def test_it_builds_with_an_old_buildah() -> None:
    assert "<<" not in TEXT
    assert "--link" not in TEXT


def test_the_context_holds_what_is_copied_and_nothing_else() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    plain = [rule for rule in rules if rule and not rule.startswith("#")]
    assert plain[0] == "*"
    let_in = {rule[1:] for rule in plain if rule.startswith("!")}
    copied = {
        word.rstrip("/")
        for stage in STAGES.values()
        for text in stage.all("COPY")
        if "--from" not in text
        for word in text.split()[:-1]
    }
    assert copied == let_in
    assert [name for name in sorted(copied) if not (ROOT / name).exists()] == []


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split()[0].split("==") for line in lines if re.match(r"[a-z0-9]", line))


def test_the_build_tools_are_the_ones_of_the_development_lock() -> None:
    development, build = pins("requirements-dev.lock"), pins("requirements-build.lock")
    assert "hatchling" in build
    assert {name: version for name, version in build.items() if development.get(name) != version}.keys() <= {"uv"}


@pytest.mark.parametrize("lock", ["requirements-build.lock", "requirements-helm.lock", "requirements.lock"])
def test_a_lock_names_hashes_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    for entry in re.split(r"\n(?=[a-z0-9])", text.strip()):
        assert "--hash=sha256:" in entry, entry.split("\n")[0]


def test_hadolint_finds_a_planted_defect(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM python:latest\nRUN pip install uv\n", encoding="utf-8")
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint
    assert subprocess.run([hadolint, str(planted)], capture_output=True, check=False).returncode != 0

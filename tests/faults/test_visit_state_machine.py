"""The visit's state machine again, with as many examples as there are seconds, and other ones each time."""

from __future__ import annotations

import os

from hypothesis import settings

from tests.journey.test_visit_state_machine import SETTINGS, VisitMachine

EXAMPLES = int(float(os.environ.get("SECONDS", "600")))


class ManyVisits(VisitMachine):
    """A machine of its own, since settings belong to one."""


TestManyVisits = ManyVisits.TestCase
TestManyVisits.settings = settings(SETTINGS, max_examples=EXAMPLES, derandomize=False, print_blob=True)

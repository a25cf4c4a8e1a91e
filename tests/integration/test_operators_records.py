"""What operators read and close, on PostgreSQL."""

from __future__ import annotations

from tests.unit.test_operators_records import (  # noqa: F401 - collected here, with this folder's database
    test_a_list_of_large_letters_leaves_their_bodies_where_they_are,
    test_a_visit_is_not_taken_from_a_runner_that_holds_it,
    test_a_visit_that_nobody_works_on_is_discarded_until_an_event_brings_news,
    test_a_visit_whose_runner_died_is_discarded_and_that_runner_writes_nothing_more,
    test_only_letters_that_say_the_same_are_one,
    test_pages_of_dead_letters_of_one_moment_hold_each_of_them_once,
    test_pages_of_visits_of_one_moment_hold_each_of_them_once,
)

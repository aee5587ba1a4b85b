"""Row ids sort by time; client ids suit every venue and are never repeated."""

from __future__ import annotations

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from project.lib import ids


@given(st.uuids())
def test_a_venue_client_id_has_the_form_every_venue_takes(attempt: uuid.UUID) -> None:
    client_id = ids.venue_client_id(attempt)
    assert re.fullmatch(r"[a-z][a-z0-9]{17}", client_id)
    assert client_id == ids.venue_client_id(attempt)


def test_ids_are_unique_and_in_order_of_their_making() -> None:
    made = [ids.new_id() for _ in range(5000)]
    assert made == sorted(made) and len(set(made)) == 5000
    assert {row.version for row in made} == {7}
    assert len({ids.venue_client_id(row) for row in made}) == 5000


def test_what_is_a_uuid() -> None:
    assert ids.is_uuid(str(ids.new_id())) and ids.is_uuid(ids.new_id().hex)
    assert not any(ids.is_uuid(text) for text in ("", "1", "x" * 36, None, 5))  # type: ignore[arg-type]

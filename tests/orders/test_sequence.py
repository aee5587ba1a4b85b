"""The account's own sequence has no gap and no repeat, whoever writes at the same time."""

from __future__ import annotations

import pytest

from orders import fold
from orders.models import OrderEvent
from tests.orders.scene import in_threads, make_account, queued, sending
from venues.models import Account


@pytest.mark.django_db(transaction=True)
def test_eight_threads_on_two_accounts_leave_no_gap() -> None:
    accounts = [make_account(), make_account()]

    def write(number: int) -> None:
        account = accounts[number % 2]
        for _ in range(5):
            (queued if number < 4 else sending)(account)

    in_threads(8, write)
    for account in accounts:
        sequences = OrderEvent.objects.filter(account=account).order_by("sequence").values_list("sequence", flat=True)
        assert list(sequences) == list(range(1, 2 * 10 + 3 * 10 + 1))
        assert Account.objects.get(pk=account.pk).event_sequence == 50
    assert list(fold.differences()) == []

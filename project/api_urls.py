"""Every route of the API; project/urls.py mounts them at /api/v1/."""

from __future__ import annotations

from django.urls import path

from orders import api as orders
from orders import group_api as groups
from project import system_api, token_api, venue_api
from project.schema import TokenScheme
from reconciliation import api as reconciliation
from risk import api as risk
from venues import api as venues

__all__ = ["TokenScheme", "urlpatterns"]

app_name = "api"
urlpatterns = [
    path("", system_api.Index.as_view(), name="index"),
    path("venues/", venues.Venues.as_view(), name="venues"),
    path("venues/<slug:code>/", venue_api.OneVenue.as_view(), name="venue"),
    path("accounts/", venues.Accounts.as_view(), name="accounts"),
    path("accounts/<slug:code>/", venues.OneAccount.as_view(), name="account"),
    path("accounts/<slug:code>/keys/", venues.Keys.as_view(), name="keys"),
    path("accounts/<slug:code>/activation/", venues.Activation.as_view(), name="activation"),
    path("instruments/", venues.Instruments.as_view(), name="instruments"),
    path("orders/", orders.Orders.as_view(), name="orders"),
    path("orders/<uuid:id>/", orders.OneOrder.as_view(), name="order"),
    path("orders/<uuid:id>/events/", orders.Events.as_view(), name="order-events"),
    path("orders/<uuid:id>/wishes/", orders.Wishes.as_view(), name="order-wishes"),
    path("orders/<uuid:id>/cancellation/", orders.Cancellation.as_view(), name="cancellation"),
    path("order-groups/", groups.Groups.as_view(), name="order-groups"),
    path("order-groups/<uuid:id>/", groups.OneGroup.as_view(), name="order-group"),
    path("order-groups/<uuid:id>/cancellation/", groups.Cancellation.as_view(), name="order-group-cancellation"),
    path("fills/", orders.Fills.as_view(), name="fills"),
    path("positions/", orders.Positions.as_view(), name="positions"),
    path("balances/", orders.Balances.as_view(), name="balances"),
    path("ledger/", orders.Ledger.as_view(), name="ledger"),
    path("dead-letters/", orders.DeadLetters.as_view(), name="dead-letters"),
    path("dead-letters/<uuid:id>/", orders.OneDeadLetter.as_view(), name="dead-letter"),
    path("dead-letters/<uuid:id>/look/", orders.Look.as_view(), name="look"),
    path("dead-letters/<uuid:id>/binding/", orders.Binding.as_view(), name="binding"),
    path("dead-letters/<uuid:id>/absence/", orders.Absence.as_view(), name="absence"),
    path("breaks/", reconciliation.Breaks.as_view(), name="breaks"),
    path("breaks/<uuid:id>/", reconciliation.OneBreak.as_view(), name="break"),
    path("breaks/<uuid:id>/resolution/", reconciliation.Resolution.as_view(), name="resolution"),
    path("breaks/<uuid:id>/assignment/", reconciliation.Assignment.as_view(), name="assignment"),
    path("coverage/", reconciliation.CoverageMap.as_view(), name="coverage"),
    path("reconciliations/", reconciliation.Runs.as_view(), name="reconciliations"),
    path("reconciliations/<uuid:id>/", reconciliation.OneRun.as_view(), name="reconciliation"),
    path("halts/", risk.Halts.as_view(), name="halts"),
    path("halts/<uuid:id>/", risk.OneHalt.as_view(), name="halt"),
    path("events/", system_api.Feed.as_view(), name="events"),
    path("tokens/", token_api.Tokens.as_view(), name="tokens"),
    path("tokens/<uuid:id>/", token_api.OneToken.as_view(), name="token"),
    path("schema/", system_api.Schema.as_view(), name="schema"),
    path("<path:path>", system_api.NotFound.as_view(), name="not-found"),
]

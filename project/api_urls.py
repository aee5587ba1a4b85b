"""Every route of the API; project/urls.py mounts them at /api/v1/."""

from __future__ import annotations

from django.urls import path

from orders import api as orders
from orders import case_api
from orders import group_api as groups
from orders import portfolio_api as portfolio
from project import approval_api, system_api, token_api, venue_api
from project.schema import TokenScheme
from reconciliation import api as reconciliation
from reconciliation import break_api, rules_api, statement_api
from risk import api as risk
from risk import reaction_api
from venues import api as venues
from venues import capability_api as capabilities
from venues import decision_api, upkeep_api

__all__ = ["TokenScheme", "urlpatterns"]

app_name = "api"
urlpatterns = [
    path("", system_api.Index.as_view(), name="index"),
    path("venues/", venues.Venues.as_view(), name="venues"),
    path("venues/<slug:code>/", venue_api.OneVenue.as_view(), name="venue"),
    path("accounts/", venues.Accounts.as_view(), name="accounts"),
    path("accounts/<slug:code>/", venues.OneAccount.as_view(), name="account"),
    path("accounts/<slug:code>/keys/", venues.Keys.as_view(), name="keys"),
    path("accounts/<slug:code>/keys/<uuid:id>/", venues.OneKey.as_view(), name="key"),
    path("accounts/<slug:code>/keys/<uuid:id>/waiver/", venues.Waiver.as_view(), name="waiver"),
    path("accounts/<slug:code>/activation/", venues.Activation.as_view(), name="activation"),
    path("stream-sessions/", venues.StreamSessions.as_view(), name="stream-sessions"),
    path("capabilities/", capabilities.Capabilities.as_view(), name="capabilities"),
    path("accounts/<slug:code>/draining/", upkeep_api.AccountDraining.as_view(), name="account-draining"),
    path("venues/<slug:code>/draining/", upkeep_api.VenueDraining.as_view(), name="venue-draining"),
    path("maintenance-windows/", upkeep_api.Windows.as_view(), name="maintenance-windows"),
    path("maintenance-windows/<uuid:id>/", upkeep_api.OneWindow.as_view(), name="maintenance-window"),
    path("reactions/", reaction_api.Reactions.as_view(), name="reactions"),
    path("reactions/<uuid:id>/", reaction_api.OneReaction.as_view(), name="reaction"),
    path("firings/", reaction_api.Firings.as_view(), name="firings"),
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
    path("transfers/", orders.Transfers.as_view(), name="transfers"),
    path("positions/", orders.Positions.as_view(), name="positions"),
    path("balances/", orders.Balances.as_view(), name="balances"),
    path("portfolio/", portfolio.Everything.as_view(), name="portfolio"),
    path("ledger/", orders.Ledger.as_view(), name="ledger"),
    path("dead-letters/", orders.DeadLetters.as_view(), name="dead-letters"),
    path("dead-letters/<uuid:id>/", orders.OneDeadLetter.as_view(), name="dead-letter"),
    path("dead-letters/<uuid:id>/look/", orders.Look.as_view(), name="look"),
    path("dead-letters/<uuid:id>/binding/", orders.Binding.as_view(), name="binding"),
    path("dead-letters/<uuid:id>/absence/", orders.Absence.as_view(), name="absence"),
    path("error-cases/", case_api.Cases.as_view(), name="error-cases"),
    path("error-decisions/", decision_api.Decisions.as_view(), name="error-decisions"),
    path("error-decisions/<uuid:id>/", decision_api.OneDecision.as_view(), name="error-decision"),
    path("breaks/", break_api.Breaks.as_view(), name="breaks"),
    path("breaks/counts/", break_api.Counts.as_view(), name="break-counts"),
    path("breaks/statistics/", rules_api.Statistics.as_view(), name="break-statistics"),
    path("breaks/<uuid:id>/", break_api.OneBreak.as_view(), name="break"),
    path("breaks/<uuid:id>/events/", break_api.Events.as_view(), name="break-events"),
    path("breaks/<uuid:id>/resolution/", break_api.Resolution.as_view(), name="resolution"),
    path("breaks/<uuid:id>/reopening/", break_api.Reopening.as_view(), name="reopening"),
    path("breaks/<uuid:id>/assignment/", break_api.Assignment.as_view(), name="assignment"),
    path("breaks/<uuid:id>/notes/", break_api.Notes.as_view(), name="break-notes"),
    path("breaks/<uuid:id>/waiting/", break_api.Waiting.as_view(), name="break-waiting"),
    path("breaks/<uuid:id>/snooze/", break_api.Snooze.as_view(), name="break-snooze"),
    path("breaks/<uuid:id>/cause/", break_api.Cause.as_view(), name="break-cause"),
    path("breaks/<uuid:id>/lines/", break_api.Lines.as_view(), name="break-lines"),
    path("breaks/<uuid:id>/bundle/", break_api.Bundle.as_view(), name="break-bundle"),
    path("breaks/<uuid:id>/reversal/", break_api.Reversal.as_view(), name="reversal"),
    path("approvals/", approval_api.Approvals.as_view(), name="approvals"),
    path("approvals/<uuid:id>/", approval_api.OneApproval.as_view(), name="approval"),
    path("approvals/<uuid:id>/decision/", approval_api.Decision.as_view(), name="approval-decision"),
    path("approvals/<uuid:id>/withdrawal/", approval_api.Withdrawal.as_view(), name="approval-withdrawal"),
    path("coverage/", reconciliation.CoverageMap.as_view(), name="coverage"),
    path("coverage/history/", rules_api.CoverageHistory.as_view(), name="coverage-history"),
    path("rules/", rules_api.Rules.as_view(), name="rules"),
    path("rules/<uuid:id>/", rules_api.OneRule.as_view(), name="rule"),
    path("rules/<uuid:id>/activation/", rules_api.Activation.as_view(), name="rule-activation"),
    path("rules/<uuid:id>/dry-runs/", rules_api.DryRuns.as_view(), name="rule-dry-runs"),
    path("reconciliations/", reconciliation.Runs.as_view(), name="reconciliations"),
    path("reconciliations/<uuid:id>/", reconciliation.OneRun.as_view(), name="reconciliation"),
    path("statements/", statement_api.Statements.as_view(), name="statements"),
    path("statements/<uuid:id>/", statement_api.OneStatement.as_view(), name="statement"),
    path("statement-mappings/", statement_api.StatementMappings.as_view(), name="statement-mappings"),
    path("halts/", risk.Halts.as_view(), name="halts"),
    path("halts/<uuid:id>/", risk.OneHalt.as_view(), name="halt"),
    path("events/", system_api.Feed.as_view(), name="events"),
    path("tokens/", token_api.Tokens.as_view(), name="tokens"),
    path("tokens/<uuid:id>/", token_api.OneToken.as_view(), name="token"),
    path("schema/", system_api.Schema.as_view(), name="schema"),
    path("<path:path>", system_api.NotFound.as_view(), name="not-found"),
]

"""Routes of the reconciliation pages."""

from __future__ import annotations

from django.urls import path

from reconciliation import adjustment_views, break_views, bulk_views, rule_views, statement_views, views

urlpatterns = [
    path("reconciliation/", views.reconciliation, name="reconciliation"),
    path("reconciliation/runs/", views.request_run, name="run_request"),
    path("reconciliation/runs/<uuid:run_id>/", views.run, name="run"),
    path("reconciliation/rules/", rule_views.overview, name="rules"),
    path("reconciliation/rules/<uuid:rule_id>/", rule_views.rule, name="rule"),
    path("reconciliation/rules/<uuid:rule_id>/dry-runs/", rule_views.dry_run, name="rule_dry_run"),
    path("reconciliation/rules/<uuid:rule_id>/activation/", rule_views.activate, name="rule_activate"),
    path("reconciliation/rules/<uuid:rule_id>/retirement/", rule_views.retire, name="rule_retire"),
    path("reconciliation/history/", rule_views.timeline, name="reconciliation_history"),
    path("statements/", statement_views.index, name="statements"),
    path("statements/new/", statement_views.upload, name="statement_new"),
    path("statements/preview/", statement_views.preview, name="statement_preview"),
    path("statements/mappings/", statement_views.all_mappings, name="statement_mappings"),
    path("statements/mappings/<slug:code>/", statement_views.mapping, name="statement_mapping"),
    path("statements/<uuid:statement_id>/", statement_views.statement, name="statement"),
    path("breaks/", break_views.breaks, name="breaks"),
    path("breaks/selection/", bulk_views.select, name="breaks_select"),
    path("breaks/selection/action/", bulk_views.act, name="breaks_act"),
    path("breaks/<uuid:break_id>/", break_views.difference, name="break"),
    path("breaks/<uuid:break_id>/bundle/", break_views.bundle, name="break_bundle"),
    path("breaks/<uuid:break_id>/assignment/", break_views.assign, name="break_assign"),
    path("breaks/<uuid:break_id>/passing-back/", break_views.pass_back, name="break_pass_back"),
    path("breaks/<uuid:break_id>/note/", break_views.note, name="break_note"),
    path("breaks/<uuid:break_id>/waiting/", break_views.wait, name="break_wait"),
    path("breaks/<uuid:break_id>/resumption/", break_views.resume, name="break_resume"),
    path("breaks/<uuid:break_id>/snooze/", break_views.snooze, name="break_snooze"),
    path("breaks/<uuid:break_id>/waking/", break_views.wake, name="break_wake"),
    path("breaks/<uuid:break_id>/cause/", break_views.cause, name="break_cause"),
    path("breaks/<uuid:break_id>/lines/", break_views.add_lines, name="break_lines"),
    path("breaks/<uuid:break_id>/lines/removal/", break_views.remove_line, name="break_line_remove"),
    path("breaks/<uuid:break_id>/explanation/", break_views.explain, name="break_explain"),
    path("breaks/<uuid:break_id>/venue-fix/", break_views.fixed, name="break_fixed"),
    path("breaks/<uuid:break_id>/adjustment/", adjustment_views.adjust, name="break_adjust"),
    path("breaks/<uuid:break_id>/reversal/", adjustment_views.reverse, name="break_reverse"),
    path("breaks/<uuid:break_id>/reopening/", break_views.reopen, name="break_reopen"),
]

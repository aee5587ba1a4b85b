"""Routes of the reconciliation pages."""

from __future__ import annotations

from django.urls import path

from reconciliation import views

urlpatterns = [
    path("reconciliation/", views.reconciliation, name="reconciliation"),
    path("reconciliation/runs/", views.request_run, name="run_request"),
    path("reconciliation/runs/<uuid:run_id>/", views.run, name="run"),
    path("breaks/", views.breaks, name="breaks"),
    path("breaks/<uuid:break_id>/", views.difference, name="break"),
    path("breaks/<uuid:break_id>/assignment/", views.assign, name="break_assign"),
    path("breaks/<uuid:break_id>/note/", views.note, name="break_note"),
    path("breaks/<uuid:break_id>/explanation/", views.explain, name="break_explain"),
    path("breaks/<uuid:break_id>/adjustment/", views.adjust, name="break_adjust"),
    path("breaks/<uuid:break_id>/reopening/", views.reopen, name="break_reopen"),
]

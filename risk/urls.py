"""Routes of the risk pages."""

from __future__ import annotations

from django.urls import path

from risk import views

urlpatterns = [
    path("risk/", views.overview, name="risk"),
    path("risk/halts/", views.engage, name="halt_engage"),
    path("risk/halts/<uuid:halt_id>/release/", views.release, name="halt_release"),
]

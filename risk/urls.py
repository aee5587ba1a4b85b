"""Routes of the risk pages."""

from __future__ import annotations

from django.urls import path

from risk import views

urlpatterns = [
    path("risk/", views.overview, name="risk"),
    path("risk/reactions/", views.react, name="reaction_add"),
    path("risk/reactions/<uuid:reaction_id>/revocation/", views.end_reaction, name="reaction_end"),
    path("risk/halts/", views.engage, name="halt_engage"),
    path("risk/halts/<uuid:halt_id>/release/", views.release, name="halt_release"),
]

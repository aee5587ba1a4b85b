"""Routes of the venue and account pages."""

from __future__ import annotations

from django.urls import path

from venues import views

urlpatterns = [
    path("venues/", views.venues, name="venues"),
    path("venues/<slug:code>/", views.venue, name="venue"),
    path("venues/<slug:code>/live/", views.live, name="venue_live"),
    path("accounts/", views.account_list, name="accounts"),
    path("accounts/<slug:code>/key/", views.key, name="account_key"),
    path("accounts/<slug:code>/activation/", views.activation, name="account_activation"),
]

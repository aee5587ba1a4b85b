"""Routes of the venue and account pages."""

from __future__ import annotations

from django.urls import path

from venues import upkeep_views, views

urlpatterns = [
    path("exchanges/", views.exchanges, name="exchanges"),
    path("exchanges/<slug:exchange_id>/", views.exchange, name="exchange"),
    path("venues/", views.venues, name="venues"),
    path("venues/<slug:code>/", views.venue, name="venue"),
    path("venues/<slug:code>/live/", views.live, name="venue_live"),
    path("venues/<slug:code>/windows/", upkeep_views.plan, name="maintenance_plan"),
    path("venues/windows/<uuid:window_id>/cancellation/", upkeep_views.cancel, name="maintenance_cancel"),
    path("venues/<slug:code>/draining/", upkeep_views.drain_venue, name="venue_draining"),
    path("accounts/<slug:code>/draining/", upkeep_views.drain_account, name="account_draining"),
    path("accounts/", views.account_list, name="accounts"),
    path("accounts/<slug:code>/key/", views.key, name="account_key"),
    path("accounts/<slug:code>/keys/<uuid:id>/waiver/", views.waiver, name="key_waiver"),
    path("accounts/<slug:code>/keys/<uuid:id>/withdrawal/", views.withdrawal, name="key_withdrawal"),
    path("accounts/<slug:code>/activation/", views.activation, name="account_activation"),
]

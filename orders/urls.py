"""Routes of the order pages."""

from __future__ import annotations

from django.urls import path

from orders.views import blotter

urlpatterns = [
    path("orders/", blotter.blotter, name="orders"),
    path("orders/by-client-id/<str:client_order_id>/", blotter.by_client_id, name="order_by_client_id"),
    path("orders/<uuid:order_id>/", blotter.order, name="order"),
    path("orders/<uuid:order_id>/cancellation/", blotter.cancel, name="order_cancel"),
]

"""Routes of the order pages."""

from __future__ import annotations

from django.urls import path

from orders.views import blotter, books, error_codes, portfolio, review, ticket

urlpatterns = [
    path("orders/", blotter.blotter, name="orders"),
    path("orders/new/", ticket.ticket, name="order_new"),
    path("orders/new/preview/", ticket.preview, name="order_preview"),
    path("orders/new/fields/", ticket.fields, name="order_fields"),
    path("orders/cancellations/", blotter.cancel_many, name="orders_cancel"),
    path("orders/by-client-id/<str:client_order_id>/", blotter.by_client_id, name="order_by_client_id"),
    path("orders/<uuid:order_id>/", blotter.order, name="order"),
    path("orders/<uuid:order_id>/cancellation/", blotter.cancel, name="order_cancel"),
    path("orders/<uuid:order_id>/amendment/", blotter.amend, name="order_amend"),
    path("fills/", books.fills, name="fills"),
    path("transfers/", books.transfers, name="transfers"),
    path("positions/", books.positions, name="positions"),
    path("balances/", books.balances, name="balances"),
    path("portfolio/", portfolio.portfolio, name="portfolio"),
    path("ledger/", books.ledger, name="ledger"),
    path("error-codes/", error_codes.codes, name="error_codes"),
    path("error-codes/<uuid:case_id>/", error_codes.case, name="error_case"),
    path("error-codes/decisions/<uuid:decision_id>/revocation/", error_codes.revoke, name="error_decision_revoke"),
    path("dead-letters/", review.letters, name="dead_letters"),
    path("dead-letters/<uuid:letter_id>/", review.letter, name="dead_letter"),
    path("dead-letters/<uuid:letter_id>/look/", review.look, name="dead_letter_look"),
    path("dead-letters/<uuid:letter_id>/binding/", review.bind, name="dead_letter_bind"),
    path("dead-letters/<uuid:letter_id>/absence/", review.declare_absent, name="dead_letter_absent"),
]

"""Console, API and health routes."""

from __future__ import annotations

from django.urls import include, path

from project import accounts, approval_views, audits, health, people, views

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/", include("project.api_urls")),
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", views.SignOut.as_view(), name="logout"),
    path("", views.home, name="overview"),
    path("live/frame/", views.frame, name="frame"),
    path("accounts/<slug:code>/", accounts.account, name="account"),
    path("approvals/", approval_views.index, name="approvals"),
    path("approvals/<uuid:approval_id>/", approval_views.detail, name="approval"),
    path("approvals/<uuid:approval_id>/decision/", approval_views.decide, name="approval_decide"),
    path("approvals/<uuid:approval_id>/withdrawal/", approval_views.withdraw, name="approval_withdraw"),
    path("audit/", audits.log, name="audit"),
    path("settings/people/", people.people, name="people"),
    path("settings/people/<int:person_id>/", people.change, name="person_change"),
    path("settings/people/<int:person_id>/password/", people.password, name="person_password"),
    path("settings/me/", people.me, name="me"),
    path("settings/tokens/", people.issue_token, name="token_issue"),
    path("settings/tokens/<uuid:token_id>/revocation/", people.revoke_token, name="token_revoke"),
    path("", include("orders.urls")),
    path("", include("venues.urls")),
    path("", include("risk.urls")),
    path("", include("reconciliation.urls")),
]

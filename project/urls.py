"""Console, API and health routes."""

from __future__ import annotations

from django.urls import include, path

from project import health, views

try:
    api = [path("api/v1/", include("project.api_urls"))]
except ImportError:  # until every part of the API is there
    api = []

urlpatterns = [
    *api,
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", views.SignOut.as_view(), name="logout"),
    path("", views.home, name="overview"),
    path("live/frame/", views.frame, name="frame"),
    path("", include("orders.urls")),
]

"""Console, API and health routes."""

urlpatterns: list[object] = []

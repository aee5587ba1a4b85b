"""Websocket routes."""

from __future__ import annotations

from channels.routing import URLRouter
from django.urls import path

from project.consumers import ConsoleConsumer

websockets = URLRouter([path("ws/console/", ConsoleConsumer.as_asgi())])

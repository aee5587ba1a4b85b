"""Every setting, read from the environment once."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from csp.constants import NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
GAPLESS_HOME = Path(os.environ.get("GAPLESS_HOME", BASE_DIR / ".gapless")).absolute()
ROLE = os.environ.get("ROLE", sys.argv[1] if len(sys.argv) > 1 else "shell")
EMBEDDED = os.environ.get("GAPLESS_EMBEDDED", "") == "1"
DEBUG = False


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes"}


def _seconds(name: str, default: float) -> float:
    return float(os.environ.get(name, default))


def _secret_key() -> str:
    if key := os.environ.get("SECRET_KEY"):
        return key
    stored = GAPLESS_HOME / "secrets" / "django-secret-key"
    if stored.exists():
        return stored.read_text().strip()
    if ROLE in {"web", "executor", "worker", "beat", "watchdog"}:
        raise SystemExit(
            f"No SECRET_KEY: set it in the environment, or start once with `make run`, which writes {stored}."
        )
    return "only-for-commands-that-sign-nothing"


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise SystemExit(
            f"DATABASE_URL has the scheme {parts.scheme!r}. Gapless keeps money in PostgreSQL only: "
            "SQLite changes numeric(38,18) values on a round trip. Use postgres://user:password@host:5432/name."
        )
    query = parse_qs(parts.query)
    session = {"synchronous_commit": "off" if os.environ.get("GAPLESS_TEST_CLUSTER") else "on"}
    if ROLE == "executor":
        # it touches rows by key alone: a plan made while the tables were small must not scan them later
        session["enable_seqscan"] = "off"
    options: dict[str, Any] = {
        "application_name": f"gapless-{ROLE}",
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
    }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "gapless",
        "USER": unquote(parts.username or "postgres"),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", [parts.hostname or ""])[0],
        "PORT": query.get("port", [str(parts.port or "")])[0],
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


SECRET_KEY = _secret_key()
DATABASES = {"default": _database(os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/gapless"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if origin]
HTTPS = _flag("GAPLESS_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 8 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "channels",
    "project.lib.apps.LibConfig",
    "venues.apps.VenuesConfig",
    "risk.apps.RiskConfig",
    "orders.apps.OrdersConfig",
    "reconciliation.apps.ReconciliationConfig",
    "project.apps.ProjectConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "project.middleware.ConsoleMiddleware",
]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "project.context.console",
            ],
            "builtins": ["django.templatetags.static", "project.lib.templatetags.gapless"],
            "libraries": {"django_htmx": "django_htmx.templatetags.django_htmx"},
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = os.environ.get("STATIC_ROOT") or None  # without it the files are served from where they are
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
# Statements of venues are the one thing that may be larger; the rest of the form comes on top.
STATEMENT_PATHS = frozenset({"/statements/new/", "/api/v1/statements/"})
STATEMENT_UPLOAD_MAX_SIZE = 50 * 1024 * 1024 + 65_536
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "project.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["project.api.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "project.api.problem_response",
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Gapless API",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
}

# --- trading -------------------------------------------------------------------------------------------------------
LIVE_ALLOWED = _flag("GAPLESS_LIVE", False)
CUSTOM_URLS_ALLOWED = _flag("GAPLESS_CUSTOM_URLS", EMBEDDED)
PAPER_URL = os.environ.get("GAPLESS_PAPER_URL", "http://127.0.0.1:8900")
# Where custom addresses are allowed all roles share a machine and its user; elsewhere each has its own secrets.
IS_PRODUCTION = not (EMBEDDED or CUSTOM_URLS_ALLOWED)
EXECUTOR_KEY_PROVIDER = os.environ.get("GAPLESS_KEY_PROVIDER", "file")
EXECUTOR_PRIVATE_KEY = os.environ.get("GAPLESS_EXECUTOR_PRIVATE_KEY", "")
# Executors that leave through the same address share its limits: one name per address.
ADDRESS_GROUP = os.environ.get("GAPLESS_ADDRESS_GROUP", "")
KEYS_NEED_IP_RESTRICTION = _flag("GAPLESS_KEYS_NEED_IP_RESTRICTION", False)
EXECUTOR_PRIVATE_KEY_FILE = Path(
    os.environ.get("GAPLESS_EXECUTOR_PRIVATE_KEY_FILE", GAPLESS_HOME / "secrets" / "executor-private-key.pem")
)
EXECUTOR_PUBLIC_KEY_FILE = Path(
    os.environ.get("GAPLESS_EXECUTOR_PUBLIC_KEY_FILE", GAPLESS_HOME / "secrets" / "executor-public-key.pem")
)
EXECUTOR = {
    "lease_seconds": _seconds("GAPLESS_LEASE_SECONDS", 10),
    "lease_renew_seconds": _seconds("GAPLESS_LEASE_RENEW_SECONDS", 2),
    "poll_seconds": _seconds("GAPLESS_EXECUTOR_POLL_SECONDS", 0.25),
    "request_timeout_seconds": _seconds("GAPLESS_REQUEST_TIMEOUT_SECONDS", 10),
    "lookup_interval_seconds": _seconds("GAPLESS_LOOKUP_INTERVAL_SECONDS", 5),
    "dead_letter_seconds": _seconds("GAPLESS_DEAD_LETTER_SECONDS", 120),
    "not_ready_seconds": _seconds("GAPLESS_NOT_READY_SECONDS", 30),
    "open_orders_seconds": _seconds("GAPLESS_OPEN_ORDERS_SECONDS", 10),
    "fills_seconds": _seconds("GAPLESS_FILLS_SECONDS", 30),
    "fills_overlap_seconds": _seconds("GAPLESS_FILLS_OVERLAP_SECONDS", 300),
    "balances_seconds": _seconds("GAPLESS_BALANCES_SECONDS", 60),
    "probe_seconds": _seconds("GAPLESS_PROBE_SECONDS", 6 * 3600),
    "markets_seconds": _seconds("GAPLESS_MARKETS_SECONDS", 3600),
}
RECONCILIATION_SECONDS = _seconds("GAPLESS_RECONCILIATION_SECONDS", 10)
# A change worth more than this needs a second person; what nobody can value counts as worth more.
APPROVAL_USD = Decimal(os.environ.get("GAPLESS_APPROVAL_USD", "1000"))
APPROVAL_HOURS = _seconds("GAPLESS_APPROVAL_HOURS", 24)
# How long a decider's password, once confirmed, holds for further decisions in the same session; 0 asks for none.
APPROVAL_PASSWORD_SECONDS = _seconds("GAPLESS_APPROVAL_PASSWORD_SECONDS", 300)
# From how many USD on a difference is how bad; below the last it is low. Written "critical,high,medium".
RECONCILIATION_SEVERITY_USD = dict(
    zip(
        ("critical", "high", "medium"),
        map(Decimal, os.environ.get("GAPLESS_SEVERITY_USD", "10000,1000,10").split(",")),
        strict=True,
    )
)
# Within how many minutes of the first sight somebody must have decided about a difference.
RECONCILIATION_SLA_MINUTES = dict(
    zip(
        ("critical", "high", "medium", "low"),
        map(int, os.environ.get("GAPLESS_RECONCILIATION_SLA_MINUTES", "15,60,480,4320").split(",")),
        strict=True,
    )
)
# Signs evidence bundles; whoever can read it can sign as this installation.
EVIDENCE_KEY_FILE = Path(os.environ.get("GAPLESS_EVIDENCE_KEY_FILE", GAPLESS_HOME / "secrets" / "evidence-key.pem"))
RETENTION_DAYS = {
    "raw_frames": _seconds("GAPLESS_RETENTION_RAW_DAYS", 14),
    "feed": _seconds("GAPLESS_RETENTION_FEED_DAYS", 30),
    "health": _seconds("GAPLESS_RETENTION_HEALTH_DAYS", 30),
}

# --- worker and beat -----------------------------------------------------------------------------------------------
BROKER_URL = os.environ.get("BROKER_URL", "memory://")

LOG_LEVEL = os.environ.get("LOG_LEVEL", "INFO")
_LIBRARIES = {"level": LOG_LEVEL if LOG_LEVEL == "DEBUG" else "WARNING"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"secrets": {"()": "project.lib.logs.SecretFilter"}},
    "formatters": {"json": {"()": "project.lib.logs.JsonFormatter", "role": ROLE}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["secrets"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"ccxt": _LIBRARIES, "daphne": _LIBRARIES, "urllib3": _LIBRARIES},
}

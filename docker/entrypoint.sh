#!/bin/sh
# One role per container; the same words as the compose services and the make targets.
set -eu
ROLE="${1:-${ROLE:-}}"
export ROLE
case "$ROLE" in
  web)        exec daphne --bind "${HOST:-0.0.0.0}" --port "${PORT:-8000}" --websocket_timeout -1 --access-log /dev/null project.asgi:application ;;
  executor)   exec python manage.py run_executor ;;
  worker)     exec celery --app project.celery worker --loglevel INFO --pool threads --concurrency 2 --without-gossip --without-mingle ;;
  beat)       exec celery --app project.celery beat --loglevel INFO --schedule "${TMPDIR:-/tmp}/celerybeat-schedule" ;;
  papervenue) exec python manage.py run_papervenue --host "${HOST:-0.0.0.0}" --port "${PAPER_PORT:-8900}" --data "${GAPLESS_HOME:-.gapless}/papervenue" ;;
  watchdog)   exec python manage.py run_watchdog ;;
  migrate)    exec python manage.py migrate --no-input ;;
  *)          echo "no such role: '$ROLE'; one of web executor worker beat papervenue watchdog migrate" >&2; exit 64 ;;
esac

#!/bin/sh
# The browser tests need a real Chromium: there already, or installed by root on Debian; else say so and fail.
set -eu
for program in chromium chromium-browser google-chrome; do
  if command -v "$program" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing Chromium for the browser tests"
  log="${TMPDIR:-/tmp}/gapless-chromium.log"
  if { apt-get update && apt-get install --yes --no-install-recommends chromium; } >"$log" 2>&1; then exit 0; fi
  tail -5 "$log" >&2
fi
echo "The browser tests need Chromium, and it is not installed. No test was run. Debian or Ubuntu, as root: apt-get install chromium" >&2
exit 1

#!/bin/sh
# Hold the images of others to what their tags name today: writes ops/.env, which `docker compose`
# reads beside compose.yaml. A tag may name another image tomorrow; a digest never does. Run it again
# to take newer ones, look at the difference, and keep the file with your deployment.
set -eu
env="$(dirname "$0")/.env"
kept=$(grep -v -e _IMAGE= "$env" 2>/dev/null || true)
{
  [ -z "$kept" ] || printf '%s\n' "$kept"
  for pair in POSTGRES_IMAGE=postgres:18 REDIS_IMAGE=redis:8 CADDY_IMAGE=caddy:2 PROMETHEUS_IMAGE=prom/prometheus:v3 \
      PYTHON_IMAGE=python:3.11-slim; do
    image=${pair#*=}
    docker pull --quiet "$image" > /dev/null
    digest=$(docker image inspect --format '{{index .RepoDigests 0}}' "$image")
    printf '%s=%s@%s\n' "${pair%%=*}" "$image" "${digest#*@}"
  done
} > "$env.partial"
mv "$env.partial" "$env"
cat "$env"

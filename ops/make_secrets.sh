#!/bin/sh
# Makes ops/secrets for the compose file; what stands there already is kept. Stripe's two are yours
# to copy from its dashboard: they are asked for, and not shown.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
cd secrets

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
make() { [ -s "$1" ] || printf '%s' "$2" > "$1"; }

for name in postgres_password owner_password application_password auditor_password redis_password \
    cron_secret key_pepper; do
    make "$name" "$(random)"
done
make database_owner_url "postgresql://tallybook_owner:$(cat owner_password)@postgres/tallybook"
make database_url "postgresql://tallybook:$(cat application_password)@postgres/tallybook"
make database_read_url "postgresql://tallybook_auditor:$(cat auditor_password)@postgres/tallybook"
make redis_url "redis://:$(cat redis_password)@redis:6379/0"
for name in stripe_webhook_secret stripe_api_key; do
    if [ ! -s "$name" ]; then
        printf '%s: ' "$name" >&2
        read -r value
        make "$name" "$value"
    fi
done
# A seal's key is made by the program (ops/seals.md); until then there is none.
[ -e seal_key ] || : > seal_key
# The containers read them as another user; the folder lets nobody else in.
chmod 444 ./*

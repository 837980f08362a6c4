#!/bin/sh
# Run by the PostgreSQL container, once, on an empty volume: the owner, the application, the database.
set -eu
psql --username "${POSTGRES_USER:-postgres}" --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
  --set owner="$(cat /run/secrets/owner_password)" \
  --set application="$(cat /run/secrets/application_password)" <<'SQL'
CREATE ROLE tallybook_owner LOGIN CREATEROLE PASSWORD :'owner';
CREATE ROLE tallybook LOGIN PASSWORD :'application';
CREATE DATABASE tallybook OWNER tallybook_owner;
SQL

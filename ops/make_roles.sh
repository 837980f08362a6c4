#!/bin/sh
# Run by the PostgreSQL container, once, on an empty volume: the owner, the application, an auditor's
# login that reads, the database, and the group roles that the schema grants to. The owner lets logins into these and needs no
# CREATEROLE, which before PostgreSQL 16 is nearly a superuser's power.
set -eu
psql --username "${POSTGRES_USER:-postgres}" --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
  --set owner="$(cat /run/secrets/owner_password)" \
  --set application="$(cat /run/secrets/application_password)" \
  --set auditor="$(cat /run/secrets/auditor_password)" <<'SQL'
CREATE ROLE tallybook_app NOLOGIN;
CREATE ROLE tallybook_read NOLOGIN;
CREATE ROLE tallybook_clock NOLOGIN;
CREATE ROLE tallybook_owner LOGIN PASSWORD :'owner';
GRANT tallybook_app, tallybook_read, tallybook_clock TO tallybook_owner WITH ADMIN OPTION;
CREATE ROLE tallybook LOGIN PASSWORD :'application';
CREATE ROLE tallybook_auditor LOGIN PASSWORD :'auditor';
CREATE DATABASE tallybook OWNER tallybook_owner;
SQL

"""Check the roles: what the application and the auditors may do in the database."""

from __future__ import annotations

from typing import Final

from app.doctor.finding import Finding, fail, ok, ok_or_fail
from app.infrastructure.db import Database

# A member of a role can become that role.
_POWERS: Final = """
SELECT format('%s is a member of %s, which may %s', current_user, rolname, power)
  FROM pg_roles, LATERAL (VALUES (rolsuper, 'do everything'), (rolcreaterole, 'make roles'),
      (rolcreatedb, 'make databases'), (rolreplication, 'replicate'),
      (rolbypassrls, 'bypass row security')) AS powers (held, power)
 WHERE held AND pg_has_role(current_user, pg_roles.oid, 'MEMBER')
"""
_OWNED: Final = """
SELECT format('%s owns the %s %s', owner::regrole, what, name) FROM (
    SELECT relowner, 'table', relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'S')
       AND relnamespace = current_schema()::regnamespace
    UNION ALL SELECT proowner, 'function', proname::text FROM pg_proc
     WHERE pronamespace = current_schema()::regnamespace
    UNION ALL SELECT nspowner, 'schema', nspname::text FROM pg_namespace
     WHERE nspname = current_schema()
    UNION ALL SELECT datdba, 'database', datname::text FROM pg_database
     WHERE datname = current_database()) AS things (owner, what, name)
 WHERE pg_has_role(current_user, owner, 'MEMBER')
"""
# A right to change a table is refused here even if a trigger would refuse the change. The ledger's
# tables are named, in case their triggers are gone.
_TOO_MUCH: Final = """
SELECT format('%s may %s %s', current_user, privilege, guarded.oid::regclass)
  FROM (SELECT oid, 'refuse_change' AS trigger_name FROM pg_class
         WHERE oid IN ('entries'::regclass, 'journals'::regclass)
        UNION SELECT tgrelid, tgname FROM pg_trigger
         WHERE tgname IN ('refuse_change', 'keep_payload')) AS guarded,
       unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege
 WHERE NOT (privilege = 'UPDATE' AND trigger_name = 'keep_payload')
   AND (has_table_privilege(current_user, guarded.oid, privilege)
     OR (privilege = 'UPDATE'
         AND has_any_column_privilege(current_user, guarded.oid, privilege)))
UNION ALL SELECT format('%s may %s %s', current_user, privilege, owners)
  FROM unnest(ARRAY['api_keys', 'catalogues']) AS owners,
       unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
 WHERE has_table_privilege(current_user, owners, privilege)
    OR (privilege IN ('INSERT', 'UPDATE')
        AND has_any_column_privilege(current_user, owners, privilege))
UNION ALL SELECT format('%s may make temporary tables', current_user)
 WHERE has_database_privilege(current_user, current_database(), 'TEMPORARY')
UNION ALL SELECT format('%s may CREATE in the schema %s', current_user, current_schema())
 WHERE has_schema_privilege(current_user, current_schema(), 'CREATE')
UNION ALL SELECT format('everybody may %s %s', privilege_type, oid::regclass)
  FROM pg_class, aclexplode(relacl)
 WHERE relnamespace = current_schema()::regnamespace AND grantee = 0
"""
_READER_WRITES: Final = """
SELECT format('%s may %s %s', current_user, privilege, oid::regclass)
  FROM pg_class, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
 WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
   AND (has_table_privilege(current_user, oid, privilege)
     OR (privilege = 'UPDATE' AND has_any_column_privilege(current_user, oid, privilege)))
UNION ALL SELECT format('%s may read the API keys'' hashes', current_user)
 WHERE has_any_column_privilege(current_user, 'api_keys', 'SELECT')
"""


async def findings(database: Database) -> list[Finding]:
    """Check the role that DATABASE_URL names."""
    role = await database.fetchval("SELECT current_user::text")
    powers = await _texts(database, _POWERS) + await _texts(database, _OWNED)
    too_much = await _texts(database, _TOO_MUCH)
    return [
        ok_or_fail(
            "application owns nothing", powers, f"{role} owns nothing and has no powers",
            "give DATABASE_URL a role of its own; the schema belongs to DATABASE_OWNER_URL's",
        ),
        ok_or_fail(
            "application changes no entry", too_much,
            f"{role} may only add to the ledger, and writes no key and no catalogue",
            "REVOKE the rights that are named; `tallybook migrate` grants what is needed",
        ),
    ]  # fmt: skip


async def membership(database: Database) -> Finding:
    """Check that the role of DATABASE_URL is in the application's group; the owner needs none."""
    role = await database.fetchval("SELECT current_user::text")
    works = await database.fetchval(
        """SELECT pg_has_role(current_user, 'tallybook_app', 'USAGE')
               OR pg_has_role(current_user, relowner, 'USAGE')
             FROM pg_class WHERE oid = 'migration'::regclass"""
    )
    if works:
        return ok("application may work", f"{role} is in the group tallybook_app")
    return fail(
        "application may work",
        f"{role} is not in the group tallybook_app",
        "run `tallybook migrate` with DATABASE_URL set: it lets the role in",
    )


async def of_reader(database: Database) -> list[Finding]:
    """Check the role that DATABASE_READ_URL names: it reads the ledger, and nothing more."""
    role = await database.fetchval("SELECT current_user::text")
    powers = await _texts(database, _POWERS) + await _texts(database, _OWNED)
    wrong = powers + await _texts(database, _READER_WRITES)
    if not await database.fetchval("SELECT has_table_privilege('entries', 'SELECT')"):
        return [fail("auditor reads", f"{role} may not read entries", "tallybook migrate")]
    if wrong:
        return [
            ok_or_fail("auditor reads", wrong, "", f"REVOKE it, and from {role} what is not read")
        ]
    return [ok("auditor reads", f"{role} reads the ledger and writes nothing")]


async def _texts(database: Database, query: str) -> list[str]:
    return [row[0] for row in await database.fetch(query)]

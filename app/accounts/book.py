"""What every use case of accounts works with: the database and the applied catalogues."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.db import Database
from app.grants.catalogues import Catalogues


@dataclass(frozen=True, slots=True)
class Book:
    """One book: its database, and the catalogues that were applied to it."""

    database: Database
    catalogues: Catalogues = field(default_factory=Catalogues)

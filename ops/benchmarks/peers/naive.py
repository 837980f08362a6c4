"""A stand-in for the endpoint that one builds by hand: FastAPI, one balance, SELECT FOR UPDATE.

It knows a caller's key, a spend's idempotency key, and a balance. It has no lots, no days, no
holds, no history that nobody can change. It runs in the environment of the peers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

SCHEMA = """
CREATE TABLE users (id text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE spends (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL REFERENCES users, amount bigint NOT NULL CHECK (amount > 0),
    balance_after bigint NOT NULL, key text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON spends (user_id);
"""


class Body(BaseModel):
    """What is asked."""

    amount: int = Field(ge=1, le=10**12)


def application() -> FastAPI:
    """One endpoint, over a pool of as many connections as the others have."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=1, max_size=16
        ) as app.state.pool:
            yield

    app = FastAPI(lifespan=lifespan)
    token = f"Bearer {os.environ['PEER_TOKEN']}"

    @app.post("/api/v1/accounts/{user_id}/spends", status_code=201)
    async def spend(
        user_id: str,
        body: Body,
        authorization: Annotated[str, Header()],
        idempotency_key: Annotated[str, Header()],
    ) -> dict[str, object]:
        if authorization != token:
            raise HTTPException(401)
        async with app.state.pool.acquire() as connection, connection.transaction():
            balance = await connection.fetchval(
                "SELECT balance FROM users WHERE id = $1 FOR UPDATE", user_id
            )
            if balance is None:
                raise HTTPException(404)
            first = await connection.fetchrow(
                "SELECT id, amount, balance_after FROM spends WHERE key = $1", idempotency_key
            )
            if first is not None:
                return dict(first)
            if balance < body.amount:
                raise HTTPException(402)
            after = balance - body.amount
            await connection.execute("UPDATE users SET balance = $2 WHERE id = $1", user_id, after)
            spend_id = await connection.fetchval(
                "INSERT INTO spends (user_id, amount, balance_after, key) VALUES ($1, $2, $3, $4) "
                "RETURNING id",
                user_id, body.amount, after, idempotency_key,
            )  # fmt: skip
        return {"id": spend_id, "amount": body.amount, "balance_after": after}

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
    )

"""API keys: make, list, revoke."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path

from api.auth import WritesKeys
from api.describing import problems
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.base import Instant, Word
from api.schemas.identity import KeyIn, KeyListOut, KeyOut, NewKeyOut
from api.services import Wired
from db import identity
from domain.errors import Forbidden, NotFound
from domain.identity import hash_api_key, new_api_key

router = APIRouter(prefix="/v1/keys", tags=["keys"])

_OLDEST = Cursor[tuple[datetime, str]](tuple[Instant, Word])


@router.post("", status_code=201, response_model=NewKeyOut, summary="Make an API key", responses=problems(body=True))
async def create(body: KeyIn, caller: WritesKeys, wired: Wired) -> NewKeyOut:
    """A new key for another program. Nobody can give away scopes that the own key lacks."""
    beyond = set(body.scopes) - caller.scopes
    if beyond:
        raise Forbidden(f"Your own key lacks {', '.join(sorted(beyond))}, so it cannot be given away.")
    key, key_id = new_api_key(), str(uuid.uuid4())
    scopes = sorted({scope.value for scope in body.scopes})
    async with wired.database.transaction() as connection:
        row = await identity.add_key(connection, id=key_id, name=body.name, key_hash=hash_api_key(key), scopes=scopes)
    return NewKeyOut(id=key_id, name=body.name, scopes=row.scopes, created_at=row.created_at, key=key)


@router.get("", response_model=KeyListOut, summary="List API keys", responses=problems())
async def index(
    caller: WritesKeys, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> KeyListOut:
    """All keys, oldest first; of revoked ones when that was."""
    async with wired.database.reading() as connection:
        rows = await identity.list_keys(connection, after=_OLDEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _OLDEST.write((row.created_at, row.id)))
    return KeyListOut(items=[KeyOut.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.delete("/{key}", status_code=204, summary="Revoke an API key", responses=problems(404))
async def revoke(key: Annotated[str, Path(max_length=64)], caller: WritesKeys, wired: Wired) -> None:
    """Revoke a key, from now on and for ever. Another web process may honour it for five more seconds."""
    async with wired.database.transaction() as connection:
        if not await identity.revoke_key(connection, key):
            raise NotFound("API key in use", key)
    wired.keys.forget()

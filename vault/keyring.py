"""The key ring as a value: several key-encryption keys with ids, one of them active."""

import json
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

from vault.envelope import KEY_BYTES
from vault.errors import BadKeyRing

_ID = re.compile(r"[0-9a-z]{8}")
# 32 random bytes hold fewer than 16 different ones about never; typed or padded ones often do.
_DISTINCT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Kek:
    """One key-encryption key: an id of 8 characters, its birth, 32 secret bytes."""

    id: str
    created_at: datetime
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise BadKeyRing("a key id is not 8 characters of 0-9 and a-z")
        if len(self.secret) != KEY_BYTES or len(set(self.secret)) < _DISTINCT_BYTES:
            raise BadKeyRing(f"key {self.id} is weak: it must be {KEY_BYTES} random bytes")
        if self.created_at.tzinfo is None:
            raise BadKeyRing(f"key {self.id}: created_at has no time zone")

    @classmethod
    def make(cls) -> Self:
        """Return a new random key, born now."""
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(secrets.token_hex(4), now, secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Every usable key and the id of the one that seals. Raises BadKeyRing when inconsistent."""

    active_id: str
    keys: tuple[Kek, ...]

    def __post_init__(self) -> None:
        if len({key.id for key in self.keys}) != len(self.keys):
            raise BadKeyRing("two keys have the same id")
        if self.find(self.active_id) is None:
            raise BadKeyRing("the active key is not in the ring")

    @classmethod
    def make(cls) -> Self:
        """Return a ring of one new key."""
        key = Kek.make()
        return cls(key.id, (key,))

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read what `dump` wrote. Raises BadKeyRing, never quoting the content."""
        try:
            document = json.loads(content)
            keys = tuple(
                Kek(
                    entry["id"],
                    datetime.fromisoformat(entry["created_at"]),
                    b64decode(entry["secret"], validate=True),
                )
                for entry in document["keys"]
            )
            return cls(document["active"], keys)
        except (ValueError, KeyError, TypeError):
            raise BadKeyRing("the key ring is not JSON of the expected shape") from None

    def dump(self) -> bytes:
        """Return the ring as JSON: {"active", "keys": [{"id", "created_at", "secret"}]}."""
        keys = [
            {
                "id": key.id,
                "created_at": key.created_at.isoformat(),
                "secret": b64encode(key.secret).decode(),
            }
            for key in self.keys
        ]
        return json.dumps({"active": self.active_id, "keys": keys}, indent=1).encode() + b"\n"

    @property
    def active(self) -> Kek:
        """The key that seals."""
        return next(key for key in self.keys if key.id == self.active_id)

    def find(self, key_id: str) -> Kek | None:
        """Return the key of that id, if it is in the ring."""
        return next((key for key in self.keys if key.id == key_id), None)

    def with_active(self, key: Kek) -> Self:
        """Return the ring with `key` added and active."""
        return replace(self, active_id=key.id, keys=(*self.keys, key))

    def without(self, key_ids: Collection[str]) -> Self:
        """Return the ring without these keys. Raises BadKeyRing for the active one."""
        return replace(self, keys=tuple(key for key in self.keys if key.id not in key_ids))

"""Envelope encryption of one value: its own data key, wrapped by a named key-encryption key.

A sealed value is one line of text, a *head* of fixed length and a payload::

    kn1:<key id>:<wrapped data key>:<payload>

Wrapped data key and payload are nonce, ciphertext and tag of AES-256-GCM (NIST SP 800-38D), in
unpadded base64url (RFC 4648). Both are bound by associated data to the format version and to the
value's place, so a text that was changed, cut or copied to another place does not open. An older
text of the *same* place does open: only the database can tell that it is old.

A head is unique to its value (fresh data key, random nonces). So a new key-encryption key needs
new heads alone, and comparing heads is comparing values.
"""

import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import MalformedSeal, SealError, TamperedSeal

FORMAT = "kn1"
KEY_BYTES = 32
KEY_ID_START = len(FORMAT) + 1
KEY_ID_LENGTH = 8
HEAD_LENGTH = KEY_ID_START + KEY_ID_LENGTH + 1 + 80 + 1
_NONCE_BYTES = 12
_HEAD = re.compile(r"kn1:([0-9a-z]{8}):([\w-]{80}):", re.ASCII)
_PAYLOAD = re.compile(r"[\w-]{38,}", re.ASCII)
_ANY_FORMAT = re.compile(r"kn\d+:")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lives: its table, the row's lasting `uid`, and the field's name."""

    table: str
    row: UUID
    field: str

    def bind(self, purpose: str) -> bytes:
        """Return the associated data of `purpose` ("value" or "data key") at this place."""
        return json.dumps([FORMAT, purpose, self.table, str(self.row), self.field]).encode()

    def __str__(self) -> str:
        return f"{self.table}.{self.field} of {self.row}"


class KeyProvider(Protocol):
    """Keeper of the key-encryption keys, which never leave it.

    Key ids are 8 characters of 0-9 and a-z, wrapped data keys 60 bytes.
    """

    def active_id(self) -> str:
        """Return the id of the key that `wrap` uses."""
        ...

    def wrap(self, data_key: bytes, associated: bytes) -> tuple[str, bytes]:
        """Return the id of the active key and the 32-byte `data_key` wrapped by it."""
        ...

    def unwrap(self, key_id: str, wrapped: bytes, associated: bytes) -> bytes:
        """Return the data key; raises UnknownKey or TamperedSeal."""
        ...


def looks_sealed(text: str) -> bool:
    """Tell whether `text` starts like a sealed value of this or of a later format."""
    return _ANY_FORMAT.match(text) is not None


def seal(plain: str, place: Place, keys: KeyProvider) -> str:
    """Return `plain` sealed for `place`. Raises UnicodeEncodeError for a lone surrogate."""
    data_key = AESGCM.generate_key(KEY_BYTES * 8)
    key_id, wrapped = keys.wrap(data_key, place.bind("data key"))
    payload = encrypt(data_key, plain.encode(), place.bind("value"))
    return f"{_head(key_id, wrapped)}{_to_text(payload)}"


def unseal(text: str, place: Place, keys: KeyProvider) -> str:
    """Return the plain text of the value sealed at `place`.

    Raises MalformedSeal, UnknownKey or TamperedSeal, with the place in the message.
    """
    try:
        data_key = _data_key(text, place, keys)
        payload = text[HEAD_LENGTH:]
        if not _PAYLOAD.fullmatch(payload):
            raise MalformedSeal("this is not a sealed value")
        return decrypt(data_key, _to_bytes(payload), place.bind("value")).decode()
    except SealError as error:
        raise type(error)(f"{place}: {error}") from None


def rewrap(text: str, place: Place, keys: KeyProvider) -> str:
    """Return `text`, a sealed value or only its head, with its data key under the active key.

    The payload is neither read nor checked. A text that is under the active key comes back as
    it is. Raises MalformedSeal, UnknownKey or TamperedSeal.
    """
    if key_id(text) == keys.active_id():
        return text
    try:
        data_key = _data_key(text, place, keys)
    except SealError as error:
        raise type(error)(f"{place}: {error}") from None
    return f"{_head(*keys.wrap(data_key, place.bind('data key')))}{text[HEAD_LENGTH:]}"


def key_id(text: str) -> str:
    """Return the id that `text` names as its key; an empty one when it names none."""
    match = _HEAD.match(text)
    return match[1] if match else ""


def encrypt(key: bytes, plain: bytes, associated: bytes) -> bytes:
    """Return nonce (12 bytes, random), ciphertext and tag (16 bytes) under a 32-byte key."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Return what `encrypt` sealed. Raises TamperedSeal unless key and associated data are its."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except InvalidTag:
        raise TamperedSeal(
            "this does not open: it was changed, belongs elsewhere, or its key was exchanged"
        ) from None


def _data_key(text: str, place: Place, keys: KeyProvider) -> bytes:
    match = _HEAD.match(text)
    if not match:
        raise MalformedSeal("this is not a sealed value")
    return keys.unwrap(match[1], _to_bytes(match[2]), place.bind("data key"))


def _head(key_id: str, wrapped: bytes) -> str:
    return f"{FORMAT}:{key_id}:{_to_text(wrapped)}:"


def _to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _to_bytes(text: str) -> bytes:
    """Decode strictly: one text per value, though a decoder would ignore the last bits."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise MalformedSeal("this is not a sealed value") from None
    if _to_text(data) != text:
        raise MalformedSeal("this is not a sealed value")
    return data

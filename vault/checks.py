"""System checks of the vault: no role starts with a key file that cannot be trusted."""

from django.core.checks import CheckMessage, Error, register

from vault.errors import KeyRingError
from vault.keys import key_file


@register()
def check_key_file(**kwargs: object) -> list[CheckMessage]:
    """Report a key file that others may read, or that holds no sound ring (vault.E001)."""
    keys = key_file()
    if not keys.exists():
        return []
    try:
        keys.ring()
    except KeyRingError as error:
        return [Error(str(error), id="vault.E001")]
    return []

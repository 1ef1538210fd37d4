"""What can go wrong with sealed secrets. No message ever holds a secret or its ciphertext."""


class VaultError(Exception):
    """Something about a sealed secret or its keys; the message says how to go on."""


class SealError(VaultError):
    """A sealed value does not open. Nothing of it is returned."""


class MalformedSeal(SealError):
    """The text is not a sealed value of a format that this release knows."""


class TamperedSeal(SealError):
    """The text was changed, belongs to another row, or its key id holds another key."""


class UnknownKey(SealError):
    """The value is sealed under a key that is not in the key ring."""


class KeyRingError(VaultError):
    """The key ring cannot be used."""


class KeyFileMissing(KeyRingError):
    """Secrets are sealed, but the file with their keys is absent."""


class BadKeyRing(KeyRingError):
    """The key ring's content is wrong: not JSON, a weak key, no active key."""


class MisplacedSecret(VaultError):
    """A secret was handed over in a way that does not tell which row it belongs to."""


class RotationIncomplete(VaultError):
    """Some values could not be brought under the active key; the message names them."""


class KeyStillNeeded(VaultError):
    """An old key cannot be dropped yet; the message says why."""

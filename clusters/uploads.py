"""What operators hand in on pages as files: bundles, and kubeconfigs of administrators."""

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from clusters.credentials import Given
from clusters.kubeconfig import MAX_BYTES, KubeconfigRefused, parse
from clusters.rules import address_rules


def refused(message: str) -> ValidationError:
    """Return the error that says so."""
    # As a parameter: the text may hold a '%', which Django would try to format.
    return ValidationError("%(message)s", code="invalid", params={"message": message})


def content(file: "UploadedFile[bytes]", most: int) -> bytes:
    """Return what is in a file. Raises ValidationError where it is larger than `most` bytes."""
    if (file.size or 0) > most:
        raise refused(f"It is larger than {most} bytes.")
    return bytes(file.read())


def credential_in(file: "UploadedFile[bytes] | None") -> Given | None:
    """Return the credential of a kubeconfig, None without one.

    Raises ValidationError that names the field inside.
    """
    if file is None:
        return None
    try:
        return Given.of(parse(content(file, MAX_BYTES), address_rules()))
    except KubeconfigRefused as error:
        raise refused(f"{error.field} {error.message}.") from None

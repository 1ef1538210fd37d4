"""TLS to an API server: the cluster's own CA and nothing else, no file of ours, no environment."""

import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from clusters.kubeconfig import Credential
from reconcile.errors import Refused


class DeadlineSocket(ssl.SSLSocket):
    """A TLS socket that stops at `deadline` (monotonic seconds), however slowly bytes drip in.

    A timeout alone starts anew with every byte.
    """

    deadline: float = inf

    def _hurry(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        timeout = self.gettimeout()
        if timeout is None or timeout > left:
            self.settimeout(left)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """As the socket's, within the deadline. Raises TimeoutError."""
        self._hurry()
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        """As the socket's, within the deadline. Raises TimeoutError."""
        self._hurry()
        return super().send(data, flags)


class _Context(ssl.SSLContext):
    """A context that threads can share: nothing about it changes once it is in use."""

    sslsocket_class = DeadlineSocket

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Do nothing: urllib3 sets them at each connection, while other threads read them."""


def context_for(credential: Credential) -> ssl.SSLContext:
    """Return a context that trusts the cluster's CA only and shows the client certificate, if any.

    Raises Refused when OpenSSL cannot use the material.
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As kubectl does: every certificate of the bundle is an anchor, also one that is no root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=credential.ca_pem)
        if credential.client_cert_pem and credential.client_key_pem:
            _show(context, credential.client_cert_pem, credential.client_key_pem)
    except ssl.SSLError as error:
        raise Refused(f"the certificates cannot be used: {error.reason or 'unknown'}") from None
    return context


def _show(context: ssl.SSLContext, cert_pem: str, key_pem: str) -> None:
    """OpenSSL's Python interface reads keys from files only: give it one that has no name."""
    with _nameless(f"{cert_pem}\n{key_pem}".encode()) as path:
        context.load_cert_chain(path, password=lambda: "")


@contextmanager
def _nameless(content: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # mode 0600, gone at the end of the block
        file.write(content)
        file.flush()
        yield file.name


def set_deadline(sock: socket.socket | ssl.SSLSocket | None, deadline: float) -> None:
    """Set when the socket of a request stops, in monotonic seconds."""
    if isinstance(sock, DeadlineSocket):
        sock.deadline = deadline

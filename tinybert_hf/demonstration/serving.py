"""Serves the page until it is interrupted."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable

from tinybert_hf.demonstration.contestants import Contest
from tinybert_hf.demonstration.page import build_page, launch_options
from tinybert_hf.errors import TinyBertError

_PAUSE = 0.5  # seconds


def check_address(host: str, port: int) -> None:
    """Refuses an address that cannot be served, before models are opened for it.

    Raises:
        TinyBertError: the port is in use or needs rights, or the host is none of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a page that has just ended is no reason
            probe.bind(address)
    except socket.gaierror as error:
        raise TinyBertError(f"--host {host} is no address: {error.strerror}. Take 127.0.0.1 or 0.0.0.0.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TinyBertError(f"Port {port} of {host} is in use; choose another with --port.") from error
        if error.errno == errno.EACCES:
            raise TinyBertError(f"Port {port} needs the rights of root; choose one above 1023 with --port.") from error
        raise TinyBertError(
            f"--host {host} cannot be served ({error.strerror}): it is no address of this machine. Take 127.0.0.1, "
            "or 0.0.0.0 for all of them."
        ) from error


def serve(contest: Contest, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves the page; does not return, but for an exception such as KeyboardInterrupt.

    Args:
        contest: from `open_contest`.
        host: address to listen at.
        port: likewise.
        ready: called with the URL when the page answers.

    Raises:
        TinyBertError: gradio is not installed, or the address was taken meanwhile.
    """
    page = build_page(contest)
    try:
        try:
            page.launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options())
        except OSError as error:
            raise TinyBertError(f"Port {port} of {host} cannot be served: {error}") from error
        ready(page.local_url)
        while True:
            time.sleep(_PAUSE)
    finally:
        page.close(verbose=False)

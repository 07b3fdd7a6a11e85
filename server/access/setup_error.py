"""The error of an operator who gave something for access that cannot be used."""

from __future__ import annotations


class AccessSetupError(Exception):
    """A key file, a certificate or an address cannot be used; the message says which and why."""

"""One family of errors: raise one of these and its sentence reaches the person; anything else is a bug.

LlmappError
  BadInput          what was given can not be used (a file, a setting, a text)
    TooLong         over a stated limit
  NotFound          an id, a model, a conversation that is not there, or is not yours
  Refused           not allowed here: a stranger on a public address, an offline network source
  Busy              a place that is taken: a queue, a lock, a job on the device
  Stale             somebody else wrote meanwhile; nothing of theirs was overwritten
  SourceError       weights could not be had: network, gated, checksum, disk
  CanNotRun         this machine can not do it: memory, precision, a missing package
    OutOfMemory     it was tried, or would have been killed
  StoreError        the database file is newer, damaged or not writable

Each carries a code of `ui/text/*.yaml` (`error.<code>`) and its values; `str()` is the English sentence.
"""

from __future__ import annotations

from .messages import Message


class LlmappError(Exception):
    """Base of all errors whose words a person reads."""

    def __init__(self, code: str, **values: object) -> None:
        self.message = Message(f"error.{code}", values)
        super().__init__(code)

    @property
    def code(self) -> str:
        """The code without its `error.` section."""
        return self.message.code.removeprefix("error.")

    def text(self, language: str = "en") -> str:
        """The sentence in a person's language."""
        return self.message.text(language)

    def __str__(self) -> str:
        return self.message.text()


class BadInput(LlmappError):
    """What was given can not be used."""


class TooLong(BadInput):
    """Over a stated limit."""


class NotFound(LlmappError):
    """Not there, or not yours."""


class Refused(LlmappError):
    """Not allowed here."""


class Busy(LlmappError):
    """The place is taken."""


class Stale(LlmappError):
    """Somebody else wrote meanwhile."""


class SourceError(LlmappError):
    """Weights could not be had."""


class CanNotRun(LlmappError):
    """This machine can not do it."""


class OutOfMemory(CanNotRun):
    """Memory ran out, or would have."""


class StoreError(LlmappError):
    """The app's own data can not be read or written."""

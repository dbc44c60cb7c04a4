"""The few kinds of error a user sees: what happened, to which object, what to do next."""

from __future__ import annotations


class HashigoError(Exception):
    """An error meant for the user.

    Args:
        message: one sentence that names the object at fault.
        fix: what to do about it; may be empty.
        see: a command or page that tells more; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "", see: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.see = see

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.fix, self.see))

    def lines(self) -> list[str]:
        """The error as it is printed: the sentence, then the fix and where to read on."""
        out = [f"error: {self.message}"]
        if self.fix:
            out.append(f"  fix: {self.fix}")
        if self.see:
            out.append(f"  see: {self.see}")
        return out


def _rebuild(kind: type[HashigoError], message: str, fix: str, see: str) -> HashigoError:
    return kind(message, fix=fix, see=see)


class InputError(HashigoError):
    """Something the user wrote or gave is wrong: a file, a key, a unit, a structure."""

    exit_code = 2


class MissingComponent(HashigoError):
    """A program or optional package is not installed; the fix names it."""

    exit_code = 2


class GateFailure(HashigoError):
    """A physical check between two stages did not hold; what was computed is kept."""

    exit_code = 3


class WorkerError(HashigoError):
    """A computation could not be completed."""

    exit_code = 4

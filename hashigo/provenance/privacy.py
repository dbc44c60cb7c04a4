"""The privacy scan: what a finished package tells about people, machines and paths."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hashigo.provenance.contents import Text, texts

#: Names that name nobody. They are looked for only where a name is meant: in paths, before an @.
GENERIC = frozenset(
    [
        *(
            "root",
            "user",
            "users",
            "admin",
            "administrator",
            "nobody",
            "guest",
            "student",
            "runner",
            "jovyan",
        ),
        *("ubuntu", "debian", "centos", "docker", "app", "test", "tests", "build", "work", "main", "data"),
        *("localhost", "localdomain", "node", "login", "server", "host", "vm", "default", "aiida", "silicon"),
    ]
)
LOOPBACK = frozenset(["localhost", "localhost.localdomain"])
#: Below this length, count of characters, a name is also a word or a chemical symbol: treated as generic.
SHORT = 4
REMOVED = "[removed]"
MAX_FINDINGS = 200

_ROOTS = (
    "home|Users|root|lustre|gpfs|beegfs|fefs|nfs|afs|scratch|work|works|large|fast|mnt|media|var|tmp|private|opt|usr|srv"
    r"|vol\d+|project|projects|proj|group|groups|share|shared|sw|apps|cluster|hpc|export|run/user|Volumes"
)
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("an absolute path", re.compile(rf"(?<![\w.\-])/(?:{_ROOTS})/[^\s\"'<>|\\,;)\]}}]+")),
    ("a home folder", re.compile(r"(?<![\w.])~(?:[a-z_][a-z0-9_-]{2,})?/[\w.][^\s\"'<>|\\,;)\]}]*")),
    (
        "a Windows path",
        re.compile(
            r"(?<![A-Za-z])[A-Z]:\\+(?:Users|home|work|data|temp|Documents)\\+[^\s\"'<>|:\\]+",
            re.I,
        ),
    ),
    (
        "an e-mail address",
        re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]*@[A-Za-z0-9][\w-]*(?:\.[\w-]+)*\.?[A-Za-z]{2,}\b"),
    ),
    (
        "an IP address",
        re.compile(
            r"(?<![\w.\-])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.\-])"
        ),
    ),
    ("an IP address", re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")),
    ("an SSH key", re.compile(r"\b(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\w+) AAAA[\w+/]{20,}")),
    (
        "a token",
        re.compile(
            r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,}"
            r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)"
        ),
    ),
    (
        "a password or token",
        re.compile(
            r"(?i)\b(?:password|passwd|passphrase|api_?key|secret_?key|access_?token|auth_?token)\b[\"']?\s*[:=]\s*"
            r"[\"']?[^\s\"',{}()\[\]]{6,}"
        ),
    ),
    (
        "a scheduler's line",
        re.compile(
            r"\b(?:UserId|GroupId|Account|NodeList|BatchHost|SLURM_\w+|PBS_O_\w+|PJM_\w+)=[^\s\"']+"
            r"|#(?:SBATCH|PBS|PJM|\$)[ \t]+-{1,2}(?:account|mail-user|[AgPWMuhm])[ =]\S+"
        ),
    ),
    (
        "the name of a user, host or account",
        re.compile(
            r"(?i)[\"'](?:user_?name|user|login|owner|job_?owner|host_?name|host|account|e-?mail)[\"']\s*:\s*"
            r"[\"'][^\"'{}]+[\"']"
        ),
    ),
)
_ADDRESS = re.compile(r"https?://[^\s\"'<>\\)\]}]+")
_VERSION_BEFORE = re.compile(r"(?i)version[\"']?\s*[:=]?\s*[\"']?v?$")


@dataclass(frozen=True)
class Finding:
    """One thing that must not leave: the file, the place in it, what it is, and the text itself."""

    file: str
    place: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.file} ({self.place}) holds {self.kind}: {self.text}"


@dataclass(frozen=True)
class Identity:
    """Names that must not leave.

    Attributes:
        users: login names.
        hosts: names of machines and of computers known to AiiDA.
        phrases: texts that must not occur anywhere: home and work folders, accounts, e-mail addresses.
    """

    users: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()

    def __or__(self, other: Identity) -> Identity:
        return Identity(self.users | other.users, self.hosts | other.hosts, self.phrases | other.phrases)

    def patterns(self, *, text: bool = True) -> list[tuple[str, re.Pattern[str]]]:
        """What to look for; in content that is no text only what cannot be there by chance."""
        found = []
        for kind, names in (("a user name", self.users), ("a host name", self.hosts - LOOPBACK)):
            for name in sorted(names):
                quoted = re.escape(name)
                if len(name) < SHORT or name.lower() in GENERIC:
                    shape = (
                        rf"/home/{quoted}\b|/Users/{quoted}\b|~{quoted}/|\b{quoted}@[\w.-]+|@{quoted}\b(?!\.)"
                    )
                elif text or len(name) >= 2 * SHORT:
                    shape = rf"(?<![A-Za-z0-9]){quoted}(?![A-Za-z0-9])"
                else:
                    continue
                found.append((kind, re.compile(shape)))
        for phrase in sorted(self.phrases):
            if len(phrase) >= SHORT:
                found.append(("a private path, account or address", re.compile(re.escape(phrase))))
        return found


def this_machine() -> Identity:
    """Names of the user and the machine that run this program."""
    users = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    # Containers run under numbers that have no name.
    with contextlib.suppress(OSError, KeyError):
        users.add(getpass.getuser())
    host = socket.gethostname()
    home = str(Path.home())
    return Identity(
        users=frozenset(users - {""}),
        hosts=frozenset({host, host.split(".")[0]} - {""}),
        phrases=frozenset({home} if home.count("/") > 1 else {home + "/"}),
    )


def scan(
    path: Path, *, identity: Identity | None = None, allow: Sequence[str] = (), declared: Sequence[str] = ()
) -> list[Finding]:
    """Look through every file of a package.

    Text is read as text, HDF5 by its names, attributes and texts, archives by their members.

    Args:
        path: a file or a folder.
        identity: names that must not leave; those of this machine are always among them.
        allow: texts that may stand although they look private, such as a declared contact address.
        declared: texts that the study makes public, such as its authors' names: a user or host name that is
            a word of one of them is looked for only where a login is meant.

    Returns:
        Everything found, at most 200, by file.
    """
    who = without_declared((identity or Identity()) | this_machine(), declared)
    in_text = [*who.patterns(), *PATTERNS]
    in_bytes = who.patterns(text=False)
    findings: list[Finding] = []
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file():
            continue
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        findings += _findings(Text("its name", "/" + name), name, who.patterns(), allow)
        for text in texts(file):
            findings += _findings(text, name, in_bytes if text.binary else in_text, allow)
            if len(findings) >= MAX_FINDINGS:
                return findings[:MAX_FINDINGS]
    return findings


def without_declared(identity: Identity, declared: Sequence[str]) -> Identity:
    """The identity without user and host names that are words of the declared texts."""
    words = {word for text in declared for word in re.findall(r"\w+", text)}
    return Identity(identity.users - words, identity.hosts - words, identity.phrases)


def redact(text: str, identity: Identity) -> str:
    """A message of an engine without what must not leave."""
    for _, pattern in [*identity.patterns(), *PATTERNS]:
        text = pattern.sub(REMOVED, text)
    return text


def _findings(
    text: Text, file: str, patterns: Sequence[tuple[str, re.Pattern[str]]], allow: Sequence[str]
) -> Iterator[Finding]:
    if text.unreadable:
        yield Finding(file, text.place, "content that cannot be inspected", text.content)
        return
    content = text.content.replace("\\/", "/")
    # Web addresses hold slashes too; names in them still count.
    without_addresses = _ADDRESS.sub(lambda match: " " * len(match.group()), content)
    for kind, pattern in patterns:
        for match in pattern.finditer(without_addresses if "path" in kind or "folder" in kind else content):
            found = match.group()
            if any(found in entry for entry in allow) or _harmless(
                kind, found, content[: match.start()][-24:]
            ):
                continue
            yield Finding(
                file, _place(text, content, match.start()), kind, json.dumps(found[:100], ensure_ascii=False)
            )


def _harmless(kind: str, found: str, before: str) -> bool:
    """Addresses of one's own machine, interpreter lines and version numbers tell nothing."""
    if kind == "an IP address":
        return found.startswith("127.") or found == "0.0.0.0" or bool(_VERSION_BEFORE.search(before))
    return kind == "an absolute path" and found.startswith("/usr/bin/env")


def _place(text: Text, content: str, start: int) -> str:
    if text.place:
        return text.place
    line = content.count("\n", 0, start) + 1
    return f"line {line}"

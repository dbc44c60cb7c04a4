from __future__ import annotations

import gzip
import tarfile
import zipfile

import h5py
import numpy as np
import pytest

from hashigo.provenance.privacy import REMOVED, Identity, redact, scan

NOBODY = Identity()
SOMEBODY = Identity(
    frozenset({"tanakaichiro", "li"}), frozenset({"gaia7"}), frozenset({"/gpfs/u123", "grp-4711"})
)


@pytest.mark.parametrize(
    "text",
    [
        "/home/somebody/silicon/pw.in",
        "/lustre/group7/x",
        "outdir = '/scratch/x/out'",
        "scp login:/scratch/abc/file .",
        "file:///Users/me/Desktop/a.cif",
        "~/calculations/x",
        "~somebody/calculations",
        r"C:\Users\me\x",
        r'"C:\\Users\\me\\x"',
        r'{"path": "\/home\/somebody\/x"}',
        "somebody@lab.example.org",
        "test@localhost",
        "ssh 192.168.17.4",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx1n2yA",
        "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB",
        "password: correct-horse",
        "api_key = 'abcdef123456'",
        "UserId=x(1001) Account=hp1234",
        "#SBATCH --account=hp1234",
        "#PJM -g hp1234",
        '"hostname": "vm"',
        "'user': 'root'",
    ],
)
def test_private_things_are_found(tmp_path, text):
    (tmp_path / "a.txt").write_text(f"first line\nthen {text} and more\n")
    findings = scan(tmp_path, identity=NOBODY)
    assert findings
    assert (findings[0].file, findings[0].place) == ("a.txt", "line 2")


@pytest.mark.parametrize(
    "text",
    [
        "root mean square error, user guide, host lattice, Li and Si",
        "/data/potential/mean and /VTKHDF/CellData and /quantities/stiffness",
        "https://example.org/home/page/x and https://doi.org/10.1000/182",
        "data/scratch/x.h5 and ./tmp/y",
        "eV/Å, W/(m K), ~10/mol, 3/opt",
        "#!/usr/bin/env python3",
        '"version": "22.0.1.0"',
        "127.0.0.1 and 0.0.0.0",
        "1.25 0.5 12.75 -0.125",
        "@calcfunction",
        "12:30:05.123+00:00 a1:b2:c3",
    ],
)
def test_what_is_not_private_passes(tmp_path, text):
    (tmp_path / "a.txt").write_text(text + "\n")
    assert (
        scan(tmp_path, identity=Identity(frozenset({"root", "li"}), frozenset({"host", "localhost"}))) == []
    )


@pytest.mark.parametrize(
    "text", ["by tanakaichiro", "on gaia7.", "in /gpfs/u123", "paid by grp-4711", "~li/x", "li@gaia7"]
)
def test_names_of_this_place_are_found(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert scan(tmp_path, identity=SOMEBODY)


def test_names_are_whole_words(tmp_path):
    (tmp_path / "a.txt").write_text("gaia77 and megagaia7x, LiF")
    assert scan(tmp_path, identity=SOMEBODY) == []


def test_an_authors_name_may_be_a_login(tmp_path):
    (tmp_path / "a.txt").write_text("Author: tanakaichiro")
    assert scan(tmp_path, identity=SOMEBODY, declared=["tanakaichiro"]) == []


def test_allowed_texts_pass(tmp_path):
    (tmp_path / "a.txt").write_text("ask desk@example.org")
    assert scan(tmp_path, identity=NOBODY)
    assert scan(tmp_path, identity=NOBODY, allow=["desk@example.org"]) == []


def test_names_of_files_count(tmp_path):
    (tmp_path / "from-gaia7.txt").write_text("nothing")
    assert [finding.place for finding in scan(tmp_path, identity=SOMEBODY)] == ["its name"]


def in_attribute(file):
    file.attrs["user"] = "somebody"


def in_group_attribute(file):
    file.create_group("a/b").attrs["origin"] = np.bytes_("/home/somebody/x")


def in_text(file):
    file.create_dataset("log", data="line\nrun by tanakaichiro\n")


def in_compressed_texts(file):
    texts = np.array(["fine"] * 100 + ["see /home/somebody/x"], dtype=object)
    file.create_dataset("texts", data=texts, dtype=h5py.string_dtype(), compression="gzip")


def in_bytes(file):
    file.create_dataset("model", data=np.frombuffer(b"source: /home/somebody/x\n", dtype=np.uint8))


def in_a_name(file):
    file.create_group("runs/gaia7")


def in_a_link(file):
    file["other"] = h5py.ExternalLink("/home/somebody/other.h5", "/x")


def in_a_table(file):
    table = np.array([(1.0, b"gaia7")], dtype=[("value", "f8"), ("machine", "S8")])
    file.create_dataset("table", data=table)


@pytest.mark.parametrize(
    "leak",
    [
        in_attribute,
        in_group_attribute,
        in_text,
        in_compressed_texts,
        in_bytes,
        in_a_name,
        in_a_link,
        in_a_table,
    ],
)
def test_hdf5_is_read(tmp_path, leak):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("values", data=np.arange(10.0)).attrs["units"] = "eV/Å"
        leak(file)
    assert scan(tmp_path, identity=SOMEBODY)


def test_hdf5_of_numbers_passes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "data/scratch/values", data=np.random.default_rng(1).random((100, 3)), compression="gzip"
        )
        file.create_dataset("data/grains", data=np.arange(256, dtype=np.uint8))
    assert scan(tmp_path, identity=SOMEBODY) == []


def test_archives_are_opened(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("/home/somebody/x")
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.gz").write_bytes(gzip.compress(secret.read_bytes()))
    with zipfile.ZipFile(package / "b.zip", "w") as archive:
        archive.write(package / "a.gz", "inner.gz")
    with tarfile.open(package / "c.tar", "w") as archive:
        archive.add(secret, "member")
    np.savez_compressed(package / "d.npz", origin=np.array("/home/somebody/x"))
    found = {finding.file for finding in scan(package, identity=NOBODY)}
    assert {"a.gz", "b.zip", "c.tar"} <= found


def test_what_cannot_be_opened_is_no_clean_bill(tmp_path):
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8b\x08" + bytes(20))
    assert {finding.file for finding in scan(tmp_path, identity=NOBODY)} == {"a.7z", "b.gz"}


def test_messages_are_cleaned():
    cleaned = redact("tanakaichiro: no file /home/somebody/a.cif on gaia7", SOMEBODY)
    assert cleaned == f"{REMOVED}: no file {REMOVED} on {REMOVED}"

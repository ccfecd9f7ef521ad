"""Policy bundles: what is not exactly right is refused, with BundleError and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gymbal_runtime.bundle import Bundle, BundleError, parse_bundle, read_bundle, write_bundle
from gymbal_runtime.bundle_file import MAX_BYTES, MEMBERS, pack, unpack
from gymbal_runtime.codec import Codec
from gymbal_runtime.manifest import content_hash
from gymbal_runtime.tasks import BALLOON


@pytest.fixture(scope="module")
def raw(bundle_path: Path) -> bytes:
    return bundle_path.read_bytes()


@pytest.fixture(scope="module")
def members(raw: bytes) -> dict[str, bytes]:
    return unpack(raw, "tiny")[0]


def edited(members: dict[str, bytes], change: Callable[[Any], Any], name="manifest.json") -> bytes:
    """A bundle with one JSON member changed and a digest that fits."""
    content = json.loads(members[name])
    change(content)
    return pack(members | {name: json.dumps(content).encode()})


def mutated(raw: bytes, rng: np.random.Generator) -> bytes:
    """Flip, insert, delete, repeat or cut a few random bytes."""
    at, length = int(rng.integers(len(raw))), int(rng.integers(1, 9))
    noise = rng.bytes(length)
    match rng.integers(6):
        case 0:
            return raw[:at] + bytes([raw[at] ^ int(rng.integers(1, 256))]) + raw[at + 1 :]
        case 1:
            return raw[:at] + noise + raw[at:]
        case 2:
            return raw[:at] + raw[at + length :]
        case 3:
            return raw[:at]
        case 4:
            return raw + noise
        case _:
            return raw[:at] + noise + raw[at + length :]


def resealed(raw: bytes) -> bytes:
    """The same content under a digest that fits, as an attacker would write it."""
    magic, _, content = raw.split(b"\n", 2)
    return magic + b"\n" + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def test_read_bundle__holds_what_was_written(bundle: Bundle):
    assert bundle.manifest.heuristic == "senpai"
    assert bundle.manifest.fingerprint == bundle.codec.fingerprint()
    assert bundle.manifest.evaluation[1] == {
        "agent": "policy",
        "scenarios": "synthetic",
        "return": -0.5,
    }
    assert len(bundle.golden) == 3
    assert bundle.model_card.startswith("# Model card")
    assert bundle.agent().name == "policy"
    assert bundle.fallback().name == "senpai"


def test_write_bundle__same_inputs_give_the_same_bytes(tmp_path, bundle, members, raw):
    path = tmp_path / "again.gymbal"
    again = write_bundle(
        path, bundle.manifest, members["policy.onnx"], list(bundle.golden), bundle.model_card
    )
    assert path.read_bytes() == raw
    assert again.sha256 == bundle.sha256
    assert [p.name for p in tmp_path.iterdir()] == ["again.gymbal"]


def test_write_bundle__writes_nothing_that_would_be_refused(tmp_path, bundle, members):
    path = tmp_path / "bad.gymbal"
    with pytest.raises(BundleError, match="no golden case"):
        write_bundle(path, bundle.manifest, members["policy.onnx"], [], "card")
    assert list(tmp_path.iterdir()) == []


def test_parse_bundle__refuses_every_changed_byte(raw, bundle):
    rng = np.random.default_rng(0)
    for _ in range(1000):
        changed = mutated(raw, rng)
        if changed != raw:
            with pytest.raises(BundleError):
                parse_bundle(changed)


def test_parse_bundle__resealed_mutants_raise_nothing_else(raw):
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(1000):
        mutant = mutated(raw, rng)
        if mutant.count(b"\n") < 2:
            continue
        try:
            parse_bundle(resealed(mutant))
        except BundleError:
            refused += 1
    assert refused > 800  # the rest changed nothing that has a meaning, such as the model card


def test_parse_bundle__mutated_members_raise_nothing_else(members):
    rng = np.random.default_rng(2)
    for _ in range(400):
        name = MEMBERS[rng.integers(len(MEMBERS))]
        mutant = pack(members | {name: mutated(members[name], rng)})
        try:
            bundle = parse_bundle(mutant)
        except BundleError:
            continue
        assert bundle.codec == Codec(BALLOON, "senpai")  # what still loads still is the same policy
        for case in bundle.golden:
            observation, action = case.arrays()
            np.testing.assert_allclose(bundle.policy(observation), action, atol=1e-5)


WRONG_MANIFESTS = {
    "version 2": lambda m: m.update(format_version=2),
    "unknown field": lambda m: m.update(extra=1),
    "wrong type": lambda m: m.update(max_vms="8"),
    "no VMs": lambda m: m.update(max_vms=0),
    "too many VMs": lambda m: m.update(max_vms=10**9),
    "not a date": lambda m: m.update(created="yesterday"),
    "null": lambda m: m.update(codec=None),
    "fingerprint": lambda m: m.update(fingerprint="0" * 64),
    "no digest": lambda m: m.update(fingerprint="x"),
    "task": lambda m: m.update(task="gymbal/Cache-v0"),
    "no heuristic": lambda m: m.update(heuristic="magic"),
    "other heuristic": lambda m: m.update(heuristic="static"),
    "option": lambda m: m.update(options={"miss_ratio": 0.5}),
    "config": lambda m: m["training_config"].update(seed=8),
    "short range": lambda m: m["training_range"]["vms_low"].pop(),
    "empty range": lambda m: m["training_range"].update(host_low=[9.0] * 6, host_high=[0.0] * 6),
    "sensor": lambda m: m["training_range"].update(measured=["working_set"]),
}


@pytest.mark.parametrize("change", WRONG_MANIFESTS.values(), ids=WRONG_MANIFESTS.keys())
def test_parse_bundle__refuses_wrong_manifest(members, change):
    with pytest.raises(BundleError, match=r"^here: manifest\.json: "):
        parse_bundle(edited(members, change), "here")


def test_parse_bundle__refuses_foreign_codec(members):
    def foreign(manifest: dict[str, Any]) -> None:
        manifest["codec"]["vm_quantities"].reverse()
        manifest["fingerprint"] = content_hash(manifest["codec"])

    with pytest.raises(BundleError, match="codec differs from this runtime's in vm_quantities"):
        parse_bundle(edited(members, foreign))


def test_parse_bundle__refuses_consistent_but_unknown_heuristic(members):
    def foreign(manifest: dict[str, Any]) -> None:
        codec = Codec(BALLOON, "magic", {})
        manifest.update(heuristic="magic", codec=codec.spec(), fingerprint=codec.fingerprint())

    with pytest.raises(BundleError, match="no heuristic 'magic'"):
        parse_bundle(edited(members, foreign))


WRONG_GOLDEN = {
    "other action": lambda g: g[0]["action"][0].__setitem__(0, 0.123),
    "ragged": lambda g: g[1]["vms"][0].pop(),
    "narrow": lambda g: [row.pop() for row in g[0]["vms"][0]],
    "no hosts": lambda g: g[0].update(vms=[], host=[], present=[], action=[]),
    "nobody there": lambda g: g[0].update(present=[[0.0]]),
    "string": lambda g: g[0].update(present="x"),
    "none": lambda g: g.clear(),
}


@pytest.mark.parametrize("change", WRONG_GOLDEN.values(), ids=WRONG_GOLDEN.keys())
def test_parse_bundle__refuses_wrong_golden_cases(members, change):
    with pytest.raises(BundleError):
        parse_bundle(edited(members, change, "golden.json"))


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"\xff\xfe", b"null"])
def test_parse_bundle__garbage_members(members, name, content):
    if name == "MODEL_CARD.md" and content != b"\xff\xfe":
        parse_bundle(pack(members | {name: content}))  # any text is a model card
    else:
        with pytest.raises(BundleError):
            parse_bundle(pack(members | {name: content}))


def test_parse_bundle__refuses_missing_and_extra_members(members):
    with pytest.raises(BundleError, match="it must hold"):
        parse_bundle(pack(members | {"pickle.pkl": b""}))
    with pytest.raises(BundleError, match="it must hold"):
        parse_bundle(pack({k: v for k, v in members.items() if k != "golden.json"}))


def test_parse_bundle__refuses_compressed_members(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in members:
            archive.writestr(name, b"\0" * 10**7)
    with pytest.raises(BundleError, match="compressed"):
        parse_bundle(resealed(b"GYMBAL-BUNDLE 1\n\n" + buffer.getvalue()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a policy bundle"),
        (b"PK\x03\x04", "is not a policy bundle"),
        (b"GYMBAL-BUNDLE 2\n", "format version '2'; this runtime reads version 1"),
        (b"GYMBAL-BUNDLE 1", "format version '1'"),
        (b"GYMBAL-BUNDLE 1\n", "was changed or cut"),
        (b"\0" * (MAX_BYTES + 1), "is larger than"),
    ],
)
def test_read_bundle__message_names_the_file(tmp_path, content, message):
    path = tmp_path / "wrong.gymbal"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_read_bundle__no_such_file(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        read_bundle(tmp_path / "none")
    with pytest.raises(BundleError, match="directory"):
        read_bundle(tmp_path)

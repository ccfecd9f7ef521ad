"""Reference streams of real programs for `shared_llc.py`, recorded under QEMU as it starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from gymbal_envs.profiling import plugin
from gymbal_envs.profiling.lru import Stream, read_recording
from gymbal_envs.profiling.tracer import Recording, TraceOptions, trace

RECORDED_REFS = 10_000_000
SKIPPED_REFS = 60_000_000  # start-up and reading the input
TEXT_BYTES = 20_000_000

LOOKUPS = """
import bisect, itertools, random
random.seed(2)
size = 50_000
shares = list(itertools.accumulate((i + 1) ** -0.99 for i in range(size)))
store = {key: b"%0100d" % key for key in random.sample(range(size), size)}
keys = list(store)
while True:
    key = keys[bisect.bisect_left(shares, random.random() * shares[-1])]
    store[key] = b"%0100d" % len(store[key])
"""
QUERIES = """
CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, v TEXT);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 30000)
  INSERT INTO t SELECT x, x * 7919 % 1000003, hex(randomblob(40)) FROM c;
CREATE INDEX by_k ON t(k);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10000000)
  SELECT count(t.id) FROM c JOIN t ON t.id = abs(random()) % 30000 + 1;
"""


def record_all(folder: Path) -> list[Stream]:
    """A stream of each program that is there and runs long enough; `TracerError` without QEMU."""
    text = folder / "text"
    write_text(text)
    streams = []
    for name, command in commands(text).items():
        if shutil.which(command[0]) is None:
            continue
        path = folder / name
        done = trace(
            command,
            TraceOptions(
                max_refs=SKIPPED_REFS + RECORDED_REFS,
                recording=Recording(path, RECORDED_REFS, SKIPPED_REFS),
                curves=False,
            ),
        )
        if done.recorded == RECORDED_REFS:
            streams.append(read_recording(path, name))
        path.unlink()
    return streams


def commands(text: Path) -> dict[str, list[str]]:
    python = str(Path(sys.executable).resolve())
    found = {
        "gzip": ["gzip", "-c", "-6", str(text)],
        "xz": ["xz", "-c", "-6", "-T1", str(text)],
        "sort": ["sort", "--parallel=1", "-S", "300M", str(text)],
        "python": [python, "-S", "-c", LOOKUPS],
        "sqlite": ["sqlite3", ":memory:", QUERIES],
    }
    gcc = shutil.which("gcc")
    if gcc:
        source = Path(plugin.__file__).with_name("plugin.c")
        preprocessed = text.with_suffix(".i")
        subprocess.run([gcc, "-E", "-DPLUGIN_API=1", source, "-o", preprocessed], check=True)
        asked = subprocess.run([gcc, "-print-prog-name=cc1"], capture_output=True, check=True)
        compiler = asked.stdout.decode().strip()  # gcc itself only starts it
        options = ["-quiet", "-O3", "-fpreprocessed", "-o", "/dev/null"]
        found["cc1"] = [compiler, *options, str(preprocessed)]
    return found


def write_text(path: Path) -> None:
    """Python's own sources, one after the other: text that every machine of a version has."""
    with path.open("wb") as text:
        for source in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
            text.write(source.read_bytes())
            if text.tell() >= TEXT_BYTES:
                return

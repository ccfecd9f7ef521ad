"""Coverage-guided fuzzing of everything that reads what others wrote.

    pip install atheris
    python benchmarks/fuzz.py exposition --minutes 10

Inputs that raise anything undocumented, take 10 s of CPU time or 1 GB of memory are kept as
``outputs/fuzz/TARGET/crash-*`` and so on; give one as ``--replay FILE`` to see it again. The
corpus grows in ``outputs/fuzz/TARGET/corpus``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gymbal_runtime", "prometheus_client", "zipfile"]):
    from fuzz_targets import TARGETS

OUTPUTS = Path(__file__).resolve().parents[1] / "outputs/fuzz"
SLOWEST_S = 10.0
HANGS_S = 300
"""Of wall time: a busy machine is slow, a hang is for ever."""
MOST_MIB = 1024
LONGEST = 1 << 17


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--replay", type=Path)
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    if arguments.replay:
        target.call(arguments.replay.read_bytes())
        return
    folder = OUTPUTS / arguments.target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    words = folder / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    options = [
        f"-dict={words}",
        f"-max_total_time={arguments.minutes * 60:.0f}",
        f"-timeout={HANGS_S}",
        f"-rss_limit_mb={MOST_MIB}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    ]

    def call(data: bytes) -> None:
        started_s = time.process_time()
        target.call(data)
        taken_s = time.process_time() - started_s
        if taken_s > SLOWEST_S:
            raise TimeoutError(f"{taken_s:.1f} s of CPU time for {len(data)} bytes")

    atheris.Setup([sys.argv[0], *options, str(corpus)], call)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

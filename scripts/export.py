"""Export a trained run to one bundle.

Usage: python scripts/export.py RUN [--checkpoint STEP] [--option NAME=VALUE] [--out FILE]

Corrections are relative to what the heuristic says. With --option the policy corrects it with other
options than in training: that moves it along the heuristic's own line, towards less energy, say.

RUN is the folder of a training run. Without --checkpoint the final model is exported, which is the
one that did best on validation scenarios. Evaluate the bundle with scripts/evaluate.py policy=FILE.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def parse_arguments() -> argparse.Namespace:
    """What to export and where to."""
    paragraphs = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(description=paragraphs[0], epilog=paragraphs[-1])
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("--checkpoint", type=int, help="decisions learned from; default: the end")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the heuristic that is corrected, other than in training; may be repeated",
    )
    parser.add_argument("--out", type=Path, help="bundle to write; default RUN/policy.gymbal")
    parser.add_argument("--card", type=Path, help="Markdown file to use as the model card")
    return parser.parse_args()


def main() -> None:
    """Load, export, check, say what was written."""
    arguments = parse_arguments()
    from gymbal_agents.config import with_options
    from gymbal_agents.errors import plain_errors
    from gymbal_agents.export import export_policy
    from gymbal_agents.run_folder import RunFolder
    from gymbal_agents.torch_policy import network_of

    with plain_errors():
        folder = RunFolder(arguments.run)
        config = with_options(folder.load_config(), arguments.option)
        path = folder.model_at(arguments.checkpoint)
        card = "# Policy without a model card\n\nEvaluate it with scripts/evaluate.py.\n"
        bundle = export_policy(
            network_of(path),
            config,
            arguments.out or folder.bundle,
            seeds=[config.seed],
            evaluation=[],
            model_card=arguments.card.read_text() if arguments.card else card,
        )
    print(f"wrote {arguments.out or folder.bundle} from {path}, sha256 {bundle.sha256[:16]}")


if __name__ == "__main__":
    main()

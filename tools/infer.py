"""Predict images or videos with a trained model.

    python tools/infer.py CONFIG CHECKPOINT photo.jpg folder/ --out predictions

For poses, add --det DET_CONFIG --det-checkpoint FILE to look at each person's box.
Writes DIR/predictions.json, with one entry for each input, and DIR/pictures. Inputs
that cannot be read are skipped, counted and listed. Works for configs of every task:
the config's library and test pipeline decide.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import report_errors
from projects.common.infer import add_options, build_predictor, report, run
from projects.common.options import base_parser, read_config


def main() -> None:
    """Parse the command line, predict, write json and pictures."""
    parser = base_parser(__doc__, checkpoint=True)
    add_options(parser)
    args = parser.parse_args()
    with report_errors(args.debug):
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options)
        predictor = build_predictor(cfg, args)
        report(predictor, args, *run(predictor, args.inputs, args.debug))


if __name__ == '__main__':
    main()

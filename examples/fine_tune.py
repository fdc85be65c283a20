"""Fine-tune a published network on your own photos, one folder per class, and classify other photos.

    python examples/fine_tune.py photos/ --predict new/

`photos/` holds `train/CLASS/` and `val/CLASS/`, or only `CLASS/` folders, a fifth of which is held out for
validation.
"""

from __future__ import annotations

import argparse

import netspec


def main() -> None:
    """Train, evaluate and predict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("--network", default="resnet18", metavar="SPEC")
    parser.add_argument("--weights", default="IMAGENET1K_V1", help="'none' starts from random weights")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--predict", nargs="*", default=[], metavar="PHOTO")
    options = parser.parse_args()

    run = netspec.train(
        options.network,
        data=f"folder:{options.photos}",
        weights=None if options.weights == "none" else options.weights,
        epochs=options.epochs,
        lr=options.lr,
        batch=16,
    )
    evaluation = netspec.evaluate(run)
    print(
        f"{evaluation.score.top1_error:.1%} of {evaluation.score.images} validation images are misclassified"
    )
    for wrong in evaluation.worst_confusions(3):
        print(wrong)
    for prediction in netspec.predict(run, options.predict, top=1):
        print(prediction.path, prediction.error or prediction.classes[0])


if __name__ == "__main__":
    main()

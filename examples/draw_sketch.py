"""Sketch a network as text, check it, and draw it.

python examples/draw_sketch.py sketch.svg       # or .dot, which needs no Graphviz
"""

from __future__ import annotations

import sys

import netspec

SKETCH = """
network Sketch(classes = 10, width = 32)

input image: 3x32x32

block Residual(channels) {
  add {
    { conv(channels, 3, padding=1); batchnorm; relu; conv(channels, 3, padding=1); batchnorm }
    identity
  }
  relu
}

stem: { conv(width, 3, padding=1); batchnorm; relu }
body: { repeat 3 { Residual(width) } }
head: { adaptive_avgpool(1); flatten; linear(classes) }
"""


def main() -> None:
    """Draw the sketch to the file named on the command line; exit with its errors, if it has any."""
    try:
        network = netspec.load(SKETCH)
    except netspec.SpecError as error:
        sys.exit(str(error))
    print(network.table(depth=1))
    print("drawn in", network.draw(sys.argv[1]))


if __name__ == "__main__":
    main()

"""Compare networks of the zoo, or specs of your own: parameters, MACs and published accuracy, smallest first.

python examples/compare_networks.py resnet18 mobilenet_v2 efficientnet_b0
"""

from __future__ import annotations

import argparse

import netspec


def main() -> None:
    """Print one row per network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("specs", nargs="+", metavar="SPEC")
    networks = [netspec.load(spec) for spec in parser.parse_args().specs]
    print(f"{'network':20} {'parameters':>12} {'GMACs':>7} {'top-1':>8}")
    for network in sorted(networks, key=lambda network: network.net.totals.params):
        totals = network.net.totals
        results = network.card.results if network.card else ()
        top1 = max((result.top1 for result in results if result.top1 is not None), default=None)
        accuracy = "" if top1 is None else f"{top1:.2f} %"
        print(f"{network.spec:20} {totals.params:12,} {totals.macs / 1e9:7.2f} {accuracy:>8}")


if __name__ == "__main__":
    main()

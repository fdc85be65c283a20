"""Graph algorithms on a network with networkx: its depth, and the layers that all of its data passes through.

    python examples/network_depth.py googlenet

Depth is counted as papers count it: the convolutions and linear layers on the longest path.
"""

from __future__ import annotations

import argparse

import networkx

import netspec
from netspec import Net

COUNTED = ("conv", "linear")


def longest_chain(net: Net) -> list[str]:
    """Return the names of the counted layers on the longest path."""
    graph = net.digraph()
    for _, target, attributes in graph.edges(data=True):
        attributes["weight"] = int(net.nodes[target].op.keyword in COUNTED)
    path = [net.nodes[i] for i in networkx.dag_longest_path(graph)]
    return [node.name for node in path if node.op.keyword in COUNTED]


def layers_on_every_path(net: Net) -> list[str]:
    """Return the names of the layers on every path from the input to the output."""
    first, last = net.inputs[0].id, net.outputs[0].node
    dominators = networkx.immediate_dominators(net.digraph(), first)
    found = [last]
    while found[-1] != first:
        found.append(dominators[found[-1]])
    return [net.nodes[i].name for i in reversed(found)]


def main() -> None:
    """Print both for one network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("spec", metavar="SPEC")
    net = netspec.load(parser.parse_args().spec).net
    chain = longest_chain(net)
    print(f"{net.name} is {len(chain)} layers deep: {' -> '.join(chain)}")
    print(f"All data passes through: {', '.join(layers_on_every_path(net))}")


if __name__ == "__main__":
    main()

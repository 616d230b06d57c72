"""A Ray cluster of two nodes, on loopback, in a process of its own: nodes are forked, after which JAX may hang.

`python -m tests.jobs.nodes` prints its address; for each line that it reads it adds a node and prints its process.
"""

import sys

from experiments.killed import cluster

if __name__ == "__main__":
    with cluster(2) as one:
        print(one.address, flush=True)
        for _ in sys.stdin:
            node = one.add_node(num_cpus=1, object_store_memory=80 << 20)
            print(node.all_processes["raylet"][0].process.pid, flush=True)

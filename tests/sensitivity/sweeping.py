"""One sweep of relevance over a program, and a quick way to get one."""

from itertools import pairwise
from types import SimpleNamespace

from torch.utils._pytree import tree_leaves

from mpsearch.graph.execute import Program, measure_shapes
from mpsearch.graph.layers import find_layers
from mpsearch.graph.record import record
from mpsearch.graph.tidy import tidy
from mpsearch.graph.trace import Traced, digraph, first_tensor
from mpsearch.sensitivity.relevance.propagate import propagate, start


class Swept:
    """One sweep over a captured model: relevance of its inputs and sites, and of the output."""

    def __init__(self, caught, args, rules, *, cuts=(), seed=None):
        self.program, self.sites, self.visited = caught.program, {}, []
        self.values = all_values(self.program, args)
        leaves = tree_leaves(self.program.nodes[-1].args[0])
        output = first_tensor([self.values[leaf] for leaf in leaves])
        place = next(leaf for leaf in leaves if self.values[leaf] is output)
        self.start = start(output) if seed is None else seed
        self.left = {place: self.start}
        edges = [0, *cuts, len(self.program.nodes)]
        for first, last in reversed(list(pairwise(edges))):
            here = set(self.program.nodes[first:last])
            read = here.union(*(node.all_input_nodes for node in here))
            values = {node: self.values[node] for node in read if node in self.values}
            propagate(self.program, first, last, values, self.left, rules, self.visit)

    def visit(self, site, relevance):
        self.visited.append(site)
        assert relevance.shape == self.values[site.node].shape
        assert relevance.isfinite().all()
        self.sites[site.node.name] = relevance

    @property
    def input(self):
        """Relevance of the model's (first) input; nothing else is left."""
        assert all(node.op == "placeholder" for node in self.left)
        return next(iter(self.left.values()))



def all_values(program, args):
    env, found = program.start(args), {}
    for place in range(len(program.nodes) - 1):
        found.update(env)
        program.advance(env, place, place + 1)
    return found | env


def recorded(module, args):
    """One run of *module* as a program with its sites; much quicker to get than an export."""
    graph = record(module.eval().requires_grad_(False), args)
    tidy(graph)
    names = {node.name: (str(node.target),) for node in graph.graph.nodes if node.op == "get_attr"}
    traced = Traced(program=graph, graph=digraph(graph), parameters=names, batch=len(args[0]),
                    notes=())
    sites = find_layers(traced, measure_shapes(Program(traced), args)).sites
    return SimpleNamespace(program=Program(traced, sites))


def swept(module, args, rules, **options):
    """A sweep over a recorded *module* in double precision."""
    args = tuple(arg.double() for arg in args)
    return Swept(recorded(module.double(), args), args, rules, **options)

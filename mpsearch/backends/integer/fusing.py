"""Finds operations of a graph that run together; the rest run by themselves, with the same bits.

* a linear layer and the GELU after it, and the codes of the layers that read that;
* a linear layer and the addition of its residual branch;
* a layer norm and the codes of the layers that read it;
* attention in integers, and the codes of the layer behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch.fx import Node

from mpsearch.backends.functions import is_gelu, is_layer_norm
from mpsearch.backends.integer.codes import IntegerCoder, Once
from mpsearch.backends.integer.followed import (
    Followed,
    IntAttention,
    NormCodes,
    Turned,
    added,
    all_float32,
    passed,
)
from mpsearch.backends.integer.linear import IntLinear
from mpsearch.backends.integer.matmul import IntMatmul
from mpsearch.backends.integer.site import IntegerSite
from mpsearch.graph.execute import ANY_STRIDES, Program
from mpsearch.graph.operations import argument
from mpsearch.kernels.coding import Coding

Functions = Mapping[Node, Callable[..., Any]]
_ADD = "aten.add.Tensor"
_VIEWS = frozenset({"aten.transpose.int", "aten.permute.default", "aten.view.default",
                    "aten._unsafe_view.default", "aten.reshape.default",
                    "aten.flatten.using_ints", "aten.unflatten.int"})
_MASK = 3


@dataclass(kw_only=True, slots=True)
class Fusing:
    """Puts together what *sites* and *functions* of a program run; *fixed* additions are left.

    *instead* is what runs for nodes that are no sites.
    """

    program: Program
    sites: dict[Node, IntegerSite]
    functions: Functions
    fixed: frozenset[Node]
    instead: dict[Node, Callable[..., Any]] = field(default_factory=dict)

    def all(self) -> None:
        """Fuse whatever can be."""
        self.instead.update(self.functions)
        if not all_float32(self.program.parameters.values()):
            return
        for node in self.functions:
            coding = self._coding(node)
            if is_layer_norm(node) and coding is not None:
                self.instead[node] = NormCodes(coding=coding)
        for node, site in list(self.sites.items()):
            run = site.runs[0]
            if len(site.calls) > 1:
                self._attention(node, site)
            elif isinstance(run, IntLinear) and run.one_matrix and not node.kwargs:
                self._linear(node, site, run)
        self._once()

    def _linear(self, node: Node, site: IntegerSite, run: IntLinear) -> None:
        after = self._only_user(node)
        coding = self._static(node)
        if coding is not None:
            made = Followed(run=run, coding=coding)
        elif after is not None and is_gelu(self.functions.get(after)):
            made = Followed(run=run, gelu=True, coding=self._static(after))
            self.instead[after] = passed
        elif after is not None and self._adds(after):
            made = Followed(run=run, waits=True)
            self.instead[after] = added
        else:
            return
        self.sites[node] = replace(site, runs=(made,))

    def _adds(self, node: Node) -> bool:
        """Whether *node* is a plain addition of two values of the graph."""
        return (str(node.target) == _ADD and not node.kwargs and node not in self.fixed
                and all(isinstance(arg, Node) for arg in node.args)
                and node.args[0] is not node.args[1])

    def _attention(self, node: Node, site: IntegerSite) -> None:
        codings = [_coding_of(coder) for run in site.runs if isinstance(run, IntMatmul)
                   for coder in (run.left, run.right)]
        whole = [each for each in codings if each is not None]
        if len(whole) != 4 or argument(node, _MASK) is not None or _odd(node):  # noqa: PLR2004
            return
        out, views = self._behind(node)
        for view in views:
            self.instead[view] = Turned(view=ANY_STRIDES.get(view.target, view.target))
        self.sites[node] = replace(site, whole=IntAttention(
            codings=(whole[0], whole[1], whole[2], whole[3]), out=out))

    def _behind(self, node: Node) -> tuple[Coding | None, list[Node]]:
        """The codes that are read behind *views* of *node*, and these."""
        views: list[Node] = []
        while self._static(node) is None:
            after = self._only_user(node)
            if after is None or str(after.target) not in _VIEWS or after.args[0] is not node:
                return None, []
            views.append(after)
            node = after
        return self._static(node), views

    def _static(self, node: Node) -> Coding | None:
        """`_coding`, if it has one scale."""
        found = self._coding(node)
        return found if found is not None and found.static else None

    def _coding(self, node: Node) -> Coding | None:
        """How all users of *node* code it; None where they do not, or not alike."""
        found = [self._reads(user, node) for user in node.users]
        first = found[0] if found else None
        alike = first is not None and all(each is not None and first.same(each) for each in found)
        return first if alike else None

    def _reads(self, user: Node, node: Node) -> Coding | None:
        """How *user* codes *node*, if that is all it does with it."""
        site = self.sites.get(user)
        run = site.runs[0] if site is not None and len(site.calls) == 1 else None
        run = run.run if isinstance(run, Followed) else run
        if not isinstance(run, IntLinear) or not run.one_matrix or user.args[run.place] is not node:
            return None
        once = [arg is node for arg in user.args].count(True) == 1
        return _coding_of(run.coder) if once else None

    def _only_user(self, node: Node) -> Node | None:
        users = list(node.users)
        return users[0] if len(users) == 1 else None

    def _once(self) -> None:
        """One set of codes for layers that read the same numbers alike."""
        for node in self.program.nodes:
            found = {user: self._reads(user, node) for user in node.users}
            readers = {user: coding for user, coding in found.items() if coding is not None}
            while readers:
                first = next(iter(readers.values()))
                alike = [user for user, coding in readers.items() if first.same(coding)]
                readers = {user: own for user, own in readers.items() if user not in alike}
                if len(alike) > 1:
                    self._share(alike, Once(coding=first))

    def _share(self, users: Sequence[Node], once: Once) -> None:
        for user in users:
            site = self.sites[user]
            run: Any = site.runs[0]
            own = (replace(run, run=replace(run.run, coder=once)) if isinstance(run, Followed)
                   else replace(run, coder=once))
            self.sites[user] = replace(site, runs=(own,))


def _odd(node: Node) -> bool:
    """Whether attention does more than one call does: dropout, shared heads."""
    dropout = argument(node, _MASK + 1)
    return bool(dropout) or bool(node.kwargs.get("enable_gqa"))


def _coding_of(coder: Any) -> Coding | None:
    return coder.coding if isinstance(coder, IntegerCoder) else None

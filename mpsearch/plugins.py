"""Plug-ins by name: built-in ones as strings, others through entry points.

An object is imported only when its name is asked for, so that listing names costs nothing and
choosing an allocator never imports torch.
"""

from __future__ import annotations

import re
from ast import literal_eval
from dataclasses import Field, fields
from typing import Any

from mpsearch.core.entries import announced, imported
from mpsearch.core.errors import BadInput, UnknownName

BUILTIN: dict[str, dict[str, str]] = {
    "estimator": {
        "weight_error": "mpsearch.sensitivity.weight_error:WeightError",
        "output_error": "mpsearch.sensitivity.output_error:OutputError",
        "sqnr": "mpsearch.sensitivity.sqnr:Sqnr",
        "gradient": "mpsearch.sensitivity.gradient:Gradient",
        "fisher_diag": "mpsearch.sensitivity.fisher_diag:FisherDiag",
        "fisher": "mpsearch.sensitivity.fisher:Fisher",
        "gauss_newton": "mpsearch.sensitivity.gauss_newton:GaussNewton",
        "lrp": "mpsearch.sensitivity.lrp:Lrp",
        "kfac": "mpsearch.sensitivity.kfac:Kfac",
        "gptq_loss": "mpsearch.sensitivity.gptq_loss:GptqLoss",
        "hessian_trace": "mpsearch.sensitivity.hessian_trace:HessianTrace",
        "hessian_top": "mpsearch.sensitivity.hessian_top:HessianTop",
        "aph": "mpsearch.sensitivity.aph:Aph",
        "aumann_shapley": "mpsearch.sensitivity.aumann_shapley:AumannShapley",
        "kl_probe": "mpsearch.sensitivity.kl_probe:KlProbe",
        "metric_probe": "mpsearch.sensitivity.metric_probe:MetricProbe",
        "decoupled": "mpsearch.sensitivity.decoupled:Decoupled",
        "skip": "mpsearch.sensitivity.skip:Skip",
        "logit_gram": "mpsearch.sensitivity.logit_gram:LogitGram",
    },
    "engine": {
        "weights": "mpsearch.sensitivity.weights:WeightsEngine",
        "replay": "mpsearch.sensitivity.replay:ReplayEngine",
        "moments": "mpsearch.sensitivity.second_moments:MomentsEngine",
        "curvature": "mpsearch.sensitivity.curvature:CurvatureEngine",
        "power": "mpsearch.sensitivity.power:PowerEngine",
        "tail": "mpsearch.sensitivity.tail:TailEngine",
        "path": "mpsearch.sensitivity.path:PathEngine",
        "probe": "mpsearch.sensitivity.probe:ProbeEngine",
    },
    "metric": {
        "kl": "mpsearch.metrics:kl",
        "top1": "mpsearch.metrics:disagreement",
        "cosine": "mpsearch.metrics:cosine",
        "sqnr": "mpsearch.metrics:noise",
        "ssim": "mpsearch.metrics:dissimilarity",
    },
    "allocator": {
        "ilp": "mpsearch.allocation.ilp:Ilp",
        "hull": "mpsearch.allocation.hull:Hull",
        "dynamic": "mpsearch.allocation.dynamic:Dynamic",
        "greedy": "mpsearch.allocation.greedy:Greedy",
        "waterfill": "mpsearch.allocation.waterfill:Waterfill",
        "relaxed": "mpsearch.allocation.relaxed:Relaxed",
        "coupled": "mpsearch.allocation.coupled:Coupled",
    },
    "quantizer": {
        "int": "mpsearch.quantizers.uniform:Uniform",
        "float": "mpsearch.quantizers.floating:Float",
        "normal_float": "mpsearch.quantizers.normal_float:NormalFloat",
        "lloyd": "mpsearch.quantizers.lloyd:Lloyd",
        "vector": "mpsearch.quantizers.codewords:Codewords",
        "product": "mpsearch.quantizers.codewords:Codewords",
        "trellis": "mpsearch.quantizers.trellis.quantizer:Trellis",
        "twin_log": "mpsearch.quantizers.twin_log:TwinLog",
        "outlier_split": "mpsearch.quantizers.outlier_split:OutlierSplit",
        "sparse24": "mpsearch.quantizers.sparse24:Sparse24",
        "log2": "mpsearch.quantizers.log2:Log2",
        "log_sqrt2": "mpsearch.quantizers.log_sqrt2:LogSqrt2",
        "sulq": "mpsearch.quantizers.sulq:Sulq",
        "adalog": "mpsearch.quantizers.adalog:AdaLog",
        "tan": "mpsearch.quantizers.tan:Tan",
        "two_region": "mpsearch.quantizers.two_region:TwoRegion",
        "outlier_inputs": "mpsearch.quantizers.outlier_inputs:OutlierInputs",
    },
    "backend": {
        "simulated": "mpsearch.backends.simulated:Simulated",
        "integer": "mpsearch.backends.integer.backend:Integer",
        "integer_only": "mpsearch.backends.integer_only.backend:IntegerOnly",
    },
    "provider": {
        "float": "mpsearch.backends.timed_float:FloatTimes",
        "simulated": "mpsearch.backends.timed_simulated:SimulatedTimes",
        "integer": "mpsearch.backends.timed_integer:IntegerTimes",
    },
}

_SWITCH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def names(kind: str) -> list[str]:
    """Every name that plug-ins of *kind* answer to."""
    return sorted({**announced(kind), **BUILTIN[kind]})


def known(kind: str, name: str) -> bool:
    """Whether a plug-in of *kind* answers to *name*."""
    return name in BUILTIN[kind] or name in announced(kind)


def require(kind: str, name: str) -> None:
    """Check a name without importing what it stands for.

    Raises:
        UnknownName: nothing of that kind has the name.
    """
    if not known(kind, name):
        raise UnknownName(kind, name, names(kind))


def load(kind: str, name: str) -> Any:
    """The object registered as *name*.

    Raises:
        UnknownName: nothing of that kind has the name.
    """
    require(kind, name)
    return imported(BUILTIN[kind].get(name) or announced(kind)[name])


def make(kind: str, text: str) -> Any:
    """The plug-in that *text* asks for, with its settings: ``name`` or ``name(key=value, …)``.

    Raises:
        UnknownName: nothing of that kind has the name.
        BadInput: it has no such setting, or the value is of another type than the default.
    """
    name, settings = _parsed(text)
    plugin = load(kind, name)
    own = {each.name: each for each in fields(plugin)}
    given: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in own:
            has = f"its settings are {', '.join(own)}" if own else "it has no settings"
            raise BadInput(f"the {kind} '{name}' has no setting '{key}': {has}")
        given[key] = _value(kind, name, own[key], value)
    return plugin(**given)


def canonical(kind: str, text: str) -> str:
    """*text* in one spelling: the name, and the settings that are not the defaults, in order."""
    name, plugin = _parsed(text)[0], make(kind, text)
    changed = [f"{each.name}={getattr(plugin, each.name)}" for each in fields(plugin)
               if getattr(plugin, each.name) != each.default]
    return f"{name}({','.join(changed)})" if changed else name


def base_name(text: str) -> str:
    """The name in *text*, without settings."""
    return _parsed(text)[0]


def listed(text: str) -> list[str]:
    """The items of a list separated by commas, those within parentheses not counted."""
    return [item.strip() for item in re.split(r",(?![^(]*\))", text) if item.strip()]


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    found = re.fullmatch(r"\s*([^()]*?)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if found is None:
        raise BadInput(f"'{text}' is not a name or name(key=value): check its parentheses")
    pairs = [item.partition("=") for item in listed(found[2] or "")]
    if not all(equals for _, equals, _ in pairs):
        raise BadInput(f"'{text}': settings are written key=value, separated by commas")
    return found[1], {key.strip(): value.strip() for key, _, value in pairs}


def _choices(annotation: Any) -> tuple[Any, ...]:
    """What a setting may be, if its type is a Literal; annotations are strings as a rule."""
    found = re.fullmatch(r"Literal\[(.*)\]", str(annotation).removeprefix("typing."))
    return literal_eval(f"({found[1]},)") if found else ()


def _value(kind: str, name: str, setting: Field[Any], text: str) -> Any:
    key, default, choices = setting.name, setting.default, _choices(setting.type)
    if choices and text not in map(str, choices):
        raise BadInput(f"the {kind} '{name}' takes one of {', '.join(map(str, choices))} as "
                       f"'{key}', not '{text}'")
    if default is None:
        if text.lower() == "none":
            return None
        default = 0.0  # what may be left open is a number
    if isinstance(default, bool):
        if text.lower() not in _SWITCH:
            raise BadInput(f"the {kind} '{name}' takes true or false as '{key}', not '{text}'")
        return _SWITCH[text.lower()]
    try:
        kind_of: Any = type(default)
        return kind_of(text)
    except ValueError as error:
        raise BadInput(f"the {kind} '{name}' takes a {type(default).__name__} as '{key}', not "
                       f"'{text}'") from error

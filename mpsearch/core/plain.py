"""Products as plain data and back, by the types of their fields: quick, and strict about them.

What does not fit to the letter is not judged here: `io` then asks pydantic, whose word is final.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mpsearch.core.formats import Format, registry

Reader = Callable[[Any], Any]


class Unfit(Exception):
    """Plain data that is not of the type asked for to the letter, or a type unknown here."""


def written(value: Any) -> Any:
    """*value* as dictionaries, lists, text and numbers.

    Raises:
        Unfit: something in it is neither a product nor plain.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is tuple or kind is list:
        return list(value) if set(map(type, value)) <= _ATOMS else [written(v) for v in value]
    if kind is dict:
        if set(map(type, value)) - {str}:
            raise Unfit(kind)
        return {key: written(each) for key, each in value.items()}
    if not is_dataclass(kind):
        raise Unfit(kind)
    return {name: written(getattr(value, name)) for name in _names(kind)}


@cache
def reader(kind: Any) -> Reader:
    """What makes a value of type *kind* from plain data; it raises `Unfit` where that is not one.

    Raises:
        Unfit: the type is not made of products, containers and plain values.
    """
    if kind is Any:
        return _same
    if kind in _READERS:
        return _READERS[kind]
    if kind is Format:
        return _format
    made = _READERS_OF.get(get_origin(kind))
    if made is not None:
        return made(*get_args(kind))
    if isinstance(kind, type) and is_dataclass(kind):
        return _product(kind)
    raise Unfit(kind)


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _format(data: Any) -> Format:
    if type(data) is not dict or type(data.get("kind")) is not str:
        raise Unfit(data)
    asked: Any = registry.format_class(data["kind"])
    return reader(asked)(data)  # type: ignore[no-any-return]


def _same(data: Any) -> Any:
    return data


def _exactly(kind: type) -> Reader:
    def read(data: Any) -> Any:
        if type(data) is not kind:
            raise Unfit(data)
        return data
    return read


def _number(data: Any) -> float:
    if type(data) not in _NUMBERS:
        raise Unfit(data)
    try:
        return float(data)
    except OverflowError as error:
        raise Unfit(data) from error


def _numbers(data: list[Any]) -> list[float]:
    kinds = set(map(type, data))
    if not kinds <= _NUMBERS:
        raise Unfit(data)
    return data if kinds <= {float} else [_number(each) for each in data]


def _items(kind: Any) -> Reader:
    if kind is float:
        return _numbers
    read = reader(kind)
    return lambda data: [read(each) for each in data]


def _list(kind: Any) -> Reader:
    whole, items = _exactly(list), _items(kind)
    return lambda data: items(whole(data))


def _tuple(*kinds: Any) -> Reader:
    whole = _exactly(list)
    if kinds[-1] is Ellipsis:
        items = _items(kinds[0])
        return lambda data: tuple(items(whole(data)))
    readers = [reader(kind) for kind in kinds]

    def read(data: Any) -> Any:
        if len(whole(data)) != len(readers):
            raise Unfit(data)
        return tuple(one(each) for one, each in zip(readers, data, strict=True))
    return read


def _dict(key: Any, kind: Any) -> Reader:
    whole, one = _exactly(dict), reader(kind)
    if key is not str:
        raise Unfit(key)
    return lambda data: {name: one(each) for name, each in whole(data).items()}


def _literal(*values: Any) -> Reader:
    def read(data: Any) -> Any:
        if not any(type(data) is type(value) and data == value for value in values):
            raise Unfit(data)
        return data
    return read


def _union(*kinds: Any) -> Reader:
    readers = [reader(kind) for kind in kinds]

    def read(data: Any) -> Any:
        found = [made for made in (_tried(one, data) for one in readers) if made is not Unfit]
        if len(found) != 1:
            raise Unfit(data)
        return found[0]
    return read


def _tried(read: Reader, data: Any) -> Any:
    try:
        return read(data)
    except Unfit:
        return Unfit


def _product(kind: Any) -> Reader:
    try:
        hints = get_type_hints(kind)
    except NameError as error:
        raise Unfit(kind) from error
    readers = {name: reader(hints[name]) for name in _names(kind)}
    needed = {field.name for field in fields(kind)
              if field.default is MISSING and field.default_factory is MISSING}

    def read(data: Any) -> Any:
        if type(data) is not dict or not needed <= data.keys() <= readers.keys():
            raise Unfit(data)
        return kind(**{name: readers[name](each) for name, each in data.items()})
    return read


_ATOMS = {str, int, float, bool, NoneType}
_NUMBERS = {int, float}
_READERS: dict[Any, Reader] = {
    float: _number, **{kind: _exactly(kind) for kind in (str, int, bool, NoneType)},
    type(None): _exactly(NoneType)}
_READERS_OF: dict[Any, Callable[..., Reader]] = {
    tuple: _tuple, list: _list, dict: _dict, Literal: _literal, Union: _union, UnionType: _union}

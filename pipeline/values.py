"""Values as bytes and back, for snapshots: the types come from this program, never from the bytes.

Dataclasses, NamedTuples, tuples, lists, str, int, float, bool, None and float32 arrays are written by their annotated
types, and read only if the bytes fit those. Nothing that is read can name a class or run anything.
"""

import json
import struct
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

Plain = Any  # what JSON has


def to_bytes(value: Any, kind: Any, any_is: type) -> bytes:
    """A value of the annotated type `kind`, in which `any_is` stands for Any.

    Raises:
        TypeError: the value, or a part of it, is not what its annotation says.
    """
    arrays: list[bytes] = []
    text = json.dumps(_to_plain(value, kind, any_is, arrays), ensure_ascii=True, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *arrays])


def from_bytes(data: bytes, kind: Any, any_is: type) -> Any:
    """What `to_bytes` was given.

    Raises:
        ValueError: the bytes do not make such a value.
    """
    try:
        (length,) = struct.unpack_from("<I", data)
        plain = json.loads(data[4 : 4 + length])
        rest = memoryview(data)[4 + length :]
        value, rest = _from_plain(plain, kind, any_is, rest)
    except (struct.error, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if len(rest):
        raise ValueError(f"{len(rest)} bytes too many")
    return value


def layout(kind: Any, any_is: type) -> str:
    """The type in full: two programs whose layouts are equal understand each other's bytes."""
    if kind is Any:
        return layout(any_is, any_is)
    if parts := _record(kind):
        return f"{kind.__name__}({','.join(f'{name}:{layout(part, any_is)}' for name, part in parts)})"
    if _is_array(kind):
        return "float32[]"
    if arguments := get_args(kind):
        name = "|" if _is_union(kind) else get_origin(kind).__name__
        return f"{name}[{','.join('...' if part is ... else layout(part, any_is) for part in arguments)}]"
    return str(kind.__name__)


def _to_plain(value: Any, kind: Any, any_is: type, arrays: list[bytes]) -> Plain:
    if kind is Any:
        kind = any_is
    if _is_array(kind):
        if not isinstance(value, np.ndarray) or value.dtype != np.float32:
            raise TypeError(f"an array of float32 was expected, not {value!r}")
        arrays.append(value.astype("<f4").tobytes())
        return list(value.shape)
    if _is_union(kind):
        if value is None:
            return None
        return [_to_plain(value, _not_none(kind), any_is, arrays)]
    if parts := _record(kind):
        if type(value) is not kind:
            raise TypeError(f"{kind.__name__} was expected, not {value!r}")
        return [_to_plain(getattr(value, name), part, any_is, arrays) for name, part in parts]
    if get_origin(kind) in (tuple, list):
        if not isinstance(value, get_origin(kind)):
            raise TypeError(f"{kind} was expected, not {value!r}")
        return [_to_plain(*pair, any_is, arrays) for pair in zip(value, _items(kind, len(value)), strict=True)]
    if isinstance(value, int if kind is int else (int, float) if kind is float else kind):
        return float(value) if isinstance(value, float) else value  # NumPy's float64 is a float as well
    raise TypeError(f"{kind.__name__} was expected, not {value!r}")


def _from_plain(plain: Plain, kind: Any, any_is: type, rest: memoryview) -> tuple[Any, memoryview]:
    """The value, and the bytes of the arrays that come after it."""
    if kind is Any:
        kind = any_is
    if _is_array(kind):
        if not isinstance(plain, list) or not all(type(size) is int and size >= 0 for size in plain):
            raise ValueError(f"{plain} is not the shape of an array")
        length = 4 * int(np.prod(plain, dtype=object))
        if length > len(rest):
            raise ValueError("an array is cut short")
        return np.frombuffer(rest[:length], "<f4").astype(np.float32).reshape(plain), rest[length:]
    if _is_union(kind):
        if plain is None:
            return None, rest
        (plain,) = _list(plain, 1)
        return _from_plain(plain, _not_none(kind), any_is, rest)
    if parts := _record(kind):
        values = []
        for each, (_, part) in zip(_list(plain, len(parts)), parts, strict=True):
            value, rest = _from_plain(each, part, any_is, rest)
            values.append(value)
        return kind(*values), rest
    if get_origin(kind) in (tuple, list):
        values = []
        for each, part in zip(_list(plain), _items(kind, len(plain)), strict=True):
            value, rest = _from_plain(each, part, any_is, rest)
            values.append(value)
        return get_origin(kind)(values), rest
    if type(plain) is not kind and not (kind is float and type(plain) is int):
        raise ValueError(f"{plain!r} is not {kind.__name__}")
    return plain, rest


def _record(kind: Any) -> list[tuple[str, Any]]:
    """Names and types of the fields of a dataclass or NamedTuple; none for other types."""
    if not isinstance(kind, type) or get_origin(kind):
        return []
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        return [(field.name, hints[field.name]) for field in fields(kind)]
    return [(name, hints[name]) for name in getattr(kind, "_fields", ())]


def _is_array(kind: Any) -> bool:
    return get_origin(kind) is np.ndarray


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _not_none(kind: Any) -> Any:
    """The one type beside None."""
    (other,) = (part for part in get_args(kind) if part is not type(None))
    return other


def _items(kind: Any, count: int) -> Iterator[Any]:
    """The types of the items of a tuple or list."""
    arguments = get_args(kind)
    if get_origin(kind) is tuple and arguments[-1] is not ...:
        yield from arguments
    else:
        yield from [arguments[0]] * count


def _list(plain: Plain, length: int | None = None) -> list[Plain]:
    if not isinstance(plain, list) or length not in (None, len(plain)):
        raise ValueError(f"{plain!r:.50} is not a list of {length}")
    return plain

"""Objects as a tree of what JSON can hold, and arrays; and back.

Nothing is imported or called by name: a file can ask for the classes that are marked as
`storable`, and gets instances of these with plain values in them. What the values mean
is for the classes to check.
"""

import math

import numpy as np
from sklearn.base import BaseEstimator

# Classes by name whose instances files can hold.
STORABLE = {}

# dtypes of arrays that files hold as they are; those of time as integers.
PLAIN_KINDS, TIME_KINDS = "biuf", "mM"

# What the networks of an estimator call one of its parameters.
OTHER_NAMES = {"likelihood": "loss"}


def storable(cls):
    """Mark a class as one whose instances can be in files."""
    STORABLE[cls.__name__] = cls
    return cls


# What an estimator may have besides its parameters and what a fit always sets.
OPTIONAL = {"feature_names_in_", "_sklearn_output_config", "_sklearn_version"}


class NotStorableError(TypeError):
    """An object that is neither plain nor of a class that can be stored."""


class Encoder:
    """Turns objects into a tree, and collects their arrays.

    Parameters
    ----------
    omit : sequence of str
        Parameters that are left out, by name; `estimator__lr` for one of an estimator
        within.

    Attributes
    ----------
    arrays : dict of str to ndarray
        What the tree refers to by name.
    omitted : set of str
        Which of `omit` there were.
    """

    def __init__(self, omit=()):
        self.omit, self.arrays = omit, {}
        self.omitted, self.seen = set(), {}

    def encode(self, value, path=""):
        """Return the tree of a value.

        Parameters
        ----------
        value : object
            What to encode.
        path : str
            Where it is: begins the names of its arrays, and is what errors name.
        """
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, str):
            return str(value)  # of numpy, too
        if isinstance(value, np.generic):
            return {"scalar": [value.dtype.str, self.encode(value.item(), path)]}
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, bytes):
            return {"bytes": self._keep(np.frombuffer(value, np.uint8), path)}
        if type(value) in (list, tuple):
            items = [self.encode(v, f"{path}.{i}") for i, v in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        if type(value) is dict:
            return {"dict": self._items(value, path)}
        if isinstance(value, slice):
            parts = (value.start, value.stop, value.step)
            return {"slice": [self.encode(part, path) for part in parts]}
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        if STORABLE.get(type(value).__name__) is type(value):
            return self._object(value, path)
        raise self._refused(value, path)

    def _items(self, values, path):
        """Return pairs of a dict; of those left out, which parameter it is."""
        pairs = []
        for key, value in values.items():
            if not isinstance(key, str | int) or isinstance(key, bool):
                raise self._refused(key, path)
            left_out = self._left_out(key, value)
            if left_out is None:
                at = f"{path}.{key}" if path else str(key)
                pairs.append([key, self.encode(value, at)])
            else:
                pairs.append([key, {"omitted": left_out}])
        return pairs

    def _left_out(self, key, value):
        """Return the name of the parameter that a value is, if it is left out."""
        if isinstance(value, dict):  # the state of an optimiser is no parameter
            return None
        for name in self.omit:
            last = name.rpartition("__")[2]
            if key == last or (key in OTHER_NAMES and OTHER_NAMES[key] == last):
                self.omitted.add(name)
                return name
        return None

    def _keep(self, array, path):
        name, n = path or "value", 0
        while name in self.arrays:
            n += 1
            name = f"{path}~{n}"
        self.arrays[name] = array
        return name

    def _array(self, array, path):
        if isinstance(array, np.ma.MaskedArray):
            data = self.encode(array.filled(), f"{path}.data")
            mask = np.ma.getmaskarray(array)
            return {"masked": [data, self.encode(mask, f"{path}.mask")]}
        if array.dtype.kind in PLAIN_KINDS and array.dtype.itemsize <= 8:
            native = array.astype(array.dtype.newbyteorder("="), copy=False)
            return {"array": self._keep(native, path)}
        if array.dtype.kind in TIME_KINDS:
            name = self._keep(array.view(np.int64), path)
            return {"time": [name, array.dtype.str]}
        if array.dtype.kind in "OU":
            items = [self.encode(v, f"{path}.{i}") for i, v in enumerate(array.ravel())]
            return {"values": [items, list(array.shape), array.dtype.kind]}
        raise self._refused(array, path)

    def _object(self, value, path):
        if id(value) in self.seen:
            return {"ref": self.seen[id(value)][0]}
        if isinstance(value, tuple):  # a named one
            state = [self.encode(v, f"{path}.{n}") for n, v in value._asdict().items()]
        else:
            state = dict(value.__getstate__() or {})
            state.pop("_skl_callbacks", None)  # who looks on is not part of a model
            state = self._items(state, path)
        # the object is kept, or another might get its id
        self.seen[id(value)] = len(self.seen), value
        return {"object": [type(value).__name__, state]}

    def _refused(self, value, path):
        return NotStorableError(
            f"{path or 'the object'} is a {type(value).__module__}."
            f"{type(value).__qualname__}, which a file of plain values cannot hold"
        )


class Decoder:
    """Turns a tree into objects again.

    Parameters
    ----------
    arrays : dict of str to ndarray
        What it refers to by name.
    parameters : dict of str to object
        What has been left out, by name.

    Raises
    ------
    ValueError, KeyError, TypeError
        From `decode`, if the tree is not one that an `Encoder` has made.
    """

    def __init__(self, arrays, parameters):
        self.arrays, self.parameters, self.objects = arrays, parameters, []

    def decode(self, tree):
        """Return the value of a tree."""
        if tree is None or isinstance(tree, str | int | float):
            return tree
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        ((kind, value),) = tree.items()
        handler = getattr(self, f"_as_{kind}", None)
        if handler is None:
            raise ValueError(f"{kind!r} is no kind of value")
        return handler(value)

    def _as_tuple(self, items):
        return tuple(self.decode(expect(list, items)))

    def _as_dict(self, pairs):
        result = {}
        for key, value in pairs:
            if not isinstance(key, str | int) or key in result:
                raise ValueError(f"{key!r} is no key, or there twice")
            result[key] = self.decode(value)
        return result

    def _as_slice(self, parts):
        start, stop, step = parts
        return slice(*(self.decode(part) for part in (start, stop, step)))

    def _as_float(self, text):
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text]

    def _as_scalar(self, parts):
        dtype, value = parts
        dtype = np.dtype(expect(str, dtype))
        if dtype.kind not in PLAIN_KINDS + "U":
            raise ValueError(f"{dtype} is no dtype of a number")
        return dtype.type(self.decode(value))

    def _as_bytes(self, name):
        array = self.arrays[name]
        if array.dtype != np.uint8:
            raise ValueError(f"{name} are no bytes")
        return array.tobytes()

    def _as_array(self, name):
        return self.arrays[name]

    def _as_masked(self, parts):
        data, mask = (self.decode(part) for part in parts)
        return np.ma.MaskedArray(data, expect(np.ndarray, mask))

    def _as_time(self, parts):
        name, dtype = parts
        dtype = np.dtype(expect(str, dtype))
        if dtype.kind not in TIME_KINDS or self.arrays[name].dtype != np.int64:
            raise ValueError(f"{dtype} is no dtype of time")
        return self.arrays[name].view(dtype)

    def _as_values(self, parts):
        items, shape, kind = parts
        values = np.empty(len(expect(list, items)), object)
        for i, item in enumerate(items):
            values[i] = self.decode(item)
        if kind == "U":  # as wide as the longest, whatever a file says
            values = values.astype(str)
        return values.reshape([expect(int, n) for n in shape])

    def _as_omitted(self, name):
        return self.parameters[name]

    def _as_ref(self, number):
        if expect(int, number) < 0:
            raise ValueError(f"there is no object {number}")
        return self.objects[number]

    def _as_object(self, parts):
        name, state = parts
        cls = STORABLE[name]
        if issubclass(cls, tuple):
            made = cls(*self.decode(expect(list, state)))
        else:
            made = made_from(cls, self._as_dict(state))
        self.objects.append(made)
        return made


def made_from(cls, state):
    """Return an instance of a storable class that has a state.

    Those with parameters are made with these, and say whether they are valid.
    """
    if not issubclass(cls, BaseEstimator):
        made = cls.__new__(cls)
    else:
        names = cls._get_param_names()
        missing = [name for name in names if name not in state]
        if missing:
            raise ValueError(f"{cls.__name__} lacks the parameters {missing}")
        made = cls(**{name: state[name] for name in names})
    check = getattr(made, "_check_stored", None)
    if check is not None:
        check(state)
    if hasattr(cls, "__setstate__"):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    return made


def check_attributes(estimator, state, required):
    """Return whether the state of an estimator is fitted; raise if it has other things.

    Parameters
    ----------
    estimator : BaseEstimator
        Knows its parameters.
    state : dict
        Parameters and attributes.
    required : sequence of str
        What a fit sets; OPTIONAL may be there besides.
    """
    found = set(state) - set(estimator._get_param_names()) - OPTIONAL
    if found and found != set(required):
        raise ValueError(f"a fit sets other things than {sorted(found)}")
    return bool(found)


def expect(kind, value):
    """Return a value of a type, or raise ValueError."""
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"{value!r:.80} is no {kind.__name__}")

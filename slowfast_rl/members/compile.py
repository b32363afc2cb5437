"""Compile kernels with numba, with a cache that depends on every file a kernel may inline.

numba decides whether a cached kernel is up to date by the file that defines it. Kernels here inline
functions of other files, so numba's own cache would keep an old equation. The cache folder is
therefore named by a hash of all source files that a kernel can reach.
"""

import hashlib
import logging
from collections.abc import Callable
from functools import cache, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast

import numba
import numba.extending
from numba.core import cgutils
from numba.core.event import Listener, register

from slowfast_rl.members.kernel_cache import keep_in, private_folder

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).parent.parent
_LAYERS_WITH_KERNELS = ("members", "policies", "fast")
_LOG = logging.getLogger("slowfast_rl")
_LOCK = RLock()
_CACHED: set[Any] = set()  # Python functions whose compiled versions are kept in the cache folder

if numba.config.DISABLE_JIT:  # kernels pass each other as compiled functions of one signature
    _LOG.warning("NUMBA_DISABLE_JIT is 1 and has no effect: the simulation exists compiled only")
    numba.config.DISABLE_JIT = 0


def kernel(function: F) -> F:
    """Compile a function that other kernels inline; Python code does not call it."""
    return _jit(function, forceinline=True)


def driver(signature: Any = None) -> Callable[[F], F]:
    """Compile a function that Python calls, for one explicit signature if one is given.

    The signature of a driver that receives a compiled function must name that function's
    ``FunctionType``; without it, every process would compile the driver again.
    """

    def decorate(function: F) -> F:
        dispatcher = _jit(function, forceinline=False)
        return dispatcher if signature is None else cast(F, Driver(dispatcher, signature))

    return decorate


class Driver:
    """A function with one explicit signature, compiled or loaded from the cache when it is needed.

    numba itself compiles a function with a signature where it is defined, so that every import
    would wait for all of them.
    """

    def __init__(self, dispatcher: Any, signature: Any) -> None:
        update_wrapper(self, dispatcher)
        self._dispatcher, self.signature = dispatcher, signature
        self.py_func = dispatcher.py_func

    @property
    def compiled(self) -> Any:
        """The dispatcher of numba, with its one compiled version."""
        dispatcher = self._dispatcher
        if not dispatcher.overloads:
            with _LOCK:  # another thread may need it too
                if not dispatcher.overloads:
                    dispatcher.compile(self.signature)
                    dispatcher.disable_compile()  # other arguments are an error
        return dispatcher

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return self.compiled(*map(dispatcher_of, arguments))

    def __reduce__(self) -> str:
        """Return the name by which a copy or another process finds this very object."""
        return str(self._dispatcher.__qualname__)


def dispatcher_of(value: Any) -> Any:
    """Return the dispatcher of a driver, which compiled code calls fastest; others as they are."""
    return value.compiled if isinstance(value, Driver) else value


@cache
def entry_point(function: Any) -> Callable[..., Any]:
    """Return a driver with one explicit signature as the function that numba's dispatcher calls.

    It does not look at argument types, which takes longer than a short kernel: arguments must be
    exactly of the signature's types.
    """
    overloads = dispatcher_of(function).overloads
    found: Callable[..., Any] = next(iter(overloads.values())).entry_point
    return found


def _jit(function: F, *, forceinline: bool) -> F:
    _CACHED.add(function)
    compiled: F = numba.njit(nogil=True, error_model="numpy", forceinline=forceinline, _nrt=False)(
        function
    )
    own_layer = Path(function.__code__.co_filename).parent.name
    folder = _cache_folder(own_layer == "members")
    if folder is not None:
        previous = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder)
        try:
            keep_in(folder, compiled)
        finally:
            numba.config.CACHE_DIR = previous
    return compiled


@cache
def _cache_folder(members_only: bool) -> Path | None:
    """Return a private folder named by a hash of the sources, which it creates; None for no cache.

    Args:
        members_only: hash the sources of ``members`` alone, as no other layer is inlined there.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for layer in _LAYERS_WITH_KERNELS[: 1 if members_only else None]:
        for source in sorted((_PACKAGE / layer).rglob("*.py")):
            digest.update(source.read_bytes())
    private = private_folder()
    if private is None:
        return None
    folder = private / digest.hexdigest()[:16]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return folder


class _Notice(Listener):  # type: ignore[misc]  # numba is untyped
    """Logs one line when the first function begins to compile that the cache does not have."""

    logged = False

    def on_start(self, event: Any) -> None:
        """Log the line, once in a process."""
        if not self.logged and event.data["dispatcher"].py_func in _CACHED:
            self.logged = True
            if _cache_folder(True) is None:
                _LOG.warning(
                    "Compiling the simulation, once in each process: up to a minute. Nothing is "
                    "kept, as there is no folder that only you can write; NUMBA_CACHE_DIR names one"
                )
            else:
                _LOG.warning("Compiling the simulation, once on this machine: up to a minute.")

    def on_end(self, event: Any) -> None:
        """Do nothing: other functions follow."""


register("numba:compile", _Notice())


@cache
def machine_code_of(function: Any) -> int:
    """Return the address of the code of a function with one explicit signature, which it keeps.

    A kernel that takes it as an integer calls it by :func:`function_at`, with errors passed on. As
    an argument, a function itself costs microseconds a call, because numba looks it up in Python.
    """
    compiled = next(iter(dispatcher_of(function).overloads.values()))
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def function_at(signature: Any) -> Any:
    """Return a function for kernels that makes an address a function of this signature."""
    function_type = numba.types.FunctionType(signature)

    def typed(context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            made = cgutils.create_struct_proxy(function_type)(context, builder)
            made.jit_addr = builder.inttoptr(arguments[0], cgutils.voidptr_t)
            return made._getvalue()

        return function_type(numba.types.int64), generate

    return numba.extending.intrinsic(typed)

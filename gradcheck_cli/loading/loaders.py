"""Read batches from the DataLoaders, Datasets and data modules of the user's file."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Sized
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.found_data import MINIMUM_KEPT, FoundData
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.import_errors import located
from gradcheck_cli.loading.signatures import signature_of
from gradcheck_cli.loading.tensor_tree import as_tensors

_LOADERS = (
    "train_loader",
    "train_dataloader",
    "training_loader",
    "trainloader",
    "train_dl",
    "dataloader",
    "data_loader",
    "loader",
)
_LOADER_MAKERS = ("get_train_loader", "get_dataloader", "get_loader", "train_dataloader", "make_loader", "build_dataloader")
_DATASETS = ("train_dataset", "train_set", "trainset", "train_ds", "train_data", "dataset", "data", "ds")
_PREFETCH = 2  # batches each worker prepares, torch's own default
_BATCH_SIZE = 32  # rows taken from a Dataset that comes without a loader


def find_loader(context: Context, model: nn.Module) -> FoundData | None:
    """A DataLoader of the file, of a function in it, or of a Lightning module or data module."""
    space = context.space
    for name in _LOADERS:
        loader = space.get(name)
        if isinstance(loader, DataLoader) or (isinstance(loader, list) and loader):
            return _read(loader, name, context)
    named = {n: v for n, v in space.items() if isinstance(v, DataLoader)}
    for name, value in space.items():
        if type(value) is dict and value and all(isinstance(v, DataLoader) for v in value.values()):
            named.update({f"{name}[{key!r}]": loader for key, loader in value.items()})
    if named:
        name = next((n for n in named if "train" in n.lower()), next(iter(named)))
        if len(named) > 1:
            context.assume(f"of the loaders {', '.join(f'`{n}`' for n in named)} the batch is from `{name}`")
        return _read(named[name], name, context)
    for name in _LOADER_MAKERS:
        maker = space.get(name)
        if inspect.isroutine(maker) and (arguments := arguments_for(maker, context)) is not None:
            return _read(_called(functools.partial(maker, **arguments), name, context), name, context)
    return _of_lightning(context, model)


def _of_lightning(context: Context, model: nn.Module) -> FoundData | None:
    """`train_dataloader()` of a data module in the file, or of the model itself."""
    for name, value in context.space.items():
        if isinstance(value, type) and context.defines(value) and _is_data_module(value) and not signature_of(value).required:
            value = _called(value, name, context)
        if not isinstance(value, type) and _is_data_module(type(value)):
            shown = f"{name}.train_dataloader"
            return _read(_called(functools.partial(_set_up, value), shown, context), shown, context)
    own = getattr(type(model), "train_dataloader", None)
    if own is None or (getattr(own, "__module__", "") or "").split(".")[0] in ("lightning", "pytorch_lightning"):
        return None
    return _read(_called(lambda: _set_up(model), "train_dataloader", context), "train_dataloader", context)


def _is_data_module(kind: type) -> bool:
    return any(base.__name__ == "LightningDataModule" for base in kind.__mro__[1:])


def _set_up(holder: Any) -> Any:
    holder.prepare_data()
    holder.setup("fit")
    return holder.train_dataloader()


def find_dataset(context: Context) -> FoundData | None:
    """A Dataset of the file, or the one Dataset class in it that needs no arguments."""
    space = context.space
    named = {n: v for n, v in space.items() if isinstance(v, Dataset)}
    name = next((n for n in _DATASETS if n in named), next((n for n in named if "train" in n.lower()), next(iter(named), None)))
    if name is not None:
        if len(named) > 1:
            context.assume(f"of the datasets {', '.join(f'`{n}`' for n in named)} the batch is from `{name}`")
        return _read_dataset(named[name], name, context)
    classes = [v for v in space.values() if isinstance(v, type) and issubclass(v, Dataset) and context.defines(v)]
    usable = [k for k in classes if not signature_of(k).required]
    if len(usable) == 1:
        context.assume(f"the batch is from `{usable[0].__name__}()`, the dataset class of the file")
        return _read_dataset(_called(usable[0], usable[0].__name__, context), usable[0].__name__, context)
    return None


def _read_dataset(dataset: Any, name: str, context: Context) -> FoundData:
    if isinstance(dataset, Sized) and len(dataset) == 0:
        raise _empty(name)
    order: dict[str, Any] = {}
    if not isinstance(dataset, IterableDataset):
        order = {"shuffle": True, "generator": torch.Generator().manual_seed(context.settings.seed)}
    collate = context.space.get("collate_fn", context.space.get("collate"))
    loader: DataLoader[Any] = DataLoader(
        dataset, batch_size=_BATCH_SIZE, collate_fn=collate if callable(collate) else None, **order
    )
    context.assume(f"batches of up to {_BATCH_SIZE} were drawn from `{name}`")
    return _read(loader, name, context)


def _read(loader: Any, name: str, context: Context) -> FoundData:
    wanted = max(context.settings.batches, MINIMUM_KEPT)
    with _workers(loader, context.settings.workers or 0):
        raws = _called(lambda: [as_tensors(raw) for raw in itertools.islice(loader, wanted)], name, context)
    if not raws:
        raise _empty(name)
    if len(raws) < context.settings.batches:
        context.assume(f"`{name}` gave {len(raws)} of the {context.settings.batches} batches asked for")
    return FoundData(raws=raws, origin=f"found: {name}")


@contextlib.contextmanager
def _workers(loader: Any, count: int) -> Iterator[None]:
    """Read in this process unless told otherwise: a few batches do not pay for worker processes, which can hang or die."""
    if not isinstance(loader, DataLoader):
        yield
        return
    saved = {name: getattr(loader, name) for name in ("num_workers", "timeout", "pin_memory", "prefetch_factor")}
    try:
        loader.num_workers, loader.pin_memory = count, False
        loader.prefetch_factor = (saved["prefetch_factor"] or _PREFETCH) if count else None
        loader.timeout = saved["timeout"] if count else 0
        yield
    finally:
        for name, value in saved.items():
            setattr(loader, name, value)


def _called(function: Callable[[], Any], name: str, context: Context) -> Any:
    try:
        return function()
    except (KeyboardInterrupt, GradcheckError):
        raise
    except Exception as exc:
        workers = context.settings.workers or 0
        advice = (
            "read in the main process: --workers 0"
            if workers
            else "correct it, or give other data with --data FILE or --input SHAPE"
        )
        why = re.sub(r" ?\(pids?\(?s?\)? [\d, ]+\)", "", one_line(exc))  # process numbers differ from run to run
        error = GradcheckError("E349", f"no batch could be read from `{name}`", why, advice)
        raise located(error, exc, context.base) from exc


def _empty(name: str) -> GradcheckError:
    return GradcheckError(
        "E346",
        f"`{name}` gives no data",
        "it is empty, or drop_last drops its only batch",
        "give it at least one whole batch, or use --data FILE or --input SHAPE",
    )


def arguments_for(function: Callable[..., Any], context: Context) -> dict[str, Any] | None:
    """Arguments for a function that makes data: a split is "train", a size is moderate, the rest are the file's variables."""
    chosen: dict[str, Any] = {}
    signature = signature_of(function)
    for name in (*signature.required, *signature.required_keywords):
        if name in ("split", "mode", "stage", "phase"):
            chosen[name] = "train"
        elif name == "device":
            chosen[name] = context.settings.device
        elif name in context.space and not callable(context.space[name]):
            chosen[name] = context.space[name]
        elif name.upper() in context.space:
            chosen[name] = context.space[name.upper()]
        elif name in ("batch_size", "bs", "n"):
            chosen[name] = 16
        else:
            return None
    return chosen

"""Average checkpoints of one training: between two good ones often lies a better one."""

from collections.abc import Sequence
from pathlib import Path


def average(checkpoints: Sequence[str | Path], target: str | Path) -> None:
    """Write the mean of checkpoints, as one that a training can start from or `ship` takes.

    Parameters
    ----------
    checkpoints : sequence of path
        Of one network, each trained on from another of them: the mean of strangers is noise.
        Their averaged (EMA) weights are taken where they have them.
    target : path

    Raises
    ------
    ValueError
        If they are not of one network.

    Notes
    -----
    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models": what a training
    learned anew and what it was about to forget, both in one.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel

    loaded = [torch.load(path, map_location="cpu", weights_only=False) for path in checkpoints]
    models = [(one.get("ema") or one["model"]).float() for one in loaded]
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in models]
    for path, shape in zip(checkpoints, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(f"{path} is another network than {checkpoints[0]}")
    mean = AveragedModel(models[0], use_buffers=True)
    for model in models:
        mean.update_parameters(model)
    torch.save({**loaded[0], "model": mean.module.half(), "ema": None, "optimizer": None}, target)

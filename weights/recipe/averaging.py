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

    loaded = [torch.load(path, map_location="cpu", weights_only=False) for path in checkpoints]
    models = [(one.get("ema") or one["model"]).float() for one in loaded]
    states = [model.state_dict() for model in models]
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    for path, shape in zip(checkpoints, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(f"{path} is another network than {checkpoints[0]}")
    mean = {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
    models[0].load_state_dict(mean)
    torch.save({**loaded[0], "model": models[0].half(), "ema": None, "optimizer": None}, target)

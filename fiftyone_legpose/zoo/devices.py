"""On what a network runs."""

import re

from fiftyone_legpose.errors import DeviceError

_DEVICES = re.compile(r"auto|cpu|mps|\d+(,\d+)*|(cuda|npu|xpu)(:\d+)?")


def is_device(device: str) -> bool:
    """Tell whether a text can name a device, whether or not this machine has it."""
    return _DEVICES.fullmatch(device.replace(" ", "")) is not None


def find_device(device: str) -> str:
    """Find the device that is asked for, as ultralytics takes it.

    Parameters
    ----------
    device
        ``auto``, ``cpu``, ``mps``, ``cuda:0``, a GPU's number or several with commas.

    Raises
    ------
    DeviceError
        It is none, or this machine has no such GPU.
    """
    import torch

    found = torch.cuda.device_count()
    wanted = str(device).replace(" ", "")
    if wanted == "auto":
        return "0" if found else "cpu"
    if not is_device(wanted):
        raise DeviceError(f"There is no device {device!r}: say auto, cpu, mps, 0 or 0,1.")
    missing = [gpu for gpu in wanted.split(",") if gpu.isdigit() and int(gpu) >= found]
    if missing:
        raise DeviceError(
            f"There is no GPU {', '.join(missing)}: torch finds {found}, counted from 0. Say auto, "
            "or cpu."
        )
    return wanted

"""What the system says about a disk, as the library's errors."""

import errno
from pathlib import Path

import pytest

from decentralized_vllm.content.disk import disk_errors
from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EACCES, SettingError),
        (errno.EROFS, SettingError),
        (errno.EMFILE, StorageBusy),
        (errno.EIO, OSError),
    ],
)
def test_disk_errors__system_error__has_its_type(number: int, expected: type[Exception]) -> None:
    with pytest.raises(expected), disk_errors("data_dir", Path("folder")):
        raise OSError(number, "as the system says")


def test_disk_errors__not_writable__names_the_setting() -> None:
    with pytest.raises(SettingError) as caught, disk_errors("data_dir", Path("folder")):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert caught.value.setting == "data_dir"

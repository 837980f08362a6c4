"""PostgreSQL refuses to run as root: under which identity it runs instead."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.embedded.start_error import StartError

# In a user namespace root's own files belong to "1000", so folders of mode 0700 stay as they are
# and nobody is added to the machine. Containers often forbid it.
_NAMESPACE = ("--user", "--map-user=1000", "--map-group=1000")
_OTHER_USERS = ("postgres", "nobody")


@dataclass(frozen=True)
class Identity:
    prefix: tuple[str, ...] = ()  # goes before the program's own arguments
    user_id: int | None = None
    user_name: str = ""

    def enter(self, data_dir: Path, folder: Path, binary: Path) -> None:
        """Let it use `folder` below `data_dir`; refuse where a folder above keeps it out."""
        if self.user_id is not None:
            data_dir.chmod(0o711)  # to pass through, not to read: the secrets in it are 0600
            self._refuse_closed_folder(folder, "choose another data folder (--data-dir FOLDER)")
            self._refuse_closed_folder(binary, "move the project elsewhere")
        self.own(folder)

    def own(self, path: Path) -> None:
        """Give it the file or folder, which an earlier start under another identity may have."""
        user_id = os.geteuid() if self.user_id is None else self.user_id
        if path.exists() and path.stat().st_uid != user_id:
            for each in (path, *path.rglob("*")):
                os.chown(each, user_id, -1)

    def _refuse_closed_folder(self, target: Path, remedy: str) -> None:
        for above in reversed(target.absolute().parents):
            status = above.stat()
            if status.st_uid != self.user_id and not status.st_mode & 0o001:
                raise StartError(
                    "PostgreSQL does not run as root, and the user it would run as, "
                    f"{self.user_name}, may not enter {above}. Start as another user, or {remedy}, "
                    f"or allow it: chmod o+x {above}"
                )


def identity(data_dir: Path, binary: Path) -> Identity:
    """Ours, unless we are root; `data_dir` exists."""
    if os.geteuid() != 0:
        return Identity()
    if unshare := shutil.which("unshare"):
        prefix = (unshare, *_NAMESPACE)
        probe = ("test", "-w", str(data_dir), "-a", "-x", str(binary))
        done = subprocess.run((*prefix, *probe), capture_output=True, check=False)  # noqa: S603
        if done.returncode == 0:
            return Identity(prefix=prefix)
    for name in _OTHER_USERS:
        try:
            return Identity(user_id=pwd.getpwnam(name).pw_uid, user_name=name)
        except KeyError:
            continue
    raise StartError(
        "PostgreSQL does not run as root, and there is no other user to run it as. "
        "Start as another user, or set DATABASE_URL to a PostgreSQL of your own."
    )

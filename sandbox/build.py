"""The binaries of the sandbox: built once from Go modules, then found in the user's cache."""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import BuildFailed
from sandbox.golang import Report, find_go, wanted_version

SOURCE = Path(__file__).parent
REPORT_EVERY = 10.0
UNUSED_AFTER = 30 * 24 * 3600


@dataclass(frozen=True)
class Binaries:
    """Where the built files are."""

    folder: Path

    @property
    def sandbox(self) -> Path:
        """etcd, API server, controller manager, scheduler and kubectl by first argument."""
        return self.folder / "sandbox"

    @property
    def kwok(self) -> Path:
        """What plays the nodes."""
        return self.folder / "kwok"

    @property
    def stages(self) -> Path:
        """The life cycle of pods and nodes, for kwok's `--config`."""
        return self.folder / "stages.yaml"


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/kubenova/sandbox`, by default below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kubenova" / "sandbox"


def source_hash(source: Path = SOURCE) -> str:
    """Names a build: changes with any Go source, the pinned modules, the flags or the machine."""
    files = [*source.rglob("*.go"), source / "go.mod", source / "go.sum"]
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
    digest.update(" ".join(_arguments(source)).encode())
    for path in sorted(files):
        digest.update(f"\0{path.relative_to(source).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build(report: Report = print, source: Path = SOURCE) -> Binaries:
    """The binaries for `source`, built now if the cache has none.

    Safe to call from several processes: one builds, the others wait for it. `report` gets
    lines for people. Raises GoNotFound or BuildFailed.
    """
    root = cache_root()
    wanted = root / source_hash(source)
    if not wanted.exists():
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f"{wanted.name}.lock", report):
            if not wanted.exists():
                _build_into(wanted, source, report)
                _forget_unused(root, wanted)
    os.utime(wanted)
    return Binaries(wanted)


@contextmanager
def _alone(lock: Path, report: Report) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Another process is building the sandbox: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_into(target: Path, source: Path, report: Report) -> None:
    """Build in a folder beside `target` and rename it: a half build is never found."""
    go = find_go(wanted_version((source / "go.mod").read_text()), report)
    log = target.with_suffix(".log")
    report(f"Building Kubernetes {_kubernetes_version(source)} from source with {go}.")
    report("This happens once and takes 4 to 8 minutes on two cores.")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as folder:
        output = Path(folder) / "binaries"
        output.mkdir()
        compiler = Compiler(go, source, log, report)
        compiler.compile(output)
        made = Binaries(output)
        stages = subprocess.run([made.kwok, "stages"], capture_output=True, check=True)
        made.stages.write_bytes(stages.stdout)
        output.rename(target)
    report(f"Built in {_duration(time.monotonic() - started)}: {target}")


@dataclass(frozen=True)
class Compiler:
    """One run of the Go compiler that tells how far it is."""

    go: Path
    source: Path
    log: Path
    report: Report

    def compile(self, output: Path) -> None:
        """Build every command of the module into `output`; raises BuildFailed."""
        self.log.write_text("")
        packages = self._run(["list", "-deps", "./cmd/..."], "fetching the modules")
        total = packages.count("\n")
        self._run([*_arguments(self.source), "-o", f"{output}/", "./cmd/..."], "building", total)

    def _run(self, arguments: list[str], step: str, total: int = 0) -> str:
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                [self.go, *arguments],
                cwd=self.source,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                with self._progress(step, total):
                    answer, _ = process.communicate()
            finally:
                process.terminate()
        if process.returncode != 0:
            reason = f"The sandbox could not be built: go {arguments[0]} failed while {step}."
            raise BuildFailed(reason, self.log, self._complaints()[-15:])
        return answer

    @contextmanager
    def _progress(self, step: str, total: int) -> Iterator[None]:
        done = threading.Event()

        def tell() -> None:
            started = time.monotonic()
            while not done.wait(REPORT_EVERY):
                self.report(progress_line(step, time.monotonic() - started, self._count(), total))

        thread = threading.Thread(target=tell, name="sandbox-build-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _complaints(self) -> list[str]:
        """The log without the bare names of the packages that went well."""
        return [line for line in self.log.read_text().splitlines() if " " in line]

    def _count(self) -> int:
        """How many packages `go build -v` has named so far."""
        lines = self.log.read_text().splitlines()
        return sum(not line.startswith("go: ") for line in lines)


def progress_line(step: str, elapsed: float, done: int, total: int) -> str:
    """One line for people: `building: 1 min 10 s, 600 of 2000 packages, about 2 min 43 s left`."""
    line = f"  {step}: {_duration(elapsed)}"
    if not total or not done:
        return line
    line += f", {min(done, total)} of {total} packages"
    if done >= total:
        return f"{line}, linking"
    return f"{line}, about {_duration(elapsed * (total - done) / done)} left"


def _arguments(source: Path) -> list[str]:
    """The build flags: small and reproducible binaries that report the real version."""
    version = _kubernetes_version(source)
    major, minor, _ = version.split(".", 2)
    base = "k8s.io/component-base/version"
    flags = [
        "-s -w",
        f"-X {base}.gitVersion=v{version}",
        f"-X {base}.gitMajor={major}",
        f"-X {base}.gitMinor={minor}",
        f"-X k8s.io/client-go/pkg/version.gitVersion=v{version}",
    ]
    return ["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", " ".join(flags)]


def _kubernetes_version(source: Path) -> str:
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", (source / "go.mod").read_text(), re.M)
    return found[1] if found else "0.0.0"


def _environment() -> dict[str, str]:
    """The caller's, but for what would change the build: no C compiler, no other toolchain."""
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    return {**os.environ, **ours}


def _forget_unused(root: Path, but: Path) -> None:
    """Drop builds that nobody has asked for in a month: each is 200 MB."""
    oldest = time.time() - UNUSED_AFTER
    for folder in root.iterdir():
        if folder.is_dir() and folder != but and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

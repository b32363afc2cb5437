"""The lock: every package that pyproject.toml needs, with its version and hashes."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^(\S+)==(\S+)((?: --hash=sha256:[0-9a-f]{64})*)$")


def read_pins(file_name: str) -> dict[str, tuple[str, str]]:
    """Return version and hashes by package, of a file that contains nothing but pins."""
    lines = (ROOT / file_name).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pins = {}
    for line in lines:
        if line.startswith("#"):
            continue
        pin = PIN.match(" ".join(line.split()))
        assert pin, f"{file_name}: {line}"
        pins[pin[1]] = (pin[2], pin[3])
    return pins


def read_requirements(name: str, extra: str) -> list[Requirement]:
    """Return what slowfast_rl or an installed package requires under an extra ("": none)."""
    if name == "slowfast-rl":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        texts = project["optional-dependencies"][extra] if extra else project["dependencies"]
    else:
        texts = metadata.requires(name) or []
    requirements = [Requirement(text) for text in texts]
    return [r for r in requirements if not r.marker or r.marker.evaluate({"extra": extra})]


def test_every_locked_package_has_hashes_except_torch_which_has_its_own_file():
    locked = read_pins("requirements.lock")
    assert len(locked) > 50
    assert [name for name, (_, hashes) in locked.items() if not hashes] == []
    assert "torch" not in locked
    torch = read_pins("requirements-torch.txt")
    assert list(torch) == ["torch"]
    assert torch["torch"][1] == ""


def test_the_lock_fits_all_that_pyproject_and_the_locked_packages_require():
    pins = read_pins("requirements.lock") | read_pins("requirements-torch.txt")
    pending, seen = [("slowfast-rl", ""), ("slowfast-rl", "dev")], set()
    while pending:
        parent = pending.pop()
        if parent in seen:
            continue
        seen.add(parent)
        for requirement in read_requirements(*parent):
            name = canonicalize_name(requirement.name)
            if re.match("nvidia|cuda|triton", name):  # only some builds of torch need them
                continue
            if name != "slowfast-rl":
                assert name in pins, f"{parent[0]} requires {requirement}: run `make lock`"
                version = pins[name][0]
                assert requirement.specifier.contains(version), (
                    f"{parent[0]} requires {requirement}, the lock has {version}: run `make lock`"
                )
                # With other versions installed than locked, their requirements say nothing here.
                if metadata.version(name).partition("+")[0] != version:
                    continue
            pending += [(name, extra) for extra in ("", *requirement.extras)]
    assert len(seen) > 10

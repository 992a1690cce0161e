"""Builds the images of server, gateway and trainer and runs each, without a registry or a daemon.

    make image
    python deploy/check_image.py gateway

A Debian base is made by mmdebstrap and the Dockerfiles are built on it by buildah. runc starts each
image as a random user of a user namespace, whose root is nobody outside, with a read-only root and
no capabilities; `images` says what each must do then. Needs root for the build, and Debian's
mmdebstrap, buildah and runc.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from images import gateway, server, trainer
from images.builder import ROOT, Builder

TOOLS = ("mmdebstrap", "buildah", "runc")
CHECKS = {
    "server": (server.IMAGE, server.check),
    "gateway": (gateway.IMAGE, gateway.check),
    "kserve": (gateway.KSERVE, gateway.check_kserve),
    "trainer": (trainer.IMAGE, trainer.check),
}


def main() -> int:
    """Builds, measures and runs the images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=f"{', '.join(CHECKS)} (all)")
    parser.add_argument("--folder", type=Path, default=Path(".images"), help="keeps bases, layers")
    parser.add_argument("--built", action="store_true", help="run the folder's images as they are")
    args = parser.parse_args()
    if unknown := set(args.names) - set(CHECKS):
        parser.error(f"no such image: {', '.join(unknown)}")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        print(f"not installed: {', '.join(missing)} (apt-get install)", file=sys.stderr)
        return 2
    sys.path.append(str(ROOT / "tests"))
    from tiny_bundle import make_bundle

    builder = Builder(args.folder.resolve(), build=not args.built)
    too_large = False
    try:
        bundle = make_bundle(builder.folder / "bundle")
        for name in args.names or CHECKS:
            image, check = CHECKS[name]
            size = builder.get(image).size
            limit = f"; {image.max_bytes / 1e6:.0f} MB are allowed" if image.max_bytes else ""
            print(f"{name}: {size / 1e6:.0f} MB{limit}", flush=True)
            too_large |= image.max_bytes is not None and size > image.max_bytes
            print(f"{name}: {check(builder, bundle)}", flush=True)
    finally:
        builder.close()
    return int(too_large)


if __name__ == "__main__":
    sys.exit(main())

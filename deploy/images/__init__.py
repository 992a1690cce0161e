"""Builds Tipstaff's images and runs them, without a registry, a daemon, or root in the container.

`builder` makes Debian bases with mmdebstrap, and builds Dockerfiles on them with buildah.
`container` starts an image with runc as a random user of a user namespace, whose root is nobody
outside, with a read-only root and no capabilities. `server`, `gateway` and `trainer` say what each
image must do.
"""

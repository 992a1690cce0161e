#!/usr/bin/env bash
# Renders the lock files anew, from pyproject.toml and constraints.txt: `make lock` runs it.
# uv is the first argument.
set -euo pipefail
cd "$(dirname "$0")/../.."

compile() { # name, then what to lock
    local name=$1
    shift
    "$uv" pip compile --quiet --generate-hashes --universal --python-version 3.11 \
        --constraint constraints.txt --no-emit-package tipstaff \
        --custom-compile-command "make lock" --output-file "deploy/locks/$name.txt" "$@"
}

uv=$1
compile build deploy/locks/build.in
compile client pyproject.toml
compile server pyproject.toml --extra server --extra tracing
compile server-gpu pyproject.toml --extra server-gpu --extra tracing
compile gateway pyproject.toml --extra gateway
compile kserve pyproject.toml --extra gateway --extra server
# torch comes from another index, by version; its CUDA packages would be gigabytes.
compile trainer pyproject.toml --extra server --extra trainer --extra desk \
    --config-file deploy/locks/uv.toml --no-emit-package torch

# Shared by the scripts in tools/: where things are, what is needed, how it is found. Sourced, not run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/strata
torch_version=2.11.0

packages=(
  g++ make git ca-certificates pkg-config patchelf
  bazel-bootstrap bazel-rules-java bazel-rules-proto
  libopenmpi-dev openmpi-bin libhdf5-dev hdf5-tools hdf5-filter-plugin-blosc-serial
  nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev
  libsndfile1-dev libsoxr-dev libxxhash-dev libssl-dev zlib1g-dev libjemalloc-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  espeak-ng
  python3 python3-venv
)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# Prints the packages of Debian that are not installed, one a line.
missing_packages() {
  local p
  for p in "${packages[@]}"; do
    dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || echo "$p"
  done
}

# Prints the folder of an importable torch of our version (the one that holds include/ and lib/), or nothing.
# Order: $STRATA_TORCH, the python3 on PATH, our own cache.
find_torch() {
  if [ -n "${STRATA_TORCH:-}" ]; then
    [ -e "$STRATA_TORCH/lib/libtorch_cpu.so" ] || fail "STRATA_TORCH=$STRATA_TORCH holds no lib/libtorch_cpu.so"
    echo "$STRATA_TORCH"
    return
  fi
  local python found
  for python in python3 "$cache/torch-$torch_version/bin/python3"; do
    found=$("$python" - "$torch_version" 2>/dev/null <<'PY' || true
import importlib.util, os, re, sys
spec = importlib.util.find_spec("torch")
folder = os.path.dirname(spec.origin) if spec and spec.origin else ""
with open(os.path.join(folder, "version.py")) as f:
    version = re.search(r"__version__ = '([^'+]+)", f.read()).group(1)
if version == sys.argv[1] and os.path.exists(os.path.join(folder, "lib", "libtorch_cpu.so")):
    print(folder)
PY
)
    if [ -n "$found" ]; then echo "$found"; return; fi
  done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Runs Bazel as all our scripts do: its files in our cache, torch where find_torch says. run_bazel build //...
run_bazel() {
  local command=$1 torch
  shift
  command -v bazel >/dev/null || fail "bazel is missing; run tools/setup"
  torch=$(find_torch)
  [ -n "$torch" ] || fail "torch $torch_version is missing; run tools/setup"
  (cd "$root" && bazel --output_user_root="$cache/bazel" "$command" \
    --repo_env=STRATA_TORCH="$torch" --disk_cache="$cache/build" "$@")
}

# Runs a command on N ranks of this machine: run_ranks 2 tools/strata extract study.json
run_ranks() {
  local ranks=$1 options=(--bind-to none --oversubscribe)
  shift
  [ "$(id -u)" != 0 ] || options+=(--allow-run-as-root)
  mpirun "${options[@]}" -np "$ranks" "$@"
}

#!/bin/sh
# Runs the compliance suite and the benchmark of GRAIL's exact policy on this machine's GPU; run.sh --help lists flags.
# Needs Linux on x86-64 with glibc 2.34 or newer, libstdc++, and NVIDIA's driver with its Vulkan parts.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

if [ "$(uname -s) $(uname -m)" != 'Linux x86_64' ]; then
  echo "this archive is for Linux on x86-64, not $(uname -s) on $(uname -m)" >&2
  exit 1
fi

# Where some containers have the driver, outside the linker's own folders.
for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
  if [ -d "$folder" ]; then LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder; fi
done

# Containers often lack Vulkan's loader and what NVIDIA's driver links to. Each of ours has a folder of its own, and only those
# that are missing are taken: none hides one of the system's.
known=$(ldconfig -p 2>/dev/null)
has() {
  case $known in *"$1 (libc6,x86-64"*) return 0 ;; esac
  for place in $(echo "${LD_LIBRARY_PATH:-}" | tr ':' ' ') /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64 /usr/lib64; do
    if [ -e "$place/$1" ]; then return 0; fi
  done
  return 1
}
for folder in "$here"/lib/*; do
  name=${folder##*/}
  if has "$name"; then continue; fi
  echo "this system has no $name: taking the archive's" >&2
  LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
if [ -n "${LD_LIBRARY_PATH:-}" ]; then export LD_LIBRARY_PATH; fi

if ! "$here/bin/node" --version >/dev/null; then
  echo 'the Node of this archive does not start here: it needs glibc 2.34 or newer, libstdc++ and libgcc' >&2
  exit 1
fi
exec "$here/bin/node" "$here/app/run.js" "$@"

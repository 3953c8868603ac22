#!/bin/sh
# Holds this machine's GPU to the exact policy, and measures it: see README.txt. Needs an NVIDIA driver and nothing else;
# VK_DRIVER_FILES or VK_ICD_FILENAMES name another Vulkan driver.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
say() { echo "$*" >&2; }

folders="/usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib /usr/local/nvidia/lib64 /usr/local/cuda/compat"
find_library() {
  for folder in $folders; do
    if [ -e "$folder/$1" ]; then
      echo "$folder/$1"
      return 0
    fi
  done
  return 1
}

made=''
trap '[ -z "$made" ] || rm -rf "$made"' EXIT

if [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
  say "Vulkan driver: ${VK_DRIVER_FILES:-$VK_ICD_FILENAMES}, from the environment"
elif manifest=$(ls /etc/vulkan/icd.d/*nvidia*.json /usr/share/vulkan/icd.d/*nvidia*.json 2>/dev/null | head -n 1) && [ -n "$manifest" ]; then
  say "Vulkan driver: $manifest"
elif library=$(find_library libGLX_nvidia.so.0 || find_library libEGL_nvidia.so.0); then
  # Containers often have the driver's library without the file that names it.
  made=$(mktemp -d)
  printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.3.0"}}' "$library" > "$made/nvidia.json"
  export VK_DRIVER_FILES="$made/nvidia.json" VK_ICD_FILENAMES="$made/nvidia.json"
  say "Vulkan driver: $library"
else
  say "Vulkan driver: none of NVIDIA's found (libGLX_nvidia.so.0). A container needs the driver's graphics part: start it"
  say "with NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility"
fi
if ! find_library libvulkan.so.1 > /dev/null; then
  export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  say "Vulkan loader: the archive's"
fi

"$here/node" "$here/app/run.js" "$@"

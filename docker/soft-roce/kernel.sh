# shellcheck shell=bash
# What setup and run both have to know: where things lie, and what the running kernel can do by itself.
# Sourced, never run. Needs nothing but a shell: it is asked before anything is installed.

# Exit codes beside the command's own.
# shellcheck disable=SC2034 # for those who source this
readonly exit_usage=2 exit_unavailable=75 exit_machine_died=125

# shellcheck disable=SC2034
cache=${VERBEX_CACHE:-${HOME:-/tmp}/.cache/verbex}/soft-roce

say() { printf 'soft-roce: %s\n' "$*" >&2; }

# Whether a soft-RoCE device can be made: the module is there or can be loaded, and we may make network devices
# (root in a container often may not).
can_make_rxe() {
  local capabilities
  capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
  (((0x$capabilities >> 12 & 1) == 1)) || return 1 # CAP_NET_ADMIN
  [ -d /sys/module/rdma_rxe ] && return 0
  command -v modprobe >/dev/null && modprobe --quiet rdma_rxe 2>/dev/null
}

# The first device with a port that is up: a real adapter, say. Prints its name.
active_device() {
  local state
  for state in /sys/class/infiniband/*/ports/*/state; do
    grep -qs ACTIVE "$state" || continue
    state=${state#/sys/class/infiniband/}
    printf '%s\n' "${state%%/*}"
    return 0
  done
  return 1
}

# How a command gets its device here: rxe (one is made for it), device (there is one), or emulated.
way_here() {
  if can_make_rxe; then
    echo rxe
  elif active_device >/dev/null; then
    echo device
  else
    echo emulated
  fi
}

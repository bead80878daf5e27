#!/bin/bash
# A SLURM of our own for as long as somebody holds our standard input: accounting with a database,
# one slurmctld, and a slurmd per way of counting memory. All in one folder and on loopback.
#
#   cluster.sh hold     starts it, says its folder and then `ready`, waits until its standard input
#                       ends (also by SIGKILL of who has the other end), stops and removes all
#   cluster.sh sweep    removes clusters whose holder was killed; `hold` begins with it as well
#
# The nodes are in nodes.conf. Jobs find the cluster by SLURM_CONF=FOLDER/etc/slurm.conf. Needs root
# and the Debian packages slurm-wlm, slurmdbd, mariadb-server and munge. Writes nothing to /etc.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
clusters=${TMPDIR:-/tmp}
prefix=memdrift-slurm.
box=
reader=

note() { echo "slurm cluster: $*" >&2; }
die() {
  note "$*"
  exit 1
}

# until_true SECONDS COMMAND…
until_true() {
  local tries=$(($1 * 10))
  until "${@:2}" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

# The nodes, each as NAME|TYPE|PARAMS|PROCTRACK.
nodes() { grep -v '^#' "$here/nodes.conf"; }

# start NAME PROGRAM ARGUMENT…: detached, without our standard input and our lock.
start() {
  setsid "${@:2}" </dev/null >>"$box/log/$1.out" 2>&1 8>&- 9>&- &
  echo $! >"$box/run/$1.pid"
}

# alive NAME: is it the program that we started, and not another process with its number?
alive() {
  local pid
  pid=$(cat "$box/run/$1.pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${1%%@*}" ]
}
ended() { ! alive "$1"; }

# ready NAME SECONDS COMMAND…
ready() {
  until_true "$2" "${@:3}" && return
  tail -n 20 "$box/log/$1".* >&2 || true
  die "$1 is not ready after $2 s; its log is above"
}

# stop NAME…: all at once, since each takes seconds.
stop() {
  local name
  for name in "$@"; do
    if alive "$name"; then kill "$(cat "$box/run/$name.pid")" 2>/dev/null || true; fi
  done
  for name in "$@"; do
    until_true 10 ended "$name" || kill -KILL "$(cat "$box/run/$name.pid")" 2>/dev/null || true
    rm -f "$box/run/$name.pid"
  done
}

# Processes of jobs, which outlive slurmd: whoever was started with this cluster's configuration.
job_processes() {
  local file
  while IFS= read -r file; do
    case $(cat "${file%environ}comm" 2>/dev/null) in
      slurmd | slurmctld | slurmscriptd | slurmdbd | mariadbd | munged | '') ;;
      *) basename "${file%/environ}" ;;
    esac
  done < <(grep -lszxF "SLURM_CONF=$box/etc/slurm.conf" /proc/[0-9]*/environ || true)
}
no_job_processes() { [ -z "$(job_processes)" ]; }

# remove FOLDER: stops whatever of it runs, and deletes it.
remove() {
  box=$1
  local file pid name node_daemons=()
  export SLURM_CONF=$box/etc/slurm.conf
  for file in "$box"/run/slurmd@*.pid; do
    [ -e "$file" ] && node_daemons+=("$(basename "$file" .pid)")
  done
  if alive slurmctld; then
    timeout 10 squeue -h -o %A 2>/dev/null | xargs -r timeout 10 scancel 2>/dev/null || true
    until_true 5 no_job_processes || true
  fi
  for pid in $(job_processes); do kill -KILL "$pid" 2>/dev/null || true; done
  stop "${node_daemons[@]}" slurmctld
  stop slurmdbd
  stop mariadbd munged
  # Where a node counts by cgroup, slurmd leaves its empty folders behind.
  while IFS='|' read -r name _; do
    for file in /sys/fs/cgroup/*/slurm_"$name" /sys/fs/cgroup/slurm_"$name"; do
      if [ -d "$file" ]; then find "$file" -depth -type d -exec rmdir {} \; 2>/dev/null || true; fi
    done
  done < <(nodes)
  rm -rf -- "$box" "/dev/shm/$(basename "$box")".*
}

sweep() {
  local folder
  for folder in "$clusters/$prefix"*; do
    # Ours, no link, and nobody holds its lock: not one that is being made, either, see hold().
    if [ -O "$folder" ] && [ ! -L "$folder" ] && [ -e "$folder/lock" ]; then
      exec 8<"$folder/lock"
      if flock -n 8; then
        note "removing $folder, whose holder was killed"
        (remove "$folder")
      fi
      exec 8<&-
    fi
  done
}

# free_ports N: free ones of loopback, below those that outgoing connections get.
free_ports() {
  python3 - "$1" <<'END'
import random, socket, sys

found = []
while len(found) < int(sys.argv[1]):
    with socket.socket() as one:
        port = random.randrange(20000, 32000)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            continue
        if port not in found:
            found.append(port)
print(*found)
END
}

# render TEMPLATE FILE MODE NAME=VALUE…
render() {
  local pair edits=()
  for pair in "${@:4}" "BOX=$box" "USER=$(id -un)"; do
    edits+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
  done
  # An option that is there and empty is an error to SLURM.
  (umask 077 && sed -E "${edits[@]}" -e '/^[A-Za-z]+=$/d' "$here/$1" >"$2")
  chmod "$3" "$2"
}

# Listen on loopback only, where SLURM can be told to: by the address of the host's own name.
loopback_only() {
  case $(getent ahostsv4 "$(hostname)" 2>/dev/null | awk 'NR == 1 { print $1 }') in
    127.*) echo NoCtldInAddrAny,NoInAddrAny ;;
  esac
}

configure() {
  local ports memory name type params track common next=2
  read -ra ports < <(free_ports $((2 + $(nodes | wc -l))))
  memory=$(awk '/^MemTotal/ { print int($2 * 0.8 / 1024) }' /proc/meminfo)
  common=("CTLD_PORT=${ports[0]}" "DBD_PORT=${ports[1]}" "MEMORY=$((memory / 4))"
    "COMM_PARAMS=$(loopback_only)")
  while IFS='|' read -r name _; do
    echo "NodeName=$name NodeAddr=127.0.0.1 NodeHostname=localhost Port=${ports[next]}" \
      "CPUs=4 RealMemory=$memory State=UNKNOWN"
    next=$((next + 1))
  done < <(nodes) >"$box/etc/nodes.conf"
  render slurmdbd.conf.template "$box/etc/slurmdbd.conf" 600 "${common[@]}"
  # What a node counts by is in a configuration of its own; slurmctld and the clients do not look
  # at it, and have the first node's.
  while IFS='|' read -r name type params track; do
    mkdir "$box/etc/$name" "$box/spool/$name"
    render slurm.conf.template "$box/etc/$name/slurm.conf" 644 "${common[@]}" \
      "TYPE=$type" "PARAMS=$params" "TRACK=$track"
    cp "$here/cgroup.conf" "$box/etc/$name/"
  done < <(nodes)
  cp "$box/etc/$(nodes | head -n 1 | cut -d '|' -f 1)"/*.conf "$box/etc/"
}

start_accounting() {
  (umask 077 && head -c 128 /dev/urandom >"$box/munge/key")
  start munged munged --foreground --force --key-file="$box/munge/key" \
    --socket="$box/munge.sock" --pid-file="$box/munge/pid" --seed-file="$box/munge/seed" \
    --log-file="$box/munge/log"
  mariadb-install-db --no-defaults --datadir="$box/db" --user="$(id -un)" --skip-test-db \
    --auth-root-authentication-method=normal >"$box/log/mariadb-install-db.log" 2>&1 ||
    die "mariadb-install-db failed: $(tail -n 5 "$box/log/mariadb-install-db.log")"
  start mariadbd mariadbd --no-defaults --user="$(id -un)" --datadir="$box/db" \
    --socket="$box/db/sock" --pid-file="$box/db/pid" --skip-networking \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=32M --innodb-lock-wait-timeout=900 \
    --innodb-flush-log-at-trx-commit=0
  local sql=(mariadb --no-defaults --socket="$box/db/sock" --user=root -e)
  ready mariadbd 60 "${sql[@]}" 'SELECT 1'
  "${sql[@]}" "CREATE DATABASE slurm_acct; CREATE USER slurm@localhost IDENTIFIED BY 'slurm';
    GRANT ALL ON slurm_acct.* TO slurm@localhost;"
  ready munged 10 munge --no-input --socket="$box/munge.sock"
  # Where slurmdbd's client of the database looks for "localhost".
  MYSQL_UNIX_PORT=$box/db/sock start slurmdbd slurmdbd -D
  ready slurmdbd 60 sacctmgr -n list cluster
  local what
  for what in 'cluster memdrift' 'account test' "user $(id -un) account=test"; do
    # shellcheck disable=SC2086 # words of one command
    sacctmgr -i add $what >>"$box/log/sacctmgr.out" 2>&1 || true
  done
}

all_idle() { [ "$(sinfo -h -N -o %T | sort -u)" = idle ]; }

start_nodes() {
  local name
  start slurmctld slurmctld -D -f "$SLURM_CONF"
  while IFS='|' read -r name _; do
    start "slurmd@$name" slurmd -D -f "$box/etc/$name/slurm.conf" -N "$name"
  done < <(nodes)
  ready slurmctld 60 scontrol ping
  ready slurmctld 60 all_idle
}

hold() {
  local tool
  for tool in munged mariadbd mariadb-install-db slurmdbd slurmctld slurmd sacctmgr; do
    command -v "$tool" >/dev/null ||
      die "$tool is missing: apt-get install slurm-wlm slurmdbd mariadb-server munge"
  done
  # Not to look like a part of a job that this runs in.
  unset "${!SLURM_@}"
  sweep
  box=$(mktemp -d "$clusters/${prefix}XXXXXX")
  # The lock's file appears locked, so that a sweep never takes a cluster that is being made.
  exec 9>"$box/lock.new"
  flock 9
  mv "$box/lock.new" "$box/lock"
  trap '[ -z "$reader" ] || kill "$reader" 2>/dev/null || true; remove "$box"' EXIT
  trap 'exit 143' TERM
  trap 'exit 130' INT
  [ "${#box}" -le 80 ] || die "$box is too long for the path of a socket: set TMPDIR to a shorter"
  chmod 755 "$box"
  mkdir "$box"/{run,log,etc,state,spool}
  mkdir -m 700 "$box"/{munge,db}
  export SLURM_CONF=$box/etc/slurm.conf
  configure
  start_accounting
  start_nodes
  printf '%s\nready\n' "$box"
  # Not in the foreground, where a signal would have to wait for it.
  cat >/dev/null <&0 9>&- &
  reader=$!
  wait "$reader"
}

case ${1:-} in
  hold) hold ;;
  sweep) sweep ;;
  *) die "'${1:-}' is neither hold nor sweep" ;;
esac

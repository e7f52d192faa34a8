#!/bin/sh
# Installs mc-proxy on a host that has systemd, or removes it. To say it again changes nothing.
set -eu

usage() {
  cat <<'EOF'
Usage: scripts/install.sh [--binary FILE] [--root DIR] [--dry-run]
       scripts/install.sh --uninstall [--purge] [--root DIR] [--dry-run]

Installs the program, its units, user, manual page, shell completions and a first configuration. A configuration that
is there already is left as it is. Nothing is started.

  --binary FILE  the program (default: out/mc-proxy, which "deno task compile" makes)
  --root DIR     install below DIR, and leave users and systemd of this host alone
  --dry-run      only say what would be done
  --uninstall    stop the server, and remove all but /srv/mc-proxy
  --purge        with --uninstall: remove /srv/mc-proxy and the user too
EOF
}

fail() {
  echo "install.sh: $1" >&2
  exit "${2:-1}"
}

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
binary=$source/out/mc-proxy
root=
dry=
uninstall=
purge=
while [ $# -gt 0 ]; do
  case $1 in
    --binary | --root)
      if [ -z "${2:-}" ]; then fail "$1 needs a value; see --help" 2; fi
      if [ "$1" = --root ]; then root=${2%/}; else binary=$2; fi
      shift
      ;;
    --dry-run) dry=1 ;;
    --uninstall) uninstall=1 ;;
    --purge) purge=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) fail "unknown option: $1; see --help" 2 ;;
  esac
  shift
done
[ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall" 2
[ -n "$root" ] || [ -n "$dry" ] || [ "$(id -u)" -eq 0 ] || fail "run it as root, or with --root DIR"

bin=/usr/local/bin
share=/usr/local/share
man=$share/man/man8
units=/usr/local/lib/systemd/system
sysusers=/usr/local/lib/sysusers.d/mc-proxy.conf
bash_completions=$share/bash-completion/completions
zsh_completions=$share/zsh/site-functions
fish_completions=$share/fish/vendor_completions.d
data=/srv/mc-proxy
user=mc-proxy

changes=0
umask 022

# Says what is done, and fails where it is only to be said.
doing() {
  changes=$((changes + 1))
  echo "${dry:+would }$1"
  [ -z "$dry" ]
}

# Whether users and systemd of this host are ours to change.
on_host() {
  [ -z "$root" ]
}

# Whether systemd runs here: sd_booted(3).
has_systemd() {
  on_host && [ -d /run/systemd/system ]
}

# own OWNER:GROUP PATH
own() {
  on_host || return 0
  [ "$(stat -c %U:%G "$2" 2>/dev/null || true)" != "$1" ] || return 0
  if doing "chown $1 $2"; then chown -h "$1" "$2"; fi
}

# put MODE FILE PATH: as a new file that takes the place of the old one, which may be a program that runs.
put() {
  if cmp -s "$2" "$root$3" && [ "$(stat -c %a "$root$3")" = "$1" ]; then return; fi
  doing "install $root$3" || return 0
  mkdir -p "$(dirname "$root$3")"
  cp "$2" "$root$3.new"
  chmod "$1" "$root$3.new"
  mv -f "$root$3.new" "$root$3"
}

# put_link TARGET PATH
put_link() {
  [ "$(readlink "$root$2" || true)" != "$1" ] || return 0
  doing "install $root$2" || return 0
  mkdir -p "$(dirname "$root$2")"
  ln -sfn "$1" "$root$2"
}

# put_folder MODE OWNER:GROUP PATH: a link in its place is the host's own matter.
put_folder() {
  [ ! -L "$root$3" ] || return 0
  if [ ! -d "$root$3" ] || [ "$(stat -c %a "$root$3")" != "$1" ]; then
    if doing "make folder $root$3"; then
      mkdir -p "$root$3"
      chmod "$1" "$root$3"
    fi
  fi
  own "$2" "$root$3"
}

# put_data_folder: where a group of administrators may pass through it, and see nothing of it, it stays so.
put_data_folder() {
  if [ -d "$root$data" ] && [ "$(stat -c %a "$root$data")" = 710 ]; then
    if ! on_host || [ "$(stat -c %U "$root$data")" = "$user" ]; then return; fi
  fi
  put_folder 750 $user:$user $data
}

# put_completion SHELL PATH
put_completion() {
  if "$binary" completions "$1" >"$scratch/completion"; then
    put 644 "$scratch/completion" "$2"
  else
    echo "install.sh: no completions for $1: $binary does not run here" >&2
  fi
}

# drop PATH
drop() {
  if [ ! -e "$root$1" ] && [ ! -L "$root$1" ]; then return; fi
  if doing "remove $root$1"; then rm -rf -- "$root$1"; fi
}

put_user() {
  put 644 "$source/config/sysusers.d/mc-proxy.conf" "$sysusers"
  on_host || return 0
  if id "$user" >/dev/null 2>&1; then return; fi
  if doing "make user $user"; then systemd-sysusers "$sysusers"; fi
}

install_all() {
  if [ ! -f "$binary" ] || [ ! -x "$binary" ]; then
    fail "there is no program at $binary: make it with \"deno task compile\", or name it with --binary FILE"
  fi
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  put 755 "$binary" $bin/mc-proxy
  put_link mc-proxy $bin/mcproxyctl
  put 644 "$source/docs/mc-proxy.8" $man/mc-proxy.8
  put_link mc-proxy.8 $man/mcproxyctl.8
  put_completion bash $bash_completions/mc-proxy
  put_link mc-proxy $bash_completions/mcproxyctl
  put_completion zsh $zsh_completions/_mc_proxy
  put_completion fish $fish_completions/mc-proxy.fish
  put 644 "$source/config/example.toml" $share/mc-proxy/example.toml
  put_user
  before=$changes
  for unit in mc-proxy.service mc-proxy-backup.service mc-proxy-backup.timer; do
    put 644 "$source/config/systemd/$unit" $units/$unit
  done
  if [ $changes -gt "$before" ] && has_systemd && doing "systemctl daemon-reload"; then systemctl daemon-reload; fi
  put_data_folder
  put_folder 750 root:$user $data/certs
  put_folder 700 $user:$user $data/backups
  if [ -e "$root$data/config.toml" ]; then
    echo "$root$data/config.toml is there already, and stays as it is"
  else
    put 640 "$source/config/first.toml" $data/config.toml
    own root:$user "$root$data/config.toml"
  fi
  if [ $changes -eq 0 ]; then
    echo "nothing to do"
  elif [ -z "$dry" ]; then
    cat <<EOF

Then:
  mc-proxy check -c $data/config.toml
  systemctl enable --now mc-proxy.service mc-proxy-backup.timer
or, where it runs already:
  systemctl reload mc-proxy.service
EOF
  fi
}

uninstall_all() {
  if has_systemd && [ -e $units/mc-proxy.service ] && doing "systemctl disable --now mc-proxy.service mc-proxy-backup.timer"; then
    systemctl disable --now mc-proxy.service mc-proxy-backup.timer
  fi
  before=$changes
  for unit in mc-proxy.service mc-proxy-backup.service mc-proxy-backup.timer; do drop $units/$unit; done
  if [ $changes -gt "$before" ] && has_systemd && doing "systemctl daemon-reload"; then systemctl daemon-reload; fi
  drop $bin/mc-proxy
  drop $bin/mcproxyctl
  drop $man/mc-proxy.8
  drop $man/mcproxyctl.8
  drop $bash_completions/mc-proxy
  drop $bash_completions/mcproxyctl
  drop $zsh_completions/_mc_proxy
  drop $fish_completions/mc-proxy.fish
  drop $share/mc-proxy
  drop $sysusers
  if [ -n "$purge" ]; then
    drop $data
    if on_host && id $user >/dev/null 2>&1 && doing "remove user $user"; then userdel $user; fi
  elif [ -e "$root$data" ]; then
    echo "$root$data stays; --purge removes it"
  fi
  [ $changes -gt 0 ] || echo "nothing to do"
}

if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi

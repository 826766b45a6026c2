#!/bin/sh
# Installs or upgrades the agent of LVS Fleet on a Debian machine: gets the package, checks it, and lets dpkg do the rest.
# Nothing is changed before the package's SHA-256 is right. Running it again is an upgrade, or nothing.
set -eu

usage() {
  cat <<'TEXT'
Usage: sh install.sh --from URL|DIRECTORY [options]

  --from PLACE           where lvsfleet-agent_VERSION_ARCH.deb and SHA256SUMS lie: an https URL or a directory
  --version VERSION      which package, if SHA256SUMS names several for this machine
  --sha256 HEX           what the package must have, whatever SHA256SUMS says: pin it where the place is not yours
  --controller-url URL   the control plane                        LVSFLEET_API
  --role ROLE            director or real-server                  LVSFLEET_HOST_ROLE
  --name NAME            this host's name                         LVSFLEET_HOST_NAME
  --token-file FILE      join token; a copy goes to /etc/lvsfleet/join-token, for the service alone
  --join token|aws|key   how this host comes in                   LVSFLEET_JOIN
  --no-start             install and write settings, start nothing
  --help

Settings go to /etc/lvsfleet/agent.env, each only where one is given here; all else in it stays. A host's site is no
setting: its token, its identity or its declaration says it.

Examples
  sh install.sh --from https://packages.example/lvsfleet --controller-url https://fleet.example \
     --role director --name dir-a --token-file /root/token
  sh install.sh --from https://packages.example/lvsfleet --controller-url https://fleet.example --join aws
  sh install.sh --from /mnt/usb --version 0.2.0 --sha256 3fd1...
TEXT
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

# A folder that stands for a machine, for tests and for images; empty on a machine.
root="${DPKG_ROOT:-}"
from='' version='' pinned='' url='' role='' name='' token_file='' join='' start=yes

while [ $# -gt 0 ]; do
  case "$1" in
    --help | -h) usage; exit 0 ;;
    --no-start) start=no; shift; continue ;;
    --from | --version | --sha256 | --controller-url | --role | --name | --token-file | --join) ;;
    *) usage >&2; fail "unknown option $1" ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value"
  case "$2" in *"
"*) fail "$1: a value has one line" ;; esac
  case "$1" in
    --from) from="$2" ;;
    --version) version="$2" ;;
    --sha256) pinned="$2" ;;
    --controller-url) url="$2" ;;
    --role) role="$2" ;;
    --name) name="$2" ;;
    --token-file) token_file="$2" ;;
    --join) join="$2" ;;
  esac
  shift 2
done

[ -n "$from" ] || { usage >&2; fail '--from is missing'; }
[ "$(id -u)" = 0 ] || fail 'must run as root'
[ -d "$root/run/systemd/system" ] || fail 'this machine does not run systemd, which the agent needs'
for tool in dpkg sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is missing: this is for Debian and what comes from it"
done
[ -z "$token_file" ] || [ -r "$token_file" ] || fail "--token-file: cannot read $token_file"
case "$url" in '' | https://* | http://127.0.0.1:* | http://localhost:*) ;; *) fail '--controller-url must begin with https://' ;; esac
case "$pinned" in '') ;; *[!0-9a-f]*) fail '--sha256 must be 64 hexadecimal digits, small letters' ;; esac

arch=$(dpkg --print-architecture)
case "$arch" in amd64 | arm64) ;; *) fail "there is no package for $arch, only for amd64 and arm64" ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Gets file $1 from there to $work. Plain http is refused: also after a redirect.
get() {
  case "$from" in
    https://*)
      if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' --max-time 600 \
          --output "$work/$1" "${from%/}/$1" || fail "cannot get ${from%/}/$1"
      elif command -v wget >/dev/null; then
        wget --quiet --https-only --timeout=60 --output-document="$work/$1" "${from%/}/$1" || fail "cannot get ${from%/}/$1"
      else
        fail 'neither curl nor wget is here'
      fi
      ;;
    http://*) fail '--from: only https, or a directory' ;;
    *) cp "${from%/}/$1" "$work/$1" 2>/dev/null || fail "there is no ${from%/}/$1" ;;
  esac
}

get SHA256SUMS
# "HEX  lvsfleet-agent_VERSION_ARCH.deb", and no name with a slash.
lines=$(sed -n "s/^\([0-9a-f]\{64\}\)  \(lvsfleet-agent_${version:-[0-9][0-9A-Za-z.+~-]*}_$arch\.deb\)\$/\1 \2/p" "$work/SHA256SUMS")
[ -n "$lines" ] || fail "SHA256SUMS names no package ${version:+$version }for $arch"
[ "$(printf '%s\n' "$lines" | wc -l)" = 1 ] || fail "SHA256SUMS names several packages for $arch: say which with --version"
sum=${lines%% *}
file=${lines#* }
[ -z "$pinned" ] || [ "$pinned" = "$sum" ] || fail "SHA256SUMS says $sum for $file, --sha256 says $pinned: nothing was changed"

get "$file"
found=$(sha256sum "$work/$file" | cut -d ' ' -f 1)
[ "$found" = "$sum" ] || fail "$file has SHA-256 $found, not $sum: it is damaged or not ours, and nothing was changed"
# What the name says is what the package says.
wanted=${file#lvsfleet-agent_}
wanted=${wanted%"_$arch.deb"}
told=$(dpkg-deb --field "$work/$file" Package Version Architecture) || fail "$file is no package"
[ "$told" = "Package: lvsfleet-agent
Version: $wanted
Architecture: $arch" ] || fail "$file is not what its name says: $told"

# Sets $1 to $2 in agent.env; what is there already, commented or not, is replaced where it stands first.
setting() {
  [ -n "$2" ] || return 0
  umask 077
  KEY="$1" VALUE="$2" awk '
    BEGIN { line = ENVIRON["KEY"] "=" ENVIRON["VALUE"] }
    !done && $0 ~ "^#?" ENVIRON["KEY"] "=" { print line; done = 1; next }
    $0 ~ "^" ENVIRON["KEY"] "=" { next }
    { print }
    END { if (!done) print line }' "$env_file" >"$env_file.new"
  cat "$env_file.new" >"$env_file"
  rm -f "$env_file.new"
}

env_file="$root/etc/lvsfleet/agent.env"
current=$(dpkg-query ${root:+--admindir="$root/var/lib/dpkg"} --show --showformat='${Version} ${db:Status-Status}' lvsfleet-agent 2>/dev/null || true)
if [ "$current" = "$wanted installed" ]; then
  echo "lvsfleet-agent $wanted is installed already"
elif [ -n "$root" ]; then
  dpkg --root="$root" --force-script-chrootless --force-depends --force-unsafe-io --force-confold --install "$work/$file"
elif command -v apt-get >/dev/null; then
  # For what it depends on. A local file, and settings that were changed here stay.
  chmod 0755 "$work"
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --allow-downgrades \
    -o Dpkg::Options::=--force-confold "$work/$file"
else
  dpkg --force-confold --install "$work/$file"
fi

before=$(cat "$env_file")
setting LVSFLEET_API "$url"
setting LVSFLEET_HOST_ROLE "$role"
setting LVSFLEET_HOST_NAME "$name"
setting LVSFLEET_JOIN "$join"
if [ -n "$token_file" ]; then
  group=$(sed -n 's/^lvsfleet-agent:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/group")
  umask 077
  cat "$token_file" >"$root/etc/lvsfleet/join-token"
  chown "0:$group" "$root/etc/lvsfleet/join-token"
  chmod 0640 "$root/etc/lvsfleet/join-token"
  setting LVSFLEET_TOKEN_FILE "$root/etc/lvsfleet/join-token"
fi

if [ "$start" = no ]; then
  echo 'settings are written, nothing was started'
elif ! grep -q '^LVSFLEET_API=.' "$env_file"; then
  echo 'set LVSFLEET_API in /etc/lvsfleet/agent.env, then: systemctl start lvsfleet-agent'
elif [ "$(cat "$env_file")" = "$before" ]; then
  systemctl start lvsfleet-agent.service
  echo "lvsfleet-agent $wanted runs"
else
  # Forwarding goes on over it.
  systemctl restart lvsfleet-agent.service
  echo "lvsfleet-agent $wanted runs with new settings"
fi

# PID 1 of one lab host, in its fresh mount, pid, uts, ipc and network namespaces.
# Arguments: the host's directory, its name, the address of its (silent) name server, what PID 1 becomes
# (tini or systemd), the host's cgroup.
set -u
h=$1 name=$2 nameserver=$3 init=$4 cgroup=$5
hostname "$name"

# This copy of the mount table would pin other people's mounts: let go of them.
awk '$2 != "/" && ($3 == "nsfs" || $3 == "overlay" || $2 ~ "^/run/") { print $2 }' /proc/self/mounts |
    sed 's/\\040/ /g' | sort -r |
    while read -r m; do umount -l "$m" 2>/dev/null; done

mount -t tmpfs -o mode=755 tmpfs /run
# systemd and those who install things write everywhere: first of all, all that is the host's own.
[ "$init" != systemd ] || . "$h/../systemd.sh" || exit 1
mkdir -p /run/.cgroup /run/lock /run/netns
# The /sys of this network namespace, with the machine's cgroup tree put back into it.
mount --rbind /sys/fs/cgroup /run/.cgroup
mount -t sysfs sysfs /sys && mount --move /run/.cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf 2>/dev/null

# An engine of version 20.10 keeps its identity in /etc/docker: every host has its own.
mkdir -p /etc/docker && mount --bind "$h/etc-docker" /etc/docker
echo "$name" >"$h/hostname"
# Nothing listens there and the fabric says so at once, so name look-ups fail fast.
echo "nameserver $nameserver" >"$h/resolv.conf"
[ -e /etc/hostname ] && mount --bind "$h/hostname" /etc/hostname
mount --bind "$h/../hosts" /etc/hosts
resolv=$(readlink -f /etc/resolv.conf)
if [ ! -e "$resolv" ]; then
    # A link into /run, which is ours and empty by now.
    mkdir -p "${resolv%/*}" && : >"$resolv"
fi
mount --bind "$h/resolv.conf" "$resolv"

[ "$init" != systemd ] || start_systemd
[ ! -e "$h/dockerd.sh" ] || sh "$h/../start.sh" "$h"
exec tini -s -- sleep infinity # It reaps; its death takes every process of the host.

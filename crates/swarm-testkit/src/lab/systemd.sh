# Sourced by init.sh on a host whose PID 1 becomes the real systemd.
#
# Everything that is written to is the host's own: an overlay over this machine's /etc, /usr, /root, /home, /srv
# and /var, with what was written in own/ of the host's directory; empty /tmp and /var/tmp. The units are those
# few that a host needs, and no generator runs: nothing that this machine has installed is started,
# cleaned or mounted. Invariant: systemd is not started where one of these is shared with the machine.

lab=$(cd "$h/.." && pwd)
mkdir /run/.lab
mount --bind "$lab" /run/.lab || return 1
for d in /etc /usr /root /home /srv /var/*; do
    [ -d "$d" ] && [ ! -L "$d" ] && [ "$d" != /var/tmp ] || continue
    mkdir -p "$h/own$d" "$h/.work$d"
    mount -t overlay -o "lowerdir=$d,upperdir=$h/own$d,workdir=$h/.work$d" overlay "$d" || return 1
done
mount -t tmpfs -o mode=1777 tmpfs /tmp || return 1
mount -t tmpfs -o mode=1777 tmpfs /var/tmp || return 1
mkdir -p "$lab" && mount --move /run/.lab "$lab" || return 1
# What it says to its console is not for this machine's.
mount --bind /dev/null /dev/console || return 1

units=/usr/lib/systemd/system
mkdir -p /run/.units/sysinit.target.wants /run/.etc-units/multi-user.target.wants /run/.none
for unit in basic.target sysinit.target multi-user.target network.target network-online.target \
    shutdown.target slices.target sockets.target paths.target timers.target local-fs.target \
    systemd-journald.service systemd-journald.socket; do
    cp "$units/$unit" /run/.units/ || return 1
done
ln -s ../systemd-journald.service /run/.units/sysinit.target.wants/
mount --bind /run/.units "$units" || return 1
mount --bind /run/.etc-units /etc/systemd/system || return 1
for d in /usr/lib/systemd/system-generators /etc/systemd/system-generators /usr/local/lib/systemd; do
    [ ! -d "$d" ] || mount --bind /run/.none "$d" || return 1
done
if [ -e "$h/dockerd.sh" ]; then
    cat >/etc/systemd/system/docker.service <<UNIT
[Unit]
Description=The engine of this host
[Service]
Type=notify
ExecStart=/bin/sh $h/dockerd.sh
StandardOutput=append:$h/dockerd.log
StandardError=append:$h/dockerd.log
KillMode=process
Delegate=yes
TimeoutStartSec=60
[Install]
WantedBy=multi-user.target
UNIT
    ln -s ../docker.service /etc/systemd/system/multi-user.target.wants/
fi

# systemd mounts each cgroup controller (version 1) that is mounted nowhere, which makes a hierarchy of the whole
# machine of it, and an engine elsewhere that finds its processes in a hierarchy without a mount tells no
# statistics. So this host has a tree of mounts of its own, in which the place of each such controller is taken.
take_controllers() {
    [ ! -e /sys/fs/cgroup/cgroup.procs ] || return 0
    mkdir /run/.controllers && mount -t tmpfs -o mode=755 tmpfs /run/.controllers || return 1
    for d in /sys/fs/cgroup/*/; do
        d=${d%/}
        ! mountpoint -q "$d" || { mkdir "/run/.controllers/${d##*/}" &&
            mount --rbind "$d" "/run/.controllers/${d##*/}"; } || return 1
    done
    # Those that it mounts together, and each by itself.
    for c in cpu,cpuacct net_cls,net_prio $(awk 'NR > 1 { print $1 }' /proc/cgroups); do
        [ ! -e "/run/.controllers/$c" ] || continue
        mkdir "/run/.controllers/$c" && mount --bind /run/.none "/run/.controllers/$c" || return 1
    done
    mount --rbind /run/.controllers /sys/fs/cgroup
}

start_systemd() {
    take_controllers || { echo "the cgroups cannot be kept apart: systemd is not started" >&2; exit 1; }
    for d in /etc /usr /var/lib /var/log /tmp /var/tmp /etc/systemd/system "$units"; do
        mountpoint -q "$d" || { echo "$d is this machine's own: systemd is not started" >&2; exit 1; }
    done
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        mkdir -p "$hierarchy/$cgroup/systemd" && echo 1 >"$hierarchy/$cgroup/systemd/cgroup.procs" || exit 1
    done
    exec env container=lab /usr/lib/systemd/systemd --system --unit=multi-user.target
}

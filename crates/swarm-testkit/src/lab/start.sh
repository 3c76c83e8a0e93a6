# Starts the Docker daemon of the host whose directory is given; run inside that host.
cd /
rm -f /run/docker.pid
setsid sh "$1/dockerd.sh" </dev/null >>"$1/dockerd.log" 2>&1 &
